# SPDX-License-Identifier: Apache-2.0
"""What scripts/perf gate says, as text, Markdown and JSON.

The JSON of --json:

    {"format": 1, "lane": "time",
     "date": "2026-11-25T02:40:11Z", "command": "./scripts/perf gate ...", "seconds": 212.4,
     "base": "merge base with main", "head": "working tree on 0729f9c13a5b",
     "machine": {...},                       as in the history, jobs.perf.history_files
     "conditions": "load 0.4 on 2 CPUs",
     "verdict": "regressed",                 or inconclusive, clean: what the exit status says
     "benchmarks": [
       {"name": "BM_ParseGrant_Core/canonical", "suite": "grant_json",
        "verdict": "regressed",              or improved, clean, inconclusive, invalid
        "ratio": 1.051, "low": 1.047, "high": 1.055,       head / base
        "same": {"ratio": 1.0, "low": 0.998, "high": 1.002},   A/A: copy of base / base
        "margin": 1.02, "p": 0.0003, "pairs": 20,
        "base_ns": 28.4, "head_ns": 29.8,
        "note": "",
        "confirmation": null}],              the same fields of the fresh pairs, where there are
     "only_in_one": ["BM_New_Core/x"]}       not compared

A bound that too few pairs leave open is null.
"""

import datetime
import math
from dataclasses import dataclass

from jobs.common import report
from jobs.common.tables import Table
from jobs.common.terminal import duration
from jobs.perf import commands
from jobs.perf.decide import CLEAN, IMPROVED, INCONCLUSIVE, INVALID, REGRESSED


@dataclass(frozen=True)
class Outcome:
    """A whole run of the gate; results: benchmark -> jobs.perf.decide.Result."""
    date: datetime.datetime
    command: str
    seconds: float
    base: str
    head: str
    machine: dict
    conditions: str
    results: dict
    suite_of: dict
    only_in_one: list

    def count(self, *verdicts):
        return sum(result.verdict in verdicts for result in self.results.values())

    @property
    def verdict(self):
        if self.count(REGRESSED):
            return REGRESSED
        if self.count(INCONCLUSIVE, INVALID) or not self.results:
            return INCONCLUSIVE
        return CLEAN

    @property
    def exit_status(self):
        return {REGRESSED: commands.REGRESSION, INCONCLUSIVE: commands.INCONCLUSIVE,
                CLEAN: commands.CLEAN}[self.verdict]


def _finite(value):
    return value if 0 < value < math.inf else None


def _interval(interval):
    return {"ratio": interval.ratio, "low": _finite(interval.low), "high": _finite(interval.high)}


def _fields(result):
    return {"verdict": result.verdict, **_interval(result.head), "same": _interval(result.same),
            "margin": _finite(result.margin), "p": result.p, "pairs": result.pairs,
            "base_ns": result.base_ns, "head_ns": result.head_ns, "note": result.note,
            "confirmation": _fields(result.confirmation) if result.confirmation else None}


def document(outcome):
    return {
        "format": 1, "lane": "time", "date": outcome.date.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": outcome.command, "seconds": round(outcome.seconds, 1), "base": outcome.base,
        "head": outcome.head, "machine": outcome.machine, "conditions": outcome.conditions,
        "verdict": outcome.verdict,
        "benchmarks": [{"name": name, "suite": outcome.suite_of[name], **_fields(result)}
                       for name, result in outcome.results.items()],
        "only_in_one": outcome.only_in_one,
    }


def percent(ratio):
    """+5.1 %: how far a ratio is from 1."""
    if not 0 < ratio < math.inf:
        return "?"
    return f"{(ratio - 1) * 100:+.1f}%"


def nanoseconds(value):
    """28.4 ns, 1.27 us."""
    for limit, unit in ((1e3, "ns"), (1e6, "us"), (1e9, "ms"), (math.inf, "s")):
        if value < limit:
            return f"{value / limit * 1e3 if unit != 's' else value / 1e9:.3g} {unit}"
    raise AssertionError("not reached")


def _row(name, result):
    head, same = result.head, result.same
    pairs = str(result.pairs)
    if result.confirmation:
        pairs += f"+{result.confirmation.pairs}"
    verdict = result.verdict.upper() if result.verdict == REGRESSED else result.verdict
    return [name, nanoseconds(result.base_ns), nanoseconds(result.head_ns), percent(head.ratio),
            f"{percent(head.low)} to {percent(head.high)}",
            f"{percent(same.low)} to {percent(same.high)}", pairs, verdict]


_ORDER = (REGRESSED, INVALID, INCONCLUSIVE, IMPROVED, CLEAN)


def table(outcome):
    """Worst first."""
    made = Table("", "", ["", "base", "head", "change", "interval", "A/A interval", "pairs",
                          "verdict"], flush_left=(7,))
    ordered = sorted(outcome.results.items(), key=lambda item: _ORDER.index(item[1].verdict))
    made.rows = [_row(name, result) for name, result in ordered]
    return made


def headline(outcome):
    counts = [f"{outcome.count(verdict)} {verdict}" for verdict in _ORDER
              if outcome.count(verdict)]
    return (f"{', '.join(counts) or 'nothing measured'}: {outcome.head} against {outcome.base}, "
            f"{len(outcome.results)} benchmarks in {duration(outcome.seconds)}")


def _notes(outcome):
    return [f"{name}: {result.note}" for name, result in outcome.results.items() if result.note]


def _narrow(made):
    """Without head and A/A: names need the room, and the JSON has it all."""
    kept = (0, 1, 3, 4, 6, 7)
    return Table(made.title, made.note, [made.columns[i] for i in kept], (5,),
                 [[row[i] for i in kept] for row in made.rows])


def print_text(outcome, terminal):
    made = _narrow(table(outcome))
    for line in report.as_text(made, terminal)[2:]:
        terminal.line(terminal.bad(line) if line.endswith(REGRESSED.upper()) else line)
    for note in _notes(outcome):
        terminal.line(terminal.dim(note))
    if outcome.only_in_one:
        terminal.line(terminal.dim(f"only in one of the two: {', '.join(outcome.only_in_one)}"))
    paint = terminal.good if outcome.verdict == CLEAN else terminal.bad
    terminal.line(paint(headline(outcome)))


def markdown(outcome):
    """A summary for a pull request: the verdict first, what is clean folded away."""
    made = table(outcome)
    clean = Table("", "", made.columns, made.flush_left,
                  [row for row in made.rows if row[-1] == CLEAN])
    rest = Table("", "", made.columns, made.flush_left,
                 [row for row in made.rows if row[-1] != CLEAN])
    title = {REGRESSED: "Slower", INCONCLUSIVE: "Performance: can't tell",
             CLEAN: "No performance regression"}[outcome.verdict]
    lines = [f"## {title}", "", headline(outcome) + ".", ""]
    if rest.rows:
        lines += report.as_markdown(rest)[2:] + [""]
    lines += [f"- {note}" for note in _notes(outcome)]
    if clean.rows:
        lines += ["", f"<details><summary>{len(clean.rows)} clean</summary>", "",
                  *report.as_markdown(clean)[2:], "", "</details>"]
    if outcome.only_in_one:
        lines += ["", f"Only in one of the two: {', '.join(outcome.only_in_one)}."]
    cpu = outcome.machine.get("cpu", "unknown CPU")
    lines += ["", f"<sub>`{outcome.command}`, {outcome.date:%Y-%m-%d %H:%M} UTC, {cpu}, "
              f"{outcome.conditions}. Intervals are of the median ratio of process pairs; A/A is "
              "a second copy of the base.</sub>"]
    return "\n".join(lines) + "\n"
