# SPDX-License-Identifier: Apache-2.0
"""Tests the checker with histories that must pass, and with histories that it must refuse."""

import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

from jobs.claims import history_check
from jobs.claims.history_check import Call, Stored

E = "{fp:1}:e"
MS = 1_000_000


def call(op, called, **changes):
    """A call at `called` ms that takes one millisecond."""
    fields = {"execution": E, "worker": "w1", "outcome": "ok", **changes}
    return Call(op=op, called=called * MS, returned=(called + 1) * MS, **fields)


def claim(called, lease, epoch, op="claim", **changes):
    fields = {"lease": lease, "epoch": epoch, "index": epoch - 1, "ttl": 1000,
              "expires": 10_000 + called + 1000, **changes}
    return call(op, called, **fields)


def issue(called, op="issue", **changes):
    return call(op, called, **{"ttl": 5000, **changes})


def good():
    """Returns a good history, in which an execution is claimed, revoked, reclaimed by another
    worker and completed, and what is stored then."""
    calls = [call("create", 0), issue(2), claim(4, "l1", 1), call("revoke", 6),
             issue(8, "issue_reclaim", worker="w2"),
             claim(10, "l2", 2, "reclaim", worker="w2"),
             call("renew", 12, worker="w2", lease="l2", epoch=2, expires=12_000, ttl=1000),
             call("complete", 14, worker="w2", lease="l2", epoch=2)]
    stored = {E: Stored("terminal", "completed", 2, 2, {"l1": 1, "l2": 2}, "l2")}
    return calls, stored


def kinds(calls, stored, **options):
    verdict = history_check.check(calls, stored, **options)
    return {text.split(":")[0] for text in verdict.violations}


class GoodHistories(unittest.TestCase):
    def test_a_life(self):
        verdict = history_check.check(*good())
        self.assertEqual(verdict.violations, [])
        self.assertEqual((verdict.claims, verdict.unknown, verdict.lost), (2, 0, 0))

    def test_the_order_of_the_lines_does_not_matter(self):
        calls, stored = good()
        self.assertEqual(kinds(calls[::-1], stored), set())

    def test_an_expired_lease_makes_room(self):
        calls, stored = good()
        calls = [c for c in calls if c.op != "revoke"]
        calls[2] = replace(calls[2], expires=10_005, ttl=1)
        calls.append(call("mark_expired", 6))
        self.assertEqual(kinds(calls, stored), set())

    def test_rejections_leave_nothing(self):
        calls, stored = good()
        calls += [claim(20, "l3", 0, outcome="execution_not_leaseable"),
                  claim(22, "l4", 0, outcome="unavailable")]
        self.assertEqual(kinds(calls, stored), set())

    def test_unknown_calls_may_have_happened_or_not(self):
        calls, stored = good()
        calls[1] = replace(calls[1], outcome="unknown")  # the grant of this call was consumed
        calls[3] = replace(calls[3], outcome="unknown")
        calls[7] = replace(calls[7], outcome="unknown")
        calls.append(claim(30, "l9", 0, outcome="unknown", resolved="not_happened"))
        verdict = history_check.check(calls, stored)
        self.assertEqual(verdict.violations, [])
        self.assertEqual((verdict.unknown, verdict.resolved), (4, 1))

    def test_an_unknown_claim_that_happened(self):
        calls, stored = good()
        calls[2] = replace(calls[2], outcome="unknown", resolved="happened")
        verdict = history_check.check(calls, stored)
        self.assertEqual(verdict.violations, [])
        self.assertEqual(verdict.claims, 2)


    def test_an_unknown_claim_that_was_found_out_about_late(self):
        calls, stored = good()
        calls[2] = replace(calls[2], outcome="unknown", resolved="happened", epoch=0, index=-1,
                           expires=0)
        self.assertEqual(kinds(calls, stored), set())
        stored[E].leases["l1"] = 2  # the same epoch as the other lease's
        self.assertIn("epochs", kinds(calls, stored))


