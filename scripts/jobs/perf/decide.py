# SPDX-License-Identifier: Apache-2.0
"""Holds the gate's procedure, which turns process pairs into a verdict for each benchmark and runs
nothing itself.

A Decision asks a source for rounds of processes until it can give its verdicts. The rounds come
from programs that run now, or from a recording: only the source knows. A round gives three numbers
for a benchmark: the time of the base, the time of a second copy of the base, and the time of the
head. The unit is the pair: log(head / base), and for the A/A arm log(copy / base). There is a look
after 10, 20 and 40 pairs. At each look:

- The interval of 95 % of the A/A arm says how well the machine can tell today. The margin is 2 %
  or three times the half-width of this interval, whichever is more. If the A/A arm's interval at
  this look's own error probability lies wholly beyond 2 %, the benchmark's timing is invalid,
  because two copies of one program differ. This is asked first, and nothing else is told then:
  the head may differ from the base by what the copies differ, and the margin, which is made from
  the width of the A/A interval and not from its place, would not show it.
- regressed, if the interval of log(head / base) lies above the margin; improved, if it lies below
  the negative margin. For these two verdicts, and for invalid, the p-value has to be small enough
  too. In the first measurement it is corrected for the number of benchmarks (Benjamini-Hochberg).
- clean, if the interval lies between the margins, and the margin is not wider than what the gate
  promises to find. At the last look the interval may reach below the negative margin, since that
  is no regression.
- otherwise more pairs are needed; after the last look the benchmark is inconclusive.

Each look spends a part of the error probability, so that three looks together err no more often
than one test. A benchmark that regressed is measured once more from the start, with fresh pairs,
from fresh copies of the programs. Its verdict is regressed only if it regresses in the fresh pairs
too, and clean if it is clean or improved there. If the fresh pairs do not tell, if it fails in
them, or if no time is left for them, the benchmark's verdict is suspected.

Time goes first to the benchmarks about which more pairs tell most, in this order: the first look of
a confirmation, benchmarks that may be slower, further looks of a confirmation, benchmarks that were
never looked at, benchmarks that need more pairs, those that are too noisy to be called clean soon,
and last those that are known for their noise. So benchmarks that are only noisy do not use up the
time that is needed to confirm a slowdown.

Intervals and p-values come from the sign test, so they are about the median. The sign test assumes
no distribution, and a pair that another program spoilt weighs no more than any other pair. Since
the order within a round is drawn by chance, log(head / base) of equal programs is as often positive
as negative.
"""

import math
from typing import NamedTuple

from jobs.perf.look import (  # noqa: F401
    CLEAN,
    IMPROVED,
    INCONCLUSIVE,
    INVALID,
    REGRESSED,
    SUSPECTED,
    Interval,
    Result,
    Rules,
    Samples,
    bounds,
    interval,
    look_at,
    note_of,
    result_of,
    verdict_of,
)


class _P(NamedTuple):
    """The p-values of a look after the correction."""
    slower: float
    faster: float
    differ: float


def _adjusted(looks, family):
    """name -> its p-values, each corrected over the family. A benchmark that has no look yet counts
    as p = 1."""
    table = [(look.slower_p, look.faster_p, look.differ_p) for look in looks.values()]
    table += [(1.0, 1.0, 1.0)] * max(0, family - len(table))
    if len(table) > 1:
        from statsmodels.stats.multitest import fdrcorrection
        table = list(zip(*(fdrcorrection(column)[1] for column in zip(*table))))
    return {name: _P(*map(float, row)) for name, row in zip(looks, table)}


