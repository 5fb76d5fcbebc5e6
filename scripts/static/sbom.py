#!/usr/bin/env python3
"""sbom.py BUILD_DIR PREFIX ARCH OUT_DIR: says what is in the static binary, from what the linker and the compiler
really took: OUT_DIR/lockkeeper.spdx.json (SPDX 2.3) and OUT_DIR/LICENSES.txt (all their licence texts). build.sh runs
it, where the binary was built: dpkg knows there which package a library came from.

An archive counts when the linker kept bytes of it, a header library when one of our files includes it. Kernel headers
are left out: they are constants and layouts. The date is SOURCE_DATE_EPOCH; everything else follows from the input.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import uuid

sys.dont_write_bytecode = True
import linkmap  # noqa: E402  (no __pycache__ in the tree)

# Licence of the parts that end up in the binary, by Debian's source package. A new library must be added here: Debian
# states licences in prose and for all files of a package.
LICENCES = {
    "boost1.83": "BSL-1.0",
    "curl": "curl",
    "fmtlib": "MIT",
    "gcc-14": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "glibc": "LGPL-2.1-or-later",
    "libpg-query": "BSD-3-Clause AND PostgreSQL AND BSD-2-Clause",
    "nlohmann-json3": "MIT",
    "openssl": "Apache-2.0",
    "postgresql-17": "PostgreSQL",
    "prometheus-cpp": "MIT",
    "yaml-cpp": "MIT",
}
# Where Debian's copyright file is about other files: Boost's is 2 MB long and lists those of a hundred libraries.
TEXTS = {"boost1.83": "/usr/share/common-licenses/BSL-1.0"}
# Debian's cross compilers bring the libraries of the same sources in packages of other names.
SAME_SOURCE = {"cross-toolchain-base": "glibc", "gcc-14-cross": "gcc-14"}
# What dependencies.sh made: archive -> source package in PREFIX/versions.txt, file in PREFIX/licenses.
FROM_SOURCE = {
    "libpq_isolated.a": ("postgresql-17", "postgresql"),
    "libcurl.a": ("curl", "curl"),
    "libprometheus-cpp-core.a": ("prometheus-cpp", "prometheus-cpp"),
}
RULE = "=" * 100


def fail(text):
    raise SystemExit(f"sbom.py: {text}")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Component:
    def __init__(self, name, version, source, source_version, text_file, built):
        self.name, self.version = name, version
        self.source, self.source_version = source, source_version
        self.text_file = text_file
        self.built = built  # from the source package, by dependencies.sh
        self.archives = {}  # file name -> bytes kept
        self.headers = 0
        known = SAME_SOURCE.get(source, source)
        if known not in LICENCES:
            fail(f"{name} is in the binary: say the licence of its source package {source} in LICENCES")
        self.licence = LICENCES[known]


class Inventory:
    def __init__(self, build, prefix):
        self.build, self.prefix = build, prefix
        self.components = {}
        self.package_of = {}
        with open(f"{prefix}/versions.txt", encoding="utf-8") as lines:
            self.sources = {line.split()[0]: line.split()[1:] for line in lines}

    def archive(self, path, size):
        """A file that the linker took bytes from."""
        name = os.path.basename(path)
        if path.startswith(self.build + "/"):
            return  # ours
        if path.startswith(self.prefix + "/") and name in FROM_SOURCE:
            component = self.built_from_source(*FROM_SOURCE[name])
        elif path == f"{self.prefix}/lib/libpg_query_isolated.a":
            component = self.debian_package(self.owner(self.original_of(name)))
        else:
            component = self.debian_package(self.owner(path))
        component.archives[name] = component.archives.get(name, 0) + size

    def header(self, path):
        """A file that one of ours includes."""
        if path.startswith(self.prefix + "/") or not path.startswith("/usr/") or not path.endswith((".h", ".hpp")):
            return  # of an archive that is counted already; or ours; or an archive
        package = self.owner(path)
        if not package.startswith("linux-libc-dev"):
            self.debian_package(package).headers += 1

    def original_of(self, name):
        """libpg_query_isolated.a is a copy: dependencies.sh says of what."""
        with open(f"{self.prefix}/lib/{name}.origin", encoding="utf-8") as file:
            return os.path.realpath(file.read().strip())

    def owner(self, path):
        if path not in self.package_of:
            # Two packages may have a directory, not a file; the first field is the name, with :arch where it has one.
            self.package_of[path] = run("dpkg", "-S", path).splitlines()[-1].split(": ")[0]
        return self.package_of[path]

    def debian_package(self, package):
        if package not in self.components:
            form = "${Package}\n${Version}\n${source:Package}\n${source:Version}\n"
            name, version, source, source_version = run("dpkg-query", "-W", "-f", form, package).split("\n")[:4]
            text_file = TEXTS.get(source, f"/usr/share/doc/{name}/copyright")
            self.components[package] = Component(name, version, source, source_version, text_file, False)
        return self.components[package]

    def built_from_source(self, source, text_file):
        if source not in self.components:
            version, upstream = self.sources[source][:2]
            text_file = f"{self.prefix}/licenses/{text_file}"
            self.components[source] = Component(source, upstream, source, version, text_file, True)
        return self.components[source]

    def sorted(self):
        """Without the packages of which only declarations were used: those of libraries that are archives here."""
        sources = {SAME_SOURCE.get(one.source, one.source) for one in self.components.values() if one.archives}
        kept = [
            one
            for one in self.components.values()
            if one.archives or SAME_SOURCE.get(one.source, one.source) not in sources
        ]
        return sorted(kept, key=lambda one: (one.name, one.version))


def package_url(component, arch):
    # A source package's version is Debian's, whatever name the component has.
    version = component.source_version if component.built else component.version
    kind = "source" if component.built else arch
    return f"pkg:deb/debian/{component.name}@{urllib.parse.quote(version, safe='~')}?arch={kind}&distro=debian-13"


def spdx_package(component, arch):
    where = f"Debian's source package {component.source} {component.source_version}"
    if component.archives:
        files = ", ".join(f"{name} ({size} bytes kept)" for name, size in sorted(component.archives.items()))
        comment = f"linked: {files}"
    else:
        comment = f"headers only: {component.headers} files included"
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", component.name),
        "name": component.name,
        "versionInfo": component.version,
        "supplier": "Organization: Debian",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "sourceInfo": f"built from {where} by scripts/static/dependencies.sh" if component.built else f"from {where}",
        "licenseConcluded": component.licence,
        "licenseDeclared": component.licence,
        "copyrightText": "NOASSERTION",
        "comment": comment,
        "primaryPackagePurpose": "LIBRARY",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": package_url(component, arch),
            }
        ],
    }


def spdx_document(components, arch, version, binary_hash):
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"])))
    main = {
        "SPDXID": "SPDXRef-lockkeeper-binary",
        "name": "lockkeeper",
        "versionInfo": version,
        "packageFileName": f"lockkeeper-linux-{arch}",
        "checksums": [{"algorithm": "SHA256", "checksumValue": binary_hash}],
        "supplier": "NOASSERTION",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "Apache-2.0",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "APPLICATION",
    }
    packages = [main] + [spdx_package(one, arch) for one in components]
    relationships = [
        {
            "spdxElementId": "SPDXRef-DOCUMENT",
            "relationshipType": "DESCRIBES",
            "relatedSpdxElement": main["SPDXID"],
        }
    ]
    for component, package in zip(components, packages[1:]):
        relationships.append(
            {
                "spdxElementId": main["SPDXID"],
                "relationshipType": "STATIC_LINK" if component.archives else "CONTAINS",
                "relatedSpdxElement": package["SPDXID"],
            }
        )
    content = json.dumps([date, packages, relationships], sort_keys=True)
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"lockkeeper-{version}-linux-{arch}",
        "documentNamespace": f"urn:uuid:{uuid.UUID(hashlib.sha256(content.encode()).hexdigest()[:32])}",
        "creationInfo": {"created": date, "creators": [f"Tool: lockkeeper-sbom-{version}"]},
        "documentDescribes": [main["SPDXID"]],
        "packages": packages,
        "relationships": relationships,
    }


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().rstrip() + "\n"


def licence_texts(components, own):
    """Every text once: several packages may have the same, and Debian keeps the long ones in files of their own."""
    by_text = {}
    for component in components:
        by_text.setdefault(read(component.text_file), []).append(f"{component.name} {component.version}")
    common = sorted(
        {
            os.path.realpath(f"/usr/share/common-licenses/{name}")
            for text in by_text
            for name in re.findall(r"/usr/share/common-licenses/([A-Za-z0-9.+-]*[A-Za-z0-9])", text)
        }
    )
    parts = [f"Lockkeeper\n{RULE}\n\n{own}"]
    for text, names in by_text.items():
        parts.append(f"{', '.join(names)}\n{RULE}\n\n{text}")
    for path in common:
        parts.append(f"{os.path.basename(path)}: a text that the above refer to\n{RULE}\n\n{read(path)}")
    head = "The licences of everything that is in the binary lockkeeper, which is linked statically.\n"
    return "\n\n".join([head, *parts])


def main():
    if len(sys.argv) != 5:
        fail("usage: sbom.py BUILD_DIR PREFIX ARCH OUT_DIR")
    build, prefix, arch, out = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), sys.argv[3], sys.argv[4]
    inventory = Inventory(build, prefix)
    for piece in linkmap.read(f"{build}/lockkeeper.map", build):
        if piece.archive:
            inventory.archive(piece.archive, piece.size)
    lines = run("ninja", "-C", build, "-t", "deps").splitlines()
    included = {os.path.realpath(os.path.join(build, line.strip())) for line in lines if line.startswith("    ")}
    for path in sorted(included):
        inventory.header(path)
    components = inventory.sorted()

    version = re.search(r'k_version = "([^"]+)"', read(f"{build}/generated/version.hpp")).group(1)
    with open(f"{out}/lockkeeper", "rb") as file:
        binary_hash = hashlib.sha256(file.read()).hexdigest()
    with open(f"{out}/lockkeeper.spdx.json", "w", encoding="utf-8") as file:
        json.dump(spdx_document(components, arch, version, binary_hash), file, indent=1)
        file.write("\n")
    own = read(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../LICENSE"))
    with open(f"{out}/LICENSES.txt", "w", encoding="utf-8") as file:
        file.write(licence_texts(components, own))


main()
