# SPDX-License-Identifier: Apache-2.0
"""Tests scripts/live-conformance and scripts/bench --backend flowfabric: what they refuse, what
they say without a server, and that they leave nothing behind. Stand-ins of a few lines take the
place of the server."""

from __future__ import annotations

import http.server
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from jobs.common import build
from jobs.live import exchange, job, load_job, routes
from jobs.server import claim_server, store

_ID = "{fp:7}:550e8400-e29b-41d4-a716-446655440000"


class Issuer(http.server.BaseHTTPRequestHandler):
    """A stand-in for FlowFabric's server. It sends the answer that routes.predict() expects by the
    contract, and keeps what was created."""
    world = routes.World(lane="ffgrant-live-")
    breaks_off = False  # whether a large body ends the connection, as it may in a tunnel
    protocol_version = "HTTP/1.1"

    def _do(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        if self.breaks_off and len(body) > 60_000:
            self.close_connection = True
            return
        request = routes.Request(self.command, self.path, tuple(self.headers.items()), body)
        try:
            answer = routes.predict(self.world, request)
        except routes.Unpredictable:
            answer = routes.Expected(500)
        data = (answer.body or "").encode()
        self.send_response(answer.status)
        for name, text in answer.headers.items():
            self.send_header(name, text)
        if answer.status != 204:
            self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _do

    def log_message(self, *_: Any) -> None:
        pass


class WithIssuer(unittest.TestCase):
    def setUp(self) -> None:
        Issuer.world, Issuer.breaks_off = routes.World(lane="ffgrant-live-"), False
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}"


def start(script: str, *words: str, **names: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, str(build.ROOT / "scripts" / "jobs" / "__main__.py"),
                             "--ready", script, *words], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env={**os.environ, **names})


def run(script: str, *words: str, **names: str) -> tuple[int, str]:
    process = start(script, *words, **names)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


