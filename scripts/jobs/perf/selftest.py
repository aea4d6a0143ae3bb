# SPDX-License-Identifier: Apache-2.0
"""scripts/perf selftest measures the gate itself, on programs that are slower by a known amount.

The command records rounds of three equal programs and of programs that do 3, 5 and 10 % more work,
on the machine as it is and with a process that keeps another core busy. Then it replays the gate's
procedure on the rounds (jobs.perf.replay), and writes how often the gate was right. With --live it
runs the gate itself on a crowded suite (jobs.perf.live_trials), and with --metrics on memory, sizes
and compile time that grow (jobs.perf.metric_trials). A run of each kind goes on with what an
interrupted run has kept.
"""

import argparse
import datetime
import json
import os
import random
import shlex
import tempfile
import time
from pathlib import Path

from jobs.common import build
from jobs.common.documents import Document
from jobs.common.tables import Table
from jobs.common.terminal import Terminal, duration
from jobs.perf import (
    commands,
    counts,
    fingerprint,
    gate,
    home,
    live_trials,
    metric_trials,
    process_pairs,
    replay,
    revisions,
    samples,
)
from jobs.perf.account import Benchmark
from jobs.perf.error import PerfError

REPORT = build.results_directory() / "perf-selftest.md"
RECORDING = revisions.PERF / "selftest.json"
_FEWEST_ROUNDS = 20
_BUSY_LOAD = 2  # runnable processes for each CPU; above it the report tells of overload


def record(terminal, folder, arguments, kept):
    """Measures under all conditions. Returns a recording (see jobs.perf.replay). The rounds of each
    condition are kept in a file, so that an interrupted run can go on."""
    effort = samples.Effort()
    programs = {percent: samples.Program(folder / f"perf_selftest_{percent}")
                for percent in (0, *replay.SLOWDOWNS)}
    arms = {name: programs[percent] for name, percent in replay.ARMS.items()}
    suite = process_pairs.Suite("selftest", arms)
    programs_text = str(folder.name)
    state = _kept(kept, programs_text, arguments)
    conditions = state["conditions"]
    for condition in replay.CONDITIONS:
        if condition in conditions:
            terminal.line(f"{condition}: kept from the run before")
            continue
        clock = process_pairs.Clock(arguments.seconds)
        load = os.getloadavg()[0]
        with live_trials.hog(condition == "hog"), process_pairs.Live(
                terminal, [suite], arguments.filter, effort, clock, arguments.seed,
                directory=revisions.PERF / "run") as live:
            live.stage = f"recording, {condition}"
            names = list(live.benchmarks)
            seconds = min(live.round_seconds(names) * arguments.rounds, clock.left())
            terminal.line(f"{condition}: {arguments.rounds} rounds of {len(arms)} programs, about "
                          f"{duration(seconds)}")
            start = time.monotonic()
            times = [each for each in live.take(tuple(names), arguments.rounds)
                     if len(each) == len(names)]
            seconds = time.monotonic() - start
            if len(times) < _FEWEST_ROUNDS:
                raise PerfError(f"{len(times)} rounds in {arguments.seconds:g} s are too few; "
                                f"{_FEWEST_ROUNDS} are needed")
            state["context"] = live.contexts["selftest"]
        conditions[condition] = {
            "load": [round(load, 1), round(os.getloadavg()[0], 1)],
            "seconds_a_process": round(seconds / len(times) / len(arms), 3),
            "rounds": [[[round(value, 1) for value in each[name]] for name in names]
                       for each in times]}
        state["names"] = list(map(str, names))
        gate.write_json(kept, state)
    kept.unlink(missing_ok=True)
    return {
        "format": 1, "date": datetime.datetime.now(datetime.timezone.utc).strftime(
            "%Y-%m-%dT%H:%M:%SZ"),
        "machine": fingerprint.identity(
            state["context"], fingerprint.compiler_version(revisions.COMPILER), revisions.FLAGS),
        "effort": {"repetitions": effort.repetitions, "min_time": effort.min_time},
        "arms": list(arms), "benchmarks": state["names"], "conditions": conditions}


def _kept(path, programs, arguments):
    """The recording that an interrupted run left, if its programs, rounds and filter are the same;
    else an empty one."""
    wanted = {"programs": programs, "rounds": arguments.rounds, "filter": arguments.filter}
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if {name: state[name] for name in wanted} == wanted:
            return state
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return {**wanted, "conditions": {}, "context": {}, "names": []}


