#!/usr/bin/env python3
"""report.py RESULTS.json OUT: writes OUT/benchmarks.md and its plots from what run.py measured, and bench/notes.md."""
from __future__ import annotations

import json
import pathlib
import statistics
import sys
import textwrap

import plots

NOTES = pathlib.Path(__file__).resolve().parent / "notes.md"
MIB = 1024 * 1024
US = "lockkeeper"
DELAYED = 20
LINE = 120  # characters


def paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), LINE, break_long_words=False, break_on_hyphens=False) + "\n"


def bullet(text: str) -> str:
    return textwrap.fill(f"* {text}", LINE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


class Row:
    """What is known of one tool in one workload: medians."""

    def __init__(self, name: str, undelayed: list[dict], delayed: list[dict]):
        self.name, self.undelayed, self.delayed = name, undelayed, delayed
        self.finished = [one for one in delayed if one["cap"] is None]
        # The turns that a waiting client sees are those of the runs with delay: what is sent without waiting arrives
        # before an answer then. Where those were stopped, a client that waits each time has the same without delay.
        self.counted = self.finished or undelayed or delayed

    def typical(self, key: str) -> float | None:
        """CPU, memory, turns and what the server counted; those with a number of their own."""
        source = self.counted if key in ("turns", "first_turns", "connections", "startup", "bytes") else self.undelayed
        values = [one[key] for one in source if one[key] is not None]
        return statistics.median(values) if values else None

    @property
    def round_trips(self) -> float | None:
        parts = [self.typical(key) for key in ("connections", "startup", "turns")]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    def time(self, delayed: bool) -> float | None:
        values = [one["wall"] for one in (self.finished if delayed else self.undelayed) if one["cap"] is None]
        return statistics.median(values) if values else None

    @property
    def stopped(self) -> bool:
        return bool(self.delayed) and not self.finished


class Results:
    def __init__(self, results: dict):
        self.all = results
        self.tools = {tool["name"]: tool for tool in results["tools"]}
        self.samples = {(one["tool"], one["workload"], one["delay"]): one["runs"] for one in results["samples"]}
        self.workloads = {one["key"]: one for one in results["workloads"]}

    def rows(self, workload: str) -> list[Row]:
        found = []
        for name in self.tools:
            undelayed, delayed = (self.samples.get((name, workload, delay), []) for delay in (0, DELAYED))
            if undelayed or delayed:
                found.append(Row(name, undelayed, delayed))
        return found


def table(head: list[str], rows: list[list[str]]) -> str:
    """The first column is text, the others are numbers."""
    lines = ["| " + " | ".join(head) + " |", "|--|" + "--:|" * (len(head) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def shown(value: float | None) -> str:
    """Three significant digits, without an exponent."""
    if value is None:
        return "–"
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def spread(samples: list[dict], divisor: float = 1, form=shown) -> str:
    """Median, and least and most where there is more than one run."""
    values = [one["wall"] / divisor for one in samples if one["cap"] is None]
    if not values:
        return "–"
    middle = form(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({form(min(values))}–{form(max(values))})"


def delayed_time(row: Row, cap: float) -> str:
    if row.stopped:
        expected = f", about {shown(row.round_trips * 0.04)} s by its round trips" if row.round_trips else ""
        return f"more than {cap:.0f} s{expected}"
    return spread(row.delayed, form=seconds)


def bold(name: str) -> str:
    return f"**{name}**" if name == US else name


def single_table(results: Results, workload: str) -> str:
    rows = results.rows(workload)
    floor = next((row.time(False) for row in rows if row.name == "psql"), None)
    lines = []
    for row in rows:
        ratio = spread(row.undelayed, floor) if floor else "–"
        first = row.typical("first_turns")
        turns = shown(row.typical("turns"))
        if row.typical("connections") != 1 and first is not None:
            turns += f" ({shown(first)})"
        lines.append([bold(row.name), turns, shown(row.typical("connections")), shown(row.round_trips),
                      shown(row.typical("bytes")), delayed_time(row, results.all["cap"]),
                      spread(row.undelayed, form=seconds), ratio, seconds(row.typical("cpu")),
                      shown(row.typical("memory")), shown(row.typical("commits")), shown(row.typical("syncs"))])
    return table(["", "turns", "connections", "round trips", "bytes", "time, 20 ms each way", "time, no delay",
                  "ratio to psql", "CPU", "memory, MiB", "commits", "WAL syncs"], lines)


def endings(sample: dict) -> str:
    """How the processes of a run ended: `10 ok`, `1 ok, 9 failed (2)`."""
    codes = sample["codes"]
    good = codes.count(0)
    bad = sorted({code for code in codes if code})
    text = f"{good} ok" if not bad else f"{good} ok, {len(codes) - good} failed ({', '.join(map(str, bad))})"
    return text + (f", {sample['problem']}" if sample["problem"] else "")


def runners_table(results: Results, workload: str) -> str:
    lines = []
    for row in results.rows(workload):
        ends = sorted({endings(one) for one in row.undelayed})
        lines.append([bold(row.name), "; ".join(ends), spread(row.undelayed, form=seconds), shown(row.typical("turns")),
                      shown(row.typical("connections")), seconds(row.typical("cpu")), shown(row.typical("memory")),
                      shown(row.typical("commits"))])
    return table(["", "how they ended (exit code)", "until the last ended", "turns of all", "connections",
                  "CPU of all", "memory of one, MiB", "commits"], lines)


def sizes_table(results: Results) -> str:
    lines = []
    for tool in results.tools.values():
        beside = f"{tool['runtime']}" + (f", {shown(tool['runtime_size'] / MIB)}" if tool["runtime_size"] else "")
        lines.append([bold(tool["name"]), tool["version"], tool["source"], shown(tool["size"] / MIB), beside or "–"])
    return table(["", "version", "from", "own files, MiB", "needs beside, MiB"], lines)


# What is compared: less is better. Noise: a difference below this share is none.
COMPARED = [("turns", lambda row: row.typical("turns"), 0.0), ("round trips", lambda row: row.round_trips, 0.0),
            ("bytes", lambda row: row.typical("bytes"), 0.0), ("time at 20 ms", lambda row: row.time(True), 0.05),
            ("time without delay", lambda row: row.time(False), 0.1), ("CPU", lambda row: row.typical("cpu"), 0.1),
            ("memory", lambda row: row.typical("memory"), 0.05), ("commits", lambda row: row.typical("commits"), 0.0),
            ("WAL syncs", lambda row: row.typical("syncs"), 0.0)]


def better_than_us(rows: list[Row]) -> list[str]:
    """One line for each measure in which a peer is ahead, with who and how much."""
    us = next((row for row in rows if row.name == US), None)
    if us is None:
        return []
    lines = []
    for title, measure, noise in COMPARED:
        own = measure(us)
        others = [(measure(row), row.name) for row in rows if row.name != "psql" and not row.name.startswith(US)]
        ahead = sorted((value, name) for value, name in others
                       if own is not None and value is not None and value < own * (1 - noise))
        if ahead:
            form = seconds if title.startswith(("time", "CPU")) else shown
            lines.append(f"{title}: {', '.join(f'{name} {form(value)}' for value, name in ahead)} "
                         f"(Lockkeeper {form(own)})")
    return lines


def ahead_section(results: Results) -> str:
    parts = []
    for key, workload in results.workloads.items():
        lines = better_than_us(results.rows(key)) if workload["runners"] == 1 else []
        if lines:
            parts.append("\n".join([f"{workload['title']}:\n", *map(bullet, lines)]) + "\n")
    return "\n".join(parts) if parts else "In nothing that was measured.\n"


def missing_section(results: Results) -> str:
    missing, given_up = results.all["missing"], results.all["given_up"]
    lines = [bullet(f"{name}: {why}") for name, why in sorted(missing.items())]
    lines += [bullet(f"{one['tool']}, {results.workloads[one['workload']]['title']}: {one['why']}") for one in given_up]
    return "\n".join(lines) + "\n" if lines else "Nothing.\n"


def introduction(results: Results) -> str:
    facts = results.all
    box = facts["machine"]
    measured = paragraph(f"""
The same migrations, by Lockkeeper and by other tools, each with the files and the command that its documentation gives
for a deploy; all in one run and one after the other, round by round, so that what disturbs the machine disturbs all.
Each connects through a proxy that counts and, where said so, delays each direction by {DELAYED} ms, as between a
cluster and a database in another region. Measured on {facts['date']}: {box['cores']} cores ({box['model']}),
{box['memory']}, {box['kernel']}, PostgreSQL {facts['server']} on the same machine with its default settings (fsync on,
data on a disk; autovacuum off, as it would be counted), SCRAM password, no TLS.""")
    return f"# Benchmarks\n\n{MADE_BY}\n\n{measured}"


MADE_BY = "<!-- written by `make bench`; what is not a measurement is in bench/report.py and bench/notes.md -->"

EXPLANATION = """## How to read it

| column | means |
|--|--|
| turns | how often the client waited for an answer once its connections were ready; in brackets: on the first one |
| round trips | turns, and those of connecting: one to open each connection, and those of logging in |
| time | from start to exit: the median, and least to most; up to {runs} runs, fewer where they are slow |
| ratio to psql | time without delay, psql's median being 1 |
| CPU, memory | of all its processes together, and of the largest one; without delay |
| commits | of the database, one for each connection's login and those that only read included |
| WAL syncs | how often the server made its log durable; one or two may be its own |

psql is the floor, not a peer: it has no history, no lock and no check, applies everything as one transaction, and asks
`SELECT 1` where there is nothing to do. A new database for each run, except where there is nothing to do. Turns and
bytes are exact and repeat; times are of this machine.
"""

MANY_NOTE = """
Runs with delay that were expected to take more than {alone} s ran side by side, once, as they mostly wait, and were
stopped after {cap:.0f} s."""


def document(results: Results) -> str:
    parts = [introduction(results), "![turns of each tool in each workload](images/benchmark-turns.svg)\n"]
    parts.append(EXPLANATION.format(runs=results.all["runs"]))
    for key, workload in results.workloads.items():
        parts.append(f"## {workload['title']}\n")
        if workload["runners"] > 1:
            parts.append(runners_table(results, key))
            continue
        parts.append(single_table(results, key))
        if key == "many":
            parts.append(paragraph(MANY_NOTE.format(alone=results.all["alone"], cap=results.all["cap"])))
            parts.append(f"![time of {workload['title']}](images/benchmark-many.svg)\n")
        if key == "noop":
            parts.append("![time, CPU and memory when there is nothing to do](images/benchmark-noop.svg)\n")
    parts += ["## Versions and sizes\n", sizes_table(results), SIZES_NOTE, "## What others do better\n",
              "Written by the run: which peers were ahead, and in what. Differences within the noise are left out.\n",
              ahead_section(results), NOTES.read_text(),
              "## What could not be measured\n", missing_section(results), REPEAT]
    return "\n".join(parts)


SIZES_NOTE = """Own files are those that the package brings, with the shared libraries that are loaded, the C library
too; of sqitch, every package that it depends on. What ships of Lockkeeper is a static binary: [size.md](size.md).
"""

REPEAT = """## Again

`make bench` installs the peers from package registries into `build/bench`, measures, and writes this page with its
pictures. `BENCH_TOOLS='psql lockkeeper dbmate' BENCH_WORKLOADS='noop many' BENCH_RUNS=1 make bench` measures less;
[bench/run.sh](../bench/run.sh) has the other variables.
"""


def write(facts: dict, out: pathlib.Path) -> None:
    results = Results(facts)
    (out / "images").mkdir(parents=True, exist_ok=True)
    (out / "benchmarks.md").write_text(document(results))
    for name, picture in plots.all_pictures(results).items():
        (out / "images" / f"benchmark-{name}.svg").write_text(picture)


if __name__ == "__main__":
    write(json.loads(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2]))
