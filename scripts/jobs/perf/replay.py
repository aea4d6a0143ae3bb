# SPDX-License-Identifier: Apache-2.0
"""Replays the gate's procedure on recorded rounds, any number of times.

A recording (JSON) has rounds under each condition. A round has for each benchmark the nanoseconds
of each arm, in the order of "benchmarks" and "arms". A replay begins at a round drawn by chance and
goes on from there, around the end if need be. So neighbouring rounds stay neighbours, and the noise
of a machine that is busy for a minute stays together. A replay sees no round twice, so a
confirmation has fresh pairs; a third of the rounds is kept back for the confirmation. When no
unseen round is left, the replay's time is up. Chance also decides which of the three equal programs
is the base, which is the base's copy, and which is the head that is as fast as the base.
"""

import json
import statistics
from collections import Counter
from dataclasses import dataclass, field

from jobs.perf import decide
from jobs.perf.error import PerfError

CONDITIONS = ("plain", "hog")
SLOWDOWNS = (3, 5, 10)
# Arm -> by how many percent it is slower. Three arms are equal: base, its copy, and an equal head.
ARMS = {"a": 0, "b": 0, "c": 0, **{str(percent): percent for percent in SLOWDOWNS}}
_EQUAL = ("a", "b", "c")
_SHARE_SLOWER = 4  # in a replay one benchmark in this many is slower

INDEPENDENCE = """\
Each cell has {replays} replays of the gate on {rounds} recorded rounds (jobs/perf/replay.py). They
draw where they begin, the roles of the equal programs and the slower benchmarks by chance, but
share rounds: {rounds} rounds hold one run of 20 pairs and its confirmation, or a few of 10, that
have none in common. The intervals below take replays for independent, and so are narrower than they
should be."""

# The data of these benchmarks is larger than a core's own caches, so their time depends on other
# programs too.
FAR = ("BM_Chase_Selftest/2097152", "BM_Chase_Selftest/8388608")


@dataclass
class Tally:
    """The verdicts on several benchmarks in several replays."""
    verdicts: Counter = field(default_factory=Counter)
    pairs: list = field(default_factory=list)

    def add(self, result):
        self.verdicts[result.verdict] += 1
        self.pairs.append(result.pairs)

    @property
    def total(self):
        return sum(self.verdicts.values())

    def count(self, *verdicts):
        return sum(self.verdicts[verdict] for verdict in verdicts)

    def share(self, *verdicts):
        return self.count(*verdicts) / self.total if self.total else 0.0

    @property
    def median_pairs(self):
        return statistics.median(self.pairs) if self.pairs else 0


@dataclass
class Cell:
    """The replays of one condition and slowdown. far: the slower benchmarks that are in FAR; near:
    the other slower ones; equal: the benchmarks that are not slower. false_suites: the number of
    replays in which one of these regressed; suspected_suites: in which one was suspected."""
    condition: str
    slowdown: int
    replays: int = 0
    false_suites: int = 0
    near: Tally = field(default_factory=Tally)
    far: Tally = field(default_factory=Tally)
    equal: Tally = field(default_factory=Tally)
    suspected_suites: int = 0


