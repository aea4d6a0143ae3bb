# SPDX-License-Identifier: Apache-2.0
"""Makes a run of the gate. For each metric that is asked for, the run takes rounds and decides, all
within one budget. The size, which takes no time, comes first, and the benchmarks' times come last.
Each metric may use an equal share of the time that is left, and leaves what it does not need to the
next ones.
"""

from dataclasses import dataclass, field

from jobs.common import processes
from jobs.common.terminal import duration
from jobs.perf import decide, metrics, options, process_pairs
from jobs.perf.compiling import Compiling
from jobs.perf.memory import Memory
from jobs.perf.sizes import RULES as SIZE_RULES, Sizes


@dataclass
class Measured:
    """What a run of the gate has found before it ended or was interrupted."""
    results: dict = field(default_factory=dict)  # Benchmark -> decide.Result
    listed: list = field(default_factory=list)  # what both sides measure, even without a result
    unmeasured: list = field(default_factory=list)  # account.Unmeasured
    facts: process_pairs.Facts = field(default_factory=process_pairs.Facts)
    settling_budget: object = None  # seconds that may settle all; None if nothing was cut off
    interrupted: object = None


def forecast(live, looks, clock):
    """A line that says how long the rounds of times will take, at least and at most."""
    seconds = live.round_seconds(live.benchmarks)
    affordable = max(0, int(clock.left() / seconds)) if seconds else looks[-1]
    limit = f"; the budget allows {affordable} pairs" if affordable < looks[-1] else ""
    return (f"{len(live.benchmarks)} benchmarks, {duration(seconds)} a pair with its A/A: "
            f"{duration(seconds * looks[0])} if all is clear, {duration(seconds * looks[-1])} "
            f"if nothing is{limit}")


class _Run:
    """The decisions of a run, and the time that they used."""

    def __init__(self, clock, rules):
        self._clock = clock
        self._rules = rules
        self._asked = []  # (source, decision)
        self.made = Measured()

    def decide(self, source, rules, late=()):
        """Decides about a source's benchmarks. Takes no more rounds once the run was
        interrupted."""
        decision = decide.Decision(source.benchmarks, source, rules, late)
        self._asked.append((source, decision))
        try:
            if not self.made.interrupted:
                decision.run()
        except processes.Interrupted as interrupted:
            self.made.interrupted = interrupted
        self.made.results.update(decision.results())
        self.made.listed += [name for name in source.benchmarks if name not in source.lost]
        self.made.unmeasured += source.unmeasured

    def name_slowed(self, live, metric):
        """Names the benchmarks for which the time did not suffice because the head has become
        several times slower: a larger budget is not what they need."""
        made = self.made
        if made.interrupted:
            return
        names = [name for name in made.listed if name.metric == metric and (
            name not in made.results or (made.results[name].verdict == decide.INCONCLUSIVE
                                         and made.results[name].out_of_time))]
        # Pairs of another metric say nothing about the time.
        ratios = {name: made.results[name].head.ratio for name in names
                  if name.metric == metrics.TIME and name in made.results}
        found = live.slowed(names, ratios)
        told = {one.benchmark for one in found}
        made.unmeasured += found
        made.listed = [name for name in made.listed
                       if name not in told or name in made.results]

    def settling_budget(self):
        """An estimate of the budget with which nothing is cut off; None if nothing was cut off."""
        seconds, short = self._clock.elapsed(), False
        for source, decision in self._asked:
            needed = decision.pairs_to_settle()
            for pairs in sorted(set(needed.values())):
                seconds += pairs * source.round_seconds(
                    [name for name in needed if needed[name] == pairs])
            late = sum(one.late for one in source.unmeasured)
            if late:
                a_benchmark = (source.round_seconds(source.benchmarks) / len(source.benchmarks)
                               if source.benchmarks else self._clock.budget)
                seconds += late * a_benchmark * 1.5 * self._rules.looks[-1]
            short = short or bool(needed) or bool(late)
        if not short:
            return None
        seconds = max(seconds * 1.25, self._clock.budget * 1.25)
        digits = max(0, len(str(int(seconds))) - 2)
        return int(-(-seconds // 10 ** digits) * 10 ** digits)


def measure(terminal, chosen, arguments, rules=decide.Rules()):
    """Runs rounds and decides. Returns a Measured, even if the run was interrupted on the way."""
    wanted = list(chosen.metrics)
    clock = process_pairs.Clock(arguments.budget)
    run = _Run(clock, rules)
    if metrics.SIZE in wanted:
        run.decide(Sizes(chosen.suites, chosen.sections), SIZE_RULES)
        wanted.remove(metrics.SIZE)
    if metrics.COMPILE in wanted:
        share = clock.share(clock.left() / len(wanted))
        run.decide(Compiling(terminal, chosen.compile, share, arguments.seed), rules)
        wanted.remove(metrics.COMPILE)
    if wanted:
        _measure_programs(terminal, chosen, arguments, run, clock, rules, wanted)
    run.made.settling_budget = run.settling_budget()
    return run.made


def _measure_programs(terminal, chosen, arguments, run, clock, rules, wanted):
    """Measures the metrics for which benchmarks have to run: memory, time."""
    with process_pairs.Live(
            terminal, chosen.suites, chosen.filter, options.effort_of(arguments), clock,
            arguments.seed, getattr(arguments, "raw", None), chosen.directory) as live:
        if live.benchmarks and metrics.TIME in wanted:
            terminal.line(forecast(live, rules.looks, clock))
        if metrics.MEMORY in wanted:
            share = clock.share(clock.left() / len(wanted))
            memory = Memory(terminal, live, share, arguments.seed)
            run.decide(memory, rules, _known(chosen, memory))
        if metrics.TIME in wanted:
            run.decide(live, rules, _known(chosen, live))
        else:  # a benchmark that doesn't run has no memory either
            run.made.unmeasured += live.unmeasured
        run.name_slowed(live, metrics.TIME if metrics.TIME in wanted else metrics.MEMORY)
        run.made.facts = live.facts


def _known(chosen, source):
    return [name for name in source.benchmarks if chosen.known.entry(str(name))]
