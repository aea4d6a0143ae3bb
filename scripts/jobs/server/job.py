# SPDX-License-Identifier: Apache-2.0
"""Benchmarks the claim path on a real server. Started by scripts/bench --backend valkey."""

import contextlib
import datetime
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from jobs.common import build, machine, processes, report, wheels
from jobs.common.documents import Document
from jobs.common.terminal import Terminal, duration
from jobs.server import claim_server, load_figures, load_program, reference_functions, variants
from jobs.server.load_figures import OURS, REFERENCE

PRESET = "bench"
DEPTHS = (1, 16, 64, 256)
DEPTH = 64  # how many calls are under way at a time when costs are compared
TRANSPORT_DEPTHS = (1, DEPTH)
SHARES = (50, 70, 90)  # percent of the peak, open loop


@dataclass(frozen=True)
class Plan:
    rounds: int
    turns: int  # how often a round measures a call and the call's commands alone
    count: int  # executions of a closed load; a quarter of this if calls are made one by one
    open_seconds: float


FULL = Plan(rounds=7, turns=5, count=4000, open_seconds=3)
QUICK = Plan(rounds=3, turns=1, count=1500, open_seconds=1)


class BenchError(Exception):
    """Something that ends the job with status 1."""


# ---- what is measured ----------------------------------------------------------------------------

def _closed(depth, count, *steps):
    return f"closed {depth} {count} " + " ".join(steps)


def cells(plan):
    """Returns pairs ((what, depth), loads). The last load is measured; the loads before it prepare
    the executions for it."""
    made = []
    for what, steps in (("pair", ("issue", "claim")), ("fused", ("fused",))):
        for depth in DEPTHS:
            count = plan.count if depth > 1 else plan.count // 4
            made.append(((what, depth), [_closed(DEPTH, count, "create"),
                                         _closed(depth, count, *steps)]))
    count = plan.count
    made.append((("create", DEPTH), [_closed(DEPTH, count, "create")]))
    made.append((("issue", DEPTH), [_closed(DEPTH, count, "create"),
                                    _closed(DEPTH, count, "issue")]))
    made.append((("claim", DEPTH), [_closed(DEPTH, count, "create"),
                                    _closed(DEPTH, count, "issue"),
                                    _closed(DEPTH, count, "claim")]))
    made.append((("complete", DEPTH), [_closed(DEPTH, count, "create"),
                                       _closed(DEPTH, count, "fused"),
                                       _closed(DEPTH, count, "complete")]))
    return made


def bare_cell(plan):
    return ("bare", DEPTH), [_closed(DEPTH, plan.count, "create"),
                             f"repeat {DEPTH} {plan.count} claim:ffgrant_bench_bare"]


def limit_cells(plan):
    """Returns pairs of cells that differ in the function. The first cell makes the call itself, the
    second one runs the call's data commands without logic."""
    made = []
    for name in ("issue", "claim", "fused"):
        before = [_closed(DEPTH, plan.count, "create")]
        before += [_closed(DEPTH, plan.count, "issue")] * (name == "claim")
        made.append([((f"{kind} {name}", DEPTH), [*before, _closed(DEPTH, plan.count, call)])
                     for kind, call in (("calls", name),
                                        ("commands", f"{name}:ffgrant_bench_{name}"))])
    return made


def _measure_cell(target, loads):
    """The figures of the last load, on a server that has no other executions of ours."""
    target.forget()
    for line in loads[:-1]:
        target.load(line)
    figures = target.load(loads[-1])
    target.check()
    return figures


