# SPDX-License-Identifier: Apache-2.0
"""Predicts what FlowFabric's server answers to a request. The rules were written down from the
contract (4 to 6) and from core/contract/live-observed.md. Nothing here comes from ffgrant's client
or parsers.

World holds the states of the executions after the earlier requests; predict() says the status, the
body and the headers.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobs.live import names, serde
from jobs.live.serde import Member, maybe

LARGE, MEDIUM, CONTROL = 1 << 20, 256 << 10, 64 << 10


class Unpredictable(Exception):
    """The contract does not say what the answer is, so the request is not sent."""


@dataclass(frozen=True)
class Request:
    method: str
    target: str  # percent-encoded
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    is_chunked: bool = False


@dataclass(frozen=True)
class Expected:
    status: int
    body: str | None = ""  # None: any body will do
    headers: dict[str, str] = field(default_factory=dict)


# ---- bodies --------------------------------------------------------------------------------------

_EXECUTION_ID = serde.checked(serde.text, names.execution_id_fault)
_LANE = serde.checked(serde.text, names.lane_fault)
_UUID = serde.checked(serde.text, lambda text: "" if names.is_uuid(text) else "no UUID")


def _policy(reader: serde.Reader) -> None:
    if reader.peek() in (ord("["), ord("{")):
        raise Unpredictable
    reader.unexpected()


def _source(reader: serde.Reader) -> str:
    """Reads any text. The server reads a value of another type to its end before it judges the
    value, so no answer is predicted for a list or an object."""
    if reader.peek() in (ord("["), ord("{")):
        raise Unpredictable
    return str(serde.text(reader))


CREATE = (
    Member("execution_id", _EXECUTION_ID), Member("namespace", serde.text),
    Member("lane_id", _LANE), Member("execution_kind", serde.text),
    Member("input_payload", serde.array(serde.U8)), maybe("payload_encoding", serde.text),
    Member("priority", serde.I32), Member("creator_identity", serde.text),
    maybe("idempotency_key", serde.text), Member("tags", serde.texts_by_name, {}),
    maybe("policy", _policy), maybe("delay_until", serde.I64),
    maybe("execution_deadline_at", serde.I64), Member("partition_id", serde.U16),
    Member("now", serde.I64))
CLAIM = (
    Member("lane_id", serde.text), Member("worker_instance_id", serde.text),
    Member("capabilities", serde.array(serde.text), []), Member("grant_ttl_ms", serde.U64))
RECLAIM = (
    Member("worker_id", serde.text), Member("worker_instance_id", serde.text),
    Member("lane_id", serde.text), maybe("capability_hash", serde.text),
    Member("grant_ttl_ms", serde.U64), maybe("route_snapshot_json", serde.text),
    maybe("admission_summary", serde.text),
    Member("worker_capabilities", serde.array(serde.text), []))
CANCEL = (
    Member("execution_id", _EXECUTION_ID), Member("reason", serde.text),
    Member("source", _source, "operator_override"), maybe("lease_id", _UUID),
    maybe("lease_epoch", serde.U64), maybe("attempt_id", _UUID), Member("now", serde.I64))
SIGNAL = (
    Member("execution_id", _EXECUTION_ID), Member("waitpoint_id", _UUID),
    Member("signal_id", _UUID), Member("signal_name", serde.text),
    Member("signal_category", serde.text), Member("source_type", serde.text),
    Member("source_identity", serde.text), maybe("payload", serde.array(serde.U8)),
    maybe("payload_encoding", serde.text), maybe("correlation_id", serde.text),
    maybe("idempotency_key", serde.text), Member("target_scope", serde.text),
    maybe("created_at", serde.I64), maybe("dedup_ttl_ms", serde.U64),
    maybe("resume_delay_ms", serde.U64), maybe("max_signals_per_execution", serde.U64),
    maybe("signal_maxlen", serde.U64), Member("waitpoint_token", serde.text),
    Member("now", serde.I64))


# ---- routes --------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Route:
    name: str
    methods: tuple[str, ...]
    pattern: str  # matches the path; its one group, if any, matches the name in the path
    template: str  # the route as the server names it
    argument: str = ""  # the server's word for the name in the path
    struct: serde.Struct | None = None
    limit: int = 0  # the most bytes of the body; 0: no limit


_EXECUTION = "/v1/executions/"
ROUTES = (
    Route("create", ("GET", "HEAD", "POST"), "/v1/executions", "/v1/executions", "", CREATE, LARGE),
    Route("claim", ("POST",), "/v1/workers/([^/]*)/claim", "/v1/workers/{worker_id}/claim",
          "worker_id", CLAIM, CONTROL),
    Route("reclaim", ("POST",), _EXECUTION + "([^/]*)/reclaim", _EXECUTION + "{id}/reclaim", "id",
          RECLAIM, CONTROL),
    Route("cancel", ("POST",), _EXECUTION + "([^/]*)/cancel", _EXECUTION + "{id}/cancel", "id",
          CANCEL, CONTROL),
    Route("signal", ("POST",), _EXECUTION + "([^/]*)/signal", _EXECUTION + "{id}/signal", "id",
          SIGNAL, MEDIUM),
    Route("revoke", ("POST",), _EXECUTION + "([^/]*)/revoke-lease",
          _EXECUTION + "{id}/revoke-lease", "id", None, CONTROL),
    Route("state", ("GET", "HEAD"), _EXECUTION + "([^/]*)/state", _EXECUTION + "{id}/state", "id"),
    Route("result", ("GET", "HEAD"), _EXECUTION + "([^/]*)/result", _EXECUTION + "{id}/result",
          "id"),
    Route("health", ("GET", "HEAD"), "/healthz", "/healthz"),
)


@dataclass
class World:
    """What the server has been told: the executions that were created, with their public states."""
    states: dict[str, str] = field(default_factory=dict)
    token: str | None = None  # the token that requests must carry; None: no token
    lane: str = ""  # our lanes' names begin with this; nobody asks for another lane


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _error(status: int, text: str, **more: Any) -> Expected:
    return Expected(status, _json({"error": text, **more}))


def _header(request: Request, name: str) -> str | None:
    return next((text for key, text in request.headers if key.lower() == name), None)


def _is_json(content_type: str | None) -> bool:
    """Accepts application/json, also with a suffix, and application/x+json, with any parameters."""
    found: re.Match[str] | None = re.match(
        r"application/([!#$&^_.+0-9a-z-]+)\s*(?:;.*)?$", content_type or "", re.IGNORECASE)
    kind = found[1].lower() if found else ""
    return kind.partition("+")[0] == "json" or kind.endswith("+json")


def predict(world: World, request: Request) -> Expected:
    """Returns the answer, and brings `world` to its state after the request."""
    answer = _answer(world, request)
    return Expected(answer.status, "", answer.headers) if request.method == "HEAD" else answer


def _answer(world: World, request: Request) -> Expected:
    path = request.target.partition("?")[0]
    if world.token is not None and path != "/healthz" and \
            _header(request, "authorization") != f"Bearer {world.token}":
        return _error(401, "missing or invalid Authorization header")
    for route in ROUTES:
        found = re.fullmatch(route.pattern, path)
        if found:
            return _of_route(world, request, route, found[1] if route.argument else "")
    return Expected(404)


def _of_route(world: World, request: Request, route: Route, segment: str) -> Expected:
    if route.limit and not request.is_chunked and len(request.body) > route.limit:
        return _too_large(route)
    if request.method not in route.methods:
        return Expected(405, "", {"allow": ",".join(
            sorted(route.methods, key=("GET", "HEAD", "POST").index))})
    name = urllib.parse.unquote_to_bytes(segment)
    try:
        argument = name.decode()
    except UnicodeDecodeError:
        return Expected(400, f"Invalid URL: Invalid UTF-8 in `{route.argument}`")
    members: dict[str, Any] = {}
    if route.struct and request.method == "POST":
        if not _is_json(_header(request, "content-type")):
            return _error(415, "invalid JSON: Unsupported Media Type")
        if len(request.body) > route.limit:
            return _too_large(route)
        try:
            members = serde.read(route.struct, request.body)
        except serde.SyntaxFault:
            return _error(400, "invalid JSON: Bad Request")
        except serde.DataFault:
            return _error(422, "invalid JSON: Unprocessable Entity")
    return _ANSWERS[route.name](world, argument, members)


def _too_large(route: Route) -> Expected:
    return Expected(413, _json({"error": "payload_too_large", "limit_bytes": route.limit,
                                "route": route.template}))


def _common_fault(worker: str, members: dict[str, Any]) -> str:
    """The first fault of the worker, the instance, the lane and the ttl, in this order."""
    for name, text in (("worker_id", worker),
                       ("worker_instance_id", members["worker_instance_id"])):
        if names.worker_fault(text):
            return f"{name}: {names.worker_fault(text)}"
    if names.lane_fault(members["lane_id"]):
        return f"lane_id: {names.lane_fault(members['lane_id'])}"
    return "" if 1 <= members["grant_ttl_ms"] <= 60000 else "grant_ttl_ms must be in 1..=60000"


def _claim(world: World, worker: str, members: dict[str, Any]) -> Expected:
    """Predicts a claim in a lane of our own, which nobody else uses and which holds nothing."""
    fault = _common_fault(worker, members)
    if fault:
        return _error(400, fault)
    if not world.lane or not members["lane_id"].startswith(world.lane):
        raise Unpredictable
    fault = names.capabilities_fault(members["capabilities"])
    return _error(400, f"invalid_input: {fault}") if fault else Expected(204)


def _id_fault(execution_id: str) -> Expected | None:
    fault = names.execution_id_fault(execution_id)
    return _error(400, f"invalid execution_id: {fault}") if fault else None


def _reclaim(world: World, execution_id: str, members: dict[str, Any]) -> Expected:
    wrong = _id_fault(execution_id)
    if wrong:
        return wrong
    fault = _common_fault(members["worker_id"], members)
    if fault:
        return _error(400, fault)
    if execution_id not in world.states:
        return _error(404, "not found: execution")
    return Expected(200, _json({"status": "not_reclaimable", "execution_id": execution_id,
                                "detail": "execution_not_reclaimable"}))


def _create(world: World, _: str, members: dict[str, Any]) -> Expected:
    execution_id = members["execution_id"]
    if execution_id in world.states:
        return Expected(200, _json({"Duplicate": {"execution_id": execution_id}}))
    if members["idempotency_key"] or not members["lane_id"].startswith(world.lane):
        raise Unpredictable
    delayed = members["delay_until"] is not None and members["delay_until"] > 1.7e12
    if members["delay_until"] is not None and not delayed and members["delay_until"] > 0:
        raise Unpredictable
    world.states[execution_id] = "delayed" if delayed else "waiting"
    return Expected(201, _json({"Created": {"execution_id": execution_id,
                                            "public_state": world.states[execution_id]}}))


def _mismatch(argument: str, members: dict[str, Any]) -> Expected | None:
    if argument != members["execution_id"]:
        return _error(400, "path execution_id does not match body execution_id")
    return None


def _cancel(world: World, execution_id: str, members: dict[str, Any]) -> Expected:
    wrong = _id_fault(execution_id) or _mismatch(execution_id, members)
    if wrong:
        return wrong
    fault = "engine: cancel_execution: parse: transport (valkey): "
    if execution_id not in world.states:
        return _error(500, f"{fault}execution_not_found: execution does not exist", retryable=True)
    if world.states[execution_id] == "cancelled":
        return _error(500, f"{fault}execution_not_active: lifecycle_phase= "
                      "terminal_outcome=cancelled lease_epoch= attempt_id=", retryable=True)
    world.states[execution_id] = "cancelled"
    return Expected(200, _json({"Cancelled": {"execution_id": execution_id,
                                              "public_state": "cancelled"}}))


def _signal(world: World, execution_id: str, members: dict[str, Any]) -> Expected:
    """Predicts a signal. No execution here has a waitpoint."""
    wrong = _id_fault(execution_id) or _mismatch(execution_id, members)
    if wrong:
        return wrong
    if execution_id not in world.states:
        return _error(404, "not found: execution")
    return _error(400, "invalid_token")


def _revoke(_: World, execution_id: str, __: dict[str, Any]) -> Expected:
    """Predicts a revocation. No execution here has a lease, whether it exists or not."""
    return _id_fault(execution_id) or Expected(200, _json(
        {"AlreadySatisfied": {"reason": "no_active_lease"}}))


def _state(world: World, execution_id: str, _: dict[str, Any]) -> Expected:
    wrong = _id_fault(execution_id)
    if wrong:
        return wrong
    if execution_id not in world.states:
        return _error(404, f"execution not found: {execution_id}")
    return Expected(200, _json(world.states[execution_id]))


def _result(_: World, execution_id: str, __: dict[str, Any]) -> Expected:
    return _id_fault(execution_id) or _error(404, f"execution result not found: {execution_id}")


def _health(*_: Any) -> Expected:
    return Expected(200, '{"status":"ok"}')


_ANSWERS: dict[str, Callable[[World, str, dict[str, Any]], Expected]] = {
    "create": _create, "claim": _claim, "reclaim": _reclaim, "cancel": _cancel,
    "signal": _signal, "revoke": _revoke, "state": _state, "result": _result, "health": _health}
