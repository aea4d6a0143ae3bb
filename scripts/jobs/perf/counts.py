# SPDX-License-Identifier: Apache-2.0
"""scripts/perf counts: does head execute more instructions than base? Exact, also under load.

Gated are instructions. Reads and writes stand beside them: they tell where instructions went, but
two compilations of one source differ in them by more than they differ in time.
"""

import argparse
import contextlib
import datetime
import functools
import json
import os
import shlex
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from jobs.common import report
from jobs.common.children import Children
from jobs.common.tables import Table
from jobs.common.terminal import Terminal, duration
from jobs.perf import callgrind, commands, gate, revisions
from jobs.perf.error import PerfError

THRESHOLD = 0.005
_DETERMINISTIC = 0.001  # two runs of one program that differ by more count by chance
_SHOWN = 8  # functions, and lines, of a differential annotation
_ANNOTATED = 5  # benchmarks
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Comparison:
    """Of one benchmark, at the same number of iterations on both sides."""
    name: str
    base: callgrind.Counts
    head: callgrind.Counts
    verdict: str  # regressed, improved, clean, inconclusive
    note: str = ""

    def change(self, event="Ir"):
        """0.01: one hundredth more."""
        before, after = self.base.events[event], self.head.events[event]
        return after / before - 1 if before else (1.0 if after else 0.0)


def verdict_of(base, head):
    change = head / base - 1 if base else 1.0
    if change > THRESHOLD:
        return "regressed"
    return "improved" if change < -THRESHOLD else "clean"


class Runner:
    """Counts benchmarks of several programs, as many at once as there are CPUs."""

    def __init__(self, terminal, directory, limit, jobs=None):
        self._terminal = terminal
        self._directory = directory
        self._limit = limit
        self._jobs = jobs or len(os.sched_getaffinity(0))
        self._number = 0

    def count(self, tasks):
        """tasks: (key, program, benchmark). Returns key -> Counts, or the PerfError it met."""
        waiting, running, done = list(tasks), {}, {}
        start = time.monotonic()
        with Children() as children:
            while waiting or running:
                while waiting and len(running) < self._jobs:
                    key, program, benchmark = waiting.pop(0)
                    self._number += 1
                    running[key] = callgrind.Counter(
                        children, program, benchmark,
                        self._directory / f"{self._number:06}", self._limit)
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

    def at(counts):
        if counts.part == part:
            return counts
        path = counts.file.parent / f"part.{part}"
        events = callgrind.read_events(path.read_text(encoding="utf-8", errors="replace"))
        return callgrind.Counts(part, events, path, counts.fixed)

    return at(base), at(head)


def compare(runner, pairs):
    """pairs: name -> (base Program, head Program). Returns (comparisons, errors: name -> text).

    Where the counts differ, both are counted again: an exact count is the same twice.
    """
    first = runner.count([((name, side), programs[side], name)
                          for name, programs in pairs.items() for side in (0, 1)])
    errors = {name: str(result) for (name, _), result in first.items()
              if isinstance(result, PerfError)}
    found = {}
    for name in pairs:
        if name not in errors:
            found[name] = _common_part(first[name, 0], first[name, 1])
    suspects = [name for name, (base, head) in found.items()
                if verdict_of(base.events["Ir"], head.events["Ir"]) != "clean"]
    second = runner.count([((name, side), pairs[name][side], name)
                           for name in suspects for side in (0, 1)]) if suspects else {}
    comparisons = []
    for name, (base, head) in found.items():
        verdict, note = verdict_of(base.events["Ir"], head.events["Ir"]), ""
        if name in suspects:
            for side, counts in enumerate((base, head)):
                again = second[name, side]
                if isinstance(again, PerfError) or again.part < counts.part:
                    verdict, note = "inconclusive", "could not be counted a second time"
                    continue
                again, _ = _common_part(again, counts)
                if abs(again.events["Ir"] / counts.events["Ir"] - 1) > _DETERMINISTIC:
                    verdict, note = "inconclusive", "counts differently each time"
        comparisons.append(Comparison(name, base, head, verdict, note))
    return comparisons, errors


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
    out = [f"{comparison.name}: {comparison.base.events['Ir'] / iterations:,.2f} to "
           f"{comparison.head.events['Ir'] / iterations:,.2f} {unit}", "  by function"]
    out += [f"    {cost:+12,.2f}  {function}  ({file})"
            for (file, function), cost in largest(functions)]
    by_line = [f"    {cost:+12,.2f}  {file}: {text}" for (file, _, text), cost in largest(lines)]
    return out + (["  by line", *by_line] if by_line else [])


