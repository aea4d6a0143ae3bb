# SPDX-License-Identifier: Apache-2.0
"""Runs rounds of processes of several arms, such as base, a second copy of base, and head
(jobs.perf.decide).

In a round every program runs once with all benchmarks that are asked for, in an order drawn by
chance. Where this works, programs run from copies whose paths all have one length (a path's length
moves the stack). Fresh copies are made now and then, because the pages of memory in which a file
lies make a difference between two programs, and no number of processes averages this difference
out.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

from jobs.common.terminal import duration
from jobs.perf import decide, samples, scratch, trial as perf_trial
from jobs.perf.account import Benchmark, Unmeasured, account, slowed
from jobs.perf.clock import Clock, Pace  # noqa: F401 (Clock: for callers)
from jobs.perf.copies import Copies
from jobs.perf.error import PerfError
from jobs.perf.first_run import SKIP_CHECK, FirstRun, stall

_ROUNDS_PER_COPY = 10
FEWEST_PAIRS = 6  # with fewer there is no interval of 95 %
_MOST_STRIKES = 3  # after this many deaths of an arm, the benchmarks that were asked for are lost


@dataclass(frozen=True)
class Suite:
    """Programs with the same benchmarks, as arm -> Program. If there are several arms, the first is
    the base. filter: in place of the run's filter."""
    name: str
    arms: dict
    filter: str | None = None


@dataclass
class Facts:
    """What a run learnt about its suites. incidents: texts on suites that could not be prepared or
    list no benchmark, and on processes that failed in the rounds although the trial had worked."""
    contexts: dict = field(default_factory=dict)  # suite -> the "context" that was written last
    notes: dict = field(default_factory=dict)  # Benchmark -> a remark
    words: dict = field(default_factory=dict)  # (suite, arm) -> a process's last output
    incidents: list = field(default_factory=list)


