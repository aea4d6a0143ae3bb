# SPDX-License-Identifier: Apache-2.0
"""Runs the tests, with --long all of them; the last line is "N passed, N failed". Started by
scripts/test."""

import os
import re
import resource
import sys
import tempfile
import time
import xml.etree.ElementTree
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from jobs.bench import job as bench
from jobs.checks import fuzz_steps, lint
from jobs.common import build, processes
from jobs.common.sanitizers import sanitizer_wrapper
from jobs.common.terminal import Terminal, duration
from jobs.server import flowfabric


@dataclass
class Tally:
    """What one step counted."""
    passed: int = 0
    failed: int = 0
    problems: list = field(default_factory=list)  # texts for the reader
    left_out: list = field(default_factory=list)  # the reasons that tests gave for not running

    def fail(self, problem):
        self.failed += 1
        self.problems.append(problem)


def by_reason(skipped):
    """A text for each reason, with the test that gave it, or with how many did. skipped: pairs
    (test, reason)."""
    tests = {}
    for name, reason in skipped:
        tests.setdefault(" ".join(reason.split()) or "no reason given", []).append(name)
    return [f"{reason[:200]} ({names[0]})" if len(names) == 1
            else f"{reason[:200]} ({len(names)} tests, such as {names[0]})"
            for reason, names in tests.items()]


# What GoogleTest prints of a test that was skipped: the reason, then the test's name.
_SKIPPED = re.compile(r": Skipped\n((?:[^\[\n].*\n|\n)*)\[  SKIPPED \] ([^\s,]+)")


def read_junit(text):
    """Reads the tally from ctest's JUnit file; the problems are the failing tests with their
    output. A test of ctest's may be a whole program of GoogleTest's, which passes though some of
    its tests are left out."""
    tally, left_out = Tally(), []
    for case in xml.etree.ElementTree.fromstring(text).iter("testcase"):
        skipped = case.find("skipped")
        reason = skipped.get("message", "") if skipped is not None else ""
        output = case.findtext("system-out") or ""
        inner = [(name, why) for why, name in _SKIPPED.findall(output)]
        left_out += inner
        if case.get("status") == "run":
            tally.passed += 1
        elif case.get("status") == "disabled":
            left_out.append((case.get("name"), "disabled"))
        elif reason.startswith("SKIP_"):
            left_out += [] if inner else [(case.get("name"), "")]
        else:
            tally.fail("\n".join([f"FAILED {case.get('name')} {reason}".rstrip(),
                                  *output.rstrip().splitlines()[-40:]]))
    tally.left_out = by_reason(left_out)
    return tally


def read_counts(output):
    """Reads the tally from the output of a tool whose last line is "N passed, N failed"; None if it
    is another line."""
    lines = output.rstrip().splitlines()
    found = re.fullmatch(r"(\d+) passed, (\d+) failed", lines[-1] if lines else "")
    if not found:
        return None
    return Tally(int(found[1]), int(found[2]), lines[-20:-1] if int(found[2]) else [])


def read_unittest(output):
    """Reads the tally from what one or more processes print that run unittest with --verbose; None
    if none has run tests."""
    ran = re.findall(r"^Ran (\d+) tests? in", output, re.MULTILINE)  # one line of each process
    if not ran:
        return None
    failed = sum(int(number) for number in re.findall(
        r"(?:(?<!expected )failures|errors|unexpected successes)=(\d+)", output))
    skipped = sum(int(number) for number in re.findall(r"skipped=(\d+)", output))
    passed = max(0, sum(map(int, ran)) - failed - skipped)
    reasons = re.findall(r"\.\.\. skipped ['\"](.+)['\"]$", output, re.MULTILINE)
    # Another process may have printed its tests after the process that failed.
    failures = re.findall(r"^={70}\n((?:FAIL|ERROR): .*?)(?=^={70}$|^-{70}\nRan )", output,
                          re.MULTILINE | re.DOTALL)
    problems = ["\n".join(text.rstrip().splitlines()[-40:]) for text in failures or [output]]
    return Tally(passed, failed, problems if failed else [], list(dict.fromkeys(reasons)))


