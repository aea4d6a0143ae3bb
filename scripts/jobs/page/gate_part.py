# SPDX-License-Identifier: Apache-2.0
"""Makes the page's sections for the gate's last answers: times, memory and sizes from `perf gate
--json`, instructions from `perf counts --json`."""

import math
import re
from dataclasses import replace

from jobs.page import bench_results, figures
from jobs.page.bench_results import Estimate, ReportError
from jobs.page.figures import Row
from jobs.page.parts import Missing, Plot, Section, Table
from jobs.page.svg import Caption, draw
from jobs.perf import home, metrics

_FOLDER = "results/latest/" if home.IN_TREE else ""
_GATE = f"{home.COMMAND} gate --json {_FOLDER}gate.json"
_COUNTS = f"{home.COMMAND} counts --json {_FOLDER}counts.json"
_FIELDS = {
    "time": {"name", "verdict", "ratio", "low", "high", "margin", "pairs", "base_ns", "head_ns",
             "same"},
    "counts": {"name", "verdict", "Ir", "Dr", "Dw"},
}
# The verdicts, worst first, each with its mark in the plot and the class of its table cell.
VERDICTS = {"regressed": ("behind", "bad"), "suspected": ("behind", "bad"),
             "invalid": ("limit", "bad"),
             "inconclusive": ("undecided", "none"), "improved": ("ahead", "good"),
             "clean": ("unchanged", "")}
_MOST_ROWS = 70
_MOST_NAMED = 3  # the most names or failures that a line tells


def read_answer(lane, *folders):
    """The newest answer of a lane ("time" or "counts") in these folders; None if there is none. An
    error is an answer too; it has no benchmarks."""
    found = [(path, {"benchmarks": [], **document} if document.get("verdict") == "error"
              else document) for folder in folders
             for path, document in bench_results.read_documents(folder)
             if isinstance(document, dict) and document.get("lane") == lane
             and (isinstance(document.get("benchmarks"), list)
                  or document.get("verdict") == "error")]
    newest = max(found, key=lambda one: str(one[1].get("date")), default=None)
    if newest is None:
        return None
    path, document = newest
    for one in document["benchmarks"]:
        lacking = _FIELDS[lane] - set(one)
        if lacking or one["verdict"] not in VERDICTS:
            raise ReportError(f"{path}: {one.get('name')}: lacks {', '.join(sorted(lacking))}"
                              if lacking else f"{path}: verdict {one['verdict']!r} is unknown")
    return document


def _some(texts):
    """The first few of several texts, each once, and how many more there are."""
    texts = list(dict.fromkeys(texts))
    return ", ".join(texts[:_MOST_NAMED]) + (
        f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else "")


def troubles(document):
    """Texts that say why an answer does not judge all benchmarks: an error, what failed, what the
    head no longer measures, what was not measured, an interruption. There are none if `document` is
    None."""
    if not document:
        return []
    if document.get("verdict") == "error":
        return [f"no answer: {(str(document.get('error')).splitlines() or [''])[0]}"]
    found = []
    if document.get("incidents"):
        found.append(f"failed: {_some(document['incidents'])}")
    emptied = [entry["name"] for entry in document["benchmarks"]
               if entry.get("vanished") and not entry.get("known")]
    if emptied:
        found.append(f"the head measures nothing any more: {_some(emptied)}")
    blocking = [one["name"] for one in document.get("unmeasured") or ()
                if one.get("blocks") and not one.get("known")]
    if blocking:
        found.append(f"not measured: {_some(blocking)}")
    if document.get("interrupted"):
        found.append(f"stopped by {document['interrupted']} before its end")
    if document.get("verdict") == "unmeasured" and not found:
        found.append("nothing could be measured")
    return found


def percent(ratio, digits=1):
    """How far a ratio is from 1, as a text. None stands for a bound that is open."""
    if ratio is None:
        return "open"
    digits = 0 if ratio >= 2 else digits  # from +100 % on, tenths do not matter
    text = f"{100 * (ratio - 1):+,.{digits}f}"
    if not round(100 * (ratio - 1), digits):
        return f"{0:.{digits}f} %"
    return f"{text} %".replace("-", "−")


def _estimate(entry):
    low, high = entry["low"], entry["high"]
    return Estimate(100 * (entry["ratio"] - 1),
                    -math.inf if low is None else 100 * (low - 1),
                    math.inf if high is None else 100 * (high - 1),
                    bench_results.CONFIDENCE, entry["pairs"])


def _draw(name, entries, caption):
    rows = [Row(entry["name"], _estimate(entry), VERDICTS[entry["verdict"]][0],
                percent(entry["ratio"])) for entry in entries]
    margins = [100 * ((entry["margin"] or 1.0) - 1) for entry in entries]
    return draw(name, lambda: figures.differences(
        rows, f"change of {_metric(entries[0])}, head / base", margins), caption)


def _row(entry):
    same = entry["same"]
    return [entry["name"], (entry["verdict"], VERDICTS[entry["verdict"]][1]),
            percent(entry["ratio"]), f"{percent(entry['low'])} to {percent(entry['high'])}",
            f"±{100 * ((entry['margin'] or 1) - 1):.1f} %",
            f"{percent(same.get('low'))} to {percent(same.get('high'))}",
            *_values(entry), str(entry["pairs"])]


def _metric(entry):
    """The metric of an entry; answers of an earlier version have only times."""
    return entry.get("metric", metrics.TIME)


def _values(entry):
    """The values of base and head as texts like 28.4 ns, 1.27 us or 13.1 MiB."""
    return [metrics.shown(entry.get(f"{side}_value", entry[f"{side}_ns"]), _metric(entry))
            for side in ("base", "head")]


