# SPDX-License-Identifier: Apache-2.0
"""scripts/perf gate says whether head is slower (or larger) than base. It runs both side by side
until it can give a verdict or the budget is used up."""

import datetime
import json
import shlex
import time
from pathlib import Path

from jobs.common.terminal import Terminal
from jobs.perf import answer, answer_text, choice, fingerprint, home, metrics, options, statuses
from jobs.perf.error import PerfError
from jobs.perf.measuring import measure


def _parser():
    parser = options.parser("gate", "Tells whether HEAD is slower than BASE, benchmark by "
                                   "benchmark.", statuses.EPILOG)
    options.add_programs(parser)
    options.add_effort(parser)
    options.add_metrics(parser)
    parser.add_argument("--raw", metavar="DIR", type=Path,
                        help="keep Google Benchmark's JSON of every process in this empty folder, "
                             "and beside that of a process whose memory counts its peak, *.bytes")
    return parser


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_json(path, document):
    write(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _no_match(chosen, measured):
    """One text, in a list, if metrics of benchmarks are wanted and there is no benchmark. No text
    if something else failed, since this may have kept benchmarks from being listed."""
    names = (*measured.listed, *measured.results, *(one.benchmark for one in measured.unmeasured))
    if measured.facts.incidents or not set(metrics.OF_BENCHMARKS) & set(chosen.metrics) or any(
            name.metric in metrics.OF_BENCHMARKS for name in names):
        return []
    return [f"no benchmark matches {chosen.filter!r}" if chosen.filter else
            "the programs list no benchmark"]


def main(argv):
    parser = _parser()
    arguments = parser.parse_args(argv)
    terminal = Terminal()
    date = datetime.datetime.now(datetime.timezone.utc)
    command = shlex.join([home.COMMAND, "gate", *argv])
    options.effort_of(arguments)
    chosen = choice.choose(terminal, arguments, parser)
    start = time.monotonic()
    if not chosen.suites and not chosen.compile:
        outcome = answer.Outcome(date, command, 0.0, chosen.base, chosen.head, same_files=True)
    else:
        measured = measure(terminal, chosen, arguments)
        facts = measured.facts
        no_match = _no_match(chosen, measured)
        if no_match and not measured.listed and not measured.unmeasured:
            raise PerfError(no_match[0])
        context = next(iter(facts.contexts.values()), {})
        outcome = answer.Outcome(
            date, command, time.monotonic() - start, chosen.base, chosen.head,
            fingerprint.identity(context, chosen.compiler, chosen.flags),
            "; ".join([fingerprint.conditions(context), *chosen.remarks]),
            measured.results, measured.unmeasured,
            [f"{name}: the base has this program, the head lacks it" for name in chosen.lacking]
            + facts.incidents + no_match,
            facts.notes, {suite.name: facts.contexts.get(suite.name, {})
                          for suite in chosen.suites},
            chosen.known, arguments.budget, measured.settling_budget,
            {f"{suite}, {arm}": words for (suite, arm), words in facts.words.items()
             if words},
            measured.listed, measured.interrupted, wanted=chosen.metrics)
    try:  # the files come first, because perhaps nobody reads the output any more
        if arguments.json:
            write_json(arguments.json, answer.document(outcome))
        if arguments.markdown:
            write(arguments.markdown, answer_text.markdown(outcome))
    finally:
        answer_text.print_text(outcome, terminal)
    return outcome.exit_status
