# SPDX-License-Identifier: Apache-2.0
"""Benchmarks a FlowFabric deployment. Started by scripts/bench --backend flowfabric."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import random
import secrets
import select
import shlex
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.common import build, machine, processes, report, wheels
from jobs.common.documents import Document
from jobs.common.terminal import Terminal, duration
from jobs.live import load_tables
from jobs.live.load_tables import Figures, key
from jobs.server import claim_server, flowfabric, store

PRESET = "bench"
PROGRAM = "flowfabric_load"
_SILENCE_SECONDS = 3600
_TICK_SECONDS = 1.0
_PARTITIONS_OF_A_WORKER = 4  # in a load of grants alone, where each partition gives one grant
# The number of executions that a load leaves over for each partition. Without these executions
# the workers would look for the last executions of a load in empty partitions.
_SPARE = 4
_SETTLE_SECONDS = 0.5  # for requests that were under way when the load ended
_ATTEMPTS = 2


@dataclass(frozen=True)
class Plan:
    rounds: int
    count: int  # the executions of a closed load with all workers
    open_seconds: float
    executions: int  # the executions of the load after which every result is read back


FULL = Plan(rounds=3, count=4000, open_seconds=5, executions=20_000)
QUICK = Plan(rounds=2, count=600, open_seconds=2, executions=1000)


class LoadError(Exception):
    """The load program ended or did not answer, or the lane is in use."""


def worker_counts(most: int) -> list[int]:
    return sorted({1, min(16, most), most})


# ---- the deployment ------------------------------------------------------------------------------

@dataclass
class Place:
    """The deployment: its addresses, its settings, and the process whose CPU time can be read."""
    url: str
    valkey: str
    client: Any  # a client of redis-py
    lane: str
    partitions: int
    ca_file: str = ""
    token: str | None = None  # None unless we have started the deployment
    server_pid: int | None = None

    def valkey_cpu(self) -> float:
        info = self.client.info("cpu")
        return float(info["used_cpu_user"] + info["used_cpu_sys"])

    def server_cpu(self) -> float | None:
        """The CPU seconds of FlowFabric's server; None if its process is not known here."""
        if self.server_pid is None:
            return None
        return processes.cpu_seconds(self.server_pid)


@contextlib.contextmanager
def _place(arguments: argparse.Namespace) -> Iterator[Place]:
    lane = arguments.lane or f"ffgrant-bench-{secrets.token_hex(4)}"
    if not arguments.start:
        client = store.connect(arguments.valkey)
        yield Place(arguments.url, arguments.valkey, client, lane, store.partitions(client),
                    str(arguments.ca_file or ""), None, arguments.server_pid)
        return
    settings = flowfabric.Settings(lanes=(lane,), token=secrets.token_hex(16))
    with flowfabric.deployment(settings) as running:
        yield Place(running.url, running.valkey.address, store.connect(running.valkey.address),
                    lane, settings.flow_partitions, "", settings.token, running.server.pid)


# ---- the load program ----------------------------------------------------------------------------

class Program:
    """The load program, and the executions that it has put into the deployment. Leaving the context
    removes all these executions, however the context is left."""

    def __init__(self, place: Place, workers: int, executions: int, folder: Path) -> None:
        self._place = place
        self._workers = workers
        self._worker = f"{place.lane}-w"
        lots = random.Random()
        self._ids = [f"{{fp:{lots.randrange(place.partitions)}}}:{uuid.uuid4()}"
                     for _ in range(executions)]
        self._file = folder / "ids"
        self._file.write_text("\n".join(self._ids) + "\n", encoding="ascii")
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._first = self._next = 0  # the range of the ids whose executions exist now
        self.on_tick: Callable[[], None] = lambda: None  # called each second while ask() waits

    def __enter__(self) -> Program:
        place = self._place
        held = place.client.scan_iter(f"ff:idx:*:lane:{_escaped(place.lane)}:*", count=10_000)
        if next(iter(held), None) is not None:
            raise LoadError("the lane has executions: name a lane that nobody uses, or no lane")
        # If the caller's environment names a file, the file has the token of another deployment.
        names = ({"FF_API_TOKEN": place.token, "FF_API_TOKEN_FILE": ""} if place.token else {})
        self._process = subprocess.Popen(
            [str(build.build_directory(PRESET) / "bench" / PROGRAM), f"--url={place.url}",
             f"--valkey={place.valkey}", f"--lane={place.lane}", f"--worker={self._worker}",
             f"--ids={self._file}", f"--partitions={place.partitions}",
             f"--workers={self._workers}", f"--ca_file={place.ca_file}"],
            env={**os.environ, **names}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=0, start_new_session=True)
        return self

    def __exit__(self, *_: object) -> None:
        handlers = processes.ignore_signals()
        try:
            if self._process:
                self._process.kill()
                self._process.communicate()
                time.sleep(_SETTLE_SECONDS)
            self._forget_all()
        finally:
            processes.restore_signals(handlers)

    def _fail(self, line: str) -> None:
        assert self._process
        self._process.kill()
        _, errors = self._process.communicate()
        self._process = None
        raise LoadError(f"`{line}`: {errors.decode(errors='replace').strip() or 'no answer'}")

    def ask(self, line: str) -> dict[str, Any]:
        process = self._process
        assert process and process.stdin and process.stdout
        try:
            process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            self._fail(line)
        limit = time.monotonic() + _SILENCE_SECONDS
        while b"\n" not in self._unread:
            ready, _, _ = select.select([process.stdout], [], [], _TICK_SECONDS)
            chunk = os.read(process.stdout.fileno(), 65536) if ready else b""
            if not chunk and (ready or time.monotonic() > limit):
                self._fail(line)
            self._unread += chunk
            self.on_tick()
        answer, _, self._unread = self._unread.partition(b"\n")
        return dict(json.loads(answer))

    def create(self, count: int) -> dict[str, Any]:
        # The range grows before the request, so that executions of a failed request are removed
        # too.
        self._next += count
        return self.ask(f"create {count} {self._workers}")

    def load(self, line: str) -> dict[str, Any]:
        """Runs one load. Returns its figures, among them the CPU time of the load program, of
        Valkey and, where it can be read, of FlowFabric's server."""
        place = self._place
        server, valkey = place.server_cpu(), place.valkey_cpu()
        figures = self.ask(line)
        after = place.server_cpu()
        figures["valkey_cpu"] = place.valkey_cpu() - valkey
        if server is not None and after is not None:
            figures["server_cpu"] = after - server
        return figures

    def forget(self) -> None:
        self._forget_all()
        self.ask("forget")

    def _forget_all(self) -> None:
        instances = [f"{self._worker}-{number}" for number in range(self._workers)]
        store.forget(self._place.client, self._ids[self._first:self._next], [self._place.lane],
                     instances, _ATTEMPTS)
        self._first = self._next


