# SPDX-License-Identifier: Apache-2.0
"""Does the fuzzing of scripts/test: runs every target for a short time, and the canary with every
engine."""

import json
import signal
import tempfile
import time
from pathlib import Path

from jobs.common import build, children, processes, reference
from jobs.common.terminal import duration
from jobs.fuzz import afl, findings, libfuzzer, targets

GRADING = build.ROOT / "results" / "mutants.json"
LEAST_SECONDS = 3  # of CPU, for a target that finds its mutants sooner
UNGRADED_SECONDS = 7  # of CPU, for a target of which the grading says nothing
MOST_SECONDS = 30  # of CPU; scripts/test says so if the grading asks for more
_SLOWEST = 10  # seconds of the clock for one second of CPU, on a busy machine
_LANES = 2
_CANARY_SECONDS = 30  # on an idle core an engine finds the fault in one or two seconds


class Watched:
    """A child process with a name for the reader. It is ended 30 s after the time within which it
    should end (`seconds`), or once it has used its share of CPU (`share`, in seconds), if any."""

    def __init__(self, name, child, seconds, share=None):
        self.name, self.child, self.seconds, self.share = name, child, seconds, share
        self.begun = time.monotonic()
        self.status = None
        self.used_its_share = False

    def over(self):
        self.status = self.child.status()
        if self.status is None:
            late = time.monotonic() - self.begun > self.seconds + 30
            self.used_its_share = (
                self.share is not None
                and (processes.cpu_seconds(self.child.pid) or 0) >= self.share)
            if late or self.used_its_share:
                self.child.end()
                self.status = self.child.status()
        return self.status is not None


def run_watched(terminal, label, starts, lanes, judge):
    """Calls each of `starts`, which starts a process and returns its Watched. At most `lanes`
    processes run at a time. Calls judge with each Watched as soon as its process has ended."""
    waiting, running = list(starts), []
    begun = time.monotonic()
    while waiting or running:
        while waiting and len(running) < lanes:
            running.append(waiting.pop(0)())
        for watched in [each for each in running if each.over()]:
            running.remove(watched)
            judge(watched)
        names = ", ".join(watched.name for watched in running)
        terminal.progress(f"{label}: {names}, {duration(time.monotonic() - begun)}")
        time.sleep(0.1)


def shares(grading, names):
    """Returns the seconds of CPU that each target gets, and the seconds that the grading of the
    targets by mutants asks for where that is more: (name -> seconds, name -> seconds)."""
    asked = {need["target"]: need["seconds"] for need in grading["figures"]["targets"]}
    given = {name: min(max(asked.get(name, UNGRADED_SECONDS), LEAST_SECONDS), MOST_SECONDS)
             for name in names}
    return given, {name: asked[name] for name in names if asked.get(name, 0) > given[name]}


def smoke(terminal, tally, preset, wrapper):
    """Runs every target with libFuzzer and sanitizers, from its seed corpus; none may find
    anything, and what one finds is kept among its regressions. A target gets the CPU time in which
    95 of 100 runs find the slowest of the mutants that it has found in the last grading, within
    bounds."""
    chosen = [target for target in targets.all_targets() if not target.is_canary]
    lacking = reference.lacking()
    if lacking:
        terminal.line(f"fuzz smoke: without the reference, {lacking}; {reference.ADVICE}")
    else:
        chosen += targets.reference_targets()
    given, cut = shares(json.loads(GRADING.read_text(encoding="utf-8")),
                        [target.name for target in chosen])
    for name, seconds in cut.items():
        terminal.line(f"fuzz smoke: {name} gets {given[name]} s of CPU; its slowest mutant asks "
                      f"for {seconds:.0f} s")
    with tempfile.TemporaryDirectory(prefix="ffgrant-smoke-") as folder, \
            children.Children() as started:

        def binary_of(target):
            return build.build_directory(preset) / "fuzz" / target.name

        def start_of(target):
            def start():
                work = Path(folder) / target.name
                work.mkdir()
                command = libfuzzer.command(binary_of(target), target, f"{work}-",
                                            (work, target.corpus), (), wrapper)
                child = started.start(command, log=Path(folder) / f"{target.name}.log",
                                      env=libfuzzer.environment(), cwd=folder)
                share = given[target.name]
                return Watched(target.subject, child, _SLOWEST * share, share)
            return start

        # The longest come first, so that no lane is idle while another one has much left to do.
        chosen.sort(key=lambda target: -given[target.name])
        by_subject = {target.subject: target for target in chosen}

        def judge(watched):
            target = by_subject[watched.name]
            judge_smoke(tally, watched, lambda artifact, output: keep_finding(
                target, artifact, output, binary_of(target), wrapper))

        run_watched(terminal, "smoke", map(start_of, chosen), _LANES, judge)


def keep_finding(target, artifact, output, binary, wrapper):
    """Keeps the input that a run of a target found, since the run's folder is about to go. Returns
    a line that says how to replay the file, or why there is none."""
    try:
        finding = findings.Finding(libfuzzer.signature(output), artifact.read_bytes(), output,
                                   binary, wrapper)
        # If the target dies in its mutator, libFuzzer leaves an empty file.
        if not finding.data and findings.run_on(finding, artifact)[0] == 0:
            return "no input was running when it died"
        findings.keep(finding, target, artifact.parent)
    except OSError as error:
        return f"the input was not kept: {error}"
    return f"the input is kept, to replay by: {finding.replay}"


def judge_smoke(tally, watched, keep):
    """A run passes if it has used its share of CPU, executed inputs and found nothing. An
    interrupted target may hang, because its signal handler waits for the allocator. So a run whose
    target had to be killed passes too. keep: a function that keeps an input which the target has
    found, and says where it is."""
    output = watched.child.output()
    status = libfuzzer.Status()
    for line in output.splitlines():
        status.read(line)
    if (watched.used_its_share and watched.status in (libfuzzer.INTERRUPTED, -signal.SIGKILL)
            and status.executions > 0 and not status.artifact):
        tally.passed += 1
        return
    said = output.rstrip().splitlines()[-40:]
    if status.artifact:
        said.append(keep(status.artifact, output))
    tail = "\n".join(said)
    share = "" if watched.used_its_share else f" before it had used {watched.share:.0f} s of CPU"
    tally.fail(f"FAILED fuzz smoke {watched.name}: status {watched.status}{share}, "
               f"{status.executions} executions\n{tail}")


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

        def judge(watched):
            output = watched.child.output()
            if watched.name == "AFL++":
                output = said_of_crashes(directory / f"{target.subject}_replay", wrapper,
                                         afl.inputs(folder / "afl", "crashes")) or output
            judge_canary(tally, watched.name, output)

        run_watched(terminal, "canary", starts, _LANES, judge)


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
