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
    benchmark that left a row blocks unless it says itself that it is skipped."""
    benchmark: Benchmark
    reasons: dict
    blocks: bool
    late: bool = False

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
            left_out.append(Unmeasured(benchmark, reasons, blocks and not late, late))
        else:
            compared.append(benchmark)
    return compared, left_out


def slowed(trials, names):
    """Returns an Unmeasured for each of the names that has become several times slower, if this is
    why no time was left for it: the trial of a head that is so slow uses up the time that was
    enough for the base's trial. trials: as in account(). names: Benchmarks for which the time did
    not suffice."""
    base, head = next(iter(trials.values())), next(reversed(trials.values()))
    is_cut = any(key in base.times for key in head.late)
    if head.seconds < _SEVERAL * base.seconds and not (is_cut and head.seconds > base.seconds):
        return []
    made = []
    for name in names:
        old, new = base.times.get(name.key), head.times.get(name.key)
        if old and new and new >= _SEVERAL * old:
            made.append(Unmeasured(name, {next(reversed(trials)): (
                f"takes {new / old:.3g} times as long as in the base, so that the time was up "
                "before the two could be compared")}, True))
    return made
