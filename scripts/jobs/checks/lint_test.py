# SPDX-License-Identifier: Apache-2.0

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.checks import job, lint


class LintTest(unittest.TestCase):
    def lint(self, text):
        """The tally of a folder that holds one module."""
        with tempfile.TemporaryDirectory() as folder:
            scripts = Path(folder)
            (scripts / "jobs").mkdir()
            for name in ("ruff.toml", "mypy.ini"):
                path = scripts / "jobs" / name
                path.write_bytes((lint.SCRIPTS / "jobs" / name).read_bytes())
            (scripts / "jobs" / "__init__.py").touch()
            (scripts / "jobs" / "x.py").write_text(text, encoding="utf-8")
            tally = job.Tally()
            with mock.patch.object(lint, "SCRIPTS", scripts):
                lint.run_tools(tally)
            return tally

    def setUp(self):
        reason = lint.lacking()
        if reason:
            self.skipTest(reason)

    def test_what_is_well_passes(self):
        tally = self.lint("def double(number: int) -> int:\n    return 2 * number\n")
        self.assertEqual((tally.passed, tally.failed, tally.problems), (3, 0, []))

    def test_each_tool_is_asked(self):
        tally = self.lint("import os\n")
        self.assertEqual((tally.passed, tally.failed), (2, 1), tally.problems)
        self.assertIn("F401", tally.problems[0])
        tally = self.lint("def f():\n    x = 1\n    x = 'one'\n    return [x]\n")
        self.assertEqual((tally.passed, tally.failed), (2, 1), tally.problems)
        self.assertIn("Incompatible types in assignment", tally.problems[0])

    def test_what_is_no_python_fails_without_the_tools_too(self):
        with mock.patch.object(lint, "lacking", lambda: "no tools"):
            tally = self.lint("def f(:\n")
        self.assertEqual((tally.passed, tally.failed, tally.left_out), (0, 1, ["no tools"]))


if __name__ == "__main__":
    unittest.main()
