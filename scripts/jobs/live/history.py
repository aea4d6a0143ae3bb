# SPDX-License-Identifier: Apache-2.0
"""Plays random lives of executions on a running deployment. After each step the outcome and the
state must be those that the contract (section 7) and core/contract/live-observed.md say.

The issuer's calls go over HTTP. The worker's calls go to FlowFabric's functions, called from Python
(jobs/server/functions.py). States and results are read back over HTTP. Nothing here uses ffgrant's
client or its ledgers.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobs.live.exchange import Answer, Connection
from jobs.live.routes import Request
from jobs.server import functions, store

STEPS = 9
_GRANT_TTL_MS = 60_000  # longer than a history takes
_LEASE_TTL_MS = "60000"
_FIND_SECONDS = 30  # for finding a waiting execution, since a call sees only some partitions
_POLL_SECONDS = 0.1
_SLACK_MS = 50  # the most that may pass between two readings of the server's clock
_NOW = 1795000000000  # no answer depends on the time that a caller names

Reply = list[Any]


class Difference(Exception):
    """The deployment did something other than what the contract says."""


@dataclass
class Server:
    """The deployment as one thread uses it. Nobody else uses the lane."""
    http: Connection
    valkey: Any  # redis-py's client
    lane: str
    worker: str
    partitions: int
    token: str | None = None
    made: list[str] = field(default_factory=list)  # the executions that we created
    waitpoints: list[tuple[str, str]] = field(default_factory=list)  # (execution id, waitpoint id)
    flows: list[store.Flow] = field(default_factory=list)

    def ask(self, method: str, target: str, body: Any = None) -> Answer:
        headers = [("content-type", "application/json")]
        if self.token is not None:
            headers.append(("authorization", f"Bearer {self.token}"))
        data = b"" if body is None else json.dumps(body).encode()
        return self.http.ask(Request(method, target, tuple(headers), data))

    def call(self, call: tuple[str, list[str], list[str]]) -> Reply:
        return list(functions.run(self.valkey, call, functions.THEIR_PREFIX))

    def now(self) -> int:
        seconds, micros = self.valkey.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def claim(self, capabilities: tuple[str, ...] = ()) -> Answer:
        return self.ask("POST", f"/v1/workers/{self.worker}/claim", {
            "lane_id": self.lane, "worker_instance_id": f"{self.worker}-i",
            "capabilities": list(capabilities), "grant_ttl_ms": _GRANT_TTL_MS})


@dataclass
class Policy:
    max_retries: int = 0  # the server function assumes 0 if there is no policy
    delay_ms: int = 0
    max_reclaims: int = 100
    max_replays: int = 10

    def as_json(self) -> dict[str, Any]:
        return {"retry_policy": {"max_retries": self.max_retries, "retryable_categories": [],
                                 "backoff": {"type": "fixed", "delay_ms": self.delay_ms}},
                "max_reclaim_count": self.max_reclaims, "max_replay_count": self.max_replays}


@dataclass
class Model:
    """The state that the execution must have by the contract."""
    policy: Policy | None
    phase: str = "runnable"
    public: str = "waiting"
    lease: str = ""  # of an active execution: held, expired or revoked
    # A revocation sets this flag. A claim of a resumed execution, a reclaim and a completion clear
    # it, but an ordinary claim does not.
    was_revoked: bool = False
    outcome: str = "none"
    grant: bool = False
    pending: str = "initial"  # the kind of the next attempt
    interrupted: bool = False  # the execution was resumed, so its attempt goes on
    epoch: int = 0
    attempts: int = 0
    attempt_id: str = ""
    retries: int = 0
    reclaims: int = 0
    replays: int = 0
    result: bytes | None = None

    @property
    def limits(self) -> Policy:
        return self.policy or Policy()

    def end(self, outcome: str, public: str) -> None:
        self.phase, self.public, self.outcome, self.lease = "terminal", public, outcome, ""
        self.interrupted = False

    def not_active(self) -> Reply:
        return [0, "execution_not_active", self.outcome, str(self.epoch), self.phase,
                self.attempt_id]

    def fence_fault(self) -> Reply | None:
        """The error that a call with the last lease's right fence gets; None if it succeeds."""
        if self.phase != "active":
            return self.not_active()
        if self.lease == "revoked":
            return [0, "lease_revoked"]
        return [0, "lease_expired"] if self.lease == "expired" else None


