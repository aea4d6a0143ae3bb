# SPDX-License-Identifier: Apache-2.0
"""Makes the page's first answer: what got slower, by how much, and since when.

The answer comes from the history (change points whose effect is still there), from the gate's last
answer, and from the last count of instructions. If none of these three could tell, the page says
so. The page says that all is well only about what was measured.
"""

import statistics
from dataclasses import dataclass, field

from jobs.page import addresses, gate_part, history_part
from jobs.page.parts import Link, Section, Table
from jobs.perf import home, metrics

_LASTING = 3.0  # percent: the least slowdown that must be left, equal to trend's least magnitude
_MOST_ROWS = 12


@dataclass(frozen=True)
class Row:
    """A slowdown. since: a text or a Link. order: rows with the greatest order come first; the
    order consists of the day, of whether the slowdown is certain, and of its size."""
    benchmark: str
    percent: float
    since: object
    seen_by: str
    order: tuple = field(default=())


def _of_history(lines, repository):
    """The slowdowns that last: the level of the last points is at least _LASTING percent above the
    level before the change."""
    rows = []
    for line in lines:
        values = [point.benchmarks[line.name].ratio for point in line.points]
        bounds = [0, *(change.index for change in line.changes or ()), len(values)]
        now = statistics.fmean(values[bounds[-2]:])
        for number, change in enumerate(line.changes or ()):
            before = statistics.fmean(values[bounds[number]:change.index])
            if change.percent <= 0 or 100 * (now / before - 1) < _LASTING:
                continue
            point, previous = line.points[change.index], line.points[change.index - 1]
            link = addresses.between(repository, previous.revision, point.revision)
            since = Link(f"{point.date:%Y-%m-%d}, {link.text}", link.address)
            rows.append(Row(line.name, change.percent, since, f"the history of {line.suite}",
                            (f"{point.date:%Y-%m-%d}", True, change.percent)))
    return rows


def _of_answer(document, what, ratio_of):
    if not document:
        return []
    day = str(document.get("date", ""))[:10]
    since = f"between {document.get('base')} and {document.get('head')}"
    rows = []
    for entry in document["benchmarks"]:
        if entry["verdict"] in ("regressed", "suspected"):
            sure = entry["verdict"] == "regressed"
            said = what if sure else f"{what}: seemed so, not confirmed"
            percent = 100 * (ratio_of(entry) - 1)
            rows.append(Row(entry["name"], percent, since, f"{said}, {day}",
                            (day, sure, percent)))
    return rows


def _text(percent):
    return f"{percent:+,.1f} %".replace("-", "−")


def _looked_at(gate, counts, lines):
    """Texts that say which measurements the answer is based on."""
    found = []
    if gate and gate["benchmarks"]:
        found.append(f"the gate's answer of {str(gate.get('date'))[:10]} on "
                     f"{len(gate['benchmarks'])} benchmarks")
    if counts and counts["benchmarks"]:
        found.append(f"the instructions of {len(counts['benchmarks'])} benchmarks")
    searched = [line for line in lines
                if line.changes is not None and len(line.points) >= history_part.FEWEST]
    if searched:
        dates = [point.date for line in searched for point in line.points]
        found.append(f"the history of {len(searched)} benchmarks, {min(dates):%Y-%m-%d} to "
                     f"{max(dates):%Y-%m-%d}")
    return found


def _doubts(gate, counts, lines):
    """Texts that say what could not be told, so that nobody takes silence for good news."""
    found = []
    for document, who in ((gate, "the gate"), (counts, "the count of instructions")):
        if not document:
            continue
        unsure = sum(entry["verdict"] in ("inconclusive", "invalid")
                     for entry in document["benchmarks"])
        left_out = len(document.get("unmeasured") or ())
        if unsure:
            found.append(f"{who} could not tell for {unsure}")
        if left_out:
            found.append(f"{who} did not measure {left_out}")
    blind = sum(line.changes is None for line in lines)
    if blind:
        found.append(f"the history of {blind} was not searched ({home.advice('otava')})")
    short = sum(len(line.points) < history_part.FEWEST for line in lines)
    if short:
        found.append(f"{short} have too few points of history yet")
    return found


def slower(gate, counts, lines, repository=""):
    """The Section. Its table is left out if nothing got slower, as far as can be told."""
    names = {entry.get("metric") for entry in (gate or {}).get("benchmarks", ())}
    names |= {point.benchmarks[line.name].metric for line in lines for point in line.points}
    has_bytes = any(metrics.UNITS.get(name) == "bytes" for name in names)
    section = Section("slower", "What got slower or larger?" if has_bytes else "What got slower?",
                      "Slower")
    rows = (_of_history(lines, repository)
            + _of_answer(gate, "the gate", lambda entry: entry["ratio"])
            + _of_answer(counts, "instructions",
                         lambda entry: gate_part.ratio_of(entry["Ir"]) or 1.0))
    rows.sort(key=lambda row: row.order, reverse=True)
    rests_on = _looked_at(gate, counts, lines)
    troubles = [f"{who}: {text}" for document, who in (
        (gate, "the gate"), (counts, "the count of instructions"))
        for text in gate_part.troubles(document)]
    if troubles and not rows:
        section.lead.append(f"That can't be told: {'; '.join(troubles)}.")
        if rests_on:
            section.lead.append(f"What was measured did not get slower: {'; '.join(rests_on)}.")
    elif not rests_on and not rows:
        section.lead.append("Nothing is known yet: neither an answer of the gate nor a history is "
                            "here.")
    elif not rows:
        section.lead.append(f"Nothing, as far as can be told: by {'; '.join(rests_on)}.")
    else:
        section.tables.append(Table(
            "The latest first", ["benchmark", "by", "since", "seen by"],
            [[row.benchmark, (_text(row.percent), "bad"), row.since, row.seen_by]
             for row in rows[:_MOST_ROWS]], (0, 2, 3), stacked=True))
        if len(rows) > _MOST_ROWS:
            section.lead.append(f"{len(rows)} slowdowns, of which the latest {_MOST_ROWS} are "
                                "listed; the sections below have all.")
    doubts = _doubts(gate, counts, lines)
    if rows:
        doubts = [*troubles, *doubts]
    if doubts and (rests_on or rows):
        section.lead.append(f"Not told: {'; '.join(doubts)}.")
    return section
