# SPDX-License-Identifier: Apache-2.0
"""Checks that what concurrent clients saw of the claim path contradicts neither itself nor the
stored state.

The check knows only the contract (core/contract/wire-contract.md, section 7) and shares no code
with the client or a ledger. A history is a list of Calls, by any number of threads and processes on
one machine. The stored state maps execution ids to Stored; it was read when no call was under way
any more. What must hold:
  epochs    no epoch of an execution is given out twice, and epochs grow in the order of the calls
  leases    no lease begins while another of the same execution is surely alive
  grants    each lease has a grant of its own for its worker: a grant is consumed at most once
  fences    a fence lets a call pass only under the last lease, and never after the end
  unknown   the store agrees with what a client found out about a call without an answer
  stored    acknowledged calls are stored; calls that were said not to have happened are not
"""

import bisect
import json
from collections import defaultdict
from dataclasses import dataclass, field, replace

OK, UNKNOWN, UNAVAILABLE = "ok", "unknown", "unavailable"
ISSUES = ("issue", "issue_reclaim")
CLAIMS = ("claim", "reclaim")
FENCED = ("renew", "complete")


@dataclass(slots=True)
class Call:
    """One call of one client. `called` and `returned` are ns of one monotonic clock; `called` <
    `returned`."""
    op: str  # create, issue, claim, renew, revoke, issue_reclaim, reclaim, mark_expired, complete
    execution: str
    worker: str
    called: int
    returned: int
    outcome: str  # ok, unknown, unavailable, or the code of a rejection
    lease: str = ""  # id of the lease that was taken or tried for, or that the fence names
    epoch: int = 0
    index: int = -1
    expires: int = 0  # ms of the store's clock
    ttl: int = 0  # ms
    # What the client found out about an unknown claim: happened, not_happened, "" if nothing.
    resolved: str = ""
    # Whether more than the answer confirmed the call, such as a replica.
    confirmed: bool = False

    @property
    def took_effect(self):
        """Whether the client knows that the call happened."""
        return self.outcome == OK or (self.outcome == UNKNOWN and self.resolved == "happened")

    @property
    def acquired(self):
        return self.expires - self.ttl


@dataclass(slots=True)
class Stored:
    """What is stored of an execution in the end."""
    phase: str  # lifecycle_phase
    public_state: str
    epoch: int
    attempts: int  # total_attempt_count
    # lease id -> epoch, for each lease that was acquired or reclaimed according to lease:history
    leases: dict = field(default_factory=dict)
    completed_by: str = ""  # the lease that completed the execution, according to lease:history


@dataclass
class Verdict:
    violations: list = field(default_factory=list)  # texts
    claims: int = 0      # claims that surely happened and that no failover took back
    unknown: int = 0     # calls without an answer
    resolved: int = 0    # unknown claims whose fate the client found out
    confirmed: int = 0   # calls that a replica confirmed, where a loss is allowed
    lost: int = 0        # acknowledged calls that are not stored, where a loss is allowed
    lost_confirmed: int = 0  # lost calls that a replica had confirmed

    def add(self, kind, execution, text):
        self.violations.append(f"{kind}: {execution}: {text}")


