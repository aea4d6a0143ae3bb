# SPDX-License-Identifier: Apache-2.0
"""Tests how the function library is loaded beside FlowFabric's, and what it accepts and rejects
when it creates, grants and claims."""

import itertools
import re
import shutil
import time
import unittest

from jobs.common import wheels
from jobs.server import functions as f, load_program, reference_functions
from jobs.server.functions_case import OnEachEngine, setUpModule, tearDownModule  # noqa: F401


def _names(client, library):
    """The names of a library's functions."""
    return {load_program.mapping(function)["name"]
            for entry in client.function_list(library)
            for function in load_program.mapping(entry)["functions"]}


def _stand_in(name, version, with_ours=False):
    """The source of a library with FlowFabric's names: it stands in for FlowFabric's own library
    or, if with_ours, for our library of a version before 4, which had these names too."""
    calls = _names_in(f.source())
    text = f"#!lua name={name}\n"
    for function in sorted(calls) + ["add_execution_to_flow", "cancel_flow"]:
        text += f"redis.register_function('ff_{function}', function() return 'theirs' end)\n"
    text += f"redis.register_function('ff_version', function() return '{version}' end)\n"
    if with_ours:
        text += "redis.register_function('ffgrant_version', function() return '2' end)\n"
    return text


def _names_in(source):
    """The names, without prefix, of our functions that FlowFabric has too."""
    return set(re.findall(r"register\('ffgrant_(\w+)'", source))


class Library(OnEachEngine):
    def setUp(self):
        self.client.function_flush()

    def tearDown(self):
        self.client.function_flush()
        self.client.function_load(f.source())

    def load_as_flowfabric_does(self, source, version="34"):
        """Does what ff-script's ensure_library() does: asks for the version, loads with REPLACE
        if it is another one, and asks again."""
        redis = wheels.client_module()
        try:
            there = self.client.fcall("ff_version", 0)
        except redis.ResponseError:
            there = None
        if there != version.encode():
            self.client.function_load(source, replace=True)
        self.assertEqual(self.client.fcall("ff_version", 0), version.encode())

    def test_it_has_names_of_its_own_and_answers_for_nobody_else(self):
        redis = wheels.client_module()
        self.client.function_load(f.source())
        names = _names(self.client, f.LIBRARY)
        self.assertEqual([name for name in names if not name.startswith(f.OUR_PREFIX)], [])
        self.assertEqual(len(_names_in(f.source())), 16)
        self.assertLess({f.OUR_PREFIX + name for name in _names_in(f.source())}, names)
        self.assertRegex(self.call("ff_version", [], []).decode(), r"^\d+$")
        with self.assertRaisesRegex(redis.ResponseError, "Function not found"):
            self.client.fcall("ff_version", 0)

    def test_both_libraries_load_in_either_order_and_again(self):
        sources = {"ours": f.source(), "theirs": _stand_in("flowfabric", "34")}
        theirs = {f"ff_{name}" for name in _names_in(f.source())}
        for order in itertools.permutations(("ours", "theirs", "ours", "theirs")):
            self.client.function_flush()
            for which in order:
                if which == "theirs":
                    self.load_as_flowfabric_does(sources[which])
                else:
                    self.client.function_load(sources[which], replace=True)
            self.assertEqual(len(_names(self.client, "flowfabric") - theirs), 3, order)
            self.assertLess(theirs, _names(self.client, "flowfabric"))
            self.assertEqual(self.client.fcall("ff_claim_execution", 0), b"theirs")
            self.ok(f.create(f.Execution()))

    @unittest.skipUnless(shutil.which("cargo"), "FlowFabric's own library is fetched with cargo")
    def test_flowfabrics_own_loader_gets_all_of_its_functions_before_and_after_ours(self):
        source = reference_functions.source()
        for order in (("ours", "theirs"), ("theirs", "ours")):
            self.client.function_flush()
            for which in order:
                if which == "theirs":
                    self.load_as_flowfabric_does(source)
                else:
                    self.client.function_load(f.source())
            self.assertEqual(len(_names(self.client, reference_functions.LIBRARY)), 59, order)
            for prefix in (f.THEIR_PREFIX, f.OUR_PREFIX):
                execution = f.Execution()
                for call in (f.create(execution), f.issue(execution), f.claim(execution)):
                    self.assertEqual(f.run(self.client, call, prefix)[:2], [1, "OK"], order)

    def test_replacing_an_old_one_of_ours_leaves_flowfabrics_names_free(self):
        self.client.function_load(_stand_in(f.LIBRARY, "34", with_ours=True))
        self.client.function_load(f.source(), replace=True)
        self.load_as_flowfabric_does(_stand_in("flowfabric", "34"))
        self.assertEqual(self.client.fcall("ff_claim_execution", 0), b"theirs")


