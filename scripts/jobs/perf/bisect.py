# SPDX-License-Identifier: Apache-2.0
"""scripts/perf bisect finds the first revision at which a benchmark became slower, by git bisect
run.

Each revision is gated against the good revision. git bisect works in a worktree of its own. So the
working tree stays as it is, and so does a bisection that the user is doing in the working tree.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from jobs.common import build, processes
from jobs.common.terminal import Terminal
from jobs.perf import commands, home, options, revisions, samples
from jobs.perf.error import PerfError

_GOOD, _BAD, _SKIP, _ABORT = 0, 1, 125, 255  # exit statuses as git bisect run reads them


def verdict_of(status):
    """Turns the gate's exit status into one for git. Revisions that can't be built or judged are
    skipped."""
    if status == commands.CLEAN:
        return _GOOD
    if status == commands.REGRESSION:
        return _BAD
    skipped = (commands.INCONCLUSIVE, commands.HARNESS_ERROR, commands.SUSPICION)
    return _SKIP if status in skipped else _ABORT


def step(good, benchmark, options):
    """Judges one revision, as a step of git bisect run. Returns the exit status for git."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"):
        os.environ.pop(name, None)  # these variables point to the bisection's worktree
    revision = revisions.git("rev-parse", "BISECT_HEAD", directory=os.getcwd())
    status = commands.run(["gate", "--base", good, "--head", revision,
                           "--filter", samples.exactly([benchmark]), *options])
    return verdict_of(status)


def bisect(terminal, good, bad, command, path):
    """Runs git bisect with `command` in a new worktree at `path`. Returns the first bad commits:
    one, or several if skipped revisions leave open which one it is."""
    shutil.rmtree(path, ignore_errors=True)
    revisions.git("worktree", "prune")
    revisions.git("worktree", "add", "--detach", "--no-checkout", "--force", str(path), bad)
    try:
        revisions.git("bisect", "start", "--no-checkout", bad, good, directory=path)
        status, output = processes.run(["git", "bisect", "run", *command], cwd=path,
                                       on_line=terminal.line)
        first = re.search(r"^([0-9a-f]{40,64}) is the first bad commit$", output, re.MULTILINE)
        if first:
            return [first[1]]
        if "The first bad commit could be any of:" in output:
            text = output.split("The first bad commit could be any of:")[1]
            return re.findall(r"^([0-9a-f]{40,64})$", text, re.MULTILINE)
        raise PerfError(f"git bisect ended with status {status}")
    finally:
        shutil.rmtree(path, ignore_errors=True)
        subprocess.run(["git", "worktree", "prune"], cwd=build.ROOT, check=False)


def _parser():
    parser = argparse.ArgumentParser(
        prog=f"{home.PROGRAM} bisect",
        description="Finds the first revision at which a benchmark is slower than at GOOD. "
                    "Revisions that can't be built or told are skipped.",
        epilog="Exit status: 0 found; 2 wrong usage, or it could not be measured; 3 BAD is not "
               "slower than GOOD as far as can be told, or seemed slower and this could not be "
               "confirmed, or skipped revisions leave it open; 128 + signal if interrupted.")
    parser.add_argument("--good", metavar="REV", required=True)
    parser.add_argument("--bad", metavar="REV", required=True)
    parser.add_argument("--benchmark", metavar="NAME", required=True,
                        help="the benchmark's whole name")
    parser.add_argument("--budget", type=float, default=options.BUDGET, metavar="SECONDS",
                        help="for each revision, not counting its build (%(default)s)")
    parser.add_argument("--step", action="store_true", help=argparse.SUPPRESS)
    return parser


def main(argv):
    arguments = _parser().parse_args(argv)
    options = ["--budget", str(arguments.budget)]
    if arguments.step:
        return step(arguments.good, arguments.benchmark, options)
    terminal = Terminal()
    good, bad = (revisions.resolve(text).commit for text in (arguments.good, arguments.bad))
    # If the good and the bad revision do not differ, there is nothing to look for.
    status = commands.run(["gate", "--base", good, "--head", bad,
                           "--filter", samples.exactly([arguments.benchmark]), *options])
    if status == commands.HARNESS_ERROR or status >= 128:  # 128 + the signal of an interrupt
        return status
    if status == commands.SUSPICION:
        terminal.line(f"{arguments.benchmark} at {arguments.bad} seemed slower than at "
                      f"{arguments.good}, which could not be confirmed: a larger --budget may do")
        return commands.INCONCLUSIVE
    if status != commands.REGRESSION:
        terminal.line(f"{arguments.benchmark} at {arguments.bad} is not slower than at "
                      f"{arguments.good}, as far as can be told")
        return commands.INCONCLUSIVE
    command = [sys.executable, str(Path(__file__).with_name("__main__.py")), "bisect", "--step",
               "--good", good,
               "--bad", bad, "--benchmark", arguments.benchmark, *options]
    found = bisect(terminal, good, bad, command, revisions.PERF / "bisect")
    for commit in found:
        terminal.line(terminal.bold(revisions.git("log", "-1", "--format=%h %ad %s",
                                                  "--date=short", commit)))
    if len(found) == 1:
        terminal.line(f"is the first revision at which {arguments.benchmark} is slower")
        return commands.CLEAN
    terminal.line("one of these is it; those between could not be told")
    return commands.INCONCLUSIVE
