"""Runs one tool once, beside a proxy of its own, and returns what it took: the process as measure.cpp saw it, the
connections as proxy.cpp did, the server as its own statistics say."""
from __future__ import annotations

import dataclasses
import itertools
import json
import os
import pathlib
import re
import subprocess
import urllib.parse
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a tool connects to. The password is for a throwaway server on loopback."""
    port: int
    database: str
    user: str = "bench"
    password: str = "bench"
    host: str = "127.0.0.1"

    def url(self, scheme: str = "postgres", parameters: str = "?sslmode=disable") -> str:
        return f"{scheme}://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}{parameters}"


# What a tool is started with in a directory: words and environment.
Command = Callable[[pathlib.Path, Address], tuple[list, dict[str, str]]]


@dataclasses.dataclass
class Sample:
    """One run, of all its processes together: seconds, MiB of the largest process, and what the server counted.
    `cap`: the limit in seconds that it was stopped at. `problem`: what is wrong with it, if something is."""
    wall: float
    cpu: float
    memory: float
    codes: list[int]
    connections: int
    startup: int
    turns: int
    first_turns: int  # of the connection that came first
    bytes: int
    commits: int | None = None  # None: other runs were at work at that time
    syncs: int | None = None
    cap: float | None = None
    problem: str | None = None

    @property
    def round_trips(self) -> int:
        """Everything that costs one: opening connections, logging in, turns."""
        return self.connections + self.startup + self.turns


class Server:
    """The throwaway PostgreSQL, reached with psql as its superuser."""

    def __init__(self, url: str, psql: str):
        self.url, self.psql = url, psql
        self.port = urllib.parse.urlsplit(url).port or 5432
        self.version = self.ask("SHOW server_version").split()[0]
        self.major = int(self.ask("SHOW server_version_num")) // 10000
        self.numbers = itertools.count(1)
        self.tell("CREATE ROLE bench LOGIN PASSWORD 'bench'")

    def tell(self, *statements: str, database: str = "postgres", role: str | None = None) -> str:
        arguments = [word for statement in statements for word in ("-c", statement)]
        url = self.url.rsplit("/", 1)[0] + "/" + database
        if role:
            parts = urllib.parse.urlsplit(url)
            url = f"postgresql://{role}:{role}@{parts.hostname}:{parts.port}/{database}"
        done = subprocess.run([self.psql, "-XqAt", "-v", "ON_ERROR_STOP=1", *arguments, url], check=False,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    ask = tell

    def new_database(self, tables: str) -> str:
        """A new database that belongs to the tools' role."""
        name = f"bench_{next(self.numbers)}"
        self.tell(f"CREATE DATABASE {name} OWNER bench TEMPLATE template0")
        if tables:
            self.tell(tables, database=name, role="bench")
        return name

    def drop_database(self, name: str) -> None:
        self.tell(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def counters(self, database: str) -> tuple[int, int]:
        """Commits of the database, syncs of the WAL of the whole server; once the database's sessions have ended."""
        syncs = ("SELECT coalesce(sum(fsyncs), 0) FROM pg_stat_io WHERE object = 'wal'" if self.major >= 18
                 else "SELECT wal_sync FROM pg_stat_wal")
        wait = (f"DO $$ BEGIN FOR n IN 1..500 LOOP EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = "
                 f"'{database}'); PERFORM pg_sleep(0.01); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$")
        found = self.ask(wait, f"SELECT xact_commit, ({syncs}) FROM pg_stat_database WHERE datname = '{database}'")
        numbers = [int(number) for number in found.split("|")]
        return numbers[0], numbers[1]


class Proxy:
    """proxy.cpp in front of the server. Ends with the `with`; `connections` has what it saw then."""

    def __init__(self, program: pathlib.Path, port: int, delay: int):
        self.connections: list[dict] = []
        self.process = subprocess.Popen([program, str(port), str(delay)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        lines = self.process.communicate()[0]
        self.connections = [one for one in map(json.loads, lines.splitlines()) if not one["cancel"]]


def clean_environment(wanted: dict[str, str]) -> dict[str, str]:
    """PATH and HOME of the caller, nothing that a tool might take for a setting, and what the tool wants."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"LC_ALL": "C.UTF-8", "TZ": "UTC", "NO_COLOR": "1"} | wanted


@dataclasses.dataclass
class Bench:
    """What a run needs beside the tool."""
    server: Server
    programs: pathlib.Path  # proxy and measure
    scratch: pathlib.Path
    cap: int  # seconds

    def run(self, command: Command, directory: pathlib.Path, database: str, delay: int, runners: int = 1,
            counted: bool = True) -> Sample:
        """`counted`: nothing else is at work on the server, so that its counters are this run's."""
        before = self.server.counters(database) if counted else (0, 0)
        with Proxy(self.programs / "proxy", self.server.port, delay) as proxy:
            results = self.start(command, directory, Address(proxy.port, database), runners)
        sample = self.summary(results, proxy.connections)
        if counted:
            after = self.server.counters(database)
            sample.commits, sample.syncs = after[0] - before[0], after[1] - before[1]
        return sample

    def start(self, command: Command, directory: pathlib.Path, address: Address, runners: int) -> list[dict]:
        words, environment = command(directory, address)
        work = self.scratch / address.database
        work.mkdir(exist_ok=True)
        results = [work / f"result-{n}.json" for n in range(runners)]
        for result in results:
            result.unlink(missing_ok=True)
        processes = [
            subprocess.Popen([self.programs / "measure", result, str(self.cap), work / "log", *words],
                             cwd=directory, env=clean_environment(environment))
            for result in results]
        try:
            for process in processes:
                process.wait()
        finally:
            for process in processes:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        return [json.loads(result.read_text()) for result in results]

    def summary(self, results: list[dict], connections: list[dict]) -> Sample:
        def total(name: str) -> int:
            return sum(one[name] for one in connections)

        return Sample(
            wall=max(one["wall"] for one in results), cpu=sum(one["cpu"] for one in results),
            memory=max(one["memory_kib"] for one in results) / 1024, codes=[one["code"] for one in results],
            connections=len(connections), startup=total("startup"), turns=total("turns"),
            first_turns=connections[0]["turns"] if connections else 0,
            bytes=total("bytes_out") + total("bytes_in"),
            cap=self.cap if any(one["stopped"] for one in results) else None)

    def log(self, database: str) -> str:
        """Of what a tool printed, the first line that names an error, or the last one."""
        path = self.scratch / database / "log"
        lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if re.search("error|exception|fail", line, re.I)]
        return (errors[:1] or lines[-1:] or ["it printed nothing"])[0][:200]
