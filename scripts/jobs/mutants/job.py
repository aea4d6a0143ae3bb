# SPDX-License-Identifier: Apache-2.0
"""Grades the fuzz targets by the mutants that they kill. Started by scripts/mutants."""

import datetime
import json
import shlex
import threading
import time
from concurrent import futures
from typing import Any

from jobs.common import build, machine, processes, report
from jobs.common.sanitizers import sanitizer_wrapper
from jobs.common.terminal import Terminal, duration
from jobs.mutants import by_tests, parts, reach, runner, sampling, summary, trees
from jobs.mutants.graders import Grader, GraderError
from jobs.mutants.trees import SCREEN

_LIST = build.ROOT / "fuzz" / "equivalent_mutants.toml"
_RESULTS = build.results_directory()
_BAR = 95.0  # the least share of mutants that targets must kill in 10 s, in percent
_LASTING = ("control", "killed-60", "survived")  # outcomes that depend on the number of seconds
REACH_SECONDS = 20  # for which a target runs on the original, to find out what it executes


# These graders get, in this order, the mutants that the targets let live.
_TESTS = ("tests", "replay", "sanitized", "threads")


class MutantsError(Exception):
    """Something that ends the job with status 1."""


_LIBRARIES = ("ffgrant_core", "ffgrant_claims")  # those that hold the part "core"


class Journal:
    """Keeps the results so far, one on each line, so that an interrupted run can go on. The run
    can go on even after some targets have changed: a result holds the states (Tree.states) of
    what the result depends on."""

    def __init__(self, path, resume):
        self._path = path
        self._lock = threading.Lock()
        self._results = {}  # id -> result
        path.parent.mkdir(parents=True, exist_ok=True)
        if resume and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    result = json.loads(line)
                except ValueError:
                    continue  # the line was cut off
                self._results[result["id"]] = result
        path.write_text("".join(json.dumps(r) + "\n" for r in self._results.values()),
                        encoding="utf-8")

    def result(self, name, states, settings, seconds):
        """The result of this id, if all that it depends on is still the same; None otherwise. A
        result that came within FAST_SECONDS doesn't depend on the total number of seconds."""
        result = self._results.get(name)
        if result is None or result["settings"] != settings:
            return None
        if result["seconds"] != seconds and (
                result["outcome"] in _LASTING
                or min(result["seconds"], seconds) < runner.FAST_SECONDS):
            return None
        same = all(states.get(key) == state for key, state in result["states"].items())
        return result if same else None

    def add(self, result):
        with self._lock:
            self._results[result["id"]] = result
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(result) + "\n")