class Faults(OnEachEngine):
    def test_too_few_keys_or_arguments_are_a_fault_before_anything_is_written(self):
        redis = wheels.client_module()
        calls = [f.create(self.e), f.issue(self.e), f.claim(self.e), f.claim_resumed(self.e),
                 f.issue_and_claim(self.e), f.complete(self.e), f.renew(self.e),
                 f.mark_expired(self.e), f.revoke(self.e), f.issue_reclaim(self.e),
                 f.reclaim(self.e, self.e), f.suspend(self.e), f.resume(self.e),
                 f.promote(self.e, "1"), f.rotate(self.e)]
        for name, keys, arguments in calls:
            few_keys = keys[:16] if name == "ff_suspend_execution" else keys[:-1]
            for call in ((name, few_keys, arguments), (name, keys, [])):
                with self.assertRaisesRegex(redis.ResponseError, "strings or integers"):
                    f.run(self.client, call)
        self.assertEqual(f.state(self.client), {})

    def test_a_core_of_another_type(self):
        redis = wheels.client_module()
        self.client.set(self.e.exec("core"), "x")
        for call in (f.issue(self.e), f.claim(self.e), f.complete(self.e)):
            with self.assertRaisesRegex(redis.ResponseError, "WRONGTYPE"):
                f.run(self.client, call)


class Granting(OnEachEngine):
    def test_ttls(self):
        self.ok(f.create(self.e))
        for ttl, why in (("abc", "must be a number"), ("", "must be a number"),
                         ("50.5", "must be a whole number up to 50000000000000"),
                         ("1e15", "must be a whole number up to 50000000000000"),
                         ("inf", "must be a whole number up to 50000000000000"),
                         ("nan", "must be a whole number up to 50000000000000")):
            self.rejects(f.issue(self.e, ttl=ttl), "invalid_input",
                         f"grant_ttl_ms {why}, got: {ttl}")
        for ttl in ("0", "-5"):  # the grant is made, and is gone at once
            before = f.state(self.client)
            self.ok(f.issue(self.e, ttl=ttl), self.e.id)
            self.assertEqual(f.state(self.client), before)

    def test_who_can_be_granted(self):
        self.rejects(f.issue(self.e), "execution_not_found")
        self.ok(f.create(self.e))
        self.ok(f.issue(self.e), self.e.id)
        self.rejects(f.issue(self.e), "grant_already_exists")
        self.ok(f.claim(self.e))
        self.rejects(f.issue(self.e), "execution_not_eligible")
        self.ok(f.complete(self.e))
        self.rejects(f.issue(self.e), "execution_not_eligible")

    def test_a_delayed_one_cannot(self):
        self.ok(f.create(self.e, delay="1999999999999"), self.e.id, "delayed")
        self.rejects(f.issue(self.e), "execution_not_eligible")
        self.rejects(f.claim(self.e), "execution_not_leaseable")
        self.rejects(f.issue_and_claim(self.e), "execution_not_in_eligible_set")

    def test_one_that_is_in_no_index_cannot(self):
        self.ok(f.create(self.e))
        self.client.delete(self.e.in_lane("eligible"))
        self.rejects(f.issue(self.e), "execution_not_in_eligible_set")
        self.rejects(f.issue_and_claim(self.e), "execution_not_in_eligible_set")

    def test_capabilities(self):
        policy = '{"routing_requirements":{"required_capabilities":["gpu","cuda","gpu"]}}'
        self.ok(f.create(self.e, policy=policy))
        for offered, missing in (("", "cuda,gpu"), ("gpu", "cuda"), ("gpux,xcuda", "cuda,gpu")):
            self.assertEqual(f.run(self.client, f.issue(self.e, capabilities=offered)),
                             [0, "capability_mismatch", missing])
        self.assertAlmostEqual(int(self.core("last_capability_mismatch_at")), time.time() * 1000,
                               delta=5000)
        for offered, rejection in (("x" * 4097, "worker:too_many_bytes"),
                                   ("y," * 257, "worker:too_many_tokens")):
            self.rejects(f.issue(self.e, capabilities=offered), "invalid_capabilities", rejection)
        self.ok(f.issue(self.e, capabilities=",,cuda,,gpu," + "z" * 4083))

    def test_limits_hold_for_those_who_need_nothing_too(self):
        self.ok(f.create(self.e))
        self.rejects(f.issue(self.e, capabilities="y," * 257), "invalid_capabilities",
                     "worker:too_many_tokens")
        self.ok(f.issue(self.e, capabilities="y," * 256))

    def test_a_grant_that_ran_out_makes_room(self):
        self.ok(f.create(self.e))
        self.ok(f.issue(self.e, ttl="1"))
        time.sleep(0.01)
        self.rejects(f.claim(self.e), "invalid_claim_grant")
        self.e.worker = "w2"
        self.ok(f.issue(self.e))
        self.ok(f.claim(self.e))


