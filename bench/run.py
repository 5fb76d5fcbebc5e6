#!/usr/bin/env python3
"""run.py BINARY OUT CACHE: measures Lockkeeper and its peers and writes OUT/benchmarks.md and its pictures. CACHE has
the peers, the two programs of bench/programs and, afterwards, results.json. bench/run.sh starts it beside a throwaway
PostgreSQL; what is chosen by variables stands there."""
from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import statistics
import sys

import report
from measure import Bench, Sample, Server
from tools import NOT_TAKEN, Tool, Unavailable, all_tools
from workloads import BASE_TABLES, Workload, all_workloads

SLOW, VERY_SLOW = 3, 10  # seconds of the first run: then there are at most three, or no more
ALONE = 15  # seconds that a run with delay may be expected to take and still be run alone, several times
RUNS_OF_LARGE = 3


class Failed(Exception):
    """A tool did not do what the workload asks for."""


@dataclasses.dataclass
class Choice:
    """What the variables ask for."""
    tools: list[str]
    workloads: list[str]
    runs: int
    small: bool
    cap: int

    @staticmethod
    def from_environment() -> Choice:
        value = os.environ.get
        return Choice(tools=value("BENCH_TOOLS", "").split(), workloads=value("BENCH_WORKLOADS", "").split(),
                      runs=int(value("BENCH_RUNS", "5")), small=value("BENCH_SMALL", "0") == "1",
                      cap=int(value("BENCH_CAP", "180")))


class Session:
    """One benchmark: the tools that are there, the databases that workloads leave behind, and the samples."""

    def __init__(self, bench: Bench, choice: Choice, tools: list[Tool]):
        self.bench, self.choice, self.tools = bench, choice, tools
        self.kept: dict[tuple[str, str], str] = {}
        self.samples: dict[tuple[str, str, int], list[Sample]] = {}
        self.given_up: dict[tuple[str, str], str] = {}
        self.workloads: dict[str, Workload] = {}

    def measure(self, workload: Workload) -> None:
        self.workloads[workload.key] = workload
        tools = [tool for tool in self.tools if tool.history or workload.runners == 1]
        runs = min(self.choice.runs, RUNS_OF_LARGE) if workload.key in ("many", "runners") else self.choice.runs
        if workload.key != "many":
            self.interleaved(tools, workload, workload.delays, runs)
            return
        self.interleaved(tools, workload, (0,), runs)
        quick = [tool for tool in tools if self.expected(tool, workload) < ALONE]
        self.interleaved(quick, workload, (20,), runs)
        self.side_by_side([tool for tool in tools if tool not in quick], workload)

    def interleaved(self, tools: list[Tool], workload: Workload, delays: tuple[int, ...], runs: int) -> None:
        for number in range(runs):
            for tool in tools:
                for delay in delays:
                    if self.more_wanted(tool, workload, delay, number):
                        self.once(tool, workload, delay)

    def side_by_side(self, tools: list[Tool], workload: Workload) -> None:
        """What mostly waits for the delay: all at the same time, once."""
        with concurrent.futures.ThreadPoolExecutor(max_workers=max(len(tools), 1)) as pool:
            wanted = [tool for tool in tools if not self.hopeless(tool, workload)]
            list(pool.map(lambda tool: self.once(tool, workload, 20, counted=False), wanted))

    def more_wanted(self, tool: Tool, workload: Workload, delay: int, number: int) -> bool:
        if self.hopeless(tool, workload):
            return False
        samples = self.samples.get((tool.name, workload.key, delay), [])
        first = samples[0].wall if samples else 0
        return number == 0 or (first < VERY_SLOW and (first < SLOW or number < 3))

    def hopeless(self, tool: Tool, workload: Workload) -> bool:
        """It has failed in this workload, or in the one that this one needs."""
        return any((tool.name, key) in self.given_up for key in (workload.key, workload.after))

    def expected(self, tool: Tool, workload: Workload) -> float:
        """Seconds with 20 ms each way, from the runs without."""
        samples = self.samples.get((tool.name, workload.key, 0))
        if not samples:
            return float("inf")
        return statistics.median(one.wall + one.round_trips * 0.04 for one in samples)

    def once(self, tool: Tool, workload: Workload, delay: int, counted: bool = True) -> None:
        try:
            sample = self.run(tool, workload, delay, counted)
        except Failed as failure:
            self.given_up[tool.name, workload.key] = str(failure)
            say(f"{workload.key}: {tool.name}: {failure}")
            return
        self.samples.setdefault((tool.name, workload.key, delay), []).append(sample)
        say(f"{workload.key}, {delay} ms: {tool.name}: {sample.wall:.2f} s, {sample.turns} turns")

    def run(self, tool: Tool, workload: Workload, delay: int, counted: bool) -> Sample:
        directory = self.layout(tool, workload)
        database = self.database(tool, workload)
        command = tool.no_op if workload.no_op else tool.command
        sample = self.bench.run(command, directory, database, delay, workload.runners, counted)
        if sample.cap is None:
            self.check(tool, workload, database, sample)
        self.keep(tool, workload, database, sample)
        return sample

    def check(self, tool: Tool, workload: Workload, database: str, sample: Sample) -> None:
        if any(sample.codes) and (workload.runners == 1 or 0 not in sample.codes):
            raise Failed(f"exit code {sample.codes[0]}: {self.bench.log(database)}")
        if self.bench.server.ask(workload.applied, database=database) != "t":
            if workload.runners == 1:
                raise Failed("it ended with 0, and the migrations are not applied")
            sample.problem = "not all applied"

    def keep(self, tool: Tool, workload: Workload, database: str, sample: Sample) -> None:
        """The database that a later workload starts from stays, and one is enough."""
        if workload.no_op:
            return
        previous = database
        if workload.runners == 1 and sample.cap is None and (tool.name, workload.key) not in self.kept:
            self.kept[tool.name, workload.key], previous = database, ""
        if previous:
            self.bench.server.drop_database(previous)

    def database(self, tool: Tool, workload: Workload) -> str:
        if not workload.after:
            return self.bench.server.new_database(BASE_TABLES if workload.key == "calendly" else "")
        if (tool.name, workload.after) not in self.kept:
            self.run(tool, self.workloads[workload.after], 0, counted=True)
        return self.kept[tool.name, workload.after]

    def layout(self, tool: Tool, workload: Workload) -> pathlib.Path:
        key = workload.after or workload.key
        directory = self.bench.scratch / f"{tool.name.replace(', ', '-').replace(' ', '-')}-{key}"
        if not directory.exists():
            directory.mkdir()
            tool.lay_out(directory, workload.migrations)
        return directory