def counts(entries):
    """The number of entries by verdict, worst first: {"regressed": 1, "clean": 39}."""
    verdicts = [entry["verdict"] for entry in entries]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS if verdict in verdicts}


def _said(entries):
    return ", ".join(f"{count} {verdict}" for verdict, count in counts(entries).items())


def _worst_first(entries, badness):
    order = list(VERDICTS)
    return sorted(entries, key=lambda entry: (order.index(entry["verdict"]), -badness(entry)))


def _plot(suite, part, entries, caption):
    worst = _worst_first(entries, lambda entry: entry["ratio"])
    text = _said(entries)
    if worst[0]["verdict"] == "regressed":
        text += f"; the worst is {worst[0]['name']}, {percent(worst[0]['ratio'])}"
    name = "gate-" + re.sub(r"[^a-z0-9]+", "-", suite.lower()) + (f"-{part + 1}" if part else "")
    metric = _metric(entries[0])
    title = suite + (", continued" if part else "")
    svg, png = _draw(name, worst, replace(caption, title=f"Change of {metric}: {title}"))
    return Plot(name, title, f"{text}.", svg, png, Table("Verdicts, worst first", [
        "benchmark", "verdict", "change", "interval", "margin", "A/A interval", "base", "head",
        "pairs"], [_row(entry) for entry in worst], (0, 1)))


def _why_not(document, text):
    """Why an answer shows nothing: what it says went wrong, or else what it says at all. `text` is
    for no answer."""
    found = troubles(document)
    if document and document.get("action"):
        found = found or [document["action"].rstrip(".")]
    return f"the last answer says: {'; '.join(found)}" if found else text


def _warnings(document):
    """A paragraph that says what went wrong, in a list; the list is empty if all went well."""
    found = troubles(document)
    return [f"Not all of it could be measured: {'; '.join(found)}."] if found else []


def gate(document):
    section = Section("gate", "Slower than before?", "Gate")
    if not document or not document["benchmarks"]:
        section.missing.append(Missing(_why_not(document, "no answer of the gate is recorded"),
                                       _GATE))
        return section
    entries = document["benchmarks"]
    section.lead = [
        f"Head is {document.get('head')}, base is {document.get('base')}: {_said(entries)}.",
        "Both ran in pairs of processes, in random order, with a second copy of the base among "
        "them (A/A). Dots are medians of the pairs' ratios, bars "
        "their confidence intervals. Inside of the grey band, 2 % or three times "
        "today's A/A noise, nothing is called a change. Right is slower; an arrow at the edge "
        "lies farther out than the others, its figure beside it."] + _warnings(document)
    section.legend = [(mark, verdict) for verdict, (mark, _) in VERDICTS.items()
                      if verdict in counts(entries)]
    caption = Caption(
        note=f"{document.get('date')}, {document.get('head')} / {document.get('base')}",
        key=figures.key(section.legend))
    suites = {}
    for entry in entries:
        suite, metric = entry.get("suite") or "benchmarks", _metric(entry)
        suites.setdefault(suite if metric == metrics.TIME else f"{suite}, {metric}",
                          []).append(entry)
    for suite, members in suites.items():
        for start in range(0, len(members), _MOST_ROWS):
            section.plots.append(
                _plot(suite, start // _MOST_ROWS, members[start:start + _MOST_ROWS], caption))
    section.sources = [(what, str(document[what])) for what in
                       ("date", "command", "conditions", "seconds") if what in document]
    section.sources += _left_out(document, "not measured")
    return section


def _left_out(document, what):
    """The benchmarks that an answer names without a figure, as a list of (what, text)."""
    return [(what, f"{one['name']}: " + "; ".join(
        f"{arm}: {reason}" for arm, reason in one["reasons"].items()))
            for one in document.get("unmeasured") or ()]


def ratio_of(event):
    """The ratio head / base of counts. If base is 0 and head is not, the ratio is 2. None if
    nothing was counted."""
    if event is None:
        return None
    return event["head"] / event["base"] if event["base"] else (2.0 if event["head"] else 1.0)


def instructions(document):
    """The section of instruction counts. Counts are exact, so a table is enough."""
    section = Section("counts", "More instructions than before?", "Instructions")
    if not document or not document["benchmarks"]:
        section.missing.append(Missing(_why_not(document, "no instructions were counted"),
                                       _COUNTS))
        return section
    entries = document["benchmarks"]
    section.lead = [
        f"Head is {document.get('head')}, base is {document.get('base')}: {_said(entries)}.",
        "Instructions of the measured loop under callgrind: exact, also on a busy machine, and "
        "blind to what instructions wait for. A change of more than 0.5 % counts as one; reads and "
        "writes of memory stand beside it and are not judged."] + _warnings(document)
    rows = []
    for entry in _worst_first(entries, lambda entry: ratio_of(entry["Ir"])):
        events = [entry[event] for event in ("Ir", "Dr", "Dw")]
        rows.append([entry["name"], (entry["verdict"], VERDICTS[entry["verdict"]][1]),
                     *(percent(ratio_of(event), 2) if event else "" for event in events),
                     f"{events[0]['base']:,.0f}", f"{events[0]['head']:,.0f}"])
    section.tables.append(Table(f"{len(rows)} benchmarks, worst first", [
        "benchmark", "verdict", "instructions", "reads", "writes", "base", "head"], rows, (0, 1),
        "counts", opened="regressed" in counts(entries)))
    section.sources = [(what, str(document[what])) for what in ("date", "command")
                       if what in document]
    section.sources += _left_out(document, "not counted")
    return section
