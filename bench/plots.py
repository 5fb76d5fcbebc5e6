"""Horizontal bars as SVG: panels beside and below each other, linear or logarithmic. Light and dark by the reader's
setting, fonts by generic family, no script."""
from __future__ import annotations

import dataclasses
import math
from html import escape

WIDTH, MARGIN, LINE, HEAD, GAP = 900, 16, 20, 44, 24  # pixels
NAMES = 170  # of which this for the names of the tools
VALUES = 86  # and this for the numbers behind the bars
STYLE = """<style>
.page{fill:#ffffff;stroke:#d0d7de}.title,.name,.value{fill:#1f2328}.sub,.tick{fill:#59636e}.grid{stroke:#d0d7de}
.us{fill:#0969da}.floor{fill:#818b98}.peer{fill:#c9a26b}.bold{font-weight:600}
@media(prefers-color-scheme:dark){.page{fill:#0d1117;stroke:#3d444d}.title,.name,.value{fill:#e6edf3}
.sub,.tick{fill:#9198a1}.grid{stroke:#3d444d}.us{fill:#4493f8}.floor{fill:#6e7681}.peer{fill:#9e7b45}}
</style>"""


@dataclasses.dataclass
class Bar:
    """`more`: the value is only a lower bound, as the run was stopped."""
    name: str
    value: float
    text: str
    more: bool = False

    @property
    def kind(self) -> str:
        return "floor" if self.name == "psql" else "us" if self.name.startswith("lockkeeper") else "peer"


@dataclasses.dataclass
class Panel:
    title: str
    bars: list[Bar]
    logarithmic: bool = False

    @property
    def height(self) -> float:
        return HEAD + LINE * len(self.bars) + LINE


class Axis:
    """Where a value is, between 0 and 1, and which values get a line."""

    def __init__(self, panel: Panel):
        values = [bar.value for bar in panel.bars]
        self.logarithmic = panel.logarithmic
        if self.logarithmic:
            # Some room below the least, so that its bar is seen.
            self.low = math.log10(min(values)) - 0.3
            self.high = max(math.log10(max(values)), self.low + 1)
            exponents = range(math.ceil(self.low), math.floor(self.high) + 1)
            self.ticks = [float(10**exponent) for exponent in exponents]
        else:
            self.high = max(values) or 1.0
            step = 10 ** math.floor(math.log10(self.high))
            step = next(one for one in (step / 5, step / 2, step, step * 2) if self.high / one <= 5)
            self.ticks = [step * n for n in range(int(self.high / step) + 1)]

    def at(self, value: float) -> float:
        if self.logarithmic:
            return (math.log10(value) - self.low) / (self.high - self.low)
        return value / self.high


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}"


def draw(panel: Panel, x: float, y: float, width: float) -> list[str]:
    axis = Axis(panel)
    left, room = x + NAMES, width - NAMES - VALUES
    bottom = y + HEAD + LINE * len(panel.bars)
    parts = [f'<text class="title bold" x="{x:.1f}" y="{y + 14:.1f}" font-size="14">{escape(panel.title)}</text>']
    for tick in axis.ticks:
        at = left + axis.at(tick) * room
        parts.append(f'<line class="grid" x1="{at:.1f}" y1="{y + HEAD - 16:.1f}" x2="{at:.1f}" y2="{bottom:.1f}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{bottom + 13:.1f}" font-size="10" text-anchor="middle">'
                     f"{number(tick)}</text>")
    for index, bar in enumerate(panel.bars):
        parts += draw_bar(bar, left, y + HEAD - 12 + LINE * index, axis.at(bar.value) * room)
    return parts