def say(text: str) -> None:
    print(f"bench: {text}", flush=True)


def install(tools: list[Tool], cache: pathlib.Path) -> tuple[list[Tool], dict[str, str]]:
    """The tools that are there, and why the others are not."""
    there, missing = [], {}
    for tool in tools:
        try:
            say(f"{tool.name}: installing")
            tool.install(cache)
            tool.version()
            there.append(tool)
        except Unavailable as why:
            missing[tool.name] = str(why)
            say(f"{tool.name}: not there: {why}")
    return there, missing


def machine() -> dict[str, str]:
    model = ""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return {"cores": str(len(os.sched_getaffinity(0))), "model": model or platform.machine(),
            "memory": f"{memory:.0f} GiB", "kernel": f"Linux {platform.release().split('-')[0]}"}


def facts(session: Session, missing: dict[str, str], workloads: list[Workload]) -> dict:
    """Everything that the report needs, as results.json has it."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine(), "server": session.bench.server.version, "cap": session.bench.cap,
        "alone": ALONE,
        "runs": session.choice.runs, "missing": missing,
        "tools": [{"name": tool.name, "version": tool.version(), "source": tool.source, "history": tool.history,
                   "size": tool.size(), "runtime": tool.runtime.name, "runtime_size": tool.runtime.size}
                  for tool in session.tools],
        "workloads": [{"key": one.key, "title": one.title, "runners": one.runners, "count": len(one.migrations),
                       "no_op": one.no_op} for one in workloads],
        "samples": [{"tool": tool, "workload": workload, "delay": delay,
                     "runs": [dataclasses.asdict(one) for one in runs]}
                    for (tool, workload, delay), runs in session.samples.items()],
        "given_up": [{"tool": tool, "workload": workload, "why": why}
                     for (tool, workload), why in session.given_up.items()],
    }


def chosen(names: list[str], all_of_them: list, name_of) -> list:
    """Those that NAMES names (their first word is enough), or all."""
    known = {name_of(one).split(",")[0] for one in all_of_them}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"bench: unknown: {' '.join(unknown)}; known: {' '.join(sorted(known))}")
    return [one for one in all_of_them if not names or name_of(one).split(",")[0] in names]


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    binary, out, cache = (pathlib.Path(word) for word in sys.argv[1:4])
    choice = Choice.from_environment()
    scratch = pathlib.Path(os.environ["LOCKKEEPER_TEST_ROOT"]) / "bench"
    scratch.mkdir()
    psql = shutil.which("psql") or "psql"
    server = Server(os.environ["LOCKKEEPER_TEST_URL"], psql)

    tools, missing = install(chosen(choice.tools, all_tools(binary, psql), lambda tool: tool.name), cache)
    if not choice.tools:
        missing |= NOT_TAKEN
    every = all_workloads(many=20, runners=4) if choice.small else all_workloads(many=1000, runners=10)
    workloads = chosen(choice.workloads, every, lambda one: one.key)

    session = Session(Bench(server, cache, scratch, choice.cap), choice, tools)
    session.workloads = {one.key: one for one in every}
    for workload in workloads:
        session.measure(workload)
    results = facts(session, missing, workloads)
    (cache / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    report.write(results, out)
    say(f"wrote {out / 'benchmarks.md'}")
    return 1 if session.given_up else 0


if __name__ == "__main__":
    sys.exit(main())