class _Stage:
    """The looks at some benchmarks, in the first measurement or in the confirmation."""

    def __init__(self, alphas, rules, corrected):
        self._alphas = alphas
        self._rules = rules
        self._corrected = corrected
        self.family = 0
        self.samples = {}  # name -> Samples
        self.seen = {}  # name -> how many looks it has had
        # name -> its last Look. A Look stays after its verdict, because p-values are corrected over
        # the whole family.
        self.looks = {}
        self.results = {}

    def add(self, names):
        for name in names:
            self.samples[name] = Samples()
            self.seen[name] = 0
        self.family = len(self.samples)

    def open(self):
        """The benchmarks without a verdict."""
        return [name for name in self.samples if name not in self.results]

    def wanted(self, name):
        return self._rules.looks[self.seen[name]]

    def promises(self, name):
        """Whether the benchmark looks as if it were slower."""
        look = self.looks.get(name)
        return look is not None and look.slower_p <= self._rules.promising

    def is_noisy(self, name):
        look = self.looks.get(name)
        return look is not None and look.margin > self._rules.widest

    def look(self, names, out_of_time=False):
        """Looks at the pairs that these benchmarks have, and gives a verdict where they suffice."""
        names = [name for name in names if len(self.samples[name])]
        numbers = {name: min(self.seen[name], len(self._rules.looks) - 1) for name in names}
        for name in names:
            self.looks[name] = look_at(self.samples[name], self._alphas[numbers[name]], self._rules)
        if self._corrected:
            adjusted = _adjusted(self.looks, self.family)
        else:
            adjusted = {name: _P(look.slower_p, look.faster_p, look.differ_p)
                        for name, look in self.looks.items()}
        for name in names:
            look, p, alpha = self.looks[name], adjusted[name], self._alphas[numbers[name]]
            self.seen[name] += 1
            last = out_of_time or self.seen[name] >= len(self._rules.looks)
            verdict = verdict_of(look, p, alpha, last, self._rules)
            if verdict:
                samples = self.samples[name]
                starved = out_of_time and verdict == INCONCLUSIVE
                self.results[name] = result_of(
                    verdict, samples, look, alpha, p.faster if verdict == IMPROVED else p.slower,
                    note_of(verdict, look, len(samples), starved, self._rules), starved)


def _confirmed(first, second, is_lost):
    """The result after the confirmation: the first result's figures, with the verdict that follows
    from the second result. is_lost: whether the benchmark can't be measured any more."""
    starved = second is None or second.out_of_time
    if second is None and is_lost:
        verdict, note, starved = SUSPECTED, "seemed slower; it failed in fresh pairs", False
    elif second is None:
        verdict, note = SUSPECTED, "seemed slower; no time was left to confirm it"
    elif second.verdict == REGRESSED:
        verdict, note, starved = REGRESSED, "", False
    elif second.verdict in (CLEAN, IMPROVED):
        verdict, note, starved = CLEAN, "seemed slower, not so in fresh pairs", False
    else:
        verdict, note = SUSPECTED, f"seemed slower; fresh pairs could not tell: {second.note}"
    return Result(verdict, first.head, first.same, first.margin, first.p, first.pairs,
                  first.base_ns, first.head_ns, note, second, starved, first.base_least,
                  first.head_least)


class Source:
    """The source from which a Decision takes rounds. This base class knows no limit of time: it
    affords all rounds."""

    lost: set | frozenset = frozenset()  # names that can't be measured any more

    def take(self, names, count):
        """Returns up to `count` new rounds. A round is name -> (base, copy, head), in nanoseconds
        or bytes. There are fewer if the time is up or something failed. Names that are in `lost`
        afterwards are not asked for again."""
        raise NotImplementedError

    def fresh(self, names):
        """A Decision calls this before it measures benchmarks that seem slower again. The rounds
        taken from then on have to be fresh in every respect."""

    def affords(self, names, count):
        """How many of `count` rounds with these names the time allows."""
        return count


