# SPDX-License-Identifier: Apache-2.0
"""One server, or cluster, under the load program, and what a load costs it."""

import contextlib
import json
import os
import select
import subprocess
import time

from jobs.common import build, wheels
from jobs.server import claim_server, functions as server_functions

PROGRAM = "server_load"
_LIMITS = build.ROOT / "bench" / "server_limits.lua"
LIMITS_LIBRARY = "ffgrant_bench"
WORKER_INSTANCE = "worker-1-a"  # as in bench/server_load.cc
PARTITIONS = 256
_SILENCE_SECONDS = 120


class LoadError(Exception):
    """The load program ended, or a check of what it did failed."""


class Target:
    """A server, or the primaries of a cluster, that gets load in a lane of its own."""

    def __init__(self, addresses, lane, seed, owned):
        redis = wheels.client_module()
        self.addresses = addresses
        self.lane = lane
        self.owned = owned  # ours to flush
        self.cpu_of = [redis.Redis(host=host, port=int(port), socket_timeout=60)
                       for host, port in (address.rsplit(":", 1) for address in addresses)]
        self.description = claim_server.describe(self.cpu_of[0].info("server"))
        if len(addresses) > 1:
            self.description += f", {len(addresses)} primaries"
        self._libraries = self._library_names()  # before anything was loaded
        self._process = None
        self._unread = b""  # of what it printed
        self._seed = seed
        self._expected_active = 0

    # ---- the load program ----

    def start(self):
        program = build.build_directory("bench") / "bench" / PROGRAM
        self._process = subprocess.Popen(
            [str(program), f"--server={','.join(self.addresses)}", f"--lane={self.lane}",
             f"--seed={self._seed}"],
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
        """The next line that the program prints."""
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
        """Seconds of CPU that the nodes have used so far."""
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
        """The server must hold exactly the leases that the load program was told it has."""
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
        """The partitions whose slot the node serves."""
        if len(self.cpu_of) == 1:
            return range(PARTITIONS)
        # CLUSTER SLOTS: [first, last, [host, port, ...], replicas...]
        port = node.connection_pool.connection_kwargs["port"]
        served = [(entry[0], entry[1]) for entry in _slots(node) if entry[2] == port]
        crc = wheels.client_module().crc.key_slot
        return [p for p in range(PARTITIONS)
                if any(first <= crc(f"{{fp:{p}}}".encode()) <= last for first, last in served)]

    # ---- what is left behind ----

    def load_limits(self):
        source = _LIMITS.read_text(encoding="utf-8")
        for node in self.cpu_of:
            node.function_load(source, replace=True)

    def forget(self):
        """Removes all executions so far."""
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
        """Takes away what this put there, on a server that is somebody else's."""
        redis = wheels.client_module()
        if self.owned:
            return
        if self._process:
            with contextlib.suppress(LoadError, redis.RedisError):
                self.forget()
        for node in self.cpu_of:
            for name in (LIMITS_LIBRARY, server_functions.LIBRARY):
                if name not in self._libraries:  # the client loads ours where there is none
                    with contextlib.suppress(redis.RedisError):
                        node.function_delete(name)

    def _library_names(self):
        return {mapping(entry)["library_name"] for entry in self.cpu_of[0].function_list()}

    def library(self):
        """The library whose functions are measured, as FUNCTION LIST names it."""
        owners = {mapping(function)["name"]: fields["library_name"]
                  for fields in map(mapping, self.cpu_of[0].function_list())
                  for function in fields["functions"]}
        # As the client chooses: FlowFabric's functions before ours.
        for prefix in (server_functions.THEIR_PREFIX, server_functions.OUR_PREFIX):
            if prefix + "claim_execution" in owners:
                return owners[prefix + "claim_execution"]
        return "none"


def mapping(entry):
    """A reply that is a mapping or a flat list, with texts decoded."""
    items = entry.items() if isinstance(entry, dict) else zip(entry[::2], entry[1::2])
    decode = lambda value: value.decode() if isinstance(value, bytes) else value
    return {decode(key): decode(value) for key, value in items}


def _slots(node):
    """(first slot, last slot, port of the primary) of the cluster."""
    reply = node.execute_command("CLUSTER", "SLOTS")
    if isinstance(reply, dict):  # redis-py parses it: {(first, last): {"primary": (host, port)}}
        return [(first, last, entry["primary"][1]) for (first, last), entry in reply.items()]
    return [(entry[0], entry[1], entry[2][1]) for entry in reply]


def primaries(address):
    """The addresses of all primaries if `address` is of a cluster, else the address itself."""
    redis = wheels.client_module()
    host, port = address.rsplit(":", 1)
    node = redis.Redis(host=host, port=int(port), socket_timeout=10)
    info = node.info("server")
    if (info.get("server_mode") or info.get("redis_mode")) != "cluster":
        return [address]
    cluster = redis.RedisCluster(host=host, port=int(port))
    return [f"{each.host}:{each.port}" for each in cluster.get_primaries()]


@contextlib.contextmanager
def targets(made):
    """Starts the load program of each target, and in the end takes all away again."""
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
