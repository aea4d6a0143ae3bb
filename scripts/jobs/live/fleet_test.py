# SPDX-License-Identifier: Apache-2.0
"""Tests, without FlowFabric's server, the parts of scripts/live-fleet. Programs of a few lines take
the place of the workers."""

from __future__ import annotations

import io
import os
import random
import signal
import sys
import tempfile
import time
import unittest
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from jobs.common import children
from jobs.common.terminal import Terminal
from jobs.live import fleet, fleet_proof, fleet_proof_test
from jobs.server import claim_server, flowfabric

ID = "{fp:7}:550e8400-e29b-41d4-a716-446655440000"
OTHER = "{fp:9}:550e8400-e29b-41d4-a716-446655440001"

# This program stands in for a worker. It says that it has completed what SAYS names, and lives
# until SIGTERM. A stand-in that is given ids says that it has completed the executions with these
# ids, and ends.
_WORKER = f"""\
#!{sys.executable}
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(int(os.environ.get("STATUS", 0))))
for name in sys.argv[4:] or os.environ["SAYS"].split():
    print("completed " + name, flush=True)
print("not completed {{fp:1}}:x: stale_lease", flush=True)
if not sys.argv[4:]:
    print("instance " + os.environ["FF_WORKER_INSTANCE_ID"], flush=True)
    print("token " + os.environ.get("FF_API_TOKEN", ""), flush=True)
    signal.pause()
"""


class Plan(unittest.TestCase):
    def test_blows_come_one_after_the_other_and_hit_both_kinds(self) -> None:
        blows = fleet.plan(10_000, 100, random.Random(1))
        self.assertEqual(len(blows), 100 + 2 * (fleet.FREEZES + 1))
        times = [blow.at for blow in blows]
        self.assertEqual(times, sorted(times))
        self.assertGreater(times[0], 0)
        self.assertLess(times[-1], 10_000)
        for kind in fleet.KINDS:
            hows = [blow.how for blow in blows if blow.kind == kind]
            self.assertEqual({how: hows.count(how) for how in sorted(set(hows))},
                             {"aimed": 25, "freeze": fleet.FREEZES, "kill": 25, "rescuer": 1})
        self.assertNotEqual(blows, fleet.plan(10_000, 100, random.Random(2)))

    def test_a_run_may_be_short(self) -> None:
        self.assertTrue(all(0 <= blow.at < 3 for blow in fleet.plan(3, 8, random.Random(1))))
        self.assertTrue(fleet.plan(300, 0, random.Random(1)))


class WithServer(unittest.TestCase):
    """Starts a Valkey, and makes a fleet of stand-ins that takes it for the deployment's Valkey."""

    def setUp(self) -> None:
        stack = self.enterContext if hasattr(self, "enterContext") else self._enter
        valkey = stack(claim_server.alone("auto"))
        folder = Path(stack(tempfile.TemporaryDirectory()))
        group = stack(children.Children())
        worker = folder / "worker"
        worker.write_text(_WORKER, encoding="utf-8")
        worker.chmod(0o755)
        stack(mock.patch.dict(os.environ, {"SAYS": ID, "FF_API_TOKEN": "another's"}))
        settings = flowfabric.Settings(token="secret")
        server = mock.Mock(url="http://127.0.0.1:1")
        self.running = flowfabric.Deployment(valkey, server, settings)
        self.client = valkey.client()
        self.fleet = fleet.Fleet(self.running, "lane", dict.fromkeys(fleet.KINDS, worker), group,
                                 folder)

    def _enter(self, context):  # unittest has such a method from Python 3.11 on
        entered = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return entered

    def until(self, condition: Callable[[], bool]) -> None:
        limit = time.monotonic() + 20
        while not condition():
            self.assertLess(time.monotonic(), limit)
            self.fleet.listen()
            time.sleep(0.01)


class Members(WithServer):
    def test_what_they_say_is_heard(self) -> None:
        member = self.fleet.start("cpp")
        self.until(lambda: "token " in member.child.output())
        self.assertIn("token secret\n", member.child.output())
        self.assertIn(f"instance {member.instance}\n", member.child.output())
        self.until(lambda: bool(self.fleet.reports.completed))
        self.assertEqual(self.fleet.reports.completed, {ID: [member.instance]})
        self.assertEqual(self.fleet.counts.refused, 1)
        rescuer = self.fleet.start("rust", [ID, OTHER])
        self.until(lambda: not self.fleet.rescuers)
        self.assertEqual(self.fleet.reports.completed, {
            ID: [member.instance, rescuer.instance], OTHER: [rescuer.instance]})
        self.assertEqual(self.fleet.counts.rescuers["rust"], 1)
        self.assertEqual((self.fleet.crashes, self.fleet.members), ([], [member]))

    def test_an_end_that_nobody_caused_is_a_crash(self) -> None:
        killed, ends = self.fleet.start("cpp"), self.fleet.start("rust")
        self.fleet.kill(killed, True)
        self.until(lambda: "token " in ends.child.output())
        ends.child.signal(signal.SIGTERM)
        self.until(lambda: not self.fleet.members)
        [crash] = self.fleet.crashes
        self.assertIn(f"{ends.instance} ended with status 0", crash)
        self.assertEqual(self.fleet.reports.disturbed, {killed.instance})
        self.assertEqual(self.fleet.counts.killed, {"cpp": 1})
        self.fleet.kill(ends, True)  # too late
        self.assertFalse(ends.is_killed)

    def test_a_worker_is_stopped_only_while_it_holds_a_lease(self) -> None:
        member = self.fleet.start("cpp")
        with mock.patch.object(fleet, "_AIM_SECONDS", 0.1):
            self.assertFalse(self.fleet.freeze(member))
        self.assertEqual(self.fleet.frozen, [])
        self.client.sadd(f"ff:idx:{{fp:7}}:worker:{member.instance}:leases", ID)
        self.assertTrue(self.fleet.freeze(member))
        self.assertEqual([one.held for one in self.fleet.frozen], [[ID]])
        self.assertEqual(self.fleet.members, [])
        self.client.hset(f"ff:exec:{{fp:7}}:{ID}:core", "lifecycle_phase", "active")
        self.fleet.thaw()
        self.assertEqual(self.fleet.members, [])
        self.client.hset(f"ff:exec:{{fp:7}}:{ID}:core", "lifecycle_phase", "terminal")
        self.fleet.thaw()
        self.assertEqual((self.fleet.members, self.fleet.frozen), ([member], []))