class Rounds:
    """Runs the cells round by round. In a cell the targets take turns, in an order that changes
    from round to round."""

    def __init__(self, terminal, plan, whose):
        self._terminal = terminal
        self._plan = plan
        self._whose = whose  # {OURS: Target, REFERENCE: Target}
        self.figures = load_figures.Figures()
        self._start = time.monotonic()
        self._done = 0
        self._total = 1

    def _show(self, what):
        elapsed = time.monotonic() - self._start
        left = elapsed / self._done * (self._total - self._done) if self._done else 0
        self._terminal.progress(f"{self._done} of {self._total}, {duration(elapsed)}, about "
                                f"{duration(left)} left: {what}")

    def closed(self):
        common, limits = cells(self._plan), limit_cells(self._plan)
        self._total = self._plan.rounds * (
            len(common) * len(self._whose) + 1 + self._plan.turns * sum(map(len, limits))
            + len(SHARES)) + 1
        for number in range(self._plan.rounds):
            for i, (key, loads) in enumerate(common):
                names = list(self._whose)
                for name in names if (number + i) % 2 else reversed(names):
                    self._measure(key, name, loads)
            key, loads = bare_cell(self._plan)
            self._measure(key, OURS, loads)
            # The cells of a pair run one right after the other, and often, because they differ by
            # only a few percent.
            for turn in range(self._plan.turns):
                for pair in limits:
                    for key, loads in pair if (number + turn) % 2 else reversed(pair):
                        self._measure(key, OURS, loads)

    def transports(self):
        """Measures the loads named "pair" by each transport."""
        wanted = [cell for cell in cells(self._plan)
                  if cell[0][0] == "pair" and cell[0][1] in TRANSPORT_DEPTHS]
        self._total = self._plan.rounds * len(wanted) * len(self._whose)
        for number in range(self._plan.rounds):
            for key, loads in wanted:
                names = list(self._whose)
                for name in names if number % 2 else reversed(names):
                    self._measure(key, name, loads)
        self._terminal.clear()

    def _measure(self, key, name, loads):
        what, depth = key
        self._show(f"{what}, {depth} at once, {name}")
        self.figures.add(what, depth, name, _measure_cell(self._whose[name], loads))
        self._done += 1

    def others(self, targets):
        """Measures the calls on other servers, each beside the first server."""
        loads = [_closed(DEPTH, self._plan.count, "create"),
                 _closed(DEPTH, self._plan.count, "issue", "claim")]
        self._whose = {**self._whose, **targets}
        self._total += self._plan.rounds * (1 + len(targets))
        for number in range(self._plan.rounds):
            names = [OURS, *targets]
            for name in names if number % 2 else reversed(names):
                self._measure((variants.WHAT, DEPTH), name, loads)

    def open(self):
        """Measures the open loop, at rates that are shares of the peak. Returns the peak."""
        peak = max(self.figures.stat("pair", depth, OURS, "rate").median for depth in DEPTHS)
        for _ in range(self._plan.rounds):
            for share in SHARES:
                speed = peak * share / 100
                count = max(1, round(speed * self._plan.open_seconds))
                self._show(f"open loop, {share} % of the peak")
                loads = [_closed(DEPTH, count, "create"), f"open {speed:.0f} {count} issue claim"]
                self.figures.add(f"open {share}", 0, OURS,
                                 _measure_cell(self._whose[OURS], loads))
                self._done += 1
        self._terminal.clear()
        return peak


# ---- servers -------------------------------------------------------------------------------------

def _addresses(running):
    return [node.address for node in getattr(running, "primaries", [running])]


def _start_servers(stack, arguments):
    """Returns {OURS: Target, REFERENCE: Target}, REFERENCE only with --with-reference, and OURS
    alone with --server. A server that this job starts for OURS has no library; the client loads
    it."""
    lane = load_program.lane_name()
    if arguments.server:
        addresses = load_program.primaries(arguments.server)
        return {OURS: load_program.Target(addresses, lane, time.time_ns() % 2**63, owned=False)}
    start = claim_server.cluster if arguments.cluster else claim_server.alone
    made = {}
    for name in (OURS, REFERENCE) if arguments.with_reference else (OURS,):
        running = stack.enter_context(start(arguments.engine))
        made[name] = load_program.Target(_addresses(running), lane, time.time_ns() % 2**63, True)
    if REFERENCE in made:
        source = reference_functions.source()
        for node in made[REFERENCE].cpu_of:
            node.function_load(source)
    return made


def _start_variants(stack, arguments):
    """Returns {name: Target} of the other servers on which the calls are measured."""
    made = {}
    if not (arguments.server or arguments.cluster):
        for variant in variants.variants(arguments.engine):
            running = stack.enter_context(claim_server.alone(
                variant.engine or arguments.engine, variant.settings))
            made[variant.name] = load_program.Target(_addresses(running), load_program.lane_name(),
                                                     time.time_ns() % 2**63, True)
    return made


def _start_by_transport(stack, arguments):
    """Returns ({transport: Target} of one server, what speaks TLS there)."""
    running = stack.enter_context(
        claim_server.alone(arguments.engine, claim_server.Settings(transport="tls")))
    lane = load_program.lane_name()
    made = {name: load_program.Target([url], lane, time.time_ns() % 2**63, True,
                                      control=[running.address], variables=running.variables)
            for name, url in running.urls().items()}
    return made, "the server's own" if running.binary.has_tls else \
        "stunnel4 before it, whose CPU is not counted"


