"""The tools: how each is had by package name, how its files are laid out, and the command that its documentation gives
for a deploy. What a registry does not hold itself is not taken: `NOT_TAKEN` says what and why."""
from __future__ import annotations

import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

from measure import Address
from workloads import Migration

MIB = 1024 * 1024

# Peers that cannot be had by package name alone.
NOT_TAKEN = {
    "atlas": "its npm package downloads the program from its maker's server when it is installed; its Go module holds "
             "the library, not the command",
    "prisma": "its npm package downloads the schema engine from its maker's server at first use",
}


class Unavailable(Exception):
    """The tool could not be had on this machine; the text says why, in one line."""


def call(*command: object, environment: dict[str, str] | None = None, cwd: pathlib.Path | None = None,
         limit: int = 600) -> str:
    """What COMMAND prints. Raises Unavailable with the line that looks most like a reason."""
    try:
        done = subprocess.run([str(word) for word in command], check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, cwd=cwd, timeout=limit,
                              env=os.environ | (environment or {}), stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is not on this machine") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{pathlib.Path(str(command[0])).name} took more than {limit} s") from None
    if done.returncode != 0:
        raise Unavailable(reason(pathlib.Path(str(command[0])).name, done.stdout))
    return done.stdout


def reason(program: str, output: str) -> str:
    """One line without addresses: they are those of the machine's registries."""
    lines = [line.strip() for line in output.splitlines() if re.search("error|fail|could not|not found", line, re.I)]
    text = re.sub(r"\w+://\S+", "(address)", (lines or ["failed"])[0])
    return f"{program}: {text[:160]}"


