# SPDX-License-Identifier: Apache-2.0
"""The history: results/history/<fingerprint>/<suite>.jsonl, a line a point, only ever appended to.

    {"date": "2026-11-25T02:40:11Z",      UTC, when the measurement began
     "revision": "0729f9c13a5b",           of git, 12 digits or more; "+" at its end: and changes
     "suite": "grant_json",
     "command": "./scripts/perf record",
     "machine": {"cpu": "AMD EPYC", ...},  text -> text: what the fingerprint is made of
     "benchmarks": {"BM_ParseGrant_Core/canonical":
       {"ratio": 7.31,                     time / the reference kernel's time in the same pairs
        "low": 7.25, "high": 7.39,         its confidence interval
        "time_ns": 28.4, "reference_ns": 3.885,
        "pairs": 10}}}                     process pairs: the number of independent measurements

Points of two fingerprints are never compared: neither their times nor their ratios.
"""

import datetime
import hashlib
import json
import math
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.common import build
from jobs.perf.error import PerfError

ROOT = build.ROOT / "results" / "history"
_DATE = "%Y-%m-%dT%H:%M:%SZ"
_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_REVISION = re.compile(r"[0-9a-f]{12,64}\+?")


class HistoryError(PerfError):
    """A file of the history, or a point for it, is not as it has to be. The text says where."""


@dataclass(frozen=True)
class Measurement:
    """One benchmark at one point; ratio = time_ns / reference_ns up to the estimators' rounding."""
    ratio: float
    low: float
    high: float
    time_ns: float
    reference_ns: float
    pairs: int


@dataclass(frozen=True)
class Point:
    """One run of a suite. date is aware and UTC; benchmarks: name -> Measurement."""
    date: datetime.datetime
    revision: str
    suite: str
    command: str
    machine: dict
    benchmarks: dict


def fingerprint(machine):
    """The folder's name for a machine: the CPU for the reader, a digest of all for the rest."""
    text = json.dumps(machine, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    name = re.sub(r"[^a-z0-9]+", "-", machine.get("cpu", "").lower()).strip("-")[:32] or "cpu"
    return f"{name.rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def path_of(point, root=ROOT):
    return Path(root) / fingerprint(point.machine) / f"{point.suite}.jsonl"


def _require(condition, problem):
    if not condition:
        raise HistoryError(problem)


def _text_of(point):
    document = asdict(point)
    document["date"] = point.date.astimezone(datetime.timezone.utc).strftime(_DATE)
    return json.dumps(document, ensure_ascii=True, allow_nan=False)


def _measurement(name, entry):
    _require(isinstance(entry, dict), f"{name}: an object is needed")
    fields = Measurement.__dataclass_fields__
    _require(set(entry) == set(fields), f"{name}: needs exactly {', '.join(fields)}")
    for field, value in entry.items():
        _require(isinstance(value, (int, float)) and not isinstance(value, bool)
                 and math.isfinite(value) and value > 0,
                 f"{name}: {field} is not a positive number")
    made = Measurement(**entry)
    _require(isinstance(made.pairs, int), f"{name}: pairs is not a whole number")
    _require(made.low <= made.ratio <= made.high, f"{name}: ratio is outside of its interval")
    return made


def _is_texts(value):
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def parse_point(text):
    """A line as a Point; raises HistoryError if it is not of the form above."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise HistoryError(f"not JSON: {error}") from None
    _require(isinstance(document, dict), "not an object")
    fields = Point.__dataclass_fields__
    _require(set(document) == set(fields), f"needs exactly {', '.join(fields)}")
    for field, accepts in (("date", str), ("revision", str), ("suite", str), ("command", str),
                           ("benchmarks", dict)):
        _require(isinstance(document[field], accepts), f"{field} is of the wrong type")
    _require(document["machine"] and _is_texts(document["machine"]),
             "machine is not an object of texts")
    _require(_SUITE.fullmatch(document["suite"]), f"suite {document['suite']!r} is no file's name")
    _require(_REVISION.fullmatch(document["revision"]),
             f"revision {document['revision']!r} is not one of git in hexadecimal")
    try:
        date = datetime.datetime.strptime(document["date"], _DATE)
    except ValueError:
        raise HistoryError(f"date {document['date']!r} is not like 2026-11-25T02:40:11Z") from None
    document["date"] = date.replace(tzinfo=datetime.timezone.utc)
    _require(document["benchmarks"], "no benchmarks")
    document["benchmarks"] = {name: _measurement(name, entry)
                              for name, entry in document["benchmarks"].items()}
    return Point(**document)


def append(point, root=ROOT):
    """Adds a point to its file, which is made if there is none, and returns the path.

    One write of one line: who reads meanwhile sees it whole or not at all. A file whose last line
    is unfinished is an error and stays as it is.
    """
    text = _text_of(point)
    parse_point(text)  # what this module would not read it does not write either
    path = path_of(point, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            _require(file.read(1) == b"\n", f"{path}: the last line is not finished")
        file.write(text.encode() + b"\n")
    return path


def read(path):
    """The points of a file, in its order. Raises HistoryError with file and line."""
    path = Path(path)
    points = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HistoryError(f"{path}: {error}") from None
    for number, line in enumerate(lines, 1):
        try:
            point = parse_point(line)
            _require(fingerprint(point.machine) == path.parent.name,
                     "the machine is not that of the folder")
            _require(point.suite == path.stem, "the suite is not that of the file")
        except HistoryError as error:
            raise HistoryError(f"{path}:{number}: {error}") from None
        points.append(point)
    return points


def read_all(root=ROOT):
    """(fingerprint, suite) -> points, sorted; empty where there is no history."""
    return {(path.parent.name, path.stem): read(path)
            for path in sorted(Path(root).glob("*/*.jsonl"))}


def series(points):
    """Benchmark -> the points that have it, in their order: what a plot or a test looks at."""
    found = {}
    for point in points:
        for name in point.benchmarks:
            found.setdefault(name, []).append(point)
    return found
