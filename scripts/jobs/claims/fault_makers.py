# SPDX-License-Identifier: Apache-2.0
"""The faults: each class starts its servers, and breaks and mends them under somebody's load."""

import contextlib
import random
import signal
import time

from jobs.server import claim_server

_DURABLE = claim_server.Settings(appendonly=True, appendfsync="always")
# Longer than fault_load lets a call take.
_STOPPED_SECONDS = 0.9
_CUT_SECONDS = 0.3
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

    def __init__(self, chance, seconds):
        self.chance = chance
        self.seconds = seconds  # how long the load will last
        self.made = 0

    def servers(self, engine):
        """A context that gives what is under load: it has address, nodes of a cluster, client()."""
        return claim_server.alone(engine, _DURABLE)

    def make(self, running):
        raise NotImplementedError

    def pause(self):
        """Seconds of undisturbed load before the next fault."""
        return self.chance.uniform(0.1, 0.3) * self.seconds


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
        # Nobody's call gets through between the two: the functions go with the first command.
        running.client().execute_command("FUNCTION", "FLUSH", "SYNC")
        self.made += 1


class Migration(Fault):
    """Moves one slot after the other that has keys, as a resharding does."""
    name = "migration"

    def servers(self, engine):
        return claim_server.cluster(engine, _DURABLE)

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


class Failover(Fault):
    name = "failover"
    may_lose = True

    def servers(self, engine):
        return claim_server.cluster(engine, replicas=1)

    def make(self, running):
        victim = self.chance.choice(
            [node for node in running.nodes if self._is_primary(node)])
        self.end(running, victim)
        # It has nothing on disk: were it back before its replica took over, it would come up
        # empty, still be the primary, and take its replica's data with it.
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
        # Raw: the client would take it apart.
        return node.client().execute_command("CLUSTER", "INFO", NEVER_DECODE=True)


class CutFailover(Failover):
    """The primary dies when it has been cut off from its replica for a while."""
    name = "failover-cut"

    def end(self, running, victim):
        replica = next(node for node in running.nodes if node is not victim
                       and self._primary_of(node) == victim.port)
        replica.kill(signal.SIGSTOP)  # or it would be back at once
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
         (Kill, Stop, Library, Migration, Failover, CutFailover, ConfirmedFailover)}


def make_fault(name, seed, seconds):
    return KINDS[name](random.Random(seed), seconds)
