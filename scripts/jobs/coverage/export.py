# SPDX-License-Identifier: Apache-2.0
"""Reads the output of `llvm-cov export`: lines, branches and MC/DC conditions by place in the
source.

Code of a header is compiled into many objects, and a template once for each of its arguments.
llvm-cov's own totals count instantiations, or take the best instantiation. Here a place in the
source counts once, and is covered if any instantiation covers it. A condition that is a constant in
every instantiation is no branch.
"""

import itertools
from dataclasses import dataclass, field

_CODE, _BRANCHES = 0, (4, 6)  # kinds of regions: code, branch, branch within an MC/DC decision


@dataclass
class Branch:
    """A condition at a place, and how often it was true and false."""
    true: int = 0
    false: int = 0
    constant: bool = True  # whether the condition is a constant in all instantiations so far
    executed: bool = False  # whether the code around the condition was, in any instantiation


@dataclass
class File:
    lines: dict = field(default_factory=dict)  # line -> times executed
    branches: dict = field(default_factory=dict)  # (line, column, end line, end column) -> Branch
    independent: dict = field(default_factory=dict)  # place -> whether the condition decides alone

    def leave_out_defaulted(self, text):
        """Leaves out the comparisons that the compiler generates: `= default` has no conditions in
        the source."""
        lines = text.splitlines()
        for places in (self.branches, self.independent):
            for place in [p for p in places
                          if lines[p[2] - 1][:p[3] - 1].endswith("default")]:
                del places[place]

    def leave_out_lines_without_code(self, text):
        """Leaves out lines that are a comment or the preprocessor's. Clang leaves such lines out by
        itself, except in programs that contain an inline function and don't use it. Lines that only
        end a block are left out too, since the statements in the block tell as much."""
        for number, line in enumerate(text.splitlines(), 1):
            if line.lstrip().startswith(("//", "#")) or line.strip() == "}":
                self.lines.pop(number, None)

    def sides(self):
        """Yields (place, "true" or "false", times) for each side of each branch that is no
        constant."""
        for place, branch in sorted(self.branches.items()):
            if not (branch.constant and branch.executed):
                yield place, "true", branch.true
                yield place, "false", branch.false

    def conditions(self):
        """Yields (place, whether the condition decides alone) for each condition of a decision with
        several conditions, without those that are constants."""
        for place, independent in sorted(self.independent.items()):
            branch = self.branches.get(place)
            if not (branch and branch.constant and branch.executed):
                yield place, independent


def _line_counts(segments):
    """Returns line -> times executed, for the lines with code, as llvm-cov counts."""
    counts, active, by_line = {}, None, {}
    for segment in segments:
        by_line.setdefault(segment[0], []).append(segment)
    if not segments:
        return counts
    for line in range(segments[0][0], segments[-1][0] + 1):
        here = by_line.get(line, [])
        starts = [s for s in here if s[3] and s[4] and not s[5]]
        skipped = bool(here) and not here[0][3] and here[0][4]
        mapped = (not skipped and ((active is not None and active[3]) or starts)) or \
            any(s[3] and s[4] for s in here)
        if mapped:
            counts[line] = max([active[2] if active is not None and active[3] else 0]
                               + [s[2] for s in starts])
        if here:
            active = here[-1]
    return counts


def _count_at(regions, place):
    """The number of times that the innermost region around a place was executed."""
    best = None
    for begin_line, begin, end_line, end, count, *_ in regions:
        if (begin_line, begin) <= place < (end_line, end):
            if best is None or (begin_line, begin) >= best[0]:
                best = ((begin_line, begin), count)
    return best[1] if best else 0


def _without_constants(independent, count):
    """Returns a decision's conditions without the constant ones. In `independent` llvm-cov lists a
    constant condition as one that decides nothing alone. Among the branches, whose number is
    `count`, llvm-cov does not list it. If it is unclear which conditions are constant, the result
    is what holds in every case."""
    missing = len(independent) - count
    if missing <= 0:
        return independent
    kept = [[value for i, value in enumerate(independent) if i not in chosen]
            for chosen in itertools.combinations(
                [i for i, value in enumerate(independent) if not value], missing)]
    return [all(values) for values in zip(*kept)]


def _add_function(files, function):
    file = files.get(function["filenames"][0])
    if file is None:
        return
    regions = [r for r in function["regions"] if r[7] == _CODE and r[5] == 0]
    conditions = []
    for branch in function.get("branches", ()):
        if branch[6] != 0 or branch[8] not in _BRANCHES:
            continue
        place, taken, not_taken = tuple(branch[:4]), branch[4], branch[5]
        conditions.append(place)
        seen = file.branches.setdefault(place, Branch())
        seen.true += taken
        seen.false += not_taken
        if _count_at(regions, place[:2]):
            seen.executed = True
            seen.constant = seen.constant and taken == not_taken == 0
    for record in function.get("mcdc_records", ()):
        begin, end = tuple(record[:2]), tuple(record[2:4])
        inside = sorted(place for place in set(conditions)
                        if begin <= place[:2] and place[2:] <= end)
        for place, independent in zip(inside, _without_constants(record[-1], len(inside))):
            file.independent[place] = file.independent.get(place, False) or independent


def read_export(document, names):
    """names: file name in the export -> name to use; other files are left out. Returns
    name -> File."""
    files, by_name = {}, {}
    for data in document["data"]:
        for entry in data["files"]:
            if entry["filename"] in names:
                file = files.setdefault(entry["filename"], File())
                by_name[names[entry["filename"]]] = file
                for line, count in _line_counts(entry["segments"]).items():
                    file.lines[line] = file.lines.get(line, 0) + count
        for function in data["functions"]:
            _add_function(files, function)
    return by_name
