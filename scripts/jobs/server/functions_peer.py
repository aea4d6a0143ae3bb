# SPDX-License-Identifier: Apache-2.0
"""Compares our function library with FlowFabric's own, call by call, on two servers of one build.

First there are random walks through the life of an execution. After every call the replies must
agree, and so must everything that is stored, times within a tolerance. Then there are the calls
that differ on purpose: our function must give the answer that is written down for it, and change
nothing, and FlowFabric's must answer otherwise. This program is no part of scripts/test, since it
needs cargo, which fetches FlowFabric's library.
Run it from the top of the tree:

    PYTHONPATH=scripts python3 -m jobs.server.functions_peer [--engine E] [--walks N] [--seed N]

The last line is "N passed, N failed". The exit status is 0 only if nothing failed, and 3 if the
comparison couldn't run.
"""

import argparse
import random
import re
import sys
import time

from jobs.common import processes, wheels
from jobs.server import claim_server, functions as calls, reference_functions

_TOLERANCE_MS = 400
_TIME = re.compile(r"(?<!\d)1\d{12}(?!\d)")
_TOKEN = re.compile(r"\b[0-9a-f]{40}\b")  # depends on the millisecond of the call

# Calls that our functions refuse before any effect, on purpose: (what, call for an execution, how
# the reply begins). The reference applies half of such a call, or fails in the middle, or stores
# a value that nobody can read.
ON_PURPOSE = [
    ("a fractional grant ttl leaves a grant without expiry (contract 9.6)",
     lambda e: calls.issue(e, ttl="50.5"), [0, "invalid_input"]),
    ("a grant ttl whose sum with the clock loses digits (contract 9.5)",
     lambda e: calls.issue(e, ttl="1e15"), [0, "invalid_input"]),
    ("an infinite grant ttl", lambda e: calls.issue(e, ttl="inf"), [0, "invalid_input"]),
    ("a grant ttl that is no number to any reader", lambda e: calls.issue(e, ttl="nan"),
     [0, "invalid_input"]),
    ("a fractional lease ttl can be renewed by nobody",
     lambda e: calls.issue_and_claim(e, ttl="0.5"), [0, "invalid_input"]),
    ("a malformed policy of the attempt comes after the grant was consumed",
     lambda e: calls.issue_and_claim(e, policy="{"), [0, "invalid_input"]),
    ("a policy of the attempt that is no object, likewise",
     lambda e: calls.issue_and_claim(e, policy="5"), [0, "invalid_input"]),
    ("an attempt timeout that is no number comes after the lease was written",
     lambda e: calls.issue_and_claim(e, timeout="soon"), [0, "invalid_input"]),
    ("a deadline that is no number, likewise",
     lambda e: calls.issue_and_claim(e, deadline="soon"), [0, "invalid_input"]),
]
# These calls are of the same kind as those of ON_PURPOSE, but for an execution that is leased.
ON_PURPOSE_OF_THE_HOLDER = [
    ("a retry policy without a number of retries ends the attempt, and then fails",
     lambda e: calls.fail(e, policy='{"max_retries":null}'), [0, "invalid_input"]),
    ("a retry policy whose backoff is no object, likewise",
     lambda e: calls.fail(e, policy='{"max_retries":1,"backoff":null}'), [0, "invalid_input"]),
    ("a retry so far away that nobody can read its time (contract 9.5)",
     lambda e: calls.fail(
         e, policy='{"max_retries":1,"backoff":{"type":"fixed","delay_ms":1e15}}'),
     [0, "invalid_input"]),
]
ON_PURPOSE_AT_CREATION = [
    ("a deadline that is no number comes after the core was written",
     lambda e: calls.create(e, deadline="soon"), [0, "invalid_input"]),
    ("a fractional time to remember the idempotency key, likewise",
     lambda e: calls.create(e, dedup="1.5", idempotency="k"), [0, "invalid_input"]),
    ("a priority without a place in the order", lambda e: calls.create(e, priority="nan"),
     [0, "invalid_input"]),
    ("a delay that is no number is a fault of the runtime",
     lambda e: calls.create(e, delay="soon"), [0, "invalid_input"]),
]


