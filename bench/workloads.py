"""The workloads: what is applied, to which database, by how many at once. The same SQL for every tool; only the files
around it differ (tools.py)."""
from __future__ import annotations

import dataclasses
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
CALENDLY = ROOT / "migrations" / "20250520000000_calendly_integration"

# The application's tables that the Calendly migration extends, as in the demo.
BASE_TABLES = """
CREATE TABLE "SessionType" ("id" TEXT PRIMARY KEY, "title" TEXT NOT NULL);
CREATE TABLE "Booking" ("id" TEXT PRIMARY KEY, "sessionTypeId" TEXT NOT NULL REFERENCES "SessionType",
  "startTime" TIMESTAMP(3) NOT NULL);
"""


@dataclasses.dataclass(frozen=True)
class Migration:
    """Number, name and SQL; `directory` where this repository has the migration with more than SQL."""
    number: int
    name: str
    sql: str
    directory: pathlib.Path | None = None


@dataclasses.dataclass(frozen=True)
class Workload:
    """`after`: the workload that leaves the database this one finds; without it, a new one with the base tables.
    `runners`: how many processes start at the same moment. `applied`: a query that returns `t` when all is done."""
    key: str
    title: str
    migrations: tuple[Migration, ...]
    applied: str
    after: str | None = None
    runners: int = 1
    delays: tuple[int, ...] = (0, 20)

    @property
    def no_op(self) -> bool:
        return self.after is not None


def calendly() -> tuple[Migration, ...]:
    sql = (CALENDLY / "up.sql").read_text()
    return (Migration(1, "calendly_integration", sql, CALENDLY),)


def generated(count: int) -> tuple[Migration, ...]:
    """One statement each: of five, two create a table, two add a column and one creates an index."""
    found = []
    for index in range(count):
        group = index // 5
        sql = (
            f"CREATE TABLE bench_{group}_a (id bigint PRIMARY KEY, name text NOT NULL);",
            f"CREATE TABLE bench_{group}_b (id bigint PRIMARY KEY, name text NOT NULL);",
            f"ALTER TABLE bench_{group}_a ADD COLUMN note text;",
            f"ALTER TABLE bench_{group}_b ADD COLUMN note text;",
            f"CREATE INDEX bench_{group}_name ON bench_{group}_a (name);",
        )[index % 5]
        found.append(Migration(index + 1, f"step_{index + 1}", sql + "\n"))
    return tuple(found)


def all_workloads(many: int, runners: int) -> list[Workload]:
    """`many`: the size of the large one, a multiple of 5, as is the size of the one for several runners."""
    calendly_done = ("SELECT count(*) = 5 FROM information_schema.columns "
                     "WHERE table_schema = 'public' AND column_name LIKE 'calendly%'")

    def generated_done(count: int) -> str:
        return f"SELECT count(*) = {count // 5} FROM pg_class WHERE relname ~ '^bench_[0-9]+_name$'"

    few = min(many, 20)
    return [
        Workload("calendly", "The Calendly migration", calendly(), calendly_done),
        Workload("noop", "Nothing to do", calendly(), calendly_done, after="calendly"),
        Workload("many", f"{many:,} migrations", generated(many), generated_done(many)),
        Workload("noop-many", f"Nothing to do, after {many:,} migrations", generated(many), generated_done(many),
                 after="many"),
        Workload("runners", f"{runners} runners at once, {few} migrations", generated(few), generated_done(few),
                 runners=runners, delays=(0,)),
    ]
