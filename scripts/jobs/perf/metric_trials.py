# SPDX-License-Identifier: Apache-2.0
"""Tells whether the gate finds a known growth of memory, size and compile time, and finds no growth
if nothing grew. Programs are built from bench/perf/growth.cc, once with each growth. For the
compile time, sources are generated in which the number of functions grows by the same percentages.
Each try is a whole run of the gate.
"""

import datetime
import json
import os
import subprocess
import tempfile
from pathlib import Path

from jobs.common import build
from jobs.common.documents import Document
from jobs.common.tables import Table
from jobs.common.terminal import duration
from jobs.perf import (
    choice,
    clock,
    compiling,
    fingerprint,
    gate,
    measuring,
    metrics,
    process_pairs,
    replay,
    revisions,
    samples,
    statuses,
)
from jobs.perf.decide import REGRESSED, SUSPECTED
from jobs.perf.error import PerfError

REPORT = build.results_directory() / "perf-selftest-metrics.md"
_KEPT = revisions.PERF / "selftest-metrics.json"
SOURCE = build.ROOT / "bench" / "perf" / "growth.cc"
GROWTHS = (0, 5, 10)  # percent
_FLAGS = ("-std=c++20", "-O2")
_FUNCTIONS = 100  # so many that the compiler's start, which does not grow, is a small part
_FUNCTION = """int f{0}(const int* a, int n) {{
  int x = {0};
  for (int i = 0; i < n; ++i) x = x * 31 + (a[i] ^ (x >> (i % 7))) + (a[i] % 3 ? a[n - i - 1] : i);
  return x;
}}
"""
_PROMISED = 5  # percent: the least growth that has to be found
# For each metric the part of the benchmark's name that says what grows.
_GROWN = {metrics.MEMORY: "BM_Grown", metrics.SIZE: ".growth", metrics.COMPILE: "build"}


def add_options(parser):
    parser.add_argument("--metrics", action="store_true",
                        help="instead: run the gate on memory, size and compile time that grow by "
                             "a known share; writes results/perf-selftest-metrics.md; takes "
                             "--tries, --budget and --fresh, and goes on where it was interrupted")


