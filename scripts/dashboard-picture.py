#!/usr/bin/env python3
"""Draws panels of the Grafana dashboard as an SVG: what their queries return from a Prometheus, with the units, texts
and colours of the dashboard, without Grafana. It knows what these panels use (stat, table, state timeline, lines) and no
more. scripts/dashboard-picture.sh calls it:

    dashboard-picture.py DASHBOARD.json PROMETHEUS_URL BEGIN END >dashboard.svg      (BEGIN, END: Unix seconds)
"""
import json
import sys
import time
import urllib.parse
import urllib.request
from html import escape

WIDTH, GAP, UNIT = 1200, 8, 26  # pixels: of the picture, between panels, of a line of the dashboard's grid
# The panels by title, line by line, with their share of 24 columns and their height.
LAYOUT = [
    [(title, 4, 3) for title in ("Failed", "Running", "Lost", "With pending migrations", "Half done",
                                 "Pushes that fail")],
    [("Databases", 24, 6)],
    [("Result of the last run", 24, 6)],
    [("Statement at work", 8, 7), ("Gave way and tried again", 8, 7), ("Queue behind us", 8, 7)],
]
COLOURS = {"green": "#37872d", "red": "#c4162a", "orange": "#e0752d", "blue": "#3274d9", "text": "#d0d1d8",
           "transparent": "none"}
SERIES = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#b877d9", "#5794f2", "#ffa6b0"]
CAPTION = "The queries of the dashboard on real runs, drawn by scripts/dashboard-picture.sh; Grafana draws them finer."


class Source:
    """A Prometheus, the dashboard's variables replaced: every job, namespace and database."""

    def __init__(self, url, begin, end):
        self.url, self.begin, self.end = url, begin, end

    def ask(self, what, expression, **arguments):
        for name, value in {"job": ".+", "namespace": ".*", "database": ".*", "silence": "60"}.items():
            expression = expression.replace("$" + name, value)
        arguments["query"] = expression
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(arguments)}") as answer:
            return json.load(answer)["data"]["result"]

    def now(self, expression):
        return [(one["metric"], float(one["value"][1])) for one in self.ask("query", expression, time=self.end)]

    def over_time(self, expression):
        found = self.ask("query_range", expression, start=self.begin, end=self.end, step=1)
        return [(one["metric"], [(float(t), float(v)) for t, v in one["values"]]) for one in found]


def legend(target, labels):
    text = target.get("legendFormat", "")
    for name in ("namespace", "database", "version", "stage", "exit_code"):
        text = text.replace("{{" + name + "}}", labels.get(name, ""))
    return text


def shown(value, field):
    """Text and colour of a value, as mappings, unit and thresholds of the field say."""
    key = str(int(value)) if value == int(value) else str(value)
    for mapping in field.get("mappings", []):
        if key in mapping["options"]:
            return mapping["options"][key]["text"], mapping["options"][key]["color"]
    colour = "text"
    for step in field.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    if field.get("unit") == "s":
        if value > 60:
            return f"{value / 60:.1f} min", colour
        return (f"{value:.3g} s" if value >= 1 or value == 0 else f"{value * 1000:.3g} ms"), colour
    return f"{value:.4g}", colour


class Picture:
    def __init__(self):
        self.parts = []

    def rect(self, x, y, w, h, fill, radius=2):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{radius}" '
                          f'fill="{fill}"/>')

    def text(self, x, y, text, size=12, fill="#d0d1d8", anchor="start", weight="normal", room=None):
        if room is not None and len(text) * size * 0.53 > room:
            text = text[: max(1, int(room / (size * 0.53)) - 1)] + "…"
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="{anchor}" '
                          f'font-weight="{weight}">{escape(text)}</text>')

    def line(self, points, stroke, width=1.5):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{width}"/>')

    def svg(self, height):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
                f'height="{height}" font-family="Inter, Helvetica, Arial, sans-serif" role="img" aria-label="The dashboard">'
                f'<rect width="{WIDTH}" height="{height}" fill="#111217"/>' + "\n".join(self.parts) + "</svg>\n")


