# SPDX-License-Identifier: Apache-2.0
"""Compares the predictions about a FlowFabric server with the contract's own tables and with
exchanges that were seen on a server."""

from __future__ import annotations

import json
import unittest

from jobs.live import names, request_lots, routes, serde
from jobs.live.routes import Expected, Request, World

_ID = "{fp:7}:550e8400-e29b-41d4-a716-446655440000"
_JSON = (("content-type", "application/json"),)
_CLAIM = '{"lane_id":"main","worker_instance_id":"w1-i1","grant_ttl_ms":5000%s}'


def status(body: bytes | str) -> int:
    """The predicted status of a claim with this body."""
    data = body.encode() if isinstance(body, str) else body
    return routes.predict(World(lane="main"), Request(
        "POST", "/v1/workers/w1/claim", _JSON, data)).status


class Bodies(unittest.TestCase):
    """Tests bodies: contract 4, and rows 18 to 62 of contract 13."""

    def test_claim_requests(self) -> None:
        for extra, wanted in (
                ("", 204), (',"capabilities":null', 422), (',"capabilities":[null]', 422),
                (',"capabilities":"gpu"', 422), (',"capabilities":{}', 422),
                (',"worker_id":"evil"', 204), (',"lane_id":"x"', 422), (',"grant_ttl_ms"', 422),
                (',"x":1e999,"y":"\\ud800"', 204), (',"x":01', 400), (',', 400), (',"x"', 400),
                (',"x":' + "[" * 30_000 + "]" * 30_000, 204), (',"x":[1,]', 400),
                (',"x":{"a":1,"b":[{}]}', 204), (',"x":{"a"}', 400), (',"x":nulx', 400)):
            self.assertEqual(status(_CLAIM % extra), wanted, extra[:40])
        self.assertEqual(status((_CLAIM % ',"x":"').encode()[:-1] + b'\xff"}'), 204)
        self.assertEqual(status((_CLAIM % "").encode().replace(b"main", b"ma\xff")), 400)
        for body, wanted in (("", 400), ("null", 422), ("1", 422), ('""', 422), ("{}", 422),
                             ("[]", 422), ("nul", 400), ("{", 400), ("\ufeff{}", 400),
                             ('["main","w1-i1",["gpu"],5000]', 204),
                             ('["main","w1-i1",5000]', 422), ('["main"', 400),
                             ('["main","w1-i1",["gpu"],5000,1]', 400),
                             (_CLAIM % "" + "x", 400), (_CLAIM % "" + " \n", 204),
                             ('{"lane_id":1,,,', 422)):
            self.assertEqual(status(body), wanted, body)

    def test_numbers(self) -> None:
        for text, wanted in (
                ("0", 400), ("1", 204), ("60000", 204), ("60001", 400), ("5000.0", 422),
                ("-5", 422), ("-0", 422), ("1e3", 422), ("0e0", 422), ("01", 400), ("+1", 400),
                ("1.", 400), ("NaN", 400), ("1e400", 400), ('"1"', 422), ("null", 422),
                ("18446744073709551615", 400), ("18446744073709551616", 422), ("-", 400)):
            body = _CLAIM.replace("5000", text) % ""
            self.assertEqual(status(body), wanted, text)

    def test_strings(self) -> None:
        for text, wanted in (("a\\/b", 204), ("\\ud83d\\ude00", 204), ("\\uD83D", 400),
                             ("\\uDE00", 400), ("\\uD83D\\u0041", 400), ("\\x41", 400),
                             ("a\tb", 400), ("\\u00e9", 204), ("\\u0000", 400), ("é", 204)):
            found = routes.predict(World(lane="main"), Request(
                "POST", "/v1/workers/w1/claim", _JSON,
                (_CLAIM.replace("w1-i1", text) % "").encode()))
            self.assertEqual(found.status, wanted, text)


class Names(unittest.TestCase):
    """Tests ids and names: contract 12."""

    def test_execution_ids(self) -> None:
        good = _ID.partition("}:")[2]
        for text in (_ID, "{fp:+7}:" + good, "{fp:007}:" + good.upper(), "{fp:7}:{" + good + "}",
                     "{fp:65535}:" + good.replace("-", ""), "{fp:7}:urn:uuid:" + good):
            self.assertEqual(names.execution_id_fault(text), "", text)
        for text, wanted in (
                ("", "missing the"), (good, "missing the"), ("{b:7}:" + good, "missing the"),
                ("{fp:7} :" + good, "missing the"), ("{fp:65536}:" + good, "u16: 65536"),
                ("{fp:-1}:x", "u16: -1"), ("{fp:}:}:x", "u16: "), ("{fp:7}}:x", "u16: 7}"),
                ("{fp:7}:URN:UUID:" + good, "UUID: URN:UUID:"), ("{fp:7}::x", "UUID: :x"),
                ("{fp:7}:" + good + "\n", "UUID: "), ("{fp:7}:{" + good, "UUID: {"),
                ("{fp:٧}:" + good, "u16: ٧")):
            self.assertIn(wanted, names.execution_id_fault(text), text)

    def test_lanes_workers_and_capabilities(self) -> None:
        self.assertEqual(names.lane_fault("x" * 64), "")
        self.assertEqual(names.lane_fault("x" * 65), "lane_id exceeds 64 bytes (got 65)")
        self.assertEqual(names.lane_fault("aé"),
                         "lane_id contains non-ASCII-printable byte at index 1")
        self.assertEqual(names.worker_fault("é" * 128), "")
        self.assertEqual(names.worker_fault("w" * 257), "exceeds 256 bytes (got 257)")
        self.assertIn("whitespace", names.worker_fault("a\u00a0b"))
        self.assertEqual(names.capabilities_fault(["b", "a", "a"]), "")
        self.assertIn('"a,b"', names.capabilities_fault(["z", "a,b"]))
        self.assertIn("4097", names.capabilities_fault(["x" * 4097]))
        self.assertIn("257", names.capabilities_fault([f"c{i}" for i in range(257)]))


