"""tidy.py BUILD_DIR JOBS [MODE]: clang-tidy over all of src/, with the rules of .clang-tidy. What it says is in
BUILD_DIR/tidy; the problems are printed. MODE is the static analyzer's: deep (also without MODE; four times as long) or
shallow.

Most of its time goes into headers, so the files of one directory are looked at together, as one that includes them
all. One whose names clash with another's there is looked at by itself. The static analyzer follows paths only in the
file that it is given: it gets each by itself, which is no dearer."""
import collections
import concurrent.futures
import json
import pathlib
import re
import shlex
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parents[2]
build, jobs = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2])
mode = sys.argv[3] if len(sys.argv) > 3 else "deep"
work = build / "tidy"


def arguments(entry):
    """Of the compiler, but for what it compiles and writes."""
    words = shlex.split(entry["command"])
    words = words[next(i for i, word in enumerate(words) if word.startswith("-")):]
    at = words.index("-o")
    return [word for word in words[:at] + words[at + 2:] if word not in ("-c", entry["file"])]


def clashing(unit, flags, files):
    """The first of the files that does not compile behind those before it."""
    found = subprocess.run(["clang++", *flags, "-w", "-fsyntax-only", unit], cwd=build, capture_output=True, text=True)
    if found.returncode == 0:
        return None
    names = re.findall(r"^(?:In file included from )?(/[^:]+[.]cpp):", found.stderr, re.MULTILINE)
    return next((name for name in names if name in files), files[-1])


def together(name, flags, files):
    """One file that includes all that can be; yields it, and those that cannot."""
    unit = work / f"{name}.cpp"
    while len(files) > 1:
        unit.write_text("".join(f'#include "{file}"\n' for file in files))
        single = clashing(unit, flags, files)
        if single is None:
            yield unit, flags
            return
        files = [file for file in files if file != single]
        yield pathlib.Path(single), flags
    yield from ((pathlib.Path(file), flags) for file in files)


def tidy(job):
    unit, checks = job
    analyzer = ["-Xclang", "-analyzer-config", "-Xclang", f"mode={mode}"]
    run = subprocess.run(["clang-tidy", "-p", work, f"--config-file={root}/.clang-tidy", "-quiet",
                          f"--checks={checks}", *(f"--extra-arg={word}" for word in analyzer), unit],
                         cwd=build, capture_output=True, text=True)
    (work / f"{unit.parent.name}.{unit.stem}.{checks[:2]}.log").write_text(run.stdout + run.stderr)
    return run.returncode, run.stdout


def main():
    work.mkdir(exist_ok=True)
    groups = collections.defaultdict(list)
    for entry in json.loads((build / "compile_commands.json").read_text()):
        file = pathlib.Path(entry["file"])
        if root / "src" in file.parents:
            groups[file.parent.name, tuple(arguments(entry))].append(str(file))
    units, singles = [], []
    for number, ((name, flags), files) in enumerate(groups.items()):
        singles += [(pathlib.Path(file), flags) for file in files]
        units += together(f"{number}_{name}", flags, sorted(files))
    (work / "compile_commands.json").write_text(json.dumps(
        [{"directory": str(build), "file": str(unit), "arguments": ["c++", *flags, "-c", str(unit)]}
         for unit, flags in units + singles]))
    jobs_to_do = [(unit, "-bugprone-suspicious-include,-clang-analyzer-*") for unit, _ in units]
    jobs_to_do += [(file, "-*,clang-analyzer-*,-clang-analyzer-optin.performance.Padding") for file, _ in singles]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(tidy, jobs_to_do))
    sys.stdout.write("".join(text for code, text in results if code != 0))
    print(f"clang-tidy: {sum(map(len, groups.values()))} files in {len(units)} units, "
          f"{sum(code != 0 for code, _ in results)} with problems")
    sys.exit(any(code != 0 for code, _ in results) or not units)


main()
