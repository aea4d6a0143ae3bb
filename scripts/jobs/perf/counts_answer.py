# SPDX-License-Identifier: Apache-2.0
"""Makes the verdict of scripts/perf counts, and its answer as a table, JSON and Markdown."""

import datetime
from dataclasses import dataclass
from typing import Any

from jobs.common import report
from jobs.common.tables import Table
from jobs.perf import answer, callgrind, statuses
from jobs.perf.gbench_json import printable
from jobs.perf.texts import block, code, plain

GONE = "the head does nothing: an iteration takes what the loop itself takes, or less"
ORDER = ("regressed", "suspected", "inconclusive", "improved", "clean")


@dataclass(frozen=True)
class Comparison:
    """The counts of one benchmark, at the same number of iterations on both sides."""
    name: object  # account.Benchmark
    base: callgrind.Counts
    head: callgrind.Counts
    verdict: str  # one of ORDER
    note: str = ""
    gone: bool = False  # whether the loop of the head does nothing any more

    def change(self, event="Ir"):
        """The relative change: 0.01 is one hundredth more. None if the event was not counted."""
        before, after = (counts.events.get(event) for counts in (self.base, self.head))
        if before is None or after is None:
            return None
        return after / before - 1 if before else (1.0 if after else 0.0)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a whole run of counts."""
    date: datetime.datetime
    command: str
    seconds: float
    base: str
    head: str
    comparisons: tuple = ()
    unmeasured: tuple = ()  # account.Unmeasured
    incidents: tuple = ()
    known: Any = None
    same_files: bool = False

    def excused(self, benchmark):
        return self.known.entry(str(benchmark)) if self.known else None

    @property
    def verdict(self):
        verdicts = {each.verdict for each in self.comparisons
                    if each.verdict in ("regressed", "suspected")
                    or not self.excused(each.name)}
        if self.same_files:
            return "clean"
        if "regressed" in verdicts:
            return "regressed"
        if self.incidents or self.blocking or self.emptied or not (
                self.comparisons or any(one.late for one in self.unmeasured)):
            return "unmeasured"
        if "suspected" in verdicts:
            return "suspected"
        late = any(one.late and not self.excused(one.benchmark) for one in self.unmeasured)
        return "inconclusive" if "inconclusive" in verdicts or late else "clean"

    @property
    def blocking(self):
        return [one for one in self.unmeasured if one.blocks and not self.excused(one.benchmark)]

    @property
    def emptied(self):
        """The comparisons of benchmarks, except the known ones, whose loop does nothing any more in
        the head."""
        return [each for each in self.comparisons if each.gone and not self.excused(each.name)]

    @property
    def exit_status(self):
        return statuses.STATUS_OF[self.verdict]

    def ordered(self):
        return sorted(self.comparisons,
                      key=lambda each: (ORDER.index(each.verdict), -each.change()))


def action(outcome):
    """One line of Markdown that says what the reader has to do."""
    def some(comparisons):
        return ", ".join(f"{code(str(each.name))} {each.change() * 100:+.2f}%"
                         for each in comparisons[:5])

    if outcome.same_files:
        return answer.nothing_compared(outcome)
    slow = [each for each in outcome.ordered() if each.verdict == "regressed"]
    suspects = [each for each in outcome.ordered() if each.verdict == "suspected"]
    parts = []
    if slow:
        parts.append(f"more instructions: {some(slow)}")
    if outcome.blocking:
        parts.append("not counted: " + ", ".join(
            code(str(one.benchmark)) for one in outcome.blocking[:5]))
    if outcome.emptied:
        parts.append("the head does nothing any more: " + ", ".join(
            code(str(each.name)) for each in outcome.emptied[:5]))
    parts += [code(text) for text in outcome.incidents]
    if suspects:
        parts.append(f"seemed more, not confirmed: {some(suspects)}")
    if outcome.verdict == "unmeasured" and not parts:
        parts.append("nothing could be counted")
    if parts:
        return f"**Look at these**: {'; '.join(parts)}."
    if outcome.verdict == "inconclusive":
        return "**Measure again**: not all could be told."
    return "**Nothing to do**: nothing takes more instructions."


def _percent(change):
    return "" if change is None else f"{change * 100:+.2f}%"


def table(comparisons):
    made = Table("Instructions", "", ["", "base", "head", "change", "reads", "writes", "verdict"],
                 flush_left=(6,))
    for each in sorted(comparisons, key=lambda each: (ORDER.index(each.verdict),
                                                      -each.change())):
        base, head = (f"{counts.events['Ir'] / counts.iterations:,.1f}"
                      for counts in (each.base, each.head))
        verdict = each.verdict.upper() if each.verdict == "regressed" else each.verdict
        made.rows.append([str(each.name), base, head] + [
            _percent(each.change(event)) for event in callgrind.EVENTS] + [verdict])
    return made


def document(outcome):
    return {
        "format": answer.FORMAT, "lane": "counts",
        "date": outcome.date.strftime("%Y-%m-%dT%H:%M:%SZ"), "command": outcome.command,
        "seconds": round(outcome.seconds, 1), "base": outcome.base, "head": outcome.head,
        "verdict": outcome.verdict, "exit_status": outcome.exit_status,
        "action": plain(action(outcome)), "error": None,
        "incidents": [printable(text) for text in outcome.incidents],
        "unmeasured": [
            {"name": str(one.benchmark), "suite": printable(one.benchmark.suite),
             "reasons": {arm: printable(reason) for arm, reason in one.reasons.items()},
             "blocks": one.blocks, "late": one.late,
             "known": answer.excuse(outcome, one.benchmark)} for one in outcome.unmeasured],
        "benchmarks": [{
            "name": str(each.name), "suite": printable(each.name.suite), "verdict": each.verdict,
            "note": each.note, "iterations": None if each.base.fixed else each.base.iterations,
            **{event: None if each.change(event) is None else
               {"base": each.base.events[event], "head": each.head.events[event]}
               for event in callgrind.EVENTS}} for each in outcome.comparisons]}


def markdown(outcome, annotations=()):
    made = table(outcome.comparisons)
    made.rows = [[code(row[0]), *row[1:]] for row in made.rows]
    title = "Instructions: nothing compared" if outcome.same_files else "Instructions"
    lines = [f"## {title}", "", action(outcome), ""]
    if made.rows:
        lines += report.as_markdown(made)[2:]
    if outcome.unmeasured:
        lines += ["", "Not counted:", ""]
        lines += [f"- {code(str(one.benchmark))}: {code(one.text)}"
                  for one in sorted(outcome.unmeasured, key=lambda one: not one.blocks)]
    lines += [f"- {code(text)}" for text in outcome.incidents]
    if annotations:
        lines += ["", *block([printable(line) for line in annotations])]
    return "\n".join(lines) + "\n"
