# SPDX-License-Identifier: Apache-2.0
"""Calls the function library from Python, for tests and for jobs that check, and reads the state
that the calls leave.

This module writes down the key names and the orders of arguments a second time, from the contract.
Neither is taken from the Lua sources or the C++ client.
"""

import uuid

from jobs.common import build

_FUNCTIONS = build.ROOT / "core" / "ffgrant" / "valkey" / "functions"
LIBRARY = "ffgrant"
# The prefixes of each library's function names: FlowFabric's ff_x is our ffgrant_x.
THEIR_PREFIX, OUR_PREFIX = "ff_", "ffgrant_"


def source():
    """The text of the library, joined from its parts."""
    parts = (_FUNCTIONS / "parts.txt").read_text(encoding="ascii").split()
    return "".join((_FUNCTIONS / part).read_text(encoding="utf-8") for part in parts)


class Execution:
    """One execution: the names of its keys, and the names that its calls take as arguments."""

    def __init__(self, partition=7, lane="main", attempt=0, uuid_text=None):
        self.tag = f"{{fp:{partition}}}"
        self.partition = str(partition)
        self.id = f"{self.tag}:{uuid_text or uuid.uuid4()}"
        self.lane = lane
        self.attempt = attempt  # the index that calls name in their keys
        self.worker, self.instance = "w1", "w1-i1"
        self.lease, self.attempt_id = "lease-1", "attempt-1"
        self.epoch = "1"

    def exec(self, name):
        return f"ff:exec:{self.tag}:{self.id}:{name}"

    def index(self, name):
        return f"ff:idx:{self.tag}:{name}"

    def in_lane(self, name):
        return self.index(f"lane:{self.lane}:{name}")

    def attempt_key(self, index=None):
        return f"ff:attempt:{self.tag}:{self.id}:{self.attempt if index is None else index}"

    def stream(self, index=None):
        return f"ff:stream:{self.tag}:{self.id}:{self.attempt if index is None else index}:meta"

    def leases(self, instance=None):
        return self.index(f"worker:{instance or self.instance}:leases")

    @property
    def secrets(self):
        return f"ff:sec:{self.tag}:waitpoint_hmac"

    def waitpoint(self, name, suffix=""):
        return f"ff:wp:{self.tag}:{name}{suffix}"


# ---- calls: (function, KEYS, ARGV); the function is named as FlowFabric names it -----------------

def create(e, priority="0", policy="{}", payload="p", delay="", dedup="", tags="{}", deadline="",
           idempotency=None, scheduling=None):
    return ("ff_create_execution",
            [e.exec("core"), e.exec("payload"), e.exec("policy"), e.exec("tags"),
             e.in_lane(scheduling or ("delayed" if delay else "eligible")),
             f"ff:idem:{e.tag}:default:{idempotency}" if idempotency else f"ff:noop:{e.tag}",
             e.index("execution_deadline"), e.index("all_executions")],
            [e.id, "default", e.lane, "task", priority, "me", policy, payload, delay, dedup, tags,
             deadline, e.partition])


def issue(e, ttl="5000", capabilities="", capability_hash="", route="", admission=""):
    return ("ff_issue_claim_grant", [e.exec("core"), e.exec("claim_grant"), e.in_lane("eligible")],
            [e.id, e.worker, e.instance, e.lane, capability_hash, ttl, route, admission,
             capabilities])


def issue_reclaim(e, ttl="5000", capabilities=""):
    return ("ff_issue_reclaim_grant",
            [e.exec("core"), e.exec("claim_grant"), e.index("lease_expiry")],
            [e.id, e.worker, e.instance, e.lane, "", ttl, "", "", capabilities])