class Live(decide.Source):
    """Runs rounds. A Live is used as a context; a Decision, or scripts/perf record, takes its
    rounds from take()."""

    def __init__(self, terminal, suites, filter_text, effort, clock, seed=None, raw=None,
                 directory=None):
        """raw: a folder that gets the JSON of every process; directory: where files go."""
        self._terminal = terminal
        self._suites = suites
        self._filter = filter_text
        self._effort = effort
        self._clock = clock
        self._random = random.Random(seed)
        self._raw = raw
        self._temporary = scratch.folder(directory)
        self._trials = {}  # suite -> its trials, by arm
        self._paces = {}  # (suite, arm) -> Pace
        self._all = {}  # (suite, arm) -> all keys of the program, if no filter left some out
        self._strikes = {}  # (suite, arm) -> processes that died
        self._done = 0
        self._phase = 0
        self.stage = "measuring"
        self.rounds_wanted = None
        self.facts = Facts()
        self.benchmarks = []  # the benchmarks that all arms measure
        self.unmeasured = []  # list of Unmeasured
        self.lost: set = set()

    def __enter__(self):
        try:
            self._directory = Path(self._temporary.name)
            if self._raw:
                self._raw.mkdir(parents=True, exist_ok=True)
                if any(self._raw.iterdir()):
                    raise PerfError(f"{self._raw} is not empty")
            self._copies = Copies(self._suites, self._directory)
            self._copies.renew()
            for suite in self._suites:
                self._prepare_or_tell(suite)
        except BaseException:
            self._temporary.cleanup()
            raise
        return self

    def __exit__(self, *_reason):
        self._temporary.cleanup()
        self._terminal.clear()
        return False

    @property
    def contexts(self):
        return self.facts.contexts

    # The members below tell other sources what they need to know of the programs.

    @property
    def target(self):
        """A file for the JSON of a process."""
        return self._directory / "out.json"

    def arms(self, suite):
        """The names of a suite's arms, the base first."""
        return next(list(each.arms) for each in self._suites if each.name == suite)

    def program(self, suite, arm):
        """The Program of an arm, as it is run now."""
        return self._copies.programs[suite, arm]

    def renew(self):
        """Makes new copies of all programs."""
        self._copies.renew()

    def slowed(self, names, ratios):
        """Returns an Unmeasured for each of the names that is itself several times slower in the
        head, if that is why the time did not suffice. ratios: head / base of the names that were
        measured in pairs."""
        return [one for suite, trials in self._trials.items()
                for one in slowed(trials, [name for name in names if name.suite == suite], ratios)]

    # The methods below make the trial.

    def _prepare_or_tell(self, suite):
        """Prepares a suite. If the suite fails and there are other suites, the others still run."""
        try:
            self._prepare(suite)
        except PerfError as error:
            if len(self._suites) == 1:
                raise
            self.facts.incidents.append(str(error).splitlines()[0])

    def _prepare(self, suite):
        """Lists the benchmarks of each program and runs them once, with the program's own check, to
        learn their time. Arms of one program share this trial."""
        wanted = self._filter if suite.filter is None else suite.filter
        first = FirstRun(self._terminal, self._copies, wanted, self._effort, self._clock,
                         self.target, self.keep if self._raw else None)
        made, trials = {}, {}
        for arm, program in suite.arms.items():
            who = (program.path, program.arguments, tuple(sorted(program.environment.items())))
            if who not in made:
                made[who] = first.trial(suite, arm)
            trials[arm] = made[who]
        self._trials[suite.name] = trials
        compared, left_out = account(suite.name, trials)
        if len(self._suites) > 1 and not self._filter and not any(
                trial.listed for trial in trials.values()):
            self.facts.incidents.append(f"{suite.name}: the programs list no benchmark")
        self.benchmarks += compared
        self.unmeasured += left_out
        for arm, trial in trials.items():
            self.facts.contexts[suite.name] = trial.context
            if trial.words and arm != "copy":
                self.facts.words[suite.name, arm] = trial.words
            for key, note in trial.notes.items():
                self.facts.notes[Benchmark(suite.name, key)] = note
            self._paces[suite.name, arm] = Pace(
                trial.start, (trial.seconds - trial.start) / max(1, len(trial.times)))
            if not wanted:
                self._all[suite.name, arm] = frozenset(trial.listed)

    # The methods below make the rounds.

    def seconds(self, suite, arm, count):
        """The seconds that a process of this arm with this many benchmarks will take."""
        return self._paces[suite, arm].seconds(count)

    def round_seconds(self, benchmarks):
        """The seconds that a round with these benchmarks will take."""
        counts = {}
        for benchmark in benchmarks:
            counts[benchmark.suite] = counts.get(benchmark.suite, 0) + 1
        return sum(self.seconds(suite.name, arm, counts[suite.name])
                   for suite in self._suites if suite.name in counts for arm in suite.arms)

    def affords(self, names, count):
        seconds = self.round_seconds(names)
        return count if seconds <= 0 else max(0, min(count, int(self._clock.left() / seconds)))

    def _show(self):
        wanted = f" of {self.rounds_wanted}" if self.rounds_wanted else ""
        self._terminal.progress(
            f"{self.stage}: pair {self._done + 1}{wanted}, {duration(self._clock.elapsed())} gone, "
            f"{self._left_text}")

    _left_text = ""
    _time_is_up = False

    def take(self, names, count):
        rounds = []
        self.rounds_wanted = self._done + count
        for number in range(count):
            seconds = self.round_seconds(names)
            if seconds > self._clock.left() or self._time_is_up:
                break
            self._left_text = (f"{len(names)} benchmarks undecided, next look in about "
                               f"{duration(seconds * (count - number))}")
            if self._done and self._done % _ROUNDS_PER_COPY == 0:
                self._copies.renew()
            times = self._round(names)
            if times is None:
                break
            rounds.append(times)
            self._done += 1
            if self.lost & set(names):
                break
        return rounds

    def fresh(self, names):
        """Makes new copies of all programs for the rounds from now on."""
        self.stage = f"confirming {len(names)}"
        self._phase += 1
        self._done = 0
        self._copies.renew()

    def _round(self, names):
        """Runs a round. Returns name -> its times, in the order of the arms, without suites that
        failed; None if the time is up."""
        times = {}
        suites = list(self._suites)
        self._random.shuffle(suites)
        for suite in suites:
            asked = [name for name in names if name.suite == suite.name and name not in self.lost]
            if asked:
                found = self._round_of(suite, asked)
                if found is None:
                    return None
                times.update(found)
        return times

    def _round_of(self, suite, asked):
        arms = list(suite.arms)
        self._random.shuffle(arms)
        of_arm = {}
        for arm in arms:
            of_arm[arm] = self._process(suite, arm, asked)
            if of_arm[arm] is None:
                return None if self._time_is_up else {}
        return {name: tuple(of_arm[arm][name] for arm in suite.arms) for name in asked
                if all(name in of_arm[arm] for arm in arms)}

    def _process(self, suite, arm, asked):
        """Runs one process of an arm, or several if the filter would be too long. Returns Benchmark
        -> nanoseconds; None if a process failed or the time is up."""
        program = self._copies.programs[suite.name, arm]
        waiting = [name.key for name in asked]
        found, seconds = {}, 0.0
        whole = self._all.get((suite.name, arm)) == frozenset(waiting)
        while waiting:
            names = set(samples.batches([key.name for key in waiting])[0])
            group = waiting if whole else [key for key in waiting if key.name in names]
            expected = self.seconds(suite.name, arm, len(group))
            left = self._clock.left()
            limit = min(left, max(10 * expected, expected + stall(self._clock)))
            run = program.measure(
                [key.name for key in group], self._effort, self._directory / "out.json",
                max(0.05, limit), filter_text="." if whole else None, on_tick=self._show)
            self.keep(suite.name, samples.round_name(self._phase, self._done), arm, run.data)
            self.facts.contexts[suite.name] = run.context or self.facts.contexts[suite.name]
            if run.ended.failed or not run.whole:
                if run.ended.stopped and limit == left:
                    self._time_is_up = True
                else:
                    self._blame(suite, arm, asked, run)
                return None
            found.update((key, run.readings[key]) for key in waiting if key in run.readings)
            seconds += run.ended.seconds
            waiting = [key for key in waiting if key not in found and key not in group]
        self._paces[suite.name, arm].saw(len(asked), seconds)
        times = {}
        for name in asked:
            reading = found.get(name.key)
            if reading is None or reading.ns is None:
                self._lose(name, arm, reading.reason if reading else "left no row")
            else:
                times[name] = reading.ns
        return times

    def keep(self, suite, label, arm, data):
        """Writes a process's JSON into the folder that gets all of them, and returns its path.
        Returns None if nobody asked for that."""
        if not self._raw:
            return None
        path = self._raw / f"{suite.replace('/', '-')}.{label}.{arm}.json"
        while path.exists():
            path = path.with_suffix(".more.json")
        path.write_bytes(data)
        return path

    def _lose(self, name, arm, reason):
        arm = "base" if arm == "copy" else arm
        if name not in self.lost:
            self.lost.add(name)
            self.unmeasured.append(Unmeasured(name, {arm: reason}, True))

    def _blame(self, suite, arm, asked, run):
        """Looks for the reason why a process failed during the rounds: tries the benchmarks that
        were asked for once more, and loses those that fail again. After _MOST_STRIKES failures of
        the arm, all that were asked for are lost."""
        self._strikes[suite.name, arm] = self._strikes.get((suite.name, arm), 0) + 1
        self.facts.words[suite.name, arm] = run.ended.words(
            leave_out=samples.BANNER)
        why = run.ended.why() if run.ended.failed else "ended early with status 0"
        self.facts.incidents.append(f"{arm}: a process of {suite.name} {why}")
        limits = perf_trial.Limits(self._clock.left, stall(self._clock))
        found = perf_trial.run(
            self._copies.programs[suite.name, arm], tuple(name.key for name in asked),
            self._effort, self._directory / "out.json", limits,
            keep=lambda data: self.keep(suite.name, "blame", arm, data))
        for name in asked:
            if name.key in found.reasons and name.key not in found.late:
                self._lose(name, arm, found.reasons[name.key])
        if self._strikes[suite.name, arm] >= _MOST_STRIKES:
            for name in asked:
                self._lose(name, arm, f"the program {why}, and did so "
                                      f"{self._strikes[suite.name, arm]} times")


def environment_of(paths):
    """The environment variables for programs of this project. paths: the program of each arm.

    The programs skip their check only if all of them can: a program that checks itself before it
    measures leaves its memory in another state, and is therefore faster or slower by some percent.
    """
    from jobs.bench import job as bench  # only for this project's own programs
    environment = dict(bench.ENVIRONMENT.get(paths[0].name, {}))
    if all(SKIP_CHECK.encode() in path.read_bytes() for path in paths):
        environment[SKIP_CHECK] = "1"
    return environment
