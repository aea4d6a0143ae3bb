# SPDX-License-Identifier: Apache-2.0
"""Runs the claim scenarios on each engine that the options name. Started by
scripts/claims-conformance."""

import contextlib
import os
import re
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from jobs.common import build, children, processes, wheels
from jobs.common.terminal import Terminal
from jobs.server import claim_server

PRESET = "gcc-release"
TOOL = build.build_directory(PRESET) / "core" / "testing" / "scenarios" / "claims_conformance"
_ENGINES = ("memory", "valkey", "redis")


def runs(arguments):
    """Returns what to run, in the order of the starts, as pairs (engine, whether it runs as a
    cluster)."""
    if arguments.server:
        return [("server", False)]
    if arguments.engine:
        return [(engine, arguments.cluster and engine != "memory") for engine in arguments.engine]
    alone = [] if arguments.cluster else [(engine, False) for engine in _ENGINES]
    return alone + [("valkey", True), ("redis", True)]


def read_last_line(output):
    """Returns (passed, failed) from the tool's last line, or None if there is no such line."""
    lines = output.rstrip().splitlines()
    found = re.fullmatch(r"(\d+) passed, (\d+) failed", lines[-1] if lines else "")
    return (int(found[1]), int(found[2])) if found else None


def _tool_options(arguments):
    options = []
    for name in ("filter", "histories", "calls", "seed"):
        value = getattr(arguments, name)
        if value is not None:
            options += [f"--{name}", str(value)]
    return options


def _where(stack, engine, clustered, arguments):
    """Starts the servers that are needed; they run until the ExitStack `stack` is closed. Returns
    (the tool's options that say where to run, variables for its environment)."""
    if engine == "memory":
        return ["--engine", "memory"], {}
    if engine == "server":
        return ["--server", arguments.server,
                *(["--use-loaded-library"] if arguments.use_loaded_library else []),
                *(["--contract", arguments.contract] if arguments.contract else []),
                *(["--store", arguments.store] if arguments.store else [])], {}
    settings = claim_server.Settings(transport=arguments.transport)
    start = claim_server.cluster if clustered else claim_server.alone
    running = stack.enter_context(start(engine, settings))
    # The tool reads the stored state by a connection of its own, which shares no code with the
    # client and has no TLS.
    store = ["--store", running.address] if arguments.transport == "tls" else []
    return ["--server", running.url, *store], running.variables


@dataclass
class Run:
    """A run of the tool on one engine."""
    title: str
    child: children.Child
    shown: str = "starting"
    lines: list = field(default_factory=list)

    def read(self):
        for line in self.child.new_lines():
            step = re.match(r"progress (\S+) ", line)
            if step:
                self.shown = step[1]
            else:
                self.lines.append(line)

    def report(self, terminal):
        """Prints what the tool printed, with a verdict in place of its last line. Returns (passed,
        failed)."""
        counts = read_last_line("\n".join(self.lines))
        for line in self.lines[:-1 if counts else None]:
            terminal.line(line)
        if counts is None or self.child.status() not in (0, 1):
            terminal.line(terminal.bad(f"{self.title}: ended with {self.child.status()}"))
            return (counts[0] if counts else 0), (counts[1] if counts else 0) + 1
        terminal.line(f"{self.title:<18} {counts[0]:>5} passed  "
                      + (terminal.bad(f"{counts[1]} FAILED") if counts[1]
                         else terminal.good("ok")))
        return counts


def run_all(terminal, wanted, arguments, folder):
    """Returns (passed, failed) of all engines. The engines run side by side, since most of the time
    is waiting."""
    passed = failed = 0
    with contextlib.ExitStack() as stack:
        started = stack.enter_context(children.Children())
        at_work = []
        for engine, clustered in wanted:
            title = engine + (", cluster" if clustered else "")
            terminal.progress(f"{title}: starting")
            where, variables = _where(stack, engine, clustered, arguments)
            at_work.append(Run(title, started.start(
                [TOOL, *where, "--progress", *_tool_options(arguments)], folder / title,
                env={**os.environ, **variables})))
        while at_work:
            for run in [run for run in at_work if run.child.status() is not None]:
                run.read()
                counts = run.report(terminal)
                passed, failed = passed + counts[0], failed + counts[1]
                at_work.remove(run)
            for run in at_work:
                run.read()
            terminal.progress("; ".join(f"{run.title} {run.shown}" for run in at_work))
            time.sleep(0.1)
    return passed, failed


def main(arguments):
    terminal = Terminal()
    processes.raise_on_signals()
    try:
        build.configure(terminal, PRESET)
        build.build(terminal, PRESET, ("claims_conformance",))
        with tempfile.TemporaryDirectory(prefix="ffgrant-conformance-") as folder:
            passed, failed = run_all(terminal, runs(arguments), arguments, Path(folder))
    except processes.Interrupted as interrupted:
        terminal.line(f"claims-conformance: stopped by {interrupted}")
        return interrupted.exit_status
    except (build.BuildError, claim_server.ServerError, wheels.WheelError, OSError) as error:
        terminal.line(f"claims-conformance: {error}")
        return 3
    terminal.line(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0
