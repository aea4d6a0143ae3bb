# SPDX-License-Identifier: Apache-2.0
"""Runs the claim scenarios on one engine after the other. Started by scripts/claims-conformance."""

import argparse
import contextlib
import re
import sys

from jobs import build, claim_server, processes, wheels
from jobs.terminal import Terminal, run_main

PRESET = "gcc-release"
TOOL = build.build_directory(PRESET) / "core" / "claims_conformance" / "claims_conformance"
_ENGINES = ("memory", "valkey", "redis")


def runs(arguments):
    """What to run: (engine, whether as a cluster), in order."""
    if arguments.server:
        return [("server", False)]
    if arguments.engine:
        return [(engine, arguments.cluster and engine != "memory") for engine in arguments.engine]
    alone = [] if arguments.cluster else [(engine, False) for engine in _ENGINES]
    return alone + [("valkey", True), ("redis", True)]


def read_last_line(output):
    """(passed, failed) of the tool's last line, or None if it did not get that far."""
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


@contextlib.contextmanager
def _where(engine, clustered, arguments):
    """The tool's options that say where to run."""
    if engine == "memory":
        yield ["--engine", "memory"]
    elif engine == "server":
        yield ["--server", arguments.server,
               *(["--use-loaded-library"] if arguments.use_loaded_library else [])]
    elif clustered:
        with claim_server.cluster(engine) as cluster:
            yield ["--server", cluster.address]
    else:
        with claim_server.alone(engine) as server:
            yield ["--server", server.address]


def run(terminal, engine, clustered, arguments):
    """(passed, failed) on one engine."""
    title = engine + (", cluster" if clustered else "")
    terminal.progress(f"{title}: starting")
    with _where(engine, clustered, arguments) as where:
        status, output = processes.run(
            [str(TOOL), *where, *_tool_options(arguments)],
            on_tick=lambda: terminal.progress(f"{title}: running the scenarios"))
    counts = read_last_line(output)
    for line in output.rstrip().splitlines()[:-1 if counts else None]:
        terminal.line(line)
    if counts is None or status not in (0, 1):
        terminal.line(terminal.bad(f"{title}: ended with status {status}"))
        return (counts[0] if counts else 0), (counts[1] if counts else 0) + 1
    terminal.line(f"{title:<18} {counts[0]:>5} passed  "
                  + (terminal.bad(f"{counts[1]} FAILED") if counts[1] else terminal.good("ok")))
    return counts


def _arguments():
    parser = argparse.ArgumentParser(prog="scripts/claims-conformance")
    parser.add_argument("--engine", choices=_ENGINES, action="append")
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--server", metavar="HOST:PORT")
    parser.add_argument("--use-loaded-library", action="store_true")
    parser.add_argument("--filter", metavar="TEXT")
    for name in ("histories", "calls", "seed"):
        parser.add_argument(f"--{name}", type=int, metavar="N")
    arguments = parser.parse_args()
    if arguments.server and (arguments.engine or arguments.cluster):
        parser.error("--server names a server; --engine and --cluster start one")
    if arguments.use_loaded_library and not arguments.server:
        parser.error("--use-loaded-library is for --server")
    return arguments


def main():
    arguments = _arguments()
    terminal = Terminal()
    processes.raise_on_signals()
    passed = failed = 0
    try:
        build.configure(terminal, PRESET)
        build.build(terminal, PRESET, ("claims_conformance",))
        for engine, clustered in runs(arguments):
            counts = run(terminal, engine, clustered, arguments)
            passed, failed = passed + counts[0], failed + counts[1]
    except processes.Interrupted as interrupted:
        terminal.line(f"claims-conformance: stopped by {interrupted}")
        return interrupted.exit_status
    except (build.BuildError, claim_server.ServerError, wheels.WheelError, OSError) as error:
        terminal.line(f"claims-conformance: {error}")
        return 3
    terminal.line(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(run_main(main))