def _ctest(terminal, label, directory, arguments=(), wrapper=()):
    """Runs ctest in a build directory and returns its tally."""
    junit = directory / "junit.xml"
    junit.unlink(missing_ok=True)
    start = time.monotonic()
    shown = ["starting"]

    def line(text):
        step = re.match(r"\s*(\d+)/(\d+) Test\s+#", text)
        if step:
            shown[0] = f"{step[1]} of {step[2]}"

    _, output = processes.run(
        # The number of tests that run at once is one more than the number of cores, since at any
        # time some test only waits.
        [*wrapper, "ctest", "--test-dir", str(directory),
         "--parallel", str((os.cpu_count() or 1) + 1),
         # A program that passes may have left out tests, and says so in its output.
         "--test-output-size-passed", "1000000",
         "--output-junit", str(junit), *(arguments or ("--label-exclude", "^long$"))],
        cwd=build.ROOT, on_line=line,
        on_tick=lambda: terminal.progress(
            f"{label}: test {shown[0]}, {duration(time.monotonic() - start)}"))
    if not junit.exists():
        tally = Tally()
        tally.fail(f"ctest left no results:\n{output[-2000:]}")
        return tally
    tally = read_junit(junit.read_text(encoding="utf-8", errors="replace"))
    if tally.left_out and not tally.passed and not tally.failed:
        tally.fail(f"FAILED {label}: all tests were left out")
    return tally


def preset_step(preset, label="", targets=(), wrapper=()):
    """A step that configures, builds and tests a preset. label: a pattern for the labels of the
    tests to run; empty: all tests but the long ones."""
    def step(terminal):
        build.configure(terminal, preset, wrapper)
        build.build(terminal, preset, targets, wrapper)
        return _ctest(terminal, preset, build.build_directory(preset),
                      ("--label-regex", label) if label else (), wrapper)
    return step


def long_step(terminal):
    """The step of the exhaustive tests, which take minutes and are left out of a short run."""
    return _ctest(terminal, "long", build.build_directory("gcc-release"),
                  ("--label-regex", "^long$"))


def _consume(terminal, label, built):
    """Installs a build, and builds and tests projects that know only where it is installed."""
    with tempfile.TemporaryDirectory(prefix="ffgrant-consumer-") as temporary:
        prefix, directory = Path(temporary) / "prefix", Path(temporary) / "build"
        for command in (
                ["cmake", "--install", str(built), "--prefix", str(prefix)],
                ["cmake", "-S", "core/testing/consumer", "-B", str(directory), "-G", "Ninja",
                 "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_COMPILER=g++",
                 f"-DCMAKE_PREFIX_PATH={prefix}"],
                ["cmake", "--build", str(directory)]):
            build.run_step(terminal, label, command)
        return _ctest(terminal, label, directory)


def consumer_step(terminal):
    """The step that uses what gcc-release built, as other projects do."""
    return _consume(terminal, "consumer", build.build_directory("gcc-release"))


def shared_step(terminal):
    """The step that uses shared libraries of the project, as other projects do."""
    shared = build.build_directory("shared")
    for command in (
            ["cmake", "-S", ".", "-B", str(shared), "-G", "Ninja", "-DCMAKE_CXX_COMPILER=g++",
             # Speed does not matter here, and these settings halve the time to build.
             "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_FLAGS_RELEASE=-O0 -DNDEBUG",
             "-DBUILD_SHARED_LIBS=ON", "-DFFGRANT_WERROR=ON",
             "-DFFGRANT_BUILD_TESTS=OFF", "-DFFGRANT_BUILD_BENCHMARKS=OFF",
             "-DFFGRANT_BUILD_FUZZERS=OFF", "-DCMAKE_SHARED_LINKER_FLAGS=-Wl,--no-undefined"],
            ["cmake", "--build", str(shared)]):
        build.run_step(terminal, "shared libraries", command)
    return _consume(terminal, "consumer of shared libraries", shared)


