# SPDX-License-Identifier: Apache-2.0
"""Holds the class from which the outside corpus' tests derive. It builds odd programs, runs a
command and checks the answer."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.perf import commands

IS_LONG = os.environ.get("FFGRANT_LONG") == "1"
_HERE = Path(__file__).resolve().parent
_FLAGS = ("-std=c++20", "-O1", "-lbenchmark", "-lpthread")
# The programs set their times by hand, so little effort will do.
_EFFORT = ("--repetitions", "2", "--min-time", "0.0001")
_BUDGET = ("--budget", "30")


class OutsideCase(unittest.TestCase):
    """Tests with one folder of their own, which run commands as a user does, but in this
    process."""

    _temporary: tempfile.TemporaryDirectory
    folder: Path

    @classmethod
    def setUpClass(cls):
        cls._temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._temporary.cleanup)
        cls.folder = Path(cls._temporary.name)

    def setUp(self):
        # commands.run() takes over the signals of its process, and here that is the tests' process.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    @classmethod
    def compiled(cls, name="odd", *flags, source=None):
        """The program of odd.cc, or of `source`, with the system's Google Benchmark; skips the test
        if g++ or the library is not installed."""
        if not shutil.which("g++"):
            raise unittest.SkipTest("no g++")
        path = cls.folder / name
        done = subprocess.run(
            ["g++", *flags, str(source or _HERE / "odd.cc"), "-o", str(path), *_FLAGS],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False)
        if done.returncode and "benchmark/benchmark.h" in done.stdout:
            raise unittest.SkipTest("no development files of Google Benchmark")
        if done.returncode:
            raise AssertionError(done.stdout[-3000:])
        return path

    def command(self, *argv, environment=None):
        """Runs a command. Returns (exit status, JSON, Markdown, all that it printed)."""
        json_file, markdown = self.folder / "out.json", self.folder / "out.md"
        for path in (json_file, markdown):
            path.unlink(missing_ok=True)
        output = io.StringIO()
        kept = {name: text for name, text in os.environ.items() if not name.startswith("ODD")}
        with mock.patch.dict(os.environ, {**kept, **(environment or {})}, clear=True), \
                contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            try:
                status = commands.run([*argv, "--json", str(json_file), "--markdown",
                                       str(markdown)])
            except SystemExit as stop:
                status = stop.code
        document = json.loads(json_file.read_text(encoding="utf-8"))
        return status, document, markdown.read_text(encoding="utf-8"), output.getvalue()

    def judge(self, situation, base, head, extra=()):
        """Runs a situation and checks the answer against what the situation asks for."""
        effort = _EFFORT if situation.lane == "gate" else ()
        budget = _BUDGET if "--budget" not in situation.options and situation.lane == "gate" else ()
        status, document, markdown, output = self.command(
            situation.lane, "--base-bin", str(base), "--head-bin", str(head),
            "--base-env", f"ODD={situation.kind}", "--base-env", f"ODD_NS={situation.ns[0]}",
            "--head-env", f"ODD={situation.head or situation.kind}",
            "--head-env", f"ODD_NS={situation.ns[1]}", *effort, *budget, *extra,
            *situation.options, environment=situation.environment)
        allowed = (situation.status if isinstance(situation.status, tuple)
                   else (situation.status,))
        self.assertIn(status, allowed, output)
        self.assertEqual(document["exit_status"], status)
        self.check(document, markdown)
        text = json.dumps(document, ensure_ascii=False)
        for said in situation.says:
            self.assertIn(said, text, output)
        if situation.names is not None:
            self.assertEqual({each["name"] for each in document["benchmarks"]},
                             set(situation.names), output)
        if situation.left_out is not None:
            self.assertEqual({each["name"] for each in document["unmeasured"]},
                             set(situation.left_out), output)

    def check(self, document, markdown):
        """Checks what must be true of every answer."""
        from jobs.perf import schema
        schema.check(document)
        lines = markdown.splitlines()
        self.assertTrue(lines[0].startswith("## "), markdown)
        self.assertRegex(lines[2], r"^\*\*(Nothing to do|Look at (these|this)|Measure again)\*\*")


def wheel_program(folder, wheel_folders):
    """A program of odd_wheel.py that uses a version's wheel: a script, as users of Python have."""
    path = folder / "odd_wheel"
    path.write_text(f"#!/bin/sh\nODD_WHEELS={':'.join(map(str, wheel_folders))}\n"
                    "export ODD_WHEELS\n"
                    f"exec {sys.executable} {_HERE / 'odd_wheel.py'} \"$@\"\n", encoding="utf-8")
    path.chmod(0o755)
    return path
