# SPDX-License-Identifier: Apache-2.0
"""Runs the scripts' own tests in several processes at once. The tests of one process do not depend
on those of another.

Each process runs one part of the tests: certain packages and modules, or all that no other part
names. As a program this module runs all parts, prints their outputs one after the other, and fails
if a part fails. If its argument is a number, it runs only the part that has this index in PARTS.
"""

import contextlib
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2]
# A pattern for the tests of each part. The empty pattern stands for all tests that fit no other.
# The parts take about the same time. All of them wait for other programs most of the time, so there
# are more parts than a small machine has cores.
PARTS = (r"jobs\.perf\.outside\.", r"jobs\.perf\.(package|action|metrics)_test\.|jobs\.live\.",
         r"jobs\.(claims|fuzz|mutants|page|server)\.", "")


def _tests(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _tests(test)
        else:
            yield test


def part_of(identifier):
    """The index in PARTS of the part that runs a test."""
    # A module that could not be imported or that skips itself is a test too, with a name such as
    # unittest.loader._FailedTest.<module>.
    name = re.sub(r"^unittest\.loader\.(_FailedTest|ModuleSkipped)\.", "", identifier) + "."
    return next((number for number, pattern in enumerate(PARTS) if pattern
                 and re.match(pattern, name)), len(PARTS) - 1)


def suite(number):
    """The tests of a part."""
    found = unittest.defaultTestLoader.discover(str(SCRIPTS), "*_test.py", str(SCRIPTS))
    return unittest.TestSuite(test for test in _tests(found) if part_of(test.id()) == number)


def run_parts(commands):
    """Runs commands at the same time, in this process' group, and then prints their outputs.
    Returns whether all succeeded."""
    with contextlib.ExitStack() as stack:
        outputs = [stack.enter_context(tempfile.TemporaryFile()) for _ in commands]
        children = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                     stderr=subprocess.STDOUT)
                    for command, output in zip(commands, outputs)]
        statuses = [child.wait() for child in children]
        for number, (status, output) in enumerate(zip(statuses, outputs)):
            output.seek(0)
            sys.stdout.write(output.read().decode(errors="replace"))
            if status:
                print(f"part {number} ended with status {status}")
    return not any(statuses)


def main():
    if sys.argv[1:]:
        result = unittest.TextTestRunner(verbosity=2).run(suite(int(sys.argv[1])))
        return 0 if result.wasSuccessful() else 1
    return 0 if run_parts([[sys.executable, "-m", "jobs.checks.python_tests", str(number)]
                           for number in range(len(PARTS))]) else 1


if __name__ == "__main__":
    sys.exit(main())
