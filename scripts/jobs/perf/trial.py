# SPDX-License-Identifier: Apache-2.0
"""Runs every benchmark of a program once before the pairs, to learn which benchmarks give a time,
and why the others do not.

The benchmarks run one after the other, and the library writes a row as soon as it has one. So if a
process dies or hangs, the first benchmark without a row is to blame. This benchmark is named, and
the rest runs in another process. If a process dies before it has written any row, each benchmark
gets a process of its own.
"""

from dataclasses import dataclass, field, replace

from jobs.perf import samples

_MOST_DEATHS = 8  # this many processes may die before the rest is given up
_MOST_BARREN = 3  # this many processes of one benchmark each may die in a row without a result
SECOND_LINE = "is a part of a name of two lines"
NO_ROW = "is listed, but left no row"


@dataclass
class Trial:
    """What is known about each benchmark of a program. Every benchmark that is listed has a time or
    a reason."""
    listed: tuple = ()  # the keys in the program's order
    times: dict = field(default_factory=dict)  # Key -> nanoseconds
    reasons: dict = field(default_factory=dict)  # Key -> why there is no time
    notes: dict = field(default_factory=dict)  # Key -> a remark
    late: set = field(default_factory=set)  # keys for which there was no time
    too_slow: set = field(default_factory=set)  # those of `late` that took too long themselves
    without_row: set = field(default_factory=set)
    context: dict = field(default_factory=dict)
    seconds: float = 0.0  # seconds of measuring, without the wait for benchmarks that hang
    start: float = 0.0  # seconds that a process takes before it measures
    words: str = ""  # the last output of a process that died
    died: bool = False  # whether a process failed or left its JSON incomplete, and was not stopped

    def take(self, run, wanted):
        """Takes in a run's rows; returns the `wanted` keys that the run has."""
        self.context = run.context or self.context
        found = {key: run.readings[key] for key in wanted if key in run.readings}
        for key, reading in found.items():
            if reading.ns is None:
                self.reasons[key] = reading.reason
            else:
                self.times[key] = reading.ns
            if reading.note:
                self.notes[key] = reading.note
        return set(found)

    def give_up(self, keys, reason, late=False):
        """Notes the reason why these keys have no time."""
        for key in keys:
            self.times.pop(key, None)
            self.reasons[key] = reason
        self.without_row.update(keys)
        if late:
            self.late.update(keys)


@dataclass(frozen=True)
class Limits:
    """left(): the seconds until the time is up; stall: the seconds that a benchmark may take for
    its row."""
    left: object
    stall: float


def run(program, keys, effort, target, limits, on_tick=None, keep=None, everything=False):
    """Tries the benchmarks of a program; returns a Trial that says something about each of them.

    keep(data) gets the JSON of each process. everything: whether the keys are all that the program
    has.
    """
    made = Trial(tuple(keys))
    waiting = list(keys)
    deaths = barren = 0
    alone = False  # whether each benchmark gets a process of its own
    while waiting:
        if limits.left() <= 0:
            made.give_up(waiting, "was not tried: the time was up", late=True)
            break
        whole = everything and len(waiting) == len(keys) and not alone
        batch = waiting if whole else _first_batch(waiting[:1] if alone else waiting)
        done = program.measure([key.name for key in batch], effort, target, limits.left(),
                               stall=limits.stall, in_order=True, on_tick=on_tick,
                               filter_text="." if whole else None)
        if keep:
            keep(done.data)
        # A program that ignores the filter measures more than it was asked for.
        found = made.take(done, waiting)
        made.seconds += max(0.0, done.ended.seconds - (limits.stall if done.ended.stopped else 0))
        rest = [key for key in batch if key not in found]
        waiting = [key for key in waiting if key not in found]
        if not done.ended.failed and done.whole:
            _without_row(made, rest, done)
            waiting = [key for key in waiting if key not in made.reasons]
            continue
        made.words = done.ended.words(leave_out=samples.BANNER) or made.words
        made.died = made.died or not done.ended.stopped
        if limits.left() <= 0.1 and done.ended.stopped and not _is_stuck(done.ended):
            made.give_up(waiting, "the time was up before it had been tried", late=True)
            break
        deaths += 1
        barren = 0 if found else barren + 1
        if not rest:  # all were measured, and still the process failed
            made.give_up(batch, f"the program {_why(done)} after its last benchmark")
        elif barren == 1 and len(batch) > 1 and not done.ended.stopped:
            alone = True
        elif barren > (_MOST_BARREN if alone else 1):
            made.give_up(waiting, f"the program {_why(done)}")
            break
        elif deaths > _MOST_DEATHS:
            made.give_up(waiting, f"was not tried: the program died {deaths} times before it")
            break
        else:
            slow = done.ended.stopped and _seconds_of_one(program, rest[0], effort, target, limits,
                                                          keep)
            if slow:
                made.give_up(rest[:1], f"takes {slow:.3g} s once, and {effort.repetitions} times "
                             "that in each process: --repetitions 1, or a larger --budget",
                             late=True)
                made.too_slow.add(rest[0])
            else:
                made.give_up(rest[:1], _why(done))
            waiting.remove(rest[0])
    return made


def _seconds_of_one(program, key, effort, target, limits, keep):
    """The seconds of a single repetition of a benchmark that seemed to hang. None if the benchmark
    does hang, if it takes longer than half of the stall, if a process makes only one repetition
    anyway, or if no time is left."""
    if effort.repetitions <= 1 or limits.left() <= 0:
        return None
    done = program.measure([key.name], replace(effort, repetitions=1), target,
                           min(limits.left(), limits.stall / 2), in_order=True)
    if keep:
        keep(done.data)
    return done.ended.seconds if key in done.readings and not done.ended.stopped else None


def _is_stuck(ended):
    """Whether a process that was ended because the budget was used up had hung, and was not just
    slow."""
    return ended.idle >= max(1.0, ended.seconds / 2)


def _first_batch(waiting):
    names = set(samples.batches([key.name for key in waiting])[0])
    return [key for key in waiting if key.name in names]


def _why(done):
    if done.ended.failed:
        return done.ended.why()
    if not done.data:
        return "wrote no JSON, and ended with status 0"
    return "ended early with status 0: its JSON breaks off"


def _without_row(made, keys, done):
    """Takes note of benchmarks that a process left out although it says that it ran all. A name of
    two lines is one benchmark."""
    broken = {key: reading for key, reading in done.readings.items() if "\n" in key.name}
    lines = {line for key in broken for line in key.name.split("\n")}
    made.give_up([key for key in keys if key.name not in lines], NO_ROW)
    made.reasons.update((key, SECOND_LINE) for key in keys if key.name in lines)
    for key, reading in broken.items():
        if reading.ns is None:
            made.reasons[key] = reading.reason
        else:
            made.times[key] = reading.ns


def leave_out_noise(program, trial, doubt, limit):
    """Drops the lines that were taken for names but are no names."""
    doubtful = {key for key in trial.listed if key in trial.without_row}
    if doubt == "all":
        noise = set() if len(doubtful) < len(trial.listed) else doubtful
    else:
        noise = doubtful and {key for key in doubtful if key.name not in program.still_listed(
            [key.name for key in doubtful], limit)}
    trial.listed = tuple(key for key in trial.listed if key not in noise)
    for key in noise:
        trial.reasons.pop(key, None)
