# SPDX-License-Identifier: Apache-2.0
"""scripts/perf counts: does head execute more instructions than base? Exact, also under load.

Gated are instructions. Where they differ, reads and writes stand beside them: they tell where
instructions went, but two compilations of one source differ in them by more than in time.
"""

import datetime
import functools
import math
import os
import re
import shlex
import time
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.common import report
from jobs.common.children import Children
from jobs.common.tables import Table
from jobs.common.terminal import Terminal, duration
from jobs.perf import (answer, callgrind, choice, gate, process_pairs, samples, scratch, statuses,
                       trial as perf_trial)
from jobs.perf.account import Unmeasured, account
from jobs.perf.error import PerfError
from jobs.perf.gbench_json import printable

THRESHOLD = 0.005
_DETERMINISTIC = 0.001  # two runs of one program that differ by more count by chance
_SHOWN = 8  # functions, and lines, of a differential annotation
_ANNOTATED = 5  # benchmarks
_POLL_SECONDS = 0.05
_THREADS = re.compile(r"/threads:([0-9]+)(?:/|$)")
_TRIAL = samples.Effort(1, 0.0)  # one iteration of each: enough to know whether it works
_STALL = 120.0  # seconds that the trial waits for a benchmark


@dataclass(frozen=True)
class Comparison:
    """Of one benchmark, at the same number of iterations on both sides."""
    name: object  # account.Benchmark
    base: callgrind.Counts
    head: callgrind.Counts
    verdict: str  # regressed, improved, clean, inconclusive
    note: str = ""

    def change(self, event="Ir"):
        """0.01: one hundredth more; None where it was not counted."""
        before, after = (counts.events.get(event) for counts in (self.base, self.head))
        if before is None or after is None:
            return None
        return after / before - 1 if before else (1.0 if after else 0.0)


def verdict_of(base, head):
    change = head / base - 1 if base else 1.0
    if change > THRESHOLD:
        return "regressed"
    return "improved" if change < -THRESHOLD else "clean"


class Runner:
    """Counts benchmarks of several programs, as many at once as there are CPUs."""

    def __init__(self, terminal, directory, limit, budget=float("inf"), jobs=None):
        """limit: seconds for one benchmark of one program; budget: for all together."""
        self._terminal = terminal
        self._directory = directory
        self._limit = limit
        self._end = time.monotonic() + budget
        self._jobs = jobs or len(os.sched_getaffinity(0))
        self._number = 0

    def count(self, tasks, memory=False):
        """tasks: (key, program, gbench_json.Key). Returns key -> Counts, or the PerfError it met;
        those that the budget does not suffice for are left out."""
        waiting, running, done = list(tasks), {}, {}
        start = time.monotonic()
        with Children() as children:
            while waiting or running:
                left = self._end - time.monotonic()
                if left <= 0:
                    break
                while waiting and len(running) < self._jobs:
                    key, program, benchmark = waiting.pop(0)
                    self._number += 1
                    running[key] = callgrind.Counter(
                        children, program, benchmark, self._directory / f"{self._number:06}",
                        min(self._limit, left), memory)
                for key, counter in list(running.items()):
                    try:
                        counts = counter.poll()
                    except PerfError as error:
                        counts = error
                    if counts is not None:
                        done[key] = counts
                        del running[key]
                gone = time.monotonic() - start
                left = gone / len(done) * (len(waiting) + len(running)) if done else None
                self._terminal.progress(
                    f"counting: {len(done)} of {len(tasks)}, {duration(gone)} gone"
                    + (f", about {duration(left)} left" if left is not None else ""))
                time.sleep(_POLL_SECONDS)
        return done


def _common_part(base, head):
    """Both counts at the number of iterations that both have."""
    part = min(base.part, head.part)
    return base.at(part), head.at(part)


