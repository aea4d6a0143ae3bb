# SPDX-License-Identifier: Apache-2.0
"""Runs requests and histories against a deployment. Started by scripts/live-conformance."""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import shlex
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from jobs.common import processes, wheels
from jobs.common.terminal import Terminal, duration
from jobs.live import exchange, history, request_lots, routes
from jobs.live.flow_history import FlowHistory
from jobs.live.history import History
from jobs.server import claim_server, flowfabric, store

_TICK_SECONDS = 0.5
_SHOWN = 20  # the most failures that are shown
_LARGE = 60_000  # bytes; a request with a longer body may remain without an answer
_MOST_ATTEMPTS = history.STEPS + 1  # the most attempts that an execution can have
# One in this many histories is the history of a flow.
FLOWS = 10


@dataclass(frozen=True)
class Place:
    """Where the deployment is."""
    url: str
    valkey: str | None
    token: str | None
    ca_file: str | None
    name: str  # the beginning of the names of this run's lanes and workers


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    texts: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, passed: int, failures: list[str]) -> None:
        with self.lock:
            self.passed += passed
            self.failed += len(failures)
            self.texts += failures[:max(0, _SHOWN - len(self.texts))]


class Bench:
    """The connections and the lane of one thread, with the cases that it runs."""

    def __init__(self, place: Place, number: int) -> None:
        self.place = place
        self.lane = f"{place.name}-{number}"
        self.http = exchange.Connection(place.url, place.ca_file)
        self.store = store.connect(place.valkey) if place.valkey else None
        self.partitions = store.partitions(self.store) if self.store else 256
        self.server = history.Server(self.http, self.store, self.lane, f"{place.name}-w{number}",
                                     self.partitions, place.token)
        self._executions: list[str] = []  # the ids that requests have created
        self.unanswered = 0  # the number of large requests without an answer

    # ---- cases: each returns (how many checks passed, the failures as texts) ----

    def lot(self, seed: int, number: int) -> tuple[int, list[str]]:
        world = routes.World(token=self.place.token, lane=self.lane)
        wrong: list[str] = []
        passed = 0
        lot = request_lots.Lot(seed, number, self.lane, self.place.token, self.partitions)
        for request in lot.requests():
            try:
                expected = routes.predict(world, request)
            except routes.Unpredictable:
                continue
            try:
                answer = self.http.ask(request)
            except exchange.NoAnswer:
                if len(request.body) <= _LARGE:
                    raise
                # The server answers before it has read the whole body. A tunnel or proxy before
                # the server may then break the connection instead of passing the answer on.
                self.unanswered += 1
                continue
            difference = compare(expected, answer)
            if difference:
                wrong.append(f"{shown(request, self.place.token)}: {difference}")
            else:
                passed += 1
            if passed + len(wrong) == request_lots.LOT:
                break
        self._executions += world.states
        if not self.store:
            self._cancel(world)
        return passed, wrong

    def _cancel(self, world: routes.World) -> None:
        for execution, state in world.states.items():
            if state != "cancelled":
                name = urllib.parse.quote(execution, safe="")
                self.server.ask("POST", f"/v1/executions/{name}/cancel", {
                    "execution_id": execution, "reason": "conformance", "now": 1})

    def history(self, seed: int, number: int) -> tuple[int, list[str]]:
        return self._live(History(seed, number, self.server))

    def flow(self, seed: int, number: int) -> tuple[int, list[str]]:
        return self._live(FlowHistory(seed, number, self.server))

    @staticmethod
    def _live(life: History | FlowHistory) -> tuple[int, list[str]]:
        try:
            life.run()
        except history.Difference as difference:
            with contextlib.suppress(exchange.NoServer):
                life.abandon()
            return 0, ["\n    ".join([str(difference), *life.trace[-6:-1]])]
        return 1, []

    def leave(self) -> None:
        """Removes what this thread has put into the deployment, if Valkey's address is known."""
        if self.store:
            worker = self.server.worker
            store.forget(self.store, [*self._executions, *self.server.made],
                         [self.lane, f"{self.lane}-made"], [f"{worker}-i"], _MOST_ATTEMPTS)
            store.forget_waitpoints(self.store, self.server.waitpoints)
            store.forget_flows(self.store, self.server.flows)
        self.http.close()


def compare(expected: routes.Expected, answer: exchange.Answer) -> str:
    """Says in a text what differs; "" if nothing does."""
    if answer.status != expected.status:
        return (f"status {answer.status} {answer.body[:200]!r}, the contract says "
                f"{expected.status} {(expected.body or '')[:200]!r}")
    if expected.body is not None and answer.body != expected.body.encode():
        return f"{answer.body[:300]!r}, the contract says {expected.body[:300]!r}"
    wrong = {name: answer.headers.get(name) for name, text in expected.headers.items()
             if answer.headers.get(name) != text}
    return f"headers {wrong}, the contract says {expected.headers}" if wrong else ""


def shown(request: routes.Request, token: str | None) -> str:
    """The request as a text for people. It never holds the token."""
    headers = json.dumps(dict(request.headers))
    if token:
        headers = headers.replace(token, "TOKEN").replace(token[:-1], "TOKEN")
    body = repr(request.body[:300]) + (f" ({len(request.body)} bytes)"
                                       if len(request.body) > 300 else "")
    return (f"{request.method} {request.target[:160]} {headers} {body}"
            f"{' chunked' * request.is_chunked}")