def load(path):
    """Reads a recording from its file; raises PerfError if the file is no recording."""
    try:
        recording = json.loads(path.read_text(encoding="utf-8"))
        arms, names = len(recording["arms"]), len(recording["benchmarks"])
        whole = recording["arms"] == list(ARMS) and all(
            len(times) == names and all(len(each) == arms and min(each) > 0 for each in times)
            for condition in CONDITIONS
            for times in recording["conditions"][condition]["rounds"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PerfError(f"{path}: {error!r}") from None
    if not whole:
        raise PerfError(f"{path}: a round has not all benchmarks and arms")
    return recording


def dump(recording):
    """The text of a recording, with one round on each line."""
    lines = []
    head = {key: value for key, value in recording.items() if key != "conditions"}
    lines.append(json.dumps(head)[:-1] + ', "conditions": {')
    for number, (name, condition) in enumerate(recording["conditions"].items()):
        rest = {key: value for key, value in condition.items() if key != "rounds"}
        lines.append(("," if number else "") + json.dumps(name) + ": " + json.dumps(rest)[:-1]
                     + ', "rounds": [')
        rows = [json.dumps(times, separators=(",", ":")) for times in condition["rounds"]]
        lines.append(",\n".join(rows) + "]}")
    return "\n".join(lines) + "}}\n"


class Source(decide.Source):
    """The source from which one replay takes its rounds: arms of the recording, in the roles that
    were drawn."""

    def __init__(self, recording, condition, roles, slower, slowdown, start):
        self._names = recording["benchmarks"]
        self._rounds = recording["conditions"][condition]["rounds"]
        arms = recording["arms"]
        self._base, self._copy, self._equal = (arms.index(role) for role in roles)
        self._slower = slower
        self._slow = arms.index(str(slowdown)) if slowdown else self._equal
        self._start = start
        self._kept_back = len(self._rounds) // 3
        self.used = 0

    def fresh(self, names):
        """Begins the confirmation, for which the rounds that were kept back may be used."""
        self._kept_back = 0

    def take(self, names, count):
        count = max(0, min(count, len(self._rounds) - self._kept_back - self.used))
        rounds = []
        for _ in range(count):
            times = self._rounds[(self._start + self.used) % len(self._rounds)]
            self.used += 1
            rounds.append({name: self._of(name, each) for name, each in zip(self._names, times)})
        return [{name: each[name] for name in names} for each in rounds]

    def _of(self, name, each):
        head = self._slow if name in self._slower else self._equal
        return each[self._base], each[self._copy], each[head]


def replay(recording, cell, random):
    """Replays one run of the gate, and adds its verdicts to the cell."""
    names = recording["benchmarks"]
    roles = random.sample(_EQUAL, 3)
    slower = set(random.sample(names, len(names) // _SHARE_SLOWER)) if cell.slowdown else set()
    start = random.randrange(len(recording["conditions"][cell.condition]["rounds"]))
    source = Source(recording, cell.condition, roles, slower, cell.slowdown, start)
    results = decide.decide(names, source)
    cell.replays += 1
    equal = set()  # the verdicts on what is not slower
    for name, result in results.items():
        if name in slower:
            (cell.far if name in FAR else cell.near).add(result)
        else:
            cell.equal.add(result)
            equal.add(result.verdict)
    cell.false_suites += decide.REGRESSED in equal
    cell.suspected_suites += decide.SUSPECTED in equal


def cells(recording, replays, random, progress=lambda text: None):
    """A Cell for each condition and slowdown, and for each condition without a slowdown."""
    made = []
    for condition in CONDITIONS:
        for slowdown in (0, *SLOWDOWNS):
            cell = Cell(condition, slowdown)
            for number in range(replays):
                progress(f"replaying {condition}, {slowdown}%: {number + 1} of {replays}")
                replay(recording, cell, random)
            made.append(cell)
    return made


def proportion(count, total):
    """The exact confidence interval of 95 %, Clopper and Pearson's."""
    from scipy.stats import binomtest
    bounds = binomtest(count, total).proportion_ci(0.95, method="exact")
    return bounds.low, bounds.high


def forty_benchmarks(recording, equal_cells):
    """The seconds that the gate takes for 40 benchmarks that are equally fast in base and head: a
    round has three processes, and only undecided benchmarks run. The seconds of a process are those
    of the condition "plain"."""
    processes = 3 * recording["conditions"]["plain"]["seconds_a_process"]
    a_benchmark = processes / len(recording["benchmarks"])
    pairs = statistics.mean(count for cell in equal_cells if cell.condition == "plain"
                            for count in cell.equal.pairs)
    return 40 * pairs * a_benchmark
