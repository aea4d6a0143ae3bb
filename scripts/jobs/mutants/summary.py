# SPDX-License-Identifier: Apache-2.0
"""Sums up the graded mutants: on the terminal and in results/mutants.md."""

import math
import statistics
import tomllib
from collections import Counter
from dataclasses import dataclass

from jobs.common.documents import Document
from jobs.common.tables import Table
from jobs.mutants import reach, runner

GRADED = ("killed-10", "killed-60", "killed-by-tests", "survived", "unreached")
_BY_TARGETS = ("killed-10", "killed-60")
ALIVE = ("survived", "unreached")  # no target has killed the mutant in time
_UNUSABLE = {"does-not-compile": "didn't compile", "identical": "compiled to the same objects",
             "unused": "in a function that no object holds"}


class ListError(Exception):
    """The list of equivalent mutants can't be read."""


def read_equivalents(text):
    """Reads the list of equivalent mutants: id -> argument."""
    try:
        entries = tomllib.loads(text).get("mutant", [])
    except tomllib.TOMLDecodeError as error:
        raise ListError(str(error)) from error
    found = {}
    for entry in entries:
        name, argument = entry.get("id", ""), " ".join(entry.get("argument", "").split())
        if set(entry) != {"id", "argument"} or not name or len(argument) < 20:
            raise ListError(f"{name or entry}: needs an id and an argument, and nothing else")
        if name in found:
            raise ListError(f"{name}: listed twice")
        found[name] = argument
    return found


def list_errors(equivalents, results, known_ids):
    """What is wrong with the list, as texts."""
    outcomes = {result["id"]: result for result in results}
    errors = [f"{name}: listed as equivalent, but there is no such mutant (any more)"
              for name in equivalents if name not in known_ids]
    for name in equivalents:
        result = outcomes.get(name, {})
        kills = [run for run in result.get("runs", ()) if run["killed"]]
        if kills:
            errors.append(f"{name}: listed as equivalent, but {kills[0]['target']} killed it: "
                          f"{kills[0]['note']}")
    return errors


@dataclass
class Score:
    graded: int = 0
    fast: int = 0  # killed in 10 s
    slow: int = 0  # killed in 60 s, but not in 10
    tests: int = 0  # killed by tests, after targets had let the mutant live
    left: int = 0  # survived or unreached, not equivalent
    equivalent: int = 0  # survived or unreached, and listed

    def add(self, result, equivalents):
        self.graded += 1
        if result["outcome"] == "killed-10":
            self.fast += 1
        elif result["outcome"] == "killed-60":
            self.slow += 1
        elif result["outcome"] == "killed-by-tests":
            self.tests += 1
        elif result["id"] in equivalents:
            self.equivalent += 1
        else:
            self.left += 1

    @property
    def share(self):
        """The percentage of the killable mutants that were killed in 10 s."""
        killable = self.graded - self.equivalent
        return 100 * self.fast / killable if killable else 0.0


def graded(results):
    return [result for result in results if result["outcome"] in GRADED]


def score(results, equivalents):
    total = Score()
    for result in graded(results):
        total.add(result, equivalents)
    return total


def _table(title, by, results, equivalents):
    scores, total = {}, Score()
    for result in graded(results):
        scores.setdefault(result[by], Score()).add(result, equivalents)
        total.add(result, equivalents)
    rows = [[name, str(s.graded), str(s.fast), str(s.slow), str(s.tests), str(s.left),
             str(s.equivalent),
             f"{s.share:.1f}" if s.graded > s.equivalent else "-"]
            for name, s in [*sorted(scores.items()), ("all", total)]]
    return Table(title, "", [by, "mutants", "killed in 10 s", "later", "by tests", "survived",
                             "equivalent", "% in 10 s"], rows=rows)


def tables(results, equivalents):
    return [_table("By file", "file", results, equivalents),
            _table("By operator", "operator", results, equivalents)]


def _runs(result):
    return [runner.Run(**run) for run in result["runs"]]


def _amount(number):
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.3g}"


