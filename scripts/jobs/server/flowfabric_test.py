# SPDX-License-Identifier: Apache-2.0
"""Tests that FlowFabric's server is started, told where its Valkey is, and always stopped. A
stand-in of a few lines takes the server's place, since the real one takes minutes to build."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
from pathlib import Path

from jobs.common import build
from jobs.server import flowfabric

_STAND_IN = """\
#!PYTHON
import http.server, os, sys
if os.environ.get("STAND_IN") == "fails":
    print("no such Valkey")
    sys.exit(7)
host, port = os.environ["FF_LISTEN_ADDR"].split(":")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = "\\n".join(f"{k}={v}" for k, v in sorted(os.environ.items())
                         if k.startswith("FF_")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *words):
        pass
http.server.HTTPServer((host, int(port)), Handler).serve_forever()
""".replace("PYTHON", sys.executable)


class FlowFabricServer(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.stand_in = Path(directory.name) / "ff-server"
        self.stand_in.write_text(_STAND_IN, encoding="utf-8")
        self.stand_in.chmod(0o755)

    def _command(self, *words: str, **names: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(build.ROOT / "scripts" / "flowfabric-server"), *words], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "FFGRANT_FF_SERVER": str(self.stand_in), **names})

    def _run(self, *words: str, **names: str) -> tuple[int, str, str]:
        process = self._command(*words, **names)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors

    def test_a_command_finds_a_deployment_that_ends_with_it(self) -> None:
        script = textwrap.dedent("""\
            import os, urllib.request
            print(urllib.request.urlopen(os.environ["FFGRANT_ISSUER"]).read().decode())
            print("pids", os.environ["FFGRANT_SERVER_PIDS"])
            print("valkey", os.environ["FFGRANT_SERVER"])
            print("mine", "FF_API_TOKEN" in os.environ)
            raise SystemExit(5)""")
        status, output, errors = self._run("--lanes", "a,b", "--partitions", "512", "--token", "--",
                                           sys.executable, "-c", script, FF_BACKEND="else's")
        self.assertEqual(status, 5, errors)
        said = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
        told = dict(line.split(" ", 1) for line in output.splitlines() if "=" not in line)
        self.assertEqual(said["FF_LANES"], "a,b")
        self.assertEqual(said["FF_FLOW_PARTITIONS"], "512")
        self.assertEqual(f"{said['FF_HOST']}:{said['FF_PORT']}", told["valkey"])
        self.assertEqual(len(said["FF_API_TOKEN"]), 32)
        self.assertEqual(told["mine"], "True")
        self.assertNotIn("FF_BACKEND", said)
        for pid in told["pids"].split(","):
            with self.assertRaises(ProcessLookupError):
                os.kill(int(pid), 0)

    def test_with_tls_both_servers_are_reached_by_it_and_all_ends_with_the_command(self) -> None:
        script = textwrap.dedent("""\
            import os, ssl, sys, urllib.request
            sys.path.insert(0, sys.argv[1])
            from jobs.server import store
            url, address = os.environ["FFGRANT_ISSUER"], os.environ["FFGRANT_SERVER_URL"]
            def ask(ca):
                trust = ssl.create_default_context(cafile=ca)
                return urllib.request.urlopen(url + "/healthz", context=trust).status
            print(url, ask(os.environ["FF_API_CA_FILE"]))
            print(address, store.connect(address).ping())
            stranger = os.environ["FFGRANT_TLS_CA_FILE"].replace("ca.pem", "stranger.pem")
            os.environ["FFGRANT_TLS_CA_FILE"] = stranger
            for reach in (lambda: ask(stranger), lambda: store.connect(address)):
                try:
                    reach()
                except (OSError, store.NoStore) as error:
                    print(error)""")
        status, output, errors = self._run("--tls", "--", sys.executable, "-c", script,
                                           str(build.ROOT / "scripts"))
        self.assertEqual(status, 0, errors)
        lines = output.splitlines()
        self.assertRegex(lines[0], r"^https://127\.0\.0\.1:\d+ 200$")
        self.assertRegex(lines[1], r"^valkeys://127\.0\.0\.1:\d+ True$")
        self.assertEqual(len(lines), 4, output)
        for line in lines[2:]:
            self.assertIn("certificate verify failed: unable to get local issuer", line)
        for line in lines[:2]:
            port = int(line.split()[0].rpartition(":")[2])
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()

    def test_without_a_command_it_says_where_it_is_until_it_is_interrupted(self) -> None:
        process = self._command("--token")
        assert process.stdout
        lines = [process.stdout.readline().strip() for _ in range(5)]
        said = dict(line.split("=", 1) for line in lines)
        self.assertEqual(set(said), {"FFGRANT_ISSUER", "FFGRANT_SERVER", "FFGRANT_SERVER_URL",
                                     "FFGRANT_LANES", "FFGRANT_SERVER_PIDS"})
        self.assertEqual(said["FFGRANT_SERVER_URL"], said["FFGRANT_SERVER"])
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
        self.assertEqual(output, "")
        self.assertEqual(process.returncode, 128 + signal.SIGTERM)
        limit = time.monotonic() + 10
        for pid in said["FFGRANT_SERVER_PIDS"].split(","):
            while time.monotonic() < limit and Path(f"/proc/{pid}").exists():
                time.sleep(0.05)
            self.assertFalse(Path(f"/proc/{pid}").exists())

    def test_a_server_that_does_not_start_is_said(self) -> None:
        status, _, errors = self._run("--", "true", STAND_IN="fails")
        self.assertEqual(status, 3)
        self.assertIn("ended with status 7", errors)
        self.assertIn("no such Valkey", errors)

    def test_what_is_missing_is_said(self) -> None:
        status, _, errors = self._run("--", "true", FFGRANT_FF_SERVER="/nowhere/ff-server")
        self.assertEqual(status, 3, errors)
        self.assertIn("/nowhere/ff-server", errors)
        with tempfile.TemporaryDirectory() as empty:
            kept = flowfabric.wheels.CACHE
            named = os.environ.pop("FFGRANT_FF_SERVER", None)
            flowfabric.wheels.CACHE = Path(empty)
            try:
                with self.assertRaisesRegex(flowfabric.MissingServer, "flowfabric-server --build"):
                    flowfabric.find()
            finally:
                flowfabric.wheels.CACHE = kept
                if named is not None:
                    os.environ["FFGRANT_FF_SERVER"] = named

    def test_wrong_usage(self) -> None:
        self.assertEqual(self._run("--partitions", "0")[0], 2)
        self.assertEqual(self._run("--no-such-option")[0], 2)


if __name__ == "__main__":
    unittest.main()