def tree_size(path: pathlib.Path, without: tuple[str, ...] = ()) -> int:
    """Bytes of all files below; `without`: directories by name."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    for directory, names, files in os.walk(path):
        names[:] = [name for name in names if name not in without]
        for file in files:
            one = pathlib.Path(directory, file)
            total += 0 if one.is_symlink() else one.stat().st_size
    return total


@functools.cache
def with_libraries(program: pathlib.Path) -> int:
    """Bytes of a program and of the shared libraries that it loads."""
    program = program.resolve()
    found = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout
    libraries = {pathlib.Path(path).resolve() for path in re.findall(r"(/\S+) \(0x", found)}
    return sum(path.stat().st_size for path in libraries | {program})


@functools.cache
def packages_size(*packages: str) -> int:
    """Bytes of installed Debian packages and of all that they depend on."""
    listed = call("apt-cache", "depends", "--recurse", "--installed", "--no-recommends", "--no-suggests",
                  "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", *packages)
    names = sorted({line for line in listed.splitlines() if re.match(r"[a-z0-9]", line)})
    sizes = subprocess.run(["dpkg-query", "-W", "-f", "${Installed-Size}\n", *names], check=False,
                           capture_output=True, text=True).stdout
    return sum(int(size) for size in sizes.split()) * 1024


def program(name: str) -> pathlib.Path:
    found = shutil.which(name)
    if not found:
        raise Unavailable(f"{name} is not on this machine")
    return pathlib.Path(found).resolve()


class Runtime:
    """What a tool needs beside its own files."""

    def __init__(self, name: str, size: int):
        self.name, self.size = name, size


NO_RUNTIME = Runtime("", 0)


@functools.cache
def node_runtime() -> Runtime:
    node = program("node")
    return Runtime(f"Node.js {call(node, '--version').strip().lstrip('v')}", with_libraries(node))


@functools.cache
def java_runtime() -> Runtime:
    home = program("java").parent.parent
    version = re.search(r'"([^"]+)"', call(home / "bin" / "java", "-version"))
    return Runtime(f"Java {version[1] if version else ''}".strip(), tree_size(home, without=("man", "legal")))


@functools.cache
def python_runtime() -> Runtime:
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    size = tree_size(library, without=("test", "tests", "site-packages", "dist-packages", "__pycache__", "idlelib"))
    return Runtime(f"Python {sys.version.split()[0]}", size + with_libraries(pathlib.Path(sys.executable)))


class Tool:
    """A migration tool. `history`: it has one."""
    name = ""
    source = ""  # the kind of registry
    runtime = NO_RUNTIME
    history = True

    def install(self, cache: pathlib.Path) -> None:
        """Makes it ready; downloads only what the cache does not have. Raises Unavailable."""
        raise NotImplementedError

    def version(self) -> str:
        raise NotImplementedError

    def size(self) -> int:
        """Bytes of its own files, shared libraries included."""
        raise NotImplementedError

    def lay_out(self, directory: pathlib.Path, migrations: tuple[Migration, ...]) -> None:
        """Writes the migrations into DIRECTORY, which is empty, as the tool wants them."""
        raise NotImplementedError

    def command(self, directory: pathlib.Path, address: Address) -> tuple[list, dict[str, str]]:
        """The command that applies what is pending, and its environment. It runs in DIRECTORY."""
        raise NotImplementedError

    def no_op(self, directory: pathlib.Path, address: Address) -> tuple[list, dict[str, str]]:
        """The command where nothing is pending: the same, if the tool knows what was applied."""
        return self.command(directory, address)


class Psql(Tool):
    """The floor: all SQL as one transaction, without history, lock or check. With nothing to do it asks `SELECT 1`."""
    name, source, history = "psql", "Debian", False

    def __init__(self, path: str):
        self.path = pathlib.Path(path)

    def install(self, cache):
        if not self.path.exists():
            raise Unavailable("psql is not beside the server")

    def version(self):
        return call(self.path, "--version").split()[2]

    def size(self):
        return with_libraries(self.path)

    def lay_out(self, directory, migrations):
        (directory / "all.sql").write_text("".join(one.sql for one in migrations))
        (directory / "nothing.sql").write_text("SELECT 1;\n")

    def command(self, directory, address):
        return [self.path, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-f", "all.sql",
                address.url("postgresql")], {}

    def no_op(self, directory, address):
        return [self.path, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", "nothing.sql",
                address.url("postgresql")], {}


class Lockkeeper(Tool):
    name, source = "lockkeeper", "this repository"

    def __init__(self, path: pathlib.Path, name: str = "lockkeeper", options: tuple[str, ...] = ()):
        self.path, self.name, self.options = path.resolve(), name, options

    def install(self, cache):
        if self.options and self.options[0] not in call(self.path, "up", "--help"):
            raise Unavailable(f"this build has no option {self.options[0]}")

    def version(self):
        return call(self.path, "--version").split()[1]

    def size(self):
        return with_libraries(self.path)

    def lay_out(self, directory, migrations):
        for one in migrations:
            target = directory / "migrations" / f"{one.number:014d}_{one.name}"
            if one.directory:
                shutil.copytree(one.directory, target)
            else:
                target.mkdir(parents=True)
                (target / "up.sql").write_text(one.sql)

    def command(self, directory, address):
        return [self.path, "up", *self.options], {"DATABASE_URL": address.url("postgresql")}


class NpmTool(Tool):
    """A tool from npm packages, without their install scripts; `packages` by name and version."""
    source = "npm"
    packages: tuple[str, ...] = ()
    entry = ""  # the file that node runs, or the program

    def install(self, cache):
        self.home = cache / self.name
        stamp = self.home / "installed"
        if not stamp.exists() or stamp.read_text() != str(self.packages):
            shutil.rmtree(self.home, ignore_errors=True)
            self.home.mkdir(parents=True)
            call("npm", "install", "--prefix", self.home, "--ignore-scripts", "--no-audit", "--no-fund",
                 *self.packages)
            stamp.write_text(str(self.packages))
        self.path = self.home / "node_modules" / self.entry
        if not self.path.exists():
            raise Unavailable(f"npm: the package has no {self.entry}")
        self.runtime = self.find_runtime()

    def find_runtime(self) -> Runtime:
        return node_runtime()

    def version(self):
        return self.packages[0].rsplit("@", 1)[1]

    def size(self):
        return tree_size(self.home / "node_modules")


class Dbmate(NpmTool):
    name, source, packages = "dbmate", "npm (a static program)", ("dbmate@2.36.0",)

    def install(self, cache):
        self.entry = f"@dbmate/linux-{'arm64' if os.uname().machine == 'aarch64' else 'x64'}/bin/dbmate"
        super().install(cache)

    def find_runtime(self):
        return NO_RUNTIME

    def size(self):
        return with_libraries(self.path)

    def lay_out(self, directory, migrations):
        (directory / "db").mkdir()
        for one in migrations:
            text = f"-- migrate:up\n{one.sql}\n-- migrate:down\n"
            (directory / "db" / f"{one.number:014d}_{one.name}.sql").write_text(text)

    def command(self, directory, address):
        return [self.path, "--no-dump-schema", "--migrations-dir", "db", "migrate"], {"DATABASE_URL": address.url()}


class NodePgMigrate(NpmTool):
    name, packages = "node-pg-migrate", ("node-pg-migrate@9.0.0", "pg@8.23.1")
    entry = "node-pg-migrate/bin/node-pg-migrate.js"

    def lay_out(self, directory, migrations):
        (directory / "migrations").mkdir()
        for one in migrations:
            # Its own names begin with milliseconds since 1970.
            name = f"{1700000000000 + one.number}_{one.name}.sql"
            (directory / "migrations" / name).write_text(f"-- Up Migration\n{one.sql}\n-- Down Migration\n")

    def command(self, directory, address):
        return ["node", self.path, "up", "--no-verbose"], {"DATABASE_URL": address.url()}


class GraphileMigrate(NpmTool):
    name, packages, entry = "graphile-migrate", ("graphile-migrate@1.4.1",), "graphile-migrate/dist/cli.js"

    def lay_out(self, directory, migrations):
        committed = directory / "migrations" / "committed"
        committed.mkdir(parents=True)
        (directory / "migrations" / "current.sql").write_text("")
        (directory / ".gmrc").write_text("{}\n")
        previous = ""
        for one in migrations:
            body = one.sql.strip()
            digest = hashlib.sha1(((previous + "\n" + body).strip() + "\n").encode()).hexdigest()
            text = f"--! Previous: {previous or '-'}\n--! Hash: sha1:{digest}\n\n{body}\n"
            (committed / f"{one.number:06d}-{one.name}.sql").write_text(text)
            previous = f"sha1:{digest}"

    def command(self, directory, address):
        return ["node", self.path, "migrate"], {"DATABASE_URL": address.url()}


class Liquibase(NpmTool):
    name, packages, entry = "liquibase", ("liquibase@4.28.1",), "liquibase/dist/liquibase/liquibase"

    def find_runtime(self):
        return java_runtime()

    def version(self):
        jars = (self.path.parent / "internal" / "lib").glob("liquibase-core*.jar")
        listed = call("unzip", "-p", next(jars), "META-INF/MANIFEST.MF") if shutil.which("unzip") else ""
        found = re.search(r"Bundle-Version: (\S+)", listed)
        return found[1] if found else super().version()

    def lay_out(self, directory, migrations):
        (directory / "changes").mkdir()
        (directory / "changelog.yaml").write_text("databaseChangeLog:\n  - includeAll:\n      path: changes/\n")
        for one in migrations:
            text = f"--liquibase formatted sql\n--changeset bench:{one.number}\n{one.sql}"
            (directory / "changes" / f"{one.number:06d}_{one.name}.sql").write_text(text)

    def command(self, directory, address):
        return [self.path, "--changelog-file=changelog.yaml", f"--url={jdbc(address)}", f"--username={address.user}",
                f"--password={address.password}", "update"], {}


def jdbc(address: Address) -> str:
    return f"jdbc:postgresql://{address.host}:{address.port}/{address.database}?sslmode=disable"


class GoTool(Tool):
    """A tool built from its module, with nothing but the PostgreSQL driver where that can be chosen."""
    source = "Go module"
    module, module_version, command_path, tags = "", "", "", ""

    def install(self, cache):
        binaries = cache / f"{self.name}-{self.module_version}"
        self.path = binaries / pathlib.Path(self.command_path or self.module.removesuffix("/v2")).name
        if not self.path.exists():
            target = "/".join(filter(None, (self.module, self.command_path)))
            call("go", "install", "-trimpath", "-ldflags=-s -w", f"-tags={self.tags}",
                 f"{target}@{self.module_version}", environment={"GOBIN": str(binaries)}, limit=900)

    def version(self):
        return self.module_version.lstrip("v")

    def size(self):
        return with_libraries(self.path)


class GolangMigrate(GoTool):
    name, module, module_version = "golang-migrate", "github.com/golang-migrate/migrate/v4", "v4.20.1"
    command_path, tags = "cmd/migrate", "postgres"

    def lay_out(self, directory, migrations):
        for one in migrations:
            (directory / f"{one.number:06d}_{one.name}.up.sql").write_text(one.sql)

    def command(self, directory, address):
        return [self.path, "-path", ".", "-database", address.url(), "up"], {}


class Goose(GoTool):
    name, module, module_version, command_path = "goose", "github.com/pressly/goose/v3", "v3.29.0", "cmd/goose"
    tags = "no_clickhouse,no_libsql,no_mssql,no_mysql,no_sqlite3,no_vertica,no_ydb,no_duckdb,no_spanner"

    def lay_out(self, directory, migrations):
        for one in migrations:
            (directory / f"{one.number:05d}_{one.name}.sql").write_text(f"-- +goose Up\n{one.sql}")

    def command(self, directory, address):
        return [self.path, "-dir", ".", "postgres", address.url(), "up"], {}


class Tern(GoTool):
    name, module, module_version = "tern", "github.com/jackc/tern/v2", "v2.4.2"

    def lay_out(self, directory, migrations):
        for one in migrations:
            (directory / f"{one.number:03d}_{one.name}.sql").write_text(one.sql)

    def command(self, directory, address):
        return [self.path, "migrate", "--migrations", ".", "--conn-string", address.url()], {}


class Alembic(Tool):
    name, source = "alembic", "PyPI"
    packages = ("alembic==1.20.1", "psycopg2-binary==2.9.13")

    def install(self, cache):
        self.home = cache / self.name
        stamp = self.home / "installed"
        if not stamp.exists() or stamp.read_text() != str(self.packages):
            shutil.rmtree(self.home, ignore_errors=True)
            call(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target",
                 self.home, *self.packages)
            stamp.write_text(str(self.packages))
        self.runtime = python_runtime()

    def version(self):
        return self.packages[0].split("==")[1]

    def size(self):
        return tree_size(self.home)

    def lay_out(self, directory, migrations):
        versions = directory / "alembic" / "versions"
        versions.mkdir(parents=True)
        (directory / "alembic.ini").write_text("[alembic]\nscript_location = alembic\n")
        (directory / "alembic" / "env.py").write_text(
            "import os\nfrom alembic import context\nfrom sqlalchemy import create_engine, pool\n"
            "engine = create_engine(os.environ['DATABASE_URL'], poolclass=pool.NullPool)\n"
            "with engine.connect() as connection:\n    context.configure(connection=connection)\n"
            "    with context.begin_transaction():\n        context.run_migrations()\n")
        previous = None
        for one in migrations:
            revision = f"{one.number:06d}"
            (versions / f"{revision}_{one.name}.py").write_text(
                f"from alembic import op\nrevision = {revision!r}\ndown_revision = {previous!r}\n\n\n"
                f"def upgrade():\n    op.get_bind().exec_driver_sql({one.sql!r})\n")
            previous = revision

    def command(self, directory, address):
        return [sys.executable, "-m", "alembic", "upgrade", "head"], {
            "PYTHONPATH": str(self.home), "DATABASE_URL": address.url("postgresql+psycopg2")}


class Sqitch(Tool):
    name, source = "sqitch", "Debian"

    def install(self, cache):
        self.path = program("sqitch")
        call("perl", "-MDBD::Pg", "-e", "1")
        self.runtime = Runtime("Perl and psql included", 0)

    def version(self):
        return call(self.path, "--version").split()[2].lstrip("v")

    def size(self):
        return packages_size("sqitch", "libdbd-pg-perl", "postgresql-client")

    def lay_out(self, directory, migrations):
        (directory / "deploy").mkdir()
        (directory / "sqitch.conf").write_text("[core]\n\tengine = pg\n")
        plan = ["%syntax-version=1.0.0", "%project=bench", ""]
        for one in migrations:
            plan.append(f"{one.name} 2025-01-01T00:00:00Z Bench <bench@example.com> # one step")
            (directory / "deploy" / f"{one.name}.sql").write_text(f"BEGIN;\n{one.sql}COMMIT;\n")
        (directory / "sqitch.plan").write_text("\n".join(plan) + "\n")

    def command(self, directory, address):
        return [self.path, "deploy", address.url("db:pg")], {
            "SQITCH_FULLNAME": "Bench", "SQITCH_EMAIL": "bench@example.com", "USER": "bench"}


class Flyway(Tool):
    name, source = "flyway", "Maven artifacts"
    release, driver = "12.4.0", "42.7.5"

    def install(self, cache):
        self.home = cache / self.name
        stamp = self.home / "installed"
        project = self.project()
        if not stamp.exists() or stamp.read_text() != project:
            shutil.rmtree(self.home, ignore_errors=True)
            self.home.mkdir(parents=True)
            (self.home / "pom.xml").write_text(project)
            call("mvn", "-B", "-q", "dependency:copy-dependencies", "-DoutputDirectory=lib", cwd=self.home, limit=300)
            stamp.write_text(project)
        self.runtime = java_runtime()

    def project(self) -> str:
        """Command line, core, the PostgreSQL part and the JDBC driver; without what the command line brings for other
        databases and clouds."""
        def one(group: str, artifact: str, version: str, alone: bool = False) -> str:
            rest = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
            return (f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
                    f"<version>{version}</version>{rest if alone else ''}</dependency>")

        def own(*artifacts: str, alone: bool = True) -> str:
            return "".join(one("org.flywaydb", f"flyway-{name}", self.release, alone) for name in artifacts)

        wanted = (own("database-postgresql", alone=False),
                  own("commandline", "verb-migrate", "verb-info", "verb-validate", "verb-schemas", "nc-core",
                      "nc-scanners", "nc-callbacks"),
                  one("tools.jackson.dataformat", "jackson-dataformat-toml", "3.1.1"),
                  one("tools.jackson.dataformat", "jackson-dataformat-xml", "3.1.1"),
                  one("org.fusesource.jansi", "jansi", "2.4.1"),
                  one("org.postgresql", "postgresql", self.driver))
        return ("<project><modelVersion>4.0.0</modelVersion>"
                "<groupId>bench</groupId><artifactId>bench</artifactId><version>1</version><packaging>pom</packaging>"
                f"<dependencies>{''.join(wanted)}</dependencies></project>\n")

    def version(self):
        return self.release

    def size(self):
        return tree_size(self.home / "lib")

    def lay_out(self, directory, migrations):
        (directory / "sql").mkdir()
        for one in migrations:
            (directory / "sql" / f"V{one.number}__{one.name}.sql").write_text(one.sql)

    def command(self, directory, address):
        return ["java", "-cp", f"{self.home}/lib/*", "org.flywaydb.commandline.Main", f"-url={jdbc(address)}",
                f"-user={address.user}", f"-password={address.password}", "-locations=filesystem:sql",
                # The application's tables are there before the first migration.
                "-baselineOnMigrate=true", "-baselineVersion=0", "migrate"], {}


def all_tools(lockkeeper: pathlib.Path, psql: str) -> list[Tool]:
    """In the order in which the tables name them."""
    return [
        Psql(psql), Lockkeeper(lockkeeper),
        Lockkeeper(lockkeeper, "lockkeeper, pipeline off", ("--pipeline", "off")),
        Dbmate(), GolangMigrate(), Goose(), Tern(), Sqitch(), Flyway(), Liquibase(), NodePgMigrate(), GraphileMigrate(),
        Alembic(),
    ]
