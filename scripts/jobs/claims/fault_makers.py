# SPDX-License-Identifier: Apache-2.0
"""Makes the faults: each class starts its servers. While a load runs on them, it breaks and mends
the servers or, in one class, the clients."""

import contextlib
import dataclasses
import random
import resource
import signal
import time

from jobs.server import claim_server

# This is longer than a call of fault_load may take.
_STOPPED_SECONDS = 0.9
_CUT_SECONDS = 0.3
_FULL_SECONDS = 0.3
# Loopback addresses. A node of Move listens on all of them, and announces one at a time.
_HOSTS = tuple(f"127.0.0.{i}" for i in range(1, 9))
_PATIENCE_SECONDS = 60


def _wait_for(condition, what):
    limit = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < limit:
        if condition():
            return
        time.sleep(0.05)
    raise claim_server.ServerError(f"waited {_PATIENCE_SECONDS} s for {what}")


class Fault:
    """One kind of fault. make() may be called again and again while a load runs."""
    may_lose = False
    confirm = False  # whether the load asks replicas to confirm

    def __init__(self, chance, seconds, transport="tcp"):
        self.chance = chance
        self.seconds = seconds  # how long the load will last
        self.settings = claim_server.Settings(appendonly=True, appendfsync="always",
                                              transport=transport)
        self.made = 0
        self.load_pid = 0  # the id of the clients' process, once it runs

    def servers(self, engine):
        """Returns a context manager that runs the server or cluster on which the load is put. It
        yields a Server or a Cluster of claim_server."""
        return claim_server.alone(engine, self.settings)

    def make(self, running):
        raise NotImplementedError

    def pause(self):
        """Seconds of undisturbed load before the next fault."""
        return self.chance.uniform(0.1, 0.3) * self.seconds

    def problem(self):
        """Called once the load has ended. Returns what is wrong with the servers, whatever the
        histories show; "" if nothing is."""
        return ""


class Kill(Fault):
    name = "kill"

    def make(self, running):
        running.kill()
        time.sleep(self.chance.uniform(0, 0.2))
        running.start()
        self.made += 1


class Stop(Fault):
    name = "stop"

    def make(self, running):
        running.kill(signal.SIGSTOP)
        time.sleep(_STOPPED_SECONDS)
        running.kill(signal.SIGCONT)
        self.made += 1


class Library(Fault):
    name = "library"

    def make(self, running):
        running.kill()
        running.start()
        # The server has loaded its functions from its disk again. They are removed right away, so
        # that the load finds a server without functions.
        running.client().execute_command("FUNCTION", "FLUSH", "SYNC")
        self.made += 1


class Migration(Fault):
    """Moves slots that have keys, one in each make(), as a resharding does."""
    name = "migration"

    def servers(self, engine):
        return claim_server.cluster(engine, self.settings)

    def pause(self):
        return self.chance.uniform(0.0, 0.05)

    def make(self, running):
        source, target = self.chance.sample(running.primaries, 2)
        slot = self._slot_with_keys(source)
        if slot is None:
            return
        ids = {node: node.client().execute_command("CLUSTER", "MYID").decode()
               for node in (source, target)}
        at = source.client()
        target.client().execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        at.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        while True:
            keys = at.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 20)
            if not keys:
                break
            at.execute_command("MIGRATE", claim_server.HOST, target.port, "", 0, 5000, "KEYS",
                               *keys)
            time.sleep(0.002)  # calls come in between
        for node in (target, source, *running.primaries):
            node.client().execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
        self.made += 1

    def _slot_with_keys(self, source):
        client = source.client()
        key = client.execute_command("RANDOMKEY")
        return None if key is None else client.execute_command("CLUSTER", "KEYSLOT", key)


def _drop_connections(node):
    node.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


class Freeze(Fault):
    """For longer than a call may take, one shard of three does not answer."""
    name = "freeze"

    def servers(self, engine):
        return claim_server.cluster(engine, self.settings)

    def make(self, running):
        victim = self.chance.choice(running.primaries)
        victim.kill(signal.SIGSTOP)
        time.sleep(_STOPPED_SECONDS)
        victim.kill(signal.SIGCONT)
        self.made += 1


class Move(Fault):
    """A node announces another address, or comes back at another port, as pods do."""
    name = "move"

    def servers(self, engine):
        listens = dataclasses.replace(self.settings, extra=("--bind", *_HOSTS))
        return claim_server.cluster(engine, listens)

    def make(self, running):
        node = self.chance.choice(running.nodes)
        if self.chance.random() < 0.5:
            node.kill()
            node.port = node.bus_port = 0
            node.start()
        else:
            host = self.chance.choice(_HOSTS)
            node.client().config_set("cluster-announce-ip", host)
            if self.chance.random() < 0.5:
                _drop_connections(node)
        own = node.client().execute_command("CLUSTER", "MYID").decode()
        _wait_for(lambda: running.settled() and all(
            self._announced(other, own).endswith(f":{node.port}") for other in running.nodes),
            "the others to learn the new address")
        self.made += 1

    @staticmethod
    def _announced(node, node_id):
        lines = node.client().execute_command("CLUSTER", "NODES", NEVER_DECODE=True).decode()
        return next((line.split()[1].partition("@")[0] for line in lines.splitlines()
                     if line.startswith(node_id)), "")


