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

Points of two fingerprints are never compared: neither their times nor their ratios. A fingerprint
is made of what such a comparison would not survive: processor, caches, the vector instructions that
code asks for, compiler and flags. What else the machine says (kernel, libc, Google Benchmark's
version) is told in each point, and a series goes on when it changes: the reference kernel ran in
the same pairs, before the change and after it. Who shows a series shows where it changed.

Writers may run at once; a writer that is killed leaves the file as it was. A line that is damaged
all the same costs that line: `scripts/perf history repair` takes it out.
"""

import contextlib
import datetime
import fcntl
import hashlib
import json
import math
import os
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.perf import home
from jobs.perf.error import PerfError

ROOT = home.HISTORY
# What a point tells and its series outlives.
SURROUNDINGS = ("kernel", "libc", "benchmark_library")
# The processor's flags that code asks for; the others a kernel lists one day and not the next.
_CODE_FLAGS = frozenset((
    "sse4_2", "avx", "avx2", "bmi2", "fma", "avx512f", "avx512bw", "avx512vl", "erms", "fsrm",
    "asimd", "sve", "sve2", "crc32", "pmull"))
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


def identity(machine):
    """What of a machine's description times depend on so much that they are not compared."""
    kept = {field: text for field, text in machine.items() if field not in SURROUNDINGS}
    if "cpu_flags" in kept:
        kept["cpu_flags"] = " ".join(sorted(_CODE_FLAGS & set(kept["cpu_flags"].split())))
    return kept


def differences(old, new, fields=None):
    """Texts on the fields in which two descriptions differ: 'kernel: 6.1 to 6.2'."""
    names = fields or sorted(set(old) | set(new))
    return [f"{name}: {old.get(name, 'unknown')} to {new.get(name, 'unknown')}" for name in names
            if old.get(name) != new.get(name)]


def fingerprint(machine):
    """The folder's name for a machine: the CPU for the reader, a digest of its identity."""
    text = json.dumps(identity(machine), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
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


def check(suite, revision, machine=None, root=ROOT):
    """Raises HistoryError where such a point could not be appended; to be asked before measuring."""
    _require(_SUITE.fullmatch(suite), f"suite {suite!r} is no file's name")
    _require(_REVISION.fullmatch(revision), f"revision {revision!r} is not 12 or more digits of "
                                            "git in hexadecimal")
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
        if machine:
            path = Path(root) / fingerprint(machine) / f"{suite}.jsonl"
            _require(not path.exists() or os.access(path, os.R_OK | os.W_OK),
                     f"{path} can't be written")
    except OSError as error:
        raise HistoryError(f"{root} can't be written: {error.strerror}") from None


@contextlib.contextmanager
def _locked(folder):
    """Holds the folder's lock; who else appends there waits."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path, data):
    """Puts a file in place as a whole or not at all."""
    handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def append(point, root=ROOT):
    """Adds a point to its file, which is made if there is none, and returns the path.

    Waits for other writers. Who reads meanwhile, and who is left if this is killed, sees the point
    whole or not at all. A last line that is not finished stays, as a damaged line of its own.
    """
    text = _text_of(point)
    parse_point(text)  # what this module would not read it does not write either
    path = path_of(point, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent):
        for left in path.parent.glob(".writing-*"):  # of a writer that was killed
            left.unlink(missing_ok=True)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = b""
        if data and not data.endswith(b"\n"):
            data += b"\n"
        _replace(path, data + text.encode() + b"\n")
    return path


def keep(point, root=ROOT):
    """append(); where that fails the point is kept in a file beside the history or among temporary
    files, and the HistoryError says where."""
    try:
        return append(point, root)
    except (OSError, HistoryError) as error:
        text = _text_of(point) + "\n"
        for folder in (Path(root).parent, Path(tempfile.gettempdir())):
            with contextlib.suppress(OSError):
                handle, name = tempfile.mkstemp(prefix=f"unrecorded-{point.suite}-",
                                                suffix=".jsonl", dir=folder)
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                raise HistoryError(f"the point could not be recorded: {error}; it is kept in "
                                   f"{name}") from None
        raise HistoryError(f"the point could not be recorded: {error}; here it is:\n{text}") \
            from None


def _lines(path):
    """(number, line in bytes) of a file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror}") from None
    return list(enumerate(data.split(b"\n")[:None if data and not data.endswith(b"\n") else -1], 1))