class Decision:
    """Decides about benchmarks. run() takes rounds until every benchmark has a verdict or the time
    is up. results() may be called at any time, also after run() was interrupted."""

    def __init__(self, names, source, rules=Rules(), late=()):
        """late: names of benchmarks that are known for their noise; they wait until the others are
        done."""
        self._names = list(names)
        self._source = source
        self._rules = rules
        self._late = set(late)
        self._first = _Stage(rules.alphas, rules, corrected=True)
        self._second = _Stage(rules.confirm_alphas, rules, corrected=False)
        self._first.add(self._names)
        self._given_up = set()  # names that the time does not suffice for

    def run(self):
        while True:
            self._add_suspects()
            stage, names = self._next()
            if not names:
                return
            self._advance(stage, names)

    def _add_suspects(self):
        new = [name for name, result in self._first.results.items()
               if result.verdict == REGRESSED and name not in self._second.samples]
        if new:
            self._second.add(new)

    def _next(self):
        """The stage and the benchmarks about which further rounds tell most now."""
        skip = self._given_up | set(self._source.lost)
        first, second = self._first, self._second
        groups = {}
        for name in second.open():
            if name not in skip:
                groups.setdefault((0 if not second.seen[name] else 2, second.seen[name]),
                                  (second, []))[1].append(name)
        for name in first.open():
            if name in skip:
                continue
            seen = first.seen[name]
            rank = (6 if name in self._late else 3 if not seen else 1 if first.promises(name)
                    else 5 if first.is_noisy(name) else 4)
            groups.setdefault((rank, seen), (first, []))[1].append(name)
        if not groups:
            return None, []
        stage, names = groups[min(groups)]
        return stage, names

    def _fitting(self, stage, names):
        """Returns (as many of the names as the time allows, most telling first; the number of
        rounds). If the time does not suffice for all rounds of even one benchmark, the result is
        one benchmark with fewer rounds."""
        order = sorted(names, key=lambda name: stage.looks[name].slower_p) \
            if stage.seen[names[0]] else names
        count = max(stage.wanted(name) - len(stage.samples[name]) for name in order)
        # Rounds of the confirmation may use all time that is left. Other rounds leave some time for
        # the confirmation.
        wanted = count if stage is self._second else math.ceil(count / self._rules.share)
        low, high = 0, len(order)
        while low < high:
            middle = (low + high + 1) // 2
            if self._source.affords(order[:middle], wanted) >= wanted:
                low = middle
            else:
                high = middle - 1
        if low:
            return order[:low], count
        rounds = self._source.affords(order[:1], wanted)
        if stage is not self._second:
            rounds = int(rounds * self._rules.share)
        return order[:1], min(count, rounds)

    def _advance(self, stage, names):
        """Measures until the next look is due, and looks."""
        names, count = self._fitting(stage, names)
        if count <= 0:
            self._given_up.update(names)
            return
        if stage is self._second and not stage.seen[names[0]]:
            self._source.fresh(tuple(names))
        target = {name: len(stage.samples[name]) + count for name in names}
        out_of_time = any(target[name] < stage.wanted(name) for name in names)
        while True:
            asked = [name for name in names if name not in self._source.lost
                     and len(stage.samples[name]) < target[name]]
            if not asked:
                break
            wanted = target[asked[0]] - len(stage.samples[asked[0]])
            asked = [name for name in asked
                     if target[name] - len(stage.samples[name]) == wanted]
            lost = len(self._source.lost)
            rounds = self._source.take(tuple(asked), wanted)
            for times in rounds:
                for name in asked:
                    if name in times:
                        stage.samples[name].add(*times[name])
            if len(rounds) < wanted and len(self._source.lost) == lost:
                out_of_time = True
                break
        alive = [name for name in names if name not in self._source.lost]
        short = [name for name in alive if len(stage.samples[name]) < stage.wanted(name)]
        stage.look([name for name in alive if name not in short])
        if short and out_of_time:
            stage.look(short, out_of_time=True)
            self._given_up.update(name for name in short if name not in stage.results)

    def results(self):
        """name -> Result, for every benchmark that has at least one pair and is not lost, or seemed
        slower before it was lost."""
        lost = set(self._source.lost)
        first, second = self._first, self._second
        for stage in (first, second):
            stage.look([name for name in stage.open()
                        if name not in lost and len(stage.samples[name])], out_of_time=True)
        self._add_suspects()
        found = {}
        for name in self._names:
            result = first.results.get(name)
            if result and result.verdict == REGRESSED:
                found[name] = _confirmed(result, second.results.get(name), name in lost)
            elif result and name not in lost:
                found[name] = result
        return found

    def pairs_to_settle(self):
        """name -> pairs: the benchmarks for which the time did not suffice, and how many more pairs
        each may need."""
        results = self.results()
        starved = [name for name in self._names if name not in self._source.lost
                   and (name not in results or results[name].out_of_time)]
        confirmation = self._rules.looks[min(1, len(self._rules.looks) - 1)]
        needed = {}
        for name in starved:
            found = results.get(name)
            pairs = self._rules.looks[-1] - (found.pairs if found else 0)
            if found is None:
                pairs += confirmation  # a slowdown would have to be confirmed
            elif found.verdict == SUSPECTED:
                pairs = confirmation
            needed[name] = max(pairs, self._rules.looks[0])
        return needed


def decide(names, source, rules=Rules(), late=()):
    """Returns name -> Result: the verdicts about the rounds of a source that ends by itself."""
    decision = Decision(names, source, rules, late)
    decision.run()
    return decision.results()
