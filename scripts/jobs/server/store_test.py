# SPDX-License-Identifier: Apache-2.0
"""Tests that everything that is stored of an execution or a flow is removed, and nothing else; and
how a server is reached."""

from __future__ import annotations

import os
import socket
import tempfile
import time
import unittest
from unittest import mock

from jobs.server import claim_server, functions as f, store


class Store(unittest.TestCase):
    def test_an_execution_is_forgotten_and_its_neighbour_is_not(self) -> None:
        with claim_server.alone("auto") as server:
            client = store.connect(server.address)
            client.function_load(f.source())
            one, other = f.Execution(lane="ours"), f.Execution(lane="another's")
            one.instance = "ours"
            f.run(client, f.rotate(one))
            before: dict[str, object] = {}
            for e in (other, one):
                before = f.state(client)
                e.lease, e.attempt_id = f"lease {e.id}", f"attempt {e.id}"
                for call in (f.create(e, tags='{"a":"b"}'), f.issue(e), f.claim(e)):
                    self.assertEqual(f.run(client, call)[:2], [1, "OK"])
            self.assertEqual(f.run(client, f.suspend(one))[:2], [1, "OK"])
            client.xadd("ff:part:{fp:7}:signal_delivery", {"execution_id": one.id})
            store.forget(client, [one.id], [one.lane], [one.instance])
            store.forget_waitpoints(client, [(one.id, "wp-1")])
            self.assertEqual(f.state(client), before)
            # An id with an odd spelling of its partition is stored under the canonical tag.
            client.set("ff:exec:{fp:7}:{fp:+7}:x:core", "1")
            store.forget(client, ["{fp:+7}:x"], [], [])
            self.assertEqual(f.state(client), before)

    def test_a_flow_is_forgotten(self) -> None:
        with claim_server.alone("auto") as server:
            client = store.connect(server.address)
            for key in ("ff:flow:{fp:7}:f:core", "ff:flow:{fp:7}:f:member:{fp:7}:b",
                        "ff:exec:{fp:7}:{fp:7}:b:dep:e", "ff:flow:{fp:7}:f:in:{fp:7}:b"):
                client.set(key, "1")
            client.sadd("ff:idx:{fp:7}:flow_index", "f")
            store.forget_flows(client, [store.Flow(7, "f", ("{fp:7}:a", "{fp:7}:b"), "e")])
            self.assertEqual(client.keys(), [])

    def test_addresses_and_passwords(self) -> None:
        with self.assertRaisesRegex(store.NoStore, "--valkey"):
            store.connect("127.0.0.1:1")
        with claim_server.alone("auto") as server:
            self.assertTrue(store.connect(f"valkey://{server.address}").ping())
            with self.assertRaisesRegex(store.NoStore, "ff:config:partitions"):
                store.partitions(store.connect(server.address))
            server.client().config_set("requirepass", "hunter2")
            with self.assertRaises(store.NoStore) as raised:
                store.connect(server.address)
            self.assertNotIn("hunter2", str(raised.exception))
            with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
                file.write("hunter2\n")
                file.flush()
                with mock.patch.dict(os.environ, {"FFGRANT_PASSWORD_FILE": file.name}):
                    self.assertTrue(store.connect(server.address).ping())

    def test_a_server_that_is_silent_is_given_up(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener, \
                mock.patch.object(store, "_REACH_SECONDS", 0.2):
            for scheme in ("valkey", "valkeys"):
                begin = time.monotonic()
                with self.assertRaisesRegex(store.NoStore, "--valkey: .*[Tt]ime"):
                    store.connect(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
                self.assertLess(time.monotonic() - begin, 5)

    def test_an_address_that_is_none_is_named(self) -> None:
        for address in ("valkey://h:abc", "h:abc", "h:65536", "h:-1", "valkey://[::1"):
            with self.assertRaisesRegex(store.NoStore, r"^--valkey: "):
                store.connect(address)

    def test_a_file_that_is_not_there_is_named(self) -> None:
        for name in ("FFGRANT_TLS_CA_FILE", "FFGRANT_TLS_KEY_FILE"):
            with mock.patch.dict(os.environ, {name: "/nowhere"}), \
                    self.assertRaisesRegex(store.NoStore, f"^{name}: /nowhere: No such file"):
                store.connect("valkeys://127.0.0.1:1")


if __name__ == "__main__":
    unittest.main()