def table(comparisons):
    made = Table("Instructions", "", ["", "base", "head", "change", "reads", "writes", "verdict"],
                 flush_left=(6,))
    order = ("regressed", "inconclusive", "improved", "clean")
    for each in sorted(comparisons, key=lambda each: order.index(each.verdict)):
        base, head = (f"{counts.events['Ir'] / counts.iterations:,.1f}"
                      for counts in (each.base, each.head))
        verdict = each.verdict.upper() if each.verdict == "regressed" else each.verdict
        made.rows.append([each.name, base, head] + [
            f"{each.change(event) * 100:+.2f}%" for event in callgrind.EVENTS] + [verdict])
    return made


def document(comparisons, errors, base, head, command, date):
    return {
        "format": 1, "lane": "counts", "date": date.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": command, "base": base, "head": head, "errors": errors,
        "benchmarks": [{
            "name": each.name, "verdict": each.verdict, "note": each.note,
            "iterations": None if each.base.fixed else each.base.iterations,
            **{event: {"base": each.base.events[event], "head": each.head.events[event]}
               for event in callgrind.EVENTS}} for each in comparisons]}


def exit_status(comparisons, errors):
    verdicts = {each.verdict for each in comparisons}
    if "regressed" in verdicts:
        return commands.REGRESSION
    if errors:
        return commands.HARNESS_ERROR
    return commands.INCONCLUSIVE if "inconclusive" in verdicts else commands.CLEAN


def _parser():
    parser = argparse.ArgumentParser(
        prog="scripts/perf counts",
        description="Compares the instructions that each benchmark executes, under callgrind: "
                    f"exact, gated at {THRESHOLD:.1%}. Programs need code for x86-64-v3 at most, "
                    "benchmarks of one thread, and the symbols of Google Benchmark.",
        epilog="Exit status: 0 no more instructions; 1 more; 2 wrong usage, or something could not "
               "be counted; 3 a benchmark counts differently each time.")
    parser.add_argument("--base", metavar="REV", help="revision (merge base with main)")
    parser.add_argument("--head", metavar="REV", help="revision (the working tree)")
    parser.add_argument("--base-bin", metavar="FILE", type=Path)
    parser.add_argument("--head-bin", metavar="FILE", type=Path)
    parser.add_argument("--filter", metavar="RE", help="only benchmarks whose names match")
    parser.add_argument("--limit", type=float, default=600, metavar="SECONDS",
                        help="for one benchmark of one program (%(default)s)")
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--markdown", metavar="FILE", type=Path)
    return parser


def _plan(terminal, arguments, parser):
    """(pairs: name -> (base, head), what was chosen)."""
    chosen = gate.choose(terminal, arguments, parser)
    pairs = {}
    for suite in chosen.suites:
        base, head = suite.arms["base"], suite.arms["head"]
        have = set(base.benchmarks(chosen.filter))
        for name in head.benchmarks(chosen.filter):
            threads = name.rpartition("/threads:")[2]
            if name in have and not (threads.isdigit() and int(threads) > 1):
                pairs[name] = (base, head)
    return pairs, chosen


def main(argv):
    parser = _parser()
    arguments = parser.parse_args(argv)
    terminal = Terminal()
    date = datetime.datetime.now(datetime.timezone.utc)
    pairs, chosen = _plan(terminal, arguments, parser)
    if not chosen.suites:
        return commands.CLEAN
    if not pairs:
        raise PerfError("no benchmark of one thread that both have")
    revisions.PERF.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(
            prefix="counts-", dir=revisions.PERF)))
        comparisons, errors = compare(Runner(terminal, directory, arguments.limit), pairs)
        worst = sorted((each for each in comparisons if each.verdict == "regressed"),
                       key=lambda each: -each.change())
        annotations = [line for each in worst[:_ANNOTATED]
                       for line in annotate(each, chosen.sources)]
    made = table(comparisons)
    for line in report.as_text(made, terminal)[1:]:
        terminal.line(terminal.bad(line) if line.endswith("REGRESSED") else line)
    for line in annotations + [f"{each.name}: {each.note}" for each in comparisons if each.note]:
        terminal.line(line)
    for name, text in errors.items():
        terminal.line(terminal.bad(text if text.startswith(name) else f"{name}: {text}"))
    counts = [f"{sum(each.verdict == verdict for each in comparisons)} {verdict}"
              for verdict in ("regressed", "inconclusive", "improved", "clean")]
    terminal.line(f"{', '.join(counts)}: instructions of {chosen.head} against {chosen.base}")
    command = shlex.join(["./scripts/perf", "counts", *argv])
    if arguments.json:
        gate.write(arguments.json, json.dumps(document(
            comparisons, errors, chosen.base, chosen.head, command, date), indent=1) + "\n")
    if arguments.markdown:
        lines = report.as_markdown(made)
        if annotations:
            lines += ["", "```", *annotations, "```"]
        gate.write(arguments.markdown, "\n".join(lines) + "\n")
    return exit_status(comparisons, errors)
