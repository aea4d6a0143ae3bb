# SPDX-License-Identifier: Apache-2.0
"""Makes the page's section for the history: plots of benchmarks over time, with change points
marked."""

import re
from dataclasses import dataclass, replace

from jobs.page import addresses, bench_results, line_figures
from jobs.page.parts import Missing, Plot, Section, Table, three_digits
from jobs.page.svg import Caption, draw
from jobs.perf import history_files, home, metrics, trend
from jobs.perf.error import PerfError

_MOST_PLOTS = 8  # the most plots that are drawn; histories that changed come first
FEWEST = 4  # points that it takes to find a change
_MOST_ROWS = 12  # a table shows at most this many points: the newest
_RECORD = f"{home.COMMAND} record"


@dataclass(frozen=True)
class Change:
    """A change: from points[index] on, the benchmark takes `percent` % more time or bytes (less if
    negative)."""
    index: int
    percent: float

    @property
    def text(self):
        return f"{self.percent:+.1f} %".replace("-", "−")


@dataclass(frozen=True)
class Line:
    """The history of one benchmark on one kind of machine."""
    fingerprint: str
    suite: str
    name: str
    points: list  # history_files.Point
    changes: object  # list of Change; None: nobody looked for them

    @property
    def identifier(self):
        text = f"history-{self.fingerprint[-6:]}-{self.suite}-{self.name}"
        return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _changes(points, name):
    """The changes that `perf trend` finds; None if Otava, which finds them, is not installed."""
    try:
        found = trend.change_points([point.benchmarks[name].ratio for point in points])
    except PerfError:
        return None
    return [Change(index, 100 * (after / before - 1)) for index, before, after, _ in found]


def read_lines(root):
    """The Lines of all benchmarks on all kinds of machines."""
    lines = []
    for (fingerprint, suite), points in history_files.read_all(root).items():
        ordered = sorted(points, key=lambda point: point.date)
        for name, its in history_files.series(ordered).items():
            lines.append(Line(fingerprint, suite, name, its, _changes(its, name)))
    return lines


def _estimate(measurement):
    return bench_results.Estimate(measurement.ratio, measurement.low, measurement.high,
                                  bench_results.CONFIDENCE, measurement.pairs)


def _surroundings(line):
    """A sentence that says when the machine's surroundings (such as its kernel) changed while the
    series went on; empty if the surroundings never changed."""
    said = [f"{line.points[index].date:%Y-%m-%d}: {', '.join(texts)}"
            for index, texts in history_files.changes_around(line.points).items()]
    if not said:
        return ""
    return ("The series goes on, by the reference kernel, where the machine's surroundings "
            f"changed: {'; '.join(said)}.")


def _is_bytes(line):
    return metrics.UNITS[line.points[0].benchmarks[line.name].metric] == "bytes"


def _value(line, ratio):
    """A figure of the line as a text: bytes, or a multiple of the reference kernel's time."""
    if _is_bytes(line):
        return metrics.shown(ratio, line.points[0].benchmarks[line.name].metric)
    return three_digits(ratio)


def _axis(line):
    """(the axis' label, how many bytes its unit has; 1 for times)."""
    if not _is_bytes(line):
        return "time / reference kernel", 1.0
    most = max(point.benchmarks[line.name].ratio for point in line.points)
    unit, size = next(pair for pair in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10),
                                        ("bytes", 1)) if most >= pair[1])
    return unit, float(size)


def _single(line):
    """The text that stands in place of a plot if there is only one measurement."""
    point = line.points[0]
    found = point.benchmarks[line.name]
    unit = "" if _is_bytes(line) else " times the reference kernel"
    return (f"One measurement, and so no line yet: {_value(line, found.ratio)}{unit} "
            f"({_value(line, found.low)} – {_value(line, found.high)}) on "
            f"{point.date:%Y-%m-%d} at {point.revision}.")


