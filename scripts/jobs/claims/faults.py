# SPDX-License-Identifier: Apache-2.0
"""Makes claims under faults in rounds, and checks each round. Started by scripts/claims-faults."""

import datetime
import os
import shlex
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from jobs.claims import fault_makers, history_check, simulated
from jobs.common import build, machine, processes, report, wheels
from jobs.common.children import Children
from jobs.common.documents import Document, check_writable
from jobs.common.tables import Table
from jobs.common.terminal import Terminal, duration
from jobs.server import claim_server

PRESET = "gcc-release"
LOAD = build.build_directory(PRESET) / "core" / "testing" / "faults" / "fault_load"
_END_SECONDS = 60
_SHOWN_VIOLATIONS = 10
_UNWRITTEN = 2  # the exit status if the file of --markdown can't be written


@dataclass
class Round:
    fault: str
    server: str = ""
    made: int = 0
    seconds: float = 0.0
    verdict: history_check.Verdict = field(default_factory=history_check.Verdict)

    @property
    def problem(self):
        """What the round found, or why it proves nothing; "" if all is well."""
        if self.verdict.violations:
            return f"{len(self.verdict.violations)} violations"
        if not self.verdict.claims:
            return "no claim was made"
        return "" if self.made else "no fault was made"


# ---- what is stored ----------------------------------------------------------------------------

def read_stored(client, executions):
    """Returns {execution id: Stored} of the executions that are stored."""
    stored = {}
    executions = list(executions)
    for begin in range(0, len(executions), 200):
        part = executions[begin:begin + 200]
        pipeline = client.pipeline()
        for execution in part:
            stem = f"ff:exec:{execution[:execution.index('}') + 1]}:{execution}:"
            pipeline.hmget(stem + "core", "lifecycle_phase", "public_state",
                           "current_lease_epoch", "total_attempt_count")
            pipeline.xrange(stem + "lease:history")
        replies = pipeline.execute()
        for execution, core, history in zip(part, replies[0::2], replies[1::2]):
            if core[0] is not None:
                phase, state, epoch, attempts = (text.decode() for text in core)
                stored[execution] = history_check.Stored(
                    phase, state, int(epoch), int(attempts), *_read_history(history))
    return stored


def _read_history(history):
    """Reads a lease:history. Returns (lease id -> epoch, the lease with which the execution was
    completed)."""
    leases, completed_by = {}, ""
    for _, fields in history:
        event = {name.decode(): text.decode() for name, text in fields.items()}
        if event["event"] == "acquired":
            leases[event["lease_id"]] = int(event["lease_epoch"])
        elif event["event"] == "reclaimed":
            leases[event["new_lease_id"]] = int(event["new_lease_epoch"])
        elif event["event"] == "released" and event["reason"] == "completed":
            completed_by = event["lease_id"]
    return leases, completed_by


# ---- a round -----------------------------------------------------------------------------------

def _addresses(running):
    return ",".join(node.url for node in getattr(running, "nodes", [running]))


def _load_under_faults(terminal, title, fault, running, load, seconds):
    begin = time.monotonic()
    next_fault = begin + fault.pause()
    claims = unknown = 0
    while time.monotonic() < begin + seconds or not fault.made:
        if load.status() is not None:
            raise OSError(f"fault_load ended by itself:\n{load.output()[-1000:]}")
        for line in load.new_lines():
            claims, unknown = map(int, line.split())
        terminal.progress(f"{title}: {claims} claims, {unknown} unknown, {fault.made} faults, "
                          f"{duration(time.monotonic() - begin)} of {duration(seconds)}")
        if time.monotonic() >= next_fault:
            fault.make(running)
            next_fault = time.monotonic() + fault.pause()
        time.sleep(0.02)


