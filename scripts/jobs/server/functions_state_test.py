# SPDX-License-Identifier: Apache-2.0
"""Tests everything that the functions store, key by key and field by field, on Redis and on Valkey.
functions_lease_test.py tests failing and promoting."""

import hashlib
import hmac
import unittest

from jobs.server import functions as f
from jobs.server.functions_case import OnEachEngine, setUpModule, tearDownModule  # noqa: F401

_EMPTY_AT_CREATION = [
    "current_attempt_index", "current_attempt_id", "current_lease_id", "current_worker_id",
    "current_worker_instance_id", "started_at", "completed_at", "lease_acquired_at",
    "lease_expires_at", "lease_last_renewed_at", "lease_renewal_deadline", "lease_expired_at",
    "lease_revoked_at", "lease_revoke_reason", "delay_until", "current_suspension_id",
    "current_waitpoint_id", "pending_retry_reason", "pending_replay_reason",
    "pending_replay_requested_by", "pending_previous_attempt_index", "progress_pct",
    "progress_message", "progress_updated_at", "flow_id", "blocking_detail"]


class State(OnEachEngine):
    """Follows an execution, and the state that must be stored for it, from call to call."""

    def setUp(self):
        self.stored = {}  # key -> (type, value, expiry): what must be there
        self.history = []

    # ---- what must be stored ----

    def _hash(self, key, fields, expires_at=None):
        self.stored[key] = ("hash", fields, expires_at)

    def _core(self, **fields):
        self.stored[self.e.exec("core")][1].update(fields)

    def _in(self, key, score=None):
        """Expects the execution in a sorted set with this score, or in a set."""
        if score is None:
            self.stored[key] = ("set", {self.e.id}, None)
        else:
            self.stored[key] = ("zset", {self.e.id: float(score)}, None)

    def _out_of(self, *keys):
        for key in keys:
            self.stored.pop(key, None)

    def _event(self, *parts):
        self.history.append(list(parts))
        self.stored[self.e.exec("lease:history")] = ("stream", self.history, None)

    def _check(self):
        self.maxDiff = None
        self.assertEqual(f.state(self.client), self.stored, self.engine)

    def _now(self, field="last_mutation_at"):
        """The store's time of the last call, which must agree with the store's clock."""
        seconds, microseconds = self.client.time()
        now = int(self.core(field))
        self.assertTrue(0 <= seconds * 1000 + microseconds // 1000 - now < 5000, now)
        return now

    # ---- calls, each with all that it must store ----

    def create(self, priority=3):
        e = self.e
        self.ok(f.create(e, priority=str(priority), payload="body", tags='{"team":"x"}'))
        now = self.created = self._now("created_at")
        self._hash(e.exec("core"), {
            **dict.fromkeys(_EMPTY_AT_CREATION, ""),
            "execution_id": e.id, "namespace": "default", "lane_id": "main", "current_lane": "main",
            "execution_kind": "task", "partition_id": "7", "priority": str(priority),
            "creator_identity": "me", "lifecycle_phase": "runnable", "ownership_state": "unowned",
            "eligibility_state": "eligible_now", "blocking_reason": "waiting_for_worker",
            "terminal_outcome": "none", "attempt_state": "pending_first_attempt",
            "public_state": "waiting", "total_attempt_count": "0", "current_lease_epoch": "0",
            "retry_count": "0", "replay_count": "0", "lease_reclaim_count": "0",
            "created_at": str(now), "last_transition_at": str(now), "last_mutation_at": str(now)})
        self.stored[e.exec("payload")] = ("string", "body", None)
        self.stored[e.exec("policy")] = ("string", "{}", None)
        self._hash(e.exec("tags"), {"team": "x"})
        self._in(e.in_lane("eligible"), now - priority * 10**12)
        self._in(e.index("all_executions"))
        self._check()

    def issue(self, call=None, worker="w1", instance="w1-i1"):
        self.ok(call or f.issue(self.e, capability_hash="h", route='{"r":1}', admission="a"))
        grant = self.client.hgetall(self.e.exec("claim_grant"))
        now = int(grant[b"created_at"])
        self._hash(self.e.exec("claim_grant"), {
            "worker_id": worker, "worker_instance_id": instance, "lane_id": "main",
            "capability_hash": "h" if call is None else "",
            "route_snapshot_json": '{"r":1}' if call is None else "",
            "admission_summary": "a" if call is None else "", "created_at": str(now),
            "grant_expires_at": str(now + 5000)}, now + 5000)
        self._check()

    def _lease(self, e, epoch, now, ttl, renew):
        self._hash(e.exec("lease:current"), {
            "lease_id": e.lease, "lease_epoch": epoch, "execution_id": e.id,
            "attempt_id": e.attempt_id, "worker_id": e.worker, "worker_instance_id": e.instance,
            "acquired_at": str(now), "expires_at": str(now + ttl), "last_renewed_at": str(now),
            "renewal_deadline": str(now + renew)})
        self._core(
            lifecycle_phase="active", ownership_state="leased", eligibility_state="not_applicable",
            blocking_reason="none", blocking_detail="", terminal_outcome="none",
            attempt_state="running_attempt", public_state="active", current_lease_epoch=epoch,
            current_lease_id=e.lease, current_worker_id=e.worker,
            current_worker_instance_id=e.instance, current_lane="main", lease_acquired_at=str(now),
            lease_expires_at=str(now + ttl), lease_last_renewed_at=str(now),
            lease_renewal_deadline=str(now + renew), last_transition_at=str(now),
            last_mutation_at=str(now))
        self._out_of(e.exec("claim_grant"), e.in_lane("eligible"))
        self._in(e.index("lease_expiry"), now + ttl)
        self._in(e.leases())
        self._in(e.in_lane("active"), now + ttl)

    def _new_attempt(self, e, index, kind, now, epoch, **further):
        self._hash(e.attempt_key(index), {
            "attempt_id": e.attempt_id, "execution_id": e.id, "attempt_index": str(index),
            "attempt_type": kind, "attempt_state": "started", "created_at": str(now),
            "started_at": str(now), "lease_id": e.lease, "lease_epoch": epoch,
            "worker_id": e.worker, "worker_instance_id": e.instance, **further})
        self._hash(e.attempt_key(index) + ":usage", {"last_usage_report_seq": "0"})
        attempts = dict(self.stored.get(e.exec("attempts"), ("zset", {}, None))[1])
        self.stored[e.exec("attempts")] = ("zset", {**attempts, str(index): float(now)}, None)
        self._core(current_attempt_index=str(index), total_attempt_count=str(index + 1),
                   current_attempt_id=e.attempt_id)

    def claim(self, fused=False, ttl=30000):
        e = self.e
        if fused:
            self.ok(f.issue_and_claim(e, ttl=str(ttl)), "lease-1", "1", "0")
        else:
            self.ok(f.claim(e, ttl=str(ttl), renew="20000"), "lease-1", "1")
        now = self._now()
        self._lease(e, "1", now, ttl, 20000 if not fused else ttl * 2 // 3)
        self._new_attempt(e, 0, "initial", now, "1")
        self._core(started_at=str(now))
        self._event("event=acquired", "lease_id=lease-1", "lease_epoch=1", "attempt_id=attempt-1",
                    "attempt_index=0", "worker_id=w1",
                    *(["reason=issue_grant_and_claim"] if fused else []), f"ts={now}")
        self._check()

    def mark_expired(self):
        e = self.e
        self.ok(f.mark_expired(e))
        now = self._now()
        self._core(ownership_state="lease_expired_reclaimable", attempt_state="attempt_interrupted",
                   blocking_reason="waiting_for_worker",
                   blocking_detail="lease expired, awaiting reclaim", lease_expired_at=str(now),
                   last_mutation_at=str(now))
        self._event("event=expired", "lease_id=lease-1", "lease_epoch=1", "attempt_index=0",
                    "attempt_id=attempt-1", "worker_id=w1", "worker_instance_id=w1-i1", f"ts={now}")
        self._check()

    def _unleased(self, e, **fields):
        self._core(current_lease_id="", current_worker_id="", current_worker_instance_id="",
                   lease_expires_at="", lease_last_renewed_at="", lease_renewal_deadline="",
                   **fields)
        self._out_of(e.index("lease_expiry"), e.leases(), e.in_lane("active"),
                     e.exec("lease:current"))

    def suspend(self):
        e = self.e
        self.ok(f.rotate(e))
        self._hash(e.secrets, {"current_kid": "k1", "secret:k1": "00ff"})
        condition = '{"required_signal_names":["go","on"],"signal_match_mode":"all"}'
        self.ok(f.suspend(e, condition=condition, reason="waiting_for_operator_review"))
        now = str(self._now())
        self._unleased(
            e, lifecycle_phase="suspended", ownership_state="unowned",
            attempt_state="attempt_interrupted", blocking_reason="paused_by_operator",
            blocking_detail="suspended: waitpoint wp-1 awaiting waiting_for_operator_review",
            public_state="suspended", current_suspension_id="susp-1", current_waitpoint_id="wp-1",
            last_transition_at=now, last_mutation_at=now)
        self.stored[e.attempt_key()][1].update(attempt_state="suspended", suspended_at=now,
                                               suspension_id="susp-1")
        digest = hmac.new(b"\x00\xff", f"wp-1|key-1|{now}".encode(), hashlib.sha1).hexdigest()
        self._hash(e.waitpoint("wp-1"), {
            "waitpoint_id": "wp-1", "execution_id": e.id, "attempt_index": "0",
            "suspension_id": "susp-1", "waitpoint_key": "key-1", "waitpoint_token": "k1:" + digest,
            "state": "active", "created_at": now, "activated_at": now, "expires_at": "",
            "signal_count": "0", "matched_signal_count": "0", "last_signal_at": ""})
        self._hash(e.waitpoint("wp-1", ":condition"), {
            "condition_type": "signal_set", "match_mode": "all", "minimum_signal_count": "1",
            "total_matchers": "2", "satisfied_count": "0", "closed": "0", "updated_at": now,
            **{f"matcher:{i}:{name}": text for i, signal in enumerate(("go", "on"))
               for name, text in (("name", signal), ("satisfied", "0"), ("signal_id", ""))}})
        self.stored[e.exec("waitpoints")] = ("set", {"wp-1"}, None)
        self._hash(e.exec("suspension:current"), {
            "suspension_id": "susp-1", "execution_id": e.id, "attempt_index": "0",
            "waitpoint_id": "wp-1", "waitpoint_key": "key-1", "additional_waitpoints_json": "[]",
            "reason_code": "waiting_for_operator_review", "requested_by": "worker",
            "created_at": now, "timeout_at": "", "timeout_behavior": "fail",
            "resume_condition_json": condition, "resume_policy_json": "{}",
            "continuation_metadata_pointer": "", "buffered_signal_summary_json":
                '{"total_count":0,"matched_count":0,"signal_names":[]}',
            "last_signal_at": "", "satisfied_at": "", "closed_at": "", "close_reason": ""})
        self._in(e.in_lane("suspended"), 9999999999999)
        self._event("event=released", "lease_id=lease-1", "lease_epoch=1", "attempt_index=0",
                    "attempt_id=attempt-1", "reason=suspend", f"ts={now}")
        self._check()

    # ---- tests ----

    def test_create_issue_claim_renew_complete(self):
        e = self.e
        self.create()
        self.issue()
        self.claim()
        self.ok(f.renew(e, ttl="10001", grace="777"))
        now = self._now()
        renewed = {"expires_at": str(now + 10001), "last_renewed_at": str(now),
                   "renewal_deadline": str(now + 6667)}
        self._core(last_mutation_at=str(now), **{f"lease_{name}": text
                                                 for name, text in renewed.items()})
        lease = self.stored[e.exec("lease:current")][1]
        self._hash(e.exec("lease:current"), {**lease, **renewed}, now + 10001 + 777)
        self._in(e.index("lease_expiry"), now + 10001)
        self._check()

        self.client.hset(e.stream(), "x", "y")
        self.ok(f.complete(e, result="done"))
        now = str(self._now())
        self._unleased(
            e, lifecycle_phase="terminal", ownership_state="unowned", terminal_outcome="success",
            attempt_state="attempt_terminal", public_state="completed", completed_at=now,
            last_transition_at=now, last_mutation_at=now)
        self.stored[e.attempt_key()][1].update(attempt_state="ended_success", ended_at=now)
        self._hash(e.stream(), {"x": "y", "closed_at": now, "closed_reason": "attempt_success"})
        self.stored[e.exec("result")] = ("string", "done", None)
        self._in(e.in_lane("terminal"), int(now))
        self._event("event=released", "lease_id=lease-1", "lease_epoch=1", "attempt_index=0",
                    "reason=completed", f"ts={now}")
        self._check()

    def test_issue_and_claim_in_one(self):
        self.create(priority=0)
        self.claim(fused=True)

    def test_expire_and_reclaim(self):
        e = self.e
        self.create()
        self.issue()
        self.claim(ttl=0)
        self.mark_expired()
        new = f.Execution(uuid_text=e.id.rpartition(":")[2])
        new.worker, new.instance, new.lease, new.attempt_id = "w2", "w2-i1", "lease-2", "attempt-2"
        new.attempt = 1
        self.issue(f.issue_reclaim(new), "w2", "w2-i1")
        self.ok(f.reclaim(e, new), "lease-2", "2")
        now = self._now()
        self.stored[e.attempt_key()][1].update(
            attempt_state="interrupted_reclaimed", ended_at=str(now),
            failure_reason="lease_lease_expired_reclaimable")
        self._out_of(e.leases())
        self._lease(new, "2", now, 30000, 20000)
        self._new_attempt(new, 1, "reclaim", now, "2", previous_attempt_index="0",
                          reclaim_reason="lease_lease_expired_reclaimable")
        self._core(lease_expired_at="", lease_revoked_at="", lease_revoke_reason="",
                   lease_reclaim_count="1")
        self._event("event=reclaimed", "old_lease_epoch=1", "new_lease_id=lease-2",
                    "new_lease_epoch=2", "new_attempt_id=attempt-2", "new_attempt_index=1",
                    "worker_id=w2", f"ts={now}")
        self._check()

    def test_revoke(self):
        e = self.e
        self.create()
        self.issue()
        self.claim()
        self.ok(f.revoke(e, reason="why not"))
        now = str(self._now())
        self._core(ownership_state="lease_revoked", attempt_state="attempt_interrupted",
                   blocking_reason="waiting_for_worker", blocking_detail="lease revoked: why not",
                   lease_revoked_at=now, lease_revoke_reason="why not", last_mutation_at=now)
        self._out_of(e.exec("lease:current"), e.index("lease_expiry"), e.leases())
        self._event("event=revoked", "lease_id=lease-1", "lease_epoch=1", "attempt_index=0",
                    "attempt_id=attempt-1", "worker_id=w1", "worker_instance_id=w1-i1",
                    "reason=why not", f"ts={now}")
        self._check()

    def test_suspend_resume_claim_again(self):
        e = self.e
        self.create(priority=2)
        self.issue()
        self.claim()
        self.suspend()
        self.ok(f.resume(e))
        now = str(self._now())
        self._core(lifecycle_phase="runnable", eligibility_state="eligible_now",
                   blocking_reason="waiting_for_worker", blocking_detail="", public_state="waiting",
                   current_suspension_id="", current_waitpoint_id="", last_transition_at=now,
                   last_mutation_at=now)
        closed = {"satisfied_at": now, "closed_at": now, "close_reason": "resumed"}
        self.stored[e.waitpoint("wp-1")][1].update(state="closed", **closed)
        self.stored[e.exec("suspension:current")][1].update(closed)
        self._out_of(e.in_lane("suspended"))
        self._in(e.in_lane("eligible"), self.created - 2 * 10**12)
        self._check()

        self.issue()
        e.lease = "lease-2"
        self.ok(f.claim_resumed(e, remaining="9000"), "lease-2", "2")
        now = self._now()
        self._lease(e, "2", now, 30000, 20000)
        self.stored[e.attempt_key()][1].update(
            attempt_state="started", resumed_at=str(now), lease_id="lease-2", lease_epoch="2",
            suspended_at="", suspension_id="")
        self._in(e.index("attempt_timeout"), now + 9000)
        self._event("event=acquired", "lease_id=lease-2", "lease_epoch=2", "attempt_index=0",
                    "attempt_id=attempt-1", "worker_id=w1", "reason=claim_resumed", f"ts={now}")
        self._check()


if __name__ == "__main__":
    unittest.main()
