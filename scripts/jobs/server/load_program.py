# SPDX-License-Identifier: Apache-2.0
"""Puts load on one server or cluster with the load program, and measures what the load costs."""

import contextlib
import json
import os
import select
import subprocess
import time
import urllib.parse
from pathlib import Path
from typing import Any

from jobs.common import build, wheels
from jobs.server import claim_server, functions as server_functions

PROGRAM = "server_load"
_LIMITS = build.ROOT / "bench" / "server_limits.lua"
LIMITS_LIBRARY = "ffgrant_bench"
WORKER_INSTANCE = "worker-1-a"  # as in bench/server_load.cc
PARTITIONS = 256
_SILENCE_SECONDS = 120


class LoadError(Exception):
    """The address can't be used, the load program ended or did not answer, or a check of its
    effects failed."""


def _password() -> str:
    """The password as the library's SetPasswordFromEnvironment() reads it; the library has already
    accepted it."""
    path = os.environ.get("FFGRANT_PASSWORD_FILE")
    if path:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read().removesuffix("\n").removesuffix("\r")
    return os.environ.get("FFGRANT_PASSWORD", "")


def described(address: str) -> dict[str, Any]:
    """The parts of an address, as the library itself reads it: {"username", "tls", "servers"}."""
    done = subprocess.run([str(_program()), "--describe", f"--server={address}"], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise LoadError(f"--server: {done.stderr.strip()}")
    return dict(json.loads(done.stdout))


def connect(address: str) -> Any:
    """A client of redis-py to the first server that the address names."""
    found = described(address)
    server = found["servers"][0]
    # The encoding of a path undoes server_load's Quoted(), which writes the path's bytes.
    where: dict[str, Any] = {"host": server["host"], "port": server["port"]}
    if server["host"].startswith("/"):
        path = server["host"].encode("latin-1").decode(errors="surrogateescape")
        where = {"unix_socket_path": path}
    if found["tls"]:
        if os.environ.get("FFGRANT_TLS_SERVER_NAME"):
            raise LoadError("FFGRANT_TLS_SERVER_NAME: the benchmark looks at the server by a "
                            "client that checks the name it connects to, and no other")
        where.update(ssl=True, ssl_check_hostname=True,
                     ssl_ca_certs=os.environ.get("FFGRANT_TLS_CA_FILE"),
                     ssl_certfile=os.environ.get("FFGRANT_TLS_CERTIFICATE_FILE"),
                     ssl_keyfile=os.environ.get("FFGRANT_TLS_KEY_FILE"))
    password = _password()
    login = {"username": found["username"] or None, "password": password} if password or \
        found["username"] else {}
    return wheels.client_module().Redis(socket_timeout=60, **where, **login)


def _program() -> Path:
    return build.build_directory("bench") / "bench" / PROGRAM


class Target:
    """A server, or the primaries of a cluster, with load in a lane of its own."""

    def __init__(self, addresses, lane, seed, owned, control=None, variables=None):
        """control: the addresses by which this class looks at the same servers. variables:
        additions to the load program's environment."""
        self.addresses = addresses
        self.lane = lane
        self.owned = owned  # whether the server is ours, so that we may flush it
        self.cpu_of = [connect(address) for address in control or addresses]
        self._variables = variables or {}
        self.description = claim_server.describe(self.cpu_of[0].info("server"))
        if len(addresses) > 1:
            self.description += f", {len(addresses)} primaries"
        self._libraries = self._library_names()  # the libraries that were there before ours
        self._process = None
        self._unread = b""  # output of the program that _answer() has not returned yet
        self._seed = seed
        self._expected_active = 0

    # ---- the load program ----

    def start(self):
        self._process = subprocess.Popen(
            [str(_program()), f"--server={','.join(self.addresses)}", f"--lane={self.lane}",
             f"--seed={self._seed}"],
            env={**os.environ, **self._variables},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            start_new_session=True)
        self._unread = b""

    def stop(self):
        process, self._process = self._process, None
        if process:
            process.kill()
            process.communicate()

    def _ask(self, line):
        assert self._process and self._process.stdin
        try:
            self._process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            self._fail(line)

    def _answer(self, line):
        """Returns the next line that the program prints."""
        assert self._process and self._process.stdout
        while b"\n" not in self._unread:
            output = self._process.stdout
            ready, _, _ = select.select([output], [], [], _SILENCE_SECONDS)
            chunk = os.read(output.fileno(), 65536) if ready else b""
            if not chunk:
                self._fail(line)
            self._unread += chunk
        answer, _, self._unread = self._unread.partition(b"\n")
        return answer.decode()

    def _fail(self, line):
        assert self._process
        self._process.kill()
        _, errors = self._process.communicate()
        self._process = None
        raise LoadError(f"`{line}` on {self.description}: "
                        f"{errors.decode(errors='replace').strip() or 'no answer'}")

    # ---- measuring ----

    def _cpu(self):
        """The seconds of CPU that the nodes have used so far."""
        total = 0.0
        for node in self.cpu_of:
            info = node.info("cpu")
            total += info["used_cpu_user"] + info["used_cpu_sys"]
        return total

    def load(self, line):
        """Runs one load. Returns its figures, with server_cpu in seconds."""
        before = self._cpu()
        self._ask(line)
        figures = json.loads(self._answer(line))
        figures["server_cpu"] = self._cpu() - before
        steps = [word.split(":")[0] for word in line.split()[3:]]
        if line.startswith(("closed", "open")):
            if "claim" in steps or "fused" in steps:
                self._expected_active += figures["count"]
            if "complete" in steps:
                self._expected_active -= figures["count"]
        return figures

    def check(self):
        """Checks that the server holds as many leases as the load program claimed and did not
        complete."""
        held = 0
        for node in self.cpu_of:
            pipeline = node.pipeline(transaction=False)
            for partition in self._partitions_of(node):
                pipeline.zcard(f"ff:idx:{{fp:{partition}}}:lane:{self.lane}:active")
            held += sum(pipeline.execute())
        if held != self._expected_active:
            raise LoadError(f"{self.description}: {held} leases are held after "
                            f"{self._expected_active} claims")

    def _partitions_of(self, node):
        """The partitions whose slots the node serves."""
        if len(self.cpu_of) == 1:
            return range(PARTITIONS)
        port = node.connection_pool.connection_kwargs["port"]
        served = [(first, last) for first, last, _, of in _slots(node) if of == port]
        crc = wheels.client_module().crc.key_slot
        return [p for p in range(PARTITIONS)
                if any(first <= crc(f"{{fp:{p}}}".encode()) <= last for first, last in served)]

    # ---- what is left behind ----

    def load_limits(self):
        source = _LIMITS.read_text(encoding="utf-8")
        for node in self.cpu_of:
            node.function_load(source, replace=True)

    def forget(self):
        """Removes all executions that were made so far."""
        if self.owned:
            for node in self.cpu_of:
                node.flushall()
        else:
            self._forget_each()
        self._ask("forget")
        self._answer("forget")
        self._expected_active = 0

    def _forget_each(self):
        self._ask("ids")
        ids = []
        while (line := self._answer("ids").strip()) != ".":
            ids.append(line)
        redis = wheels.client_module()
        for node in self.cpu_of:
            tags = {f"{{fp:{partition}}}" for partition in self._partitions_of(node)}
            own = [text for text in ids if text[:text.index("}") + 1] in tags]
            for i in range(0, len(own), 500):
                pipeline = node.pipeline(transaction=False)
                for text in own[i:i + 500]:
                    tag = text[:text.index("}") + 1]
                    pipeline.fcall("ffgrant_bench_forget", 1, f"ff:exec:{tag}:{text}:core", text,
                                   self.lane, WORKER_INSTANCE)
                with contextlib.suppress(redis.ResponseError):
                    pipeline.execute()

    def leave(self):
        """Removes everything that this Target put on a server that is not ours."""
        redis = wheels.client_module()
        if self.owned:
            return
        if self._process:
            with contextlib.suppress(LoadError, redis.RedisError):
                self.forget()
        for node in self.cpu_of:
            for name in (LIMITS_LIBRARY, server_functions.LIBRARY):
                # Such a library was not there before: load_limits() or the client has loaded it.
                if name not in self._libraries:
                    with contextlib.suppress(redis.RedisError):
                        node.function_delete(name)

    def _library_names(self):
        return {mapping(entry)["library_name"] for entry in self.cpu_of[0].function_list()}

    def library(self):
        """The library whose functions are measured, as FUNCTION LIST names it."""
        owners = {mapping(function)["name"]: fields["library_name"]
                  for fields in map(mapping, self.cpu_of[0].function_list())
                  for function in fields["functions"]}
        # This is the client's choice: FlowFabric's functions come before ours.
        for prefix in (server_functions.THEIR_PREFIX, server_functions.OUR_PREFIX):
            if prefix + "claim_execution" in owners:
                return owners[prefix + "claim_execution"]
        return "none"


def mapping(entry):
    """A reply, which is a mapping or a flat list, as a dict with texts decoded."""
    items = entry.items() if isinstance(entry, dict) else zip(entry[::2], entry[1::2])
    decode = lambda value: value.decode() if isinstance(value, bytes) else value
    return {decode(key): decode(value) for key, value in items}


def _slots(node: Any) -> list[tuple[int, int, str, int]]:
    """Returns (first slot, last slot, primary's host, its port) for each range of the cluster."""
    reply = node.execute_command("CLUSTER", "SLOTS")
    if isinstance(reply, dict):  # redis-py parsed it: {(first, last): {"primary": (host, port)}}
        return [(first, last, *entry["primary"][:2]) for (first, last), entry in reply.items()]
    # [first, last, [host, port, ...], replicas...]
    return [(entry[0], entry[1], _text(entry[2][0]), entry[2][1]) for entry in reply]


def primaries(address: str) -> list[str]:
    """The addresses of all primaries if `address` belongs to a cluster, else `address` alone."""
    found = described(address)
    node = connect(address)
    info = node.info("server")
    if (info.get("server_mode") or info.get("redis_mode")) != "cluster":
        return [address]
    host = found["servers"][0]["host"]
    own = "127.0.0.1" if host.startswith("/") else host
    user = urllib.parse.quote(found["username"], safe="")
    places = sorted({(first, entry_host or own, port)
                     for first, _, entry_host, port in _slots(node)})
    seen = dict.fromkeys((entry_host, port) for _, entry_host, port in places)
    scheme = "valkeys" if found["tls"] else "valkey"
    return [f"{scheme}://{user}{'@' * bool(user)}" +
            (f"[{entry_host}]:{port}" if ":" in entry_host else f"{entry_host}:{port}")
            for entry_host, port in seen]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


@contextlib.contextmanager
def targets(made):
    """Starts the load program of each target. At the end, calls each target's leave() and stops
    the target's program."""
    try:
        for target in made:
            target.start()
        yield made
    finally:
        for target in made:
            target.leave()
            target.stop()


def lane_name():
    return f"ffgrant-bench-{time.time_ns() // 1000:x}"
