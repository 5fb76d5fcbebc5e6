# The image file by file, its configuration, its size in a registry, and what its SBOM and its labels say.
source "$LOCKKEEPER_IMAGE_LIB"
blob() { printf '%s/oci/blobs/sha256/%s\n' "$LOCKKEEPER_IMAGE_WORK" "${1#sha256:}"; }
manifest=$(blob "$(jq -r '.manifests[0].digest' "$LOCKKEEPER_IMAGE_WORK/oci/index.json")")
config=$(blob "$(jq -r .config.digest "$manifest")")
same() { # WHAT EXPECTED FOUND
  [[ $2 == "$3" ]] || fail "$1: $(diff <(printf '%s\n' "$2") <(printf '%s\n' "$3"))"
}

# --- one layer, with these files and no others
same layers 1 "$(jq '.layers | length' "$manifest")"
layer=$(blob "$(jq -r '.layers[0].digest' "$manifest")")
TZ=UTC tar --numeric-owner --full-time -tvzf "$layer" |
  awk '{sub(/^\.\//, "", $6); sub(/\/$/, "", $6); print $1, $2, $4, $5, $6}' | sort -k 5 >files
! grep -v ' 2025-11-22 00:00:00 ' files || fail 'file times are not SOURCE_DATE_EPOCH'
same files "\
drwxr-xr-x 0/0 etc
-rw-r--r-- 0/0 etc/group
-rw-r--r-- 0/0 etc/passwd
drwxr-xr-x 0/0 etc/ssl
drwxr-xr-x 0/0 etc/ssl/certs
-rw-r--r-- 0/0 etc/ssl/certs/ca-certificates.crt
drwxr-xr-x 0/0 usr
drwxr-xr-x 0/0 usr/local
drwxr-xr-x 0/0 usr/local/bin
-rwxr-xr-x 0/0 usr/local/bin/lockkeeper
drwxr-xr-x 0/0 usr/share
drwxr-xr-x 0/0 usr/share/lockkeeper
-rw-r--r-- 0/0 usr/share/lockkeeper/LICENSE
-rw-r--r-- 0/0 usr/share/lockkeeper/LICENSES.txt
-rw-r--r-- 0/0 usr/share/lockkeeper/ca-certificates.txt
-rw-r--r-- 0/0 usr/share/lockkeeper/lockkeeper.spdx.json" "$(cut -d ' ' -f 1,2,5 files | LC_ALL=C sort -k 3)"
mkdir image
tar -C image --no-same-owner -xzf "$layer"
same passwd lockkeeper:x:65532:65532:Lockkeeper:/:/sbin/nologin "$(<image/etc/passwd)"
same group lockkeeper:x:65532: "$(<image/etc/group)"
(($(grep -c 'BEGIN CERTIFICATE' image/etc/ssl/certs/ca-certificates.crt) > 100)) || fail 'few certificate authorities'
cmp image/usr/share/lockkeeper/LICENSE "$REPO/LICENSE"

# --- the binary: static, and the one that is released by itself
release=$(release_binary amd64)
versions() { jq -S '[.packages[] | {name, versionInfo}]' "$1"; }
if [[ $(versions image/usr/share/lockkeeper/lockkeeper.spdx.json) == "$(versions "$release.spdx.json")" ]]; then
  cmp image/usr/local/bin/lockkeeper "$release" || fail 'the binary is not that of make release'
  cmp image/usr/share/lockkeeper/lockkeeper.spdx.json "$release.spdx.json" || fail 'the SBOM is not that of make release'
  figure 'the binary in the image is the one of make release'
else # it keeps its root with libraries until FRESH=1, and Debian has newer ones now
  figure 'not compared with the binary of make release, which has libraries of another day (FRESH=1 make release)'
fi
readelf --program-headers --dynamic --wide image/usr/local/bin/lockkeeper >elf
! grep -E 'INTERP|NEEDED' elf || fail 'the binary is not static'
grep -q 'FLAGS_1.*PIE' elf || fail 'the binary is not position-independent'
grep -q 'BIND_NOW' elf || fail 'the binary has lazy relocations'
grep -E 'GNU_STACK .* RW +0x' elf >/dev/null || fail 'the stack of the binary is executable'
version=$(sed -nE 's/^project\(lockkeeper VERSION ([0-9.]+).*/\1/p' "$REPO/CMakeLists.txt")
[[ $(image/usr/local/bin/lockkeeper --version) == *"$version"* ]] || fail "its version is not $version"

# --- configuration
same configuration "$(jq -S . <<JSON
{
  "User": "65532:65532",
  "Env": ["PATH=/usr/local/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
  "Entrypoint": ["/usr/local/bin/lockkeeper"],
  "Cmd": ["up"],
  "WorkingDir": "/",
  "Labels": {
    "org.opencontainers.image.description": "$(sed -nE 's/^ +DESCRIPTION "(.*)"\)/\1/p' "$REPO/CMakeLists.txt")",
    "org.opencontainers.image.licenses": "Apache-2.0",
    "org.opencontainers.image.revision": "0123456789abcdef0123456789abcdef01234567",
    "org.opencontainers.image.source": "",
    "org.opencontainers.image.title": "lockkeeper",
    "org.opencontainers.image.version": "$version"
  }
}
JSON
)" "$(jq -S .config "$config")"
same platform 'linux amd64 2025-11-22T00:00:00Z' "$(jq -r '[.os, .architecture, .created] | join(" ")' "$config")"
grep -qE "^ARG VERSION=${version//./[.]}\$" "$REPO/Dockerfile" || fail "the Dockerfile's VERSION is not $version"

# --- size: of the layer in a registry, gzip as buildah and buildx make it
bytes=$(stat -c %s "$layer")
figure "the layer: $bytes bytes with gzip as pushed, $(gzip -dc "$layer" | gzip -9 | wc -c) with gzip -9;" \
  "the binary: $(stat -c %s image/usr/local/bin/lockkeeper) bytes"
((bytes < 5 * 1024 * 1024)) || fail "the layer has $bytes bytes: more than 5 MiB"

# --- SBOM
sbom=image/usr/share/lockkeeper/lockkeeper.spdx.json
same spdxVersion SPDX-2.3 "$(jq -r .spdxVersion "$sbom")"
for package in curl boost libc6 libgcc libpg-query libssl libstdc++ nlohmann-json postgresql prometheus-cpp yaml-cpp; do
  jq -e --arg name "$package" 'any(.packages[].name; ascii_downcase | contains($name))' "$sbom" >/dev/null ||
    fail "the SBOM does not name $package: $(jq -c '[.packages[].name]' "$sbom")"
done
same 'packages without a version' '' "$(jq -r '.packages[] | select((.versionInfo // "") == "") | .name' "$sbom")"
