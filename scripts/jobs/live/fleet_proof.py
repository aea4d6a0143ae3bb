# SPDX-License-Identifier: Apache-2.0
"""Judges whether an execution was completed exactly once, from what a deployment has kept of it and
from what the workers reported.

core/contract/stored-state-observed.md (1, 2, 4) says what is expected of the stored records.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from jobs.live import exchange
from jobs.live.routes import Request

_BATCH = 200
_CORE = ("public_state", "terminal_outcome", "total_attempt_count", "lease_reclaim_count",
         "current_lease_epoch")
_ATTEMPT = ("attempt_state", "worker_instance_id", "lease_id", "lease_epoch")

Fields = dict[str, str]


@dataclass
class Record:
    """What a deployment has kept of an execution."""
    core: Fields
    attempts: list[Fields]
    history: list[Fields]  # the events of its leases, the oldest first
    state: str = ""  # the public state, as the server says it over HTTP
    result: bytes | None = None  # the result, as the server says it over HTTP

    @property
    def completed_by(self) -> str:
        """The worker instance whose attempt is the last one that succeeded; "" if there is none."""
        found = [one["worker_instance_id"] for one in self.attempts
                 if one["attempt_state"] == "ended_success"]
        return found[-1] if found else ""


@dataclass
class Reports:
    """What the workers said, and what was done to them."""
    completed: dict[str, list[str]] = field(default_factory=dict)  # execution -> worker instances
    disturbed: set[str] = field(default_factory=set)  # the instances that were killed or stopped

    def add(self, execution: str, instance: str) -> None:
        self.completed.setdefault(execution, []).append(instance)


# ---- reading -------------------------------------------------------------------------------------

def _fields(names: Iterable[str], values: Iterable[bytes | None]) -> Fields:
    return {name: (value or b"").decode(errors="replace") for name, value in zip(names, values)}


def read_stored(client: Any, executions: list[str]) -> dict[str, Record]:
    """Reads from Valkey what is stored of the executions."""
    found = {}
    for begin in range(0, len(executions), _BATCH):
        batch = executions[begin:begin + _BATCH]
        stems = {execution: f"{execution[:execution.index('}') + 1]}:{execution}"
                 for execution in batch}
        pipeline = client.pipeline(transaction=False)
        for execution in batch:
            pipeline.hmget(f"ff:exec:{stems[execution]}:core", _CORE)
            pipeline.xrange(f"ff:exec:{stems[execution]}:lease:history")
        replies = iter(pipeline.execute())
        for execution in batch:
            core = _fields(_CORE, next(replies))
            events = [_fields((name.decode() for name in event), event.values())
                      for _, event in next(replies)]
            found[execution] = Record(core, [], events)
        pipeline = client.pipeline(transaction=False)
        counts = {execution: int(found[execution].core["total_attempt_count"] or 0)
                  for execution in batch}
        for execution, count in counts.items():
            for index in range(count):
                pipeline.hmget(f"ff:attempt:{stems[execution]}:{index}", _ATTEMPT)
        replies = iter(pipeline.execute())
        for execution, count in counts.items():
            found[execution].attempts = [_fields(_ATTEMPT, next(replies)) for _ in range(count)]
    return found


def read_public(connection: exchange.Connection, headers: tuple[tuple[str, str], ...],
                execution: str, record: Record) -> None:
    """Asks FlowFabric's server for the state and the result of an execution, and puts them into the
    record."""
    path = f"/v1/executions/{urllib.parse.quote(execution, safe='')}"
    state = connection.ask(Request("GET", f"{path}/state", headers))
    result = connection.ask(Request("GET", f"{path}/result", headers))
    record.state = str(json.loads(state.body)) if state.status == 200 else f"HTTP {state.status}"
    record.result = result.body if result.status == 200 else None


# ---- judging -------------------------------------------------------------------------------------

def faults(record: Record, result: bytes, reporters: list[str],
           disturbed: Collection[str]) -> list[str]:
    """Says in words what contradicts that the execution was completed exactly once.

    result: the bytes that its worker must have returned. reporters: the worker instances that said
    that they have completed the execution. disturbed: the instances that may have completed
    executions without saying so, since they were killed or stopped."""
    found = [*_ending_faults(record, result), *_attempt_faults(record), *_lease_faults(record)]
    if len(reporters) > 1:
        found.append(f"reported as completed by {', '.join(reporters)}")
    owner = record.completed_by
    if any(reporter != owner for reporter in reporters):
        found.append(f"completed by {owner or 'nobody'}, but reported by {', '.join(reporters)}")
    if owner and not reporters and owner not in disturbed:
        found.append(f"completed by {owner}, which nobody disturbed and which did not report it")
    return found


def _ending_faults(record: Record, result: bytes) -> list[str]:
    found = [f"{what} is {got!r}, not {wanted!r}" for what, got, wanted in (
        ("the state over HTTP", record.state, "completed"),
        ("the stored state", record.core["public_state"], "completed"),
        ("the outcome", record.core["terminal_outcome"], "success")) if got != wanted]
    if record.result != result:
        found.append(f"the result is {record.result!r}, not {result!r}")
    return found


def _attempt_faults(record: Record) -> list[str]:
    states = [one["attempt_state"] for one in record.attempts]
    expected = ["interrupted_reclaimed"] * (len(states) - 1) + ["ended_success"]
    if states == expected:
        return []
    return [f"{states.count('ended_success')} attempts ended with success; the states of all "
            f"attempts: {', '.join(states) or 'none'}"]


def _lease_faults(record: Record) -> list[str]:
    """Follows the history: the first lease is acquired, each further one is reclaimed after an
    expiry, and the last one is released by a completion."""
    events = [one.get("event", "") for one in record.history]
    leases = len(record.attempts)
    expected = ["acquired"] + ["expired", "reclaimed"] * (leases - 1) + ["released"]
    if events != expected:
        return [f"{leases} attempts, but the history of the leases is {', '.join(events)}"]
    found = []
    lease, epoch = record.history[0]["lease_id"], record.history[0]["lease_epoch"]
    epochs = [epoch]
    for event in record.history[1:-1]:
        if event["event"] == "expired" and event["lease_id"] != lease:
            found.append(f"the lease {event['lease_id']} expired while {lease} was the current one")
        if event["event"] == "reclaimed":
            lease, epoch = event["new_lease_id"], event["new_lease_epoch"]
            epochs.append(epoch)
    last = record.history[-1]
    if (last["lease_id"], last["lease_epoch"], last["reason"]) != (lease, epoch, "completed"):
        found.append(f"the lease {last['lease_id']} of epoch {last['lease_epoch']} was released "
                     f"({last['reason']}) while {lease} of epoch {epoch} was the current one")
    if epochs != [str(1 + number) for number in range(leases)]:
        found.append(f"the epochs are {', '.join(epochs)}")
    if [one["lease_epoch"] for one in record.attempts] != epochs:
        found.append("the attempts have other epochs than the leases")
    if record.core["lease_reclaim_count"] != str(leases - 1):
        found.append(f"{leases} attempts, but {record.core['lease_reclaim_count']} reclaims")
    return found