def _plot(line, repository):
    points = [(point.date, _estimate(point.benchmarks[line.name])) for point in line.points]
    svg, png = "", b""
    if len(points) > 1:
        label, size = _axis(line)
        scaled = [(date, replace(found, value=found.value / size, low=found.low / size,
                                 high=found.high / size)) for date, found in points]
        svg, png = draw(line.identifier, lambda: line_figures.history(
            scaled, [(change.index, change.text) for change in line.changes or ()], label,
            sorted(history_files.changes_around(line.points))),
            Caption(line.name, f"{line.suite}, {line.fingerprint}"))
    text = _single(line) if len(points) < 2 else f"{len(points)} measurements. " + (
        "; ".join(f"{change.text} at {line.points[change.index].revision} "
                  f"({line.points[change.index].date:%Y-%m-%d})" for change in line.changes or ())
        or ("Too few to look for changes" if len(points) < FEWEST else
            "No change" if line.changes is not None else "Changes were not looked for")) + "."
    text = " ".join(filter(None, (text, _surroundings(line))))
    rows = [[f"{point.date:%Y-%m-%d %H:%M}", addresses.commit(repository, point.revision),
             _value(line, found.value),
             f"{_value(line, found.low)} – {_value(line, found.high)}",
             three_digits(point.benchmarks[line.name].time_ns) if not _is_bytes(line) else "",
             f"{found.count}"]
            for point, (_, found) in list(zip(line.points, points))[:-_MOST_ROWS - 1:-1]]
    return Plot(line.identifier, line.name, text, svg, png, Table(
        f"{line.name}, newest first",
        ["date, UTC", "revision", "bytes" if _is_bytes(line) else "ratio", "interval", "ns",
         "pairs"], rows, (0, 1)))


def history(lines, root=None, repository=""):
    """The section. root: the folder from which the lines were read, for statements about the whole
    history. repository: the address to which revisions link, if it is known."""
    section = Section("history", "History", "History")
    found = history_files.read_all(root) if root is not None else history_files.History()
    section.sources = [("left out", text) for text in found.problems]
    section.sources += [("ended", text) for text in history_files.ended(found)]
    if not lines:
        section.missing.append(Missing("no history is recorded yet", _RECORD))
        return section
    fingerprints = sorted({line.fingerprint for line in lines})
    section.lead = [
        "Time, divided by that of a frozen reference kernel in the same process pairs, so that a "
        "slower day of the machine does not count; memory and sizes in bytes. Bars are "
        "confidence intervals of 95 %; level "
        "lines are means between change points; a dashed line is a change point, found as "
        f"{home.COMMAND} trend finds it; at a dotted line the kernel or a library changed, and the "
        "series goes on by the reference kernel. Less is better. Machines are never compared with "
        f"each other: {', '.join(fingerprints)}."]
    changed = [line for line in lines if line.changes]
    rows = [[line.name, f"{line.points[change.index].date:%Y-%m-%d}",
             addresses.between(repository, line.points[change.index - 1].revision,
                               line.points[change.index].revision),
             (change.text, "bad" if change.percent > 0 else "good"), line.suite,
             line.fingerprint]
            for line in changed for change in line.changes]
    if rows:
        section.tables.append(Table("Change points", [
            "benchmark", "date", "revisions", "change", "suite", "machine"], rows, (0, 1, 2, 4, 5),
            stacked=True))
    elif any(line.changes is None for line in lines):
        section.lead.append("Change points are not marked: Apache Otava, which finds them, is not "
                            f"installed ({home.advice('otava')}).")
    else:
        searched = sum(len(line.points) >= FEWEST for line in lines)
        section.lead.append(
            f"No change points in {searched} benchmark{'s' if searched != 1 else ''}"
            + (f"; {len(lines) - searched} have too few points to look for them"
               if searched < len(lines) else "") + ".")
    drawn = (changed + [line for line in lines if not line.changes])[:_MOST_PLOTS]
    section.plots = [_plot(line, repository) for line in drawn]
    if len(lines) > len(drawn):
        section.lead.append(f"Drawn: {len(drawn)} of {len(lines)} benchmarks, those that changed "
                            f"first; {home.COMMAND} trend prints all.")
    return section