class BadHistories(unittest.TestCase):
    def refuses(self, kind, change, **options):
        calls, stored = good()
        change(calls, stored[E])
        self.assertIn(kind, kinds(calls, stored, **options))

    def test_one_epoch_twice(self):
        def change(calls, stored):
            calls[5] = replace(calls[5], epoch=1)
            stored.leases["l2"] = 1
        self.refuses("epochs", change)

    def test_epochs_that_shrink(self):
        def change(calls, stored):
            calls[2], calls[5] = replace(calls[2], epoch=2), replace(calls[5], epoch=1)
            stored.leases.update(l1=2, l2=1)
        self.refuses("epochs", change)

    def test_an_epoch_of_nothing(self):
        def change(calls, stored):
            calls[2] = replace(calls[2], epoch=0)
            stored.leases["l1"] = 0
        self.refuses("epochs", change)

    def test_an_attempt_index_twice(self):
        self.refuses("epochs", lambda calls, _: calls.__setitem__(5, replace(calls[5], index=0)))

    def test_stored_epochs(self):
        self.refuses("epochs", lambda _, stored: setattr(stored, "epoch", 3))
        self.refuses("epochs", lambda _, stored: stored.leases.update(l2=1))

    def test_two_live_leases(self):
        self.refuses("leases", lambda calls, _: calls.pop(3))  # without the revocation

    def test_two_live_leases_by_renewal(self):
        def change(calls, _):
            calls[2] = replace(calls[2], expires=10_005, ttl=1)
            calls[3] = call("renew", 5, lease="l1", epoch=1, expires=20_000, ttl=1000)
        self.refuses("leases", change)

    def test_a_revocation_of_another_time_excuses_nothing(self):
        def change(calls, _):
            calls[3] = call("revoke", 1)  # before the lease
        self.refuses("leases", change)
        def later(calls, _):
            calls[3] = call("revoke", 13)  # after the next lease began
        self.refuses("leases", later)

    def test_a_grant_consumed_twice(self):
        self.refuses("grants", lambda calls, _: calls.pop(4))

    def test_anothers_grant(self):
        self.refuses("grants", lambda calls, _: calls.__setitem__(
            1, replace(calls[1], worker="w2")))

    def test_a_grant_that_came_after(self):
        self.refuses("grants", lambda calls, _: calls.__setitem__(
            1, replace(calls[1], called=50 * MS, returned=51 * MS)))

    def test_two_grants_at_once(self):
        self.refuses("grants", lambda calls, _: calls.insert(2, issue(3, worker="w2")))

    def test_an_old_fence(self):
        self.refuses("fences", lambda calls, _: calls.append(
            call("renew", 13, lease="l1", epoch=1, expires=12_000)))

    def test_a_fence_of_nobody(self):
        self.refuses("fences", lambda calls, _: calls.append(
            call("renew", 13, lease="l7", epoch=7, expires=12_000)))

    def test_two_ends(self):
        self.refuses("fences", lambda calls, _: calls.append(
            call("complete", 16, lease="l2", epoch=2)))

    def test_renewed_after_the_end(self):
        self.refuses("fences", lambda calls, _: calls.append(
            call("renew", 20, lease="l2", epoch=2, expires=12_000)))

    def test_a_lease_after_the_end(self):
        def change(calls, stored):
            calls += [issue(20), claim(30, "l3", 3)]
            stored.leases["l3"] = stored.epoch = 3
        self.refuses("fences", change)

    def test_acknowledged_and_gone(self):
        self.refuses("stored", lambda _, stored: stored.leases.pop("l1"))
        self.refuses("stored", lambda _, stored: setattr(stored, "public_state", "active"))
        self.refuses("stored", lambda _, stored: setattr(stored, "completed_by", "l1"))
        calls, _ = good()
        self.assertIn("stored", kinds(calls, {}))

    def test_said_not_to_have_happened_and_stored(self):
        for outcome in ("unavailable", "invalid_claim_grant"):
            self.refuses("stored", lambda calls, _, outcome=outcome: calls.__setitem__(
                2, replace(calls[2], outcome=outcome)))

    def test_a_lease_of_nobody(self):
        self.refuses("stored", lambda _, stored: stored.leases.update(l8=3))

    def test_unknown_resolved_wrongly(self):
        def not_happened(calls, _):
            calls[2] = replace(calls[2], outcome="unknown", resolved="not_happened")
        self.refuses("unknown", not_happened)
        def happened(calls, _):
            calls.append(claim(30, "l9", 3, outcome="unknown", resolved="happened"))
        self.refuses("unknown", happened)


class Failover(unittest.TestCase):
    def test_what_is_lost_is_counted(self):
        calls, stored = good()
        calls[5] = replace(calls[5], confirmed=True)
        del stored[E].leases["l2"]
        stored[E] = replace(stored[E], phase="active", public_state="active", epoch=1)
        calls = calls[:6]
        verdict = history_check.check(calls, stored, may_lose=True)
        self.assertEqual(verdict.violations, [])
        self.assertEqual((verdict.claims, verdict.lost, verdict.lost_confirmed), (1, 1, 1))

    def test_grants_and_fences_of_what_is_lost(self):
        calls, stored = good()
        calls = calls[:4] + [issue(8, worker="w2"), issue(9)] + calls[6:7]
        calls[-1] = replace(calls[-1], lease="l1", epoch=1)
        stored[E] = Stored("runnable", "waiting", 0, 0, {})
        verdict = history_check.check(calls, stored, may_lose=True)
        self.assertEqual(verdict.violations, [])
        self.assertEqual(verdict.lost, 1)

    def test_a_lost_end(self):
        calls, stored = good()
        calls.insert(6, call("complete", 11, worker="w2", lease="l2", epoch=2))
        calls += [call("revoke", 16), issue(18, "issue_reclaim"), claim(20, "l3", 3, "reclaim"),
                  call("complete", 22, lease="l3", epoch=3)]
        stored[E] = Stored("terminal", "completed", 3, 3, {"l1": 1, "l2": 2, "l3": 3}, "l3")
        verdict = history_check.check(calls, stored, may_lose=True)
        self.assertEqual(verdict.violations, [])
        self.assertEqual(verdict.lost, 2)

    def test_a_fence_of_nobody(self):
        calls, stored = good()
        calls.append(call("renew", 13, lease="l7", epoch=7, expires=12_000))
        self.assertIn("fences", kinds(calls, stored, may_lose=True))

    def test_a_lost_execution(self):
        calls, _ = good()
        verdict = history_check.check(calls[:3], {}, may_lose=True)
        self.assertEqual(verdict.violations, [])
        self.assertEqual(verdict.lost, 2)  # the execution's creation and its claim

    def test_two_live_leases_among_what_survives(self):
        calls, stored = good()
        calls.pop(3)
        self.assertIn("leases", kinds(calls, stored, may_lose=True))


class Files(unittest.TestCase):
    def test_lines(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "history"
            path.write_text(json.dumps({
                "op": "claim", "execution": E, "worker": "w", "called": 1, "returned": 2,
                "outcome": "ok", "lease": "l", "epoch": 1, "index": 0, "expires": 5, "ttl": 1})
                + "\n", encoding="ascii")
            self.assertEqual(history_check.read_calls(path)[0].acquired, 4)
            for bad in ('{"op": "claim"}', "{", '{"op": "x", "unheard_of": 1}'):
                path.write_text(bad + "\n", encoding="ascii")
                with self.assertRaises(ValueError):
                    history_check.read_calls(path)


if __name__ == "__main__":
    unittest.main()