class Leave(Fault):
    """A member without slots leaves for another cluster, serves half of the slots there, and
    comes back."""
    name = "leave"

    @contextlib.contextmanager
    def servers(self, engine):
        with claim_server.cluster(engine, self.settings) as running, \
                claim_server.node(engine, self.settings) as guest, \
                claim_server.node(engine, self.settings) as self.other:
            self.other.client().execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
            self.guest, self.away, self.running = guest, False, running
            running.nodes.append(guest)  # the clients are configured with the guest as well
            self._meet(guest, running.primaries[0])
            _wait_for(running.settled, "the guest to be known to all")
            yield running

    def make(self, running):
        if self.away:
            self.guest.client().execute_command("CLUSTER", "DELSLOTSRANGE", 8192, 16383)
            self._leave([self.other], "HARD")
            self._meet(self.guest, running.primaries[0])
            _wait_for(running.settled, "the guest to come back")
        else:
            running.nodes.remove(self.guest)
            self._leave(running.nodes, self.chance.choice(("HARD", "SOFT")))
            self._meet(self.guest, self.other)
            self.guest.client().execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
            _wait_for(lambda: b"cluster_state:ok" in self.guest.client().execute_command(
                "CLUSTER", "INFO", NEVER_DECODE=True), "the other cluster to be whole")
            running.nodes.append(self.guest)
        self.away = not self.away
        # A client that has to connect again asks some node for the slot table.
        _drop_connections(self.chance.choice(running.primaries))
        self.made += 1

    def problem(self):
        keys = {node.address: node.client().dbsize() for node in (self.guest, self.other)}
        written = [f"{count} keys on {address}" for address, count in keys.items() if count]
        return f"the other cluster was written to: {', '.join(written)}" if written else ""

    @staticmethod
    def _meet(node, other):
        node.client().execute_command("CLUSTER", "MEET", claim_server.HOST, other.port,
                                      other.bus_port)

    def _leave(self, members, how):
        own = self.guest.client().execute_command("CLUSTER", "MYID")
        self.guest.client().execute_command("CLUSTER", "RESET", how)
        for member in members:
            member.client().execute_command("CLUSTER", "FORGET", own)


class Descriptors(Fault):
    """The clients' process can't open any further descriptor, and its connections break."""
    name = "descriptors"

    def make(self, running):
        limits = resource.prlimit(self.load_pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.load_pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            _drop_connections(running)
            time.sleep(_FULL_SECONDS)
        finally:
            resource.prlimit(self.load_pid, resource.RLIMIT_NOFILE, limits)
        self.made += 1


class Failover(Fault):
    name = "failover"
    may_lose = True

    def servers(self, engine):
        # These servers keep nothing on disk: see make().
        return claim_server.cluster(engine, claim_server.Settings(
            transport=self.settings.transport), replicas=1)

    def make(self, running):
        victim = self.chance.choice(
            [node for node in running.nodes if self._is_primary(node)])
        self.end(running, victim)
        # The primary has nothing on disk. If it were back before its replica took over, it would
        # come up empty, still be the primary, and make its replica drop the data too.
        _wait_for(lambda: self._is_taken_over(running, victim), "a replica to take over")
        victim.start()
        _wait_for(lambda: self._follows(victim), "the old primary to follow the new one")
        self.made += 1

    def end(self, _running, victim):
        victim.kill()

    @staticmethod
    def _is_primary(node):
        return node.client().info("replication")["role"] == "master"

    @staticmethod
    def _follows(node):
        with contextlib.suppress(Exception):
            replication = node.client().info("replication")
            return replication["role"] == "slave" and replication["master_link_status"] == "up"
        return False

    def _is_taken_over(self, running, victim):
        living = [node for node in running.nodes if node is not victim]
        return (sum(map(self._is_primary, living)) == len(running.primaries)
                and all(b"cluster_state:ok" in self._cluster_info(node) for node in living))

    @staticmethod
    def _cluster_info(node):
        # This is a raw command, because the client's own method would parse the reply.
        return node.client().execute_command("CLUSTER", "INFO", NEVER_DECODE=True)


class CutFailover(Failover):
    """The primary dies after it has been cut off from its replica for a while."""
    name = "failover-cut"

    def end(self, running, victim):
        replica = next(node for node in running.nodes if node is not victim
                       and self._primary_of(node) == victim.port)
        replica.kill(signal.SIGSTOP)  # so that the replica does not reconnect
        victim.client().execute_command("CLIENT", "KILL", "TYPE", "replica")
        time.sleep(_CUT_SECONDS)
        victim.kill()
        replica.kill(signal.SIGCONT)

    @staticmethod
    def _primary_of(node):
        return node.client().info("replication").get("master_port")


class ConfirmedFailover(CutFailover):
    name = "failover-wait"
    confirm = True


KINDS = {kind.name: kind for kind in
         (Kill, Stop, Library, Descriptors, Freeze, Move, Leave, Migration, Failover, CutFailover,
          ConfirmedFailover)}


def make_fault(name, seed, seconds, transport="tcp"):
    return KINDS[name](random.Random(seed), seconds, transport)
