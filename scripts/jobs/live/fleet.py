# SPDX-License-Identifier: Apache-2.0
"""Runs a fleet of both kinds of worker, kills some, and proves that each execution was completed
exactly once. Started by scripts/live-fleet.

The kinds are core/examples/worker.cc, on this library, and core/testing/reference/sdk_worker, on
FlowFabric's published SDK. Executions are created and results are read over HTTP; attempts and
leases are read on Valkey. Nothing here uses ffgrant's client.

After a worker has died, the deployment only marks the lease as expired; it does not give the
execution to another worker. So this job does what an operator must do: it looks for executions with
such a lease, and starts a worker with the ids of these executions. This worker asks for reclaim
grants and takes the executions over.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import os
import random
import re
import secrets
import signal
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jobs.common import build, children, processes, reference, wheels
from jobs.common.terminal import Terminal, duration
from jobs.live import exchange, fleet_proof, routes
from jobs.server import claim_server, flowfabric, store

PRESET = "gcc-release"
# Each kind is the worker id of its workers too, and the beginning of their instance ids.
KINDS = ("cpp", "rust")
PARTITIONS = 32  # as many as the server looks at for one request
FREEZES = 2  # how many workers of each kind are to be frozen
_TICK_SECONDS = 0.05
_RESCUE_SECONDS = 1.0  # between two searches for leases that have expired
_MOST_RESCUED = 50  # executions that one worker takes over
_AIM_SECONDS = 1.0
_FREEZE_SECONDS = 60.0  # the longest that a worker stays frozen; a lease expires in 10 s
_SETTLE_SECONDS = 2.0  # in which a worker that was just started learns to end on SIGTERM
_END_SECONDS = 10.0
_THREADS = 4
_CHUNK = 250
_SHOWN = 20
_ENOUGH = 1000  # executions: with so many, blows of all sorts hit
_MOST_CRASHES = 20
_REPORT = re.compile(r"completed (\{fp:\d+\}:[-0-9a-f]+)")


class FleetError(Exception):
    """The fleet can't work."""


# ---- what is done to the fleet -------------------------------------------------------------------

@dataclass(frozen=True)
class Blow:
    """Something that is done to a worker once `at` executions have ended."""
    at: int
    kind: str
    # "kill", "aimed" (kill a worker while it holds a lease), "freeze", or "rescuer" (kill a worker
    # that takes over)
    how: str