# ---- comparing -----------------------------------------------------------------------------------

def _split_score(score):
    """Returns (priority, time of creation) for a score of the index `eligible`, and (0, score) for
    any other score."""
    eligible = score < 1e12 and abs(score) > 1e11
    priority = round((time.time() * 1000 - score) / 1e12) if eligible else 0
    return priority, score + priority * 1e12


def _same(ours, theirs):
    if isinstance(ours, str) and isinstance(theirs, str):
        mask = lambda text: _TOKEN.sub("TOKEN", _TIME.sub("TIME", text))
        return mask(ours) == mask(theirs) and all(
            abs(int(a) - int(b)) <= _TOLERANCE_MS
            for a, b in zip(_TIME.findall(ours), _TIME.findall(theirs)))
    if isinstance(ours, float) and isinstance(theirs, float):
        (p, a), (q, b) = _split_score(ours), _split_score(theirs)
        return p == q and (a == b or (a > 1e12 and abs(a - b) <= _TOLERANCE_MS))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, int) and isinstance(theirs, int):
        return ours == theirs or (ours > 1e12 and abs(ours - theirs) <= _TOLERANCE_MS)
    return ours == theirs


def _describe_state(ours, theirs):
    lines = []
    for key in sorted(ours.keys() | theirs.keys()):
        a, b = ours.get(key), theirs.get(key)
        if a is None or b is None:
            lines.append(f"  {key}: only {'ours' if a else 'theirs'}: {a or b}")
        elif not _same(a, b):
            if not _same(a[::2], b[::2]):
                lines.append(f"  {key}: type and expiry: ours {a[::2]}, theirs {b[::2]}")
            if isinstance(a[1], dict) and isinstance(b[1], dict):
                lines += [f"  {key} {field}: ours {a[1].get(field)!r}, theirs {b[1].get(field)!r}"
                          for field in sorted(a[1].keys() | b[1].keys())
                          if not _same(a[1].get(field), b[1].get(field))]
            elif not _same(a[1], b[1]):
                lines.append(f"  {key}: ours {a[1]}, theirs {b[1]}")
    return "\n".join(lines)


class Pair:
    """Two servers, with our functions and FlowFabric's, that get the same calls."""

    def __init__(self, ours, theirs, their_prefix=calls.THEIR_PREFIX):
        self._redis = wheels.client_module()
        self.ours, self.theirs = ours, theirs
        self._their_prefix = their_prefix
        for client in (ours, theirs):
            client.flushall()

    def _run(self, client, call, prefix):
        try:
            return calls.run(client, call, prefix)
        except self._redis.ResponseError as error:
            return ["-ERR", str(error)]

    def both(self, call):
        return (self._run(self.ours, call, calls.OUR_PREFIX),
                self._run(self.theirs, call, self._their_prefix))

    def difference(self, call):
        """Makes the call on both servers. Returns a text that says what differs then; empty if
        nothing does."""
        ours, theirs = self.both(call)
        if not _same(ours, theirs):
            return f"{call[0]} {call[2]}\n  ours {ours}\n  theirs {theirs}"
        text = _describe_state(calls.state(self.ours), calls.state(self.theirs))
        return f"{call[0]} {call[2]} -> {ours}\n{text}" if text else ""


# ---- walks ---------------------------------------------------------------------------------------

