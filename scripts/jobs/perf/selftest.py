# SPDX-License-Identifier: Apache-2.0
"""scripts/perf selftest: measures the gate itself, on programs that are slower by a known amount.

Records rounds of three equal programs and of such that do 3, 5 and 10 % more work, on the machine
as it is and with a process that keeps another core busy; then replays the gate's procedure on
them (jobs.perf.replay), and writes how often it was right.
"""

import argparse
import contextlib
import datetime
import os
import random
import shlex
import sys
import tempfile
import time
from pathlib import Path

from jobs.common import build, report
from jobs.common.children import Children
from jobs.common.tables import Table
from jobs.common.terminal import Terminal, duration
from jobs.perf import commands, counts, fingerprint, gate, process_pairs, replay, revisions, samples
from jobs.perf.error import PerfError

REPORT = build.results_directory() / "perf-selftest.md"
RECORDING = revisions.PERF / "selftest.json"
_BUSY = "while True: pass"
_FEWEST_ROUNDS = 20
_BUSY_LOAD = 2  # runnable processes a CPU, from which on a recording says so


@contextlib.contextmanager
def _hog(wanted):
    """A process that takes a core."""
    with Children() as children:
        if wanted:
            children.start([sys.executable, "-c", _BUSY], revisions.PERF / "hog.log")
        yield


def record(terminal, folder, arguments):
    """Measures under all conditions. Returns a recording, jobs.perf.replay."""
    effort = samples.Effort()
    programs = {percent: samples.Program(folder / f"perf_selftest_{percent}")
                for percent in (0, *replay.SLOWDOWNS)}
    arms = {name: programs[percent] for name, percent in replay.ARMS.items()}
    suite = process_pairs.Suite("selftest", arms)
    conditions, context, names = {}, {}, []
    for condition in replay.CONDITIONS:
        clock = process_pairs.Clock(arguments.seconds)
        load = os.getloadavg()[0]
        with _hog(condition == "hog"), process_pairs.Live(
                terminal, [suite], arguments.filter, effort, clock, arguments.seed) as live:
            live.stage = f"recording, {condition}"
            names = list(live.names)
            seconds = min(live.round_seconds(names) * arguments.rounds, clock.left())
            terminal.line(f"{condition}: {arguments.rounds} rounds of {len(arms)} programs, about "
                          f"{duration(seconds)}")
            start = time.monotonic()
            times = live.take(tuple(names), arguments.rounds)
            seconds = time.monotonic() - start
            if len(times) < _FEWEST_ROUNDS:
                raise PerfError(f"{len(times)} rounds in {arguments.seconds:g} s are too few; "
                                f"{_FEWEST_ROUNDS} are needed")
            context = live.contexts["selftest"]
        conditions[condition] = {
            "load": [round(load, 1), round(os.getloadavg()[0], 1)],
            "seconds_a_process": round(seconds / len(times) / len(arms), 3),
            "rounds": [[[round(value, 1) for value in each[name]] for name in names]
                       for each in times]}
    return {
        "format": 1, "date": datetime.datetime.now(datetime.timezone.utc).strftime(
            "%Y-%m-%dT%H:%M:%SZ"),
        "machine": fingerprint.identity(
            context, fingerprint.compiler_version(revisions.COMPILER), revisions.FLAGS),
        "effort": {"repetitions": effort.repetitions, "min_time": effort.min_time},
        "arms": list(arms), "benchmarks": names, "conditions": conditions}


def count(terminal, folder, filter_text):
    """How many of the benchmarks with 1 % more work the counts lane finds: [found, all]."""
    base, head = (samples.Program(folder / f"perf_selftest_{percent}") for percent in (0, 1))
    revisions.PERF.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="counts-", dir=revisions.PERF) as temporary:
        runner = counts.Runner(terminal, Path(temporary), limit=600)
        pairs = {name: (base, head) for name in base.benchmarks(filter_text)}
        comparisons, errors = counts.compare(runner, pairs)
    for text in errors.values():
        terminal.line(terminal.bad(text))
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
                f"{tally.share('inconclusive', 'invalid'):.1%}",
                f"{tally.share('clean', 'improved'):.1%}", f"{tally.median_pairs:g}"])
    return made


