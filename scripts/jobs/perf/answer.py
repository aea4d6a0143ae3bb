# SPDX-License-Identifier: Apache-2.0
"""Holds what scripts/perf gate found, and makes its JSON (answer.schema.json). answer_text.py makes
its text for a terminal and its Markdown."""

import datetime
import math
from dataclasses import dataclass, field
from typing import Any

from jobs.perf import metrics, statuses
from jobs.perf.decide import IMPROVED, INCONCLUSIVE, INVALID, REGRESSED, SUSPECTED
from jobs.perf.gbench_json import printable
from jobs.perf.known import Known
from jobs.perf.texts import code, percent, plain

FORMAT = 3
_DATE = "%Y-%m-%dT%H:%M:%SZ"
# A loop that does nothing takes one cycle for an iteration. In cycles of the nominal clock, an
# iteration then takes 0.6 to 1 where the processor runs faster than that clock, and two or more
# where the processor runs slower or the other thread of the core is busy. So the time of a side's
# fastest process decides, and not the median. A side that takes less than a twentieth of the other
# side's time counts as empty if it takes at most three cycles.
_EMPTY_CYCLES = 1.2
_NEARLY_EMPTY_CYCLES = 3
_NEARLY_ALL = 20
_USUAL_MHZ = 3000
_MOST_NAMED = 5  # the most names of one kind in the line that says what to do
EMPTY = "measures nothing: an iteration takes a cycle or a few, as an empty loop does"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a whole run of the gate. results: account.Benchmark -> decide.Result."""
    date: datetime.datetime
    command: str
    seconds: float
    base: str
    head: str
    machine: dict = field(default_factory=dict)
    conditions: str = ""
    results: dict = field(default_factory=dict)
    unmeasured: list = field(default_factory=list)  # account.Unmeasured
    incidents: list = field(default_factory=list)  # texts on other things that failed
    remarks: dict = field(default_factory=dict)  # Benchmark -> text
    contexts: dict = field(default_factory=dict)  # suite -> Google Benchmark's context
    known: Known = field(default_factory=Known)
    budget: float = 0.0
    settling_budget: object = None
    words: dict = field(default_factory=dict)  # "suite, arm" -> a process's last output
    listed: list = field(default_factory=list)  # what all arms measure, even without a result
    interrupted: Any = None
    same_files: bool = False
    wanted: tuple = (metrics.TIME,)  # the metrics that were asked for

    def excused(self, benchmark):
        return self.known.entry(str(benchmark))

    def count(self, *verdicts):
        return sum(result.verdict in verdicts for result in self.results.values())

    def is_empty(self, benchmark, nanoseconds, cycles=_EMPTY_CYCLES):
        """Whether a benchmark's loop does nothing, to judge by the time of one iteration."""
        if benchmark.metric != metrics.TIME:
            return False
        mhz = self.contexts.get(benchmark.suite, {}).get("mhz_per_cpu")
        if isinstance(mhz, bool) or not isinstance(mhz, (int, float)) or not 500 < mhz < 10_000:
            mhz = _USUAL_MHZ
        return nanoseconds * mhz / 1000 <= cycles

    def vanished(self, benchmark, result):
        """Whether the base's loop does something and the head's loop does nothing any more. On a
        noisy machine such a benchmark may also be inconclusive or invalid."""
        base, head = self._least(result)
        return (result.verdict in (IMPROVED, INCONCLUSIVE, INVALID)
                and self.empty_sides(benchmark, result) == ["head"] and base > 3 * head)

    @staticmethod
    def _least(result):
        """The times of an iteration in each side's fastest process, base first."""
        return result.base_least or result.base_ns, result.head_least or result.head_ns

    def empty_sides(self, benchmark, result):
        """The sides on which nothing is measured."""
        base, head = self._least(result)
        return [side for side, own, other in (("base", base, head), ("head", head, base))
                if self.is_empty(benchmark, own, _NEARLY_EMPTY_CYCLES
                                 if other > _NEARLY_ALL * own else _EMPTY_CYCLES)]

    @property
    def no_time(self):
        """The benchmarks that have no result, because no time was left to measure them."""
        return [name for name in self.listed if name not in self.results]

    @property
    def blocking(self):
        """The benchmarks that keep the gate from passing because they were not compared."""
        return [one.benchmark for one in self.unmeasured
                if one.blocks and (one.slower or not self.excused(one.benchmark))]

    @property
    def emptied(self):
        """The benchmarks, except the known ones, whose loop does nothing any more in the head."""
        return [name for name, result in self.results.items()
                if self.vanished(name, result) and not self.excused(name)]

    @property
    def missing(self):
        """The metrics that were asked for and about which nothing is known, not even that the time
        did not suffice."""
        told = {name.metric for name in (*self.results, *self.no_time)}
        for one in self.unmeasured:
            # late: only time was lacking. If benchmarks run for a metric, all such metrics are
            # lacking, else only this one.
            if one.late:
                told.update(metrics.OF_BENCHMARKS if one.benchmark.metric in metrics.OF_BENCHMARKS
                            else (one.benchmark.metric,))
        return [metric for metric in self.wanted if metric not in told]

    @property
    def open(self):
        """The benchmarks, except the known ones, that could not be told, but may be if they are
        measured again."""
        names = [name for name, result in self.results.items()
                 if result.verdict in (INCONCLUSIVE, INVALID)]
        names += [*self.no_time, *(one.benchmark for one in self.unmeasured if one.late)]
        return [name for name in names if not self.excused(name)]

    @property
    def verdict(self):
        if self.same_files:
            return "clean"
        if self.count(REGRESSED):
            return "regressed"
        if self.blocking or self.emptied or self.incidents or self.missing:
            return "unmeasured"
        if self.count(SUSPECTED):
            return "suspected"
        if self.open or self.interrupted:
            return "inconclusive"
        return "clean"

    @property
    def exit_status(self):
        if self.interrupted:
            return self.interrupted.exit_status
        return statuses.STATUS_OF[self.verdict]

    @property
    def worse(self):
        """The word for a change for the worse, for the metrics of this run: "slower", "larger" or
        both."""
        return " or ".join(word for word in ("slower", "larger") if any(
            metrics.WORSE[name.metric] == word for name in self.results)) or "slower"

    def ordered(self, *verdicts):
        """The benchmarks with these verdicts, the most slowed down first."""
        return sorted((name for name in self.results if self.results[name].verdict in verdicts),
                      key=lambda name: -self.results[name].head.ratio)

    def name(self, benchmark):
        """The name as the reader sees it; with the program's name if there are several programs, or
        if another program's file has the same name."""
        names = (*self.results, *self.listed, *(one.benchmark for one in self.unmeasured))
        suites = {name.suite for name in names if name.metric in metrics.OF_BENCHMARKS}
        if benchmark.metric in metrics.OF_BENCHMARKS:
            named = len(suites) > 1
        else:
            named = any(name[1:] == benchmark[1:] and name.suite != benchmark.suite
                        for name in names)
        return f"{printable(benchmark.suite)}: {benchmark}" if named else str(benchmark)


