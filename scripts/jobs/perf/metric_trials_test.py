# SPDX-License-Identifier: Apache-2.0

import argparse
import io
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.common.terminal import Terminal
from jobs.perf import fingerprint, live_trials, metric_trials


class MetricTrialsTest(unittest.TestCase):
    """Tests what is kept and resumed; metrics_test.py has the tries themselves."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.asked = []
        for name, value in (("_KEPT", self.folder / "kept.json"), ("one_try", self.one_try)):
            patch = mock.patch.object(metric_trials, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def one_try(self, _terminal, _folder, metric, percent, _budget):
        self.asked.append((metric, percent))
        return {"metric": metric, "percent": percent, "found": bool(percent), "false": [],
                "suspected": ["x"] if percent == 5 else [], "verdict": "regressed",
                "seconds": 40.0, "load": 1.0}

    def run_metrics(self, *argv):
        parser = argparse.ArgumentParser()
        parser.add_argument("--out", type=Path, default=self.folder / "out.md")
        live_trials.add_options(parser)
        metric_trials.add_options(parser)
        return metric_trials.run(Terminal(io.StringIO()),
                                 parser.parse_args(["--metrics", "--tries", "1", *argv]),
                                 "./scripts/perf selftest --metrics")

    def test_tries_are_kept_until_asked_for_afresh(self):
        for argv, count in (((), 9), ((), 9), (("--fresh",), 18), (("--budget", "60"), 27)):
            self.assertEqual(self.run_metrics(*argv), 0)
            self.assertEqual(len(self.asked), count)

    def test_what_was_suspected_is_counted_and_misses_no_bar(self):
        self.assertEqual(self.run_metrics(), 0)
        text = (self.folder / "out.md").read_text(encoding="utf-8")
        self.assertIn("| peak memory | 5% | 1 | 1 | 2.5% - 100.0% | 0 | 1 | 40.0 s | met |", text)

    def test_tries_of_another_gate_program_or_compiler_are_not_taken(self):
        self.run_metrics()
        with mock.patch.object(fingerprint, "code_of_gate", lambda *_: "other"):
            self.run_metrics()
        self.assertEqual(len(self.asked), 18)
        other = self.folder / "growth.cc"
        other.write_text("int main() {}", encoding="utf-8")
        for target, name, value in ((metric_trials, "SOURCE", other),
                                    (fingerprint, "compiler_version", lambda _: "g++ 99")):
            self.run_metrics()
            before = len(self.asked)
            with mock.patch.object(target, name, value):
                self.run_metrics()
            self.assertEqual(len(self.asked), before + 9, name)


if __name__ == "__main__":
    unittest.main()