class Executions(WithServer):
    def test_which_have_ended_and_which_are_left(self) -> None:
        self.client.zadd("ff:idx:{fp:7}:lane:lane:terminal", {ID: 1})
        self.client.zadd("ff:idx:{fp:9}:lane:lane:terminal", {OTHER: 1})
        self.assertEqual(self.fleet.ended(), 2)
        self.assertEqual(self.fleet.expired(), [])
        for name in (ID, OTHER):
            tag = name[:6]
            self.client.zadd(f"ff:idx:{tag}:lease_expiry", {name: 1})
            self.client.hset(f"ff:exec:{tag}:{name}:core", "ownership_state", "leased")
        self.assertEqual(self.fleet.expired(), [])
        for name in (ID, OTHER):
            self.client.hset(f"ff:exec:{name[:6]}:{name}:core", "ownership_state",
                             "lease_expired_reclaimable")
        self.assertEqual(self.fleet.expired(), [ID, OTHER])
        self.fleet.start("cpp", [ID])
        self.assertEqual(self.fleet.expired(), [OTHER])
        self.until(lambda: not self.fleet.rescuers)
        self.assertEqual(self.fleet.expired(), [ID, OTHER])

    def test_what_is_stored_is_read(self) -> None:
        stem = f"{{fp:7}}:{ID}"
        one = fleet_proof_test.record(2)
        self.client.hset(f"ff:exec:{stem}:core", mapping=one.core)
        for event in one.history:
            self.client.xadd(f"ff:exec:{stem}:lease:history", event)
        for index, attempt in enumerate(one.attempts):
            self.client.hset(f"ff:attempt:{stem}:{index}", mapping=attempt)
        found = fleet_proof.read_stored(self.client, [ID, OTHER])
        self.assertEqual((found[ID].core, found[ID].attempts, found[ID].history),
                         (one.core, one.attempts, one.history))
        self.assertEqual(found[ID].completed_by, "rust-2")
        self.assertEqual((found[OTHER].attempts, found[OTHER].history), ([], []))


class Verdict(unittest.TestCase):
    def run_of(self, executions: int, kills: int) -> fleet.Run:
        arguments = Namespace(executions=executions, kills=kills, workers=1, seed=1)
        running = mock.Mock()
        reports = fleet_proof.Reports()
        made = mock.Mock(reports=reports, counts=fleet.Counts(), crashes=[])
        self.stream = io.StringIO()
        return fleet.Run(Terminal(self.stream), arguments, made, running, "lane")

    def test_all_is_well(self) -> None:
        run = self.run_of(3, 0)
        records = {}
        for (name, payload), leases in zip(run.payloads.items(), (1, 2, 3)):
            records[name] = one = fleet_proof_test.record(leases)
            one.result = payload.upper()
            run._fleet.reports.add(name, one.completed_by)
        passed, wrong = run.judge(records)
        self.assertEqual(wrong, [])
        self.assertEqual(passed, 3 + 4)
        run.say(records)
        self.assertIn("completed: 2 cpp, 1 rust\n", self.stream.getvalue())
        self.assertIn("2 executions, completed by 1 cpp, 1 rust; at most 3 attempts",
                      self.stream.getvalue())

    def test_what_is_wrong_is_said(self) -> None:
        run = self.run_of(1, 8)
        [name] = run.payloads
        run._fleet.reports.add(OTHER, "cpp-1")
        run._fleet.crashes.append("cpp-7 ended with status 1")
        run._fleet.counts.killed_with_lease["cpp"] = 1
        with mock.patch.object(fleet, "_ENOUGH", 1):
            _, wrong = run.judge({name: fleet_proof_test.record()})
        said = "\n".join(wrong)
        for text in (f"FAILED {name}: the result is", "that nobody has created", "cpp-7 ended",
                     "no rust worker completed anything", "no rust worker was killed",
                     "no rust worker was killed at work", "no cpp worker was killed",
                     "no execution was taken over"):
            self.assertIn(text, said)

    def test_payloads_are_the_seed_s_and_all_different(self) -> None:
        first, second = self.run_of(50, 0), self.run_of(50, 0)
        self.assertEqual(first.payloads, second.payloads)
        self.assertEqual(len(set(first.payloads.values())), 50)
        self.assertTrue(all(payload.upper() != payload for payload in first.payloads.values()))


if __name__ == "__main__":
    unittest.main()
