#!/usr/bin/env python3
"""values_doc.py CHART: the table of values in README.md, values.yaml and values.schema.json know the same keys.

values.yaml is where a value is described: the comment above it that starts with `# --`. With LOCKKEEPER_UPDATE_DOCS=1
the table of README.md is written; else it is compared. Also: every default fits the schema's type, every object of the
schema refuses keys that it does not know, and settings has each option of `lockkeeper up` (docs/configuration.md).
"""
import json
import os
import re
import sys
from pathlib import Path

import yaml

BEGIN, END = "<!-- values: generated from values.yaml -->", "<!-- end of values -->"
chart = Path(sys.argv[1])
problems = []


def read_values(text):
    """Rows (key, default, description), in the order of the file."""
    data = yaml.safe_load(text)
    rows, path, comment = [], [], None
    described_to = None  # below a value that is described as a whole nothing is described
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped:
            comment = None
            continue
        if stripped.startswith("#"):
            if stripped.startswith("# --"):
                comment = stripped[4:].strip()
            elif comment is not None:
                comment += " " + stripped[1:].strip()
            continue
        match = re.match(r"( *)([A-Za-z][A-Za-z0-9]*):", line)
        depth = (len(line) - len(line.lstrip())) // 2
        if described_to is not None and depth > described_to:
            continue
        described_to = None
        if not match:
            problems.append(f"values.yaml:{number}: not understood: {line}")
            continue
        path = path[:depth] + [match.group(2)]
        value = data
        for key in path:
            value = value[key]
        if comment is not None:
            rows.append((".".join(path), value, comment))
            described_to = depth
        elif not isinstance(value, dict) or not value:
            problems.append(f"values.yaml:{number}: {'.'.join(path)} has no description (`# --` in the line above)")
        comment = None
    return rows


def table(rows):
    lines = ["| value | default | meaning |", "|--|--|--|"]
    for key, value, text in rows:
        # What is long stands in values.yaml.
        shown = "see values.yaml" if isinstance(value, dict) and value else f"`{json.dumps(value, ensure_ascii=False)}`"
        lines.append(f"| `{key}` | {shown} | {text.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def schema_keys(schema, path=()):
    """Keys of the schema down to what has no properties of its own."""
    for key, below in schema.get("properties", {}).items():
        here = path + (key,)
        if isinstance(below, dict) and below.get("properties") and here != ("settings",):
            if below.get("additionalProperties") is not False:
                problems.append(f"values.schema.json: {'.'.join(here)} lets unknown keys pass")
            yield from schema_keys(below, here)
        else:
            yield ".".join(here), below


def types(schema, definitions):
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    if "enum" in schema:
        return schema["enum"]
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else kinds


def kind(value):
    names = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object", type(None): "null"}
    return names[type(value)]


rows = read_values((chart / "values.yaml").read_text(encoding="utf-8"))
schema = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
if schema.get("additionalProperties") is not False:
    problems.append("values.schema.json: unknown keys pass")
known = dict(schema_keys(schema))
if "global" not in known:
    problems.append("values.schema.json: no `global`, which Helm gives to every dependency")
known.pop("global", None)
for key, value, _ in rows:
    if key not in known:
        problems.append(f"{key} is in values.yaml and not in values.schema.json")
        continue
    allowed = types(known[key], schema["definitions"])
    if "enum" in known[key] or "$ref" in known[key] and kind(value) not in allowed:
        if value not in allowed:
            problems.append(f"{key}: the default {value!r} is none of {allowed}")
    elif kind(value) not in allowed:
        problems.append(f"{key}: the default {value!r} is no {allowed}")
for key in known.keys() - {row[0] for row in rows}:
    problems.append(f"{key} is in values.schema.json and not in values.yaml")

# settings: the options of `up`, as docs/configuration.md lists them.
options = set()
for line in (chart / "../../../docs/configuration.md").read_text(encoding="utf-8").splitlines():
    match = re.match(r"\| `--[^|]*\| `LOCKKEEPER_([A-Z_]+)` \|.*\| ([^|]*) \|$", line)
    if match and re.search(r"\bup\b|all that connect|all but explain", match.group(2)):
        options.add(match.group(1).lower())
settings = set(schema["properties"]["settings"]["properties"])
if len(options) < 30:
    problems.append("docs/configuration.md: its tables were not understood")
for name in sorted(options ^ settings):
    problems.append(f"settings.{name}: {'not in values.schema.json' if name in options else 'no option of up'}")

readme = chart / "README.md"
text = readme.read_text(encoding="utf-8")
before, begin, rest = text.partition(BEGIN)
old, end, after = rest.partition(END)
new = f"\n\n{table(rows)}\n\n"
if not (begin and end):
    problems.append(f"README.md: no line {BEGIN} or {END}")
elif old != new:
    if os.environ.get("LOCKKEEPER_UPDATE_DOCS") == "1":
        readme.write_text(before + begin + new + end + after, encoding="utf-8")
    else:
        problems.append("README.md: the table of values is not that of values.yaml; LOCKKEEPER_UPDATE_DOCS=1 writes it")

for problem in problems:
    print(problem, file=sys.stderr)
sys.exit(1 if problems else 0)
