# SPDX-License-Identifier: Apache-2.0
"""Tests, without servers, the parts of scripts/claims-conformance and scripts/claims-faults."""

import argparse
import contextlib
import io
import random
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.claims import conformance, fault_makers, faults, history_check, simulated
from jobs.common import children, documents
from jobs.common.terminal import Terminal


def conformance_arguments(**changes):
    fields = {"server": None, "engine": None, "cluster": False, "use_loaded_library": False,
              "contract": None, "transport": "tcp", "store": None,
              "filter": None, "histories": None, "calls": None, "seed": None,
              **changes}
    return argparse.Namespace(**fields)


class WhatIsRun(unittest.TestCase):
    def test_all_by_default(self):
        self.assertEqual(conformance.runs(conformance_arguments()),
                         [("memory", False), ("valkey", False), ("redis", False),
                          ("valkey", True), ("redis", True)])

    def test_clusters_alone(self):
        self.assertEqual(conformance.runs(conformance_arguments(cluster=True)),
                         [("valkey", True), ("redis", True)])

    def test_what_is_named(self):
        arguments = conformance_arguments(engine=["redis", "memory"], cluster=True)
        self.assertEqual(conformance.runs(arguments), [("redis", True), ("memory", False)])

    def test_a_given_server(self):
        arguments = conformance_arguments(server="h:1")
        self.assertEqual(conformance.runs(arguments), [("server", False)])


class WhatTheToolPrints(unittest.TestCase):
    def finished(self, script):
        """Runs a tool that does what the shell script says. Returns its (passed, failed) and what
        is shown."""
        stream = io.StringIO()
        with tempfile.TemporaryDirectory() as folder, children.Children() as started:
            child = started.start(["sh", "-c", script], Path(folder) / "log")
            while child.status() is None:
                pass
            run = conformance.Run("valkey", child)
            run.read()
            return run.report(Terminal(stream)), stream.getvalue()

    def test_counts_and_lines(self):
        counts, shown = self.finished(
            "echo 'progress 3/9 7.1 x'; echo 'FAILED x'; echo '3 passed, 1 failed'; exit 1")
        self.assertEqual(counts, (3, 1))
        self.assertIn("FAILED x\n", shown)
        self.assertNotIn("progress", shown)

    def test_one_that_crashes_has_failed(self):
        self.assertEqual(self.finished("kill -9 $$")[0], (0, 1))
        self.assertEqual(self.finished("echo 3 passed, 0 failed; exit 3")[0], (3, 1))

    def test_a_last_line_is_wanted(self):
        self.assertIsNone(conformance.read_last_line("3 passed, 0 failed\nand more"))
        self.assertIsNone(conformance.read_last_line(""))


class Rounds(unittest.TestCase):
    def made(self, **changes):
        verdict = history_check.Verdict(claims=10, unknown=3, resolved=2, lost=4,
                                        lost_confirmed=1, confirmed=8)
        fields = {"fault": "kill", "server": "Valkey 9", "made": 2, "seconds": 1.0,
                  "verdict": verdict, **changes}
        return faults.Round(**fields)

    def test_one_that_proves_nothing_has_failed(self):
        self.assertEqual(self.made().problem, "")
        self.assertEqual(self.made(made=0).problem, "no fault was made")
        self.assertEqual(self.made(verdict=history_check.Verdict()).problem,
                         "no claim was made")
        bad = history_check.Verdict(claims=1, violations=["leases: x"])
        self.assertEqual(self.made(verdict=bad).problem, "1 violations")

    def test_the_table(self):
        rounds = [self.made(), self.made(), self.made(fault="failover"),
                  self.made(fault="failover-wait")]
        rows = faults.make_table(rounds).rows
        self.assertEqual(rows[0], ["kill", "2", "4", "20", "6", "4", "0", "-", "-"])
        self.assertEqual(rows[1], ["failover", "1", "2", "10", "3", "2", "0", "4", "-"])
        self.assertEqual(rows[2][-2:], ["4", "1 of 8"])
        self.assertEqual(rows[3][:4], ["all", "4", "8", "40"])
        text = faults.document(rounds, "scripts/claims-faults", "2026-01-01").markdown()
        self.assertIn("- servers: Valkey 9\n", text)
        self.assertIn("| kill | 2 | 4 |", text)

    def test_what_a_pause_depends_on(self):
        for kind in fault_makers.KINDS.values():
            fault = kind(random.Random(1), 10)
            self.assertTrue(all(0 <= fault.pause() <= 3 for _ in range(100)), kind.name)


