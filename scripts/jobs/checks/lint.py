# SPDX-License-Identifier: Apache-2.0
"""Lets tools judge the scripts without running them: ruff (jobs/ruff.toml) judges style and likely
mistakes, mypy (jobs/mypy.ini) judges types. Each tool counts as one test, and so does the check
that each file is Python.

PYTHONPATH=scripts python3 -m jobs.checks.lint [--fix]

As a program this module prints what the tools find. With --fix, ruff first mends what it can by
itself.
"""

import argparse
import compileall
import os
import sys

from jobs.common import build, processes, wheels
from jobs.common.terminal import Terminal, run_main

SCRIPTS = build.ROOT / "scripts"
_CACHE = build.BUILD / "lint"


def lacking():
    """Why the tools can't run, in words; None if they can."""
    needed = wheels.lint_wheels()
    if not needed:
        return "ruff and mypy: no packages for this Python and machine"
    if not all(wheel.directory.is_dir() for wheel in needed):
        return "ruff and mypy: ./scripts/bootstrap --for test gets them"
    return None


def ruff_command(*arguments):
    program = next(wheels.RUFF.directory.glob("*.data/scripts/ruff"))
    return [str(program), *arguments, "--config", str(SCRIPTS / "jobs" / "ruff.toml"),
            "--cache-dir", str(_CACHE / "ruff"), str(SCRIPTS)]


def commands():
    """Returns [(tool, command, variables of the command's environment)]."""
    modules = os.pathsep.join(str(wheel.directory) for wheel in wheels.lint_wheels())
    return [
        ("ruff", ruff_command("check", "--quiet", "--output-format", "concise"), {}),
        ("mypy", [sys.executable, "-m", "mypy", "--config-file", "jobs/mypy.ini",
                  "--no-error-summary", "--cache-dir", str(_CACHE / "mypy")],
         {"PYTHONPATH": modules})]


def run_tools(tally, on_tick=None):
    """Adds to the tally what the tools say."""
    # The first check is that each file is Python. This check also runs where the tools can't run.
    # The bytecode goes to the cache, since the scripts' folder may be read-only.
    before, sys.pycache_prefix = sys.pycache_prefix, str(_CACHE / "pycache")
    try:
        compiles = compileall.compile_dir(str(SCRIPTS), quiet=2)
    finally:
        sys.pycache_prefix = before
    if compiles:
        tally.passed += 1
    else:
        tally.fail("FAILED: scripts hold a file that is no Python")
    reason = lacking()
    if reason:
        tally.left_out.append(reason)
        return
    for tool, command, variables in commands():
        status, output = processes.run(command, cwd=SCRIPTS, on_tick=on_tick,
                                       env=dict(os.environ, **variables))
        if status == 0:
            tally.passed += 1
        else:
            tally.fail(f"FAILED {tool}, status {status}:\n{output.rstrip()}")


def step(tally_type):
    """The step of scripts/test."""
    def run(terminal):
        tally = tally_type()
        run_tools(tally, lambda: terminal.progress("lint"))
        return tally
    return run


def main():
    from jobs.checks.job import Tally
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--fix", action="store_true", help="mend what ruff can mend")
    arguments = parser.parse_args()
    if arguments.fix and not lacking():
        processes.run(ruff_command("check", "--quiet", "--fix"), cwd=SCRIPTS)
    tally = Tally()
    run_tools(tally)
    terminal = Terminal()
    for text in (*tally.problems, *tally.left_out):
        terminal.line(text)
    terminal.line(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(run_main(main))
