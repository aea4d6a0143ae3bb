# SPDX-License-Identifier: Apache-2.0
"""Connects redis-py to a server that already runs, and removes what is stored of executions there.

The password comes from the file that FFGRANT_PASSWORD_FILE names, else from FFGRANT_PASSWORD.
"""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.common import wheels

_BATCH = 200
_REACH_SECONDS = 10  # for a server to answer at all
# The names in keys ff:exec:{tag}:<id>:<name>.
_EXECUTION_KEYS = (
    "core", "payload", "policy", "tags", "claim_grant", "result", "lease:current", "lease:history",
    "attempts", "suspension:current", "suspension:current:satisfied_set",
    "suspension:current:member_map", "waitpoints", "signals", "deps:meta", "deps:unresolved",
    "deps:all_edges")
# The names in keys ff:flow:{tag}:<flow id>:<name>.
_FLOW_KEYS = ("core", "members", "tags", "events", "summary", "pending_cancels")
_INDEXES = ("lease_expiry", "attempt_timeout", "execution_deadline", "suspension_timeout")
_LANE_INDEXES = ("eligible", "active", "delayed", "terminal", "suspended", "blocked:route",
                 "blocked:dependencies", "blocked:budget", "blocked:quota", "blocked:operator")


class NoStore(Exception):
    """The address is malformed, no server answers there as it should, a file for TLS can't be read,
    or no FlowFabric server has set up the store."""


def _password() -> str | None:
    path = os.environ.get("FFGRANT_PASSWORD_FILE")
    if path:
        return Path(path).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    return os.environ.get("FFGRANT_PASSWORD")


def _tls_files() -> dict[str, str | None]:
    """redis-py's options for the files that FFGRANT_TLS_... name. Opens each file first,
    because redis-py would not say which of them can't be read."""
    found: dict[str, str | None] = {}
    for option, name in (("ssl_ca_certs", "FFGRANT_TLS_CA_FILE"),
                         ("ssl_certfile", "FFGRANT_TLS_CERTIFICATE_FILE"),
                         ("ssl_keyfile", "FFGRANT_TLS_KEY_FILE")):
        path = found[option] = os.environ.get(name) or None
        if path:
            try:
                with open(path, "rb"):
                    pass
            except OSError as error:
                raise NoStore(f"{name}: {path}: {error.strerror}") from None
    return found


def connect(address: str) -> Any:
    """Connects to HOST:PORT, valkey://[USER@]HOST[:PORT], valkeys:// (TLS) or unix:///PATH. Raises
    NoStore if the address is malformed, if no server there answers PING within ten seconds, if it
    refuses the client, or if a file for TLS can't be read."""
    redis = wheels.client_module()
    try:
        parts = urllib.parse.urlsplit(address if "://" in address else f"valkey://{address}")
        port = parts.port
    except ValueError as error:  # a port that is no number, or half of an IPv6 address
        raise NoStore(f"--valkey: {address}: {error}") from None
    options: dict[str, Any] = {"username": parts.username, "password": _password()}
    if parts.scheme == "unix":
        options["unix_socket_path"] = parts.path
    else:
        options.update(host=parts.hostname or "127.0.0.1", port=port or 6379)
    if parts.scheme in ("valkeys", "rediss"):
        options.update(ssl=True, ssl_check_hostname=True, **_tls_files())
    # One try finds out whether a server is there: redis-py would make four tries, with pauses, and
    # if the server never answers a TLS handshake, each try would wait.
    first = redis.Redis(**options, socket_timeout=_REACH_SECONDS, retry=None)
    try:
        first.ping()
    except (redis.RedisError, OSError) as error:
        raise NoStore(f"--valkey: {error}") from None
    finally:
        first.close()
    return redis.Redis(**options, socket_timeout=60)


def partitions(client: Any) -> int:
    """The deployment's number of flow partitions, as its server has stored it (contract 1.4)."""
    stored = client.hget("ff:config:partitions", "num_flow_partitions")
    if stored is None:
        raise NoStore("--valkey: no FlowFabric server has written ff:config:partitions there")
    return int(stored)