class Job:
    """One grading: workers that take mutants from a sample until it is complete."""

    def __init__(self, terminal, arguments, originals, by_file, sample, equivalents):
        self.terminal = terminal
        self.arguments = arguments
        self.by_file = by_file  # file -> all its mutants
        self.originals = originals  # file -> text
        self.sample = sample
        self.equivalents = equivalents  # ids
        self.kind = trees.PLAIN if arguments.plain else trees.FUZZ
        self.wrapper = sanitizer_wrapper()
        self.children = runner.Children()
        self.settings = [self.kind.name, *runner.SEEDS]
        self.journal = Journal(trees.ROOT / "results.jsonl", arguments.resume)
        self.targets = {}  # name -> Target
        self.states = {}  # target -> its state; "": the state of all targets together
        self.reach: Any = None  # a reach.Reach, once reach is measured
        self.results = []  # the results of this run's mutants
        self.doing = {}  # worker -> what the worker is doing
        self._lock = threading.Lock()
        self._printing = threading.Lock()
        self._start = time.monotonic()  # when the grading began, once it has begun
        self._graded_here = 0

    def say(self, worker, text):
        self.doing[worker] = text

    def progress(self):
        done, count = self.sample.done(), self.sample.count
        left = ""
        if self._graded_here:
            seconds = (time.monotonic() - self._start) / self._graded_here * (count - done)
            left = f", about {duration(seconds)} left"
        killed = sum(r["outcome"].startswith("killed") for r in self.results)
        doing = "; ".join(text for _, text in sorted(self.doing.copy().items()))
        with self._printing:
            self.terminal.progress(f"{done} of {count}, {killed} killed{left}: {doing}")

    def prepare(self, worker):
        """Makes a worker's tree with the builds of the unchanged sources."""
        tree = trees.Tree(self.children, worker, self.wrapper)
        self.say(worker, "copying the sources")
        tree.synchronize()
        tree.configure(SCREEN)
        tree.configure(self.kind)
        with self._lock:
            if not self.targets:
                self.targets = {name: runner.make_target(name, tree.source / "fuzz")
                                for name in tree.targets(self.kind)}
                if not self.targets:
                    raise MutantsError("the build makes no fuzz targets")
        self.say(worker, "building the original without instrumentation")
        tree.build_original(SCREEN, self.screened())
        tree.remember_objects()
        self.say(worker, "building the fuzz targets of the original")
        tree.build_original(self.kind, list(self.targets))
        with self._lock:
            if not self.states:
                self.states = tree.states(self.kind, self.targets)
                self.states[""] = trees.joint(self.states)
        return tree

    def screened(self):
        return [*_LIBRARIES, *(name.replace("_fuzzer", "_target") for name in self.targets)]

    def measure_reach(self, worker, tree):
        with self._lock:
            if self.reach is None:
                self.reach = reach.load_or_measure(
                    self.children, tree, list(self.targets.values()), REACH_SECONDS,
                    self.states, lambda text: self.say(worker, text))

    def needed(self):
        """The names of the targets that any mutant of the sample's files may need."""
        names = set()
        for file, mutants in self.by_file.items():
            if file in self.sample.files:
                # All mutants of a line need the same targets.
                for mutant in {m.line: m for m in mutants}.values():
                    names.update(self.reach.fitting(mutant, self.originals[file]))
        return sorted(names)

    def control(self, worker, tree, name):
        """Runs a target on the original, where it must find nothing with any seed. The first seed
        gets the most time that a mutant can get. The other seeds get the time that most mutants
        need."""
        key = f"control:{name}"
        result = self.journal.result(key, self.states, self.settings, self.arguments.seconds)
        if result is None:
            fuzzing, runs = tree.fuzzing(self.kind), []
            for seed in runner.SEEDS:
                self.say(worker, f"control: {name}, seed {seed}")
                runs.append(fuzzing.run(self.targets[name], seed, self.control_seconds(seed)))
            result = {"id": key, "outcome": "control", "runs": [run.as_dict() for run in runs],
                      "states": {name: self.states[name]}, "settings": self.settings,
                      "seconds": self.arguments.seconds}
            # A control that failed is not kept, so it runs again next time.
            if not any(run.killed for run in runs):
                self.journal.add(result)
        return result

    def control_seconds(self, seed):
        first = seed == runner.SEEDS[0]
        return self.arguments.seconds if first else min(
            runner.FAST_SECONDS, self.arguments.seconds)

    def seconds_of(self, mutant):
        """The seconds that each target gets for the mutant with each seed. For an equivalent mutant
        the argument is the proof, and the runs are there to show when the argument is wrong."""
        longest = runner.FAST_SECONDS if mutant.id in self.equivalents else float("inf")
        return min(self.arguments.seconds, longest)

    def judge(self, worker, tree, mutant):
        """The result of one mutant, as it goes into the journal."""
        original, seconds = self.originals[mutant.file], self.seconds_of(mutant)
        result = {"id": mutant.id, "file": mutant.file, "operator": mutant.operator,
                  "line": mutant.line, "outcome": "", "targets": [], "runs": [],
                  "diff": sampling.diff(mutant, original), "settings": self.settings,
                  "seconds": seconds, "states": {"": self.states[""]}}
        place = f"{mutant.file}:{mutant.line} {mutant.operator}"
        tree.write(mutant.file, mutant.text)
        try:
            self.say(worker, f"{place}: compiling")
            built, _ = tree.build(SCREEN, self.screened())
            if not built:
                return {**result, "outcome": "does-not-compile"}
            if not tree.objects_changed():
                return {**result, "outcome": self._identical(worker, tree, mutant)}
            targets = self.reach.fitting(mutant, original)
            result["targets"] = targets
            if not targets:
                return {**result, "outcome": "unreached"}
            self.say(worker, f"{place}: building {len(targets)} targets")
            built, _ = tree.build(self.kind, targets)
            if not built:
                return {**result, "outcome": "does-not-compile"}
            fuzzing = tree.fuzzing(self.kind)

            def run(target, seed, limit):
                self.say(worker, f"{place}: {target.name}, seed {seed}")
                return fuzzing.run(target, seed, limit)

            runs = runner.grade(run, [self.targets[name] for name in targets], seconds)
            # A kill doesn't depend on the targets that didn't run.
            outcome = runner.outcome(runs, seconds)
            needed = targets if outcome == "survived" else {run.target for run in runs}
            return {**result, "outcome": outcome, "runs": [run.as_dict() for run in runs],
                    "states": {name: self.states[name] for name in sorted(needed)}}
        finally:
            tree.restore(mutant.file)

    def _identical(self, worker, tree, mutant):
        """Tells why a mutant left the objects unchanged: it is "identical", or it is "unused",
        because no object holds the function."""
        text = trees.probe(self.originals[mutant.file], mutant.line)
        if not mutant.file.endswith(".h") or text is None:
            return "identical"
        self.say(worker, f"{mutant.file}:{mutant.line}: is it compiled at all")
        tree.write(mutant.file, text)
        built, _ = tree.build(SCREEN, self.screened())
        return "identical" if not built or tree.objects_changed() else "unused"

    def work(self, worker, ready):
        """What a worker does from start to end. `ready` is a barrier: no mutant is graded before
        the controls are done."""
        tree = self.prepare(worker)
        self.measure_reach(worker, tree)
        ready.wait()
        for place, name in enumerate(self.needed()):
            if place % self.arguments.jobs == worker - 1:
                control = self.control(worker, tree, name)
                found = [run for run in control["runs"] if run["killed"]]
                if found:
                    raise MutantsError(f"{name} fails on the original, seed {found[0]['seed']}: "
                                       f"{found[0]['how']}, {found[0]['note']}")
        ready.wait()
        self._start = time.monotonic()
        while True:
            with self._lock:
                mutant = self.sample.draw()
                waiting = any(sample.in_flight for sample in self.sample.files.values())
            if mutant is None:
                if not waiting:
                    self.doing.pop(worker, None)
                    return
                self.say(worker, "waiting")
                self.children.wait(0.2)
                continue
            result = self._known(mutant)
            fresh = result is None
            if fresh:
                result = self.judge(worker, tree, mutant)
                self.journal.add(result)
            with self._lock:
                usable = result["outcome"] in summary.GRADED
                self.sample.put_back(mutant, usable)
                self.results.append(result)
                self._graded_here += fresh and usable
                if fresh and usable:
                    self._show(result)

    def _known(self, mutant):
        """The result that an earlier run found for a mutant, if it still holds."""
        result = self.journal.result(
            mutant.id, self.states, self.settings, self.seconds_of(mutant))
        if result and result["outcome"] == "survived" and result["targets"] != self.reach.fitting(
                mutant, self.originals[mutant.file]):
            return None  # other targets fit now, and may kill the mutant
        return result and {**result, "line": mutant.line}

    def _show(self, result):
        text = f"{result['outcome']:<10} {result['id']} (line {result['line']})"
        kills = runner.fastest_kills([runner.Run(**run) for run in result["runs"]])
        if kills:
            text += f"  {kills[0].target[:-len('_fuzzer')]}: {kills[0].note}"
        bad = result["outcome"] in summary.ALIVE
        with self._printing:
            self.terminal.line(self.terminal.bad(text[:100]) if bad else text[:100])

    def run(self):
        ready = threading.Barrier(self.arguments.jobs)
        with futures.ThreadPoolExecutor(self.arguments.jobs) as pool:
            workers = [pool.submit(self.work, number, ready)
                       for number in range(1, self.arguments.jobs + 1)]
            try:
                while not all(worker.done() for worker in workers):
                    self.progress()
                    if any(w.done() and w.exception() for w in workers):
                        break
                    time.sleep(0.5)
            finally:
                # All workers are stopped, even if one failed or the user interrupts.
                self.children.stop()
                ready.abort()
            for worker in workers:
                error = worker.exception()
                if error and not isinstance(
                        error, (runner.Stopped, threading.BrokenBarrierError)):
                    raise error
        self.terminal.clear()