def draw_bar(bar: Bar, left: float, top: float, length: float) -> list[str]:
    weight = " bold" if bar.name == "lockkeeper" else ""
    length = max(length, 1.5)
    parts = [
        f'<text class="name{weight}" x="{left - 8:.1f}" y="{top + 12:.1f}" font-size="12" text-anchor="end">'
        f"{escape(bar.name)}</text>",
        f'<rect class="{bar.kind}" x="{left:.1f}" y="{top + 2:.1f}" width="{length:.1f}" height="{LINE - 6}" rx="2"/>']
    end = left + length
    if bar.more:
        half = (LINE - 6) / 2
        parts.append(f'<path class="{bar.kind}" d="M{end:.1f} {top + 2:.1f}l9 {half:g}l-9 {half:g}z"/>')
        end += 9
    parts.append(f'<text class="value{weight}" x="{end + 6:.1f}" y="{top + 12:.1f}" font-size="12">'
                 f"{escape(bar.text)}</text>")
    return parts


def picture(title: str, subtitle: str, panels: list[Panel], columns: int) -> str:
    rows = [panels[n:n + columns] for n in range(0, len(panels), columns)]
    width = (WIDTH - 2 * MARGIN - GAP * (columns - 1)) / columns
    parts, y = [], MARGIN + 56.0
    for row in rows:
        for index, panel in enumerate(row):
            parts += draw(panel, MARGIN + index * (width + GAP), y, width)
        y += max(panel.height for panel in row) + 12
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" width="{WIDTH}" height="{y:.0f}" '
            f'font-family="sans-serif" role="img" aria-label="{escape(title)}">{STYLE}'
            f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{y - 1:.0f}" rx="6"/>'
            f'<text class="title bold" x="{MARGIN}" y="{MARGIN + 16}" font-size="18">{escape(title)}</text>'
            f'<text class="sub" x="{MARGIN}" y="{MARGIN + 36}" font-size="12">{escape(subtitle)}</text>')
    return head + "\n" + "\n".join(parts) + "\n</svg>\n"


def bars(rows, value, text, more=lambda row: False) -> list[Bar]:
    """Best first; rows without a value are left out."""
    found = [Bar(row.name, value(row), text(value(row)), more(row)) for row in rows if value(row)]
    return sorted(found, key=lambda bar: bar.value)


def duration(value: float) -> str:
    return f"{value:.0f} s" if value >= 100 else f"{value:.3g} s" if value >= 1 else f"{value * 1000:.0f} ms"


def turns_picture(results) -> str | None:
    panels = [Panel(workload["title"], bars(results.rows(key), lambda row: row.typical("turns"), number), True)
              for key, workload in results.workloads.items() if workload["runners"] == 1]
    panels = [panel for panel in panels if panel.bars]
    return picture("Turns", "How often the client waits for an answer of the database. Fewer is better; the scale is "
                   "logarithmic. psql: no history, no lock, no check.", panels, 2) if panels else None


def many_picture(results) -> str | None:
    if "many" not in results.workloads:
        return None
    cap = results.all["cap"]
    shown = bars(results.rows("many"), lambda row: cap if row.stopped else row.time(True), duration,
                 lambda row: row.stopped)
    for bar in shown:
        bar.text = f"over {bar.text}" if bar.more else bar.text
    title = f"Time of {results.workloads['many']['title']}, 20 ms each way"
    return picture(title, "From start to exit. Less is better. psql: one transaction, no history, no lock, "
                   "no check.", [Panel("seconds", shown)], 1) if shown else None


def noop_picture(results) -> str | None:
    if "noop" not in results.workloads:
        return None
    rows = results.rows("noop")
    panels = [Panel("Time at 20 ms each way, s", bars(rows, lambda row: row.time(True), duration), True),
              Panel("Time without delay, s", bars(rows, lambda row: row.time(False), duration), True),
              Panel("CPU, s", bars(rows, lambda row: row.typical("cpu"), duration), True),
              Panel("Memory, MiB", bars(rows, lambda row: row.typical("memory"), number), True)]
    panels = [panel for panel in panels if panel.bars]
    return picture("Nothing to do", "What most deploys ask for. Less is better; the scales are logarithmic. psql asks "
                   "SELECT 1.", panels, 2) if panels else None


def all_pictures(results) -> dict[str, str]:
    found = {"turns": turns_picture(results), "many": many_picture(results), "noop": noop_picture(results)}
    return {name: one for name, one in found.items() if one}
