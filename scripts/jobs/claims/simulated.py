# SPDX-License-Identifier: Apache-2.0
"""Makes claims in simulated deployments that change, for scripts/claims-faults --simulated."""

import argparse
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jobs.common import build
from jobs.common.children import Child, Children
from jobs.common.tables import Table
from jobs.common.terminal import Terminal, duration

PRESET = "gcc-release"
PROGRAM = build.build_directory(PRESET) / "core" / "testing" / "simulated_claims"
FOLDER = build.BUILD / "claims-simulated"
CALLS_OF_A_WORLD = 2000
_WORLDS_OF_A_PROCESS = 20
_SHOWN_LINES = 40
_SUMS = ("calls", "executed", "claims", "unknown", "unavailable", "ruled_out", "losses",
         "violations")

World = dict[str, Any]


class SimulationError(Exception):
    """The program did not end as it should, or worlds have no result."""


def seeds_to_run(first: int, calls: int, done: Iterable[int]) -> list[int]:
    """The seeds of enough worlds to make this many calls, without the seeds that are done."""
    worlds = max(1, -(-calls // CALLS_OF_A_WORLD))
    over = set(done)
    return [seed for seed in range(first, first + worlds) if seed not in over]


def batches(seeds: list[int]) -> list[tuple[int, int]]:
    """Returns (first, count) for each row of neighbouring seeds. No row is longer than what one
    process may get."""
    found: list[tuple[int, int]] = []
    for seed in seeds:
        if found and found[-1][0] + found[-1][1] == seed and found[-1][1] < _WORLDS_OF_A_PROCESS:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((seed, 1))
    return found


def read_world(line: str) -> World | None:
    """The world that a printed line describes; None for any other line."""
    try:
        world = json.loads(line)
    except ValueError:
        return None
    return world if isinstance(world, dict) and "seed" in world and "calls" in world else None


def read_done(path: Path) -> dict[int, World]:
    """The worlds of an earlier run, by seed; a line that was cut off is ignored."""
    if not path.exists():
        return {}
    worlds = map(read_world, path.read_text(encoding="utf-8").splitlines())
    return {world["seed"]: world for world in worlds if world}


def results_file() -> Path:
    """The file that keeps the worlds of the program as it is now. The worlds of another build say
    nothing about this program."""
    digest = hashlib.sha256(PROGRAM.read_bytes()).hexdigest()[:16]
    return FOLDER / f"{digest}-{CALLS_OF_A_WORLD}.jsonl"


def replay(seed: int) -> str:
    return f"{build.shown(PROGRAM)} --first {seed} --calls {CALLS_OF_A_WORLD}"


def make_table(worlds: Iterable[World]) -> Table:
    worlds = list(worlds)
    table = Table(
        "Claims in simulated deployments",
        "unknown: calls without an answer; ruled out: claims that did not happen, for good; lost "
        "writes: failovers that lost some; longest: of one call, whose limit is 500 ms",
        ["worlds", "calls", "functions run", "claims", "unknown", "unavailable", "ruled out",
         "lost writes", "violations", "longest"])
    sums = [f"{sum(world[name] for world in worlds):,}" for name in _SUMS]
    longest = max((world["longest_ms"] for world in worlds), default=0)
    table.rows.append([f"{len(worlds):,}", *sums, f"{longest} ms"])
    return table


def events_line(worlds: Iterable[World]) -> str:
    """A line that says what has happened to the deployments, and how often."""
    events: Counter[str] = Counter()
    for world in worlds:
        events.update(world["events"])
    return ", ".join(f"{name} {count:,}" for name, count in sorted(events.items()))


class _Runs:
    """Processes that work off batches of seeds. At most a given number of processes run at once."""

    def __init__(self, todo: list[tuple[int, int]], jobs: int, children: Children,
                 keep: Path, worlds: dict[int, World]) -> None:
        self._todo = todo[::-1]
        self._jobs = jobs
        self._children = children
        self._keep = keep
        self._running: list[Child] = []
        self.worlds = worlds
        self.texts: list[str] = []  # printed lines that do not describe a world

    def step(self) -> bool:
        """Starts the processes that can start, and takes in the output that is there. Returns False
        once all is done."""
        while self._todo and len(self._running) < self._jobs:
            first, count = self._todo.pop()
            self._running.append(self._children.start(
                [PROGRAM, "--first", first, "--worlds", count, "--calls", CALLS_OF_A_WORLD],
                FOLDER / f"log-{first}"))
        for child in list(self._running):
            status = child.status()
            self._take(child)
            if status is None:
                continue
            self._running.remove(child)
            if status not in (0, 1):
                raise SimulationError(f"simulated_claims ended with status {status}:\n"
                                      f"{child.output()[-2000:]}")
        return bool(self._running or self._todo)

    def _take(self, child: Child) -> None:
        for line in child.new_lines():
            world = read_world(line)
            if world is None:
                self.texts.append(line)
                continue
            self.worlds[world["seed"]] = world
            with self._keep.open("a", encoding="utf-8") as kept:
                kept.write(json.dumps(world) + "\n")


def run(terminal: Terminal, arguments: argparse.Namespace, jobs: int) -> dict[int, World]:
    """Runs worlds until they have made as many calls as the options ask for. Returns the worlds
    that the options ask for, by seed."""
    build.configure(terminal, PRESET)
    build.build(terminal, PRESET, ("simulated_claims",))
    FOLDER.mkdir(parents=True, exist_ok=True)
    keep = results_file()
    if not arguments.resume:
        keep.unlink(missing_ok=True)
    worlds = read_done(keep)
    todo = seeds_to_run(arguments.seed, arguments.calls, worlds)
    before = len(worlds)
    begin = time.monotonic()
    with Children() as children:
        runs = _Runs(batches(todo), jobs, children, keep, worlds)
        while runs.step():
            made = len(worlds) - before
            passed = time.monotonic() - begin
            left = duration(passed / made * (len(todo) - made)) if made else "unknown"
            broken = sum(world["violations"] for world in worlds.values())
            terminal.progress(f"simulated: {made} of {len(todo)} worlds, {broken} with violations, "
                              f"{duration(passed)}, left: {left}")
            time.sleep(0.1)
    for line in runs.texts[-_SHOWN_LINES:]:
        terminal.line(f"    {line[:400]}")
    for seed in sorted(seed for seed, world in worlds.items() if world["violations"]):
        terminal.line(terminal.bad(f"violation: {replay(seed)}"))
    return chosen(worlds, seeds_to_run(arguments.seed, arguments.calls, ()))


def chosen(worlds: dict[int, World], seeds: list[int]) -> dict[int, World]:
    """Returns the worlds of these seeds. Raises SimulationError if one of them has no result."""
    lost = [seed for seed in seeds if seed not in worlds]
    if lost:
        raise SimulationError(f"{len(lost)} worlds did not come back, the first of seed {lost[0]}")
    return {seed: worlds[seed] for seed in seeds}
