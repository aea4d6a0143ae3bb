# SPDX-License-Identifier: Apache-2.0
"""scripts/perf counts says whether head executes more instructions than base. The count is exact,
also under load. Only instructions are gated. If the numbers of instructions differ by more than
THRESHOLD, the answer also has reads and writes of memory. These help to tell where the instructions
went, but two compilations of one source differ more in reads and writes than in time.
"""

import datetime
import math
import os
import re
import shlex
import time
from dataclasses import replace
from pathlib import Path

from jobs.common import report
from jobs.common.children import Children
from jobs.common.terminal import Terminal, duration
from jobs.perf import (
    callgrind,
    choice,
    gate,
    home,
    options,
    process_pairs,
    samples,
    scratch,
    statuses,
    trial as perf_trial,
)
from jobs.perf.account import Unmeasured, account
from jobs.perf.annotate import annotate
from jobs.perf.counts_answer import (
    GONE,
    ORDER,
    Comparison,
    Outcome,
    action,
    document,
    markdown,
    table,
)
from jobs.perf.error import PerfError
from jobs.perf.gbench_json import printable
from jobs.perf.texts import plain

THRESHOLD = 0.005
_DETERMINISTIC = 0.001  # if two runs of one program differ by more, chance is at work
# What the loop itself takes for an iteration. On x86-64 an empty range-for takes 2 instructions, or
# none if the compiler has removed the loop, and `while (state.KeepRunning())` takes 5. A head that
# takes 5 may do a little work, so it counts as empty only if it takes less than a twentieth of the
# base's instructions.
_EMPTY = 2.5
_NEARLY_EMPTY = 5.5
_NEARLY_ALL = 20
_ANNOTATED = 5  # at most this many benchmarks are annotated
_POLL_SECONDS = 0.05
_THREADS = re.compile(r"/threads:([0-9]+)(?:/|$)")
_TRIAL = samples.Effort(1, 0.0)  # one iteration shows whether a benchmark works
_STALL = 120.0  # seconds; how long the trial waits for a benchmark


def verdict_of(base, head):
    change = head / base - 1 if base else 1.0
    if change > THRESHOLD:
        return "regressed"
    return "improved" if change < -THRESHOLD else "clean"


def vanished(base, head):
    """Whether the base's loop does something and the head's loop does nothing any more. False if a
    benchmark sets the iterations."""
    before, after = base.of_one(), head.of_one()
    if before is None or after is None or before <= _EMPTY or before <= 3 * after:
        return False
    return after <= (_NEARLY_EMPTY if before > _NEARLY_ALL * after else _EMPTY)


class Runner:
    """Counts benchmarks of several programs, as many at once as this process may use CPUs."""

    def __init__(self, terminal, directory, limit, budget=float("inf"), jobs=None):
        """limit: seconds for one benchmark of one program; budget: for all together."""
        self._terminal = terminal
        self._directory = directory
        self._limit = limit
        self._end = time.monotonic() + budget
        self._jobs = jobs or len(os.sched_getaffinity(0))
        self._number = 0

    def count(self, tasks, memory=False):
        """Counts each of `tasks`, which are (key, program, benchmark). `key` is the task's name in
        the result; the benchmark is a gbench_json.Key. Returns key -> Counts, or key -> PerfError
        for a task that failed. Tasks for which the budget does not suffice are left out."""
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
    """The counts of base and head, both at the largest number of iterations that both have."""
    part = min(base.part, head.part)
    return base.at(part), head.at(part)


def compare(runner, pairs):
    """Compares the counts of `pairs`, which is Benchmark -> (base Program, head Program). Returns
    (comparisons, errors: Benchmark -> {arm: text}, late: list of Benchmark).

    If the counts differ by more than THRESHOLD, both sides are counted up to twice more, first with
    reads and writes of memory: an exact count is the same each time. A count that depends on the
    clock may agree with itself once by chance.
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
    comparisons = []
    for name, (base, head) in found.items():
        verdict, note = verdicts[name]
        gone = (verdict in ("improved", "inconclusive")
                and vanished(first[name, 0], first[name, 1]))
        comparisons.append(Comparison(name, base, head, verdict, GONE if gone else note, gone))
    return comparisons, errors, late


def _again(pair, second, verdict):
    """Returns (the verdict after another count, a note). pair: the first counts of base and head;
    second: their counts this time, or the PerfError, or None if the time was up."""
    note = ""
    for counts, again in zip(pair, second):
        if again is None or isinstance(again, PerfError) or again.part < counts.part:
            return (_unconfirmed(verdict), "could not be counted a second time")
        again, _ = _common_part(again, counts)
        if abs(again.events["Ir"] / counts.events["Ir"] - 1) > _DETERMINISTIC:
            verdict, note = "inconclusive", "counts differently each time"
    return verdict, note


def _unconfirmed(verdict):
    """The weaker verdict that is left if no second count confirmed a verdict."""
    return "suspected" if verdict == "regressed" else "inconclusive"


def _parser():
    parser = options.parser(
        "counts", "Compares the instructions that each benchmark executes, under callgrind: "
                  f"exact, gated at {THRESHOLD:.1%}. Programs need code for x86-64-v3 at most, "
                  "benchmarks of one thread, and the symbols of Google Benchmark.",
        statuses.EPILOG)
    options.add_programs(parser)
    parser.add_argument("--filter", metavar="RE", help="only benchmarks whose names match")
    parser.add_argument("--limit", type=float, default=600, metavar="SECONDS",
                        help="limit for one benchmark of one program (%(default)s)")
    parser.add_argument("--budget", type=float, default=3600, metavar="SECONDS",
                        help="limit for all benchmarks, not counting builds (%(default)s)")
    return parser


def _uncountable(benchmark):
    """Why callgrind can't count a benchmark that works; empty if callgrind can."""
    threads = _THREADS.search(benchmark.key.name)
    if threads and int(threads[1]) > 1:
        return "runs in several threads, whose instructions depend on who waits for whom"
    if benchmark.key.nth > 1:
        return "has the name of another benchmark, and only the first of a name can be counted"
    return ""


def plan(terminal, chosen, directory, clock):
    """Runs each benchmark of both sides once, to know which of them work. Returns (pairs: Benchmark
    -> (base, head), list of Unmeasured, incidents)."""
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
                    perf_trial.leave_out_noise(program, trials[arm], listing.doubt,
                                                  max(1.0, clock.left()))
        except PerfError as error:
            if len(chosen.suites) == 1:
                raise
            incidents.append(str(error))
            continue
        if len(chosen.suites) > 1 and not chosen.filter and not any(
                trial.listed for trial in trials.values()):
            incidents.append(f"{suite.name}: the programs list no benchmark")
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
    command = shlex.join([home.COMMAND, "counts", *argv])
    if not 0 < arguments.limit < math.inf or not 0 < arguments.budget < math.inf:
        raise PerfError("--limit and --budget have to be positive")
    if not callgrind.is_installed():
        raise PerfError(f"valgrind is needed; {home.advice('valgrind')}")
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
    try:  # the files come first, because perhaps nobody reads the output any more
        if arguments.json:
            gate.write_json(arguments.json, document(outcome))
        if arguments.markdown:
            gate.write(arguments.markdown, markdown(outcome, annotations))
    finally:
        _print(terminal, outcome, annotations)
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
              for verdict in ORDER]
    terminal.line(f"{', '.join(counts)}, {len(outcome.unmeasured)} not counted: instructions of "
                  f"{outcome.head} against {outcome.base}, {duration(outcome.seconds)}")
    terminal.line(plain(action(outcome)))