# The functions below make the JSON, and its line that says what to do.


def _finite(value):
    return value if 0 < value < math.inf else None


def _interval(interval):
    return {"ratio": interval.ratio, "low": _finite(interval.low), "high": _finite(interval.high)}


def _fields(result, metric):
    is_time = metric == metrics.TIME
    return {"verdict": result.verdict, **_interval(result.head), "same": _interval(result.same),
            "margin": _finite(result.margin), "p": result.p, "pairs": result.pairs,
            "base_ns": result.base_ns if is_time else None,
            "head_ns": result.head_ns if is_time else None,
            "base_value": result.base_ns, "head_value": result.head_ns, "note": result.note,
            "out_of_time": result.out_of_time,
            "confirmation": _fields(result.confirmation, metric) if result.confirmation else None}


def _entry(entry):
    return {"benchmark": entry.benchmark, "reason": entry.reason,
            "until": entry.until.isoformat()}


def excuse(outcome, benchmark):
    entry = outcome.excused(benchmark)
    return _entry(entry) if entry else None


def document(outcome):
    benchmarks = [
        {"name": str(name), "suite": printable(name.suite), "metric": name.metric,
         "unit": metrics.UNITS[name.metric], **_fields(result, name.metric),
         "remark": outcome.remarks.get(name, ""),
         "measures_nothing": outcome.empty_sides(name, result),
         "vanished": outcome.vanished(name, result),
         "known": excuse(outcome, name)} for name, result in outcome.results.items()]
    unmeasured = [
        {"name": str(one.benchmark), "suite": printable(one.benchmark.suite),
         "reasons": {arm: printable(reason) for arm, reason in one.reasons.items()},
         "blocks": one.blocks, "late": one.late,
         "known": None if one.slower else excuse(outcome, one.benchmark)}
        for one in outcome.unmeasured]
    unmeasured += [
        {"name": str(name), "suite": printable(name.suite),
         "reasons": {"base and head": "no time was left to measure it"}, "blocks": False,
         "late": True, "known": excuse(outcome, name)} for name in outcome.no_time]
    names = [str(name) for name in (*outcome.results, *outcome.no_time,
                                    *(one.benchmark for one in outcome.unmeasured))]
    return {
        "format": FORMAT, "lane": "time", "date": outcome.date.strftime(_DATE),
        "command": printable(outcome.command), "seconds": round(outcome.seconds, 1),
        "budget": outcome.budget, "settling_budget": outcome.settling_budget,
        "base": printable(outcome.base), "head": printable(outcome.head),
        "machine": outcome.machine,
        "conditions": outcome.conditions, "verdict": outcome.verdict,
        "exit_status": outcome.exit_status, "action": plain(action(outcome)),
        "interrupted": str(outcome.interrupted) if outcome.interrupted else None, "error": None,
        "benchmarks": benchmarks, "unmeasured": unmeasured,
        "incidents": [printable(text) for text in outcome.incidents],
        "known": {"expired": [_entry(entry) for entry in outcome.known.expired],
                  "unused": [_entry(entry) for entry in outcome.known.unused(names)]},
    }


