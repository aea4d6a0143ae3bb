# SPDX-License-Identifier: Apache-2.0

import argparse
import io
import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.common.terminal import Terminal
from jobs.perf import fingerprint, live_trials, revisions
from jobs.perf.samples import Program


class LiveTrialsTest(unittest.TestCase):
    """Tests everything but the measuring: what is kept, resumed and said."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.kept = self.folder / "kept.json"
        self.asked = []
        self.found = {5: "regressed", 10: "regressed", 30: "regressed"}
        for target, name, value in (
                (live_trials, "_KEPT", self.kept), (live_trials, "one_try", self.one_try),
                (revisions, "directory_of", lambda *_: self.folder),
                (revisions, "working_tree", lambda: None)):
            patch = mock.patch.object(target, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def one_try(self, _terminal, program, percent, number, _budget):
        self.assertIsInstance(program, Program)
        if len(self.asked) == getattr(self, "stop_at", None):
            raise KeyboardInterrupt
        self.asked.append((percent, number))
        return {"percent": percent, "slow": "BM_x", "found": self.found[percent], "false": [],
                "suspected": ["BM_z"] if percent == 10 else [], "seconds": 40.0, "load": 1.0}

    def run_live(self, *argv):
        parser = argparse.ArgumentParser()
        parser.add_argument("--out", type=Path, default=self.folder / "out.md")
        live_trials.add_options(parser)
        status = live_trials.run(Terminal(io.StringIO()), parser.parse_args(["--live", *argv]),
                                 "./scripts/perf selftest --live")
        return status, (self.folder / "out.md").read_text(encoding="utf-8")

    def test_says_what_was_found(self):
        status, text = self.run_live("--tries", "20")
        self.assertEqual((status, len(self.asked)), (0, 60))
        self.assertIn("| 5% | 20 | 20 | 83.2% - 100.0% | 0 | 0 | 40.0 s | met |", text)
        self.assertIn("| 10% | 20 | 20 | 83.2% - 100.0% | 0 | 20 | 40.0 s | met |", text)

    def test_one_in_twenty_may_be_missed_of_5_percent_and_none_of_10(self):
        self.run_live("--tries", "20")
        for percent, misses, status in ((5, 1, 0), (5, 2, 1), (10, 1, 1)):
            kept = json.loads(self.kept.read_text(encoding="utf-8"))
            its = [each for each in kept["tries"] if each["percent"] == percent]
            for each in its:
                each["found"] = "regressed"
            for each in its[:misses]:
                each["found"] = "suspected"
            self.kept.write_text(json.dumps(kept), encoding="utf-8")
            self.assertEqual(self.run_live("--tries", "20")[0], status)
            for each in its:
                each["found"] = "regressed"
            self.kept.write_text(json.dumps(kept), encoding="utf-8")

    def test_a_false_alarm_misses_the_bar(self):
        self.run_live("--tries", "1")
        kept = json.loads(self.kept.read_text(encoding="utf-8"))
        kept["tries"][0]["false"] = ["BM_y"]
        self.kept.write_text(json.dumps(kept), encoding="utf-8")
        status, text = self.run_live("--tries", "1")
        self.assertEqual(status, 1)
        self.assertIn("MISSED", text)

    def test_goes_on_where_it_was_interrupted(self):
        self.stop_at = 4
        with self.assertRaises(KeyboardInterrupt):
            self.run_live("--tries", "2")
        self.stop_at = None
        self.run_live("--tries", "2")
        self.assertEqual(sorted(self.asked), [(p, n) for p in (5, 10, 30) for n in (0, 1)])
        self.run_live("--tries", "2")
        self.assertEqual(len(self.asked), 6)
        self.run_live("--tries", "2", "--fresh")
        self.assertEqual(len(self.asked), 12)

    def test_tries_of_another_budget_are_not_taken(self):
        self.run_live("--tries", "1")
        self.run_live("--tries", "1", "--budget", "60")
        self.assertEqual(len(self.asked), 6)

    def test_tries_of_another_gate_are_not_taken(self):
        self.run_live("--tries", "1")
        with mock.patch.object(fingerprint, "code_of_gate", lambda *_: "other"):
            self.run_live("--tries", "1")
        self.assertEqual(len(self.asked), 6)


if __name__ == "__main__":
    unittest.main()