def _ask_tests(terminal, arguments, job, equivalents):
    """Lets tests judge the mutants that targets have let live and that no argument excuses."""
    left = [result for result in job.results
            if result["outcome"] in summary.ALIVE and result["id"] not in equivalents]
    if not left:
        return
    work = trees.ROOT / "tests"
    judge = by_tests.Judge(Grader(terminal, arguments.seconds, arguments.jobs, work), _TESTS,
                           work / "results.jsonl", arguments.resume)
    mutants = {m.id: m for found in job.by_file.values() for m in found}
    for number, result in enumerate(left, 1):
        judged = judge.result(mutants[result["id"]])
        if judged.way:
            result["outcome"] = "killed-by-tests"
            result["killer"] = f"{judged.way}: {judged.killer}"
        elif judged.unusable:  # no test can tell the mutant from the original
            result["tests_said"] = by_tests.UNUSABLE[judged.unusable]
        else:
            result["executed_by"] = judged.executed_by
        line = (f"{number} of {len(left)}  {judged.way or 'SURVIVED'}  {result['id']} "
                f"(line {result['line']})  {judged.killer}")[:120]
        terminal.line(line if judged.way else terminal.bad(line))


def _list(terminal, mutants, originals):
    for mutant in mutants:
        changed = [line for line in sampling.diff(mutant, originals[mutant.file])
                   if line.startswith("+")]
        terminal.line(f"{mutant.id}  {mutant.line}  {' '.join(changed[0][1:].split())}"
                      if changed else f"{mutant.id}  {mutant.line}")