def _end(load):
    """Asks the load to end, and waits until its present calls are finished. By now the servers are
    healthy again."""
    load.signal(signal.SIGINT)
    limit = time.monotonic() + _END_SECONDS
    while load.status() is None and time.monotonic() < limit:
        time.sleep(0.05)
    if load.status() != 0:
        raise OSError(f"fault_load ended with status {load.status()}:\n{load.output()[-1000:]}")


def run_round(terminal, name, number, arguments, folder):
    fault = fault_makers.make_fault(name, arguments.seed * 1000 + number, arguments.seconds,
                                    arguments.transport)
    made = Round(name)
    title = f"round {number}, {name}"
    begin = time.monotonic()
    with fault.servers(arguments.engine) as running, Children() as children:
        made.server = running.info()
        load = children.start(
            [LOAD, "--servers", _addresses(running), "--history", folder / "history",
             "--threads", arguments.threads, "--seed", arguments.seed * 1000 + number,
             *(["--confirm"] if fault.confirm else [])], folder / "load.log",
            env={**os.environ, **running.variables})
        fault.load_pid = load.pid
        _load_under_faults(terminal, title, fault, running, load, arguments.seconds)
        _end(load)
        made.made = fault.made
        terminal.progress(f"{title}: checking the histories")
        calls = [call for path in sorted(folder.glob("history.*"))
                 for call in history_check.read_calls(path)]
        stored = read_stored(running.client(), {call.execution for call in calls})
        seen = fault.problem()
    made.verdict = history_check.check(calls, stored, fault.may_lose)
    if seen:
        made.verdict.violations.append(seen)
    made.seconds = time.monotonic() - begin
    return made


# ---- reports -----------------------------------------------------------------------------------

def make_table(rounds):
    table = Table(
        "Rounds by kind of fault",
        "rounds of concurrent clients; unknown: calls without an answer, of these claims that the "
        "client found out about afterwards; lost: acknowledged creations, claims, reclaims and "
        "completions that a failover took back, and such of them as WAIT 1 had confirmed",
        ["fault", "rounds", "faults", "claims", "unknown", "found out", "violations", "lost",
         "lost confirmed"])
    for name in fault_makers.KINDS:
        own = [made for made in rounds if made.fault == name]
        if own:
            table.rows.append([name, *_cells(own, name)])
    table.rows.append(["all", *_cells(rounds, "")])
    return table


def _cells(rounds, name):
    def total(of):
        return f"{sum(map(of, rounds)):,}"

    may_lose = name in fault_makers.KINDS and fault_makers.KINDS[name].may_lose
    return [str(len(rounds)), total(lambda made: made.made),
            total(lambda made: made.verdict.claims), total(lambda made: made.verdict.unknown),
            total(lambda made: made.verdict.resolved),
            total(lambda made: len(made.verdict.violations)),
            total(lambda made: made.verdict.lost) if may_lose else "-",
            f"{total(lambda made: made.verdict.lost_confirmed)} of "
            f"{total(lambda made: made.verdict.confirmed)}"
            if may_lose and fault_makers.KINDS[name].confirm else "-"]


def document(rounds, command, date):
    """The document that --markdown writes, such as results/claims-faults.md."""
    servers = sorted({made.server for made in rounds})
    return Document(
        "Claims under faults",
        [("date", date), ("command", f"`{command}`"), ("servers", "; ".join(servers)),
         *machine.basic()],
        blocks=[make_table(rounds)],
        figures={"rounds": len(rounds), "claims": sum(made.verdict.claims for made in rounds),
                 "violations": sum(len(made.verdict.violations) for made in rounds)})


# ---- the job -----------------------------------------------------------------------------------

def _print_round(terminal, number, made):
    verdict = made.verdict
    lost = ""
    if fault_makers.KINDS[made.fault].may_lose:
        lost = f", {verdict.lost} lost"
        if fault_makers.KINDS[made.fault].confirm:
            lost += f", {verdict.lost_confirmed} of them confirmed"
    terminal.line(f"{number:>3} {made.fault:<13} {made.made:>4} faults {verdict.claims:>8} claims "
                  f"{verdict.unknown:>5} unknown{lost}, {duration(made.seconds)}  "
                  + (terminal.bad(made.problem) if made.problem else terminal.good("ok")))
    for text in verdict.violations[:_SHOWN_VIOLATIONS]:
        terminal.line(f"    {text}")


