# SPDX-License-Identifier: Apache-2.0
"""Names the metrics that the gate can compare, and shows their values as text."""

import math

TIME, MEMORY, SIZE, COMPILE = "time", "peak memory", "size", "compile time"
UNITS = {TIME: "ns", MEMORY: "bytes", SIZE: "bytes", COMPILE: "ns"}
WORSE = {TIME: "slower", MEMORY: "larger", SIZE: "larger", COMPILE: "slower"}
OF_BENCHMARKS = (TIME, MEMORY)  # the metrics for which benchmarks run
ARGUMENTS = {"time": TIME, "memory": MEMORY, "size": SIZE, "compile": COMPILE}


def named(name, metric):
    """A benchmark's name, with the metric unless the metric is time: 'BM_x [peak memory]'."""
    return name if metric == TIME else f"{name} [{metric}]"


def shown(value, metric):
    """A value as text: 28.4 ns, 1.27 us; 13.1 MiB."""
    if UNITS[metric] == "bytes":
        for limit, unit in ((1 << 10, "B"), (1 << 20, "KiB"), (1 << 30, "MiB"), (math.inf, "GiB")):
            if value < limit:
                size = value / (1 << 30) if unit == "GiB" else value / limit * 1024
                return f"{size:.4g} {unit}"
    for limit, unit in ((1e3, "ns"), (1e6, "us"), (1e9, "ms"), (math.inf, "s")):
        if value < limit:
            return f"{value / limit * 1e3 if unit != 's' else value / 1e9:.3g} {unit}"
    raise AssertionError("not reached")
