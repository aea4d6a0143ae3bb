# SPDX-License-Identifier: Apache-2.0
"""Reads what one process's JSON of Google Benchmark says of each benchmark: a time, or why there is
none. This module reads the JSON of every version from 1.6 on, and what is left of a file whose
writer died. A benchmark is known by its name and, since names may repeat, by its number among the
benchmarks of this name.
"""

import contextlib
import json
import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple

NANOSECONDS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
_REAL_TIME = re.compile(r"/(?:real_time|manual_time)(?:/|$)")
# If the repetitions are left out of the JSON, one of these statistics of the library stands for the
# process.
_AGGREGATES = ("median", "mean")
FAILED = "failed: "  # begins the reason of a benchmark that reports an error
SKIPPED = "skipped: "  # begins the reason of a benchmark that says itself that it is not for here
_NO_LOOP = 0.02  # nanoseconds: less than any processor takes for an iteration
_ROWS = re.compile(r'"benchmarks"\s*:\s*\[')


class Key(NamedTuple):
    """A benchmark of one program. nth is its number, from 1, among the benchmarks of the same
    name."""
    name: str
    nth: int = 1

    def __str__(self):
        return printable(self.name) + (f" #{self.nth}" if self.nth > 1 else "")


class Reading(NamedTuple):
    """What one process says of a benchmark: nanoseconds for an iteration, or the reason why there
    is no time."""
    ns: float | None
    reason: str = ""
    note: str = ""

    @property
    def has_run(self):
        """Whether the benchmark did its work, with or without a time, for all that it says."""
        return not self.reason.startswith((FAILED, SKIPPED))


def printable(name):
    """A name as it can be printed: bytes that are no UTF-8, and control characters, are escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]",
                  lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


@dataclass
class Document:
    """A file: its context, its rows, and whether the file is complete."""
    context: dict = field(default_factory=dict)
    rows: list = field(default_factory=list)
    whole: bool = False


def _first_of_a_name(pairs):
    return dict(reversed(pairs))


def _dictionaries(value):
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def parse(data):
    """A Document made from the bytes of a file. If the file breaks off, the Document has the
    complete rows."""
    text = data.decode("utf-8", "surrogateescape")
    # The library does not escape control characters. The library writes a program's counters after
    # its own fields, so of two fields with one name the first is the library's.
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=_first_of_a_name)
    try:
        found = decoder.decode(text)
        if isinstance(found, dict) and isinstance(found.get("benchmarks"), list):
            context = found.get("context")
            return Document(context if isinstance(context, dict) else {},
                            _dictionaries(found["benchmarks"]), True)
        return Document()
    except (ValueError, RecursionError):
        pass
    made = Document()
    begin = _ROWS.search(text)
    if not begin:
        return made
    with contextlib.suppress(ValueError, RecursionError, AttributeError, TypeError):
        made.context = dict(decoder.decode(text[:begin.start()].rstrip().rstrip(",") + "}")
                            .get("context", {}))
    at = begin.end()
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        try:
            row, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return made
        if isinstance(row, dict):
            made.rows.append(row)


def _name_of(row):
    name = row.get("run_name")
    if not isinstance(name, str):
        name = str(row.get("name", ""))
        if _statistic(row):
            name = name.removesuffix(f"_{_statistic(row)}")
    return name


def _statistic(row):
    """The statistic of which the row is; empty if it is that of a run. A program may have a counter
    of any name, but a counter is a number."""
    name = row.get("aggregate_name")
    return name if isinstance(name, str) else ""


def _is_aggregate(row):
    return row.get("run_type", "iteration") != "iteration" or bool(_statistic(row))


def _is_of_family(row):
    """Whether a row is about a whole family, as the rows of complexity are, and not about a
    benchmark."""
    return _statistic(row) in ("BigO", "RMS")


def by_key(rows):
    """Key -> its rows. The library numbers families and their instances. The numbers tell
    benchmarks of one name apart, in whatever order they ran."""
    instances = {}
    for row in rows:
        if _is_of_family(row):
            continue
        place = (row.get("family_index", 0), row.get("per_family_instance_index", 0))
        if not all(isinstance(number, int) for number in place):
            place = (0, 0)
        instances.setdefault(_name_of(row), {}).setdefault(place, []).append(row)
    return {Key(name, nth): found for name, places in instances.items()
            for nth, (_, found) in enumerate(sorted(places.items(), key=lambda item: item[0]), 1)}


def _time(row, name):
    """The nanoseconds of a row; NaN if the row has no number. The time is real time if the
    benchmark's name says so or if several threads work. In all other cases the time is CPU time,
    which another program disturbs less if it takes the core away.
    """
    threads = row.get("threads", 1)
    wants_real = (isinstance(threads, int) and threads > 1) or _REAL_TIME.search(name)
    value = row.get("real_time" if wants_real else "cpu_time")
    unit = NANOSECONDS.get(row.get("time_unit", "ns"))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or unit is None:
        return math.nan
    return value * unit


def _no_time(values):
    """Why none of these values is a time."""
    value = values[0]
    if value == 0:
        return "its time is 0: the clock is too coarse for it, or it does nothing"
    if not math.isfinite(value):
        return "its time is no finite number"
    return "its time is negative"


def reading(key, rows):
    """The Reading of a benchmark's rows."""
    for row in rows:
        if row.get("error_occurred") is True:  # a program may have a counter of this name
            return Reading(None, f"{FAILED}{row.get('error_message') or 'no message'}")
    for row in rows:
        if row.get("skipped") is True:
            return Reading(None, f"{SKIPPED}{row.get('skip_message') or 'no message'}")
    values = [_time(row, key.name) for row in rows if not _is_aggregate(row)]
    note = ""
    if not values:
        named = {_statistic(row): row for row in rows}
        chosen = next((name for name in _AGGREGATES if name in named), None)
        if chosen is None:
            return Reading(None, "its row has no time")
        values = [_time(named[chosen], key.name)]
        note = f"reports aggregates only: the {chosen} of its repetitions stands for a process"
    usable = [value for value in values if 0 < value < math.inf]
    if not usable:
        return Reading(None, _no_time(values))
    if min(usable) < _NO_LOOP:
        return Reading(None, "measures nothing: the optimiser has removed its loop")
    return Reading(min(usable), "", note)


def readings(document):
    """Key -> Reading, for every benchmark that has rows in the document."""
    return {key: reading(key, rows) for key, rows in by_key(document.rows).items()}
