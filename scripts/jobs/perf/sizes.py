# SPDX-License-Identifier: Apache-2.0
"""Measures the size of programs for the gate, in rounds: of the file, or of chosen sections of an
ELF file.

A size is the same each time. So the size is read once, and stands for as many pairs as are needed.
Sizes have no noise, so no wide margin is needed: a change counts from half a percent on, as with
instructions.
"""

import math
import struct

from jobs.perf import decide, metrics
from jobs.perf.account import Benchmark, Unmeasured
from jobs.perf.gbench_json import Key

RULES = decide.Rules(floor=math.log(1.005))
WHOLE = "file"


def sections(data):
    """Name -> size in bytes, of the sections of an ELF file; None if the data is no such file."""
    if data[:4] != b"\x7fELF" or len(data) < 64:
        return None
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    # The fields that are read are e_shoff; e_shentsize, e_shnum and e_shstrndx; and of a section
    # the name, type, flags, address, offset and size.
    (table,) = struct.unpack_from(order + ("Q" if wide else "I"), data, 40 if wide else 32)
    entry, count, names = struct.unpack_from(order + "HHH", data, 58 if wide else 46)
    form = struct.Struct(order + ("IIQQQQ" if wide else "IIIIII"))
    try:
        rows = [form.unpack_from(data, table + entry * number) for number in range(count)]
        start = rows[names][4]
        found = {}
        for row in rows:
            end = data.index(b"\0", start + row[0])
            name = data[start + row[0]:end].decode("utf-8", "backslashreplace")
            found[name] = found.get(name, 0) + row[5]
    except (struct.error, IndexError, ValueError, OverflowError):
        return None
    return found


def size_of(path, section):
    """(bytes, "") of a file or of a section of it, or (None, why not)."""
    data = path.read_bytes()
    if section == WHOLE:
        return (len(data), "") if data else (None, "is empty")
    found = sections(data)
    if found is None:
        return None, "is no ELF file, and has no sections"
    return (found[section], "") if found.get(section) else (None, f"has no section {section}")


class Sizes(decide.Source):
    """Rounds that are all the same: the size of each program's file, or of the sections that are
    asked for."""

    def __init__(self, suites, wanted=()):
        self.benchmarks, self.unmeasured = [], []
        self.lost: set = set()
        self._values = {}
        for suite in suites:
            arms = list(suite.arms)
            for section in wanted or (WHOLE,):
                file = suite.arms[arms[0]].name
                name = Benchmark(suite.name, Key(file if section == WHOLE else f"{file} {section}"),
                                 metrics.SIZE)
                found = {arm: size_of(suite.arms[arm].path, section) for arm in arms}
                reasons = {arm: why for arm, (size, why) in found.items()
                           if size is None and arm != "copy"}
                if reasons:
                    blocks = len(arms) == 1 or arms[0] not in reasons
                    self.unmeasured.append(Unmeasured(name, reasons, blocks))
                else:
                    self.benchmarks.append(name)
                    self._values[name] = tuple(found[arm][0] for arm in arms)

    def round_seconds(self, _names):
        return 0.0

    def take(self, names, count):
        return [{name: self._values[name] for name in names}] * count
