# SPDX-License-Identifier: Apache-2.0
"""How often the gate itself is right, as the report shows it: from results/perf-selftest.md."""

import re

from jobs.page import figures, markdown
from jobs.page.bench_results import CONFIDENCE, Estimate
from jobs.page.figures import Row
from jobs.page.parts import Missing, Plot, Section, Table
from jobs.page.svg import Caption, draw

_POWER, _FALSE = "Slowdowns that the gate finds", "False alarms"
_CONDITIONS = {"plain": "machine as it is", "hog": "another core kept busy"}


def _cells(document, section, wanted):
    """Rows of a table as name of a column -> cell; none if it lacks a wanted column."""
    table = document.table(section) if document else None
    if table is None or not set(wanted) <= set(table.columns):
        return []
    return [dict(zip(table.columns, map(markdown.plain, row))) for row in table.rows]


def _percent(text):
    """[98.5, 100.0] of "98.5% - 100.0%"."""
    return [float(number) for number in re.findall(r"([\d.]+)\s*%", text)]


def power(document):
    """[(condition, slowdown in percent, memory, Estimate of the share found in percent)]"""
    found = []
    for row in _cells(document, _POWER, ("slower by", "memory", "found", "interval")):
        share, bounds, slower = (_percent(row[what]) for what in ("found", "interval", "slower by"))
        if len(share) == 1 and len(bounds) == 2 and len(slower) == 1:
            found.append((row.get("", ""), slower[0], row["memory"],
                          Estimate(share[0], bounds[0], bounds[1], CONFIDENCE, 0)))
    return found


def false_alarms(document):
    """(false ones, benchmarks) of the replays in which nothing was slower; None if not there."""
    rows = [row for row in _cells(document, _FALSE, ("slower others", "benchmarks", "false"))
            if row["slower others"] == "none"]
    numbers = [(row["false"].replace(",", ""), row["benchmarks"].replace(",", "")) for row in rows]
    if not rows or not all(text.isdigit() for pair in numbers for text in pair):
        return None
    return sum(int(false) for false, _ in numbers), sum(int(total) for _, total in numbers)


def selftest(document):
    section = Section("selftest", "How often is the gate right?", "Gate, tested")
    measured = power(document)
    if not measured:
        section.missing.append(Missing("the gate itself was not measured",
                                       "./scripts/perf selftest"))
        if document:
            section.documents.append(document)
        return section
    alarms = false_alarms(document)
    section.lead = [
        "The gate on programs that are slower by a known amount, replayed many times, on the "
        "machine as it is and with another core kept busy. Bars are intervals of 95 %, which take "
        "replays for independent; they share recorded rounds, so the true ones are wider. More is "
        "better."]
    if alarms:
        section.lead.append(f"False alarms, where nothing was slower: {alarms[0]:,} in "
                            f"{alarms[1]:,} verdicts.")
    rows, data, heading = [], [], None
    for condition, slower, memory, share in measured:
        title = _CONDITIONS.get(condition, condition)
        if title != heading:
            heading = title
            rows.append(Row(title))
        label = f"{slower:g} % slower, {memory}"
        rows.append(Row(label, share, "ours", f"{share.value:g} %"))
        data.append([title, label, f"{share.value:g} %", f"{share.low:g} – {share.high:g} %"])
    svg, png = draw("selftest-power", lambda: figures.found(
        rows, "slowdowns that were found"), Caption("Slowdowns that the gate finds",
                                                    document.date))
    section.plots.append(Plot(
        "selftest-power", "Slowdowns that the gate finds",
        "; ".join(f"{row[1]}, {row[0]}: {row[2]}" for row in data
                  if row[1].startswith("5 %")) + ".", svg, png,
        Table("Slowdowns that the gate finds", ["condition", "slowdown", "found", "interval"], data,
              (0, 1))))
    section.documents.append(document)
    return section
