# SPDX-License-Identifier: Apache-2.0
"""Runs each target a given number of times with its replay main, without an engine. One process, of
low priority, runs at a time.

The targets' own mutators make the inputs, without coverage to guide them. A batch runs many times
more inputs than an engine does. Each input can be made again from its seed and number. The runs
come in chunks: first one of each target, then the next of each target. Each chunk of a target has a
seed of its own, so that the finished chunks count whenever the batch ends.
"""

import hashlib
import os
import re
import time
from dataclasses import dataclass, field
from typing import Any

from jobs.common import build, machine, processes
from jobs.common.documents import Document
from jobs.common.tables import Table
from jobs.common.terminal import duration
from jobs.fuzz.session import EngineError, short

PRESET = "gcc-release"
_NICE = ["nice", "-n", "19"]
_CHUNKS = 20  # at most, for each target
_DONE = re.compile(r"^explored: (\d+) executions, .* in ([\d.]+) s; ([\d.]+) s of processor time$",
                   re.MULTILINE)
_ANSWERS = re.compile(r"^the reference: (\d+) times the same, (\d+) known to differ, "
                      r"(\d+) not asked$", re.MULTILINE)
_NOTE = ("executions: inputs run; s: of the clock; CPU s: of the processor; rate: executions in a "
         "second of the processor; seeds: of the chunks, all of one size; same, known, not asked: "
         "what the reference said, several times an input (fuzz/known_differences.md)")


@dataclass
class Row:
    """What a target did so far."""
    target: Any
    executions: int = 0
    seconds: float = 0
    processor: float = 0
    seeds: list = field(default_factory=list)
    finding: str = ""
    answers: list | None = None  # [same, known, not asked], if it asks the reference

    def add_answers(self, answers):
        if answers:
            self.answers = [a + b for a, b in zip(self.answers or [0, 0, 0], answers)]

    def cells(self):
        rate = self.executions / self.processor if self.processor else 0
        seeds = f"{self.seeds[0]}-{self.seeds[-1]}" if self.seeds else "-"
        return [self.target.subject, f"{self.executions:,}", f"{self.seconds:.0f}",
                f"{self.processor:.1f}", short(round(rate)), seeds,
                *([short(number) for number in self.answers] if self.answers else ["-"] * 3),
                "1" if self.finding else "0"]


def chunk_sizes(executions):
    """The sizes of at most _CHUNKS chunks, which add up to `executions`; the last one may be
    smaller."""
    size = max(1, -(-executions // _CHUNKS))
    return [min(size, executions - start) for start in range(0, executions, size)]


def read_done(output):
    """Returns (executions, seconds, processor seconds) from what a replay main printed; None if it
    did not print them."""
    found = _DONE.search(output)
    return (int(found[1]), float(found[2]), float(found[3])) if found else None


def read_answers(output):
    """Returns [same, known, not asked] of a target that asks the reference; None for any other."""
    found = _ANSWERS.search(output)
    return [int(number) for number in found.groups()] if found else None


def keep_finding(target, path):
    """Moves the input that ended a run to the target's regressions and returns its path; None if
    there is no such input, or if the target is the canary."""
    if not path.is_file() or target.is_canary:
        return None
    data = path.read_bytes()
    kept = target.regressions / hashlib.sha1(data).hexdigest()
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(data)
    path.unlink()
    return kept


class Batch:
    """The rows of all targets of one batch."""

    def __init__(self, terminal, chosen, executions, seed):
        self._terminal, self._executions, self._seed = terminal, executions, max(1, seed)
        self.rows = [Row(target) for target in chosen]

    def run(self):
        started = time.monotonic()
        sizes = chunk_sizes(self._executions)
        for number, size in enumerate(sizes):
            for row in self.rows:
                if row.finding:
                    continue
                left = f"{number + 1} of {len(sizes)}, {duration(time.monotonic() - started)}"
                self._chunk(row, size, self._seed + number,
                            f"{row.target.subject}: {size:,} executions, round {left}")

    def _chunk(self, row, size, seed, label):
        binary = build.build_directory(PRESET) / "fuzz" / f"{row.target.subject}_replay"
        found = build.BUILD / "fuzz-work" / f"{row.target.name}.finding"
        found.parent.mkdir(parents=True, exist_ok=True)
        found.unlink(missing_ok=True)
        status, output = processes.run(
            [*_NICE, str(binary), "--executions", str(size), "--seed", str(seed), "--finding",
             str(found), *([] if row.target.is_canary else [str(row.target.corpus)])],
            cwd=build.ROOT,
            on_tick=lambda: self._terminal.progress(label))
        done = read_done(output)
        if status == 0 and done:
            row.executions += done[0]
            row.seconds += done[1]
            row.processor += done[2]
            row.seeds.append(seed)
            row.add_answers(read_answers(output))
            return
        tail = "\n".join(output.rstrip().splitlines()[-12:])
        if status >= 0:  # the program aborts on a finding
            raise EngineError(f"{row.target.name}: status {status}\n{tail}")
        row.finding = tail or f"status {status}, no output"
        kept = keep_finding(row.target, found)
        self._terminal.line(self._terminal.bad(f"{row.target.name}: status {status}, seed {seed}"))
        self._terminal.line(row.finding)
        if kept:
            self._terminal.line(f"replay with: {os.path.relpath(binary, build.ROOT)} "
                                f"{os.path.relpath(kept, build.ROOT)}")

    def table(self):
        total = sum(row.executions for row in self.rows)
        return Table("Fuzzing by the replay mains", f"{total:,} executions in all; {_NOTE}",
                     ["", "executions", "s", "CPU s", "rate", "seeds", "same", "known", "not asked",
                      "findings"],
                     rows=[row.cells() for row in self.rows])


def document(made, command, date):
    wanted = ("CPU", "system", "compiler", "flags", "revision")
    facts = [fact for fact in machine.describe(PRESET, []) if fact[0] in wanted]
    return Document("Fuzzing", [("date", date), ("command", f"`{command}`"), *facts],
                    blocks=[made])


def run(terminal, chosen, executions, seed):
    """Returns (the batch, which has ended or was stopped; what stopped it, or None)."""
    build.configure(terminal, PRESET)
    build.build(terminal, PRESET, [f"{target.subject}_replay" for target in chosen])
    batch = Batch(terminal, chosen, executions, seed)
    try:
        batch.run()
    except BrokenPipeError:  # nobody reads the output any more
        raise
    except (processes.Interrupted, EngineError, OSError) as reason:
        return batch, reason
    return batch, None
