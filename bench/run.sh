#!/usr/bin/env bash
# run.sh BINARY [OUT]: Lockkeeper beside its peers: the same migrations, each in its own layout, on one throwaway
# PostgreSQL, through a proxy that counts turns and adds delay. Writes OUT/benchmarks.md and OUT/images/benchmark-*.svg
# (OUT: docs). What is downloaded stays in build/bench, results.json too:
# `python3 bench/report.py build/bench/results.json docs` writes the documents again, with a changed bench/notes.md.
#
# Variables: BENCH_TOOLS      names, of those in bench/tools.py (all)
#            BENCH_WORKLOADS  of: calendly noop many noop-many runners (all)
#            BENCH_RUNS       runs of each tool, fewer where they are slow (5)
#            BENCH_CAP        seconds after which a run is stopped (180)
#            BENCH_SMALL      1: 20 migrations instead of 1,000, 4 runners instead of 10
#            BENCH_CACHE      the directory for what is downloaded and built (build/bench)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
support=$here/../tests/support
# shellcheck source=tests/support/common.sh
source "$support/common.sh"
[[ $# -ge 1 && $# -le 2 && -x $1 ]] || die "usage: run.sh BINARY [OUT]"
binary=$(realpath "$1")
out=$(realpath -m "${2:-$here/../docs}")
cache=$(realpath -m "${BENCH_CACHE:-$here/../build/bench}")
mkdir -p "$cache" "$out/images"

for program in proxy measure; do
  source=$here/programs/$program.cpp
  [[ $cache/$program -nt $source ]] || "${CXX:-g++}" -std=c++20 -O2 -Wall -Wextra -o "$cache/$program" "$source"
done

# The server's data on a disk: commits wait for it.
export TMPDIR=${TMPDIR:-/tmp}
[[ $(stat -f -c %T "$TMPDIR") != tmpfs ]] || export TMPDIR=/var/tmp
export LOCKKEEPER_TEST_FSYNC=1
# PostgreSQL's defaults, where cluster.sh has others; no autovacuum, which would be counted and timed with a tool.
export LOCKKEEPER_TEST_CONF="shared_buffers = 128MB
jit = on
log_lock_waits = off
autovacuum = off"
export PYTHONDONTWRITEBYTECODE=1
exec "$support/with_cluster.sh" python3 "$here/run.py" "$binary" "$out" "$cache"