def false_table(cells):
    made = Table("False alarms", (
        "regressed, of programs that are equal; in the rows of slower programs, of those in the "
        "suite that are equal"),
        ["", "slower others", "benchmarks", "false", "interval", "suites", "with one", "interval"])
    for cell in cells:
        equal = cell.equal
        bounds = replay.proportion(equal.count("regressed"), equal.total)
        suites = replay.proportion(cell.false_suites, cell.replays)
        made.rows.append([
            cell.condition, f"{cell.slowdown}%" if cell.slowdown else "none", str(equal.total),
            str(equal.count("regressed")), f"{bounds[0]:.2%} - {bounds[1]:.2%}",
            str(cell.replays), str(cell.false_suites), f"{suites[0]:.2%} - {suites[1]:.2%}"])
    return made


def bars(cells, recording):
    """[(what, measured, bar, met)]."""
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


def text_of(recording, cells, command):
    """The report in Markdown, and whether all bars are met."""
    lines = ["<!-- SPDX-License-Identifier: Apache-2.0 -->", "# The gate, measured", "",
             f"- command: `{command}`", f"- recorded: {recording['date']}",
             f"- machine: {recording['machine']['cpu']}, {recording['machine']['cpus']} CPUs, "
             f"kernel {recording['machine']['kernel']}, {recording['machine']['compiler']}"]
    for name, condition in recording["conditions"].items():
        loads = " to ".join(f"{load:g}" for load in condition["load"])
        lines.append(f"- {name}: {len(condition['rounds'])} rounds, load {loads}, "
                     f"{condition['seconds_a_process']:.2f} s a process of "
                     f"{len(recording['benchmarks'])} benchmarks")
    if max(max(each["load"]) for each in recording["conditions"].values()) > _BUSY_LOAD * int(
            recording["machine"]["cpus"]):
        lines += ["", "The machine was overloaded while this was recorded: shares of what was "
                  "found and the time say more about it than about the gate. False alarms count."]
    lines += ["", *replay.INDEPENDENCE.format(
        rounds=min(len(each["rounds"]) for each in recording["conditions"].values()),
        replays=min(cell.replays for cell in cells)).splitlines(), ""]
    made = Table("Bars", "", ["", "measured", "bar", ""], flush_left=(2, 3))
    rows = bars(cells, recording)
    made.rows = [[what, measured, bar, "met" if met else "MISSED"]
                 for what, measured, bar, met in rows]
    for table in (made, power_table(cells), false_table(cells)):
        lines += [*report.as_markdown(table), ""]
    return "\n".join(lines).rstrip() + "\n", all(met for *_, met in rows)


def main(argv):
    parser = argparse.ArgumentParser(
        prog="scripts/perf selftest",
        description="Measures the gate: records programs that are slower by a known amount, "
                    "replays the gate on the recording, and writes results/perf-selftest.md.",
        epilog="Exit status: 0 every bar is met; 1 one is not; 2 wrong usage, or it could not be "
               "measured.")
    parser.add_argument("--rounds", type=int, default=100, metavar="N",
                        help="to record under each condition (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3600, metavar="N",
                        help="for each condition; fewer rounds if that is less (%(default)s)")
    parser.add_argument("--filter", metavar="RE", default="", help="only these benchmarks")
    parser.add_argument("--replays", type=int, default=200, metavar="N",
                        help="of each cell of the table (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", metavar="FILE", type=Path,
                        help="a recording to replay; measures nothing")
    parser.add_argument("--recording", metavar="FILE", type=Path, default=RECORDING,
                        help="where the recording goes (build/perf/selftest.json)")
    parser.add_argument("--out", metavar="FILE", type=Path, default=REPORT)
    arguments = parser.parse_args(argv)
    if arguments.rounds < _FEWEST_ROUNDS or arguments.replays < 1:
        parser.error(f"--rounds: {_FEWEST_ROUNDS} or more; --replays: 1 or more")
    terminal = Terminal()
    if arguments.replay:
        recording = replay.load(arguments.replay)
    else:
        folder = revisions.directory_of(terminal, revisions.working_tree())
        recording = record(terminal, folder, arguments)
        gate.write(arguments.recording, replay.dump(recording))
        recording["counts"] = count(terminal, folder, arguments.filter)
        gate.write(arguments.recording, replay.dump(recording))
    cells = replay.cells(recording, arguments.replays, random.Random(arguments.seed),
                         lambda text: terminal.progress(text))
    command = shlex.join(["./scripts/perf", "selftest", *argv])
    text, met = text_of(recording, cells, command)
    gate.write(arguments.out, text)
    terminal.line(text)
    return commands.CLEAN if met else commands.REGRESSION