def compare(runner, pairs):
    """pairs: Benchmark -> (base Program, head Program). Returns (comparisons, errors: Benchmark ->
    (arm, text), late: list of Benchmark).

    Where the counts differ, both are counted twice more, once with reads and writes of memory: an exact
    count is the same each time. One that hangs on the clock may agree with itself once by chance.
    """
    first = runner.count([((name, side), programs[side], name.key)
                          for name, programs in pairs.items() for side in (0, 1)])
    errors, late, found = {}, [], {}
    for name in pairs:
        sides = [first.get((name, side)) for side in (0, 1)]
        failed = [side for side in (0, 1) if isinstance(sides[side], PerfError)]
        if failed:
            errors[name] = {("base", "head")[side]: str(sides[side]) for side in failed}
        elif None in sides:
            late.append(name)
        elif sides[0].fixed != sides[1].fixed:
            errors[name] = {"base and head": "only one of them has a fixed number of iterations"}
        else:
            found[name] = _common_part(*sides)
    verdicts = {name: (verdict_of(base.events["Ir"], head.events["Ir"]), "")
                for name, (base, head) in found.items()}
    for memory in (True, False):
        suspects = [name for name, (verdict, _) in verdicts.items()
                    if verdict in ("regressed", "improved")]
        if not suspects:
            break
        more = runner.count([((name, side), pairs[name][side], name.key)
                             for name in suspects for side in (0, 1)], memory=memory)
        for name in suspects:
            again = [more.get((name, side)) for side in (0, 1)]
            verdicts[name] = _again(found[name], again, verdicts[name][0])
            if memory and verdicts[name][0] in ("regressed", "improved"):
                part = found[name][0].part
                found[name] = tuple(counts.at(part) for counts in again)
    return ([Comparison(name, *found[name], *verdicts[name]) for name in found], errors, late)


def _again(pair, second, verdict):
    """The verdict after the second count, and a note."""
    note = ""
    for counts, again in zip(pair, second):
        if again is None or isinstance(again, PerfError) or again.part < counts.part:
            return (_unconfirmed(verdict), "could not be counted a second time")
        again, _ = _common_part(again, counts)
        if abs(again.events["Ir"] / counts.events["Ir"] - 1) > _DETERMINISTIC:
            verdict, note = "inconclusive", "counts differently each time"
    return verdict, note


def _unconfirmed(verdict):
    """What is left of a verdict that no second count confirmed."""
    return "suspected" if verdict == "regressed" else "inconclusive"