class History:
    """The life of one execution. The seed and the number decide what happens in it."""

    def __init__(self, seed: int, number: int, server: Server) -> None:
        self.random = random.Random(f"{seed}/history/{number}")
        self.server = server
        digits = uuid.UUID(int=self.random.getrandbits(128), version=4)
        self.e = functions.Execution(self.random.randrange(server.partitions), server.lane,
                                     uuid_text=str(digits))
        self.e.worker, self.e.instance = server.worker, f"{server.worker}-i"
        self.e.epoch = "0"
        self.model = Model(self._policy())
        self.waitpoint = ""
        self.waitpoint_token = ""
        self.wanted: list[str] = []  # the names of the signals for which the execution still waits
        self.trace: list[str] = []

    # ---- helpers ----

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def _pick(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def _policy(self) -> Policy | None:
        if self.random.random() < 0.4:
            return None
        return Policy(self._pick(0, 1, 2), self._pick(0, 0, 20, 3_600_000), self._pick(1, 2, 100),
                      self._pick(1, 10))

    def _same(self, what: str, got: Any, wanted: Any) -> None:
        self.trace.append(f"{what} -> {str(got)[:160]}")
        if got != wanted:
            raise Difference(f"{what}: got {got}, the contract says {wanted}")

    def answered(self, what: str, answer: Answer, status: int, body: Any = None) -> None:
        """Checks an answer. body: the parsed JSON that is expected; None if no body is."""
        try:
            got = json.loads(answer.body) if answer.body else None
        except ValueError:
            got = answer.body
        self._same(what, (answer.status, got), (status, body))

    def _refused(self, what: str, answer: Answer, status: int, begins: str, **more: Any) -> None:
        """Checks an error answer: its text begins with `begins`; `more` has its other members."""
        try:
            got = json.loads(answer.body)
            text = got.pop("error")
        except (ValueError, KeyError, AttributeError):
            got, text = answer.body, ""
        self._same(what, (answer.status, text[:len(begins)], got), (status, begins, more))

    def _path(self, rest: str) -> str:
        return f"/v1/executions/{self.e.id}/{rest}"

    def _in_range(self, what: str, got: Any, low: int, high: int) -> None:
        self.trace.append(f"{what} {got}")
        if not low <= int(got) <= high:
            raise Difference(f"{what}: {got} is not in {low}..{high}")

    # ---- the issuer's side ----

    def create(self, may_delay: bool = True) -> None:
        e, model = self.e, self.model
        delayed = may_delay and self.random.random() < 0.1
        body = {"execution_id": e.id, "namespace": self.server.lane, "lane_id": e.lane,
                "execution_kind": "task", "input_payload": [1, 2, 3], "priority": 0,
                "creator_identity": "conformance", "partition_id": int(e.partition), "now": _NOW}
        if model.policy:
            body["policy"] = model.policy.as_json()
        if delayed:
            body["delay_until"] = self.server.now() + 3_600_000
            model.public = "delayed"
        self.server.made.append(e.id)
        self.answered("create", self.server.ask("POST", "/v1/executions", body), 201,
                       {"Created": {"execution_id": e.id, "public_state": model.public}})
        if self.random.random() < 0.1:
            self.answered("create again", self.server.ask("POST", "/v1/executions", body), 200,
                           {"Duplicate": {"execution_id": e.id}})

    def _find(self) -> Answer:
        """Asks for a grant until there is one: one call looks only at some of the partitions."""
        until = time.monotonic() + _FIND_SECONDS
        while True:
            answer = self.server.claim()
            if answer.status != 204 or time.monotonic() > until:
                return answer
            time.sleep(_POLL_SECONDS)

    def grant(self) -> None:
        if self.model.grant or self.model.public != "waiting":
            self.answered("grant", self.server.claim(), 204)
            return
        before = self.server.now()
        answer = self._find()
        after = self.server.now()
        expires = 0
        if answer.status == 200:
            expires = int(json.loads(answer.body).get("expires_at_ms", 0))
        self.answered("grant", answer, 200, {
            "execution_id": self.e.id, "partition_key": self.e.tag,
            "grant_key": self.e.exec("claim_grant"), "expires_at_ms": expires})
        self._in_range("grant expires", expires, before + _GRANT_TTL_MS - _SLACK_MS,
                       after + _GRANT_TTL_MS + _SLACK_MS)
        self.model.grant = True

    def revoke(self) -> None:
        model = self.model
        answer = self.server.ask("POST", self._path("revoke-lease"))
        if model.phase != "active":
            self.answered("revoke", answer, 200,
                          {"AlreadySatisfied": {"reason": "no_active_lease"}})
        elif model.lease == "held":
            self.answered("revoke", answer, 200, {"Revoked": {
                "lease_id": self.e.lease, "lease_epoch": str(model.epoch)}})
            model.lease, model.was_revoked = "revoked", True
        else:
            self.answered("revoke", answer, 200,
                           {"AlreadySatisfied": {"reason": f"already_{model.lease}"}})

    def reclaim(self) -> None:
        model = self.model
        before = self.server.now()
        answer = self.server.ask("POST", self._path("reclaim"), {
            "worker_id": self.server.worker, "worker_instance_id": f"{self.server.worker}-i",
            "lane_id": self.e.lane, "grant_ttl_ms": _GRANT_TTL_MS})
        if model.phase != "active" or model.lease == "held":
            self.answered("reclaim", answer, 200, {
                "status": "not_reclaimable", "execution_id": self.e.id,
                "detail": "execution_not_reclaimable"})
            return
        if model.grant:
            self.answered("reclaim", answer, 409, {
                "error": "state_conflict: GrantAlreadyExists", "kind": "state_conflict",
                "retryable": False})
        else:
            expires = int(json.loads(answer.body or b"{}").get("expires_at_ms", 0))
            self.answered("reclaim", answer, 200, {
                "status": "granted", "execution_id": self.e.id, "partition_key": self.e.tag,
                "grant_key": self.e.exec("claim_grant"), "expires_at_ms": expires,
                "lane_id": self.e.lane})
            self._in_range("grant expires", expires, before + _GRANT_TTL_MS - _SLACK_MS,
                           self.server.now() + _GRANT_TTL_MS + _SLACK_MS)
            model.grant = True
        self._take_over()

    def _take_over(self) -> None:
        """Does the worker's part of a reclaim."""
        model, new = self.model, self._attempt()
        new.attempt = model.attempts
        reply = self.server.call(functions.reclaim(self.e, new, ttl=_LEASE_TTL_MS, cap="1000"))
        # The cap comes from the stored policy, or from the argument if there is no policy.
        cap = model.policy.max_reclaims if model.policy else 1000
        if model.reclaims >= cap:
            self._same("reclaim", reply, [0, "max_retries_exhausted", str(cap)])
            model.end("failed", "failed")
            return
        self._leased("reclaim", reply, new, model.epoch + 1, new.attempt_id, model.attempts,
                     "reclaim")
        model.was_revoked = False
        model.attempts += 1
        model.reclaims += 1
        model.grant = False

    def cancel(self) -> None:
        answer = self.server.ask("POST", self._path("cancel"), {
            "execution_id": self.e.id, "reason": "conformance", "source": "operator_override",
            "now": _NOW})
        if self.model.phase == "terminal":
            self.answered("cancel", answer, 500, {
                "error": f"engine: cancel_execution: parse: transport (valkey): "
                "execution_not_active: lifecycle_phase= terminal_outcome="
                f"{self.model.outcome} lease_epoch= attempt_id=", "retryable": True})
            return
        self.answered("cancel", answer, 200, {"Cancelled": {
            "execution_id": self.e.id, "public_state": "cancelled"}})
        self.model.end("cancelled", "cancelled")

    def replay(self) -> None:
        model = self.model
        answer = self.server.ask("POST", self._path("replay"))
        if model.phase != "terminal":
            self._not_replayed(answer, "execution_not_terminal: cannot replay non-terminal "
                               "execution")
        elif model.replays >= model.limits.max_replays:
            self._not_replayed(answer, "max_replays_exhausted: replay limit reached")
        else:
            self.answered("replay", answer, 200, {"Replayed": {"public_state": "waiting"}})
            model.replays += 1
            model.phase, model.public, model.outcome = "runnable", "waiting", "none"
            model.pending = "replay"

    def _not_replayed(self, answer: Answer, why: str) -> None:
        self.answered("replay", answer, 500, {
            "error": f"engine: replay_execution: FCALL ff_replay_execution: transport (valkey): "
            f"{why}", "retryable": True})

    def signal(self) -> None:
        model = self.model
        name = self._pick("go", "on", "other")
        good = self.random.random() < 0.8
        answer = self.server.ask("POST", self._path("signal"), {
            "execution_id": self.e.id, "waitpoint_id": self.waitpoint or self._uuid(),
            "signal_id": (signal_id := self._uuid()), "signal_name": name,
            "signal_category": "external", "source_type": "worker", "source_identity": "me",
            "target_scope": "waitpoint",
            "waitpoint_token": self.waitpoint_token if good else "k1:" + "0" * 40, "now": _NOW})
        if not self.waitpoint or not good:
            self._refused("signal", answer, 400, "invalid_token")
        elif model.phase != "suspended":
            self._refused("signal", answer, 409, "state_conflict: TargetNotSignalable",
                          kind="state_conflict", retryable=False)
        else:
            effect = "no_op"
            if name in self.wanted:
                self.wanted.remove(name)
                effect = "appended_to_waitpoint" if self.wanted else "resume_condition_satisfied"
            self.answered("signal", answer, 200, {"Accepted": {
                "signal_id": signal_id, "effect": effect}})
            if not self.wanted:
                model.phase, model.public, model.interrupted = "runnable", "waiting", True

    # ---- the worker's side ----

    def _attempt(self) -> functions.Execution:
        """Returns the execution with lease and attempt ids that were never used."""
        new = functions.Execution(lane=self.e.lane)
        new.tag, new.id, new.partition = self.e.tag, self.e.id, self.e.partition
        new.worker, new.instance = self.e.worker, self.e.instance
        new.attempt, new.epoch = self.e.attempt, self.e.epoch
        new.lease, new.attempt_id = self._uuid(), self._uuid()
        return new

    def _leased(self, what: str, reply: Reply, new: functions.Execution, epoch: int,
                attempt_id: str, index: int, kind: str) -> None:
        now = self.server.now()
        expires = reply[4] if len(reply) > 4 else "0"
        self._same(what, reply, [1, "OK", new.lease, str(epoch), expires, attempt_id, str(index),
                                 kind])
        self._in_range("lease expires", expires, now + int(_LEASE_TTL_MS) - 30_000,
                       now + int(_LEASE_TTL_MS))
        new.epoch, new.attempt_id, new.attempt = str(epoch), attempt_id, index
        self.e = new
        model = self.model
        model.epoch, model.attempt_id = epoch, attempt_id
        model.phase, model.public, model.lease = "active", "active", "held"
        model.interrupted = False

    def claim(self) -> None:
        """Claims the execution, whether it has a grant or not."""
        model, new = self.model, self._attempt()
        new.attempt = model.attempts
        if model.grant and self.random.random() < 0.1 and not model.interrupted:
            new.worker = "another"
        reply = self.server.call(functions.claim(new, ttl=_LEASE_TTL_MS))
        if model.phase != "runnable" or model.public == "delayed":
            self._same("claim", reply, [0, "execution_not_leaseable"])
        elif model.interrupted:
            self._same("claim", reply, [0, "use_claim_resumed_execution"])
            self._resume(new)
        elif not model.grant or new.worker == "another":
            self._same("claim", reply, [0, "invalid_claim_grant"])
        else:
            self._leased("claim", reply, new, model.epoch + 1, new.attempt_id, model.attempts,
                         model.pending)
            model.attempts += 1
            model.grant, model.pending = False, "initial"

    def _resume(self, new: functions.Execution) -> None:
        model = self.model
        new.attempt = self.e.attempt
        reply = self.server.call(functions.claim_resumed(new, ttl=_LEASE_TTL_MS))
        if not model.grant:
            self._same("claim resumed", reply, [0, "invalid_claim_grant"])
            return
        self._leased("claim resumed", reply, new, model.epoch + 1, model.attempt_id,
                     self.e.attempt, "resumed")
        model.grant = model.was_revoked = False

    def _fence(self) -> tuple[tuple[str, str, str] | None, Reply | None]:
        """Draws a fence for a call. Returns (fence, fault). A fence of None stands for the right
        fence, a fault of None for no fault. The server reports a missing or partial fence before
        all else, but a stale fence only if the lease is held."""
        e = self.e
        draw = self.random.random()
        if draw < 0.7:
            return None, None
        if draw < 0.8:
            return ("", "", ""), [0, "fence_required"]
        if draw < 0.9:
            return (e.lease, e.epoch, ""), [0, "partial_fence_triple"]
        return (self._uuid(), e.epoch, e.attempt_id), [0, "stale_lease"]

    def _fault(self, wrong: Reply | None) -> Reply | None:
        """The error that a call with the fence of _fence() gets; None if it succeeds."""
        if wrong and wrong[1] != "stale_lease":
            return wrong
        return self.model.fence_fault() or wrong

    def renew(self) -> None:
        fence, wrong = self._fence()
        reply = self.server.call(functions.renew(self.e, ttl=_LEASE_TTL_MS, fence=fence))
        fault = self._fault(wrong)
        if self.model.was_revoked and self.model.lease == "held" and \
                (not fault or fault[1] == "stale_lease"):
            fault = [0, "lease_revoked"]
        if fault:
            self._same("renew", reply, fault)
        else:
            self._same("renew", reply[:2], [1, "OK"])
            self._in_range("lease expires", reply[2],
                           self.server.now() + int(_LEASE_TTL_MS) - 30_000,
                           self.server.now() + int(_LEASE_TTL_MS))

    def expire(self) -> None:
        """Lets the lease run out. A late call of the lease's holder then marks the lease as
        expired. If the lease can't be renewed for a moment, only makes a renewal that may fail."""
        if self.model.lease != "held" or self.model.was_revoked:
            return self.renew()
        self._same("renew for a moment",
                   self.server.call(functions.renew(self.e, ttl="1"))[:2], [1, "OK"])
        time.sleep(0.004)
        self._same("late renew", self.server.call(functions.renew(self.e, ttl="1")),
                   [0, "lease_expired"])
        self.model.lease = "expired"
        return None

    def complete(self) -> None:
        fence, wrong = self._fence()
        result = self._pick("", "done", '{"ok":true}', "ä" * 100, "x" * 5000)
        reply = self.server.call(functions.complete(self.e, result=result, fence=fence))
        fault = self._fault(wrong)
        if fault:
            self._same("complete", reply, fault)
            return
        self._same("complete", reply, [1, "OK", "completed"])
        self.model.end("success", "completed")
        self.model.was_revoked = False
        if result:
            self.model.result = result.encode()

    def fail(self) -> None:
        model = self.model
        fence, wrong = self._fence()
        policy = json.dumps(model.policy.as_json()["retry_policy"]) if model.policy else ""
        reply = self.server.call(functions.fail(
            self.e, reason="boom", category=self._pick("transient", "permanent"), policy=policy,
            fence=fence))
        fault = self._fault(wrong)
        if fault:
            self._same("fail", reply, fault)
        elif model.retries < model.limits.max_retries:
            until = reply[3] if len(reply) > 3 else "0"
            self._same("fail", reply, [1, "OK", "retry_scheduled", until])
            now = self.server.now()
            self._in_range("delay", until, now + model.limits.delay_ms - 30_000,
                           now + model.limits.delay_ms)
            model.retries += 1
            model.phase, model.public, model.lease = "runnable", "delayed", ""
            model.pending, model.attempt_id = "retry", ""
        else:
            self._same("fail", reply, [1, "OK", "terminal_failed"])
            model.end("failed", "failed")

    def promote(self) -> None:
        """Waits until a delayed retry is due, and promotes it, as FlowFabric's scanner does in
        lanes it knows. Does nothing if the delay is longer than 1 s."""
        model = self.model
        if model.public != "delayed" or model.pending != "retry" or \
                model.limits.delay_ms > 1000:
            return
        time.sleep(model.limits.delay_ms / 1000 + 0.002)
        self._same("promote", self.server.call(
            functions.promote(self.e, str(self.server.now())))[:2], [1, "OK"])
        model.public = "waiting"

    def suspend(self) -> None:
        model = self.model
        fault = model.fence_fault()
        names = self._pick(["go"], ["go", "on"])
        waitpoint = self._uuid()
        self.server.waitpoints.append((self.e.id, waitpoint))
        reply = self.server.call(functions.suspend(
            self.e, waitpoint=waitpoint, condition=json.dumps(
                {"required_signal_names": names, "signal_match_mode": "all"})))
        if fault:
            self._same("suspend", reply, fault)
            return
        self._same("suspend", reply[:4], [1, "OK", "susp-1", waitpoint])
        self.waitpoint, self.waitpoint_token, self.wanted = waitpoint, reply[5], names
        model.phase, model.public, model.lease = "suspended", "suspended", ""

    # ---- a life ----

    def _steps(self) -> dict[Callable[[], None], int]:
        model = self.model
        if model.phase == "runnable":
            if model.public == "delayed":
                return {self.promote: 8, self.grant: 1, self.claim: 2, self.cancel: 1,
                        self.renew: 1, self.reclaim: 1}
            return {self.grant: 6, self.claim: 8 if model.grant else 1, self.cancel: 1,
                    self.revoke: 1, self.reclaim: 1, self.replay: 1, self.renew: 1}
        if model.phase == "suspended":
            return {self.signal: 8, self.cancel: 1, self.grant: 1, self.renew: 1, self.claim: 1,
                    self.complete: 1, self.revoke: 1}
        if model.phase == "terminal":
            return {self.replay: 5, self.cancel: 1, self.complete: 1, self.fail: 1, self.renew: 1,
                    self.grant: 1, self.claim: 1, self.signal: 1, self.revoke: 1, self.suspend: 1}
        if model.lease == "held":
            return {self.renew: 2, self.expire: 2, self.revoke: 2, self.complete: 3, self.fail: 3,
                    self.suspend: 3, self.cancel: 1, self.reclaim: 1, self.grant: 1, self.claim: 1,
                    self.replay: 1}
        return {self.reclaim: 8, self.complete: 1, self.fail: 1, self.renew: 1, self.revoke: 1,
                self.cancel: 1, self.suspend: 1, self.claim: 1}

    def look(self) -> None:
        answer = self.server.ask("GET", self._path("state"))
        self.answered("state", answer, 200, self.model.public)

    def _look_at_all(self) -> None:
        result = self.server.ask("GET", self._path("result"))
        if self.model.result is None:
            self.answered("result", result, 404,
                           {"error": f"execution result not found: {self.e.id}"})
        else:
            self._same("result", (result.status, result.body), (200, self.model.result))

    def run(self) -> None:
        self.create()
        self.look()
        for _ in range(STEPS):
            steps = self._steps()
            step = self.random.choices(list(steps), list(steps.values()))[0]
            step()
            self.look()
        self._look_at_all()
        if self.model.phase != "terminal":
            self.cancel()
            self.look()

    def abandon(self) -> None:
        """Cancels the execution after a difference, so that nobody finds it any more."""
        self.server.ask("POST", self._path("cancel"), {
            "execution_id": self.e.id, "reason": "conformance", "now": _NOW})
