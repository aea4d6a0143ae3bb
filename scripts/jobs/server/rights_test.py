# SPDX-License-Identifier: Apache-2.0
"""Tests which commands an ACL user must be allowed for each call. The client's table is compared
with the commands in the functions' sources, with README's table, and with what servers allow."""

import re
import shutil
import unittest

from jobs.common import build, wheels
from jobs.server import functions as f, reference_functions
from jobs.server.functions_case import OnEachEngine, setUpModule, tearDownModule  # noqa: F401

_VALKEY = build.ROOT / "core" / "ffgrant" / "valkey"
# Only executions of a flow publish their end; README says so.
_LEFT_OUT = {"PUBLISH"}


def _bodies(source):
    """Returns {name of a function, registered or local: its text} for a library."""
    bodies, name = {}, None
    for line in source.splitlines():
        begin = re.match(r"local function (\w+)", line) or \
            re.match(r"(?:redis\.register_function|register)\('(\w+)'", line)
        if begin:
            name = begin[1]
            bodies[name] = ""
        if name:
            bodies[name] += re.sub(r"--.*", "", line) + "\n"
            if re.match(r"end\)?\s*$", line):
                name = None
    return bodies


def _reachable(source):
    """Returns {function, registered or local: the commands that the function, or a function that
    it calls, can run}."""
    bodies = _bodies(source)
    runs = {name: {command.upper() for command in re.findall(r"call\(\s*['\"](\w+)['\"]", text)}
            for name, text in bodies.items()}
    uses = {name: set(re.findall(r"\w+", text)) & bodies.keys() for name, text in bodies.items()}

    def all_of(name, seen):
        if name in seen:
            return set()
        seen.add(name)
        return runs[name].union(*(all_of(used, seen) for used in uses[name]))

    return {name: all_of(name, set()) - _LEFT_OUT for name in bodies}


def _table():
    """The rows of the client's table: (call, function, the commands that the client itself sends,
    the commands of our function, the commands of FlowFabric's function)."""
    text = (_VALKEY / "internal" / "rights.cc").read_text(encoding="utf-8")
    text = text[text.index("kAll[] = {"):text.index("\n};")]
    return [tuple(re.findall(r'"([^"]*)"', re.sub(r'"\s+"', "", row)))
            for row in re.findall(r"\{([^{}]*)\}", text)]


class Table(unittest.TestCase):
    def test_it_names_what_our_functions_can_run(self):
        ours = _reachable(f.source())
        rows = _table()
        self.assertGreater(len(rows), 15)
        for call, function, _, commands, _ in rows:
            if function:
                name = f.OUR_PREFIX + function.removeprefix(f.THEIR_PREFIX)
                self.assertEqual(commands, " ".join(sorted(ours[name])), call)

    @unittest.skipUnless(shutil.which("cargo"), "FlowFabric's own library is fetched with cargo")
    def test_it_names_what_flowfabrics_functions_can_run(self):
        theirs = _reachable(reference_functions.source())
        for call, function, _, _, commands in _table():
            if function:
                self.assertEqual(commands, " ".join(sorted(theirs[function])), call)

    def test_readme_has_the_same(self):
        text = (_VALKEY / "functions" / "README.md").read_text(encoding="utf-8")
        rows = {row[0]: row[1:] for row in re.findall(
            r"^\| `(\w+)` \| ([A-Z ]*) \| ([A-Z ]*) \| ([A-Z ]*) \|$", text, re.MULTILINE)}
        self.assertEqual(
            {call: tuple(text.strip() for text in row) for call, row in rows.items()},
            {call: row for call, _, *row in _table() for row in [tuple(row)]})


class Users(OnEachEngine):
    """Calls our functions as users who may run the commands that the table names, or all but one of
    these commands."""

    def user(self, *commands):
        redis = wheels.client_module()
        self.client.execute_command("ACL", "SETUSER", "worker", "reset", "on", "nopass", "~ff:*",
                                    "+fcall", *(f"+{command.lower()}" for command in commands))
        port = self.client.connection_pool.connection_kwargs["port"]
        return redis.Redis(port=port, username="worker", password="")

    def needed(self, call):
        return next(ours.split() for name, _, _, ours, _ in _table() if name == call)

    def test_what_the_table_names_is_enough(self):
        e = self.e
        new = f.Execution(uuid_text=e.id.split(":")[-1])
        new.lease, new.attempt_id = "lease-2", "attempt-2"
        for call, made in (
                ("CreateExecution", f.create(e)), ("IssueClaimGrant", f.issue(e)),
                ("Claim", f.claim(e)), ("Renew", f.renew(e)), ("Revoke", f.revoke(e)),
                ("IssueReclaimGrant", f.issue_reclaim(e)), ("Reclaim", f.reclaim(e, new))):
            reply = f.run(self.user(*self.needed(call)), made)
            self.assertEqual(reply[:2], [1, "OK"], (self.engine, call, reply))
        other = f.Execution()
        for call, made in (("CreateExecution", f.create(other)),
                           ("IssueGrantAndClaim", f.issue_and_claim(other)),
                           ("Complete", f.complete(other))):
            reply = f.run(self.user(*self.needed(call)), made)
            self.assertEqual(reply[:2], [1, "OK"], (self.engine, call, reply))

    def test_each_command_of_a_claim_that_is_missing_is_named(self):
        for command in self.needed("Claim"):
            user = self.user(*set(self.needed("Claim")) - {command})
            reply = user.fcall("ffgrant_refused_commands", 1, self.e.exec("core"),
                               *self.needed("Claim"))
            self.assertEqual(reply, [command.encode()], self.engine)
        user = self.user(*self.needed("Claim"))
        self.assertEqual(user.fcall("ffgrant_refused_commands", 1, self.e.exec("core"),
                                    *self.needed("Claim")), [], self.engine)