def _sample(arguments, by_file):
    if arguments.only:
        chosen: dict[str, list] = {}
        for mutants in by_file.values():
            for mutant in mutants:
                if mutant.id in arguments.only:
                    chosen.setdefault(mutant.file, []).append(mutant)
        found = sum(len(mutants) for mutants in chosen.values())
        if found != len(set(arguments.only)):
            raise MutantsError("--only: no such mutant (see --list)")
        return sampling.Sample(chosen, found, arguments.seed)
    wanted = {file: mutants for file, mutants in by_file.items()
              if not arguments.file or file in arguments.file}
    return sampling.Sample(wanted, arguments.count, arguments.seed)


def _facts(arguments, job):
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    command = "./scripts/mutants " + shlex.join(
        [f"--count={arguments.count}", f"--seed={arguments.seed}", f"--jobs={arguments.jobs}",
         f"--seconds={arguments.seconds}", *(f"--grader={name}" for name in arguments.grader)])
    ways = ", ".join(f"{how} {count}" for how, count in summary.ways(job.results))
    killers = ", ".join(f"{name} {count}" for name, count in summary.by_target(job.results))
    return [
        ("date", date), ("command", f"`{command}`"), *machine.basic(),
        ("compiler", machine.first_line([job.kind.compiler, "--version"])),
        ("flags", f"{job.kind.flags} {job.kind.engine}"),
        ("sources", parts.NAMES["core"]), ("method", summary.method(arguments)),
        ("control", f"each of the {len(job.needed())} targets that fit a mutant ran on the "
         f"original, {job.control_seconds(1)} s with one seed and {job.control_seconds(2)} s with "
         "each of the others, and found nothing"),
        ("replaced by others", summary.unusable(job.results)),
        ("killed by", ways), ("fastest target", killers)]