def read_calls(path):
    """The calls in a file of JSON lines, as core/testing/faults writes them."""
    calls = []
    with open(path, encoding="ascii") as lines:
        for number, line in enumerate(lines, 1):
            try:
                calls.append(Call(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path}:{number}: {error}") from error
    return calls


def check(calls, stored, may_lose=False):
    """Returns the Verdict. may_lose: a failover took place, so acknowledged calls may be lost."""
    verdict = Verdict()
    of_execution = defaultdict(list)
    for call in calls:
        of_execution[call.execution].append(call)
        verdict.unknown += call.outcome == UNKNOWN
        verdict.resolved += call.outcome == UNKNOWN and call.resolved != ""
    for execution, own in of_execution.items():
        own.sort(key=lambda call: call.called)
        _check_execution(verdict, execution, own, stored.get(execution), may_lose)
    return verdict


def _check_execution(verdict, execution, calls, stored, may_lose):
    lost = ()
    if may_lose:
        calls, lost = _survivors(verdict, calls, stored)
    else:
        _check_stored(verdict, execution, calls, stored)
    _check_not_happened(verdict, execution, calls, stored)
    leases = sorted((_with_epoch(call, stored) for call in calls
                     if call.op in CLAIMS and call.took_effect), key=lambda call: call.epoch)
    verdict.claims += len(leases)
    _check_epochs(verdict, execution, leases)
    # Grants, renewals and revocations leave no mark that tells whether they survived. Only without
    # losses is it certain how long a lease held.
    _check_alive(verdict, execution, calls, leases, renewals=not may_lose)
    _check_grants(verdict, execution, calls, leases)
    if not may_lose:
        _check_one_grant(verdict, execution, calls)
    _check_fences(verdict, execution, calls, leases, {call.lease for call in lost})


def _with_epoch(call, stored):
    """Returns the claim. A claim whose fate was found out when its lease could no longer be seen
    gets the stored epoch."""
    if call.outcome == UNKNOWN and not call.epoch and stored is not None:
        return replace(call, epoch=stored.leases.get(call.lease, 0))
    return call


# ---- what is stored ----------------------------------------------------------------------------

def _is_stored(call, stored):
    """Whether an acknowledged call has left its mark; None if such a call leaves no lasting
    mark."""
    if stored is None:
        return None if call.op in ("renew", "mark_expired", "revoke", *ISSUES) else False
    if call.op in CLAIMS:
        # The epoch is not known if the claim's fate was found out late.
        return call.lease in stored.leases and call.epoch in (
            stored.leases[call.lease], 0 if call.outcome == UNKNOWN else None)
    if call.op == "complete":
        return stored.public_state == "completed" and stored.completed_by == call.lease
    return True if call.op == "create" else None


def _check_stored(verdict, execution, calls, stored):
    for call in calls:
        if call.took_effect and _is_stored(call, stored) is False:
            verdict.add("stored", execution, f"{call.op} {call.lease} was acknowledged and is gone")
    if stored is not None and stored.leases:
        if len(set(stored.leases.values())) != len(stored.leases):
            verdict.add("epochs", execution, "two stored leases have one epoch")
        if max(stored.leases.values()) != stored.epoch:
            verdict.add("epochs", execution, "the stored epoch is not the last lease's")
    # No other clients than those of this history made claims.
    known = {call.lease for call in calls if call.op in CLAIMS}
    for lease in stored.leases if stored is not None else ():
        if lease not in known:
            verdict.add("stored", execution, f"lease {lease} was never asked for")


def _survivors(verdict, calls, stored):
    """Returns (the calls that survived, the calls that a failover took back). The verdict counts
    those that were taken back, and all that were confirmed."""
    left, lost = [], []
    for call in calls:
        if call.took_effect and _is_stored(call, stored) is False:
            verdict.lost += 1
            verdict.lost_confirmed += call.confirmed
            lost.append(call)
        else:
            left.append(call)
        verdict.confirmed += call.confirmed
    return left, lost


def _check_not_happened(verdict, execution, calls, stored):
    leases = stored.leases if stored is not None else {}
    for call in calls:
        if call.op not in CLAIMS or call.outcome == OK:
            continue
        if call.lease in leases and call.outcome != UNKNOWN:
            verdict.add("stored", execution,
                        f"{call.op} {call.lease} was said not to have happened "
                        f"({call.outcome}) and is stored")
        elif call.lease in leases and call.resolved == "not_happened":
            verdict.add("unknown", execution, f"{call.lease} was found not to have happened "
                        "and is stored")
        elif call.lease not in leases and call.resolved == "happened":
            verdict.add("unknown", execution, f"{call.lease} was found to have happened "
                        "and is not stored")


# ---- the calls among themselves ------------------------------------------------------------------

def _check_epochs(verdict, execution, leases):
    for before, after in zip(leases, leases[1:]):
        if before.epoch == after.epoch:
            verdict.add("epochs", execution, f"epoch {after.epoch} was given out twice")
        elif after.returned < before.called:
            verdict.add("epochs", execution,
                        f"epoch {after.epoch} was there before epoch {before.epoch}")
        if before.index >= after.index >= 0 and before.epoch != after.epoch:
            verdict.add("epochs", execution, f"attempt index {after.index} of epoch {after.epoch} "
                        "does not grow")
    for lease in leases:
        if lease.epoch < 1:
            verdict.add("epochs", execution, f"lease {lease.lease} has no epoch")


def _check_alive(verdict, execution, calls, leases, renewals):
    revoked = [call for call in calls if call.op == "revoke" and call.outcome in (OK, UNKNOWN)]
    for before, after in zip(leases, leases[1:]):
        if not (before.expires and after.expires):
            continue  # the end of one of the leases is not known
        # Only renewals that had returned before the next lease was asked for lengthen the lease for
        # certain.
        certain = max([before.expires] + [
            call.expires for call in calls
            if renewals and call.op == "renew" and call.lease == before.lease
            and call.outcome == OK and call.returned < after.called])
        if after.acquired >= certain:
            continue  # the lease had run out
        if any(call.called < after.returned and call.returned > before.called
               for call in revoked):
            continue  # the lease may have been revoked
        verdict.add("leases", execution,
                    f"epoch {after.epoch} began at {after.acquired} while epoch {before.epoch} "
                    f"was alive until {certain}")


def _check_grants(verdict, execution, calls, leases):
    """Checks that each lease has a grant: a lease takes the earliest grant of its kind and worker
    that no other lease has taken."""
    grants = defaultdict(list)
    for call in calls:
        if call.op in ISSUES and call.outcome in (OK, UNKNOWN):
            grants[call.worker, call.op == "issue_reclaim"].append(call.called)
    for times in grants.values():
        times.sort()
    taken = defaultdict(int)
    for lease in sorted(leases, key=lambda call: call.returned):
        key = lease.worker, lease.op == "reclaim"
        taken[key] += 1
        if bisect.bisect_left(grants[key], lease.returned) < taken[key]:
            verdict.add("grants", execution,
                        f"{lease.worker} took {taken[key]} leases with fewer grants")


def _check_one_grant(verdict, execution, calls):
    """Checks that at most one grant exists at a time. Two grants in a row are an error
    unless, in between, a claim may have taken the first grant, or the time of the first grant may
    have run out."""
    issued = sorted((call for call in calls if call.op in ISSUES and call.outcome == OK),
                    key=lambda call: call.returned)
    for before, after in zip(issued, issued[1:]):
        if after.called < before.returned:
            continue
        consumed = any(call.op in CLAIMS and call.outcome in (OK, UNKNOWN)
                       and call.returned > before.called and call.called < after.returned
                       for call in calls)
        elapsed = after.returned - before.called > before.ttl * 1_000_000
        if not consumed and not elapsed:
            verdict.add("grants", execution, "two grants were there at once")


def _check_fences(verdict, execution, calls, leases, lost):
    by_id = {lease.lease: lease for lease in leases}
    ended = [call for call in calls if call.op == "complete" and call.outcome == OK]
    if len(ended) > 1:
        verdict.add("fences", execution, f"completed {len(ended)} times")
    for call in calls:
        if call.op not in FENCED or call.outcome != OK:
            continue
        lease = by_id.get(call.lease)
        if lease is None and call.lease in lost:
            continue  # the call passed before its lease was lost
        if lease is None:
            verdict.add("fences", execution, f"{call.op} passed with {call.lease}, nobody's lease")
            continue
        for other in leases:
            if other.epoch > lease.epoch and other.returned < call.called:
                verdict.add("fences", execution, f"{call.op} of epoch {lease.epoch} passed after "
                            f"epoch {other.epoch} was there")
                break
        if call.op == "renew" and any(end.returned < call.called for end in ended):
            verdict.add("fences", execution, "renewed after its end")
    for end in ended:
        for lease in leases:
            if lease.called > end.returned:
                verdict.add("fences", execution, f"epoch {lease.epoch} was taken after the end")