@functools.lru_cache(maxsize=None)
def _source(path):
    """The lines of a file; none where it is not at hand."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _source_line(root, file, number):
    """The text of a source line, None where the source is not at hand."""
    lines = _source((root / file) if root else Path(file))
    return lines[number - 1].strip() if 0 < number <= len(lines) else None


def annotate(comparison, roots=(None, None)):
    """Lines of text: which functions and lines of source execute more or less than before.

    roots: folders that relative names of sources start from. A line is known by its text where the
    source is at hand, so that one which only moved does not show; a file by the end of its name,
    for the two were not built in one folder.
    """
    functions, lines = {}, {}
    iterations = comparison.base.iterations
    for sign, counts, root in ((-1, comparison.base, roots[0]), (1, comparison.head, roots[1])):
        for (file, function, number), cost in callgrind.read_lines(counts.file).items():
            text = _source_line(root, file, number)
            file = "/".join(Path(file).parts[-2:])
            functions[file, function] = functions.get((file, function), 0) + sign * cost
            if not number:  # built without lines
                continue
            key = (file, function, text or f"line {number}")
            lines[key] = lines.get(key, 0) + sign * cost

    def largest(costs):
        ordered = sorted(costs.items(), key=lambda item: -abs(item[1]))
        return [(key, cost / iterations) for key, cost in ordered[:_SHOWN]
                if abs(cost) / iterations >= 0.005]

    unit = "instructions" if comparison.base.fixed else "instructions an iteration"
    out = [f"{printable(str(comparison.name))}: {comparison.base.events['Ir'] / iterations:,.2f} to "
           f"{comparison.head.events['Ir'] / iterations:,.2f} {unit}", "  by function"]
    out += [f"    {cost:+12,.2f}  {function}  ({file})"
            for (file, function), cost in largest(functions)]
    by_line = [f"    {cost:+12,.2f}  {file}: {text}" for (file, _, text), cost in largest(lines)]
    return out + (["  by line", *by_line] if by_line else [])


_ORDER = ("regressed", "suspected", "inconclusive", "improved", "clean")


@dataclass(frozen=True)
class Outcome:
    """A whole run of counts."""
    date: datetime.datetime
    command: str
    seconds: float
    base: str
    head: str
    comparisons: tuple = ()
    unmeasured: tuple = ()  # account.Unmeasured
    incidents: tuple = ()
    known: object = None
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
        late = any(one.late for one in self.unmeasured)
        if self.incidents or self.blocking or not self.comparisons and not late:
            return "unmeasured"
        if "suspected" in verdicts:
            return "suspected"
        return "inconclusive" if "inconclusive" in verdicts or late else "clean"

    @property
    def blocking(self):
        return [one for one in self.unmeasured if one.blocks and not self.excused(one.benchmark)]

    @property
    def exit_status(self):
        return statuses.STATUS_OF[self.verdict]

    def ordered(self):
        return sorted(self.comparisons,
                      key=lambda each: (_ORDER.index(each.verdict), -each.change()))


def action(outcome):
    """One line of Markdown: what the reader has to do."""
    def some(comparisons):
        return ", ".join(f"{answer.code(str(each.name))} {each.change() * 100:+.2f}%"
                         for each in comparisons[:5])

    slow = [each for each in outcome.ordered() if each.verdict == "regressed"]
    suspects = [each for each in outcome.ordered() if each.verdict == "suspected"]
    parts = []
    if slow:
        parts.append(f"more instructions: {some(slow)}")
    if outcome.blocking:
        parts.append("not counted: " + ", ".join(
            answer.code(str(one.benchmark)) for one in outcome.blocking[:5]))
    parts += [answer.code(text) for text in outcome.incidents]
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
    for each in sorted(comparisons, key=lambda each: (_ORDER.index(each.verdict),
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
        "action": answer.plain(action(outcome)), "error": None,
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
    made.rows = [[answer.code(row[0]), *row[1:]] for row in made.rows]
    lines = ["## Instructions", "", action(outcome), ""]
    if made.rows:
        lines += report.as_markdown(made)[2:]
    if outcome.unmeasured:
        lines += ["", "Not counted:", ""]
        lines += [f"- {answer.code(str(one.benchmark))}: {answer.code(one.text)}"
                  for one in sorted(outcome.unmeasured, key=lambda one: not one.blocks)]
    lines += [f"- {answer.code(text)}" for text in outcome.incidents]
    if annotations:
        lines += ["", *answer.block([printable(line) for line in annotations])]
    return "\n".join(lines) + "\n"


def _parser():
    parser = choice.parser(
        "counts", "Compares the instructions that each benchmark executes, under callgrind: "
                  f"exact, gated at {THRESHOLD:.1%}. Programs need code for x86-64-v3 at most, "
                  "benchmarks of one thread, and the symbols of Google Benchmark.",
        statuses.EPILOG)
    choice.add_programs(parser)
    parser.add_argument("--filter", metavar="RE", help="only benchmarks whose names match")
    parser.add_argument("--limit", type=float, default=600, metavar="SECONDS",
                        help="for one benchmark of one program (%(default)s)")
    parser.add_argument("--budget", type=float, default=3600, metavar="SECONDS",
                        help="for all, builds aside (%(default)s)")
    return parser


def _uncountable(benchmark):
    """Why callgrind can't count a benchmark that works; empty if it can."""
    threads = _THREADS.search(benchmark.key.name)
    if threads and int(threads[1]) > 1:
        return "runs in several threads, whose instructions depend on who waits for whom"
    if benchmark.key.nth > 1:
        return "has the name of another benchmark, and only the first of a name can be counted"
    return ""