def _point_at(path, number, line):
    try:
        point = parse_point(line.decode("utf-8"))
        _require(fingerprint(point.machine) == path.parent.name,
                 "the machine is not that of the folder")
        _require(point.suite == path.stem, "the suite is not that of the file")
        return point
    except UnicodeDecodeError as error:
        raise HistoryError(f"{path}:{number}: {error}") from None
    except HistoryError as error:
        raise HistoryError(f"{path}:{number}: {error}") from None


def read(path, problems=None):
    """The points of a file, in its order.

    A line that is no point raises HistoryError with file and line; with a list `problems` the error
    is added to it, and the other lines are read.
    """
    path = Path(path)
    points = []
    try:
        for number, line in _lines(path):
            try:
                points.append(_point_at(path, number, line))
            except HistoryError as error:
                if problems is None:
                    raise
                problems.append(error)
    except HistoryError as error:
        if problems is None:
            raise
        if error not in problems:
            problems.append(error)
    return points


class History(dict):
    """(fingerprint, suite) -> points; problems: what could not be read, one text a line."""

    def __init__(self):
        super().__init__()
        self.problems = []


def read_all(root=ROOT):
    """The History of a folder, sorted; empty where there is none. Damaged lines are left out, and
    named in its problems."""
    found = History()
    problems = []
    for path in sorted(Path(root).glob("*/*.jsonl")):
        points = read(path, problems)
        if points:
            found[path.parent.name, path.stem] = points
    found.problems = [str(problem) for problem in problems]
    return found


def repair(path):
    """Takes the damaged lines out of a file; returns how many. They go to a file beside it, whose
    name ends in .damaged."""
    path = Path(path)
    with _locked(path.parent):
        good, bad = [], []
        for number, line in _lines(path):
            try:
                _point_at(path, number, line)
                good.append(line)
            except HistoryError:
                bad.append(line)
        if bad:
            aside = path.with_name(path.name + ".damaged")
            before = aside.read_bytes() if aside.exists() else b""
            _replace(aside, before + b"".join(line + b"\n" for line in bad))
            _replace(path, b"".join(line + b"\n" for line in good))
    return len(bad)


def migrate(source, root=ROOT):
    """Adds the points of another history, as earlier versions kept it, that this one lacks: each in
    the folder of its fingerprint as it is made now. Returns (points added, problems)."""
    added, problems = 0, []
    for path in sorted(Path(source).glob("*/*.jsonl")):
        for number, line in _lines(path):
            try:
                point = parse_point(line.decode("utf-8"))
            except (HistoryError, UnicodeDecodeError) as error:
                problems.append(f"{path}:{number}: {error}")
                continue
            target = path_of(point, root)
            if target.exists() and point in read(target, []):
                continue
            append(point, root)
            added += 1
    return added, problems


def ended(history):
    """Texts on the series that ended while their suite went on elsewhere, or without them."""
    said = []
    newest = {}
    for (name, suite), points in history.items():
        last = max(points, key=lambda point: point.date)
        if suite not in newest or last.date > newest[suite][1].date:
            newest[suite] = (name, last)
    for (name, suite), points in sorted(history.items()):
        ordered = sorted(points, key=lambda point: point.date)
        last, (other, latest) = ordered[-1], newest[suite]
        if other != name:
            changed = differences(identity(last.machine), identity(latest.machine))
            said.append(f"{suite} on {name} ended on {last.date:%Y-%m-%d}; it goes on as {other}: "
                        + "; ".join(changed))
        gone = {}
        for point in ordered:
            gone.update((benchmark, point) for benchmark in point.benchmarks)
        said += [f"{benchmark} of {suite} on {name} ended on {point.date:%Y-%m-%d}: later points "
                 "lack it" for benchmark, point in sorted(gone.items()) if point is not last]
    return said


def changes_around(points):
    """index -> texts, of the points whose surroundings are not those of the point before."""
    found = {}
    for index in range(1, len(points)):
        texts = differences(points[index - 1].machine, points[index].machine, SURROUNDINGS)
        if texts:
            found[index] = texts
    return found


def series(points):
    """Benchmark -> the points that have it, in their order: what a plot or a test looks at."""
    found = {}
    for point in points:
        for name in point.benchmarks:
            found.setdefault(name, []).append(point)
    return found