def to_kill(results):
    """A table of the seconds and executions that killing took."""
    medians = [found for found in (runner.median_kill(_runs(result)) for result in results
                                   if result["outcome"] in _BY_TARGETS) if found]
    if not medians:
        return None
    rows = []
    for label, values in (("seconds", [m[0] for m in medians]),
                          ("executions", [m[1] for m in medians])):
        p90 = statistics.quantiles(values, n=10, method="inclusive")[8] if len(values) > 1 \
            else values[0]
        rows.append([label, *(_amount(v) for v in (statistics.median(values), p90, max(values)))])
    return Table("To kill a mutant", "of each mutant the median of its seeds; then over all that "
                 "were killed", ["", "median", "p90", "max"], rows=rows)


@dataclass
class Need:
    """What a target needs to find the mutants that it has found here."""
    target: str
    mutants: int
    slowest: str  # the id of the mutant that takes longest
    mean: float  # seconds of CPU that this mutant takes

    @property
    def seconds(self):
        """The seconds of CPU in which 95 of 100 runs find the slowest mutant. It is assumed that a
        mutant which is not found yet is as likely to be found in the next second as in any
        other."""
        return -math.log(0.05) * self.mean


def needs(results):
    """Returns the Needs of targets, the largest first. Each mutant counts for the target that has
    killed it with the most seeds."""
    found = {}
    for result in graded(results):
        if result["outcome"] not in _BY_TARGETS:
            continue
        runs = _runs(result)
        kills = Counter(run.target for run in runs if run.killed)
        if not kills:
            continue
        target, count = kills.most_common(1)[0]
        # Runs that killed nothing count too: the target has looked in vain for as long as they
        # took.
        mean = sum(run.cost for run in runs if run.target == target) / count
        need = found.setdefault(target, Need(target, 0, result["id"], 0.0))
        need.mutants += 1
        if mean > need.mean:
            need.slowest, need.mean = result["id"], mean
    return sorted(found.values(), key=lambda need: -need.seconds)


def needs_table(results):
    rows = [[need.target, str(need.mutants), need.slowest, f"{need.mean:.2f}",
             f"{need.seconds:.1f}"] for need in needs(results)]
    return Table(
        "To find the slowest mutant",
        "a mutant counts for the target that killed it with the most seeds; a row names the mutant "
        "that took its target longest. mean: the seconds of CPU that the target spent on this "
        "mutant, also in vain, divided by the number of seeds that killed it. 95 %: three times "
        "the mean; if a mutant is as likely to be found in one second as in another, 95 of 100 "
        "runs find it in this time",
        ["target", "mutants", "slowest", "mean", "95 %"], rows=rows)


def ways(results):
    """How mutants were killed, by each mutant's fastest kill: (how, count)."""
    counts = Counter()
    for result in results:
        kills = [run for run in result.get("runs", ()) if run["killed"]]
        if kills and result["outcome"] in _BY_TARGETS:
            counts[min(kills, key=lambda run: run["cpu_seconds"])["how"]] += 1
    return counts.most_common()


def by_target(results):
    """How many mutants each target was the fastest to kill: (target, count)."""
    counts = Counter()
    for result in results:
        kills = [run for run in result.get("runs", ()) if run["killed"]]
        if kills and result["outcome"] in _BY_TARGETS:
            counts[min(kills, key=lambda run: run["cpu_seconds"])["target"]] += 1
    return counts.most_common()


def unusable(results):
    counts = Counter(result["outcome"] for result in results)
    return ", ".join(f"{counts[name]} {text}" for name, text in _UNUSABLE.items())