def _facts(arguments, whose):
    first = next(iter(whose.values()))
    facts = [("server", first.description), ("functions of ours", first.library())]
    if REFERENCE in whose:
        facts.append(("functions of the reference",
                      f"{whose[REFERENCE].library()} of {reference_functions.CRATE} "
                      f"{reference_functions.VERSION}, on a second server of the same build"))
    if not arguments.server:
        facts.append(("persistence", "none, but where a row says so"))
    load = Path("/proc/loadavg").read_text(encoding="ascii").split()[0]
    return facts + machine.basic() + [("load when the runs ended", load)]


# ---- the job -------------------------------------------------------------------------------------

def _command(arguments):
    words = ["./scripts/bench", "--backend", "valkey"]
    words += ["--quick"] * arguments.quick + ["--cluster"] * arguments.cluster
    words += ["--transports"] * arguments.transports
    words += ["--engine", arguments.engine] * (arguments.engine != "auto")
    words += ["--server", arguments.server] * bool(arguments.server)
    words += ["--with-reference"] * arguments.with_reference
    return shlex.join(words)


_TITLES = {"claims": "Claims on one server", "claims-cluster": "Claims on a cluster",
           "claims-transports": "Claims by TCP, a unix socket and TLS"}


def _tables(figures, peak, others):
    return [table for table in (
        load_figures.rate_table(figures, DEPTHS), load_figures.cost_table(figures, DEPTH),
        variants.table(figures, others, DEPTH),
        load_figures.open_table(figures, SHARES, peak),
        load_figures.bars_table(figures, DEPTH)) if table]


def _job(terminal, arguments):
    out = arguments.out.resolve()
    build.configure(terminal, PRESET)
    build.build(terminal, PRESET, [load_program.PROGRAM])
    plan = QUICK if arguments.quick else FULL
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        terminal.progress("starting servers")
        tls = ""
        if arguments.transports:
            whose, tls = _start_by_transport(stack, arguments)
            others = {}
        else:
            whose = _start_servers(stack, arguments)
            others = _start_variants(stack, arguments)
        stack.enter_context(load_program.targets([*whose.values(), *others.values()]))
        rounds = Rounds(terminal, plan, whose)
        if arguments.transports:
            rounds.transports()
            tables = [load_figures.transport_table(rounds.figures, TRANSPORT_DEPTHS, list(whose))]
            facts = _facts(arguments, whose) + [("TLS", tls)]
            stem = "claims-transports"
        else:
            whose[OURS].load_limits()
            rounds.closed()
            if others:
                rounds.others(others)
            tables = _tables(rounds.figures, rounds.open(), list(others))
            facts = _facts(arguments, whose)
            stem = "claims-cluster" if len(whose[OURS].addresses) > 1 else "claims"

    in_turn = "the transports" if arguments.transports else "ours and the reference"
    method = (f"rounds: {plan.rounds}, {plan.count} executions a load over 256 partitions, in each "
              f"round {in_turn} in turn; CPU as INFO says")
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    Document(_TITLES[stem], [("date", date), ("command", f"`{_command(arguments)}`"),
                             ("method", method), *facts], blocks=tables,
             figures={"loads": rounds.figures.as_json()}).write(out / f"{stem}.md")
    for table in tables:
        terminal.line()
        for line in report.as_text(table, terminal):
            terminal.line(line)
    terminal.line()
    for what, text in [("method", method), *facts]:
        terminal.line(terminal.dim(f"{what}: {text}"[:100]))
    terminal.line(f"\nmeasured in {duration(time.monotonic() - start)}; {stem}.md and {stem}.json "
                  f"are in {build.shown(out)}")


def main(arguments):
    terminal = Terminal()
    processes.raise_on_signals()
    try:
        _job(terminal, arguments)
    except processes.Interrupted as interrupted:
        terminal.line(f"bench: stopped by {interrupted}")
        return interrupted.exit_status
    except build.BuildError:
        return 1
    except (BenchError, load_program.LoadError, claim_server.ServerError, wheels.WheelError,
            reference_functions.FetchError, OSError) as error:
        terminal.line(f"bench: {error}")
        return 1
    return 0
