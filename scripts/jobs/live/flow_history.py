# SPDX-License-Identifier: Apache-2.0
"""Plays the lives of two executions of a flow. The second execution waits for the first, as far as
the published routes allow it (core/contract/live-observed.md, 11)."""

from __future__ import annotations

import binascii
import random
import time
import uuid
from typing import Any

from jobs.live.history import History, Policy, Server
from jobs.server import store

_RESOLVE_SECONDS = 60  # the server notices within this time that an execution has ended
_POLL_SECONDS = 0.05
_NOW = 1795000000000


class FlowHistory:
    """The life of one flow. The seed and the number decide what happens in it."""

    def __init__(self, seed: int, number: int, server: Server) -> None:
        self._random = random.Random(f"{seed}/flow/{number}")
        self._server = server
        self._flow = uuid.UUID(int=self._random.getrandbits(128), version=4)
        # The partition comes from the CRC16-XMODEM of the id's bytes (contract 2).
        self._partition = binascii.crc_hqx(self._flow.bytes, 0) % server.partitions
        self._first, self._second = self._member(seed, number, "a"), self._member(seed, number, "b")
        self.trace: list[str] = []

    def _member(self, seed: int, number: int, name: str) -> History:
        made = History(seed, number, self._server)
        made.random = random.Random(f"{seed}/flow/{number}/{name}")
        digits = uuid.UUID(int=self._random.getrandbits(128), version=4)
        made.e.tag, made.e.partition = f"{{fp:{self._partition}}}", str(self._partition)
        made.e.id = f"{made.e.tag}:{digits}"
        made.model.policy = Policy()
        return made

    def _answered(self, what: str, target: str, body: dict[str, Any], status: int,
                  wanted: Any) -> None:
        answer = self._server.ask("POST", f"/v1/flows{target}", {
            "flow_id": str(self._flow), "now": _NOW, **body})
        self._first.answered(what, answer, status, wanted)

    def _build(self) -> None:
        flow = str(self._flow)
        edge_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        self._server.flows.append(store.Flow(
            self._partition, flow, (self._first.e.id, self._second.e.id), edge_id))
        kind = {"flow_kind": "task", "namespace": self._server.lane}
        self._answered("create flow", "", kind, 201, {"Created": {"flow_id": flow}})
        self._answered("create flow again", "", kind, 200,
                       {"AlreadySatisfied": {"flow_id": flow}})
        for count, member in enumerate((self._first, self._second), 1):
            member.create(may_delay=False)
            named = {"execution_id": member.e.id}
            self._answered("add member", f"/{flow}/members", named, 201,
                           {"Added": {**named, "new_node_count": count}})
        self._answered("add member again", f"/{flow}/members", named, 200,
                       {"AlreadyMember": {**named, "node_count": 2}})
        edge = {"edge_id": edge_id, "upstream_execution_id": self._first.e.id,
                "downstream_execution_id": self._second.e.id}
        self._answered("stage edge", f"/{flow}/edges", {**edge, "expected_graph_revision": 2}, 201,
                       {"Staged": {"edge_id": edge_id, "new_graph_revision": 3}})
        self._answered("apply edge", f"/{flow}/edges/apply", {**edge, "graph_revision": 3}, 200,
                       {"Applied": {"unsatisfied_count": 1}})
        self._answered("apply edge again", f"/{flow}/edges/apply", {**edge, "graph_revision": 3},
                       200, "AlreadyApplied")
        self._second.model.public = "waiting_children"

    def _becomes(self, member: History, public: str) -> None:
        until = time.monotonic() + _RESOLVE_SECONDS
        while True:
            answer = self._server.ask("GET", f"/v1/executions/{member.e.id}/state")
            if answer.body == f'"{public}"'.encode() or time.monotonic() > until:
                break
            time.sleep(_POLL_SECONDS)
        member.model.public = public
        member.look()

    @staticmethod
    def _claim(member: History) -> None:
        while member.model.phase != "active":  # some tries are made as another worker, and refused
            member.claim()

    def run(self) -> None:
        first, second = self._first, self._second
        self.trace = second.trace = first.trace
        self._build()
        second.look()
        how = self._random.choice(("complete", "complete", "fail", "cancel"))
        first.grant()
        self._claim(first)
        second.look()
        while first.model.phase == "active":  # a call with a wrong fence changes nothing
            getattr(first, how)()
        first.look()
        if how != "complete":
            self._becomes(second, "skipped")
            return
        self._becomes(second, "waiting")
        second.grant()
        self._claim(second)
        while second.model.phase == "active":
            second.complete()
        second.look()

    def abandon(self) -> None:
        for member in (self._first, self._second):
            member.abandon()
