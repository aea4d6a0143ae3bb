# SPDX-License-Identifier: Apache-2.0
"""Tests what the function library says about leases: fences, failing, expiry, revocation, reclaim,
suspension."""

import unittest

from jobs.server import functions as f
from jobs.server.functions_case import OnEachEngine, setUpModule, tearDownModule  # noqa: F401


class Fences(OnEachEngine):
    def test_what_each_fenced_call_says_in_order(self):
        for call in (f.complete, f.fail, f.renew, f.suspend):
            self.client.flushall()
            self.ok(f.rotate(self.e))
            self.rejects(call(self.e), "execution_not_found")
            self.leased()
            self.rejects(call(self.e, fence=("lease-1", "", "")), "partial_fence_triple")
            self.rejects(call(self.e, fence=("", "1", "attempt-1")), "partial_fence_triple")
            self.rejects(call(self.e, fence=("", "", "")), "fence_required")
            for fence in (("lease-2", "1", "attempt-1"), ("lease-1", "2", "attempt-1"),
                          ("lease-1", "1", "attempt-2")):
                self.rejects(call(self.e, fence=fence), "stale_lease")
            self.ok(f.revoke(self.e), "revoked", "lease-1", "1")
            self.rejects(call(self.e), "lease_revoked")
            self.set_core(lifecycle_phase="terminal", terminal_outcome="failed")
            self.rejects(call(self.e), "execution_not_active", "failed", "1", "terminal",
                         "attempt-1")

    def test_a_late_owner_marks_its_lease_expired(self):
        for call in (f.complete, f.fail, f.renew, f.suspend):
            self.client.flushall()
            self.ok(f.rotate(self.e))
            self.leased(ttl="0")
            self.assertEqual(f.run(self.client, call(self.e)), [0, "lease_expired"])
            self.assertEqual(self.core("ownership_state"), "lease_expired_reclaimable")
            self.rejects(call(self.e), "lease_expired")

    def test_an_operator_completes_whoever_holds_a_live_lease(self):
        self.leased()
        self.ok(f.complete(self.e, source_="operator_override", fence=("", "", "")), "completed")
        self.rejects(f.complete(self.e), "execution_not_active", "success", "1", "terminal",
                     "attempt-1")

    def test_renewing_wants_the_attempt_index_too(self):
        self.leased()
        self.rejects(f.renew(self.e, index="1"), "stale_lease")
        self.rejects(f.renew(self.e, ttl="1.5"), "invalid_input",
                     "lease_ttl_ms must be a whole number up to 50000000000000, got: 1.5")
        self.rejects(f.renew(self.e, grace="x"), "invalid_input",
                     "lease_history_grace_ms must be a number, got: x")
        self.ok(f.renew(self.e))