def _finish(terminal, arguments, job, equivalents, known_ids):
    results = sorted(job.results, key=lambda result: result["id"])
    whole = not (arguments.file or arguments.only or arguments.plain)
    for table in [*summary.tables(results, equivalents),
                  summary.to_kill(summary.graded(results))]:
        if table:
            terminal.line()
            for line in report.as_text(table, terminal):
                terminal.line(line)
    for result in summary.graded(results):
        if result["outcome"] in summary.ALIVE and result["id"] not in equivalents:
            terminal.line()
            terminal.line(f"{result['outcome']}: {result['id']}, line {result['line']}; targets "
                          f"that fit: {', '.join(result['targets']) or 'none'}; tests that "
                          f"execute it: {', '.join(result.get('executed_by', ())) or 'none'}")
            for line in result["diff"]:
                terminal.line(line)
    errors = summary.list_errors(equivalents, results, known_ids)
    terminal.line()
    for error in errors:
        terminal.line(terminal.bad(error))
    if whole:
        path = _RESULTS / "mutants.md"
        summary.document(results, equivalents, _facts(arguments, job)).write(path)
        terminal.line(f"written: {build.shown(path)}")
    total = summary.score(results, equivalents)
    terminal.line(f"replaced by others: {summary.unusable(results)}")
    terminal.line(f"{total.graded} mutants: {total.fast} killed in 10 s ({total.share:.1f} %), "
                  f"{total.slow} later, {total.tests} by tests, {total.left} survived, "
                  f"{total.equivalent} equivalent")
    return 0 if total.share >= _BAR and not total.left and not errors else 1


def _job(terminal, arguments):
    equivalents = summary.read_equivalents(
        _LIST.read_text(encoding="utf-8") if _LIST.exists() else "")
    originals = parts.sources(arguments.part)
    unknown = [name for name in arguments.file if name not in originals]
    if unknown:
        raise MutantsError(f"{unknown[0]}: not a source of that part, below core/ffgrant")
    by_file = {file: parts.mutants_of(file, text) for file, text in originals.items()}
    mutants = [mutant for file in by_file for mutant in by_file[file]]
    if arguments.list:
        _list(terminal, [m for m in mutants if not arguments.file or m.file in arguments.file],
              originals)
        return 0
    if arguments.diff:
        found = [mutant for mutant in mutants if mutant.id == arguments.diff]
        if not found:
            raise MutantsError(f"{arguments.diff}: no such mutant (see --list)")
        for line in sampling.diff(found[0], originals[found[0].file]):
            terminal.line(line)
        return 0
    sample = _sample(arguments, by_file)
    if arguments.part in by_tests.WAYS:
        return by_tests.run(terminal, arguments, sample, equivalents, parts.all_ids())
    job = Job(terminal, arguments, originals, by_file, sample, equivalents)
    job.run()
    if not arguments.grader:
        _ask_tests(terminal, arguments, job, equivalents)
    return _finish(terminal, arguments, job, equivalents, parts.all_ids())


def main(arguments):
    terminal = Terminal()
    processes.raise_on_signals()
    try:
        if arguments.list or arguments.diff:  # these change nothing, so they need not wait
            return _job(terminal, arguments)
        with build.locked(terminal, "mutants"):
            return _job(terminal, arguments)
    except processes.Interrupted as interrupted:
        terminal.line(f"mutants: stopped by {interrupted}; --resume goes on")
        return interrupted.exit_status
    except (MutantsError, GraderError, trees.TreeError, summary.ListError) as error:
        terminal.line(f"mutants: {error}")
        return 1