class Walk:
    """A random life of one execution. `e` is the execution as the holder of the lease knows it."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.e = calls.Execution(partition=self.random.randrange(256),
                                 lane=self.random.choice(["main", "a:b {x}"]),
                                 uuid_text=f"{self.random.getrandbits(128):032x}")
        self._names = 0

    def _pick(self, *choices):
        return self.random.choice(choices)

    def _takeover(self):
        """The execution as another worker takes it over, with lease and attempt ids that were never
        used."""
        self._names += 1
        new = calls.Execution(lane=self.e.lane)
        new.tag, new.id, new.partition = self.e.tag, self.e.id, self.e.partition
        new.worker, new.instance = self._pick(("w1", "w1-i1"), ("w1", "w1-i2"), ("w2", "w2-i1"))
        new.lease, new.attempt_id = f"lease-{self._names}", f"attempt-{self._names}"
        new.attempt, new.epoch = self.e.attempt, self.e.epoch
        return new

    def _ttl(self):
        return self._pick("30000", "30000", "20", "0", "-5", "abc", "")

    def _fence(self):
        e = self.e
        return self._pick(None, None, None, None, (e.lease, e.epoch, ""), ("", "", ""),
                          ("other", e.epoch, e.attempt_id), (e.lease, "99", e.attempt_id),
                          (e.lease, e.epoch, "other"))

    def first(self):
        capabilities = '{"routing_requirements":{"required_capabilities":["gpu","big"]}}'
        return calls.create(
            self.e, priority=self._pick("0", "5", "9999", "-3", "abc"),
            policy=self._pick("{}", "", capabilities, '{"max_reclaim_count":1}', "{", "[]",
                              '{"routing_requirements":5}', "null",
                              '{"routing_requirements":{"required_capabilities":["a,b"]}}',
                              '{"routing_requirements":{"required_capabilities":[7]}}',
                              '{"routing_requirements":{"required_capabilities":["x x"]}}'),
            payload=self._pick("p", ""), tags=self._pick("{}", '{"team":"x","n":3}', "{"),
            deadline=self._pick("", "1999999999999"),
            delay=self._pick("", "", "", "5", "1999999999999"),
            scheduling=None)

    def next(self):
        e, new = self.e, self._takeover()
        issue = calls.issue(new, ttl=self._ttl(), capabilities=self._pick(
            "", "big,gpu", "big", ",,gpu,,big", "x" * 4097, "y," * 300), route="{}", admission="a")
        steps = {
            "create": (1, self.first()),
            "issue": (6, issue),
            "claim": (6, calls.claim(new, ttl=self._ttl(), policy=self._pick("", '{"n":1}'),
                                     timeout=self._pick("", "0", "9000"),
                                     deadline=self._pick("", "0", "1999999999999"))),
            "fused": (2, calls.issue_and_claim(new, ttl=self._ttl())),
            "resumed": (4, calls.claim_resumed(new, ttl=self._ttl(),
                                               remaining=self._pick("", "9000", "-1"))),
            "renew": (3, calls.renew(e, ttl=self._ttl(), fence=self._fence(),
                                     index=self._pick(None, None, None, "7"))),
            "mark": (3, calls.mark_expired(e)),
            "revoke": (2, calls.revoke(e, expected=self._pick("", e.lease, "other"))),
            "issue reclaim": (4, calls.issue_reclaim(new, ttl=self._ttl(),
                                                     capabilities=self._pick("", "big,gpu"))),
            "reclaim": (4, calls.reclaim(e, new, ttl=self._ttl(),
                                         cap=self._pick(None, "1000", "1"))),
            "suspend": (3, calls.suspend(
                e, fence=self._fence(), waitpoint=f"wp-{self._names}",
                condition=self._pick("{}", '{"required_signal_names":["a","b"],'
                                           '"signal_match_mode":"all"}'),
                timeout_at=self._pick("", "1999999999999"),
                reason=self._pick("waiting_for_approval", "manual_pause", "unheard of"),
                index=self._pick(None, None, None, "7"))),
            "resume": (4, calls.resume(e, waitpoint=f"wp-{self._names - 1}",
                                       delay=self._pick("0", "0", "30000"))),
            "complete": (1, calls.complete(e, fence=self._fence(), result=self._pick("", "r"),
                                           source_=self._pick("", "operator_override"))),
            "fail": (2, calls.fail(
                e, fence=self._fence(), source_=self._pick("", "operator_override"),
                policy=self._pick(
                    "", "{}", "x", '{"max_retries":1}',
                    '{"max_retries":2,"backoff":{"type":"fixed","delay_ms":5}}',
                    '{"max_retries":5,"backoff":{"type":"exponential","multiplier":1.5}}'))),
            "promote": (1, calls.promote(e, self._pick("1000", "1999999999999"))),
            "wait": (2, None),
        }
        names = list(steps)
        name = self.random.choices(names, [steps[name][0] for name in names])[0]
        return name, steps[name][1], new

    def learn(self, name, reply, new):
        """Takes over a new lease's ids from a reply."""
        if reply[:2] != [1, "OK"] or name not in ("claim", "fused", "resumed", "reclaim"):
            return
        if name == "fused":
            new.epoch, new.attempt = reply[3], int(reply[4])
        else:
            new.epoch, new.attempt_id, new.attempt = reply[3], reply[5], int(reply[6])
        self.e = new


