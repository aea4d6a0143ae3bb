# SPDX-License-Identifier: Apache-2.0
"""Draws requests from a seed: valid requests, and requests with each kind of fault.

Each lot is a short series of requests about executions of its own, so that it can be run again by
its number.
"""

from __future__ import annotations

import json
import random
import urllib.parse
import uuid
from collections.abc import Iterator
from typing import Any

from jobs.live.routes import Request

LOT = 8  # the number of requests in a series

_JSON_TYPE = ("content-type", "application/json")
_CONTENT_TYPES = (
    "application/json; charset=utf-8", "Application/JSON", "application/problem+json",
    "application/x.y+json;v=1", "text/json", "application/jsonx", "application", "text/plain",
    "application/json+x", "multipart/form-data", "", "*/*")
# Fragments of JSON that are put in the place of a value.
_VALUES = (
    "null", "true", "false", "0", "-0", "1", "-1", "1.0", "1e3", "0e0", "01", "+1", ".5", "1.",
    "1e", "-", "NaN", "Infinity", "0x1", "1e400", "18446744073709551615", "18446744073709551616",
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "2147483648",
    "-2147483649", "65535", "65536", "4294967296", "9007199254740993", '""', '"x"', '"1"', "[]",
    "{}", "[1]", "[256]", "[-1]", '["a"]', "[null]", '["a","a"]', '{"a":"b"}', '{"a":1}',
    '{"a":"1","a":"2"}', '"\\u0000"', '"\\ud83d\\ude00"', '"\\uD83D"', '"\\uDE00"',
    '"\\uD83D\\u0041"', '"\\x41"', '"\\/"', '"a\\nb"', '"tab\tin it"', '"é"', "'x'", "nul",
    "nullx", "tru", "[", "{", '"', ",", "[1,]", '{"a":1,}', "/**/1", "")
_UNKNOWN_VALUES = ("1e999", '"\\uD800"', "[" * 500 + "]" * 500, '{"a":[1,{"b":null}]}', "01", "nul",
                   '"\\q"', "-", "1.", "[1 2]", '{"a" 1}', '{"a":1,}', "18446744073709551616")
_WORKERS = ("", " ", "a b", "a\tb", "a\u00a0b", "a\u0085", "\u2028", "é", "w" * 256, "w" * 257,
            "é" * 128, "é" * 129, "a\x7f", "a\x00b", "%41", "a/b", "{}", "..x")
_SEGMENTS = ("%ff", "a%C3%A9", "%c3%28", "%zz", "a%2Fb", "%20", "+", "a%00b", "%E2%80%A8", "%", "~")
_CAPABILITIES = ("", ",", "a,b", "a b", "é", "a\u00a0b", "a\tb", "gpu", "GPU", '"', "\\", "\x7f",
                 "z")
_UUIDS = ("550e8400-e29b-41d4-a716-446655440000", "550E8400E29B41D4A716446655440000",
          "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
          "{550e8400-e29b-41d4-a716-446655440000}", "URN:UUID:550e8400-e29b-41d4-a716-446655440000",
          "550e8400-e29b-41d4a716-4466-55440000", "not-a-uuid", "")
_TAGS = ("{fp:%d}:", "{fp:+%d}:", "{fp:00%d}:", "{FP:%d}:", "{b:%d}:", "{fp:6553%d}:", "{fp:%d}",
         "{fp: %d}:", "{fp:-%d}:", "{{fp:%d}:", "{fp:%d}}:", "", "{fp:%dx}:")


