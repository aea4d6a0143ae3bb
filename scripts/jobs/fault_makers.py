# SPDX-License-Identifier: Apache-2.0
"""The faults: each class starts its servers, and breaks and mends them under somebody's load."""

import contextlib
import random
import signal
import time

from jobs import claim_server

_DURABLE = claim_server.Settings(appendonly=True, appendfsync="always")
# Longer than fault_load lets a call take.
_STOPPED_SECONDS = 0.9


class Fault:
    """One kind of fault. make() may be called again and again while a load runs."""
    may_lose = False
    confirm = False  # whether the load asks replicas to confirm

    def __init__(self, chance):
        self.chance = chance
        self.made = 0

    def servers(self, engine):
        """A context that gives what is under load: it has address, nodes of a cluster, client()."""
        return claim_server.alone(engine, _DURABLE)

    def make(self, running):
        raise NotImplementedError

    def pause(self):
        """Seconds of undisturbed load before the next fault."""
        return self.chance.uniform(0.3, 1.0)


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
        victim.kill()
        limit = time.monotonic() + 30
        while time.monotonic() < limit and not self._is_served(running, victim):
            time.sleep(0.1)
        victim.start()  # it comes back as a replica of the one that took over
        while time.monotonic() < limit and not self._follows(victim):
            time.sleep(0.1)
        self.made += 1

    @staticmethod
    def _is_primary(node):
        return node.client().info("replication")["role"] == "master"

    @staticmethod
    def _follows(node):
        with contextlib.suppress(Exception):
            replication = node.client().info("replication")
            return replication["role"] == "slave" and replication["master_link_status"] == "up"
        return False

    @staticmethod
    def _is_served(running, victim):
        """Whether the others agree that every slot has somebody who lives."""
        for node in running.nodes:
            if node is victim:
                continue
            state = node.client().execute_command("CLUSTER", "INFO")
            if not isinstance(state, dict):
                state = dict(line.split(":", 1) for line in state.decode().split())
            if state["cluster_state"] != "ok" or int(state["cluster_slots_fail"]):
                return False
        return True


class ConfirmedFailover(Failover):
    name = "failover-wait"
    confirm = True


KINDS = {kind.name: kind for kind in
         (Kill, Stop, Library, Migration, Failover, ConfirmedFailover)}


def make_fault(name, seed):
    return KINDS[name](random.Random(seed))
