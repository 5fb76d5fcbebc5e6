"""The map that GNU ld writes (-Map): which object files went into the binary, and how many bytes of each were kept.

For sbom.py and sizes.py. Only what is in memory at run time is counted; what --gc-sections removed is not in this part
of the map. Bytes of .bss and .tbss are not in the file and are left out.

Strings and constants that are equal are merged: the map shows all of them as one big section of the first file that has
any, and those of the others in no place at all. The big section is shared out by what each had before.
"""

import os
import re
from typing import NamedTuple

_PLACED = re.compile(r"^ (\S+)?\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S.*)$")
_NAME_ONLY = re.compile(r"^ (\S+)$")
_OUTPUT = re.compile(r"^(\S+)(?:\s+0x[0-9a-f]+\s+0x[0-9a-f]+.*)?$")
_BEFORE = re.compile(r"^\s+0x([0-9a-f]+) \(size before relaxing\)$")
_LINKER_MADE = re.compile(r"^\.(rela?r?\..*|got.*|plt.*|dyn.*|gnu\.hash|hash|eh_frame_hdr)$")
_MEMBER = re.compile(r"^(.*)\(([^()]*)\)$")


class Piece(NamedTuple):
    """An input section that is in the binary."""

    output: str  # ".text"
    section: str  # ".text._ZN3fmt..."
    size: int
    archive: str  # absolute path of the archive, or of the object file when it is not from one; "": the linker made it


class _Section:
    def __init__(self, output, name, address, size, file):
        self.output, self.name, self.address, self.size, self.file = output, name, address, size, file
        self.before = size


def read(path, build_directory):
    """All pieces, in the order of the map. Relative paths in it are relative to the build directory."""
    sections = _read_sections(path)
    if not sections:
        raise SystemExit(f"{path}: not a map of GNU ld")
    _share_out_merged(sections)
    return [Piece(one.output, one.name, one.size, _archive(one, build_directory)) for one in sections if one.size > 0]


def _read_sections(path):
    sections = []
    started = False
    output = pending = ""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            line = line.rstrip("\n")
            if not started:
                started = line.startswith("Linker script and memory map")
            elif line and not line.startswith(" "):
                output, pending = _OUTPUT.sub(r"\1", line), ""
            elif name_only := _NAME_ONLY.match(line):
                pending = name_only.group(1)
            elif before := _BEFORE.match(line):
                sections[-1].before = int(before.group(1), 16)
            elif placed := _PLACED.match(line):
                name = placed.group(1) or pending
                address, size = int(placed.group(2), 16), int(placed.group(3), 16)
                if name and not name.startswith("*") and address > 0:
                    sections.append(_Section(output, name, address, size, placed.group(4)))
                pending = ""
    return [one for one in sections if one.output not in (".bss", ".tbss")]


def _share_out_merged(sections):
    # Merged away: the next section starts before this one could end. The first of a group is bigger than it was before;
    # where it is smaller, that is another thing (.eh_frame without the functions that were dropped).
    groups = {}
    for one, following in zip(sections, sections[1:] + [None]):
        if one.size < one.before and one.output == ".eh_frame":
            continue
        same_output = following is not None and following.output == one.output
        placeless = same_output and following.address < one.address + one.size
        if placeless or one.before < one.size:
            groups.setdefault(one.output, []).append((one, 0 if placeless else one.size))
    for group in groups.values():
        kept = sum(size for _, size in group)
        had = sum(one.before for one, _ in group)
        for one, _ in group:
            one.size = round(one.before * kept / had) if had else 0


def _archive(section, build_directory):
    if _LINKER_MADE.match(section.output):
        return ""  # the map names the first file
    member = _MEMBER.match(section.file)
    return os.path.realpath(os.path.join(build_directory, member.group(1) if member else section.file))