def error_document(lane, command, date, text, status=statuses.HARNESS_ERROR):
    """The document that --json gets if the command failed or was interrupted, and so nothing can be
    said. status: the exit status of the command."""
    return {"format": FORMAT, "lane": lane, "date": date.strftime(_DATE),
            "command": printable(command), "verdict": "error",
            "exit_status": status, "error": printable(text),
            "action": f"Look at this: it could not be measured. {printable(text)}"}


def _some(texts):
    """The first few of several texts, and how many more there are."""
    shown = ", ".join(texts[:_MOST_NAMED])
    return shown + (f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else "")


def _slow(outcome, names):
    return _some([f"{code(outcome.name(name))} {percent(outcome.results[name].head.ratio)}"
                  for name in names])


def _worse(outcome, names, remark=""):
    """Returns texts such as "slower: ..." and "larger: ...", which name benchmarks after the
    word."""
    kinds = {"slower": [], "larger": []}
    for name in names:
        kinds[metrics.WORSE[name.metric]].append(name)
    return [f"{word}{remark}: {_slow(outcome, its)}" for word, its in kinds.items() if its]


def _again(outcome):
    if outcome.settling_budget:
        return f"with `--budget {outcome.settling_budget}`"
    return "on a quieter machine"


def nothing_compared(outcome):
    """The line for base and head that are the same files, as on main itself."""
    return (f"**Nothing was compared**: base ({code(outcome.base)}) and head "
            f"({code(outcome.head)}) are the same files; `--base` names another revision.")


def action(outcome):
    """One line of Markdown that says what the reader has to do."""
    slow, suspects = outcome.ordered(REGRESSED), outcome.ordered(SUSPECTED)
    blocked = [code(outcome.name(name)) for name in outcome.blocking]
    if outcome.same_files:
        return nothing_compared(outcome)
    parts = _worse(outcome, slow)
    if blocked:
        parts.append(f"not measured: {_some(blocked)}")
    if outcome.emptied:
        parts.append("the head measures nothing any more: "
                     + _some([code(outcome.name(name)) for name in outcome.emptied]))
    if outcome.incidents:
        parts.append(f"failed: {_some([code(text) for text in counted(outcome.incidents)])}")
    if suspects:
        said = " and ".join(f"seemed {text}"
                            for text in _worse(outcome, suspects, ", not confirmed"))
        parts.append(f"{said}; measure again {_again(outcome)}")
    verdict = outcome.verdict
    if outcome.missing and len(outcome.wanted) > 1:
        parts.append(f"{' and '.join(outcome.missing)} could not be measured")
    elif verdict == "unmeasured" and not parts:
        parts.append("nothing could be measured")
    if parts:
        line = f"**Look at these**: {'; '.join(parts)}."
    elif verdict == "inconclusive":
        line = f"**Measure again** {_again(outcome)}: {len(outcome.open)} could not be told."
    else:
        line = f"**Nothing to do**: nothing is {outcome.worse}."
    if outcome.interrupted:
        line += f" It was stopped by {outcome.interrupted} before its end."
    return line


def counted(texts):
    """Each text once, with the number of times that it occurs if that is more than once."""
    return [text + (f" ({texts.count(text)} times)" if texts.count(text) > 1 else "")
            for text in dict.fromkeys(texts)]
