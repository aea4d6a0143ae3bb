# SPDX-License-Identifier: Apache-2.0
"""What scripts/perf gate says, as text, Markdown and JSON (answer.schema.json)."""

import datetime
import math
import re
from dataclasses import dataclass, field

from jobs.common import report
from jobs.common.tables import Table
from jobs.common.terminal import duration
from jobs.perf import statuses
from jobs.perf.decide import (CLEAN, IMPROVED, INCONCLUSIVE, INVALID, REGRESSED, SUSPECTED)
from jobs.perf.gbench_json import printable
from jobs.perf.known import Known

FORMAT = 2
_DATE = "%Y-%m-%dT%H:%M:%SZ"
# A loop that does nothing takes a cycle an iteration; the nominal clock is slower than the real one,
_EMPTY_CYCLES = 0.8
_USUAL_MHZ = 3000
_MOST_NAMED = 5  # benchmarks in the first line
_MOST_OF_A_REASON = 10  # names that are told for one reason
EMPTY = "measures nothing: an iteration takes about one cycle, as an empty loop does"


@dataclass(frozen=True)
class Outcome:
    """A whole run of the gate; results: account.Benchmark -> decide.Result."""
    date: datetime.datetime
    command: str
    seconds: float
    base: str
    head: str
    machine: dict = field(default_factory=dict)
    conditions: str = ""
    results: dict = field(default_factory=dict)
    unmeasured: list = field(default_factory=list)  # account.Unmeasured
    incidents: list = field(default_factory=list)  # texts on what failed besides
    remarks: dict = field(default_factory=dict)  # Benchmark -> text
    contexts: dict = field(default_factory=dict)  # suite -> Google Benchmark's context
    known: Known = field(default_factory=Known)
    budget: float = 0.0
    settling_budget: object = None
    words: dict = field(default_factory=dict)  # "suite, arm" -> the last that a process printed
    listed: list = field(default_factory=list)  # what all arms measure, with a result or without
    interrupted: object = None
    same_files: bool = False

    def excused(self, benchmark):
        return self.known.entry(str(benchmark))

    def count(self, *verdicts):
        return sum(result.verdict in verdicts for result in self.results.values())

    def is_empty(self, benchmark, nanoseconds):
        """Whether a loop of this time does nothing."""
        mhz = self.contexts.get(benchmark.suite, {}).get("mhz_per_cpu")
        if isinstance(mhz, bool) or not isinstance(mhz, (int, float)) or not 500 < mhz < 10_000:
            mhz = _USUAL_MHZ
        return nanoseconds * mhz / 1000 <= _EMPTY_CYCLES

    def vanished(self, benchmark, result):
        """Whether the base measures something of which the head does nothing any more."""
        return (result.verdict == IMPROVED and self.is_empty(benchmark, result.head_ns)
                and result.base_ns > 3 * result.head_ns)

    @property
    def no_time(self):
        """Benchmarks for which there was no time at all."""
        return [name for name in self.listed if name not in self.results]

    @property
    def blocking(self):
        """The benchmarks whose lack of a time is no pass."""
        return [one.benchmark for one in self.unmeasured
                if one.blocks and not self.excused(one.benchmark)]

    @property
    def emptied(self):
        """The benchmarks of which the head measures nothing any more."""
        return [name for name, result in self.results.items()
                if self.vanished(name, result) and not self.excused(name)]

    def _open(self, *verdicts):
        return [name for name, result in self.results.items()
                if result.verdict in verdicts and not self.excused(name)]

    @property
    def verdict(self):
        if self.same_files:
            return "clean"
        if self.count(REGRESSED):
            return "regressed"
        late = any(one.late for one in self.unmeasured)
        if self.blocking or self.emptied or self.incidents or (
                not self.results and not self.no_time and not late):
            return "unmeasured"
        if self.count(SUSPECTED):
            return "suspected"
        if self._open(INCONCLUSIVE, INVALID) or self.no_time or late or self.interrupted:
            return "inconclusive"
        return "clean"

    @property
    def exit_status(self):
        if self.interrupted:
            return self.interrupted.exit_status
        return statuses.STATUS_OF[self.verdict]

    def ordered(self, *verdicts):
        """Of these verdicts, most important first: the most slowed down."""
        return sorted((name for name in self.results if self.results[name].verdict in verdicts),
                      key=lambda name: -self.results[name].head.ratio)

    def name(self, benchmark):
        """The name as the reader sees it; with its program's where there are several."""
        suites = {name.suite for name in (*self.results, *self.listed)}
        suites |= {one.benchmark.suite for one in self.unmeasured}
        return (f"{printable(benchmark.suite)}: {benchmark}" if len(suites) > 1
                else str(benchmark))


