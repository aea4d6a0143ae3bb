# SPDX-License-Identifier: Apache-2.0

import io
import signal
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from jobs.common import processes
from jobs.common.terminal import Terminal
from jobs.fuzz import batch, job, targets
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

    def arguments(self, **options):
        return SimpleNamespace(**{
            "engine": "libfuzzer", "jobs": 2, "seconds": 2, "seed": 0, "merge": False,
            "executions": 1, "log": None, "markdown": None, "argv": [], **options})

    def fuzz(self, chosen=None, **options):
        """Fuzzes the targets and returns the exit status."""
        return job.fuzz(Terminal(self.said), chosen or [self.target], self.arguments(**options))

    def kept(self):
        folder = self.target.regressions
        return sorted(path.read_bytes() for path in folder.iterdir()) if folder.is_dir() else []

    def new_input_fails(self, data=b"only sanitizers see it"):
        fake_fuzzer(self.tools.fast, new=data)
        fake_fuzzer(self.tools.sanitized, fatal=b"sanitizers")

    def test_nothing_found(self):
        self.assertEqual(self.fuzz(), 0)
        self.assertEqual(self.kept(), [])

    def test_says_that_each_target_gets_a_least_time(self):
        several = [targets.Target(f"{letter}_fuzzer", self.root) for letter in "abc"]
        for seconds, share, said in ((5, 2, "each of the 3 targets gets 2 s, the least: about 6 s "
                                      "in all\n"), (6, 2, ""), (60, 20, "")):
            said_now = io.StringIO()
            with mock.patch.object(job, "Session") as session, mock.patch.object(job.time, "sleep"):
                session.return_value.step.return_value = False
                session.return_value.begun = None
                session.return_value.findings.all = session.return_value.events = []
                one = job.Job(Terminal(said_now), several, self.arguments(seconds=seconds), ())
                one.rows = [[""] * 9]
                one.run()
            self.assertEqual([call.args[2] for call in session.call_args_list], [share] * 3)
            self.assertTrue(said_now.getvalue().startswith(said))
            self.assertEqual("the least" in said_now.getvalue(), bool(said))

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

    def test_a_finding_counts_if_the_engine_of_another_target_fails(self):
        self.new_input_fails()
        steps = job.Session.step

        def step(session):
            if session.target.name == "b_fuzzer":
                raise job.EngineError("b_fuzzer: status 1")
            return steps(session)

        with mock.patch.object(job.Session, "step", step), \
                mock.patch.object(job.findings, "minimize"):
            self.assertEqual(self.fuzz([self.target, targets.Target("b_fuzzer", self.root)]), 1)
        self.assertIn("stopped by b_fuzzer: status 1", self.said.getvalue())
        with mock.patch.object(job.Session, "step", side_effect=OSError("no room")):
            self.assertEqual(self.fuzz(), 3)

    def test_a_finding_counts_if_it_can_not_be_kept(self):
        self.new_input_fails()
        with mock.patch.object(job.findings, "keep", side_effect=OSError("no room")):
            self.assertEqual(self.fuzz(), 1)
        self.assertIn("its input was not kept", self.said.getvalue())
        self.assertIn("stopped by no room", self.said.getvalue())

    def test_a_finding_counts_if_the_log_can_not_be_written(self):
        self.new_input_fails()
        with mock.patch.object(job.findings, "minimize"):
            self.assertEqual(self.fuzz(log=self.root), 1)
            with mock.patch.object(job, "_write_log",
                                   side_effect=processes.Interrupted(signal.SIGINT)):
                self.assertEqual(self.fuzz(), 1)
        self.assertIn("regressions/it-holds-what-it-must-not", self.said.getvalue())
        self.assertIn("could not write", self.said.getvalue())
        fake_fuzzer(self.tools.sanitized)
        self.assertEqual(self.fuzz(log=self.root), 3)

    def test_a_batch_counts_a_finding_whatever_ends_it(self):
        made = batch.Batch(Terminal(self.said), [self.target], 1, 1)
        for found, status in (("FINDING", 1), ("", 3)):
            made.rows[0].finding = found
            for reason in (job.EngineError("status 1"), OSError("no room")):
                with mock.patch.object(batch.build, "configure"), \
                        mock.patch.object(batch.build, "build"), \
                        mock.patch.object(batch, "Batch", return_value=made), \
                        mock.patch.object(made, "run", side_effect=reason):
                    self.assertEqual(job.batch(Terminal(self.said), [self.target],
                                               self.arguments()), status)


class FilesTest(unittest.TestCase):
    def check(self, **options):
        job.check_files(SimpleNamespace(**{"log": None, "markdown": None, **options}))

    def test_what_can_be_written_is_left_as_it_is(self):
        with tempfile.TemporaryDirectory() as folder:
            there, new = Path(folder) / "log", Path(folder) / "deep" / "er" / "fuzz.md"
            there.write_text("before", encoding="utf-8")
            self.check(log=there, markdown=new)
            self.assertEqual(there.read_text(encoding="utf-8"), "before")
            self.assertTrue(new.parent.is_dir())
            self.assertFalse(new.exists() or new.with_suffix(".json").exists())

    def test_what_can_not_be_written_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "file").touch()
            (Path(folder) / "a.json").mkdir()
            for option, path in (("log", folder), ("log", f"{folder}/file/log"),
                                 ("markdown", f"{folder}/a.md")):
                with self.subTest(option, path=path), self.assertRaises(job.UsageError):
                    self.check(**{option: Path(path)})


if __name__ == "__main__":
    unittest.main()