def method(arguments):
    return (
        f"mutants are drawn by lot (seed {arguments.seed}) from all edits that the operators of "
        "scripts/jobs/mutants/operators.py make in those sources. A file gets a share in "
        "proportion to its edits, at least one mutant, and within a file the operators take turns. "
        "A mutant that does not compile, or that compiles (-O2, no instrumentation) to the same "
        "objects of the libraries and targets, gives way to the next one of its file and operator. "
        "A target fits a mutant if it executes the mutated place when it fuzzes the original for a "
        "while. "
        f"The {reach.MOST} fitting targets that execute the least of all other code fuzz the "
        "mutant; a place without code of its own is fuzzed by all targets that execute or include "
        f"its file. Each target starts from an empty corpus, with its own options, and gets "
        f"{arguments.seconds} s with each of {len(runner.SEEDS)} seeds "
        f"({min(arguments.seconds, runner.FAST_SECONDS)} s if the mutant is listed as equivalent). "
        "For each seed the targets run one after the other until one of them kills the mutant; the "
        "seed's time is the time of this target, from the start of its process. All seconds are of "
        "CPU, of one core. A mutant is killed in 10 s if the median of the seeds' times is at most "
        f"10 s, so {len(runner.SEEDS) // 2 + 1} seeds must have killed it. A time-out or a report "
        "of a sanitizer kills as a failed check does. A survivor in code that no target reached is "
        "not run. " + (
            "No test was asked about the mutants that the targets let live. "
            if arguments.grader else
            "A mutant that the targets let live and that no argument excuses is then built into "
            "the tests. All tests of ctest but those that take minutes may kill it, as may the "
            "replay of the seed corpora, both once more with sanitizers, and the thread tests "
            "under ThreadSanitizer. ")
        + "The share is the share of the targets alone")


def _survivor(result):
    reached = ", ".join(result["targets"]) or "none"
    lines = [f"### {result['id']}", "", f"Line {result['line']}; targets that fit: {reached}.", ""]
    kills = [run for run in result["runs"] if run["killed"]]
    for run in kills:
        lines.append(f"- seed {run['seed']} did kill it: {run['target']} after "
                     f"{run['cpu_seconds']:.1f} s: {run['note']}")
    if kills:
        lines.append("")
    if result.get("killer"):
        lines += [f"Killed by {result['killer']}.", ""]
    elif "tests_said" in result:
        lines += [f"In the build of the tests the mutant {result['tests_said']}.", ""]
    elif "executed_by" in result:
        lines += [f"Tests that execute the function: "
                  f"{', '.join(result['executed_by']) or 'none'}.", ""]
    return [*lines, "```diff", *result["diff"], "```", ""]


def figures(results, equivalents):
    """Returns as data what the summary shows: the counts by operator, with a last entry for all
    operators together, and what each target needs."""
    scores, total = {}, Score()
    for result in graded(results):
        scores.setdefault(result["operator"], Score()).add(result, equivalents)
        total.add(result, equivalents)
    return {"operators": [
        {"operator": name, "killed in 10 s": s.fast, "later": s.slow, "by tests": s.tests,
         "survived": s.left,
         "equivalent": s.equivalent} for name, s in [*sorted(scores.items()), ("all", total)]],
        "targets": [{"target": need.target, "slowest": need.slowest,
                     "seconds": round(need.seconds, 2)} for need in needs(results)]}


def document(results, equivalents, facts):
    """The content of results/mutants.md."""
    total = score(results, equivalents)
    kills = to_kill(graded(results))
    blocks = [*tables(results, equivalents), *([kills, needs_table(results)] if kills else [])]
    late = [r for r in graded(results) if r["outcome"] == "killed-60"]
    if late:
        lines = ["## Killed, but not in 10 s", ""]
        for result in late:
            seconds, count = runner.median_kill(_runs(result))
            lines += [f"- `{result['id']}`, line {result['line']}: {seconds:.1f} s, "
                      f"{_amount(count)} executions"]
        blocks.append("\n".join(lines))
    seen = [r for r in graded(results) if r["outcome"] == "killed-by-tests"]
    lines = ["## Killed by tests, not by targets", ""] if seen else []
    for result in seen:
        lines += _survivor(result)
    left = [r for r in graded(results) if r["outcome"] in ALIVE]
    lines += ["## Survivors", ""]
    for result in left:
        if result["id"] not in equivalents:
            lines += _survivor(result)
    if not total.left:
        lines += ["None.", ""]
    lines += ["## Equivalent", ""]
    for result in left:
        if result["id"] in equivalents:
            lines += [f"### {result['id']}", "", equivalents[result["id"]], "", "```diff",
                      *result["diff"], "```", ""]
    if not total.equivalent:
        lines += ["None.", ""]
    return Document(
        "Mutants", facts,
        f"{total.graded} mutants: {total.fast} killed in 10 s ({total.share:.1f} % of those "
        f"that aren't equivalent), {total.slow} later, {total.tests} by tests, {total.left} "
        f"survived, {total.equivalent} equivalent.",
        [*blocks, "\n".join(lines)], figures(results, equivalents))
