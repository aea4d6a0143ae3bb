# SPDX-License-Identifier: Apache-2.0
"""Runs a worker, and the commands that use a deployment, on a deployment that they did not start.
Both of its servers are reached by TLS. Only scripts/test --long starts this file, since its tests
are slow and need FlowFabric's server.

A certificate authority is made for the run. FlowFabric's server has no TLS, so stunnel4 speaks TLS
in front of it. If Valkey was built without TLS, stunnel4 speaks TLS in front of Valkey too.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.parse
import uuid
from pathlib import Path
from typing import Any

from jobs.common import build
from jobs.common.terminal import Terminal
from jobs.live import exchange, load_job, routes
from jobs.server import claim_server, flowfabric, store

_LANE = "over-tls"
_INSTANCE = "cpp-over-tls"
_WORKER_PRESET = "gcc-release"
_COMMAND_SECONDS = 600
_REFUSAL_SECONDS = 60  # a command that does not notice what is wrong takes far longer
_EXECUTIONS = 300
# What OpenSSL, libcurl and this project say of a certificate whose authority is unknown, and of a
# certificate for another name.
_UNTRUSTED = ("unable to get local issuer certificate",
              "the server's certificate is of an authority that is not known here")
_MISNAMED = ("IP address mismatch", "no alternative certificate subject name matches",
             "the server's certificate is not for 127.0.0.1")


class OverTls(unittest.TestCase):
    """All tests use one deployment, and each test leaves the deployment as it was."""
    running: flowfabric.Deployment
    folder: Path
    token_file: Path
    # Addresses of the same two servers, at which they show a certificate for another name.
    misnamed: tuple[str, ...]
    client: Any  # a client of redis-py

    @classmethod
    def setUpClass(cls) -> None:
        try:
            flowfabric.find()
        except flowfabric.MissingServer as missing:
            raise unittest.SkipTest(str(missing)) from None
        terminal = Terminal()
        build.configure(terminal, load_job.PRESET)
        build.build(terminal, load_job.PRESET, [load_job.PROGRAM])
        build.configure(terminal, _WORKER_PRESET)
        build.build(terminal, _WORKER_PRESET, ["example_worker"])
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        settings = flowfabric.Settings(lanes=(_LANE,), flow_partitions=32,
                                       token=secrets.token_hex(16), tls=True)
        cls.running = stack.enter_context(flowfabric.deployment(settings))
        cls.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cls.token_file = cls.folder / "token"
        cls.token_file.write_text(f"{settings.token}\n", encoding="ascii")
        misnamed = []
        for scheme, port in (("https", cls.running.server.port),
                             ("valkeys", cls.running.valkey.port)):
            tunnel = claim_server.Tunnel(cls.folder, cls.running.valkey.certificates, port,
                                         certificate="elsewhere")
            stack.callback(tunnel.stop)
            tunnel.start()
            misnamed.append(f"{scheme}://{claim_server.HOST}:{tunnel.port}")
        cls.misnamed = tuple(misnamed)
        cls.client = store.connect(cls.running.valkey.address)

    def setUp(self) -> None:
        before = self.keys()

        def check() -> None:
            self.assertEqual(self.keys() - before, set(), "something was left behind")
        self.addCleanup(check)

    def keys(self) -> set[bytes]:
        return set(self.client.keys())

    def authority(self, name: str = "ca") -> str:
        return str(self.running.valkey.certificates / f"{name}.pem")

    def names(self, **others: str) -> dict[str, str]:
        """The environment of a command: the token stands in a file, and no variable for a
        deployment or for TLS is left over from the environment of these tests."""
        kept = {name: text for name, text in os.environ.items()
                if not name.startswith(("FF_", "FFGRANT_TLS_"))}
        return {**kept, "FF_API_TOKEN_FILE": str(self.token_file),
                "FFGRANT_TLS_CA_FILE": self.authority(), **others}

    def run_one(self, *words: str, **others: str) -> tuple[int, str]:
        done = subprocess.run(words, cwd=build.ROOT, env=self.names(**others), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=_COMMAND_SECONDS, check=False)
        return done.returncode, done.stdout

    def bench(self, *words: str, url: str = "", valkey: str = "", ca: str = "ca",
              **others: str) -> tuple[int, str]:
        return self.run_one(
            "./scripts/bench", "--backend", "flowfabric", "--url", url or self.running.url,
            "--valkey", valkey or self.running.valkey.url, "--ca-file", self.authority(ca),
            "--lane", _LANE, "--quick", "--workers", "8", "--out", str(self.folder), *words,
            **others)

    def conformance(self, *words: str, url: str = "", valkey: str = "", ca: str = "ca",
                    **others: str) -> tuple[int, str]:
        return self.run_one(
            "./scripts/live-conformance", "--url", url or self.running.url, "--valkey",
            valkey or self.running.valkey.url, "--ca-file", self.authority(ca), *words, **others)

    def worker_words(self, url: str = "", valkey: str = "") -> list[str]:
        program = build.build_directory(_WORKER_PRESET) / "core" / "examples" / "example_worker"
        return [str(program), url or self.running.url, valkey or self.running.valkey.url, _LANE]

    # ---- what works ----

    def test_bench_completes_every_execution_once(self) -> None:
        status, output = self.bench("--executions", str(_EXECUTIONS))
        self.assertEqual(status, 0, output)
        found = json.loads((self.folder / "flowfabric.json").read_text(encoding="utf-8"))
        self.assertEqual(found["facts"]["TLS"], "to the server, to Valkey")
        [once] = next(load["rounds"] for load in found["figures"]["deployment"]
                      if load["what"] == "once")
        for name in ("executions", "completed_once", "results_equal"):
            self.assertEqual(once[name], _EXECUTIONS, name)
        self.assertNotIn(self.token_file.read_text(encoding="ascii").strip(), output)

    def test_live_conformance_passes(self) -> None:
        status, output = self.conformance("--requests", "400", "--histories", "60")
        self.assertEqual(status, 0, output)
        self.assertEqual(output.splitlines()[-1], "460 passed, 0 failed", output)

    def test_a_worker_works_until_it_is_told_to_stop(self) -> None:
        names = [f"{{fp:{number % 32}}}:{uuid.uuid4()}" for number in range(20)]
        http = exchange.Connection(self.running.url, self.authority())
        self.addCleanup(http.close)
        token = self.token_file.read_text(encoding="ascii").strip()
        headers = (("authorization", f"Bearer {token}"), ("content-type", "application/json"))
        log = self.folder / "worker.log"
        with open(log, "wb") as output:
            environment = self.names(FF_API_CA_FILE=self.authority(),
                                     FF_WORKER_INSTANCE_ID=_INSTANCE)
            worker = subprocess.Popen(self.worker_words(), env=environment, stdout=output,
                                      stdin=subprocess.DEVNULL, stderr=output)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        self.addCleanup(store.forget, self.client, names, [_LANE], [_INSTANCE], 2)
        for name in names:
            body = {"execution_id": name, "namespace": "default", "lane_id": _LANE,
                    "execution_kind": "task", "input_payload": list(name.encode()), "priority": 0,
                    "creator_identity": "over-tls", "now": int(time.time() * 1000),
                    "partition_id": int(name[4:name.index("}")])}
            created = http.ask(routes.Request("POST", "/v1/executions", headers,
                                              json.dumps(body).encode()))
            self.assertEqual(created.status, 201, created.body)
        limit = time.monotonic() + _REFUSAL_SECONDS
        said = ""
        while said.count("completed {") < len(names):
            self.assertLess(time.monotonic(), limit, said)
            self.assertIsNone(worker.poll(), said)
            time.sleep(0.05)
            said = log.read_text(encoding="utf-8")
        worker.send_signal(signal.SIGTERM)
        self.assertEqual(worker.wait(_REFUSAL_SECONDS), 0)
        self.assertEqual(log.read_text(encoding="utf-8").splitlines()[-1], "unregistered")
        for name in names:
            answer = http.ask(routes.Request(
                "GET", f"/v1/executions/{urllib.parse.quote(name, safe='')}/result", headers))
            self.assertEqual(answer.body, name.upper().encode())

    # ---- what is refused ----

    def check_refusal(self, begin: float, status: int, output: str, *reasons: str) -> None:
        self.assertLess(time.monotonic() - begin, _REFUSAL_SECONDS)
        self.assertNotEqual(status, 0, output)
        self.assertTrue(any(reason in output for reason in reasons), output)
        self.assertNotIn("Traceback", output)

    def test_servers_that_are_not_believed_are_refused(self) -> None:
        https, valkeys = self.misnamed
        stranger = self.authority("stranger")
        for command in (self.bench, self.conformance):
            begin = time.monotonic()
            self.check_refusal(begin, *command(ca="stranger"), *_UNTRUSTED)
            self.check_refusal(begin, *command(FFGRANT_TLS_CA_FILE=stranger), *_UNTRUSTED)
            self.check_refusal(begin, *command(url=https), *_MISNAMED)
            self.check_refusal(begin, *command(valkey=valkeys), *_MISNAMED)

    def test_the_load_program_does_not_believe_them_either(self) -> None:
        # scripts/bench reaches Valkey by redis-py before it starts the load program.
        program = str(build.build_directory(load_job.PRESET) / "bench" / load_job.PROGRAM)
        for valkey, authority, reasons in (
                (self.running.valkey.url, self.authority("stranger"), _UNTRUSTED),
                (self.misnamed[1], self.authority(), _MISNAMED)):
            begin = time.monotonic()
            status, output = self.run_one(
                program, f"--url={self.running.url}", f"--valkey={valkey}", f"--lane={_LANE}",
                "--worker=w", "--ids=/dev/null", FFGRANT_TLS_CA_FILE=authority)
            self.check_refusal(begin, status, output, *reasons)

    def test_a_worker_does_not_believe_them_either(self) -> None:
        https, valkeys = self.misnamed
        begin = time.monotonic()
        self.check_refusal(begin, *self.run_one(
            *self.worker_words(), FFGRANT_TLS_CA_FILE=self.authority("stranger")), *_UNTRUSTED)
        self.check_refusal(begin, *self.run_one(*self.worker_words(valkey=valkeys)), *_MISNAMED)
        # A worker that refuses the certificate of FlowFabric's server says so, and tries again
        # until the worker is told to stop.
        for url, authority, reasons in (("", "stranger", _UNTRUSTED), (https, "ca", _MISNAMED)):
            words = ["timeout", "--preserve-status", "2", *self.worker_words(url)]
            status, output = self.run_one(*words, FF_API_CA_FILE=self.authority(authority))
            self.assertEqual(status, 0, output)
            self.assertTrue(any(reason in output for reason in reasons), output)

    def test_a_wrong_token_is_refused_and_not_shown(self) -> None:
        begin = time.monotonic()
        wrong = self.folder / "wrong-token"
        wrong.write_text("another-token\n", encoding="ascii")
        status, output = self.bench(FF_API_TOKEN_FILE=str(wrong))
        self.check_refusal(begin, status, output, "unauthorized")
        self.assertNotIn("another-token", output)

    def test_a_server_without_tls_is_refused(self) -> None:
        begin = time.monotonic()
        port = urllib.parse.urlsplit(self.running.server.url).port
        for command in (self.bench, self.conformance):
            self.check_refusal(begin, *command(url=f"https://{claim_server.HOST}:{port}"),
                               "SSL", "timed out")


if __name__ == "__main__":
    unittest.main()
