# SPDX-License-Identifier: Apache-2.0
"""Names the mutants, and draws the sample by lot, so that nobody picks the mutants."""

import difflib
import hashlib
from collections import Counter
from dataclasses import dataclass, field

from jobs.common.cpp_tokens import Source
from jobs.mutants import operators


@dataclass(frozen=True)
class Mutant:
    id: str
    file: str  # below core/ffgrant
    operator: str
    line: int
    lines: tuple  # the first and last line of the function or declaration that the mutant changes
    text: str = field(repr=False)  # the text of the whole file


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def mutants_of(file, text):
    """All mutants of a file. An id names the file, the operator, the function (by its tokens) and
    the number among the operator's edits in that function, so edits elsewhere do not change the
    id."""
    source = Source(text)
    made, ordinals, digests = [], Counter(), {}
    for operator, edit in operators.all_edits(source):
        span = source.enclosing(edit.begin)
        if span not in digests:
            digests[span] = _digest(" ".join(source[i] for i in range(span.begin, span.end)))[:8]
        name = f"{file}:{operator}:{digests[span]}"
        ordinals[name] += 1
        made.append(Mutant(f"{name}.{ordinals[name]}", file, operator, source.line_of(edit.begin),
                           (source.line_of(span.begin), source.line_of(span.end - 1)),
                           operators.apply(source, edit)))
    return made


def diff(mutant, original):
    """A unified diff without the lines that name files."""
    lines = difflib.unified_diff(original.splitlines(), mutant.text.splitlines(), n=1, lineterm="")
    return list(lines)[2:]


def _lot(seed, name):
    return _digest(f"{seed}:{name}")


def quotas(sizes, count):
    """file -> how many of `count` mutants the file gets. The share is in proportion to the file's
    number of mutants, by the largest remainder, but at least one if the file has any."""
    sizes = {file: size for file, size in sizes.items() if size}
    total = sum(sizes.values())
    if not total:
        return {}
    exact = {file: count * size / total for file, size in sizes.items()}
    given = {file: min(sizes[file], max(1, int(share))) for file, share in exact.items()}
    by_remainder = sorted(sizes, key=lambda file: (int(exact[file]) - exact[file], file))
    while sum(given.values()) < min(count, total):
        for file in by_remainder:
            if given[file] < sizes[file] and sum(given.values()) < count:
                given[file] += 1
    return given


class FileSample:
    """The sample of one file. Its operators take turns; a mutant that turns out to be of no use
    is replaced by the next mutant of the same operator."""

    def __init__(self, mutants, quota, seed):
        self.quota = quota
        self.used = 0
        self.in_flight = 0
        by_operator = {}
        for mutant in mutants:
            by_operator.setdefault(mutant.operator, []).append(mutant)
        for waiting in by_operator.values():
            waiting.sort(key=lambda m: _lot(seed, m.id), reverse=True)
        file = mutants[0].file if mutants else ""
        self._waiting = by_operator
        self._turns = sorted(by_operator, key=lambda name: _lot(seed, f"{file}:{name}"))
        self._next_turn = 0
        self._again = []  # operators whose last mutant was of no use

    def draw(self):
        """The next mutant to try, or None while there is nothing to do."""
        if self.used + self.in_flight >= self.quota:
            return None
        while self._again:
            operator = self._again.pop()
            if self._waiting[operator]:
                self.in_flight += 1
                return self._waiting[operator].pop()
        for _ in self._turns:
            operator = self._turns[self._next_turn % len(self._turns)]
            self._next_turn += 1
            if self._waiting[operator]:
                self.in_flight += 1
                return self._waiting[operator].pop()
        return None

    def put_back(self, mutant, usable):
        """Notes whether a mutant that draw() returned was of use."""
        self.in_flight -= 1
        if usable:
            self.used += 1
        else:
            self._again.append(mutant.operator)

    def exhausted(self):
        return not any(self._waiting.values())


class Sample:
    """The samples of all files together."""

    def __init__(self, mutants_by_file, count, seed):
        given = quotas({file: len(mutants) for file, mutants in mutants_by_file.items()}, count)
        self.files = {file: FileSample(mutants_by_file[file], quota, seed)
                      for file, quota in given.items()}
        self.count = sum(given.values())

    def draw(self):
        """A mutant of the file that is the furthest behind its share, or None."""
        self._pass_on()
        for file in sorted(self.files, key=lambda f: (
                (self.files[f].used + self.files[f].in_flight + 1) / (self.files[f].quota + 1), f)):
            mutant = self.files[file].draw()
            if mutant:
                return mutant
        return None

    def put_back(self, mutant, usable):
        self.files[mutant.file].put_back(mutant, usable)

    def done(self):
        return sum(sample.used for sample in self.files.values())

    def _pass_on(self):
        """If a file can't provide its share, the files that have mutants left provide the rest by
        turns, beginning with the largest share."""
        for sample in self.files.values():
            if sample.exhausted() and not sample.in_flight and sample.used < sample.quota:
                missing, sample.quota = sample.quota - sample.used, sample.used
                heirs = [s for s in sorted(self.files.values(), key=lambda s: -s.quota)
                         if not s.exhausted()]
                for i in range(missing if heirs else 0):
                    heirs[i % len(heirs)].quota += 1
