# SPDX-License-Identifier: Apache-2.0
"""Tests the judge of a fleet. The judge accepts the records of an execution that was completed
once, and finds the fault in such records after a change."""

from __future__ import annotations

import copy
import unittest
from typing import Any

from jobs.live import fleet_proof
from jobs.live.fleet_proof import Record, faults

RESULT = b"EXECUTION 1"
FIRST, SECOND = "cpp-1", "rust-2"


def attempt(state: str, instance: str, epoch: int) -> dict[str, str]:
    return {"attempt_state": state, "worker_instance_id": instance, "lease_id": f"lease-{epoch}",
            "lease_epoch": str(epoch)}


def record(leases: int = 1) -> Record:
    """Returns the records of an execution that had this many leases: all but the last have expired,
    and under the last it was completed."""
    names = [FIRST, SECOND, "cpp-3"][:leases]
    states = ["interrupted_reclaimed"] * (leases - 1) + ["ended_success"]
    history = [{"event": "acquired", "lease_id": "lease-1", "lease_epoch": "1"}]
    for epoch in range(2, leases + 1):
        history += [{"event": "expired", "lease_id": f"lease-{epoch - 1}",
                     "lease_epoch": str(epoch - 1)},
                    {"event": "reclaimed", "new_lease_id": f"lease-{epoch}",
                     "new_lease_epoch": str(epoch), "old_lease_epoch": str(epoch - 1)}]
    history.append({"event": "released", "lease_id": f"lease-{leases}",
                    "lease_epoch": str(leases), "reason": "completed"})
    return Record({"public_state": "completed", "terminal_outcome": "success",
                   "total_attempt_count": str(leases), "lease_reclaim_count": str(leases - 1),
                   "current_lease_epoch": str(leases)},
                  [attempt(state, name, epoch)
                   for epoch, (state, name) in enumerate(zip(states, names), 1)],
                  history, "completed", RESULT)


class Judge(unittest.TestCase):
    def found(self, one: Record, reporters: tuple[str, ...] = (FIRST,),
              disturbed: tuple[str, ...] = ()) -> str:
        return "; ".join(faults(one, RESULT, list(reporters), disturbed))

    def test_what_is_right(self) -> None:
        self.assertEqual(self.found(record()), "")
        self.assertEqual(self.found(record(2), (SECOND,)), "")
        self.assertEqual(self.found(record(3), ("cpp-3",), (FIRST, SECOND)), "")
        self.assertEqual(self.found(record(), (), (FIRST,)), "")

    def test_reports(self) -> None:
        self.assertIn("reported as completed by cpp-1, rust-2",
                      self.found(record(), (FIRST, SECOND)))
        self.assertIn("reported as completed by cpp-1, cpp-1", self.found(record(), (FIRST, FIRST)))
        self.assertEqual(self.found(record(2), (FIRST,), (FIRST,)),
                         "completed by rust-2, but reported by cpp-1")
        self.assertIn("did not report it", self.found(record(), ()))
        self.assertIn("did not report it", self.found(record(2), (), (FIRST,)))

    def test_how_it_ended(self) -> None:
        for change, said in (
                (lambda one: setattr(one, "state", "active"), "the state over HTTP is 'active'"),
                (lambda one: one.core.update(public_state="failed"),
                 "the stored state is 'failed'"),
                (lambda one: one.core.update(terminal_outcome="failed"), "the outcome is 'failed'"),
                (lambda one: setattr(one, "result", b"x"), "the result is b'x', not b'EXEC"),
                (lambda one: setattr(one, "result", None), "the result is None")):
            self.changed(record(), change, said)

    def test_attempts(self) -> None:
        two = record(2)
        self.changed(two, lambda one: one.attempts[0].update(attempt_state="ended_success"),
                     "2 attempts ended with success", (SECOND,))
        self.changed(two, lambda one: one.attempts[1].update(attempt_state="started"),
                     "0 attempts ended with success", (SECOND,))
        self.changed(two, lambda one: one.attempts[1].update(lease_epoch="3"),
                     "the attempts have other epochs", (SECOND,))
        self.changed(two, lambda one: one.attempts.pop(), "1 attempts, but the history", (SECOND,))

    def test_leases(self) -> None:
        two = record(2)

        def released(one: Record) -> None:
            one.history.append(dict(one.history[-1]))

        def stale(one: Record) -> None:
            one.history[-1].update(lease_id="lease-1", lease_epoch="1")

        for change, said in (
                (released, "expired, reclaimed, released, released"),
                (lambda one: one.history.pop(1), "acquired, reclaimed, released"),
                (stale, "the lease lease-1 of epoch 1 was released (completed) while lease-2"),
                (lambda one: one.history[-1].update(reason="suspend"), "was released (suspend)"),
                (lambda one: one.history[1].update(lease_id="x"), "the lease x expired"),
                (lambda one: one.history[2].update(new_lease_epoch="3"), "the epochs are 1, 3"),
                (lambda one: one.core.update(lease_reclaim_count="0"), "but 0 reclaims")):
            self.changed(two, change, said, (SECOND,))

    def changed(self, one: Record, change: Any, said: str,
                reporters: tuple[str, ...] = (FIRST,)) -> None:
        wrong = copy.deepcopy(one)
        change(wrong)
        self.assertIn(said, self.found(wrong, reporters))

    def test_an_execution_that_nobody_has_claimed(self) -> None:
        one = Record(dict.fromkeys(fleet_proof._CORE, ""), [], [], "waiting")
        one.core.update(public_state="waiting", total_attempt_count="0")
        self.assertEqual(one.completed_by, "")
        said = self.found(one, ())
        self.assertIn("the state over HTTP is 'waiting'", said)
        self.assertIn("0 attempts ended with success", said)


if __name__ == "__main__":
    unittest.main()
