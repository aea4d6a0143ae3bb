# SPDX-License-Identifier: Apache-2.0
"""Chooses the paths from which a run starts its programs."""

import shutil
from dataclasses import replace
from pathlib import Path


class Copies:
    """The paths from which the programs of all suites run: copies, in folders whose names all have
    one length. A program that does not work from a copy (for example, because it looks for files
    beside itself) runs through a link. If the program does not work through a link either, or if
    more of its benchmarks work in its own place, it runs there.
    """

    def __init__(self, suites, directory):
        self._suites = suites
        # Programs of several suites may have the same file name.
        self._numbers = {suite.name: number for number, suite in enumerate(suites)}
        self._directory = Path(directory)
        self._ways = {}  # path of a program -> copy, link or place
        self._before = {}  # path of a program -> its way before in_place()
        self._generation = 0
        self.programs = {}  # (suite, arm) -> Program

    def renew(self):
        """Makes new files of all programs, and removes the old ones."""
        old = self._directory / f"{self._generation:04}"
        self._generation += 1
        for suite in self._suites:
            for arm in suite.arms:
                self._make(suite, arm)
        shutil.rmtree(old, ignore_errors=True)

    def _make(self, suite, arm):
        program = suite.arms[arm]
        way = self._ways.get(program.path, "copy")
        number = list(suite.arms).index(arm)
        target = (self._directory / f"{self._generation:04}" / f"{self._numbers[suite.name]:04}"
                  / f"{number:02}" / Path(suite.name).name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if way == "copy":
            shutil.copy2(program.path, target)
        elif way == "link":
            target.symlink_to(program.path.resolve())
        else:
            target = program.path
        self.programs[suite.name, arm] = replace(program, path=target)

    def next_way(self, suite, arm):
        """Takes the next way to run a program that did not work; False if no way is left."""
        way = {"copy": "link", "link": "place"}.get(
            self._ways.get(suite.arms[arm].path, "copy"))
        if way is None:
            return False
        self._switch(suite, arm, way)
        return True

    def in_place(self, suite, arm):
        """Makes the program run where it is from now on; False if the program already runs
        there."""
        if self._ways.get(suite.arms[arm].path) == "place":
            return False
        self._before[suite.arms[arm].path] = self._ways.get(suite.arms[arm].path, "copy")
        self._switch(suite, arm, "place")
        return True

    def back(self, suite, arm):
        """Makes the program run in the way in which it ran before in_place(). FirstRun calls this
        if the program's own place was no better."""
        self._switch(suite, arm, self._before.pop(suite.arms[arm].path))

    def _switch(self, suite, arm, way):
        path = suite.arms[arm].path
        self._ways[path] = way
        for other in suite.arms:
            if suite.arms[other].path == path:
                self._make(suite, other)