class Exchanges(unittest.TestCase):
    """Tests answers: contract 6, and exchanges that were seen on a live server."""

    def ask(self, request: Request, token: str | None = None, state: str = "") -> Expected:
        return routes.predict(World({_ID: state} if state else {}, token, "main"), request)

    def test_auth_wins_over_the_body_s_size_and_that_over_the_path(self) -> None:
        large = Request("POST", "/v1/workers/%ff/claim", _JSON, b"x" * 65537)
        self.assertEqual(self.ask(large, "t").status, 401)
        self.assertEqual(self.ask(large).body, '{"error":"payload_too_large","limit_bytes":65536,'
                                               '"route":"/v1/workers/{worker_id}/claim"}')
        self.assertEqual(self.ask(Request("POST", "/v1/workers/%ff/claim", _JSON, b"")).body,
                         "Invalid URL: Invalid UTF-8 in `worker_id`")
        self.assertEqual(self.ask(Request("GET", "/healthz"), "t").status, 200)

    def test_content_types(self) -> None:
        for text, wanted in (("application/json; charset=utf-8", 204), ("text/json", 415),
                             ("application/problem+json", 204), ("Application/JSON", 204),
                             ("application/jsonx", 415), ("", 415), ("application/json+x", 204)):
            found = self.ask(Request("POST", "/v1/workers/w/claim", (("content-type", text),),
                                     (_CLAIM % "").encode()))
            self.assertEqual(found.status, wanted, text)

    def test_a_name_may_be_empty_and_is_refused_as_such(self) -> None:
        found = self.ask(Request("GET", "/v1/executions//state"))
        self.assertIn("invalid execution_id", str(found.body))

    def test_nobody_else_s_lane_is_asked_for(self) -> None:
        body = (_CLAIM % "").replace("main", "theirs").encode()
        for lane in ("main", ""):
            with self.assertRaises(routes.Unpredictable):
                routes.predict(World(lane=lane), Request("POST", "/v1/workers/w/claim", _JSON,
                                                         body))

    def test_routes(self) -> None:
        self.assertEqual(self.ask(Request("PATCH", "/v1/workers/w/claim", (), b"x" * 65537)).status,
                         413)
        self.assertEqual(self.ask(Request("GET", "/v1/workers/w/claim")),
                         Expected(405, "", {"allow": "POST"}))
        self.assertEqual(self.ask(Request("GET", "/v1/nothing")), Expected(404))

    def test_executions(self) -> None:
        path = f"/v1/executions/{_ID}/"
        self.assertEqual(self.ask(Request("GET", path + "state"), state="waiting").body,
                         '"waiting"')
        self.assertEqual(self.ask(Request("GET", path + "state")).status, 404)
        body = json.dumps({"worker_id": "w", "worker_instance_id": "i", "lane_id": "l",
                           "grant_ttl_ms": 1}).encode()
        self.assertIn("execution_not_reclaimable", str(self.ask(
            Request("POST", path + "reclaim", _JSON, body), state="waiting").body))
        self.assertEqual(self.ask(Request("POST", path + "reclaim", _JSON, body)).body,
                         '{"error":"not found: execution"}')
        world = World()
        create = Request("POST", "/v1/executions", _JSON, json.dumps({
            "execution_id": _ID, "namespace": "n", "lane_id": "l", "execution_kind": "k",
            "input_payload": [0, 255], "priority": 0, "creator_identity": "c", "partition_id": 7,
            "now": 1}).encode())
        self.assertEqual([routes.predict(world, create).status for _ in range(2)], [201, 200])
        self.assertEqual(world.states, {_ID: "waiting"})


class Lots(unittest.TestCase):
    def test_a_lot_is_the_same_each_time_and_hits_every_answer(self) -> None:
        def ask(number: int) -> list[int]:
            world = World(token="secret", lane="lane")
            found: list[int] = []
            for request in request_lots.Lot(1, number, "lane", "secret", 256).requests():
                try:
                    found.append(routes.predict(world, request).status)
                except routes.Unpredictable:
                    continue
                if len(found) == request_lots.LOT:
                    return found
            return found
        lots = [ask(number) for number in range(250)]
        self.assertEqual(lots[:20], [ask(number) for number in range(20)])
        self.assertGreaterEqual({status for lot in lots for status in lot}, {
            200, 201, 204, 400, 401, 404, 405, 413, 415, 422, 500})

    def test_a_reader_stops_at_the_first_offence(self) -> None:
        with self.assertRaises(serde.DataFault):
            serde.read(routes.CLAIM, b'{"lane_id":1 garbage')
        with self.assertRaises(serde.SyntaxFault):
            serde.read(routes.CLAIM, b'{"lane_id":"x" garbage')


if __name__ == "__main__":
    unittest.main()
