# SPDX-License-Identifier: Apache-2.0

import random
import unittest

from jobs.common import build
from jobs.perf import replay

FOLDER = build.ROOT / "bench" / "perf"


class Procedure:
    """Tests the procedure on rounds that are always the same. A change of the procedure that raises
    false alarms or loses slowdowns fails here, and noise can't make the test fail."""

    recording = None  # the file
    least = {}  # percent slower -> the share that has to be found

    @classmethod
    def setUpClass(cls):
        recording = replay.load(FOLDER / cls.recording)
        cls.cells = {(cell.condition, cell.slowdown): cell
                     for cell in replay.cells(recording, 200, random.Random(1))}

    def of(self, slowdown):
        return [(condition, self.cells[condition, slowdown]) for condition in ("plain", "hog")]

    def test_no_false_alarm_of_equal_programs(self):
        for condition, cell in self.of(0):
            with self.subTest(condition):
                self.assertEqual(cell.replays, 200)
                self.assertLessEqual(cell.equal.share("regressed"), 0.001)
                self.assertLessEqual(cell.false_suites / cell.replays, 0.02)

    def test_equal_programs_beside_slower_ones_are_not_blamed(self):
        for slowdown in replay.SLOWDOWNS:
            for condition, cell in self.of(slowdown):
                with self.subTest(condition, slowdown=slowdown):
                    self.assertLessEqual(cell.equal.share("regressed"), 0.001)

    def test_slowdowns_are_found(self):
        for slowdown, share in self.least.items():
            for condition, cell in self.of(slowdown):
                with self.subTest(condition, slowdown=slowdown):
                    self.assertGreaterEqual(cell.near.total, 400)
                    self.assertGreaterEqual(cell.near.share("regressed"), share)

    def test_slowdowns_are_never_called_clean(self):
        for slowdown in (5, 10):
            for condition, cell in self.of(slowdown):
                with self.subTest(condition, slowdown=slowdown):
                    self.assertLessEqual(cell.near.share("clean", "improved"), 0.005)
                    self.assertLessEqual(cell.far.share("clean", "improved"), 0.005)


class IdleMachineTest(Procedure, unittest.TestCase):
    """Uses rounds that scripts/perf selftest has recorded on two cores that otherwise had nothing
    to do. The bars of results/perf-selftest.md hold for these rounds."""

    recording = "selftest_recording.json"
    least = {3: 0.90, 5: 0.95, 10: 0.95}


class BusyMachineTest(Procedure, unittest.TestCase):
    """Uses rounds that were recorded on two cores at a load of 10 to 30. There are fewer of these
    rounds, so the gate finds fewer slowdowns, but the bars for false alarms hold here too."""

    recording = "selftest_recording_busy.json"
    least = {5: 0.65, 10: 0.80}


if __name__ == "__main__":
    unittest.main()
