# SPDX-License-Identifier: Apache-2.0
"""scripts/perf gate: is head slower than base? Runs both side by side until it can tell."""

import datetime
import json
import shlex
import time
from pathlib import Path

from jobs.common import processes
from jobs.common.terminal import Terminal, duration
from jobs.perf import (answer, answer_text, choice, decide, fingerprint, home, process_pairs,
                       statuses)
from jobs.perf.error import PerfError


def _parser():
    parser = choice.parser("gate", "Tells whether HEAD is slower than BASE, benchmark by "
                                   "benchmark.", statuses.EPILOG)
    choice.add_programs(parser)
    choice.add_effort(parser)
    parser.add_argument("--raw", metavar="DIR", type=Path,
                        help="keep Google Benchmark's JSON of every process in this empty folder")
    return parser


def forecast(live, looks, clock):
    """What the run will take."""
    seconds = live.round_seconds(live.benchmarks)
    affordable = max(0, int(clock.left() / seconds)) if seconds else looks[-1]
    limit = f"; the budget allows {affordable} pairs" if affordable < looks[-1] else ""
    return (f"{len(live.benchmarks)} benchmarks, {duration(seconds)} a pair with its A/A: "
            f"{duration(seconds * looks[0])} if all is clear, {duration(seconds * looks[-1])} "
            f"if nothing is{limit}")


class Measured:
    """A run of the gate as far as it came."""

    def __init__(self):
        self.results = {}
        self.live = None
        self.settling_budget = None  # seconds; what would have settled what the time cut off
        self.interrupted = None


def _settling_budget(decision, live, clock, rules):
    """The budget with which nothing would have been cut off; None if nothing was."""
    needed = decision.pairs_to_settle()
    late = [one.benchmark for one in live.unmeasured if one.late]
    if not needed and not late:
        return None
    seconds = clock.elapsed()
    for pairs in sorted(set(needed.values())):
        seconds += pairs * live.round_seconds([name for name in needed if needed[name] == pairs])
    a_benchmark = live.round_seconds(live.benchmarks) / len(live.benchmarks) \
        if live.benchmarks else clock.budget
    seconds += len(late) * a_benchmark * 1.5 * rules.looks[-1]
    seconds = max(seconds * 1.25, clock.budget * 1.25)
    digits = max(0, len(str(int(seconds))) - 2)
    return int(-(-seconds // 10 ** digits) * 10 ** digits)


def measure(terminal, chosen, arguments, rules=decide.Rules()):
    """Runs rounds and decides. Returns a Measured, also if it was interrupted on the way."""
    made = Measured()
    clock = process_pairs.Clock(arguments.budget)
    with process_pairs.Live(
            terminal, chosen.suites, chosen.filter, choice.effort_of(arguments), clock,
            arguments.seed, getattr(arguments, "raw", None), chosen.directory) as live:
        made.live = live
        if live.benchmarks:
            terminal.line(forecast(live, rules.looks, clock))
        late = [name for name in live.benchmarks if chosen.known.entry(str(name))]
        decision = decide.Decision(live.benchmarks, live, rules, late)
        try:
            decision.run()
        except processes.Interrupted as interrupted:
            made.interrupted = interrupted
        made.results = decision.results()
        made.settling_budget = _settling_budget(decision, live, clock, rules)
    return made


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_json(path, document):
    write(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def main(argv):
    parser = _parser()
    arguments = parser.parse_args(argv)
    terminal = Terminal()
    date = datetime.datetime.now(datetime.timezone.utc)
    command = shlex.join([home.COMMAND, "gate", *argv])
    choice.effort_of(arguments)
    chosen = choice.choose(terminal, arguments, parser)
    start = time.monotonic()
    if not chosen.suites:
        outcome = answer.Outcome(date, command, 0.0, chosen.base, chosen.head, same_files=True)
    else:
        measured = measure(terminal, chosen, arguments)
        live = measured.live
        if not live.benchmarks and not live.unmeasured and not live.facts.incidents:
            raise PerfError("the programs list no benchmark" if not chosen.filter else
                            f"no benchmark matches {chosen.filter!r}")
        context = next(iter(live.contexts.values()), {})
        outcome = answer.Outcome(
            date, command, time.monotonic() - start, chosen.base, chosen.head,
            fingerprint.identity(context, chosen.compiler, chosen.flags),
            fingerprint.conditions(context), measured.results, live.unmeasured,
            [f"{name}: the base has this program, the head lacks it" for name in chosen.lacking]
            + live.facts.incidents,
            live.facts.notes, {suite.name: live.contexts.get(suite.name, {})
                               for suite in chosen.suites},
            chosen.known, arguments.budget, measured.settling_budget,
            {f"{suite}, {arm}": words for (suite, arm), words in live.facts.words.items()
             if words},
            [name for name in live.benchmarks if name not in live.lost], measured.interrupted)
    answer_text.print_text(outcome, terminal)
    if arguments.json:
        write_json(arguments.json, answer.document(outcome))
    if arguments.markdown:
        write(arguments.markdown, answer_text.markdown(outcome))
    return outcome.exit_status