class WhatIsWritten(unittest.TestCase):
    """Tests the whole job, with a round that was made before."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.verdict = history_check.Verdict(claims=10)
        world = {**simulated.read_world(Simulated.LINE), "violations": 0}
        for target, name, value in (
                (faults.build, "configure", mock.DEFAULT), (faults.build, "build", mock.DEFAULT),
                (faults.processes, "raise_on_signals", mock.DEFAULT),
                (faults, "_run_rounds", self.run_rounds),
                (simulated, "run", lambda *_: {4: world})):
            patch = mock.patch.object(target, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        self.begun = False

    def run_rounds(self, _terminal, _arguments, rounds):
        self.begun = True
        rounds.append(faults.Round("kill", "Valkey 9", 2, 1.0, self.verdict))

    def run_job(self, path, is_simulated=False):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            status = faults.main(argparse.Namespace(simulated=is_simulated, markdown=path, argv=[],
                                                    jobs=1))
        return status, output.getvalue()

    def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(self):
        (self.folder / "file").touch()
        status, output = self.run_job(self.folder / "file" / "out.md")
        self.assertEqual((status, self.begun), (2, False))
        self.assertIn("can't write", output)

    def test_what_was_measured_is_told_though_its_file_cannot_be_written(self):
        for is_simulated in (False, True):
            with mock.patch.object(documents.Document, "write", side_effect=OSError("disk full")):
                status, output = self.run_job(self.folder / "out.md", is_simulated)
            self.assertEqual(status, 2)
            self.assertIn("disk full", output)
            self.assertTrue(output.endswith("1 passed, 0 failed\n"), output)
            self.assertEqual(self.run_job(self.folder / "out.md", is_simulated)[0], 0)
            self.assertTrue((self.folder / "out.json").is_file())
        self.verdict.violations.append("x")
        with mock.patch.object(documents.Document, "write", side_effect=OSError("disk full")):
            self.assertEqual(self.run_job(self.folder / "out.md")[0], 1)


class FakeNode:
    def __init__(self, address: str, keys: int) -> None:
        self.address = address
        self.keys = keys

    def client(self) -> "FakeNode":
        return self

    def dbsize(self) -> int:
        return self.keys


class AnotherCluster(unittest.TestCase):
    def test_a_key_there_is_a_violation(self) -> None:
        fault = fault_makers.make_fault("leave", 1, 10)
        assert isinstance(fault, fault_makers.Leave)
        fault.guest, fault.other = FakeNode("a:1", 0), FakeNode("b:2", 0)
        self.assertEqual(fault.problem(), "")
        fault.other.keys = 3
        self.assertEqual(fault.problem(), "the other cluster was written to: 3 keys on b:2")


class FakeClient:
    """Stands in for a client of redis-py. The server has each execution whose id holds `there`, and
    no other."""

    def __init__(self):
        self.asked = []

    def pipeline(self):
        return self

    def hmget(self, key, *_fields):
        self.asked.append(key)

    def xrange(self, key):
        self.asked.append(key)

    def execute(self):
        asked, self.asked = self.asked, []
        replies = []
        for core in asked[0::2]:
            if "there" not in core:
                replies += [[None] * 4, []]
                continue
            replies += [[b"terminal", b"completed", b"2", b"2"],
                        [(b"1-0", {b"event": b"acquired", b"lease_id": b"a", b"lease_epoch": b"1"}),
                         (b"2-0", {b"event": b"reclaimed", b"new_lease_id": b"b",
                                   b"new_lease_epoch": b"2"}),
                         (b"3-0", {b"event": b"released", b"reason": b"completed",
                                   b"lease_id": b"b"})]]
        return replies


class WhatIsStored(unittest.TestCase):
    def test_reads_cores_and_histories(self):
        stored = faults.read_stored(FakeClient(), ["{fp:1}:there", "{fp:1}:gone"])
        self.assertEqual(stored, {"{fp:1}:there": history_check.Stored(
            "terminal", "completed", 2, 2, {"a": 1, "b": 2}, "b")})

    def test_in_parts(self):
        ids = [f"{{fp:1}}:there{i}" for i in range(450)]
        self.assertEqual(len(faults.read_stored(FakeClient(), ids)), 450)


class Simulated(unittest.TestCase):
    LINE = ('{"seed": 4, "calls": 2000, "executed": 9, "claims": 3, "unknown": 2, '
            '"unavailable": 1, "ruled_out": 1, "losses": 0, "longest_ms": 500, "violations": 0, '
            '"events": {"freeze": 2}}')

    def test_seeds_are_as_many_as_the_calls_want_without_those_that_are_done(self):
        self.assertEqual(simulated.seeds_to_run(5, 1, []), [5])
        self.assertEqual(simulated.seeds_to_run(1, 4001, []), [1, 2, 3])
        self.assertEqual(simulated.seeds_to_run(1, 10_000, [2, 3, 99]), [1, 4, 5])

    def test_a_process_gets_neighbours(self):
        self.assertEqual(simulated.batches([1, 2, 5, 6, 7, 9]), [(1, 2), (5, 3), (9, 1)])
        self.assertEqual(simulated.batches(list(range(1, 24))), [(1, 20), (21, 3)])

    def test_what_an_earlier_run_left(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "worlds"
            self.assertEqual(simulated.read_done(path), {})
            path.write_text(f"{self.LINE}\nseed 7: text\n[]\n{self.LINE[:50]}",
                            encoding="utf-8")
            self.assertEqual(list(simulated.read_done(path)), [4])

    def test_the_table(self):
        world = simulated.read_world(self.LINE)
        rows = simulated.make_table([world, {**world, "seed": 5, "longest_ms": 512}]).rows
        self.assertEqual(rows, [["2", "4,000", "18", "6", "4", "2", "2", "0", "0", "512 ms"]])
        self.assertEqual(simulated.events_line([world, world]), "freeze 4")

    def test_a_program_that_crashes_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder, children.Children() as started:
            path = Path(folder) / "program"
            path.write_text(f"#!/bin/sh\necho '{self.LINE}'\necho 'seed 4:'\nkill -9 $$\n",
                            encoding="utf-8")
            path.chmod(0o755)
            program, simulated.PROGRAM = simulated.PROGRAM, path
            folder_before, simulated.FOLDER = simulated.FOLDER, Path(folder)
            try:
                runs = simulated._Runs([(4, 1)], 1, started, Path(folder) / "kept", {})
                with self.assertRaisesRegex(simulated.SimulationError, "status -9"):
                    while runs.step():
                        pass
            finally:
                simulated.PROGRAM, simulated.FOLDER = program, folder_before
            self.assertEqual((list(runs.worlds), runs.texts), ([4], ["seed 4:"]))
            self.assertEqual(list(simulated.read_done(Path(folder) / "kept")), [4])


if __name__ == "__main__":
    unittest.main()