class Claiming(OnEachEngine):
    def test_arguments(self):
        self.ok(f.create(self.e))
        self.ok(f.issue(self.e))
        whole = "must be a whole number up to 50000000000000, got: "
        for call, detail in (
                (f.claim(self.e, ttl="x"), "lease_ttl_ms must be a number, got: x"),
                (f.claim(self.e, ttl="1.5"), f"lease_ttl_ms {whole}1.5"),
                (f.claim(self.e, renew="x"), "renew_before_ms must be a number, got: x"),
                (f.claim(self.e, timeout="x"), "attempt_timeout_ms must be a number, got: x"),
                (f.claim(self.e, deadline="x"), "execution_deadline_at must be a number, got: x"),
                (f.claim(self.e, policy="{"), "attempt_policy_json is malformed"),
                (f.claim(self.e, policy="7"), "attempt_policy_json is malformed"),
                (f.claim(self.e, policy='{"a":[1e999]}'), "attempt_policy_json is malformed"),
                (f.claim_resumed(self.e, ttl="x"), "lease_ttl_ms must be a number, got: x"),
                (f.claim_resumed(self.e, remaining="x"),
                 "remaining_attempt_timeout_ms must be a number, got: x"),
                (f.issue_and_claim(self.e, ttl="x"), "lease_ttl_ms must be a number, got: x"),
                (f.issue_and_claim(self.e, policy="{"), "attempt_policy_json is malformed")):
            self.rejects(call, "invalid_input", detail)

    def test_bad_arguments_win_over_a_missing_execution(self):
        self.rejects(f.claim(self.e, ttl="x"), "invalid_input",
                     "lease_ttl_ms must be a number, got: x")
        self.rejects(f.claim(self.e), "execution_not_found")
        self.rejects(f.claim_resumed(self.e), "execution_not_found")
        self.rejects(f.issue_and_claim(self.e), "execution_not_found")

    def test_the_order_of_what_stands_against_a_claim(self):
        self.ok(f.create(self.e))
        for fields, claim, fused in (
                ({"lifecycle_phase": "active"}, "execution_not_leaseable",
                 "execution_not_eligible"),
                ({"lifecycle_phase": "runnable", "ownership_state": "leased"}, "lease_conflict",
                 "lease_conflict"),
                ({"ownership_state": "unowned", "terminal_outcome": "failed"},
                 "execution_not_leaseable", "execution_not_eligible"),
                ({"terminal_outcome": "none", "attempt_state": "running_attempt"},
                 "active_attempt_exists", "active_attempt_exists"),
                ({"attempt_state": "pending_first_attempt", "eligibility_state": "not_applicable"},
                 "execution_not_leaseable", "execution_not_eligible")):
            self.set_core(**fields)
            self.rejects(f.claim(self.e), claim)
            self.rejects(f.issue_and_claim(self.e), fused)

    def test_the_grant_binds_the_worker_alone(self):
        self.ok(f.create(self.e))
        self.rejects(f.claim(self.e), "invalid_claim_grant")
        self.ok(f.issue(self.e))
        self.e.worker = "w2"
        self.rejects(f.claim(self.e), "invalid_claim_grant")
        self.e.worker, self.e.instance = "w1", "w1-i2"
        self.ok(f.claim(self.e), "lease-1", "1")
        self.rejects(f.claim(self.e), "execution_not_leaseable")

    def test_a_grant_whose_record_outlived_its_time(self):
        self.ok(f.create(self.e))
        self.ok(f.issue(self.e))
        self.client.hset(self.e.exec("claim_grant"), "grant_expires_at", "1000")
        self.rejects(f.claim(self.e), "claim_grant_expired")

    def test_issue_and_claim_respects_a_grant_that_is_there(self):
        self.ok(f.create(self.e))
        self.ok(f.issue(self.e))
        self.rejects(f.issue_and_claim(self.e), "grant_already_exists")


if __name__ == "__main__":
    unittest.main()
