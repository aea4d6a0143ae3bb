# SPDX-License-Identifier: Apache-2.0
"""Says which functions and lines of source execute more or less than before."""

import functools
from pathlib import Path

from jobs.perf import callgrind

_SHOWN = 8  # the most functions that are shown, and the most lines


@functools.cache
def _source(path):
    """The lines of a file; none if the file is not there."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _source_line(root, file, number):
    """The text of a source line; None if the source is not there."""
    lines = _source((root / file) if root else Path(file))
    return lines[number - 1].strip() if 0 < number <= len(lines) else None


def annotate(comparison, roots=(None, None)):
    """Lines of text: which functions and lines of source execute more or less than before.

    roots: the folders from which relative names of sources start. A line is known by its text if
    the source is there, so that a line that only moved does not show. If one side has no sources,
    lines of both sides are known by their numbers: a text and a number would be two lines, and
    neither would be the one that differs. A file is known by the last two parts of its name,
    because the two programs may have been built in different folders.
    """
    functions, lines = {}, {}
    with_texts = all(root is None or root.is_dir() for root in roots)
    iterations = comparison.base.iterations
    for sign, counts, root in ((-1, comparison.base, roots[0]), (1, comparison.head, roots[1])):
        for (file, function, number), cost in callgrind.read_lines(counts.file).items():
            text = _source_line(root, file, number) if with_texts else None
            file = "/".join(Path(file).parts[-2:])
            functions[file, function] = functions.get((file, function), 0) + sign * cost
            if not number:  # the program was built without line numbers
                continue
            key = (file, function, text or f"line {number}")
            lines[key] = lines.get(key, 0) + sign * cost

    def largest(costs):
        ordered = sorted(costs.items(), key=lambda item: -abs(item[1]))
        return [(key, cost / iterations) for key, cost in ordered[:_SHOWN]
                if abs(cost) / iterations >= 0.005]

    unit = "instructions" if comparison.base.fixed else "instructions an iteration"
    out = [f"{comparison.name}: {comparison.base.events['Ir'] / iterations:,.2f} to "
           f"{comparison.head.events['Ir'] / iterations:,.2f} {unit}", "  by function"]
    out += [f"    {cost:+12,.2f}  {function}  ({file})"
            for (file, function), cost in largest(functions)]
    by_line = [f"    {cost:+12,.2f}  {file}: {text}" for (file, _, text), cost in largest(lines)]
    return out + (["  by line", *by_line] if by_line else [])