def _counted(terminal, label, command, reader, variables=()):
    start = time.monotonic()
    status, output = processes.run(
        command, cwd=build.ROOT,
        env=dict(os.environ, PYTHONPATH=str(build.ROOT / "scripts"), **dict(variables)),
        on_tick=lambda: terminal.progress(f"{label}, {duration(time.monotonic() - start)}"))
    tally = reader(output)
    if tally is None or (status != 0 and not tally.failed):
        tally = tally or Tally()
        tally.fail(f"{' '.join(command)} ended with status {status}:\n{output[-2000:]}")
    return tally


def python_step(long=False):
    """The step of the scripts' own tests. long: includes the tests that ask for FFGRANT_LONG, such
    as the whole outside corpus of scripts/perf."""
    def step(terminal):
        return _counted(
            terminal, "Python", [sys.executable, "-m", "jobs.checks.python_tests"],
            read_unittest, {"FFGRANT_LONG": "1"} if long else {})
    return step


def conformance_step(terminal):
    files = sorted((build.ROOT / "corpus" / "vectors").glob("*.jsonl"))
    return _counted(terminal, "conformance", ["scripts/conformance", *map(str, files)], read_counts)


def benchmarks_step(long=False):
    """The step that builds the benchmarks and lets each program check its results, as the
    program does before it measures. long: also checks the benchmarks of the peers, and builds
    the programs that load servers and the gate's own programs."""
    def step(terminal):
        build.configure(terminal, bench.PRESET)
        tally = Tally()
        for suite in (bench.CORE, bench.PEERS) if long else (bench.CORE,):
            build.build(terminal, bench.PRESET, suite.targets)
            try:
                tally.passed += len(bench.find_binaries(terminal, suite, "")[0])
            except bench.BenchError as error:
                tally.fail(str(error))
        if long:
            build.build(terminal, bench.PRESET)
        return tally
    return step


def claims_step(terminal):
    """The step of the claim scenarios on real servers, with fewer random histories than by
    default."""
    return _counted(terminal, "claims on servers",
                    ["scripts/claims-conformance", "--histories", "10"], read_counts)


def live_step(terminal):
    """The step that checks FlowFabric's own server, if it is built, with as many requests and
    histories as scripts/live-conformance makes by default."""
    try:
        flowfabric.find()
    except flowfabric.MissingServer as missing:
        return Tally(left_out=[str(missing)])
    return _counted(terminal, "a live deployment",
                    ["scripts/live-conformance", "--start", "--threads", "2"], read_counts)


def tls_step(terminal):
    """The step that uses a deployment over TLS, as users do who did not start the deployment."""
    return _counted(terminal, "a deployment over TLS",
                    [sys.executable, "scripts/jobs/live/over_tls.py", "--verbose"],
                    read_unittest)


def fleet_step(terminal):
    """The step that lets Rust and C++ workers share a deployment, where both can be built."""
    reason = flowfabric.lacking_sdk()
    if reason:
        return Tally(left_out=[reason])
    return _counted(terminal, "a mixed fleet", ["scripts/live-fleet"], read_counts)


def faults_step(terminal):
    return _counted(terminal, "claims under faults", ["scripts/claims-faults", "--short"],
                    read_counts)


class Step(NamedTuple):
    title: str
    proves: str  # what is known once the step has passed, in words for the reader
    run: Callable  # takes a Terminal, returns a Tally