def draw_stat(picture, source, panel, x, y, w, h):
    defaults = panel["fieldConfig"]["defaults"]
    found = source.now(panel["targets"][0]["expr"])
    text, colour = shown(found[0][1], defaults) if found else (defaults["noValue"], "text")
    picture.rect(x, y, w, h, COLOURS[colour])
    picture.text(x + 8, y + 18, panel["title"], 12, "#ffffff", weight="600", room=w - 16)
    picture.text(x + w / 2, y + h / 2 + 22, text, 30, "#ffffff", "middle", "600")


def draw_table(picture, source, panel, x, y, w, h):
    organize = next(one["options"] for one in panel["transformations"] if one["id"] == "organize")
    rows = {}
    for target in panel["targets"]:
        for labels, value in source.now(target["expr"]):
            row = rows.setdefault(tuple(labels.get(one, "") for one in ("job", "namespace", "database")), {})
            row.update({name: text for name, text in labels.items() if name != "__name__"})
            row["Value #" + target["refId"]] = value
    names = sorted({name for row in rows.values() for name in row if not organize["excludeByName"].get(name)} - {"job"},
                   key=lambda name: organize["indexByName"].get(name, 99))
    fields = {}
    for name in names:
        fields[name] = dict(panel["fieldConfig"]["defaults"])
        for override in panel["fieldConfig"]["overrides"]:
            if override["matcher"]["options"] == organize["renameByName"].get(name, name):
                fields[name].update({one["id"]: one["value"] for one in override["properties"]})
    widths = {name: fields[name].get("custom.width", 80) for name in names}
    wide = [name for name in names if "custom.minWidth" in fields[name]]
    for name in wide:
        widths[name] = (w - 16 - sum(widths[one] for one in names if one not in wide)) / len(wide)
    order = panel["options"]["sortBy"][0]["displayName"]
    by = next(name for name in names if organize["renameByName"].get(name) == order)
    left = x + 8
    for name in names:
        picture.text(left + 4, y + 42, organize["renameByName"].get(name, name), 11, "#8ab8ff", weight="600")
        for index, row in enumerate(sorted(rows.values(), key=lambda row: -row.get(by, -1))):
            at = y + 54 + index * 22
            value = row.get(name)
            if isinstance(value, str) or value is None:
                text, colour = value or fields[name]["noValue"], "text"
            else:
                text, colour = shown(value, fields[name])
            kind = fields[name].get("custom.cellOptions", {}).get("type")
            if kind == "color-background" and value is not None:
                picture.rect(left, at, widths[name] - 6, 19, COLOURS[colour])
            fill = COLOURS[colour] if kind == "color-text" else "#ffffff" if kind == "color-background" else "#d0d1d8"
            picture.text(left + 4, at + 14, text, 12, fill, room=widths[name] - 10)
        left += widths[name]


def time_axis(picture, source, x, y, w):
    step = next(one for one in (10, 15, 30, 60, 300) if (source.end - source.begin) / one <= w / 70 or one == 300)
    tick = source.begin - source.begin % step + step
    while tick < source.end:
        at = x + (tick - source.begin) / (source.end - source.begin) * w
        picture.text(at, y, time.strftime("%H:%M:%S", time.gmtime(tick)), 10, "#9fa1ab", "middle")
        tick += step