def _tag(execution: str) -> str:
    """The hash tag of the execution's keys: the partition's canonical tag, however the id spells
    it."""
    return f"{{fp:{int(execution[4:execution.index('}')])}}}"


def forget(client: Any, executions: Iterable[str], lanes: Iterable[str], instances: Iterable[str],
           attempts: int = 1) -> None:
    """Removes what is stored of executions, except their waitpoints: their keys, up to `attempts`
    attempts of each, and their entries in the indexes. Nobody else may use the lanes and the worker
    instances: in the executions' partitions their indexes are removed as a whole."""
    by_tag: dict[str, list[str]] = {}
    for execution in executions:
        by_tag.setdefault(_tag(execution), []).append(execution)
    own = [f"lane:{lane}:{name}" for lane in lanes for name in _LANE_INDEXES]
    own += [f"worker:{instance}:leases" for instance in instances]
    for tag, members in by_tag.items():
        for i in range(0, len(members), _BATCH):
            batch = members[i:i + _BATCH]
            pipeline = client.pipeline(transaction=False)
            # The indexes go first, so that nobody finds an execution that is half removed.
            if own:
                pipeline.delete(*(f"ff:idx:{tag}:{name}" for name in own))
            for name in _INDEXES:
                pipeline.zrem(f"ff:idx:{tag}:{name}", *batch)
            pipeline.srem(f"ff:idx:{tag}:all_executions", *batch)
            for execution in batch:
                pipeline.delete(*_keys(tag, execution, attempts))
            pipeline.execute()


def _keys(tag: str, execution: str, attempts: int) -> list[str]:
    keys = [f"ff:exec:{tag}:{execution}:{name}" for name in _EXECUTION_KEYS]
    for index in range(attempts):
        attempt = f"ff:attempt:{tag}:{execution}:{index}"
        stream = f"ff:stream:{tag}:{execution}:{index}"
        keys += [attempt, attempt + ":usage", attempt + ":policy", stream, stream + ":meta"]
    return keys


def forget_waitpoints(client: Any, waitpoints: Iterable[tuple[str, str]]) -> None:
    """Removes waitpoints, given as (execution, waitpoint), with the signals that came to them and
    the signals' entries in the partition's stream."""
    waitpoints = tuple(waitpoints)
    executions = {execution.encode() for execution, _ in waitpoints}
    for tag in {_tag(execution) for execution, _ in waitpoints}:
        stream = f"ff:part:{tag}:signal_delivery"
        own = [number for number, fields in client.xrange(stream)
               if fields.get(b"execution_id") in executions]
        if own:
            client.xdel(stream, *own)
            if not client.xlen(stream):
                client.delete(stream)
    for execution, waitpoint in waitpoints:
        tag = _tag(execution)
        stem = f"ff:wp:{tag}:{waitpoint}"
        signals = [_text(fields.get(b"signal_id", b""))
                   for _, fields in client.xrange(f"{stem}:signals")]
        client.delete(stem, f"{stem}:signals", f"{stem}:condition",
                      *(f"ff:signal:{tag}:{signal}{rest}" for signal in signals
                        for rest in ("", ":payload")))
        client.zrem(f"ff:idx:{tag}:pending_waitpoint_expiry", waitpoint)


@dataclass(frozen=True)
class Flow:
    """A flow of two executions, where an edge makes the second wait for the first."""
    partition: int
    flow_id: str
    executions: tuple[str, str]
    edge_id: str


def forget_flows(client: Any, flows: Iterable[Flow]) -> None:
    for flow in flows:
        tag = f"{{fp:{flow.partition}}}"
        first, second = flow.executions
        names = (*_FLOW_KEYS, f"member:{first}", f"member:{second}", f"edge:{flow.edge_id}",
                 f"out:{first}", f"in:{second}", f"edgegroup:{second}")
        client.delete(f"ff:exec:{tag}:{second}:dep:{flow.edge_id}",
                      *(f"ff:flow:{tag}:{flow.flow_id}:{name}" for name in names))
        client.srem(f"ff:idx:{tag}:flow_index", flow.flow_id)


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