def plan(terminal, chosen, directory, clock):
    """(pairs: Benchmark -> (base, head), list of Unmeasured, incidents): runs each benchmark once,
    to know which of them work."""
    pairs, left_out = {}, []
    incidents = [f"{name}: the base has this program, the head lacks it"
                 for name in chosen.lacking]
    for suite in chosen.suites:
        trials = {}
        try:
            for arm in ("base", "head"):
                terminal.progress(f"trying {suite.name}, {arm}")
                program = suite.arms[arm]
                program = replace(program, environment={
                    name: text for name, text in program.environment.items()
                    if name != process_pairs.SKIP_CHECK})
                listing = program.listing(chosen.filter, max(1.0, clock.left()))
                trials[arm] = perf_trial.run(
                    program, listing.keys, _TRIAL, directory / "trial.json",
                    perf_trial.Limits(clock.left, _STALL), everything=not chosen.filter)
                if listing.doubt:
                    process_pairs.leave_out_noise(program, trials[arm], listing.doubt,
                                                  max(1.0, clock.left()))
        except PerfError as error:
            if len(chosen.suites) == 1:
                raise
            incidents.append(str(error))
            continue
        compared, unmeasured = account(suite.name, trials)
        left_out += unmeasured
        for benchmark in compared:
            reason = _uncountable(benchmark)
            if reason:
                left_out.append(Unmeasured(benchmark, {"base and head": reason}, False))
            else:
                pairs[benchmark] = (suite.arms["base"], suite.arms["head"])
    if not pairs and not left_out and not incidents:
        raise PerfError(f"no benchmark matches {chosen.filter!r}" if chosen.filter
                        else "the programs list no benchmark")
    return pairs, left_out, incidents


def main(argv):
    parser = _parser()
    arguments = parser.parse_args(argv)
    terminal = Terminal()
    date = datetime.datetime.now(datetime.timezone.utc)
    command = shlex.join(["./scripts/perf", "counts", *argv])
    if not 0 < arguments.limit < math.inf or not 0 < arguments.budget < math.inf:
        raise PerfError("--limit and --budget have to be positive")
    if not callgrind.is_installed():
        raise PerfError("valgrind is needed; scripts/bootstrap --for counts installs it")
    chosen = choice.choose(terminal, arguments, parser)
    annotations = []
    if not chosen.suites:
        outcome = Outcome(date, command, 0.0, chosen.base, chosen.head, same_files=True)
    else:
        clock = process_pairs.Clock(arguments.budget)
        with scratch.folder(chosen.directory) as temporary:
            directory = Path(temporary).resolve()
            pairs, left_out, incidents = plan(terminal, chosen, directory, clock)
            runner = Runner(terminal, directory, arguments.limit, max(1.0, clock.left()))
            comparisons, errors, late = compare(runner, pairs)
            left_out += [Unmeasured(name, reasons, True) for name, reasons in errors.items()]
            left_out += [Unmeasured(name, {"base and head": "no time was left to count it"}, False,
                                    True) for name in late]
            outcome = Outcome(date, command, clock.elapsed(), chosen.base, chosen.head,
                              tuple(comparisons), tuple(left_out), tuple(incidents), chosen.known)
            for each in [each for each in outcome.ordered()
                         if each.verdict == "regressed"][:_ANNOTATED]:
                annotations += annotate(each, chosen.sources)
    _print(terminal, outcome, annotations)
    if arguments.json:
        gate.write_json(arguments.json, document(outcome))
    if arguments.markdown:
        gate.write(arguments.markdown, markdown(outcome, annotations))
    return outcome.exit_status


def _print(terminal, outcome, annotations):
    made = table(outcome.comparisons)
    if made.rows:
        for line in report.as_text(made, terminal)[1:]:
            terminal.line(terminal.bad(line) if line.endswith("REGRESSED") else line)
    for line in annotations + [f"{each.name}: {each.note}" for each in outcome.comparisons
                               if each.note]:
        terminal.line(line)
    for one in outcome.unmeasured:
        line = f"not counted: {one.benchmark}: {printable(one.text)}"
        terminal.line(terminal.bad(line) if one.blocks else line)
    for text in outcome.incidents:
        terminal.line(terminal.bad(printable(text)))
    counts = [f"{sum(each.verdict == verdict for each in outcome.comparisons)} {verdict}"
              for verdict in _ORDER]
    terminal.line(f"{', '.join(counts)}, {len(outcome.unmeasured)} not counted: instructions of "
                  f"{outcome.head} against {outcome.base}, {duration(outcome.seconds)}")
    terminal.line(answer.plain(action(outcome)))