class Conformance(WithIssuer):
    def test_requests_alone_pass_and_what_they_created_is_cancelled(self) -> None:
        status, output = run("live-conformance", "--url", self.url, "--requests", "400")
        self.assertEqual(status, 0, output)
        self.assertEqual(output.splitlines()[-1], "400 passed, 0 failed")
        self.assertIn("no --valkey: requests only", output)
        self.assertTrue(Issuer.world.states)
        self.assertEqual(set(Issuer.world.states.values()), {"cancelled"})

    def test_a_difference_is_shown_with_how_to_see_it_again_and_without_the_token(self) -> None:
        Issuer.world.token = "secret-token"
        status, output = run("live-conformance", "--url", self.url, "--requests", "80",
                             FF_API_TOKEN="another-token")
        self.assertEqual(status, 1)
        self.assertIn("the contract says", output)
        self.assertNotIn("another-token", output)
        again = next(line for line in output.splitlines() if "again: " in line)
        self.assertIn(f"./scripts/live-conformance --url {self.url} --seed 1 --case lot-", again)
        words = again.split()[2:]
        self.assertEqual(run("live-conformance", *words, FF_API_TOKEN="another-token")[0], 1)

    def test_the_token_may_stand_in_a_file(self) -> None:
        Issuer.world.token = "secret-token"
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write("secret-token\n")
            file.flush()
            status, output = run("live-conformance", "--url", self.url, "--requests", "80",
                                 FF_API_TOKEN_FILE=file.name)
        self.assertEqual(status, 0, output)

    def test_what_breaks_off_on_large_bodies_is_said_and_counts_as_nothing(self) -> None:
        Issuer.breaks_off = True
        status, output = run("live-conformance", "--url", self.url, "--requests", "400")
        self.assertEqual(status, 0, output)
        self.assertEqual(output.splitlines()[-1], "400 passed, 0 failed")
        self.assertRegex(output, r"\d+ requests with large bodies got no answer")

    def test_without_servers(self) -> None:
        status, output = run("live-conformance", "--url", "http://127.0.0.1:1", "--requests", "8")
        self.assertEqual(status, 3, output)
        status, output = run("live-conformance", "--start", FFGRANT_FF_SERVER="/nowhere/ff-server")
        self.assertEqual(status, 3, output)
        self.assertIn("/nowhere/ff-server", output)

    def test_certificates_that_can_not_be_read_are_named(self) -> None:
        for word in ("/nowhere", os.devnull):
            status, output = run("live-conformance", "--url", "https://127.0.0.1:1", "--ca-file",
                                 word)
            self.assertEqual(status, 3, output)
            self.assertIn(f"the certificates of {word}: ", output)

    def test_a_silent_server_is_given_up_after_one_try(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener, \
                mock.patch.object(exchange, "_CONNECT_SECONDS", 0.2):
            port = listener.getsockname()[1]
            begin = time.monotonic()
            with self.assertRaisesRegex(exchange.NoServer, f"127.0.0.1:{port}: .*timed out"):
                exchange.Connection(f"https://127.0.0.1:{port}").ask(
                    routes.Request("GET", "/healthz"))
            self.assertLess(time.monotonic() - begin, 5)

    def test_wrong_usage(self) -> None:
        for words in ((), ("--url", "h:1"), ("--start", "--url", "http://h"),
                      ("--url", "http://u:hunter2@h"), ("--start", "--valkey", "h:1"),
                      ("--url", "http://h", "--valkey", "valkey://:hunter2@h"),
                      ("--start", "--case", "x-1"), ("--url", "http://h", "--partitions", "8")):
            status, output = run("live-conformance", *words)
            self.assertEqual(status, 2, words)
            self.assertNotIn("hunter2", output)

    def test_cases_are_shared_out(self) -> None:
        arguments = Namespace(case=None, requests=17, histories=20)
        self.assertEqual(len(job.cases(arguments, True)), 3 + 20)
        self.assertEqual(job.cases(arguments, False), [("lot", i) for i in range(3)])
        self.assertEqual(job.cases(Namespace(case=("flow", 3)), True), [("flow", 3)])

    def test_what_differs(self) -> None:
        answer = exchange.Answer(200, b"x", {"allow": "GET"})
        self.assertEqual(job.compare(routes.Expected(200, "x"), answer), "")
        self.assertEqual(job.compare(routes.Expected(200, None), answer), "")
        for expected in (routes.Expected(404), routes.Expected(200, "y"),
                         routes.Expected(200, "x", {"allow": "POST"})):
            self.assertIn("the contract says", job.compare(expected, answer))


# This program stands in for bench/flowfabric_load: it creates the executions that it is told to
# create. At the next command it waits, or fails.
_PROGRAM = """\
#!{python}
import os, sys
sys.path.insert(0, {scripts!r})
from jobs.server import functions, store
from jobs.common import wheels
options = dict(word[2:].split("=", 1) for word in sys.argv[1:])
client = store.connect(options["valkey"])
ids = open(options["ids"]).read().split()
for line in sys.stdin:
    word, *rest = line.split()
    if word == "create":
        for text in ids[:int(rest[0])]:
            tag = text[:text.index("}}") + 1]
            client.hset(f"ff:exec:{{tag}}:{{text}}:core", "lane_id", options["lane"])
            client.zadd(f"ff:idx:{{tag}}:lane:{{options['lane']}}:eligible", {{text: 1}})
            client.sadd(f"ff:idx:{{tag}}:all_executions", text)
        print('{{"count": 1, "seconds": 1}}', flush=True)
    elif os.environ.get("STAND_IN") == "fails":
        sys.exit("a fault half-way")
    else:
        print("waiting", file=sys.stderr, flush=True)
        sys.stdin.read()
"""


class Bench(unittest.TestCase):
    def test_wrong_usage(self) -> None:
        for words in ((), ("--url", "http://h"), ("--start", "--valkey", "h:1"),
                      ("--start", "--lane", ""), ("--start", "--workers", "0"),
                      ("--start", "--peers"), ("--start", "--server", "h:1"),
                      ("--start", "--server-pid", "1")):
            status, output = run("bench", "--backend", "flowfabric", *words)
            self.assertEqual(status, 2, (words, output))
        self.assertEqual(run("bench", "--start")[0], 2)
        self.assertEqual(run("bench", "--backend", "valkey", "--lane", "x")[0], 2)

    def test_an_interrupt_or_a_fault_half_way_leaves_nothing(self) -> None:
        with claim_server.alone("auto") as server, tempfile.TemporaryDirectory() as folder:
            client = store.connect(server.address)
            client.hset("ff:config:partitions", "num_flow_partitions", "8")
            client.hset(f"ff:exec:{{fp:7}}:{_ID}:core", "lane_id", "another's")
            client.zadd("ff:idx:{fp:7}:lane:another's:eligible", {_ID: 1})
            before = sorted(client.keys())
            program = Path(folder) / load_job.PRESET / "bench" / load_job.PROGRAM
            program.parent.mkdir(parents=True)
            program.write_text(_PROGRAM.format(python=sys.executable,
                                               scripts=str(build.ROOT / "scripts")), "utf-8")
            program.chmod(0o755)
            made: Callable[[], bool] = lambda: len(client.keys()) > len(before) + 20
            for how, status in (("fails", 1), ("waits", 128 + signal.SIGINT)):
                process = subprocess.Popen(
                    [sys.executable, "-c", _STARTER, folder, server.address],
                    cwd=build.ROOT / "scripts", text=True, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, env={**os.environ, "STAND_IN": how})
                self.addCleanup(process.kill)
                limit = time.monotonic() + 30
                while how == "waits" and not made() and time.monotonic() < limit:
                    time.sleep(0.02)
                if how == "waits":
                    self.assertTrue(made())
                    process.send_signal(signal.SIGINT)
                output, _ = process.communicate(timeout=60)
                self.assertEqual(process.returncode, status, output)
                self.assertEqual(sorted(client.keys()), before, how)
                if how == "fails":
                    self.assertIn("a fault half-way", output)

    def test_a_lane_in_use_is_refused(self) -> None:
        with claim_server.alone("auto") as server, tempfile.TemporaryDirectory() as folder:
            client = store.connect(server.address)
            client.zadd("ff:idx:{fp:7}:lane:busy*:eligible", {_ID: 1})
            for lane, is_busy in (("busy*", True), ("busy", False)):
                place = load_job.Place("", server.address, client, lane, 8)
                program = load_job.Program(place, 1, 1, Path(folder))
                with self.assertRaises(load_job.LoadError if is_busy else OSError):
                    build.BUILD, kept = Path(folder), build.BUILD  # a folder without the program
                    try:
                        program.__enter__()
                    finally:
                        build.BUILD = kept


# This program runs the job without a build. The load program comes from the folder that the first
# argument names.
_STARTER = """\
import sys
from pathlib import Path
from jobs.bench import options
from jobs.common import build
from jobs.live import load_job
build.configure = build.build = lambda *words: None
build.build_directory = lambda preset: Path(sys.argv[1]) / preset
arguments, _ = options.parse(["--backend", "flowfabric", "--url", "http://127.0.0.1:1",
                              "--valkey", sys.argv[2], "--quick", "--workers", "4"])
sys.exit(load_job.main(arguments))
"""


if __name__ == "__main__":
    unittest.main()
