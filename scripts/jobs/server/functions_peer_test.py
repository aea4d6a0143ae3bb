# SPDX-License-Identifier: Apache-2.0
"""Tests the comparison in functions_peer, which must see what differs. Both sides run our library
here, in two databases."""

import contextlib
import time
import unittest

from jobs.server import claim_server, functions as f, functions_peer as peer

_NOW = 1_700_000_000_000


class Same(unittest.TestCase):
    def test_times_may_differ_a_little(self):
        for ours, theirs in ((str(_NOW), str(_NOW + 300)), (float(_NOW), float(_NOW - 300)),
                             (_NOW, _NOW + 300),
                             (f"delayed until {_NOW}", f"delayed until {_NOW + 9}"),
                             ({"a": str(_NOW)}, {"a": str(_NOW + 1)}),
                             ([1, "OK", str(_NOW)], [1, "OK", str(_NOW + 1)])):
            self.assertTrue(peer._same(ours, theirs), (ours, theirs))

    def test_but_not_much_and_nothing_else_may(self):
        for ours, theirs in ((str(_NOW), str(_NOW + 500)), (float(_NOW), float(_NOW + 500)),
                             (_NOW, _NOW + 500), ("1", "2"), ("", str(_NOW)), (1, 2), (1.0, 2.0),
                             ({"a": "1"}, {"a": "1", "b": ""}), ({"a": "1"}, {"b": "1"}),
                             ([1, "OK"], [1]), ([0, "x"], [1, "OK"]), ({"m"}, {"n"}),
                             (None, _NOW), ("a", None)):
            self.assertFalse(peer._same(ours, theirs), (ours, theirs))

    def test_a_score_is_a_priority_and_a_time(self):
        created = time.time() * 1000
        for priority in (0, 1, 2, 3, 9000):
            score = created - priority * 1e12
            self.assertTrue(peer._same(score, score + 200), priority)
        self.assertFalse(peer._same(created - 3e12, created - 4e12))
        self.assertFalse(peer._same(created - 3e12, created - 3e12 + 600))

    def test_tokens_depend_on_the_millisecond(self):
        self.assertTrue(peer._same("k1:" + "a" * 40, "k1:" + "b" * 40))
        self.assertFalse(peer._same("k1:" + "a" * 40, "k2:" + "b" * 40))
        self.assertFalse(peer._same("k1:" + "a" * 39, "k1:" + "b" * 39))


class Comparing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        server = stack.enter_context(claim_server.alone("redis"))
        cls.databases = [server.client(db=0), server.client(db=1)]
        cls.databases[0].function_load(f.source())

    def setUp(self):
        self.pair = peer.Pair(*self.databases, their_prefix=f.OUR_PREFIX)
        self.e = f.Execution()

    def test_a_walk_of_a_library_beside_itself_finds_nothing(self):
        for seed in range(3):
            self.assertEqual(peer._walk(self.pair, seed, 25), "")

    def test_another_reply(self):
        self.pair.both(f.create(self.e))
        self.databases[1].delete(self.e.exec("core"))
        self.assertIn("theirs [0, 'execution_not_found']", self.pair.difference(f.issue(self.e)))

    def test_a_field_a_key_and_an_expiry_that_differ(self):
        core, grant = self.e.exec("core"), self.e.exec("claim_grant")
        for change, expected in (
                (lambda theirs: theirs.hset(core, "priority", "7"),
                 f"{core} priority: ours '0', theirs '7'"),
                (lambda theirs: theirs.hset(core, "more", ""), f"{core} more: ours None"),
                (lambda theirs: theirs.set("stray", "x"), "stray: only theirs"),
                (lambda theirs: theirs.zrem(self.e.in_lane("eligible"), self.e.id),
                 f"{self.e.in_lane('eligible')}: only ours"),
                (lambda theirs: theirs.persist(grant), f"  {grant}")):
            for client in self.databases:
                client.flushdb()
            self.pair.both(f.create(self.e))
            self.pair.both(f.issue(self.e))
            self.assertEqual(self.pair.difference(f.mark_expired(self.e)), "")
            change(self.databases[1])
            self.assertIn(expected, self.pair.difference(f.mark_expired(self.e)))

    def test_what_is_meant_to_differ_must(self):
        problem = peer._on_purpose(self.pair, "a fraction", lambda e: f.issue(e, ttl="50.5"),
                                   [0, "invalid_input"], (f.create,))
        self.assertIn("no difference any more", problem)
        problem = peer._on_purpose(self.pair, "none", f.issue, [0, "invalid_input"], (f.create,))
        self.assertIn("ours answers [1, 'OK'", problem)


if __name__ == "__main__":
    unittest.main()
