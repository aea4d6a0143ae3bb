# SPDX-License-Identifier: Apache-2.0
"""Accounts for every benchmark that a program lists: it is compared, or named with the reason why
not."""

from dataclasses import dataclass
from typing import NamedTuple

from jobs.perf import metrics, trial as perf_trial
from jobs.perf.gbench_json import SKIPPED, Key

ABSENT = "is not in it"
_SEVERAL = 3  # a head that takes this many times as long as the base is several times slower


class Benchmark(NamedTuple):
    """A metric (metrics.py) of a benchmark of a suite; usually the metric is its time. As text, a
    Benchmark is the name by which readers know it."""
    suite: str
    key: Key
    metric: str = metrics.TIME

    def __str__(self):
        return metrics.named(str(self.key), self.metric)


@dataclass(frozen=True)
class Unmeasured:
    """A benchmark that is not compared. reasons: arm -> why; arms that measured the benchmark are
    left out. late: whether only time was lacking; then the benchmark does not block. blocks:
    whether the benchmark keeps the gate from passing, because the base measured it and the head did
    not, or because the head left no row for it, as when the head dies there. With only one arm, a
    benchmark that left a row blocks unless it says itself that it is skipped. slower: whether it is
    not compared because it has become much slower, which no entry of --known excuses."""
    benchmark: Benchmark
    reasons: dict
    blocks: bool
    late: bool = False
    slower: bool = False

    @property
    def text(self):
        """The reasons as a text for readers: 'head: failed: no memory'."""
        said = {}
        for arm, reason in self.reasons.items():
            said.setdefault(reason, []).append(arm)
        return "; ".join(f"{' and '.join(arms)}: {reason}" for reason, arms in said.items())


def account(suite, trials):
    """Decides what to compare and what not. trials: arm -> trial.Trial; the first arm is the base,
    and the last is the head.

    Returns (benchmarks, list of Unmeasured), both in the order of the base's listing. Benchmarks
    that the base does not list come last.
    """
    keys = dict.fromkeys(key for trial in trials.values()
                         for key in (*trial.listed, *trial.times, *trial.reasons))
    base, head = next(iter(trials)), next(reversed(trials))
    compared, left_out = [], []
    for key in keys:
        reasons = {}
        for arm, trial in trials.items():
            if key not in trial.times and arm != "copy":  # the copy is the base once more
                reasons[arm] = trial.reasons.get(key, ABSENT)
        if set(reasons.values()) - {ABSENT} == {perf_trial.SECOND_LINE}:
            continue
        benchmark = Benchmark(suite, key)
        if reasons:
            # The time that was enough for the base is not short: the head has become too slow.
            slowed = base not in reasons and key in trials[head].too_slow
            late = all(key in trials[arm].late for arm in reasons) and not slowed
            blocks = base not in reasons or key in trials[head].without_row
            if base == head:
                blocks = blocks or not reasons[head].startswith(SKIPPED)
            left_out.append(Unmeasured(benchmark, reasons, blocks and not late, late, slowed))
        else:
            compared.append(benchmark)
    return compared, left_out


def slowed(trials, names, ratios):
    """Returns an Unmeasured for each of the names that has become several times slower. trials: as
    in account(). names: Benchmarks for which the time did not suffice. ratios: head / base of the
    names that were measured in pairs. For the other names the trial decides, if its head was so
    slow that it used up the time that was enough for the base's trial."""
    base, head = next(iter(trials.values())), next(reversed(trials.values()))
    is_cut = any(key in base.times for key in head.late)
    used_up = head.seconds >= _SEVERAL * base.seconds or (is_cut and head.seconds > base.seconds)
    made = []
    for name in names:
        old, new = base.times.get(name.key), head.times.get(name.key)
        ratio = ratios.get(name) or (new / old if old and new and used_up else 0)
        if ratio >= _SEVERAL:
            made.append(Unmeasured(name, {next(reversed(trials)): (
                f"takes {ratio:.3g} times as long as in the base, so that the time was up "
                "before the two could be compared")}, True, slower=True))
    return made