def claim(e, ttl="30000", renew="20000", policy="", timeout="", deadline=""):
    attempt = e.attempt_key()
    return ("ff_claim_execution",
            [e.exec("core"), e.exec("claim_grant"), e.in_lane("eligible"), e.index("lease_expiry"),
             e.leases(), attempt, attempt + ":usage", attempt + ":policy", e.exec("attempts"),
             e.exec("lease:current"), e.exec("lease:history"), e.in_lane("active"),
             e.index("attempt_timeout"), e.index("execution_deadline")],
            [e.id, e.worker, e.instance, e.lane, "", e.lease, ttl, renew, e.attempt_id, policy,
             timeout, deadline])


def claim_resumed(e, ttl="30000", remaining=""):
    return ("ff_claim_resumed_execution",
            [e.exec("core"), e.exec("claim_grant"), e.in_lane("eligible"), e.index("lease_expiry"),
             e.leases(), e.attempt_key(), e.exec("lease:current"), e.exec("lease:history"),
             e.in_lane("active"), e.index("attempt_timeout"), e.index("execution_deadline")],
            [e.id, e.worker, e.instance, e.lane, "", e.lease, ttl, remaining])


def issue_and_claim(e, ttl="30000", policy="", timeout="", deadline=""):
    return ("ff_issue_grant_and_claim",
            [e.exec("core"), e.exec("claim_grant"), e.in_lane("eligible"), e.index("lease_expiry"),
             e.leases(), e.exec("attempts"), e.exec("lease:current"), e.exec("lease:history"),
             e.in_lane("active"), e.index("attempt_timeout"), e.index("execution_deadline")],
            [e.id, e.worker, e.instance, e.lane, "", e.lease, ttl, e.attempt_id, policy, timeout,
             deadline])


def complete(e, result="done", source_="", fence=None):
    lease, epoch, attempt_id = fence or (e.lease, e.epoch, e.attempt_id)
    return ("ff_complete_execution",
            [e.exec("core"), e.attempt_key(), e.index("lease_expiry"), e.leases(),
             e.in_lane("terminal"), e.exec("lease:current"), e.exec("lease:history"),
             e.in_lane("active"), e.stream(), e.exec("result"), e.index("attempt_timeout"),
             e.index("execution_deadline")],
            [e.id, lease, epoch, attempt_id, result, source_])


def fail(e, reason="boom", category="transient", policy="", source_="", fence=None):
    lease, epoch, attempt_id = fence or (e.lease, e.epoch, e.attempt_id)
    return ("ff_fail_execution",
            [e.exec("core"), e.attempt_key(), e.index("lease_expiry"), e.leases(),
             e.in_lane("terminal"), e.in_lane("delayed"), e.exec("lease:current"),
             e.exec("lease:history"), e.in_lane("active"), e.stream(), e.index("attempt_timeout"),
             e.index("execution_deadline")],
            [e.id, lease, epoch, attempt_id, reason, category, policy, source_])


def renew(e, ttl="30000", grace="5000", fence=None, index=None):
    lease, epoch, attempt_id = fence or (e.lease, e.epoch, e.attempt_id)
    return ("ff_renew_lease",
            [e.exec("core"), e.exec("lease:current"), e.exec("lease:history"),
             e.index("lease_expiry")],
            [e.id, str(e.attempt) if index is None else index, attempt_id, lease, epoch, ttl,
             grace])


def mark_expired(e):
    return ("ff_mark_lease_expired_if_due",
            [e.exec("core"), e.exec("lease:current"), e.index("lease_expiry"),
             e.exec("lease:history")], [e.id])


def revoke(e, expected="", reason="operator"):
    return ("ff_revoke_lease",
            [e.exec("core"), e.exec("lease:current"), e.exec("lease:history"),
             e.index("lease_expiry"), e.leases()], [e.id, expected, reason])


