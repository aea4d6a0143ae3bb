# SPDX-License-Identifier: Apache-2.0
"""Reads and writes the history's files, DIR/<fingerprint>/<suite>.jsonl. A file has one point on
each line (history_point.py), and points are only ever appended.

Points of two fingerprints are never compared: neither their times nor their ratios. A fingerprint
is made of the things that must be the same for such a comparison: processor, number of CPUs,
caches, the kinds of instructions that code asks for, compiler and flags. Each point also tells the
other facts about the machine (kernel, libc, Google Benchmark's version). A series goes on when
these change, because the reference kernel ran in the same pairs before and after the change. Code
that shows a series also shows where these facts changed.

Several writers may run at once, and a writer that is killed leaves the file as it was. If a line is
damaged nevertheless, only this line is lost: `scripts/perf history repair` takes it out.
"""

import collections
import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from jobs.perf import home
from jobs.perf.history_point import (
    REVISION,
    SUITE,
    SURROUNDINGS,
    HistoryError,
    Measurement,
    Point,
    differences,
    fingerprint,
    identity,
    parse_point,
    require,
    text_of,
)

__all__ = ("HistoryError", "Measurement", "Point", "differences", "fingerprint", "identity",
           "parse_point")  # callers of this module need these too

ROOT = home.HISTORY


def path_of(point, root=ROOT):
    return Path(root) / fingerprint(point.machine) / f"{point.suite}.jsonl"


def check(suite, revision, machine=None, root=ROOT):
    """Raises HistoryError if a point with this suite, revision and machine could not be appended.
    Callers ask before they measure."""
    require(SUITE.fullmatch(suite), f"suite {suite!r} is no file's name")
    require(REVISION.fullmatch(revision), f"revision {revision!r} is not 12 or more digits of "
                                            "git in hexadecimal")
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
        if machine:
            path = Path(root) / fingerprint(machine) / f"{suite}.jsonl"
            require(not path.exists() or os.access(path, os.R_OK | os.W_OK),
                     f"{path} can't be written")
    except OSError as error:
        raise HistoryError(f"{root} can't be written: {error.strerror}") from None


def _lock(folder):
    """Makes the folder if there is none, and waits for its lock. Returns the descriptor that holds
    the lock. If the folder was moved or removed meanwhile, this begins again, because others lock
    the new folder."""
    while True:
        Path(folder).mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), os.stat(folder)):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


@contextlib.contextmanager
def locked(*folders):
    """Holds the locks of folders; other writers wait."""
    with contextlib.ExitStack() as held:
        for folder in sorted(set(folders)):
            held.callback(os.close, _lock(folder))
        yield


def replace(path, data):
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

    Waits for other writers. Whoever reads the file meanwhile finds the point whole or not at all.
    The same is true if this process is killed. If the file's last line is unfinished, it stays as a
    damaged line of its own.
    """
    text = text_of(point)
    parse_point(text)  # raises if this module could not read the line
    path = path_of(point, root)
    with locked(path.parent):
        for left in path.parent.glob(".writing-*"):  # left by a writer that was killed
            left.unlink(missing_ok=True)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = b""
        if data and not data.endswith(b"\n"):
            data += b"\n"
        replace(path, data + text.encode() + b"\n")
    return path


def keep(point, root=ROOT):
    """Like append(). If appending fails, the point is kept in a file beside the history or among
    temporary files, and the HistoryError says where. If that fails too, the error holds the
    point."""
    try:
        return append(point, root)
    except (OSError, HistoryError) as error:
        text = text_of(point) + "\n"
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


def _split(data):
    """The lines of a file's bytes; the last one may lack its end."""
    return data.split(b"\n")[:None if data and not data.endswith(b"\n") else -1]


def _lines(path):
    """[(number of the line, from 1, and its bytes)] of a file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror}") from None
    return list(enumerate(_split(data), 1))


def _point_at(path, number, line):
    try:
        point = parse_point(line.decode("utf-8"))
        require(fingerprint(point.machine) == path.parent.name,
                 "the machine is not that of the folder")
        require(point.suite == path.stem, "the suite is not that of the file")
        return point
    except UnicodeDecodeError as error:
        raise HistoryError(f"{path}:{number}: {error}") from None
    except HistoryError as error:
        raise HistoryError(f"{path}:{number}: {error}") from None


def read(path, problems=None):
    """The points of a file, in the file's order. A line that is no point raises HistoryError with
    file and line. If there is a list `problems`, the error is added to it instead, and the other
    lines are read.
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
    """(fingerprint, suite) -> points. problems: a text for each line or file that could not be
    read."""

    def __init__(self):
        super().__init__()
        self.problems = []


def read_all(root=ROOT):
    """The History of a folder, in the order of the files' names; empty if there is no history.
    Damaged lines are left out, and the History's problems name them."""
    found = History()
    problems = []
    for path in sorted(Path(root).glob("*/*.jsonl")):
        points = read(path, problems)
        if points:
            found[path.parent.name, path.stem] = points
    found.problems = [str(problem) for problem in problems]
    return found


def repair(path):
    """Takes the damaged lines out of a file, and returns how many there were. The lines go to a
    file beside it, whose name ends in .damaged."""
    path = Path(path)
    with locked(path.parent):
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
            replace(aside, before + b"".join(line + b"\n" for line in bad))
            replace(path, b"".join(line + b"\n" for line in good))
    return len(bad)


def merged(base, ours, theirs):
    """Puts two versions of a file together that were both made from `base`; all are bytes. A line
    that either version has added is there, once if both have added it, and a line that either has
    taken out is gone. A damaged line counts as a line. The lines of `theirs` come first."""
    old, mine, other = (collections.Counter(_split(data)) for data in (base, ours, theirs))
    left = {}
    for line in old | mine | other:
        changes = (mine[line] - old[line], other[line] - old[line])
        opposed = min(changes) < 0 < max(changes)
        left[line] = old[line] + (sum(changes) if opposed else max(changes, key=abs))
    lines = []
    for line in (*_split(theirs), *_split(ours)):
        if left[line] > 0:
            left[line] -= 1
            lines.append(line)
    return b"".join(line + b"\n" for line in lines)


def migrate(source, root=ROOT):
    """Copies into this history the points of another history, `source`, that are missing here.
    `source` may be of an earlier version. Each point goes to the folder of its fingerprint as the
    fingerprint is computed now. Returns (number of points added, problems)."""
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
    """Texts on the series that have ended although their suite goes on: under another fingerprint,
    or without the benchmark."""
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
    """Returns index -> texts, for each point whose surroundings differ from those of the point
    before. The texts say how."""
    found = {}
    for index in range(1, len(points)):
        texts = differences(points[index - 1].machine, points[index].machine, SURROUNDINGS)
        if texts:
            found[index] = texts
    return found


def series(points):
    """Benchmark -> the points that have it, in their order."""
    found = {}
    for point in points:
        for name in point.benchmarks:
            found.setdefault(name, []).append(point)
    return found