def _run_rounds(terminal, arguments, rounds):
    number = claims = 0
    while True:
        for name in arguments.fault:
            number += 1
            with tempfile.TemporaryDirectory(prefix="ffgrant-faults-") as folder:
                made = run_round(terminal, name, number, arguments, Path(folder))
                if made.verdict.violations and arguments.keep:
                    shutil.copytree(folder, arguments.keep / f"round-{number}-{name}",
                                    dirs_exist_ok=True)
            rounds.append(made)
            claims += made.verdict.claims
            _print_round(terminal, number, made)
            if arguments.claims and claims >= arguments.claims:
                return
        if not arguments.claims:
            return


def _write(terminal, made, path):
    """Writes a document; returns whether this could be done. What was measured is printed in any
    case."""
    try:
        made.write(path)
    except OSError as error:
        terminal.line(terminal.bad(f"claims-faults: can't write {path}: {error}"))
        return False
    return True


def _simulate(terminal, arguments):
    """Does --simulated: runs worlds in place of rounds with servers. Returns the exit status."""
    try:
        worlds = simulated.run(terminal, arguments, arguments.jobs).values()
    except processes.Interrupted as interrupted:
        terminal.line(f"claims-faults: stopped by {interrupted}; --resume goes on")
        return interrupted.exit_status
    except (build.BuildError, simulated.SimulationError, OSError) as error:
        terminal.line(f"claims-faults: {error}")
        return 3
    table = simulated.make_table(worlds)
    for line in report.as_text(table, terminal):
        terminal.line(line)
    terminal.line(f"events: {simulated.events_line(worlds)}")
    written = True
    if arguments.markdown:
        facts = [("date", datetime.date.today().isoformat()),
                 ("command", f"`{shlex.join(['scripts/claims-faults', *arguments.argv])}`"),
                 ("events", simulated.events_line(worlds)), *machine.basic()]
        written = _write(terminal, Document("Claims in simulated deployments", facts,
                                            blocks=[table]), arguments.markdown)
    failed = sum(world["violations"] for world in worlds)
    terminal.line(f"{len(worlds) - failed} passed, {failed} failed")
    return 1 if failed else 0 if written else _UNWRITTEN


def main(arguments):
    terminal = Terminal()
    if arguments.markdown:
        try:
            for path in (arguments.markdown, arguments.markdown.with_suffix(".json")):
                check_writable(path)
        except OSError as error:
            terminal.line(f"claims-faults: can't write {path}: {error}")
            return _UNWRITTEN
    processes.raise_on_signals()
    if arguments.simulated:
        return _simulate(terminal, arguments)
    rounds = []
    status = unwritten = 0
    try:
        build.configure(terminal, PRESET)
        build.build(terminal, PRESET, ("fault_load",))
        _run_rounds(terminal, arguments, rounds)
    except processes.Interrupted as interrupted:
        terminal.line(f"claims-faults: stopped by {interrupted}")
        status = interrupted.exit_status
    except (build.BuildError, claim_server.ServerError, wheels.WheelError, OSError) as error:
        terminal.line(f"claims-faults: {error}")
        status = 3
    if rounds:
        for line in report.as_text(make_table(rounds), terminal):
            terminal.line(line)
        if arguments.markdown:
            command = shlex.join(["scripts/claims-faults", *arguments.argv])
            made = document(rounds, command, datetime.date.today().isoformat())
            if not _write(terminal, made, arguments.markdown):
                unwritten = _UNWRITTEN
    failed = sum(bool(made.problem) for made in rounds)
    terminal.line(f"{len(rounds) - failed} passed, {failed} failed")
    return status or (1 if failed or not rounds else unwritten)