class Failing(OnEachEngine):
    """The expected values are those of core/contract/live-observed.md, sections 1 and 2."""

    def failed(self, policy, retries=None):
        self.client.flushall()
        self.leased()
        if retries is not None:
            self.set_core(retry_count=str(retries))
        return f.run(self.client, f.fail(self.e, policy=policy))

    def test_without_retries_it_is_final(self):
        for policy in ("", "{}", "null", "[]", "x", "5", '"s"', '{"max_retries":0}',
                       '{"max_retries":-1}', '{"backoff":null}'):
            self.assertEqual(self.failed(policy), [1, "OK", "terminal_failed"], policy)
            self.assertEqual(self.core("public_state"), "failed")
        self.assertEqual(self.core("failure_reason"), "boom")
        self.assertEqual(self.core("current_attempt_id"), "attempt-1")
        self.assertEqual(self.core("lease_expires_at"), "")
        self.assertEqual(self.client.zcard(self.e.in_lane("terminal")), 1)
        self.assertEqual(self.client.zcard(self.e.in_lane("active")), 0)
        self.assertEqual(self.client.zcard(self.e.index("lease_expiry")), 0)
        attempt = self.client.hgetall(self.e.attempt_key())
        self.assertEqual(attempt[b"attempt_state"], b"ended_failure")
        self.assertEqual(attempt[b"failure_category"], b"transient")
        self.assertEqual(self.client.exists(self.e.exec("lease:current")), 0)
        last = self.client.xrevrange(self.e.exec("lease:history"), count=1)[0][1]
        self.assertEqual((last[b"event"], last[b"reason"]), (b"released", b"failed_terminal"))

    def test_the_delay_is_the_policys(self):
        exponential = ('{"max_retries":9,"backoff":{"type":"exponential","initial_delay_ms":100,'
                       '"max_delay_ms":250,"multiplier":1.5}}')
        for policy, retries, delay in (
                ('{"max_retries":2}', 0, 1000),
                ('{"max_retries":"2"}', 1, 1000),
                ('{"max_retries":2,"backoff":"x"}', 0, 1000),
                ('{"max_retries":2,"backoff":{"type":"other"}}', 0, 1000),
                ('{"max_retries":2,"backoff":{"type":"exponential"}}', 1, 2000),
                ('{"max_retries":9,"backoff":{"type":"exponential"}}', 8, 60000),
                (exponential, 0, 100), (exponential, 1, 150), (exponential, 2, 225),
                (exponential, 3, 250),
                ('{"max_retries":2,"backoff":{"type":"fixed","delay_ms":500}}', 1, 500),
                ('{"max_retries":2,"backoff":{"type":"fixed","delay_ms":"70"}}', 0, 70),
                ('{"max_retries":2,"backoff":{"type":"fixed","delay_ms":null}}', 0, 1000),
                ('{"max_retries":2,"backoff":{"type":"fixed","delay_ms":-5}}', 0, -5),
                ('{"max_retries":1.5,"retryable_categories":["never"]}', 1, 1000)):
            reply = self.failed(policy, retries)
            self.assertEqual(reply[:3], [1, "OK", "retry_scheduled"], policy)
            now = int(self.core("last_transition_at"))
            self.assertEqual(reply[3], str(now + delay), (policy, retries))
            self.assertEqual(self.core("delay_until"), reply[3])
            self.assertEqual(self.core("retry_count"), str(retries + 1))

    def test_a_retry_waits_and_is_claimed_as_one(self):
        reply = self.failed('{"max_retries":1,"backoff":{"type":"fixed","delay_ms":0}}')
        self.assertEqual(self.core("blocking_detail"),
                         f"retry backoff until {reply[3]} (attempt 0 failed: boom)")
        for field, value in (("lifecycle_phase", "runnable"), ("public_state", "delayed"),
                             ("eligibility_state", "not_eligible_until_time"),
                             ("blocking_reason", "waiting_for_retry_backoff"),
                             ("attempt_state", "pending_retry_attempt"),
                             ("terminal_outcome", "none"), ("pending_retry_reason", "boom"),
                             ("pending_previous_attempt_index", "0"), ("current_attempt_id", ""),
                             ("current_lease_epoch", "1"), ("current_attempt_index", "0")):
            self.assertEqual(self.core(field), value, field)
        self.assertEqual(self.client.zscore(self.e.in_lane("delayed"), self.e.id),
                         float(reply[3]))
        self.rejects(f.fail(self.e), "execution_not_active", "none", "1", "runnable", "")
        self.ok(f.promote(self.e, str(int(reply[3]) + 1)), "promoted")
        self.e.lease, self.e.attempt_id, self.e.attempt, self.e.epoch = "l2", "a2", 1, "2"
        self.ok(f.issue(self.e))
        self.assertEqual(self.ok(f.claim(self.e))[-2:], ["1", "retry"])
        attempt = self.client.hgetall(self.e.attempt_key())
        self.assertEqual((attempt[b"retry_reason"], attempt[b"previous_attempt_index"]),
                         (b"boom", b"0"))
        self.ok(f.fail(self.e, policy='{"max_retries":1}'), "terminal_failed")

    def test_a_policy_that_cant_be_followed_changes_nothing(self):
        for policy, what in (
                ('{"max_retries":null}', "max_retries is no number"),
                ('{"max_retries":"x"}', "max_retries is no number"),
                ('{"max_retries":2,"backoff":null}', "backoff is no object"),
                ('{"max_retries":2,"backoff":7}', "backoff is no object"),
                ('{"max_retries":2,"backoff":{"type":"fixed","delay_ms":1e15}}',
                 "a delay beyond 50000000000000")):
            self.client.flushall()
            self.leased()
            self.rejects(f.fail(self.e, policy=policy), "invalid_input",
                         "retry_policy_json: " + what)

    def test_an_open_stream_is_closed_and_a_flow_is_told(self):
        self.leased()
        self.client.hset(self.e.stream(), "x", "y")
        self.set_core(flow_id="flow-1")
        self.ok(f.fail(self.e, source_="operator_override", fence=("", "", "")),
                "terminal_failed")
        self.assertEqual(self.client.hget(self.e.stream(), "closed_reason"), b"attempt_failure")