# JSON.


def _finite(value):
    return value if 0 < value < math.inf else None


def _interval(interval):
    return {"ratio": interval.ratio, "low": _finite(interval.low), "high": _finite(interval.high)}


def _fields(result):
    return {"verdict": result.verdict, **_interval(result.head), "same": _interval(result.same),
            "margin": _finite(result.margin), "p": result.p, "pairs": result.pairs,
            "base_ns": result.base_ns, "head_ns": result.head_ns, "note": result.note,
            "out_of_time": result.out_of_time,
            "confirmation": _fields(result.confirmation) if result.confirmation else None}


def _entry(entry):
    return {"benchmark": entry.benchmark, "reason": entry.reason,
            "until": entry.until.isoformat()}


def excuse(outcome, benchmark):
    entry = outcome.excused(benchmark)
    return _entry(entry) if entry else None


def document(outcome):
    benchmarks = [
        {"name": str(name), "suite": printable(name.suite), **_fields(result),
         "remark": outcome.remarks.get(name, ""),
         "measures_nothing": [side for side, value in (
             ("base", result.base_ns), ("head", result.head_ns))
             if outcome.is_empty(name, value)],
         "known": excuse(outcome, name)} for name, result in outcome.results.items()]
    unmeasured = [
        {"name": str(one.benchmark), "suite": printable(one.benchmark.suite),
         "reasons": {arm: printable(reason) for arm, reason in one.reasons.items()},
         "blocks": one.blocks, "late": one.late, "known": excuse(outcome, one.benchmark)}
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


def error_document(lane, command, date, text):
    """What --json gets where nothing can be said."""
    return {"format": FORMAT, "lane": lane, "date": date.strftime(_DATE),
            "command": printable(command), "verdict": "error", "exit_status": statuses.HARNESS_ERROR, "error": printable(text),
            "action": f"Look at this: it could not be measured. {printable(text)}"}


# Text.


def code(text):
    """A code span of Markdown, whatever the text holds."""
    text = printable(text)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def block(lines):
    """A fenced block of Markdown."""
    text = "\n".join(lines)
    fence = "`" * max(3, max(map(len, re.findall("`+", text)), default=0) + 1)
    return [fence, *lines, fence]


def plain(markdown):
    """The line without its emphasis and code spans' fences, for a terminal and for JSON."""
    return markdown.replace("**", "").replace("`", "")


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


def _some(texts):
    """The first few of several texts."""
    shown = ", ".join(texts[:_MOST_NAMED])
    return shown + (f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else "")


def _slow(outcome, names):
    return _some([f"{code(outcome.name(name))} {percent(outcome.results[name].head.ratio)}"
                  for name in names])


def _again(outcome):
    if outcome.settling_budget:
        return f"with `--budget {outcome.settling_budget}`"
    return "on a quieter machine"


def action(outcome):
    """One line of Markdown: what the reader has to do."""
    slow, suspects = outcome.ordered(REGRESSED), outcome.ordered(SUSPECTED)
    blocked = [code(outcome.name(name)) for name in outcome.blocking]
    parts = []
    if slow:
        parts.append(f"slower: {_slow(outcome, slow)}")
    if blocked:
        parts.append(f"not measured: {_some(blocked)}")
    if outcome.emptied:
        parts.append("the head measures nothing any more: "
                     + _some([code(outcome.name(name)) for name in outcome.emptied]))
    if outcome.incidents:
        parts.append(f"failed: {_some([code(text) for text in _counted(outcome.incidents)])}")
    if suspects:
        parts.append(f"seemed slower, not confirmed: {_slow(outcome, suspects)}; measure again "
                     f"{_again(outcome)}")
    verdict = outcome.verdict
    if verdict == "unmeasured" and not parts:
        parts.append("nothing could be measured")
    if parts:
        line = f"**Look at these**: {'; '.join(parts)}."
    elif verdict == "inconclusive":
        open_ = (outcome.count(INCONCLUSIVE, INVALID) + len(outcome.no_time)
                 + sum(one.late for one in outcome.unmeasured))
        line = f"**Measure again** {_again(outcome)}: {open_} could not be told."
    else:
        line = "**Nothing to do**: nothing is slower."
        if outcome.same_files:
            line = "**Nothing to do**: both are the same files."
    if outcome.interrupted:
        line += f" It was stopped by {outcome.interrupted} before its end."
    return line


def _row(outcome, name, result):
    head, same = result.head, result.same
    pairs = str(result.pairs)
    if result.confirmation:
        pairs += f"+{result.confirmation.pairs}"
    verdict = result.verdict.upper() if result.verdict == REGRESSED else result.verdict
    if outcome.excused(name) and result.verdict in (INCONCLUSIVE, INVALID):
        verdict += " (known)"
    return [outcome.name(name), nanoseconds(result.base_ns), nanoseconds(result.head_ns),
            percent(head.ratio), f"{percent(head.low)} to {percent(head.high)}",
            f"{percent(same.low)} to {percent(same.high)}", pairs, verdict]


_ORDER = (REGRESSED, SUSPECTED, INVALID, INCONCLUSIVE, IMPROVED, CLEAN)


def table(outcome):
    """Worst first, the most slowed down before the others."""
    made = Table("", "", ["", "base", "head", "change", "interval", "A/A interval", "pairs",
                          "verdict"], flush_left=(7,))
    made.rows = [_row(outcome, name, outcome.results[name])
                 for verdict in _ORDER for name in outcome.ordered(verdict)]
    return made


def headline(outcome):
    counts = [f"{outcome.count(verdict)} {verdict}" for verdict in _ORDER
              if outcome.count(verdict)]
    left_out = len(outcome.unmeasured) + len(outcome.no_time)
    if not counts:
        counts.append("nothing measured")
    if left_out:
        counts.append(f"{left_out} not measured")
    return (f"{', '.join(counts)}: {outcome.head} against {outcome.base}, "
            f"{len(outcome.results)} benchmarks in {duration(outcome.seconds)}")


def _notes(outcome):
    """(name, text) of what is to be said of single benchmarks."""
    notes = []
    for name, result in outcome.results.items():
        texts = [result.note, outcome.remarks.get(name, "")]
        empty = [side for side, value in (("base", result.base_ns), ("head", result.head_ns))
                 if outcome.is_empty(name, value)]
        if empty:
            texts.append(f"{' and '.join(empty)} {EMPTY}")
        entry = outcome.excused(name)
        if entry and result.verdict in (INCONCLUSIVE, INVALID):
            texts.append(f"known until {entry.until}: {entry.reason}")
        notes += [(outcome.name(name), text) for text in texts if text]
    return notes


def _left_out(outcome):
    """(name, why) of what was not compared, the ones that matter first."""
    made = []
    for one in sorted(outcome.unmeasured, key=lambda one: not one.blocks):
        entry = outcome.excused(one.benchmark)
        made.append((outcome.name(one.benchmark),
                     one.text + (f" (known until {entry.until}: {entry.reason})" if entry else "")))
    made += [(outcome.name(name), "no time was left to measure it") for name in outcome.no_time]
    return _shortened(made)


def _shortened(pairs):
    """(name, why), with many names of one reason told as a number; the JSON has them all."""
    by_reason = {}
    for name, why in pairs:
        by_reason.setdefault(why, []).append(name)
    made = []
    for why, names in by_reason.items():
        made += [(name, why) for name in names[:_MOST_OF_A_REASON]]
        if len(names) > _MOST_OF_A_REASON:
            made.append((f"... and {len(names) - _MOST_OF_A_REASON} more", why))
    return made


def _counted(texts):
    """The texts, each once, with how often it is there."""
    return [text + (f" ({texts.count(text)} times)" if texts.count(text) > 1 else "")
            for text in dict.fromkeys(texts)]


def _about_known(outcome):
    names = [str(name) for name in (*outcome.results, *outcome.no_time,
                                    *(one.benchmark for one in outcome.unmeasured))]
    return ([f"the entry {entry.benchmark!r} of --known is past its day, {entry.until}"
             for entry in outcome.known.expired]
            + [f"the entry {entry.benchmark!r} of --known matches no benchmark"
               for entry in outcome.known.unused(names)])


def _narrow(made):
    """Without head and A/A: names need the room, and the JSON has it all."""
    kept = (0, 1, 3, 4, 6, 7)
    return Table(made.title, made.note, [made.columns[i] for i in kept], (5,),
                 [[row[i] for i in kept] for row in made.rows])


def print_text(outcome, terminal):
    made = _narrow(table(outcome))
    if made.rows:
        for line in report.as_text(made, terminal)[2:]:
            terminal.line(terminal.bad(line) if line.endswith(REGRESSED.upper()) else line)
    for name, text in _notes(outcome):
        terminal.line(terminal.dim(f"{name}: {printable(text)}"))
    for name, text in _left_out(outcome):
        terminal.line(f"not measured: {name}: {printable(text)}")
    for text in (*_counted(outcome.incidents), *_about_known(outcome)):
        terminal.line(printable(text))
    for who, words in outcome.words.items():
        terminal.line(terminal.dim(f"{printable(who)} said at last:"))
        for line in words.splitlines():
            terminal.line(terminal.dim(f"  {printable(line)}"))
    paint = terminal.good if outcome.verdict == "clean" else terminal.bad
    terminal.line(paint(headline(outcome)))
    terminal.line(paint(plain(action(outcome))))


def _spans(made, rows):
    """The table with names in code spans."""
    return Table("", "", made.columns, made.flush_left,
                 [[code(row[0]), *row[1:]] for row in rows])


def markdown(outcome):
    """A summary for a pull request: what to do, then the verdicts; what is clean is folded away."""
    made = table(outcome)
    title = {"regressed": "Slower", "unmeasured": "Performance: not measured",
             "suspected": "Performance: perhaps slower",
             "inconclusive": "Performance: can't tell",
             "clean": "No performance regression"}[outcome.verdict]
    lines = [f"## {title}", "", action(outcome), "", f"{_escaped(headline(outcome))}.", ""]
    rest = _spans(made, [row for row in made.rows if row[-1] != CLEAN])
    clean = _spans(made, [row for row in made.rows if row[-1] == CLEAN])
    if rest.rows:
        lines += report.as_markdown(rest)[2:] + [""]
    lines += [f"- {code(name)}: {_escaped(text)}" for name, text in _notes(outcome)]
    left_out = _left_out(outcome)
    if left_out:
        lines += ["", "Not measured:", ""]
        lines += [f"- {code(name)}: {code(text)}" for name, text in left_out]
    lines += [f"- {code(text)}" for text in (*_counted(outcome.incidents), *_about_known(outcome))]
    for who, words in outcome.words.items():
        lines += ["", f"{code(who)} said at last:", "",
                  *block([printable(line) for line in words.splitlines()])]
    if clean.rows:
        lines += ["", f"<details><summary>{len(clean.rows)} clean</summary>", "",
                  *report.as_markdown(clean)[2:], "", "</details>"]
    cpu = outcome.machine.get("cpu", "unknown CPU")
    lines += ["", f"<sub>{code(outcome.command)}, {outcome.date:%Y-%m-%d %H:%M} UTC, "
              f"{_escaped(cpu)}, {_escaped(outcome.conditions)}. Intervals are of the median ratio "
              "of process pairs; A/A is a second copy of the base.</sub>"]
    return "\n".join(lines) + "\n"


def _escaped(text):
    """A text of which Markdown and HTML leave every letter as it is."""
    return re.sub(r"([\\`*_\[\]<>|&])", r"\\\1", printable(text)).replace("\\<", "&lt;")


def error_markdown(lane, text):
    """What --markdown gets where nothing can be said."""
    lines = printable(text.splitlines()[0] if text.splitlines() else "")
    more = [printable(line) for line in text.splitlines()[1:]]
    made = [f"## Performance: `{lane}` failed", "",
            f"**Look at this**: it could not be measured: {code(lines)}", ""]
    return "\n".join(made + (block(more) if more else [])) + "\n"