def steps(long=False):
    wrapper = sanitizer_wrapper()
    return (
        Step("Python: lint, types", "ruff and mypy see no likely mistake in the scripts",
             lint.step(Tally)),
        Step("gcc: all tests", "each rule of core, claims and client accepts and rejects as it "
             "must, with and without vector instructions", preset_step("gcc-release")),
        # These tests come after the step of gcc-release, since they start its programs. So no
        # test builds a program while another test measures.
        Step("Python: the scripts' own tests", "gate, page, jobs and the functions on a server do "
             "what their tests say", python_step(long)),
        Step("conformance vectors", "core says of the reference's cases what FlowFabric's own code "
             "says", conformance_step),
        Step("claim scenarios: Valkey, Redis", "the ledgers answer and store what the contract "
             "says, on servers alone and as a cluster", claims_step),
        Step("claims under faults, short", "never two workers with one lease, nor a lost claim, "
             "while servers die, freeze and move", faults_step),
        Step("consumer of the installed package", "CMake finds what is installed, and its headers "
             "are enough", consumer_step),
        Step("benchmarks: each checks its results", "what is timed gives the results of a plain "
             "implementation", benchmarks_step(long)),
        Step("clang, ASan + UBSan: core, claims, fuzz", "no bad access and no undefined behaviour "
             "in these tests and in the replay of all corpora",
             preset_step("asan-ubsan", "core|claims|fuzz",
                         ("ffgrant_tests_core", "ffgrant_tests_claims", "ffgrant_tests_fuzz"),
                         wrapper)),
        Step("fuzzing: all targets, canary", "new inputs find nothing in the time that a "
             "target's slowest mutant takes; each engine finds the planted fault",
             fuzz_steps.step(Tally, "asan-ubsan", wrapper)),
        Step("clang, TSan: threads", "no data race in the tests with threads",
             preset_step("tsan", "threads", ("ffgrant_tests_threads",), wrapper)),
        *((Step("clang: all tests", "the same tests with another compiler, each source compiled "
                "on its own and its warnings errors too", preset_step("clang-release")),
           Step("consumer of shared libraries", "the same of shared libraries, whose symbols are "
                "complete", shared_step),
           Step("exhaustive tests in full", "every input of a kind, where that is possible",
                long_step),
           Step("FlowFabric's own server", "a deployment answers, and keeps states, as the "
                "contract says", live_step),
           Step("a deployment over TLS", "commands and a worker use one that they did not "
                "start, and believe only the right servers", tls_step),
           Step("Rust and C++ workers in one fleet", "each execution is completed exactly once, "
                "while workers of either kind are killed", fleet_step)) if long else ()),
    )


def _processor_seconds():
    """The processor seconds of all child processes that have ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_steps(terminal, all_steps):
    """Runs the steps, and prints for each step a line and what the step proves. Returns (passed,
    failed) of all steps. A step that ran no tests fails, unless it is left out and says why. A line
    says how many cores were busy on average: a step that mostly waits could run beside another.
    """
    passed = failed = 0
    for number, step in enumerate(all_steps, 1):
        start, used = time.monotonic(), _processor_seconds()
        try:
            tally = step.run(terminal)
        except build.BuildError as error:
            tally = Tally()
            tally.fail(f"{error} failed, see above")
        except BrokenPipeError:  # nobody reads the output any more
            raise
        except OSError as error:
            tally = Tally()
            tally.fail(str(error))
        if not tally.passed and not tally.failed and not tally.left_out:
            tally.fail("the step ran no tests")
        passed += tally.passed
        failed += tally.failed
        terminal.clear()
        for problem in tally.problems[:20]:
            terminal.line(problem)
        verdict = (terminal.bad(f"{tally.failed} FAILED") if tally.failed
                   else terminal.good("ok") if tally.passed else "none")
        seconds = time.monotonic() - start
        busy = (_processor_seconds() - used) / max(seconds, 0.01)
        terminal.line(f"[{number}/{len(all_steps)}] {step.title:<39} {tally.passed:>6} passed  "
                      f"{duration(seconds):>12}  {busy:4.1f} cores  {verdict}")
        terminal.line(terminal.dim(f"      {step.proves}"))
        for reason in tally.left_out:
            terminal.line(f"      left out, not counted: {reason}")
    return passed, failed


def main(arguments):
    terminal = Terminal()
    processes.raise_on_signals()
    start = time.monotonic()
    try:
        passed, failed = run_steps(terminal, steps(arguments.long))
    except processes.Interrupted as interrupted:
        terminal.line(f"test: stopped by {interrupted}")
        return interrupted.exit_status
    terminal.line(f"all steps: {duration(time.monotonic() - start)}")
    terminal.line(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