class ExpiryAndRevocation(OnEachEngine):
    def test_marking(self):
        self.client.zadd(self.e.index("lease_expiry"), {self.e.id: 1})
        self.already(f.mark_expired(self.e), "execution_not_found")
        self.assertIsNone(self.client.zscore(self.e.index("lease_expiry"), self.e.id))
        self.ok(f.create(self.e))
        self.already(f.mark_expired(self.e), "not_active")
        self.ok(f.issue(self.e))
        self.ok(f.claim(self.e))
        self.already(f.mark_expired(self.e), "not_yet_expired")
        self.set_core(lease_expires_at="1000")
        self.ok(f.mark_expired(self.e), "marked_expired")
        self.already(f.mark_expired(self.e), "already_expired")
        self.assertIsNotNone(self.client.zscore(self.e.index("lease_expiry"), self.e.id))
        self.set_core(ownership_state="unowned")
        self.already(f.mark_expired(self.e), "unowned")

    def test_revoking(self):
        self.rejects(f.revoke(self.e), "execution_not_found")
        self.ok(f.create(self.e))
        self.rejects(f.revoke(self.e), "execution_not_active", "none", "0", "runnable", "")
        self.ok(f.issue(self.e))
        self.ok(f.claim(self.e))
        self.rejects(f.revoke(self.e, expected="lease-9"), "stale_lease",
                     "expected lease-9 but current is lease-1")
        self.ok(f.revoke(self.e, expected="lease-1"), "revoked", "lease-1", "1")
        self.already(f.revoke(self.e), "already_revoked")
        self.already(f.mark_expired(self.e), "already_revoked")
        self.set_core(ownership_state="unowned")
        self.rejects(f.revoke(self.e), "no_active_lease")

    def test_an_expired_lease_is_not_revoked(self):
        self.expired()
        self.already(f.revoke(self.e), "already_expired")


class Reclaiming(OnEachEngine):
    def new(self):
        new = f.Execution()
        new.worker, new.instance, new.lease, new.attempt_id = "w2", "w2-i1", "lease-2", "attempt-2"
        new.tag, new.id, new.attempt = self.e.tag, self.e.id, 1
        return new

    def test_who_can_be_reclaimed(self):
        for call in (f.issue_reclaim(self.e), f.reclaim(self.e, self.new())):
            self.rejects(call, "execution_not_found")
        self.leased(ttl="0")  # the lease has run out, but is not marked as expired
        for call in (f.issue_reclaim(self.e), f.reclaim(self.e, self.new())):
            self.rejects(call, "execution_not_reclaimable")
        self.ok(f.mark_expired(self.e))
        self.rejects(f.reclaim(self.e, self.new()), "invalid_claim_grant")
        self.rejects(f.issue_reclaim(self.e, ttl="x"), "invalid_input",
                     "grant_ttl_ms must be a number, got: x")
        self.ok(f.issue_reclaim(self.new()), self.e.id)
        self.rejects(f.issue_reclaim(self.new()), "grant_already_exists")
        other = self.new()
        other.worker = "w3"
        self.rejects(f.reclaim(self.e, other), "invalid_claim_grant")
        reply = self.ok(f.reclaim(self.e, self.new()), "lease-2", "2")
        self.assertEqual(reply[5:], ["attempt-2", "1", "reclaim"])
        self.rejects(f.complete(self.e), "stale_lease")

    def test_capabilities_count_as_for_a_claim(self):
        self.expired()
        self.set_core(required_capabilities="gpu")
        self.assertEqual(f.run(self.client, f.issue_reclaim(self.e)),
                         [0, "capability_mismatch", "gpu"])
        self.ok(f.issue_reclaim(self.e, capabilities="gpu"))

    def test_a_grant_that_outlived_its_time_still_reclaims(self):
        self.expired()
        self.ok(f.issue_reclaim(self.new()))
        self.client.hset(self.e.exec("claim_grant"), "grant_expires_at", "1000")
        self.ok(f.reclaim(self.e, self.new()))

    def test_the_cap_comes_before_the_grant_and_leaves_it(self):
        self.expired()
        self.ok(f.issue_reclaim(self.new()))
        self.assertEqual(f.run(self.client, f.reclaim(self.e, self.new(), cap="0")),
                         [0, "max_retries_exhausted", "0"])
        self.assertEqual(self.client.exists(self.e.exec("claim_grant")), 1)
        self.assertEqual(self.core("public_state"), "failed")
        self.assertEqual(self.core("failure_reason"), "max_reclaims_exceeded")
        self.assertEqual(self.client.zcard(self.e.in_lane("terminal")), 1)
        for key in (self.e.in_lane("active"), self.e.index("lease_expiry"), self.e.leases(),
                    self.e.exec("lease:current")):
            self.assertEqual(self.client.exists(key), 0, key)

    def test_where_the_cap_comes_from(self):
        for policy, cap, count, expected in (
                ("{}", None, "99", None), ("{}", None, "100", "100"), ("{}", "3", "2", None),
                ("{}", "3", "3", "3"), ('{"max_reclaim_count":2}', "9", "2", "2"),
                ('{"max_reclaim_count":2}', "1", "1", None)):
            self.client.flushall()
            self.ok(f.create(self.e, policy=policy))
            self.ok(f.issue(self.e))
            self.ok(f.claim(self.e, ttl="0"))
            self.ok(f.mark_expired(self.e))
            self.ok(f.issue_reclaim(self.new()))
            self.set_core(lease_reclaim_count=count)
            reply = f.run(self.client, f.reclaim(self.e, self.new(), cap=cap))
            self.assertEqual(reply[1:3], ["OK", "lease-2"] if expected is None
                             else ["max_retries_exhausted", expected], (policy, cap, count))
        self.rejects(f.reclaim(self.e, self.new(), cap="x"), "invalid_input",
                     "default_max_reclaim_count must be a number, got: x")


