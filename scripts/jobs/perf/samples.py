# SPDX-License-Identifier: Apache-2.0
"""One process of a program that uses Google Benchmark, and what is taken from it.

The process is the unit of measurement: repetitions inside of it share the layout of its memory and
the state of the machine, so they are no independent evidence. A process gives one number for each
benchmark, the least time of its repetitions: what disturbs a repetition makes it longer, and the
least is what was disturbed least. Many short repetitions find a quiet moment where few long ones
do not: on a core that is shared, one shorter than a slice of the scheduler may run through without
another process' data in the caches. (A walk over 256 KiB, 24 processes on two cores at a load of
15, differs from process to process by 1.6 % with 5 repetitions of 10 ms, by 0.4 % with 25 of 2 ms.)
"""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from jobs.common import processes
from jobs.perf.error import PerfError

NANOSECONDS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
_REAL_TIME = re.compile(r"/(?:real_time|manual_time)(?:/|$)")


@dataclass(frozen=True)
class Effort:
    """How much a process measures of each benchmark."""
    repetitions: int = 20
    min_time: float = 0.002  # seconds a repetition

    @property
    def flags(self):
        return (f"--benchmark_repetitions={self.repetitions}",
                f"--benchmark_min_time={self.min_time:g}")


@dataclass(frozen=True)
class Program:
    """A benchmark program: where it is, and what it gets besides what all get."""
    path: Path
    arguments: tuple = ()
    environment: dict = field(default_factory=dict)

    @property
    def name(self):
        return self.path.name

    def run(self, flags, on_tick=None):
        """Runs it and returns its output; raises PerfError if it fails."""
        command = [str(self.path), *self.arguments, *flags]
        status, output = processes.run(command, env=dict(os.environ, **self.environment),
                                       on_tick=on_tick)
        if status != 0:
            tail = "\n".join(output.rstrip().splitlines()[-20:])
            raise PerfError(f"{' '.join(command)} ended with status {status}:\n{tail}")
        return output

    def benchmarks(self, filter_text=""):
        """The names of its benchmarks, as it lists them."""
        output = self.run(["--benchmark_list_tests=true",
                           f"--benchmark_filter={filter_text or '.'}"])
        return [line.strip() for line in output.splitlines()
                if line.strip() and not line.startswith("Failed to match")]

    def measure(self, names, effort, target, on_tick=None):
        """One process that measures these benchmarks; returns its document.

        The JSON stays in the file `target`. A document has "context" and "benchmarks" as Google
        Benchmark wrote them, with all repetitions.
        """
        target.unlink(missing_ok=True)
        self.run([f"--benchmark_filter={exactly(names)}", *effort.flags,
                  "--benchmark_enable_random_interleaving=true",
                  f"--benchmark_out={target}", "--benchmark_out_format=json"], on_tick)
        try:
            return json.loads(target.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PerfError(f"{self.path} left no JSON of Google Benchmark: {error}") from None


def exactly(names):
    """A regular expression for Google Benchmark that matches these names alone."""
    return "^(" + "|".join(re.sub(r"([][.^$*+?{}()|\\])", r"\\\1", name) for name in names) + ")$"


def reduce(document):
    """Benchmark -> nanoseconds, from one process' JSON. Raises PerfError if one failed.

    CPU time where one thread works by itself, for a neighbour that takes the core away then
    disturbs less; real time where the benchmark's name says so or threads work together.
    """
    least = {}
    for entry in document.get("benchmarks", []):
        if entry.get("run_type", "iteration") != "iteration" or "aggregate_name" in entry:
            continue
        name = entry.get("run_name", entry["name"])
        if entry.get("error_occurred"):
            raise PerfError(f"{name}: {entry.get('error_message', 'failed')}")
        wants_real = entry.get("threads", 1) > 1 or _REAL_TIME.search(name)
        value = entry["real_time" if wants_real else "cpu_time"]
        value *= NANOSECONDS[entry.get("time_unit", "ns")]
        if value > 0:  # a clock too coarse for it has measured nothing
            least[name] = min(value, least.get(name, value))
    return least