def reclaim(e, new, ttl="30000", cap=None):
    """new: the Execution as the worker that takes over names it: with the new attempt, worker and
    lease."""
    attempt = new.attempt_key()
    return ("ff_reclaim_execution",
            [e.exec("core"), e.exec("claim_grant"), e.attempt_key(), e.stream(), attempt,
             attempt + ":usage", e.exec("attempts"), e.exec("lease:current"),
             e.exec("lease:history"), e.index("lease_expiry"), new.leases(), e.in_lane("active"),
             e.index("attempt_timeout"), e.index("execution_deadline")],
            [e.id, new.worker, new.instance, new.lane, new.lease, ttl, new.attempt_id, ""]
            + ([] if cap is None else [cap]))


def suspend(e, fence=None, waitpoint="wp-1", condition='{"required_signal_names":["go"]}',
            timeout_at="", reason="waiting_for_signal", index=None, pending="", idempotency="",
            extra="0"):
    lease, epoch, attempt_id = fence or (e.lease, e.epoch, e.attempt_id)
    return ("ff_suspend_execution",
            [e.exec("core"), e.attempt_key(), e.exec("lease:current"), e.exec("lease:history"),
             e.index("lease_expiry"), e.leases(), e.exec("suspension:current"),
             e.waitpoint(waitpoint), e.waitpoint(waitpoint, ":signals"),
             e.index("suspension_timeout"), e.index("pending_waitpoint_expiry"),
             e.in_lane("active"), e.in_lane("suspended"), e.exec("waitpoints"),
             e.waitpoint(waitpoint, ":condition"), e.index("attempt_timeout"), e.secrets,
             f"ff:noop:{e.tag}"],
            [e.id, str(e.attempt) if index is None else index, attempt_id, lease, epoch, "susp-1",
             waitpoint, "key-1", reason, "worker", timeout_at, condition, "{}", "", pending,
             "fail", "1000", idempotency, "0", extra])


def resume(e, delay="0", waitpoint="wp-1"):
    return ("ff_resume_execution",
            [e.exec("core"), e.exec("suspension:current"), e.waitpoint(waitpoint),
             e.waitpoint(waitpoint, ":signals"), e.index("suspension_timeout"),
             e.in_lane("eligible"), e.in_lane("delayed"), e.in_lane("suspended")],
            [e.id, "operator", delay])


def promote(e, now):
    return ("ff_promote_delayed",
            [e.exec("core"), e.in_lane("delayed"), e.in_lane("eligible")], [e.id, now])


def rotate(e, kid="k1", secret="00ff", grace="1000"):
    return ("ff_rotate_waitpoint_hmac_secret", [e.secrets], [kid, secret, grace])


# ---- running them --------------------------------------------------------------------------------

def run(client, call, prefix=OUR_PREFIX):
    """Calls our function, or FlowFabric's with prefix=THEIR_PREFIX. Returns the reply; if it is a
    list, with its texts decoded. An error reply raises the client's ResponseError.
    """
    name, keys, arguments = call
    name = prefix + name.removeprefix(THEIR_PREFIX)
    reply = client.fcall(name, len(keys), *keys, *arguments)
    return [part.decode() if isinstance(part, bytes) else part for part in reply] \
        if isinstance(reply, list) else reply


def _text(value):
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value


def state(client):
    """Everything that is stored: {key: (type, value, time of expiry in ms or None)}.

    Streams are lists of their entries' fields, in order, without ids.
    """
    stored = {}
    for key in sorted(client.scan_iter(count=1000)):
        kind = _text(client.type(key))
        value: object
        if kind == "hash":
            value = {_text(k): _text(v) for k, v in client.hgetall(key).items()}
        elif kind == "zset":
            value = {_text(member): score
                     for member, score in client.zrange(key, 0, -1, withscores=True)}
        elif kind == "set":
            value = {_text(member) for member in client.smembers(key)}
        elif kind == "stream":
            value = [[_text(k) + "=" + _text(v) for k, v in fields.items()]
                     for _, fields in client.xrange(key)]
        else:
            value = _text(client.get(key))
        expires_at = client.execute_command("PEXPIRETIME", key)
        stored[_text(key)] = (kind, value, expires_at if expires_at >= 0 else None)
    return stored
