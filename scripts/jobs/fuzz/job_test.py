# SPDX-License-Identifier: Apache-2.0

import io
import signal
import unittest
from types import SimpleNamespace
from unittest import mock

from jobs.common import processes
from jobs.common.terminal import Terminal
from jobs.fuzz import job
from jobs.fuzz.session_test import WithTarget, fake_fuzzer


class JobTest(WithTarget):
    """Whole runs of one target, whose programs behave like libFuzzer."""

    def setUp(self):
        super().setUp()
        self.said = io.StringIO()
        for name, value in (("build_all", mock.DEFAULT), ("sanitizer_wrapper", lambda: ()),
                            ("tools_of", lambda *_: self.tools)):
            patch = mock.patch.object(job, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def fuzz(self, **options):
        """Fuzzes the target and returns the exit status."""
        arguments = SimpleNamespace(engine="libfuzzer", jobs=2, seconds=2, seed=0, merge=False,
                                    executions=0, log=None, markdown=None, argv=[])
        arguments.__dict__.update(options)
        return job.fuzz(Terminal(self.said), [self.target], arguments)

    def kept(self):
        folder = self.target.regressions
        return sorted(path.read_bytes() for path in folder.iterdir()) if folder.is_dir() else []

    def new_input_fails(self, data=b"only sanitizers see it"):
        fake_fuzzer(self.tools.fast, new=data)
        fake_fuzzer(self.tools.sanitized, fatal=b"sanitizers")

    def test_nothing_found(self):
        self.assertEqual(self.fuzz(), 0)
        self.assertEqual(self.kept(), [])

    def test_a_finding_is_made_smaller_and_only_that_is_kept(self):
        self.new_input_fails()
        with mock.patch.object(job.findings, "minimize") as minimize:
            minimize.side_effect = lambda finding: setattr(finding, "data", b"sanitizers")
            self.assertEqual(self.fuzz(), 1)
        self.assertEqual(self.kept(), [b"sanitizers"])

    def test_an_interrupt_while_a_finding_is_made_smaller_loses_nothing(self):
        self.new_input_fails()
        with mock.patch.object(job.findings, "minimize",
                               side_effect=processes.Interrupted(signal.SIGINT)):
            self.assertEqual(self.fuzz(), 1)
        self.assertEqual(self.kept(), [b"only sanitizers see it"])
        self.assertIn("regressions/it-holds-what-it-must-not", self.said.getvalue())
        self.assertIn("stopped by SIGINT", self.said.getvalue())

    def test_a_finding_that_the_corpus_had_stays_when_a_smaller_one_is_kept(self):
        known = self.target.corpus / "known"
        known.write_bytes(b"sanitizers, too")
        self.new_input_fails(b"")
        with mock.patch.object(job.findings, "minimize") as minimize:
            minimize.side_effect = lambda finding: setattr(finding, "data", b"sanitizers")
            self.assertEqual(self.fuzz(), 1)
        self.assertEqual(self.kept(), [b"sanitizers"])
        self.assertTrue(known.exists())


if __name__ == "__main__":
    unittest.main()