def _escaped(text: str) -> str:
    """Escapes a text for the MATCH pattern of a scan."""
    return "".join("\\" + c if c in "*?[]^\\" else c for c in text)


# ---- what is measured ----------------------------------------------------------------------------

def _count(plan: Plan, workers: int, most: int) -> int:
    return plan.count if workers == most else plan.count // 8


def _most_open(plan: Plan) -> int:
    """The most executions of an open load. The rate of such a load is known only after the
    peak was measured."""
    return int(load_tables.MOST_RATE * plan.open_seconds)


def _closed_loads(workers: int) -> int:
    """The number of closed loads in a round: grants alone, two for each number of workers, and one
    with a thread for each worker."""
    return 1 + 2 * len(worker_counts(workers)) + 1


def ids_needed(plan: Plan, workers: int, partitions: int) -> int:
    """The most ids that a run can need."""
    counts, shares = worker_counts(workers), len(load_tables.SHARES)
    closed = (partitions + 2 * sum(_count(plan, each, workers) for each in counts)
              + _count(plan, workers, workers))
    loads = _closed_loads(workers) + shares
    return (plan.rounds * (closed + shares * _most_open(plan) + loads * _SPARE * partitions)
            + plan.executions)


class Rounds:
    def __init__(self, terminal: Terminal, plan: Plan, program: Program, workers: int,
                 partitions: int) -> None:
        self._terminal = terminal
        self._plan = plan
        self._program = program
        self._workers = workers
        self._partitions = partitions
        self.figures = Figures()
        self._start = time.monotonic()
        self._done = 0
        self._total = plan.rounds * (_closed_loads(workers) + len(load_tables.SHARES)) + 1

    def _show(self, what: str) -> None:
        self._program.on_tick = lambda: self._show(what)
        elapsed = time.monotonic() - self._start
        left = elapsed / self._done * (self._total - self._done) if self._done else 0
        self._terminal.progress(f"{self._done} of {self._total}, {duration(elapsed)}, about "
                                f"{duration(left)} left: {what}")

    def _measure(self, what: str, workers: int, count: int, line: str) -> None:
        self._show(f"{what}, {workers} workers")
        self._program.create(count + _SPARE * self._partitions)
        self.figures.add(what, workers, self._program.load(line))
        self._program.forget()
        self._done += 1

    def closed(self) -> None:
        for number in range(self._plan.rounds):
            grants = self._partitions // 2
            few = max(1, min(self._workers, grants // _PARTITIONS_OF_A_WORKER))
            self._measure("grant", few, grants, f"closed {few} {grants} grant")
            counts = worker_counts(self._workers)
            for workers in counts if number % 2 else reversed(counts):
                count = _count(self._plan, workers, self._workers)
                for what in ("pair", "cycle"):
                    self._measure(what, workers, count, f"closed {workers} {count} {what}")
            count = _count(self._plan, self._workers, self._workers)
            self._measure("threads", self._workers, count,
                          f"threads {self._workers} {count} cycle")

    def open(self) -> float:
        """Measures the open loads, at rates that are shares of the peak. Returns the peak."""
        peak = self.figures.median(key("cycle", self._workers), "rate")
        for _ in range(self._plan.rounds):
            for share in load_tables.SHARES:
                rate = max(1, round(peak * share / 100))
                count = min(_most_open(self._plan), max(1, round(rate * self._plan.open_seconds)))
                self._measure(f"open {share}", self._workers, count,
                              f"open {self._workers} {count} {rate} cycle")
        return peak

    def once(self) -> dict[str, Any]:
        """Runs a long load, and afterwards reads back the result of every execution."""
        count = self._plan.executions
        self._show(f"{count} executions, creating")
        created = self._program.create(count)
        self._show(f"{count} executions, {self._workers} workers")
        figures = self._program.load(f"closed {self._workers} {count} cycle")
        self._show(f"{count} executions, reading results back")
        figures |= self._program.ask(f"verify {self._workers}")
        figures["create_seconds"] = created["seconds"]
        self._show(f"{count} executions, removing them")
        self._program.forget()
        self._done += 1
        self.figures.add("once", self._workers, figures)
        self._terminal.clear()
        return figures


# ---- the job -------------------------------------------------------------------------------------

def _command(arguments: argparse.Namespace) -> str:
    words = ["./scripts/bench", "--backend", "flowfabric"]
    words += ["--start"] if arguments.start else ["--url", arguments.url,
                                                  "--valkey", arguments.valkey]
    words += ["--quick"] * arguments.quick
    words += ["--workers", str(arguments.workers)] * (arguments.workers != 64)
    words += ["--executions", str(arguments.executions)] * bool(arguments.executions)
    return shlex.join(words)


def _facts(arguments: argparse.Namespace, place: Place,
           others: machine.Others) -> list[tuple[str, str]]:
    server = place.client.info("server")
    name = (f"{flowfabric.CRATE} {flowfabric.VERSION}" if arguments.start
            else "FlowFabric's server, not started for this")
    made = [("server", f"{name}, on {claim_server.describe(server)}"),
            ("partitions", str(place.partitions))]
    if place.server_pid is None:
        made.append(("CPU of FlowFabric's server", "not known: --server-pid names its process"))
    if place.url.startswith("https") or "valkeys" in place.valkey:
        made.append(("TLS", ", ".join(what for what, is_so in (
            ("to the server", place.url.startswith("https")),
            ("to Valkey", place.valkey.startswith(("valkeys", "rediss")))) if is_so)))
    return made + machine.basic() + [
        ("processors that others used meanwhile, the two servers included", others.text())]


def _job(terminal: Terminal, arguments: argparse.Namespace) -> int:
    out = arguments.out.resolve()
    build.configure(terminal, PRESET)
    build.build(terminal, PRESET, [PROGRAM])
    plan = QUICK if arguments.quick else FULL
    if arguments.executions:
        plan = Plan(plan.rounds, plan.count, plan.open_seconds, arguments.executions)
    start = time.monotonic()
    others = machine.Others()
    with contextlib.ExitStack() as stack:
        terminal.progress("reaching the deployment")
        place = stack.enter_context(_place(arguments))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ffgrant-load-")))
        program = stack.enter_context(Program(
            place, arguments.workers, ids_needed(plan, arguments.workers, place.partitions),
            folder))
        rounds = Rounds(terminal, plan, program, arguments.workers, place.partitions)
        rounds.closed()
        peak = rounds.open()
        once = rounds.once()
        facts = _facts(arguments, place, others)
    tables = load_tables.tables(rounds.figures, arguments.workers, peak)
    method = (f"rounds: {plan.rounds}; {plan.count} executions a load with {arguments.workers} "
              f"workers, an eighth of it with fewer, and {_SPARE} a partition that stay; "
              f"{plan.executions:,} in the last one")
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    summary = load_tables.sentences(rounds.figures, arguments.workers)
    Document("Claims of a FlowFabric deployment",
             [("date", date), ("command", f"`{_command(arguments)}`"), ("method", method), *facts],
             summary=summary, blocks=list(tables),
             figures={"deployment": rounds.figures.as_json()}).write(out / "flowfabric.md")
    for table in tables:
        terminal.line()
        for line in report.as_text(table, terminal):
            terminal.line(line)
    terminal.line(f"\n{summary}\n")
    for what, text in [("method", method), *facts]:
        terminal.line(terminal.dim(f"{what}: {text}"[:100]))
    terminal.line(f"\nmeasured in {duration(time.monotonic() - start)}; flowfabric.md and "
                  f"flowfabric.json are in {build.shown(out)}")
    if not once["executions"] == once["completed_once"] == once["results_equal"]:
        terminal.line(terminal.bad("not every execution was completed once with its own result"))
        return 1
    return 0


def main(arguments: argparse.Namespace) -> int:
    terminal = Terminal()
    processes.raise_on_signals()
    try:
        return _job(terminal, arguments)
    except processes.Interrupted as interrupted:
        terminal.line(f"bench: stopped by {interrupted}")
        return interrupted.exit_status
    except build.BuildError:
        return 1
    except (LoadError, store.NoStore, claim_server.ServerError, flowfabric.MissingServer,
            wheels.WheelError, wheels.client_module().RedisError, OSError) as error:
        terminal.line(f"bench: {error}")
        return 1