class Lot:
    """One series. `lane` is a name of at most 40 bytes that nobody else uses."""

    def __init__(self, seed: int, number: int, lane: str, token: str | None,
                 partitions: int) -> None:
        self._random = random.Random(f"{seed}/{number}")
        self._lane = lane
        self._token = token
        self._partitions = partitions
        self._execution = self._minted()

    def _minted(self) -> tuple[str, int]:
        """Makes a canonical id. Returns (id, partition)."""
        partition = self._random.randrange(self._partitions)
        digits = uuid.UUID(int=self._random.getrandbits(128), version=4)
        return f"{{fp:{partition}}}:{digits}", partition

    def requests(self) -> Iterator[Request]:
        """Yields requests, endlessly. The caller sends LOT of them."""
        while True:
            yield self._one()

    def _pick(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def _happens(self, share: float) -> bool:
        return self._random.random() < share

    # ---- names ----

    def _some_id(self) -> str:
        draw = self._random.random()
        if draw < 0.7:
            return self._execution[0]
        if draw < 0.8:
            return self._minted()[0]
        tag = self._pick(*_TAGS)
        number = self._random.randrange(self._partitions)
        # The id is an odd spelling of our own id, so it can't name an execution of somebody else.
        digits = self._execution[0][-36:]
        return (tag % number if "%d" in tag else tag) + self._pick(
            digits, digits.upper(), digits.replace("-", ""), f"{{{digits}}}", f"urn:uuid:{digits}",
            f"URN:UUID:{digits}", digits[:-1], f"{{{digits}", f"{digits} ", f":{digits}", "", "x")

    def _some_lane(self) -> str:
        return str(self._pick(self._lane, self._lane, self._lane + "x" * (64 - len(self._lane)),
                              self._lane + "x" * (65 - len(self._lane)), "", self._lane + " : {}",
                              self._lane + "é", self._lane + "\x7f", self._lane + "\n"))

    def _some_capabilities(self) -> list[str]:
        draw = self._random.random()
        if draw < 0.5:
            return []
        if draw < 0.85:
            return [self._pick(*_CAPABILITIES) for _ in range(self._random.randrange(1, 5))]
        count = self._pick(255, 256, 257)
        if draw < 0.95:
            return [f"c{i}" for i in range(count)]
        return ["x" * self._pick(4095, 4096, 4097)]

    def _ttl(self) -> int:
        return int(self._pick(0, 1, 5000, 5000, 5000, 59999, 60000, 60001, 2**64 - 1))

    # ---- bodies: the members' names and values ----

    def _create(self, execution: tuple[str, int]) -> dict[str, Any]:
        now = 1795000000000
        return {"execution_id": execution[0], "namespace": self._lane,
                # This is not the lane in which we claim, because claims must find nothing.
                "lane_id": f"{self._lane}-made", "execution_kind": "task",
                "input_payload": [self._random.randrange(256) for _ in range(self._pick(0, 3, 40))],
                **self._pick({}, {"payload_encoding": "json"}, {"payload_encoding": None}),
                "priority": self._pick(0, 5, 9001, -3), "creator_identity": "conformance",
                **self._pick({}, {"tags": {"team": "a"}}, {"tags": {}}),
                **self._pick({}, {"policy": None}),
                **self._pick({}, {}, {"delay_until": 4000000000000}, {"delay_until": None}),
                "partition_id": execution[1], "now": now}

    def _claim(self) -> dict[str, Any]:
        return {"lane_id": self._some_lane() if self._happens(0.3) else self._lane,
                "worker_instance_id": self._pick(*_WORKERS) if self._happens(0.3) else "w1-i1",
                **({"capabilities": self._some_capabilities()} if self._happens(0.7) else {}),
                "grant_ttl_ms": self._ttl()}

    def _reclaim(self) -> dict[str, Any]:
        return {"worker_id": self._pick(*_WORKERS) if self._happens(0.2) else "w1",
                "worker_instance_id": self._pick(*_WORKERS) if self._happens(0.2) else "w1-i1",
                "lane_id": self._some_lane() if self._happens(0.3) else self._lane,
                **self._pick({}, {"capability_hash": "h"}, {"capability_hash": None}),
                "grant_ttl_ms": self._ttl(),
                **self._pick({}, {"route_snapshot_json": "{}"}, {"admission_summary": None}),
                **({"worker_capabilities": self._some_capabilities()} if self._happens(0.5)
                   else {})}

    def _cancel(self, execution_id: str) -> dict[str, Any]:
        return {"execution_id": execution_id, "reason": "conformance",
                **self._pick({}, {"source": "operator_override"}, {"source": "lease_holder"}),
                **self._pick({}, {"lease_id": self._pick(*_UUIDS)}, {"lease_epoch": 1}),
                "now": 1795000000000}

    def _signal(self, execution_id: str) -> dict[str, Any]:
        return {"execution_id": execution_id, "waitpoint_id": self._pick(*_UUIDS),
                "signal_id": self._pick(*_UUIDS[:5]), "signal_name": "go",
                "signal_category": "external", "source_type": "worker", "source_identity": "me",
                **self._pick({}, {"payload": [1, 2]}, {"payload": None}),
                "target_scope": "waitpoint", "waitpoint_token": "k1:00", "now": 1795000000000}

    # ---- spelling a body ----

    def _spelled(self, members: dict[str, Any]) -> bytes:
        items = [(name, json.dumps(value, ensure_ascii=self._happens(0.5),
                                   separators=self._pick((",", ":"), (" , ", " : "))))
                 for name, value in members.items()]
        for _ in range(self._pick(0, 0, 0, 1, 1, 2)):
            items = self._changed(items)
        if self._happens(0.06):
            text = "[" + ",".join(value for _, value in items) + "]"
        else:
            text = "{" + ",".join(f"{self._name(name)}:{value}" for name, value in items) + "}"
        body = text.encode("utf-8", "surrogatepass")
        return self._damaged(body) if self._happens(0.15) else body

    def _name(self, name: str) -> str:
        if self._happens(0.03):
            return '"' + "".join(f"\\u{ord(c):04x}" for c in name) + '"'
        return f'"{name}"'

    def _changed(self, items: list[tuple[str, str]]) -> list[tuple[str, str]]:
        items = list(items)
        at = self._random.randrange(len(items)) if items else 0
        how = self._random.randrange(6)
        if how == 0 and items:
            items[at] = (items[at][0], self._pick(*_VALUES))
        elif how == 1 and items:
            del items[at]
        elif how == 2 and items:
            items.insert(self._random.randrange(len(items) + 1),
                         (items[at][0], self._pick(items[at][1], "null", *_VALUES[:4])))
        elif how == 3:
            items.insert(at, (self._pick("extra", "worker", "EXECUTION_ID", "é", ""),
                              self._pick(*_VALUES, *_UNKNOWN_VALUES)))
        elif how == 4:
            self._random.shuffle(items)
        return items

    def _damaged(self, body: bytes) -> bytes:
        at = self._random.randrange(len(body) + 1)
        how = self._random.randrange(7)
        if how == 0:
            return body[:at]
        if how == 1:
            return body + self._pick(b"x", b" ", b"\n\t", b"\0", b",", b"{}", b"\x0b")
        if how == 2:
            return self._pick(b"\xef\xbb\xbf", b" \n", b"/*c*/", b"\x0c") + body
        if how == 3:
            return body[:at] + bytes([self._random.randrange(256)]) + body[at + 1:]
        if how == 4:
            return body[:at] + body[at + 1:]
        if how == 5:
            return body[:at] + bytes([self._random.randrange(256)]) + body[at:]
        return bytes(self._pick(b"", b"null", b"1", b'""', b"[]", b"{}", b" ", b"[[]]"))

    # ---- requests ----

    def _headers(self, has_body: bool) -> tuple[tuple[str, str], ...]:
        made = []
        if has_body and not self._happens(0.05):
            made.append(_JSON_TYPE if self._happens(0.92)
                        else ("content-type", self._pick(*_CONTENT_TYPES)))
        if self._token is not None:
            made += self._authorization(self._token)
        return tuple(made)

    def _authorization(self, token: str) -> list[tuple[str, str]]:
        if self._happens(0.96):
            return [("authorization", f"Bearer {token}")]
        wrong: list[tuple[str, str]] = self._pick(
            [], [("authorization", token)], [("authorization", f"bearer {token}")],
            [("authorization", f"Bearer  {token}")], [("authorization", f"Bearer {token}x")],
            [("authorization", f"Bearer {token[:-1]}")], [("authorization", "Bearer ")],
            [("authorization", "Basic eDp5")])
        return wrong

    def _segment(self, name: str) -> str:
        if self._happens(0.03):
            return str(self._pick(*_SEGMENTS))
        return urllib.parse.quote(name, safe=self._pick("", "{}:~", ":")) or "%20"

    def _one(self) -> Request:
        kind = self._random.choices(
            ("create", "claim", "reclaim", "cancel", "signal", "revoke", "state", "result",
             "other"), (20, 25, 14, 12, 8, 5, 10, 4, 2))[0]
        if kind == "other":
            return self._other()
        some_id = self._some_id()
        if kind == "claim":
            worker = self._pick(*_WORKERS[1:]) if self._happens(0.1) else "w1"
            return self._post(f"/v1/workers/{self._segment(worker)}/claim", self._claim())
        if kind == "create":
            execution = self._execution if some_id == self._execution[0] else \
                (some_id, self._execution[1])
            return self._post("/v1/executions", self._create(execution))
        path = f"/v1/executions/{self._segment(some_id)}/"
        if kind in ("state", "result"):
            return Request("HEAD" if self._happens(0.03) else "GET", path + kind,
                           self._headers(False))
        if kind == "revoke":
            return Request("POST", path + "revoke-lease", self._headers(False),
                           self._pick(b"", b"", b"x" * 65537, b"{"))
        in_body = some_id if self._happens(0.93) else self._some_id()
        members = {"reclaim": self._reclaim, "cancel": lambda: self._cancel(in_body),
                   "signal": lambda: self._signal(in_body)}[kind]()
        return self._post(path + kind, members)

    def _post(self, target: str, members: dict[str, Any]) -> Request:
        body = self._spelled(members)
        if self._happens(0.02):  # a body near the size limit of the route, or past it
            limit = (1 << 20 if target == "/v1/executions" else
                     256 << 10 if target.endswith("/signal") else 64 << 10)
            body += b" " * (limit - len(body) + self._pick(-1, 0, 1, 1000))
        method = "POST" if self._happens(0.98) else self._pick("PUT", "DELETE", "PATCH")
        return Request(method, target, self._headers(True), body, self._happens(0.1))

    def _other(self) -> Request:
        method, target = self._pick(
            ("GET", "/healthz"), ("GET", "/"), ("GET", "/v1"), ("POST", "/v1/workers//claim"),
            ("GET", "/v1/workers/w/claim"), ("POST", "/healthz"), ("GET", "/v1/executions//state"),
            ("POST", "/v1/workers/w/claims"), ("GET", "/v1/workers/w/claim/"), ("HEAD", "/healthz"),
            ("DELETE", "/v1/executions"), ("POST", "/V1/executions"), ("GET", "/healthz?x=1"))
        return Request(method, target, self._headers(False))
