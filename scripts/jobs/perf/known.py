# SPDX-License-Identifier: Apache-2.0
"""Reads the list of benchmarks that are known for being noisy or for failing (--known FILE).

The list is a JSON array of objects:

    [{"benchmark": "BM_Chase/*",          its name; * stands for any text
      "reason": "larger than the core's own caches",
      "until": "2027-03-31"}]             the last day on which the entry holds

An entry excuses a benchmark that is inconclusive, invalid or not measured, or whose loop does
nothing any more in the head. No entry excuses a benchmark that is slower or seemed slower. An entry
whose last day has passed excuses nothing. The gate reports entries whose last day has passed, and
entries that match no benchmark.
"""

import datetime
import json
import re
from dataclasses import dataclass, field

from jobs.perf.error import PerfError

_FIELDS = {"benchmark", "reason", "until"}


@dataclass(frozen=True)
class Entry:
    benchmark: str
    reason: str
    until: datetime.date

    def matches(self, name):
        pattern = ".*".join(map(re.escape, self.benchmark.split("*")))
        return re.fullmatch(pattern, name, re.DOTALL) is not None


@dataclass(frozen=True)
class Known:
    """The entries of a file. `today` decides which entries hold."""
    entries: tuple = ()
    today: datetime.date = field(default_factory=lambda: datetime.datetime.now(
        datetime.timezone.utc).date())

    def entry(self, name):
        """The entry that excuses a benchmark; None if no valid entry does."""
        return next((entry for entry in self.entries
                     if entry.until >= self.today and entry.matches(name)), None)

    @property
    def expired(self):
        return [entry for entry in self.entries if entry.until < self.today]

    def unused(self, names):
        return [entry for entry in self.entries if entry.until >= self.today
                and not any(map(entry.matches, names))]


def read(path, today=None):
    """The Known of a file; a PerfError says what is wrong with the file."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PerfError(f"--known {path}: {error}") from None
    if not isinstance(listed, list):
        raise PerfError(f"--known {path}: an array is needed")
    entries = []
    for number, one in enumerate(listed, 1):
        where = f"--known {path}: entry {number}"
        if not isinstance(one, dict) or set(one) != _FIELDS or not all(
                isinstance(text, str) and text.strip() for text in one.values()):
            raise PerfError(f"{where}: needs benchmark, reason and until, all of them texts")
        try:
            until = datetime.date.fromisoformat(one["until"])
        except ValueError:
            raise PerfError(f"{where}: until {one['until']!r} is no date like 2027-03-31") from None
        entries.append(Entry(one["benchmark"], one["reason"], until))
    return Known(tuple(entries), **({"today": today} if today else {}))