def plan(executions: int, kills: int, lot: random.Random) -> list[Blow]:
    """Draws the blows of a run: kills of workers of both kinds, half of them aimed, and a few blows
    of the other sorts."""
    hows = [(KINDS[number % 2], "aimed" if number % 4 < 2 else "kill") for number in range(kills)]
    hows += [(kind, how) for kind in KINDS for how in ["freeze"] * FREEZES + ["rescuer"]]
    lot.shuffle(hows)
    return [Blow(executions * (number + 1) // (len(hows) + 1), kind, how)
            for number, (kind, how) in enumerate(hows)]


@dataclass
class Member:
    """A process of the fleet."""
    kind: str
    instance: str
    child: Any  # of children.Children
    rescued: tuple[str, ...] = ()  # the executions that it was started to take over
    is_killed: bool = False
    is_told: bool = False  # whether it was told to stop

    @property
    def is_alive(self) -> bool:
        return self.child.status() is None


@dataclass
class Frozen:
    member: Member
    held: list[str]  # the executions whose leases the worker held when it was frozen
    until: float  # when time.monotonic() says this, the worker goes on in any case


@dataclass
class Counts:
    killed: Counter[str] = field(default_factory=Counter)
    killed_with_lease: Counter[str] = field(default_factory=Counter)
    frozen: Counter[str] = field(default_factory=Counter)
    rescuers: Counter[str] = field(default_factory=Counter)
    refused: int = 0  # completions that came too late

    def text(self, counter: Counter[str]) -> str:
        return ", ".join(f"{counter[kind]} {kind}" for kind in KINDS)


class Fleet:
    """The workers of both kinds, and what they have said so far."""

    def __init__(self, running: flowfabric.Deployment, lane: str, programs: dict[str, Path],
                 group: children.Children, folder: Path) -> None:
        self._running = running
        self._lane = lane
        self._programs = programs
        self._group = group
        self._folder = folder
        self._client = store.connect(running.valkey.address)
        self._unread: list[Member] = []  # the members whose output may still grow
        self.members: list[Member] = []  # the members that ask for grants
        self.rescuers: list[Member] = []
        self.frozen: list[Frozen] = []
        self.reports = fleet_proof.Reports()
        self.counts = Counts()
        self.crashes: list[str] = []
        self._number = 0

    # ---- processes ----

    def start(self, kind: str, executions: Sequence[str] = ()) -> Member:
        self._number += 1
        settings = self._running.settings
        environment = {name: text for name, text in os.environ.items()
                       if not name.startswith("FF_")}
        if settings.token:
            environment["FF_API_TOKEN"] = settings.token
        instance = f"{kind}-{self._number}"
        environment["FF_WORKER_INSTANCE_ID"] = instance
        child = self._group.start(
            claim_server.guarded([str(self._programs[kind]), self._running.url,
                                  self._running.valkey.address, self._lane, *executions]),
            self._folder / f"{self._number}.log", env=environment)
        member = Member(kind, instance, child, tuple(executions))
        (self.rescuers if executions else self.members).append(member)
        self._unread.append(member)
        return member

    def kill(self, member: Member, has_lease: bool) -> None:
        if not member.is_alive:
            return
        member.is_killed = True
        self.reports.disturbed.add(member.instance)
        member.child.end(at_once=True)
        self.counts.killed[member.kind] += 1
        self.counts.killed_with_lease[member.kind] += has_lease

    def held(self, member: Member) -> list[str]:
        """The executions whose leases a worker holds."""
        pipeline = self._client.pipeline(transaction=False)
        for partition in range(PARTITIONS):
            pipeline.smembers(f"ff:idx:{{fp:{partition}}}:worker:{member.instance}:leases")
        return [name.decode() for names in pipeline.execute() for name in names]

    def stop_with_lease(self, member: Member) -> list[str]:
        """Stops a worker at a moment at which it holds a lease, and returns the executions that it
        holds. Returns an empty list, and lets the worker go on, if there was no such moment."""
        limit = time.monotonic() + _AIM_SECONDS
        self.reports.disturbed.add(member.instance)
        while member.is_alive and time.monotonic() < limit:
            member.child.signal(signal.SIGSTOP)
            held = self.held(member)
            if held:
                return held
            member.child.signal(signal.SIGCONT)
            time.sleep(random.uniform(0, 0.004))
        return []

    def freeze(self, member: Member) -> bool:
        """Stops a worker that holds leases; thaw() lets it go on. Returns False if there was no
        moment at which the worker held a lease."""
        held = self.stop_with_lease(member)
        if held:
            self.members.remove(member)
            self.frozen.append(Frozen(member, held, time.monotonic() + _FREEZE_SECONDS))
            self.counts.frozen[member.kind] += 1
        return bool(held)

    def thaw(self) -> None:
        """Lets a frozen worker go on once the executions whose leases it held have ended without
        it, or once its time is up."""
        for one in list(self.frozen):
            keys = [f"ff:exec:{name[:name.index('}') + 1]}:{name}:core" for name in one.held]
            states = [self._client.hget(key, "lifecycle_phase") for key in keys]
            if set(states) == {b"terminal"} or time.monotonic() > one.until:
                self.frozen.remove(one)
                one.member.child.signal(signal.SIGCONT)
                self.members.append(one.member)

    # ---- what they say ----

    def listen(self) -> None:
        """Reads the new lines of all workers, and forgets the workers that have ended."""
        for member in list(self._unread):
            has_ended = not member.is_alive  # asked first: after the end nothing more is written
            for line in member.child.new_lines():
                found = _REPORT.fullmatch(line)
                if found:
                    self.reports.add(found[1], member.instance)
                self.counts.refused += line.startswith("not completed ")
            if has_ended:
                self._unread.remove(member)
                self._forget(member)

    def _forget(self, member: Member) -> None:
        (self.rescuers if member.rescued else self.members).remove(member)
        if member.rescued and not member.is_killed:
            self.counts.rescuers[member.kind] += 1
        status = member.child.status()
        if not member.is_killed and (status or not (member.rescued or member.is_told)):
            last = "\n  ".join(member.child.output().splitlines()[-4:])
            self.crashes.append(f"{member.instance} ended with status {status}:\n  {last}")

    # ---- executions ----

    def ended(self) -> int:
        """How many executions have ended."""
        pipeline = self._client.pipeline(transaction=False)
        for partition in range(PARTITIONS):
            pipeline.zcard(f"ff:idx:{{fp:{partition}}}:lane:{self._lane}:terminal")
        return sum(pipeline.execute())

    def expired(self) -> list[str]:
        """The executions whose lease the deployment has marked as expired, and which no worker that
        is still at work was started to take over."""
        seconds, micros = self._client.time()
        pipeline = self._client.pipeline(transaction=False)
        for partition in range(PARTITIONS):
            pipeline.zrangebyscore(f"ff:idx:{{fp:{partition}}}:lease_expiry", "-inf",
                                   seconds * 1000 + micros // 1000)
        due = [name.decode() for names in pipeline.execute() for name in names]
        for name in due:
            pipeline.hget(f"ff:exec:{name[:name.index('}') + 1]}:{name}:core", "ownership_state")
        taken = {name for member in self.rescuers for name in member.rescued}
        return [name for name, owner in zip(due, pipeline.execute() if due else [])
                if owner == b"lease_expired_reclaimable" and name not in taken]


# ---- the run -------------------------------------------------------------------------------------

class Run:
    def __init__(self, terminal: Terminal, arguments: argparse.Namespace, fleet: Fleet,
                 running: flowfabric.Deployment, lane: str) -> None:
        self._terminal = terminal
        self._arguments = arguments
        self._fleet = fleet
        self._running = running
        self._lane = lane
        self._lot = random.Random(arguments.seed)
        self._doomed: Counter[str] = Counter()  # kind -> how many rescuers are to be killed
        self._turn = 0
        self._headers = (("content-type", "application/json"),
                         ("authorization", f"Bearer {running.settings.token}"))
        self.payloads = {
            f"{{fp:{self._lot.randrange(PARTITIONS)}}}:"
            f"{uuid.UUID(int=self._lot.getrandbits(128), version=4)}":
            f"execution {number} of a fleet, größe {self._lot.random()}".encode()
            for number in range(arguments.executions)}
        self.seconds: dict[str, float] = {}

    # ---- over HTTP, in several threads ----

    def _spread(self, what: str,
                work: Callable[[exchange.Connection, str], None]) -> None:
        """Calls work() for each execution."""
        names = list(self.payloads)
        start = time.monotonic()

        def one(chunk: list[str]) -> int:
            connection = exchange.Connection(self._running.url)
            try:
                for name in chunk:
                    work(connection, name)
            finally:
                connection.close()
            return len(chunk)

        pool = concurrent.futures.ThreadPoolExecutor(_THREADS)
        done = 0
        try:
            chunks = [names[i:i + _CHUNK] for i in range(0, len(names), _CHUNK)]
            for future in concurrent.futures.as_completed(pool.submit(one, chunk)
                                                          for chunk in chunks):
                done += future.result()
                self._terminal.progress(f"{what}: {done} of {len(names)} executions")
        finally:
            pool.shutdown(cancel_futures=True)
        self.seconds[what] = time.monotonic() - start

    def create(self) -> None:
        def work(connection: exchange.Connection, name: str) -> None:
            body = {"execution_id": name, "namespace": "default", "lane_id": self._lane,
                    "execution_kind": "task", "input_payload": list(self.payloads[name]),
                    "priority": 0, "creator_identity": "fleet",
                    "partition_id": int(name[4:name.index("}")]), "now": int(time.time() * 1000)}
            answer = connection.ask(routes.Request("POST", "/v1/executions", self._headers,
                                                   json.dumps(body).encode()))
            if answer.status not in (200, 201):
                raise FleetError(f"no execution was created: {answer.status} {answer.body[:200]!r}")

        self._spread("creating", work)

    def read(self) -> dict[str, fleet_proof.Record]:
        client = store.connect(self._running.valkey.address)
        records = fleet_proof.read_stored(client, list(self.payloads))
        self._spread("reading back", lambda connection, name: fleet_proof.read_public(
            connection, self._headers, name, records[name]))
        return records

    # ---- the work ----

    def work(self) -> None:
        """Lets the fleet work until all executions have ended, or the time is over."""
        fleet, count = self._fleet, len(self.payloads)
        for kind in KINDS * self._arguments.workers:
            fleet.start(kind)
        blows = plan(count, self._arguments.kills, self._lot)
        start = rescued = time.monotonic()
        while (ended := fleet.ended()) < count or fleet.frozen:
            elapsed = time.monotonic() - start
            if elapsed > self._arguments.seconds:
                self._terminal.line(f"after {duration(elapsed)}, {count - ended} executions have "
                                    "not ended")
                break
            while blows and blows[0].at <= ended < count:
                blow = blows.pop(0)
                if not self._strike(blow):
                    blows.append(replace(blow, at=ended + count // 50 + 1))
                    blows.sort(key=lambda one: one.at)
            if time.monotonic() - rescued > _RESCUE_SECONDS:
                rescued = time.monotonic()
                self._rescue()
                fleet.thaw()
            fleet.listen()
            self._fill_up()
            self._terminal.progress(
                f"{ended} of {count} executions, {sum(fleet.counts.killed.values())} workers "
                f"killed, {duration(elapsed)}")
            time.sleep(_TICK_SECONDS)
        self.seconds["working"] = time.monotonic() - start
        self._end()

    def _strike(self, blow: Blow) -> bool:
        """Deals the blow, or makes a note of a blow at a rescuer. Returns False if the blow has hit
        nobody and must be dealt again."""
        fleet = self._fleet
        alive = [member for member in fleet.members if member.kind == blow.kind and member.is_alive]
        if blow.how == "rescuer":
            self._doomed[blow.kind] += 1
        elif not alive:
            return False
        elif blow.how == "freeze":
            return fleet.freeze(self._lot.choice(alive))
        else:
            member = self._lot.choice(alive)
            held = fleet.stop_with_lease(member) if blow.how == "aimed" else []
            fleet.kill(member, bool(held))
        return True

    def _fill_up(self) -> None:
        """Starts as many workers of each kind as are missing."""
        fleet = self._fleet
        if len(fleet.crashes) > _MOST_CRASHES:
            raise FleetError("the workers end by themselves again and again:\n"
                             + "\n".join(fleet.crashes[-3:]))
        for kind in KINDS:
            there = sum(member.kind == kind for member in fleet.members)
            for _ in range(there, self._arguments.workers):
                fleet.start(kind)

    def _rescue(self) -> None:
        """Starts workers that take over what dead workers have left: workers of one kind and of the
        other by turns. Kills a new worker if a blow at a rescuer of its kind is noted."""
        expired = self._fleet.expired()
        for i in range(0, len(expired), _MOST_RESCUED):
            kind = KINDS[self._turn % len(KINDS)]
            self._turn += 1
            member = self._fleet.start(kind, expired[i:i + _MOST_RESCUED])
            if self._doomed[kind]:
                self._doomed[kind] -= 1
                held = self._fleet.stop_with_lease(member)
                self._fleet.kill(member, bool(held))

    def _end(self) -> None:
        """Tells the workers that ask for grants to stop. Waits, for 10 s at most, until these
        workers and those that take over have ended."""
        fleet = self._fleet
        for one in fleet.frozen:
            one.member.child.signal(signal.SIGCONT)
            fleet.members.append(one.member)
        fleet.frozen.clear()
        time.sleep(_SETTLE_SECONDS)
        fleet.listen()
        for member in fleet.members:
            member.is_told = True
            member.child.signal(signal.SIGTERM)
        leaving = fleet.members + fleet.rescuers
        limit = time.monotonic() + _END_SECONDS
        while any(member.is_alive for member in leaving) and time.monotonic() < limit:
            time.sleep(_TICK_SECONDS)
        fleet.crashes += [f"{member.instance} did not end on SIGTERM" for member in leaving
                          if member.is_alive]
        fleet.listen()

    # ---- what came of it ----

    def judge(self, records: dict[str, fleet_proof.Record]) -> tuple[int, list[str]]:
        """Returns (how many checks passed, what is wrong)."""
        fleet = self._fleet
        passed, wrong = 0, []
        for name, payload in self.payloads.items():
            found = fleet_proof.faults(records[name], payload.upper(),
                                       fleet.reports.completed.get(name, []),
                                       fleet.reports.disturbed)
            passed += not found
            wrong += [f"FAILED {name}: {'; '.join(found)}"] if found else []
        strange = sorted(set(fleet.reports.completed) - set(self.payloads))
        for so, what in (
                (not strange, f"executions were reported that nobody has created: {strange[:3]}"),
                (not fleet.crashes, "workers ended by themselves:\n" + "\n".join(fleet.crashes)),
                *self._has_happened(records)):
            passed += so
            wrong += [] if so else [f"FAILED {what}"]
        return passed, wrong

    def _has_happened(self, records: dict[str, fleet_proof.Record]) -> Iterator[tuple[bool, str]]:
        """For each thing that a run is made to show, yields (whether the run has shown it, a text
        that says what is missing)."""
        counts = self._fleet.counts
        owners = Counter(record.completed_by.partition("-")[0] for record in records.values())
        for kind in KINDS:
            yield owners[kind] > 0, f"no {kind} worker completed anything"
            # A short run may be over before each kind was hit while it held a lease.
            if len(records) >= _ENOUGH and self._arguments.kills >= 2 * len(KINDS):
                yield counts.killed[kind] > 0, f"no {kind} worker was killed"
                yield counts.killed_with_lease[kind] > 0, f"no {kind} worker was killed at work"
        if sum(counts.killed_with_lease.values()):
            yield (any(len(record.attempts) > 1 for record in records.values()),
                   "no execution was taken over")

    def say(self, records: dict[str, fleet_proof.Record]) -> None:
        fleet, counts = self._fleet, self._fleet.counts
        owners = Counter(record.completed_by.partition("-")[0] for record in records.values())
        again = [record for record in records.values() if len(record.attempts) > 1]
        over = Counter(record.completed_by.partition("-")[0] for record in again)
        silent = sum(name not in fleet.reports.completed for name in records)
        most = max((len(record.attempts) for record in records.values()), default=0)
        for text in (
                f"completed: {counts.text(owners)}",
                f"killed: {counts.text(counts.killed)}; while they held a lease: "
                f"{counts.text(counts.killed_with_lease)}",
                f"stopped until others had taken over: {counts.text(counts.frozen)}; "
                f"{counts.refused} completions were refused",
                f"taken over after an expired lease: {len(again)} executions, completed by "
                f"{counts.text(over)}; at most {most} attempts of one",
                f"completed by workers that were killed before they said so: {silent}",
                ", ".join(f"{what} {duration(seconds)}" for what, seconds in self.seconds.items())
                + f"; seed {self._arguments.seed}"):
            self._terminal.line(text)


# ---- the job -------------------------------------------------------------------------------------

def _programs(terminal: Terminal) -> dict[str, Path]:
    """Builds the program of each kind."""
    build.configure(terminal, PRESET)
    build.build(terminal, PRESET, ["example_worker"])
    target = Path(os.environ.get("CARGO_TARGET_DIR") or build.BUILD / "sdk_worker")
    with build.locked(terminal, "sdk_worker"):
        build.run_step(terminal, "sdk_worker: build", [
            "cargo", "build", "--release", "--locked", "--offline", "--quiet",
            "--manifest-path", str(reference.SDK_WORKER), "--target-dir", str(target)])
    return {"cpp": build.build_directory(PRESET) / "core" / "examples" / "example_worker",
            "rust": target / "release" / "sdk_worker"}


def _job(terminal: Terminal, arguments: argparse.Namespace) -> int:
    programs = _programs(terminal)
    lane = f"fleet-{secrets.token_hex(4)}"
    settings = flowfabric.Settings(lanes=(lane,), flow_partitions=PARTITIONS,
                                   token=secrets.token_hex(16))
    with contextlib.ExitStack() as stack:
        terminal.progress("starting a deployment")
        running = stack.enter_context(flowfabric.deployment(settings))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ffgrant-fleet-")))
        group = stack.enter_context(children.Children())
        fleet = Fleet(running, lane, programs, group, folder)
        run = Run(terminal, arguments, fleet, running, lane)
        run.create()
        run.work()
        records = run.read()
    passed, wrong = run.judge(records)
    for text in wrong[:_SHOWN]:
        terminal.line(text)
    run.say(records)
    terminal.line(f"{passed} passed, {len(wrong)} failed")
    return 1 if wrong else 0


def main(arguments: argparse.Namespace) -> int:
    terminal = Terminal()
    processes.raise_on_signals()
    reason = flowfabric.lacking_sdk()
    if reason:
        terminal.line(f"live-fleet: {reason}")
        return 3
    try:
        return _job(terminal, arguments)
    except processes.Interrupted as interrupted:
        terminal.line(f"live-fleet: stopped by {interrupted}")
        return interrupted.exit_status
    except build.BuildError:
        return 3
    except (FleetError, exchange.NoServer, store.NoStore, claim_server.ServerError,
            flowfabric.MissingServer, wheels.WheelError, wheels.client_module().RedisError,
            OSError) as error:
        terminal.line(f"live-fleet: {error}")
        return 3
