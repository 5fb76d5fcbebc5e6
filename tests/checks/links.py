"""links.py ROOT: every relative link in a Markdown file leads to a file that is there, and to a heading in it if it
names one. Prints each broken one as file:line: target."""
import os
import re
import sys
from pathlib import Path

SKIPPED = {".git", "build", "dist", ".cache", "node_modules"}
LINK = re.compile(r"!?\[(?:[^\]\\]|\\.)*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\s*\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)")


def lines_outside_code(path):
    """Line numbers and lines, without fenced code and without inline code."""
    fence = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        marker = re.match(r"\s*(```+|~~~+)", line)
        if fence:
            if marker and marker.group(1).startswith(fence):
                fence = None
            continue
        if marker:
            fence = marker.group(1)
            continue
        yield number, line


def anchors(path):
    """The anchors that GitHub makes of a file's headings."""
    found, seen = set(), {}
    for _, line in lines_outside_code(path):
        found.update(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", line))
        heading = re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        if not heading:
            continue
        text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1))
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def main():
    root = Path(sys.argv[1]).resolve()
    broken = files = links = 0
    for directory, directories, names in os.walk(root):
        directories[:] = sorted(d for d in directories if d not in SKIPPED)
        for name in sorted(n for n in names if n.endswith(".md")):
            path = Path(directory) / name
            files += 1
            for number, line in lines_outside_code(path):
                line = re.sub(r"`[^`]*`", "", line)
                for target in LINK.findall(line) + REFERENCE.findall(line):
                    if re.match(r"[a-z][a-z0-9+.-]*:", target):
                        continue
                    links += 1
                    file, _, anchor = target.partition("#")
                    start = root if file.startswith("/") else path.parent
                    goal = (start / file.lstrip("/")).resolve() if file else path
                    ok = goal.exists() and root in [goal, *goal.parents]
                    if ok and anchor and goal.suffix == ".md":
                        ok = anchor.lower() in anchors(goal)
                    if not ok:
                        broken += 1
                        print(f"{path.relative_to(root)}:{number}: {target}")
    print(f"{files} files, {links} links, {broken} broken")
    return 1 if broken or files == 0 else 0


sys.exit(main())