def count(terminal, folder, filter_text):
    """How many of the benchmarks with 1 % more work the counts lane finds, as [found, all]."""
    base, head = (samples.Program(folder / f"perf_selftest_{percent}") for percent in (0, 1))
    revisions.PERF.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="counts-", dir=revisions.PERF) as temporary:
        terminal.progress("counting")
        runner = counts.Runner(terminal, Path(temporary), limit=600)
        pairs = {Benchmark("selftest", key): (base, head)
                 for key in base.listing(filter_text).keys}
        comparisons, errors, _ = counts.compare(runner, pairs)
    for name, reasons in errors.items():
        terminal.line(terminal.bad(f"{name}: {reasons}"))
    return [sum(each.verdict == "regressed" for each in comparisons), len(pairs)]


def power_table(cells):
    made = Table("Slowdowns that the gate finds", (
        "in each replay a quarter of the benchmarks, drawn by chance, is slower and the others are "
        "equal programs; found: the verdict is regressed, and was confirmed with fresh pairs; "
        "intervals are Clopper-Pearson's of 95 %"),
        ["", "slower by", "memory", "found", "interval", "inconclusive", "called clean", "pairs"])
    for cell in cells:
        if not cell.slowdown:
            continue
        for place, tally in (("in cache", cell.near), ("shared", cell.far)):
            if not tally.total:
                continue
            low, high = replay.proportion(tally.count("regressed"), tally.total)
            made.rows.append([
                cell.condition, f"{cell.slowdown}%", place,
                f"{tally.share('regressed'):.1%}", f"{low:.1%} - {high:.1%}",
                f"{tally.share('inconclusive', 'invalid', 'suspected'):.1%}",
                f"{tally.share('clean', 'improved'):.1%}", f"{tally.median_pairs:g}"])
    return made


def false_table(cells):
    made = Table("False alarms", (
        "of programs that are equal; in the rows of slower programs, of those in the suite that "
        "are equal. The gate ends with status 1 if one regressed, and with status 4 if one was "
        "suspected, which fresh pairs did not confirm or deny"),
        ["", "slower others", "benchmarks", "regressed", "interval", "suspected", "interval",
         "suites", "with a regressed", "interval", "with a suspected", "interval"])
    for cell in cells:
        row = [cell.condition, f"{cell.slowdown}%" if cell.slowdown else "none",
               str(cell.equal.total)]
        for count, total in ((cell.equal.count("regressed"), cell.equal.total),
                             (cell.equal.count("suspected"), cell.equal.total),
                             (cell.false_suites, cell.replays),
                             (cell.suspected_suites, cell.replays)):
            low, high = replay.proportion(count, total)
            row += [str(count), f"{low:.2%} - {high:.2%}"]
        made.rows.append([*row[:7], str(cell.replays), *row[7:]])
    return made


def bars(cells, recording):
    """Returns [(what, measured, bar, met)]."""
    equal = [cell for cell in cells if not cell.slowdown]
    rows = []
    share = (sum(cell.equal.count("regressed") for cell in equal)
             / sum(cell.equal.total for cell in equal))
    rows.append(("false alarms a benchmark, A/A", f"{share:.2%}", "<= 0.1%", share <= 0.001))
    share = sum(cell.false_suites for cell in equal) / sum(cell.replays for cell in equal)
    rows.append(("false alarms a suite, A/A", f"{share:.1%}", "<= 2%", share <= 0.02))
    for cell in cells:
        if cell.slowdown == 5:
            share = cell.near.share("regressed")
            rows.append((f"5% found, in cache, {cell.condition}", f"{share:.1%}", ">= 95%",
                         share >= 0.95))
    seconds = replay.forty_benchmarks(recording, equal)
    rows.append(("40 equal benchmarks", duration(seconds), "<= 10 min", seconds <= 600))
    counted = recording.get("counts")
    if counted:
        rows.append(("1% more instructions found", f"{counted[0]} of {counted[1]}", "all",
                     counted[0] == counted[1]))
    return rows


def figures(cells):
    """The numbers of the tables: counts, shares between 0 and 1, and bounds of Clopper-Pearson
    intervals of 95 %."""
    power, false = [], []
    for cell in cells:
        false.append({"condition": cell.condition, "slowdown": cell.slowdown,
                      "benchmarks": cell.equal.total, "false": cell.equal.count("regressed"),
                      "suspected": cell.equal.count("suspected"), "suites": cell.replays,
                      "false suites": cell.false_suites,
                      "suspected suites": cell.suspected_suites})
        for place, tally in (("in cache", cell.near), ("shared", cell.far)):
            if cell.slowdown and tally.total:
                low, high = replay.proportion(tally.count("regressed"), tally.total)
                power.append({"condition": cell.condition, "slowdown": cell.slowdown,
                              "memory": place, "found": tally.share("regressed"), "low": low,
                              "high": high})
    return {"power": power, "false alarms": false}


