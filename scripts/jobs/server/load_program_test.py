# SPDX-License-Identifier: Apache-2.0

import contextlib
import os
import sys
import tempfile
import unittest
from pathlib import Path

from jobs.common import build
from jobs.server import claim_server, functions, load_program

_PROGRAM = """#!{python}
import json, sys
if "--describe" in sys.argv:
    host, _, port = sys.argv[2].removeprefix("--server=").rpartition(":")
    if not port.isdigit():
        sys.exit("server_load: no address")
    print(json.dumps({{"username": "", "tls": False,
                       "servers": [{{"host": host, "port": int(port)}}]}}))
    sys.exit()
for line in sys.stdin:
    if line.startswith("die"):
        sys.exit("no such thing")
    if line == "ids\\n":
        print(open({ids!r}).read() + ".", flush=True)
    elif line == "forget\\n":
        print("{{}}", flush=True)
    else:
        print('{{"count": 1, "seconds": 1, "client_cpu": 0}}', flush=True)
"""


class OnRedis(unittest.TestCase):
    """Tests a target on a server that is not ours, with a program that does no work."""

    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.server = cls.stack.enter_context(claim_server.alone("redis"))
        cls.client = cls.server.client()
        cls.client.function_load(functions.source())

    def setUp(self):
        self.client.flushall()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.ids = Path(folder.name) / "ids"
        self.ids.write_text("", encoding="ascii")
        program = Path(folder.name) / "bench" / load_program.PROGRAM
        program.parent.mkdir()
        program.write_text(_PROGRAM.format(python=sys.executable, ids=str(self.ids)),
                           encoding="ascii")
        os.chmod(program, 0o755)
        directory = build.build_directory
        build.build_directory = lambda preset: Path(folder.name)
        self.addCleanup(setattr, build, "build_directory", directory)
        self.target = load_program.Target([self.server.address], "ours", 1, owned=False)
        self.target.start()
        self.addCleanup(self.target.stop)

    def execution(self, lane, *calls):
        e = functions.Execution(partition=9, lane=lane)
        e.instance = load_program.WORKER_INSTANCE
        for call in calls:
            self.assertEqual(functions.run(self.client, call(e))[1], "OK")
        return e

    def test_what_it_put_there_is_removed_and_nothing_else(self):
        f = functions
        self.execution("other", f.create, f.issue, f.claim)
        before = f.state(self.client)
        made = [self.execution("ours", *calls) for calls in (
            (f.create,), (f.create, f.issue), (f.create, f.issue, f.claim),
            (f.create, f.issue_and_claim, f.complete))]
        self.ids.write_text("".join(e.id + "\n" for e in made), encoding="ascii")
        self.target.load_limits()
        self.target.forget()
        self.assertEqual(f.state(self.client), before)
        self.target.leave()
        libraries = [entry[1] for entry in self.client.function_list()]
        self.assertEqual(libraries, [b"ffgrant"])

    def test_a_removal_that_is_refused_keeps_nothing_else_there(self):
        f = functions
        before = f.state(self.client)
        last = self.execution("ours", f.create)
        others = [functions.Execution(partition=9, lane="ours") for _ in range(501)]
        tag = last.id[:last.id.index("}") + 1]
        self.client.set(f"ff:exec:{tag}:{others[0].id}:core", "no hash")
        self.ids.write_text("".join(e.id + "\n" for e in (*others, last)), encoding="ascii")
        self.target.load_limits()
        self.target.forget()
        self.client.delete(f"ff:exec:{tag}:{others[0].id}:core")
        self.assertEqual(f.state(self.client), before)
        self.target.leave()

    def test_a_library_that_was_not_there_before_goes_again(self):
        self.client.function_flush()
        target = load_program.Target([self.server.address], "ours", 1, owned=False)
        self.client.function_load(functions.source())
        target.leave()
        self.assertEqual(self.client.function_list(), [])
        self.client.function_load(functions.source())

    def test_a_program_that_claims_what_the_server_does_not_hold_is_found_out(self):
        self.target.load("closed 1 1 issue claim")
        with self.assertRaisesRegex(load_program.LoadError, "0 leases are held after 1 claims"):
            self.target.check()
        self.execution("ours", functions.create, functions.issue_and_claim)
        self.target.check()
        self.target.load("closed 1 1 complete")
        with self.assertRaisesRegex(load_program.LoadError, "1 leases are held after 0 claims"):
            self.target.check()

    def test_a_program_that_ends_says_why(self):
        with self.assertRaisesRegex(load_program.LoadError, "`die now`.*Redis.*no such thing"):
            self.target.load("die now")

    def test_an_address_that_is_none_says_why(self):
        with self.assertRaisesRegex(load_program.LoadError, "^--server: server_load: no address$"):
            load_program.primaries("nowhere")
        self.assertEqual(load_program.primaries(self.server.address), [self.server.address])

    def test_whose_functions_are_measured(self):
        self.target.load_limits()
        self.assertEqual(self.target.library(), "ffgrant")

    def test_the_server_is_named_as_it_is(self):
        self.assertRegex(self.target.description, r"^Redis \d\S+, standalone$")


if __name__ == "__main__":
    unittest.main()
