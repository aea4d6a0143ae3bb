# SPDX-License-Identifier: Apache-2.0

import contextlib
import io
import json
import signal
import sys
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

from jobs.common import build, processes
from jobs.perf import commands, schema
from jobs.perf.error import PerfError


class RunTest(unittest.TestCase):
    def setUp(self):
        # run() takes over the signals of its process, and here that is the tests' process.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def run_command(self, argv, main):
        module = types.ModuleType("fake")
        module.main = main
        errors = io.StringIO()
        with mock.patch.dict(commands.COMMANDS, {"gate": "fake"}), \
                mock.patch.dict(sys.modules, {"fake": module}), \
                contextlib.redirect_stderr(errors):
            return commands.run(argv), errors.getvalue()

    def test_hands_over_the_arguments_and_hands_back_the_status(self):
        seen = []
        status, errors = self.run_command(["gate", "--base", "x"],
                                          lambda argv: seen.append(argv) or commands.INCONCLUSIVE)
        self.assertEqual((status, errors, seen), (3, "", [["--base", "x"]]))

    def test_what_cannot_be_measured_is_status_2(self):
        for error, text in ((PerfError("no such file"), "perf gate: no such file\n"),
                            (build.BuildError("gcc: build"), "perf gate: gcc: build failed\n")):
            def broken(_argv, error=error):
                raise error

            self.assertEqual(self.run_command(["gate"], broken), (2, text))

    def test_an_interrupt_is_128_and_the_signal(self):
        def interrupted(_argv):
            raise processes.Interrupted(signal.SIGTERM)

        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out.json"
            self.assertEqual(self.run_command(["gate", "--json", str(out)], interrupted)[0],
                             128 + signal.SIGTERM)
            document = json.loads(out.read_text(encoding="utf-8"))
        self.assertEqual((document["verdict"], document["exit_status"]),
                         ("error", 128 + signal.SIGTERM))
        schema.check(document)

    def test_an_unknown_command_is_wrong_usage(self):
        for argv in ([], ["gat"]):
            with contextlib.redirect_stderr(io.StringIO()):
                self.assertEqual(commands.run(argv), 2)


if __name__ == "__main__":
    unittest.main()