def document(recording, cells, command):
    """Returns (the document for results/, whether all bars are met)."""
    facts = [("command", f"`{command}`"), ("recorded", recording["date"]),
             ("machine", f"{recording['machine']['cpu']}, {recording['machine']['cpus']} CPUs, "
              f"kernel {recording['machine']['kernel']}, {recording['machine']['compiler']}")]
    for name, condition in recording["conditions"].items():
        loads = " to ".join(f"{load:g}" for load in condition["load"])
        facts.append((name, f"{len(condition['rounds'])} rounds, load {loads}, "
                      f"{condition['seconds_a_process']:.2f} s a process of "
                      f"{len(recording['benchmarks'])} benchmarks"))
    blocks: list = []
    if max(max(each["load"]) for each in recording["conditions"].values()) > _BUSY_LOAD * int(
            recording["machine"]["cpus"]):
        blocks.append("The machine was overloaded while this was recorded: shares of what was "
                      "found and the time say more about it than about the gate. False alarms "
                      "count.")
    blocks.append(replay.INDEPENDENCE.format(
        rounds=min(len(each["rounds"]) for each in recording["conditions"].values()),
        replays=min(cell.replays for cell in cells)).strip())
    made = Table("Bars", "", ["", "measured", "bar", ""], flush_left=(2, 3))
    rows = bars(cells, recording)
    made.rows = [[what, measured, bar, "met" if met else "MISSED"]
                 for what, measured, bar, met in rows]
    blocks += [made, power_table(cells), false_table(cells)]
    return (Document("The gate, measured", facts, blocks=blocks, figures=figures(cells)),
            all(met for *_, met in rows))


def main(argv):
    parser = argparse.ArgumentParser(
        prog=f"{home.PROGRAM} selftest",
        description="Measures the gate: records programs that are slower by a known amount, "
                    "replays the gate on the recording, and writes results/perf-selftest.md.",
        epilog="Exit status: 0 every bar is met; 1 one is not; 2 wrong usage, or it could not be "
               "measured.")
    parser.add_argument("--rounds", type=int, default=100, metavar="N",
                        help="rounds to record under each condition (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3600, metavar="N",
                        help="limit for each condition, even if this leaves fewer rounds "
                             "(%(default)s)")
    parser.add_argument("--filter", metavar="RE", default="", help="only these benchmarks")
    parser.add_argument("--replays", type=int, default=200, metavar="N",
                        help="replays for each cell of the table (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", metavar="FILE", type=Path,
                        help="a recording to replay; measures nothing")
    parser.add_argument("--recording", metavar="FILE", type=Path, default=RECORDING,
                        help="where the recording goes (build/perf/selftest.json)")
    parser.add_argument("--out", metavar="FILE", type=Path, default=REPORT)
    live_trials.add_options(parser)
    metric_trials.add_options(parser)
    arguments = parser.parse_args(argv)
    if arguments.rounds < _FEWEST_ROUNDS or arguments.replays < 1:
        parser.error(f"--rounds: {_FEWEST_ROUNDS} or more; --replays: 1 or more")
    terminal = Terminal()
    command = shlex.join([home.COMMAND, "selftest", *argv])
    if arguments.metrics:
        return metric_trials.run(terminal, arguments, command)
    if arguments.live:
        return live_trials.run(terminal, arguments, command)
    if arguments.replay:
        recording = replay.load(arguments.replay)
    else:
        folder = revisions.directory_of(terminal, revisions.working_tree())
        recording = record(terminal, folder, arguments, arguments.recording.with_suffix(".partial"))
        gate.write(arguments.recording, replay.dump(recording))
        recording["counts"] = count(terminal, folder, arguments.filter)
        gate.write(arguments.recording, replay.dump(recording))
    cells = replay.cells(recording, arguments.replays, random.Random(arguments.seed),
                         lambda text: terminal.progress(text))
    made, met = document(recording, cells, command)
    made.write(arguments.out)
    terminal.line(made.markdown())
    return commands.CLEAN if met else commands.REGRESSION
