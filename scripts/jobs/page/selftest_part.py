# SPDX-License-Identifier: Apache-2.0
"""Makes the page's section that says how often the gate itself is right, from
results/perf-selftest.json."""

from jobs.page import figures
from jobs.page.bench_results import CONFIDENCE, Estimate
from jobs.page.figures import Row
from jobs.page.parts import Missing, Plot, Section, Table
from jobs.page.svg import Caption, draw

_CONDITIONS = {"plain": "machine as it is", "hog": "another core kept busy"}


def power(document):
    """[(condition, slowdown in percent, memory, Estimate of the share found in percent)]"""
    if not document:
        return []
    return [(row["condition"], row["slowdown"], row["memory"],
             Estimate(_percent(row["found"]), _percent(row["low"]), _percent(row["high"]),
                      CONFIDENCE, 0)) for row in document.figure("power")]


def _percent(share):
    return round(100 * share, 1)


def false_alarms(document):
    """(false alarms, suspected, verdicts) of the replays in which nothing was slower; None if there
    are no such replays. A result of an earlier version does not count what was suspected: None."""
    rows = [row for row in document.figure("false alarms") if not row["slowdown"]]
    if not rows:
        return None
    suspected = [row.get("suspected") for row in rows]
    return (sum(row["false"] for row in rows), None if None in suspected else sum(suspected),
            sum(row["benchmarks"] for row in rows))


def alarms_text(alarms):
    """What false_alarms() found, as words: 0 regressed and 3 suspected in 8,000 verdicts."""
    false, suspected, total = alarms
    more = "" if suspected is None else f" and {suspected:,} suspected"
    return f"{false:,} regressed{more} in {total:,} verdicts"


def selftest(document):
    section = Section("selftest", "How often is the gate right?", "Gate, tested")
    measured = power(document)
    if not measured:
        section.missing.append(Missing("the gate itself was not measured",
                                       "./scripts/perf selftest"))
        return section
    alarms = false_alarms(document)
    section.lead = [
        "The gate on programs that are slower by a known amount, replayed many times, on the "
        "machine as it is and with another core kept busy. Bars are intervals of 95 %, which take "
        "replays for independent; they share recorded rounds, so the true ones are wider. More is "
        "better."]
    if alarms:
        section.lead.append(f"False alarms, where nothing was slower: {alarms_text(alarms)}.")
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
