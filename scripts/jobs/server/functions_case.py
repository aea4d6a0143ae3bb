# SPDX-License-Identifier: Apache-2.0
"""Holds what the tests that run the function library on each engine share."""

import os
import unittest
from contextlib import ExitStack

from jobs.server import claim_server, functions as f

_servers = ExitStack()
_clients = {}


def setUpModule():
    for engine in ("redis", "valkey") if os.uname().machine == "x86_64" else ("redis",):
        server = _servers.enter_context(claim_server.alone(engine))
        _clients[engine] = server.client()
        _clients[engine].function_load(f.source())


def tearDownModule():
    _servers.close()


class OnEachEngine(unittest.TestCase):
    """Runs each test once for each engine, on an empty server."""

    def run(self, result=None):
        for engine, client in _clients.items():
            self.client = client
            self.engine = engine
            client.flushall()
            self.e = f.Execution()
            super().run(result)
        return result

    def call(self, *call):
        return f.run(self.client, call)

    def ok(self, call, *reply):
        answer = f.run(self.client, call)
        self.assertEqual(answer[:2], [1, "OK"], (self.engine, call[0], answer))
        if reply:
            self.assertEqual(answer[2:2 + len(reply)], list(reply), (self.engine, call[0]))
        return answer

    def rejects(self, call, *code_and_details):
        """Checks that the call is rejected and that nothing changes."""
        before = f.state(self.client)
        self.assertEqual(f.run(self.client, call), [0, *code_and_details], (self.engine, call[0]))
        self.assertEqual(f.state(self.client), before, (self.engine, call[0]))

    def already(self, call, reason):
        self.assertEqual(f.run(self.client, call), [1, "ALREADY_SATISFIED", reason])

    def set_core(self, **fields):
        self.client.hset(self.e.exec("core"), mapping=fields)

    def core(self, field):
        return self.client.hget(self.e.exec("core"), field).decode()

    def leased(self, ttl="30000"):
        self.ok(f.create(self.e))
        self.ok(f.issue(self.e))
        self.ok(f.claim(self.e, ttl=ttl))

    def expired(self):
        self.leased(ttl="0")
        self.ok(f.mark_expired(self.e))