def cases(arguments: argparse.Namespace, has_store: bool) -> list[tuple[str, int]]:
    if arguments.case:
        return [arguments.case]
    made = [("lot", number) for number in range(-(-arguments.requests // request_lots.LOT))]
    if has_store:
        # The flows come first: the second execution of each must wait until the server notices that
        # the first one has ended.
        flows = arguments.histories // FLOWS
        made = ([("flow", number) for number in range(flows)] +
                [("history", number) for number in range(arguments.histories - flows)] + made)
    return made


class Run:
    """Runs all cases in several threads."""

    def __init__(self, terminal: Terminal, arguments: argparse.Namespace, place: Place,
                 command: str) -> None:
        self._terminal = terminal
        self._arguments = arguments
        self._place = place
        self._command = command
        self._cases: Iterator[tuple[str, int]] = iter(())
        self._total = 0
        self._done = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._faults: list[Exception] = []
        self.tally = Tally()
        self.unanswered = 0

    def _next(self) -> tuple[str, int] | None:
        with self._lock:
            return None if self._stop.is_set() else next(self._cases, None)

    def _work(self, bench: Bench) -> None:
        try:
            while (case := self._next()) is not None:
                kind, number = case
                run: Callable[[int, int], tuple[int, list[str]]] = getattr(bench, kind)
                passed, wrong = run(self._arguments.seed, number)
                again = (f"again: {self._command} --seed {self._arguments.seed} "
                         f"--case {kind}-{number}")
                self.tally.add(passed, [f"FAILED {text}\n    {again}" for text in wrong])
                with self._lock:
                    self._done += 1
        except Exception as error:  # an error of any kind; the main thread reports it
            self._faults.append(error)
            self._stop.set()

    def run(self) -> None:
        wanted = cases(self._arguments, bool(self._place.valkey))
        self._cases, self._total = iter(wanted), len(wanted)
        benches = [Bench(self._place, number) for number in range(self._arguments.threads)]
        threads = [threading.Thread(target=self._work, args=(bench,)) for bench in benches]
        start = time.monotonic()
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                self._show(time.monotonic() - start)
                time.sleep(_TICK_SECONDS)
        finally:
            handlers = processes.ignore_signals()
            self._stop.set()
            for thread in threads:
                if thread.ident:
                    thread.join()
            for bench in benches:
                bench.leave()
            processes.restore_signals(handlers)
        self.unanswered = sum(bench.unanswered for bench in benches)
        if self._faults:
            raise self._faults[0]

    def _show(self, elapsed: float) -> None:
        left = elapsed / self._done * (self._total - self._done) if self._done else 0
        self._terminal.progress(
            f"{self._done} of {self._total} series and histories, {self.tally.failed} failed, "
            f"{duration(elapsed)}, about {duration(left)} left")


@contextlib.contextmanager
def _place(arguments: argparse.Namespace) -> Iterator[Place]:
    name = f"ffgrant-live-{secrets.token_hex(4)}"
    if not arguments.start:
        yield Place(arguments.url, arguments.valkey, exchange.token(),
                    exchange.ca_file(arguments.ca_file), name)
        return
    settings = flowfabric.Settings(flow_partitions=arguments.partitions,
                                   token=secrets.token_hex(16))
    with flowfabric.deployment(settings) as running:
        yield Place(running.url, running.valkey.address, settings.token, None, name)


def _command(arguments: argparse.Namespace) -> str:
    words = ["./scripts/live-conformance"]
    words += ["--start"] if arguments.start else ["--url", arguments.url]
    words += ["--valkey", arguments.valkey] if arguments.valkey else []
    if arguments.start and arguments.partitions != 32:
        words += ["--partitions", str(arguments.partitions)]
    return shlex.join(words)


def main(arguments: argparse.Namespace) -> int:
    terminal = Terminal()
    processes.raise_on_signals()
    start = time.monotonic()
    try:
        with _place(arguments) as place:
            health = exchange.Connection(place.url, place.ca_file).ask(
                routes.Request("GET", "/healthz"))
            if health.status != 200:
                raise exchange.NoServer(f"/healthz answers {health.status}")
            if not place.valkey:
                terminal.line("no --valkey: requests only")
            run = Run(terminal, arguments, place, _command(arguments))
            run.run()
    except processes.Interrupted as interrupted:
        terminal.line(f"live-conformance: stopped by {interrupted}")
        return interrupted.exit_status
    except (exchange.NoServer, store.NoStore, claim_server.ServerError, flowfabric.MissingServer,
            wheels.WheelError, wheels.client_module().RedisError, OSError) as error:
        terminal.line(f"live-conformance: {error}")
        return 3
    for text in run.tally.texts:
        terminal.line(text)
    if run.unanswered:
        terminal.line(f"{run.unanswered} requests with large bodies got no answer, and others were "
                      "made in their place: a tunnel or proxy may break them off")
    terminal.line(f"in {duration(time.monotonic() - start)}, seed {arguments.seed}")
    terminal.line(f"{run.tally.passed} passed, {run.tally.failed} failed")
    return 1 if run.tally.failed or not run.tally.passed else 0