def program(folder, percent):
    """The program with this growth, which is built if it is not there."""
    path = Path(folder) / f"growth-{percent:03}"
    if not path.is_file():
        done = subprocess.run(
            ["g++", *_FLAGS, f"-DFFGRANT_GROWTH_PERCENT={percent}", str(SOURCE), "-o", str(path),
             "-lbenchmark", "-lpthread"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise PerfError(f"{SOURCE.name} could not be built:\n{done.stdout[-2000:]}")
    return path


def source(folder, percent, functions=_FUNCTIONS):
    """A source file that has this many percent more functions than the file for 0 percent."""
    path = Path(folder) / f"growth-{percent:03}.cc"
    path.write_text("".join(_FUNCTION.format(number) for number in range(
        functions * (100 + percent) // 100)), encoding="utf-8")
    return path


def chosen(folder, metric, percent):
    """What a try compares, as a choice.Chosen."""
    base, head = (program(folder, value) for value in (0, percent))
    suites, command = [], None
    if metric == metrics.COMPILE:
        command = compiling.commands(*(
            f"g++ -O2 -c '{source(folder, value)}' -o /dev/null" for value in (0, percent)))
    else:
        suites = [process_pairs.Suite("growth", choice.arms_of(samples.Program(base),
                                                               samples.Program(head)))]
    return choice.Chosen(suites, "", "", "", "", "", metrics=(metric,),
                         sections=(".growth", ".text") if metric == metrics.SIZE else (),
                         compile=command)


def one_try(terminal, folder, metric, percent, budget):
    """Runs the gate once. Returns the record of the try."""
    class Arguments:  # what measuring.measure() reads of a command line
        budget = 0.0
        seed = None
        repetitions = 1
        min_time = 0.001

    Arguments.budget = budget
    watch = clock.Clock(budget)
    measured = measuring.measure(terminal, chosen(folder, metric, percent), Arguments)
    if measured.interrupted:
        raise measured.interrupted
    verdicts = {str(name): result.verdict for name, result in measured.results.items()}
    equal = {name: verdict for name, verdict in verdicts.items()
             if not percent or _GROWN[metric] not in name}
    grown = [verdict for name, verdict in verdicts.items() if _GROWN[metric] in name]
    return {"metric": metric, "percent": percent, "found": grown == [REGRESSED],
            "false": sorted(name for name in equal if equal[name] == REGRESSED),
            "suspected": sorted(name for name in equal if equal[name] == SUSPECTED),
            "verdict": grown[0] if grown else "nothing", "seconds": round(watch.elapsed(), 1),
            "load": round(os.getloadavg()[0], 1)}


def rows(tries):
    """Returns (metric, percent, tries, found, false alarms, suspected though it did not grow,
    longest, met) for each metric and growth."""
    made = []
    for metric in _GROWN:
        for percent in GROWTHS:
            its = [each for each in tries if (each["metric"], each["percent"]) == (metric, percent)]
            if its:
                found = sum(each["found"] for each in its)
                false, suspected = (sum(len(each[what]) for each in its)
                                    for what in ("false", "suspected"))
                met = not false and (percent < _PROMISED or found >= 0.95 * len(its))
                made.append((metric, percent, len(its), 0 if not percent else found, false,
                             suspected, max(each["seconds"] for each in its), met))
    return made


def document(tries, settings, command):
    made = Table("Found", "", ["metric", "grown by", "tries", "found", "interval", "false alarms",
                               "suspected", "longest", ""], flush_left=(8,))
    for metric, percent, count, found, false, suspected, seconds, met in rows(tries):
        low, high = replay.proportion(found, count)
        made.rows.append([metric, f"{percent}%", str(count), str(found) if percent else "",
                          f"{low:.1%} - {high:.1%}" if percent else "", str(false),
                          str(suspected), duration(seconds), "met" if met else "MISSED"])
    loads = [each["load"] for each in tries]
    return Document("The gate on memory, size and compile time", [
        ("command", f"`{command}`"),
        ("date", f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"),
        ("machine", f"{settings['cpu']}, {settings['cpus']} CPUs; load {min(loads):g} to "
         f"{max(loads):g} when the tries ended"),
        ("budget of a try", f"{settings['budget']:g} s")], blocks=[
        "What grows by so much: 16 MiB that a benchmark fills, a section of 200 kB, and the number "
        "of functions in a source. The peak holds the program itself besides, and a compilation "
        "what it always does, so that they grow by less. Bars: 95 of 100 found, and no false "
        "alarm. A false alarm is what regressed and did not grow; suspected counts what did not "
        "grow and seemed larger or slower, which fresh pairs did not confirm or deny. Intervals "
        "are Clopper-Pearson's of 95 %.",
        made], figures={"tries": [
            {"metric": metric, "grown by percent": percent, "tries": count, "found": found,
             "false alarms": false, "suspected": suspected}
            for metric, percent, count, found, false, suspected, *_ in rows(tries)]})


def run(terminal, arguments, command):
    settings = {"gate": fingerprint.code_of_gate(SOURCE),
                "compiler": fingerprint.compiler_version("g++"), "budget": arguments.budget,
                "cpu": fingerprint.identity({}, "", "")["cpu"],
                "cpus": len(os.sched_getaffinity(0))}
    tries = [] if arguments.fresh else _read(settings)
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        for number in range(arguments.tries):
            for metric in _GROWN:
                for percent in GROWTHS:
                    done = sum((each["metric"], each["percent"]) == (metric, percent)
                               for each in tries)
                    if done > number:
                        continue
                    found = one_try(terminal, folder, metric, percent, arguments.budget)
                    tries.append(found)
                    gate.write_json(_KEPT, {"settings": settings, "tries": tries})
                    terminal.line(f"try {number + 1} of {arguments.tries}, {metric}, {percent}%: "
                                  f"{found['verdict']} after {duration(found['seconds'])}"
                                  + (f"; FALSE: {', '.join(found['false'])}"
                                     if found["false"] else ""))
    made = document(tries, settings, command)
    made.write(arguments.out if arguments.out.name != "perf-selftest.md" else REPORT)
    terminal.line(made.markdown())
    return (statuses.CLEAN if all(met for *_, met in rows(tries)) else statuses.REGRESSION)


def _read(settings):
    try:
        kept = json.loads(_KEPT.read_text(encoding="utf-8"))
        return kept["tries"] if kept["settings"] == settings else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