def draw_timeline(picture, source, panel, x, y, w, h):
    target = panel["targets"][0]
    series = sorted(((legend(target, labels), values) for labels, values in source.over_time(target["expr"])))
    left, wide = x + 110, w - 120
    for index, (name, values) in enumerate(series):
        line = (h - 52) / len(series)
        top = y + 28 + index * line
        picture.text(left - 8, top + line / 2 + 4, name, 12, anchor="end", room=100)
        stretches = []
        for when, value in values:
            if stretches and stretches[-1][2] == value and when - stretches[-1][1] <= 2:
                stretches[-1][1] = when
            else:
                stretches.append([when, when, value])
        for number, (begin, end, value) in enumerate(stretches):
            if number + 1 < len(stretches):
                end = min(stretches[number + 1][0], end + 5)
            text, colour = shown(value, panel["fieldConfig"]["defaults"])
            at = [left + (one - source.begin) / (source.end - source.begin) * wide for one in (begin, end)]
            picture.rect(at[0], top + 2, max(1.5, at[1] - at[0]), line - 4, COLOURS[colour])
            if at[1] - at[0] > 50:
                picture.text(at[0] + 6, top + line / 2 + 4, text, 11, "#ffffff", room=at[1] - at[0] - 8)
    time_axis(picture, source, left, y + h - 8, wide)


def round_up(value):
    """To a number that a scale may have: 1, 2, 5, 10, 20, 50 ..."""
    return next(n * 10**power for power in range(9) for n in (1, 2, 5) if n * 10**power >= value)


def draw_lines(picture, source, panel, x, y, w, h):
    series, defaults = [], panel["fieldConfig"]["defaults"]
    for target in panel["targets"]:
        series += [(legend(target, labels), values) for labels, values in source.over_time(target["expr"])]
    series = [one for one in series if any(value > 0 for _, value in one[1])]  # a line at 0 only hides the others
    left, top, wide, high = x + 44, y + 32, w - 56, h - 84
    highest = 3 * round_up(max([value for _, values in series for _, value in values], default=0) * 1.05 / 3)
    for part in range(4):
        at = top + high - high * part / 3
        picture.line([(left, at), (left + wide, at)], "#2c2f36", 1)
        picture.text(left - 6, at + 4, shown(highest * part / 3, defaults)[0], 10, "#9fa1ab", "end")
    if not series:
        picture.text(left + wide / 2, top + high / 2, defaults["noValue"], 12, "#9fa1ab", "middle")
    stepped = defaults["custom"]["lineInterpolation"] == "stepAfter"
    for index, (name, values) in enumerate(series):
        points, before = [], None
        for when, value in values:
            at = left + (when - source.begin) / (source.end - source.begin) * wide
            if stepped and before is not None:
                points.append((at, before))
            before = top + high - value / highest * high
            points.append((at, before))
        # Points on one level need no more than their ends.
        kept = [one for number, one in enumerate(points)
                if not 0 < number < len(points) - 1 or not points[number - 1][1] == one[1] == points[number + 1][1]]
        picture.line(kept, SERIES[index % len(SERIES)], 2)
        if index < 4:
            at = x + 12 + index % 2 * (w - 20) / 2, y + h - 24 + index // 2 * 15
            picture.rect(at[0], at[1] - 7, 12, 3, SERIES[index % len(SERIES)], 1)
            picture.text(at[0] + 18, at[1], name, 11, room=(w - 20) / 2 - 22)
    time_axis(picture, source, left, top + high + 15, wide)


DRAW = {"stat": draw_stat, "table": draw_table, "state-timeline": draw_timeline, "timeseries": draw_lines}


def main():
    dashboard, url, begin, end = sys.argv[1:]
    with open(dashboard, encoding="utf-8") as file:
        panels = {panel["title"]: panel for panel in json.load(file)["panels"]}
    source, picture, y = Source(url, float(begin), float(end)), Picture(), GAP
    for line in LAYOUT:
        x, column = GAP, (WIDTH - GAP) / 24
        for title, columns, height in line:
            w, h, panel = columns * column - GAP, height * UNIT, panels[title]
            if panel["type"] != "stat":
                picture.rect(x, y, w, h, "#181b1f")
                picture.text(x + 8, y + 19, title, 13, weight="600")
            DRAW[panel["type"]](picture, source, panel, x, y, w, h)
            x += w + GAP
        y += line[0][2] * UNIT + GAP
    picture.text(GAP, y + 10, CAPTION, 11, "#9fa1ab")
    sys.stdout.write(picture.svg(int(y + 20)))


main()
