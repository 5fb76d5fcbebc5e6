#!/usr/bin/env bash
# quick_test.sh BINARY: the benchmark itself works: a short one of psql and Lockkeeper, in a directory of its own. What
# is exact must be there and right: turns, endings, commits; of times only that the delay was really added.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ $# == 1 && -x $1 ]] || { echo "usage: quick_test.sh BINARY" >&2 && exit 2; }
dir=$(mktemp -d "${TMPDIR:-/tmp}/lockkeeper-bench.XXXXXX")
child=
end() {
  [[ -z $child ]] || { kill "$child" 2>/dev/null && wait "$child"; } || true
  rm -rf "$dir"
}
trap end EXIT
trap 'exit 143' INT TERM HUP

for variable in "${!BENCH_@}"; do
  unset "$variable"
done
BENCH_TOOLS='psql lockkeeper' BENCH_RUNS=1 BENCH_SMALL=1 BENCH_CACHE=$dir/cache \
  "$here/run.sh" "$1" "$dir/out" >"$dir/said" 2>&1 &
child=$!
wait "$child" || {
  cat "$dir/said"
  exit 1
}
child=

PYTHONDONTWRITEBYTECODE=1 python3 - "$here" "$dir" <<'PY'
import json
import pathlib
import sys
import xml.etree.ElementTree

here, directory = map(pathlib.Path, sys.argv[1:])
sys.path.insert(0, str(here))
import report  # noqa: E402

results = report.Results(json.loads((directory / "cache/results.json").read_text()))
text = (directory / "out/benchmarks.md").read_text()
wrong = []


def expect(what, is_there, wanted):
    if is_there != wanted:
        wrong.append(f"{what}: {is_there}, expected {wanted}")


rows = {(key, row.name): row for key in results.workloads for row in results.rows(key)}
expect("workloads", list(results.workloads), ["calendly", "noop", "many", "noop-many", "runners"])
for key in ("calendly", "noop", "many", "noop-many"):
    expect(f"{key}: tools", {"psql", "lockkeeper"} <= {name for one, name in rows if one == key}, True)
expect("noop: turns of lockkeeper", rows["noop", "lockkeeper"].typical("turns"), 1)
expect("noop-many: turns of lockkeeper", rows["noop-many", "lockkeeper"].typical("turns"), 1)
# Opening the connection, start-up message and two of SCRAM, the query.
expect("noop: round trips of psql", rows["noop", "psql"].round_trips, 5)
expect("many: turns of psql", rows["many", "psql"].typical("turns"), 22)  # BEGIN, 20 statements, COMMIT
expect("many: commits of psql", rows["many", "psql"].typical("commits"), 2)  # the login's and its own
for (key, name), row in rows.items():
    expect(f"{key}: exit codes of {name}", {code for one in row.undelayed + row.delayed for code in one["codes"]}, {0})
    if row.delayed:
        least = 0.04 * row.round_trips
        expect(f"{key}: delay of {name}", least <= row.time(True) < 3 * least + 5, True)
expect("runners of lockkeeper", report.endings(rows["runners", "lockkeeper"].undelayed[0]), "4 ok")
expect("given up", results.all["given_up"], [])
for key, workload in results.workloads.items():
    part = text.split(f"\n## {workload['title']}\n")[1].split("\n## ")[0]
    expect(f"{key}: rows in the document", part.count("\n| **lockkeeper** |"), 1)
for name in ("turns", "many", "noop"):
    picture = xml.etree.ElementTree.parse(directory / f"out/images/benchmark-{name}.svg")
    names = {one.text for one in picture.iter("{http://www.w3.org/2000/svg}text")}
    expect(f"{name}: tools in the picture", {"psql", "lockkeeper"} <= names, True)
if wrong:
    sys.exit("\n".join(wrong))
print(f"{len(rows)} rows as they should be")
PY
