# SPDX-License-Identifier: Apache-2.0
"""Defines a point of the history: the form of its line, and the fingerprint that says with which
other points it may be compared. history_files.py has the files.

    {"date": "2026-11-25T02:40:11Z",      UTC, when the measurement began
     "revision": "0729f9c13a5b",           git's, 12 digits or more; "+" at its end: with changes
     "suite": "grant_json",
     "command": "./scripts/perf record",
     "machine": {"cpu": "AMD EPYC", ...},  text -> text: the fingerprint is made of most of it
     "benchmarks": {"BM_ParseGrant_Core/canonical":
       {"ratio": 7.31,                     time / the reference kernel's time in the same pairs
        "low": 7.25, "high": 7.39,         its confidence interval
        "time_ns": 28.4, "reference_ns": 3.885,
        "pairs": 10}}}                     process pairs: the number of independent measurements

A measurement of anything but a benchmark's time has a field "metric", and its name ends with the
metric in brackets. "compile time" has the fields above. For "peak memory" and "size" the ratio,
low and high are bytes, and time_ns and reference_ns are left out: bytes need no reference kernel.
"""

import datetime
import hashlib
import json
import re
import sys
from dataclasses import dataclass

from jobs.perf import metrics
from jobs.perf.error import PerfError

# The facts that a point tells and that may change within a series.
SURROUNDINGS = ("kernel", "libc", "benchmark_library")
# The processor's flags that code asks for. A kernel may list other flags one day and not the next.
_CODE_FLAGS = frozenset((
    "sse4_2", "avx", "avx2", "bmi2", "fma", "avx512f", "avx512bw", "avx512vl", "erms", "fsrm",
    "asimd", "sve", "sve2", "crc32", "pmull"))
_DATE = "%Y-%m-%dT%H:%M:%SZ"
SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
REVISION = re.compile(r"[0-9a-f]{12,64}\+?")


class HistoryError(PerfError):
    """A file of the history, or a point for it, is not as it has to be, or can't be read or
    written."""


@dataclass(frozen=True)
class Measurement:
    """One benchmark at one point. `ratio` is the median of the pairs' ratios. time_ns and
    reference_ns are medians of their own, so their quotient is near `ratio`. For memory and sizes,
    `ratio` is a number of bytes, and the two times are None."""
    ratio: float
    low: float
    high: float
    time_ns: float | None
    reference_ns: float | None
    pairs: int
    metric: str = metrics.TIME

    @property
    def fields(self):
        """The fields of a line for a measurement: name -> value."""
        return {name: value for name, value in vars(self).items()
                if value is not None and (name, value) != ("metric", metrics.TIME)}


@dataclass(frozen=True)
class Point:
    """One run of a suite. date is aware and UTC; benchmarks: name -> Measurement."""
    date: datetime.datetime
    revision: str
    suite: str
    command: str
    machine: dict
    benchmarks: dict


def identity(machine):
    """Returns the part of a machine's description on which times depend so much that times are not
    compared if this part differs."""
    kept = {field: text for field, text in machine.items() if field not in SURROUNDINGS}
    if "cpu_flags" in kept:
        kept["cpu_flags"] = " ".join(sorted(_CODE_FLAGS & set(kept["cpu_flags"].split())))
    return kept


def differences(old, new, fields=None):
    """A text for each field in which two descriptions differ: 'kernel: 6.1 to 6.2'."""
    names = fields or sorted(set(old) | set(new))
    return [f"{name}: {old.get(name, 'unknown')} to {new.get(name, 'unknown')}" for name in names
            if old.get(name) != new.get(name)]


def fingerprint(machine):
    """The name of a machine's folder: the CPU, for the reader, and a digest of the machine's
    identity."""
    text = json.dumps(identity(machine), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    name = re.sub(r"[^a-z0-9]+", "-", machine.get("cpu", "").lower()).strip("-")[:32] or "cpu"
    return f"{name.rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def require(condition, problem):
    if not condition:
        raise HistoryError(problem)


def text_of(point):
    document = {**vars(point), "benchmarks": {name: one.fields
                                              for name, one in point.benchmarks.items()}}
    document["date"] = point.date.astimezone(datetime.timezone.utc).strftime(_DATE)
    return json.dumps(document, ensure_ascii=True, allow_nan=False)


def _measurement(name, entry):
    require(isinstance(entry, dict), f"{name}: an object is needed")
    metric = entry.get("metric", metrics.TIME)
    require(isinstance(metric, str) and metric in metrics.UNITS,
            f"{name}: metric {metric!r} is unknown")
    fields = ["ratio", "low", "high", "pairs"]
    if metrics.UNITS[metric] == "ns":
        fields += ["time_ns", "reference_ns"]
    numbers = {field: value for field, value in entry.items() if field != "metric"}
    require(set(numbers) == set(fields), f"{name}: needs exactly {', '.join(fields)}")
    for field, value in numbers.items():
        require(isinstance(value, (int, float)) and not isinstance(value, bool)
                 and 0 < value <= sys.float_info.max,
                 f"{name}: {field} is not a positive number")
    made = Measurement(**{"time_ns": None, "reference_ns": None, **entry})
    require(isinstance(made.pairs, int), f"{name}: pairs is not a whole number")
    require(made.low <= made.ratio <= made.high, f"{name}: ratio is outside of its interval")
    return made


def _is_texts(value):
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def parse_point(text):
    """A line as a Point; raises HistoryError if it is not of the form above."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HistoryError(f"not JSON: {error}") from None
    require(isinstance(document, dict), "not an object")
    fields = Point.__dataclass_fields__
    require(set(document) == set(fields), f"needs exactly {', '.join(fields)}")
    for field, accepts in (("date", str), ("revision", str), ("suite", str), ("command", str),
                           ("benchmarks", dict)):
        require(isinstance(document[field], accepts), f"{field} is of the wrong type")
    require(document["machine"] and _is_texts(document["machine"]),
             "machine is not an object of texts")
    require(SUITE.fullmatch(document["suite"]), f"suite {document['suite']!r} is no file's name")
    require(REVISION.fullmatch(document["revision"]),
             f"revision {document['revision']!r} is not one of git in hexadecimal")
    try:
        date = datetime.datetime.strptime(document["date"], _DATE)
    except ValueError:
        raise HistoryError(f"date {document['date']!r} is not like 2026-11-25T02:40:11Z") from None
    document["date"] = date.replace(tzinfo=datetime.timezone.utc)
    require(document["benchmarks"], "no benchmarks")
    document["benchmarks"] = {name: _measurement(name, entry)
                              for name, entry in document["benchmarks"].items()}
    return Point(**document)