class Suspending(OnEachEngine):
    def setUp(self):
        self.ok(f.rotate(self.e, secret="00ff" * 20))

    def test_what_stands_against_it(self):
        self.leased()
        self.rejects(f.suspend(self.e, index="1"), "invalid_lease_for_suspend")
        self.client.hset(self.e.exec("suspension:current"), "closed_at", "")
        self.rejects(f.suspend(self.e), "already_suspended")
        self.client.delete(self.e.secrets, self.e.exec("suspension:current"))
        self.rejects(f.suspend(self.e), "hmac_secret_not_initialized")

    def test_what_is_not_served_is_refused(self):
        self.leased()
        for call, detail in (
                (f.suspend(self.e, pending="1"), "use_pending_waitpoint is not served"),
                (f.suspend(self.e, idempotency="k"), "idempotency_key is not served"),
                (f.suspend(self.e, extra="1"), "num_extra_waitpoints is not served"),
                (f.suspend(self.e, timeout_at="x"), "timeout_at must be a number, got: x"),
                (f.suspend(self.e, condition="{"), "resume_condition_json is malformed"),
                (f.suspend(self.e, condition='{"composite":true}'),
                 "resume_condition_json: composite conditions are not served")):
            self.rejects(call, "invalid_input", detail)

    def test_suspended_resumed_and_claimed_again_with_the_attempt_it_had(self):
        self.leased()
        self.rejects(f.resume(self.e), "execution_not_suspended")
        self.ok(f.suspend(self.e))
        for call in (f.issue(self.e), f.issue_and_claim(self.e)):
            self.rejects(call, "execution_not_eligible")
        self.rejects(f.resume(self.e, delay="x"), "invalid_input",
                     "resume_delay_ms must be a number, got: x")
        self.ok(f.resume(self.e), "waiting")
        self.rejects(f.resume(self.e), "execution_not_suspended")
        self.ok(f.issue(self.e))
        self.rejects(f.claim(self.e), "use_claim_resumed_execution")
        self.e.lease, self.e.worker = "lease-2", "w2"
        self.rejects(f.claim_resumed(self.e), "invalid_claim_grant")
        self.e.worker = "w1"
        reply = self.ok(f.claim_resumed(self.e), "lease-2", "2")
        self.assertEqual(reply[5:], ["attempt-1", "0", "resumed"])
        self.rejects(f.claim_resumed(self.e), "execution_not_leaseable")
        self.e.epoch = "2"
        self.ok(f.suspend(self.e, waitpoint="wp-2"))
        self.ok(f.resume(self.e, waitpoint="wp-2"))
        self.e.lease = "lease-3"
        self.ok(f.issue_and_claim(self.e), "lease-3", "3", "0")

    def test_only_what_was_suspended_is_resumed(self):
        self.ok(f.create(self.e))
        self.rejects(f.claim_resumed(self.e), "not_a_resumed_execution")

    def test_a_grant_that_outlived_its_time_is_deleted_by_a_resumed_claim(self):
        self.leased()
        self.ok(f.suspend(self.e))
        self.ok(f.resume(self.e))
        self.ok(f.issue(self.e))
        self.client.hset(self.e.exec("claim_grant"), "grant_expires_at", "1000")
        self.assertEqual(f.run(self.client, f.claim_resumed(self.e)), [0, "claim_grant_expired"])
        self.assertEqual(self.client.exists(self.e.exec("claim_grant")), 0)

    def test_a_delay_ends_by_promotion(self):
        self.leased()
        self.ok(f.suspend(self.e))
        self.ok(f.resume(self.e, delay="60000"), "delayed")
        due = int(self.client.zscore(self.e.in_lane("delayed"), self.e.id))
        self.ok(f.promote(self.e, str(due - 1)), "not_yet_due")
        self.rejects(f.issue(self.e), "execution_not_eligible")
        self.ok(f.promote(self.e, str(due)), "promoted")
        self.ok(f.promote(self.e, str(due)), "not_delayed_cleaned")
        self.ok(f.issue(self.e))
        self.ok(f.claim_resumed(self.e))
        self.ok(f.promote(self.e, str(due)), "not_runnable_cleaned")
        self.ok(f.promote(f.Execution(), str(due)), "not_found_cleaned")


if __name__ == "__main__":
    unittest.main()