def _walk(pair, seed, length):
    """A text that says the first difference on the walk; empty if there is none."""
    walk = Walk(seed)
    for client in (pair.ours, pair.theirs):
        client.flushall()
    found = pair.difference(calls.rotate(walk.e)) or pair.difference(walk.first())
    for _ in range(length):
        if found:
            return f"seed {seed}: {found}"
        name, call, new = walk.next()
        if name == "wait":
            time.sleep(0.025)
            continue
        # Our function promotes an execution that waits for a resume delay, by the execution's place
        # in the delayed index. The reference finds no time in such an execution and fails.
        if name == "promote" and pair.ours.hget(walk.e.exec("core"), "blocking_reason") == \
                b"waiting_for_resume_delay":
            continue
        ours, theirs = pair.both(call)
        if "20" in call[2]:  # both servers are read only after the 20 ms have run out
            time.sleep(0.03)
        walk.learn(name, ours, new)
        if not _same(ours, theirs):
            found = f"{call[0]} {call[2]}\n  ours {ours}\n  theirs {theirs}"
        else:
            text = _describe_state(calls.state(pair.ours), calls.state(pair.theirs))
            found = text and f"{call[0]} {call[2]} -> {ours}\n{text}"
    return found and f"seed {seed}: {found}"


def _on_purpose(pair, what, make, begins, first):
    """Makes a call whose answers differ on purpose. Returns a text that says what is wrong; "" if
    nothing is."""
    e = calls.Execution()
    for client in (pair.ours, pair.theirs):
        client.flushall()
    for step in first:
        pair.both(step(e))
    before = calls.state(pair.ours)
    ours, theirs = pair.both(make(e))
    if ours[:len(begins)] != begins:
        return f"{what}: ours answers {ours}"
    if calls.state(pair.ours) != before:
        return f"{what}: ours left something behind"
    if _same(ours, theirs):
        return f"{what}: no difference any more, theirs answers {theirs}"
    return ""


def _arguments():
    parser = argparse.ArgumentParser(prog="jobs.server.functions_peer")
    parser.add_argument("--engine", choices=("auto", "valkey", "redis"), default="auto")
    parser.add_argument("--walks", type=int, default=200)
    parser.add_argument("--length", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _compare(arguments, reference):
    with claim_server.alone(arguments.engine) as a, claim_server.alone(arguments.engine) as b:
        print(f"ours and {reference_functions.CRATE} {reference_functions.VERSION} on {a.info()}")
        a.client().function_load(calls.source())
        b.client().function_load(reference)
        pair = Pair(a.client(), b.client())
        problems = [_walk(pair, arguments.seed + i, arguments.length)
                    for i in range(arguments.walks)]
        leased = (calls.create, calls.issue, calls.claim)
        for first, table in (((calls.create,), ON_PURPOSE), ((), ON_PURPOSE_AT_CREATION),
                             (leased, ON_PURPOSE_OF_THE_HOLDER)):
            problems += [_on_purpose(pair, *row, first) for row in table]
    return problems


def main():
    arguments = _arguments()
    processes.raise_on_signals()
    try:
        problems = _compare(arguments, reference_functions.source())
    except processes.Interrupted as interrupted:
        return interrupted.exit_status
    except (claim_server.ServerError, reference_functions.FetchError, OSError) as error:
        print(f"functions_peer: {error}", file=sys.stderr)
        return 3
    failed = [problem for problem in problems if problem]
    for problem in failed[:10]:
        print(f"FAILED {problem}")
    print(f"{len(problems) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
