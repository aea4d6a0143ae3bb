# SPDX-License-Identifier: Apache-2.0
"""Tells which lines of the server functions' Lua are executed.

The tests and targets that run the functions in a simulated server count the lines of the joined
text (core/testing/simulation/lua_engine.cc). Each process of these tests and targets leaves one
file. This module turns the lines of the joined text back into lines of its parts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "FFGRANT_LUA_COUNTS"  # names the directory in which a process leaves its file

Counts = dict[int, int]
_END = re.compile(r"\s*end[),]*\s*")


@dataclass
class Part:
    """One source: its lines that hold code, and how often each was executed, by run."""
    name: str
    runs: list[Counts] = field(default_factory=list)

    @property
    def together(self) -> Counts:
        lines: Counts = {}
        for counts in self.runs:
            for line, count in counts.items():
                lines[line] = lines.get(line, 0) + count
        return lines


def read_counts(directory: Path) -> Counts:
    """The sums of the counts in all files of a directory."""
    lines: Counts = {}
    for path in sorted(directory.iterdir()):
        for text in path.read_text(encoding="ascii").splitlines():
            line, count = map(int, text.split())
            lines[line] = lines.get(line, 0) + count
    return lines


def by_part(texts: Mapping[str, str], runs: Iterable[Counts]) -> list[Part]:
    """Returns the Parts, whose lines count from 1. texts: part -> text, in the order in which the
    parts are joined. A line that only ends a block is no code: Lua has at most a return there,
    which it adds after the returns that the source has."""
    parts, first = [Part(name) for name in texts], 1
    runs = list(runs)
    for part, text in zip(parts, texts.values()):
        lines = text.splitlines()
        size = len(lines)
        part.runs = [{line - first + 1: count for line, count in counts.items()
                      if first <= line < first + size and not _END.fullmatch(lines[line - first])}
                     for counts in runs]
        first += size
    return parts


def read_texts(folder: Path) -> dict[str, str]:
    """The texts of the library's parts that parts.txt lists."""
    names = (folder / "parts.txt").read_text(encoding="utf-8").split()
    return {f"valkey/functions/{name}": (folder / name).read_text(encoding="utf-8")
            for name in names}


def rows(parts: Iterable[Part]) -> list[list[str]]:
    """A table's rows: part, the share of each run, the share of several runs together, the number
    of lines."""
    def cells(name: str, counted: Sequence[Mapping[Any, int]],
              together: Mapping[Any, int]) -> list[str]:
        total = len(together)
        columns = [*counted, together] if len(counted) > 1 else counted
        shares = [sum(count > 0 for count in counts.values()) for counts in columns]
        return [name, *("-" if not total else "100" if share == total
                        else f"{min(99.9, 100 * share / total):.1f}" for share in shares),
                str(total)]

    parts = list(parts)
    table = [cells(part.name, part.runs, part.together) for part in parts]
    everything = [{(part.name, line): count for part in parts
                   for line, count in part.runs[run].items()}
                  for run in range(len(parts[0].runs))]
    union = {(part.name, line): count for part in parts for line, count in part.together.items()}
    return [*table, cells("all", everything, union)]


def uncovered(parts: Iterable[Part], texts: Mapping[str, str]) -> list[str]:
    """Text lines that say which lines no run executes."""
    return [f"{part.name}:{line}: not executed: "
            f"{texts[part.name].splitlines()[line - 1].strip()}"
            for part in parts for line, count in sorted(part.together.items()) if not count]


def without_data(parts: Iterable[Part]) -> list[str]:
    """Text lines that name the parts of which no line was counted. That is no full coverage: the
    programs that count the lines did not run, or did not count."""
    return [f"{part.name}: no program that was run counted its lines"
            for part in parts if not part.together]
