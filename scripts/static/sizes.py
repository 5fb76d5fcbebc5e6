#!/usr/bin/env python3
"""sizes.py MAP BINARY: a markdown table of the bytes of the static binary by library, from the linker's map, and its
size as it is, with gzip -9 and, where zstd is installed, with zstd -19. build.sh runs it."""

import gzip
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import linkmap  # noqa: E402  (no __pycache__ in the tree)

NAMES = {
    "c": "glibc", "m": "glibc", "mvec": "glibc",
    "stdc++": "libstdc++", "gcc": "libgcc", "gcc_eh": "libgcc",
    "crypto": "OpenSSL libcrypto", "ssl": "OpenSSL libssl",
    "pq_isolated": "libpq", "pg_query_isolated": "libpg_query", "curl": "libcurl",
    "prometheus-cpp-core": "prometheus-cpp", "boost_program_options": "Boost.Program_options", "yaml-cpp": "yaml-cpp",
}
# Code from headers is in our own object files: the compiler put every function into a section with its name.
HEADERS = (
    (re.compile(r"^_Z\w*?N3fmt"), "fmt (headers)"),
    (re.compile(r"^_Z\w*?N\w{0,3}8nlohmann"), "nlohmann-json (headers)"),
    (re.compile(r"^_Z\w{0,3}N\w{0,3}5boost"), "Boost (headers)"),
)


def library(piece):
    if not piece.archive:
        return "relocations, unwind index"
    base = os.path.basename(piece.archive)
    if base.endswith(".a"):
        name = base.removeprefix("lib").removesuffix(".a")
        if not name.startswith("lk_"):
            return NAMES[re.sub(r"^m-.*", "m", name)]
    elif not base.startswith("main.cpp"):
        return "glibc"  # crt1.o and its like
    symbol = piece.section.rpartition(".")[2]
    for pattern, header in HEADERS:
        if pattern.match(symbol):
            return header
    return "Lockkeeper"


def main():
    map_file, binary = sys.argv[1:]
    total = os.path.getsize(binary)
    code, data = {}, {}
    for piece in linkmap.read(map_file, os.path.dirname(map_file)):
        kind = code if piece.output == ".text" else data
        name = library(piece)
        kind[name] = kind.get(name, 0) + piece.size
    names = sorted(code.keys() | data.keys(), key=lambda name: (-code.get(name, 0) - data.get(name, 0), name))
    print("| library | code | data, tables | together | share |")
    print("|--|--:|--:|--:|--:|")
    rest = total
    for name in names:
        together = code.get(name, 0) + data.get(name, 0)
        rest -= together
        print(f"| {name} | {code.get(name, 0):,} | {data.get(name, 0):,} | {together:,} | {together / total:.1%} |")
    print(f"| ELF headers, padding | | | {rest:,} | {rest / total:.1%} |")
    print(f"| **the file** | | | **{total:,}** | |")
    print()
    print(f"gzip -9: {compressed_gzip(binary):,} bytes")
    if shutil.which("zstd"):
        packed = subprocess.run(["zstd", "-q", "-19", "-c", binary], check=True, capture_output=True).stdout
        print(f"zstd -19: {len(packed):,} bytes")


def compressed_gzip(binary):
    with open(binary, "rb") as file:
        return len(gzip.compress(file.read(), 9, mtime=0))


main()
