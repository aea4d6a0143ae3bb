# SPDX-License-Identifier: Apache-2.0
"""Does the fuzzing of scripts/test: runs every target for a short time, and the canary with every
engine."""

import tempfile
import time
from pathlib import Path

from jobs.common import build, children, processes, reference
from jobs.common.terminal import duration
from jobs.fuzz import afl, libfuzzer, targets

SMOKE_SECONDS = 60  # seconds of the clock for all targets together
_LANES = 2
_CANARY_SECONDS = 30  # on an idle core an engine finds the fault in one or two seconds


class Watched:
    """A child process with a name for the reader and a time within which it should end."""

    def __init__(self, name, child, seconds):
        self.name, self.child, self.seconds = name, child, seconds
        self.begun = time.monotonic()
        self.status = None

    def over(self):
        self.status = self.child.status()
        if self.status is None and time.monotonic() - self.begun > self.seconds + 30:
            self.child.end()
            self.status = self.child.status()
        return self.status is not None


def run_watched(terminal, label, starts, lanes):
    """Calls each of `starts`, which starts a process and returns its Watched. At most `lanes`
    processes run at a time. Returns all Watched when all processes have ended."""
    waiting, running, ended = list(starts), [], []
    begun = time.monotonic()
    while waiting or running:
        while waiting and len(running) < lanes:
            running.append(waiting.pop(0)())
        for watched in [each for each in running if each.over()]:
            running.remove(watched)
            ended.append(watched)
        names = ", ".join(watched.name for watched in running)
        terminal.progress(f"{label}: {names}, {duration(time.monotonic() - begun)}")
        time.sleep(0.1)
    return ended


def smoke(terminal, tally, preset, wrapper, seconds=SMOKE_SECONDS):
    """Runs every target with libFuzzer and sanitizers for its share of the time; none may find
    anything."""
    chosen = [target for target in targets.all_targets() if not target.is_canary]
    lacking = reference.lacking()
    if lacking:
        terminal.line(f"fuzz smoke: without the reference, {lacking}; {reference.ADVICE}")
    else:
        chosen += targets.reference_targets()
    share = max(1, round(seconds * _LANES / len(chosen)))
    with tempfile.TemporaryDirectory(prefix="ffgrant-smoke-") as folder, \
            children.Children() as started:

        def start_of(target):
            def start():
                work = Path(folder) / target.name
                work.mkdir()
                command = libfuzzer.command(
                    build.build_directory(preset) / "fuzz" / target.name, target, f"{work}-",
                    (work, target.corpus), (f"-max_total_time={share}",), wrapper)
                child = started.start(command, log=Path(folder) / f"{target.name}.log",
                                      env=libfuzzer.environment(), cwd=folder)
                return Watched(target.subject, child, share)
            return start

        for watched in run_watched(terminal, "smoke", map(start_of, chosen), _LANES):
            judge_smoke(tally, watched.name, watched.status, watched.child.output())


def judge_smoke(tally, name, status, output):
    if status == 0 and "Done " in output:
        tally.passed += 1
    else:
        tail = "\n".join(output.rstrip().splitlines()[-40:])
        tally.fail(f"FAILED fuzz smoke {name}: status {status}\n{tail}")


def canary(terminal, tally, preset, wrapper):
    """The canary's fault must be found by libFuzzer, by AFL++ and by the replay main, each within a
    bound."""
    target = targets.find(targets.CANARY)
    directory = build.build_directory(preset) / "fuzz"
    with tempfile.TemporaryDirectory(prefix="ffgrant-canary-") as temporary, \
            children.Children() as started:
        folder = Path(temporary)

        def start(name, command, env=None):
            return lambda: Watched(name, started.start(command, log=folder / f"{name}.log",
                                                       env=env, cwd=folder), _CANARY_SECONDS)

        afl.prepare_seeds(target, folder / "seeds")
        starts = [
            start("libFuzzer", libfuzzer.command(
                directory / target.name, target, folder / "found-", (),
                (f"-max_total_time={_CANARY_SECONDS}", "-seed=1"), wrapper),
                libfuzzer.environment()),
            start("replay --explore",
                  [*wrapper, directory / f"{target.subject}_replay", "--explore",
                   str(_CANARY_SECONDS)]),
            start("AFL++", afl.command(
                build.build_directory("fuzz-afl") / "fuzz" / target.name, target,
                folder / "seeds", folder / "afl", _CANARY_SECONDS, seed=1),
                dict(afl.environment(), AFL_BENCH_UNTIL_CRASH="1")),
        ]
        for watched in run_watched(terminal, "canary", starts, _LANES):
            output = watched.child.output()
            if watched.name == "AFL++":
                output = said_of_crashes(directory / f"{target.subject}_replay", wrapper,
                                         afl.inputs(folder / "afl", "crashes")) or output
            judge_canary(tally, watched.name, output)


def said_of_crashes(replay, wrapper, paths):
    """The replay main's output on the first of the crashes that AFL++ found, since AFL++ keeps no
    output of its own."""
    if not paths:
        return ""
    return processes.run([*wrapper, str(replay), str(paths[0])])[1]


def judge_canary(tally, engine, output):
    """Checks that an engine found the canary's fault. A find counts only if the canary's own oracle
    reported it: a crash of another kind is no find."""
    if "FINDING: the canary" in output:
        tally.passed += 1
    else:
        tail = "\n".join(output.rstrip().splitlines()[-15:])
        tally.fail(f"FAILED canary: {engine} did not find it in {_CANARY_SECONDS} s\n{tail}")


def step(tally_type, preset, wrapper):
    """The step of scripts/test; `preset` names a preset with libFuzzer and sanitizers."""
    def run(terminal):
        build.build(terminal, preset, ("ffgrant_fuzzers", "canary_replay"), wrapper)
        tally = tally_type()
        smoke(terminal, tally, preset, wrapper)
        build.configure(terminal, "fuzz-afl")
        build.build(terminal, "fuzz-afl", (targets.CANARY,))
        canary(terminal, tally, preset, wrapper)
        return tally
    return run
