#!/usr/bin/env python3
"""terminal-svg.py [--blocks 3-6,8] [--columns 118] [--title TEXT] <ANSI >SVG: a picture of a terminal that shows what was
captured. --blocks: of the paragraphs of the input (an empty line ends one) only these, from 1. docs/images/demo.svg:

    python3 tests/support/terminal.py '' scripts/demo.sh build/lockkeeper |
      scripts/terminal-svg.py --blocks 3-6,8-9 --title 'make demo' >docs/images/demo.svg
"""
import argparse
import re
import sys
import unicodedata
from xml.sax.saxutils import escape

CELL, LINE, SIZE, MARGIN, BAR = 7.8, 18, 13, 16, 34
FOREGROUND, BACKGROUND, FRAME = "#e6edf3", "#0d1117", "#30363d"
COLOURS = {31: "#ff7b72", 32: "#3fb950", 33: "#d29922", 36: "#39c5cf"}
SEQUENCE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])")


def characters(line):
    """(character, style) of a line; what was written over is gone. A style is (colour, bold, dim)."""
    cells, at, style, column = [], 0, (None, False, False), 0
    while at < len(line):
        sequence = SEQUENCE.match(line, at)
        if sequence:
            if sequence.group(2) == "K":
                del cells[column:]
            elif sequence.group(2) == "m":
                for code in (int(c or 0) for c in sequence.group(1).split(";")):
                    colour, bold, dim = style if code else (None, False, False)
                    style = (COLOURS.get(code, colour), bold or code == 1, dim or code == 2)
            at = sequence.end()
            continue
        if line[at] == "\r":
            column = 0
        elif unicodedata.category(line[at]) != "Cc":
            cells[column:column + 1] = [(line[at], style)]
            column += 1
        at += 1
    return cells


def pieces(row):
    """(column, text, style) of a row: of one style each, and cut where columns of a table are, so that each begins where
    it should whatever font the reader has."""
    start = 0
    for end in range(1, len(row) + 1):
        if end < len(row) and row[end][1] == row[start][1]:
            continue
        text = "".join(c for c, _ in row[start:end])
        for word in re.finditer(r"\S+(?: \S+)*", text):
            yield start + word.start(), word.group(), row[start][1]
        start = end


def chosen(blocks):
    numbers = set()
    for part in blocks.split(","):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks")
    parser.add_argument("--columns", type=int, default=118)
    parser.add_argument("--title", default="")
    options = parser.parse_args()

    text = sys.stdin.buffer.read().decode("utf-8").replace("\r\n", "\n").strip("\n")
    paragraphs = re.split(r"\n{2,}", text)
    if options.blocks:
        keep = chosen(options.blocks)
        paragraphs = [p for number, p in enumerate(paragraphs, 1) if number in keep]
    rows = []
    for line in "\n\n".join(paragraphs).split("\n"):
        cells = characters(line)
        rows.extend(cells[i:i + options.columns] for i in range(0, max(len(cells), 1), options.columns))

    width = round(2 * MARGIN + options.columns * CELL)
    height = BAR + 2 * MARGIN + len(rows) * LINE
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="{BACKGROUND}" stroke="{FRAME}"/>',
    ]
    for i, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        out.append(f'<circle cx="{MARGIN + 6 + i * 20}" cy="{BAR // 2 + 2}" r="6" fill="{colour}"/>')
    out.append(f'<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" '
               f'font-size="{SIZE}" fill="{FOREGROUND}">')
    if options.title:
        out.append(f'<text x="{width / 2:g}" y="{BAR // 2 + 6}" text-anchor="middle" fill="#8b949e">'
                   f'{escape(options.title)}</text>')
    for number, row in enumerate(rows):
        y = BAR + MARGIN + number * LINE + SIZE
        for column, words, (colour, bold, dim) in pieces(row):
            style = f' fill="{colour}"' if colour else ' fill="#8b949e"' if dim else ""
            style += ' font-weight="bold"' if bold else ""
            out.append(f'<text x="{MARGIN + column * CELL:g}" y="{y}" textLength="{len(words) * CELL:g}"{style}>'
                       f'{escape(words)}</text>')
    out.append("</g></svg>")
    print("\n".join(out))


main()
