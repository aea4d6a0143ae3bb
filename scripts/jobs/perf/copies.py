# SPDX-License-Identifier: Apache-2.0
"""Chooses the paths from which a run starts its programs, and makes sure that the command line and
the environment take as much memory in all arms: both lie above the stack, and so move it."""

import contextlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

from jobs.perf.error import PerfError

_FILL = "FFGRANT_PERF_FILL"  # variables that fill up an environment begin with this name


def same_size(programs):
    """The programs, changed so that their commands and their environments take as much memory: a
    shorter path gets more slashes before the file's name, and a smaller environment gets variables
    that nobody reads."""
    paths = [str(program.path) for program in programs]
    longest = max(map(_size, paths))
    whole = [program.whole_environment() for program in programs]
    fill = _fill(whole)
    made = []
    for program, path, more in zip(programs, paths, fill):
        slashes = "/" * (longest - _size(path))
        called = f"{os.path.dirname(path)}/{slashes}{program.path.name}"
        made.append(replace(program, called=called,
                            environment={**program.environment, **more}))
    return made


def _size(text):
    return len(os.fsencode(text))


def _fill(environments):
    """For each environment the variables that make it as large as the others, in bytes and in the
    number of its variables."""
    def sizes(environment):
        return len(environment), sum(map(_size, (*environment, *environment.values())))

    if len(set(map(sizes, environments))) < 2:
        return [{} for _ in environments]
    most = max(map(len, environments)) + 1
    made = [{f"{_FILL}{number:04}": "" for number in range(most - len(environment))}
            for environment in environments]
    bytes_of = [sizes(one)[1] + sizes(more)[1] for one, more in zip(environments, made)]
    for more, size in zip(made, bytes_of):
        more[f"{_FILL}{0:04}"] = "x" * (max(bytes_of) - size)
    return made


class Copies:
    """The paths from which the programs of all suites run: copies, in folders whose names all have
    one length. A program that does not work from a copy (for example, because it looks for files
    beside itself), or that loads other libraries there, runs through a link. If the program does
    not work through a link either, or if more of its benchmarks work in its own place, it runs
    there.
    """

    def __init__(self, suites, directory):
        self._suites = suites
        # Programs of several suites may have the same file name.
        self._numbers = {suite.name: number for number, suite in enumerate(suites)}
        self._directory = Path(directory)
        self._ways = {}  # path of a program -> copy, link or place
        self._before = {}  # path of a program -> its way before in_place()
        self._generation = 0
        self._made = {}  # (suite, arm) -> Program, before same_size()
        self.programs = {}  # (suite, arm) -> Program

    def renew(self):
        """Makes new files of all programs, and removes the old ones. Raises PerfError if there is
        no room for them."""
        old = self._directory / f"{self._generation:04}"
        self._generation += 1
        try:
            with contextlib.suppress(OSError):
                self._make_all()
                return
            # There may be room for them once the old ones are gone.
            shutil.rmtree(old, ignore_errors=True)
            self._make_all()
        except OSError as error:
            raise PerfError(f"the programs could not be copied to {self._directory}: "
                            f"{error.strerror or error}; TMPDIR names another folder") from None
        finally:
            shutil.rmtree(old, ignore_errors=True)

    def _make_all(self):
        for suite in self._suites:
            for arm in suite.arms:
                self._make(suite, arm)

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
        self._made[suite.name, arm] = replace(program, path=target)
        arms = [(suite.name, each) for each in suite.arms if (suite.name, each) in self._made]
        self.programs.update(zip(arms, same_size([self._made[each] for each in arms])))

    def loads_others(self, suite, arm):
        """Whether the program loads other shared libraries where it runs now than in its own place,
        because it looks for them relative to its file: perhaps those that are installed, or none at
        all."""
        return self._made[suite.name, arm].libraries() != suite.arms[arm].libraries()

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
