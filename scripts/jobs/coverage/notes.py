# SPDX-License-Identifier: Apache-2.0
"""Reads the comments that say why code can't be covered, and checks whether they are true.

    // Never reached: REASON             the statement that follows is never executed; a switch
                                         right before it always takes one of its cases
    // Never true: REASON                a condition on the line that follows is never true
    // Never false: `CONDITION`: REASON  one of several conditions on the line is never false
    // Never alone: `CONDITION`: REASON  the condition never decides by itself (MC/DC)

Such a comment stands on the line before the line that it is about, or at that line's end. Covered
code with such a comment is an error, as is a comment that excuses nothing.
"""

import re
from dataclasses import dataclass, field

from jobs.common.cpp_tokens import Source

_NOTE = re.compile(r"//\s*Never (reached|true|false|alone):\s*(?:`([^`]*)`:\s*)?(.*)$")


@dataclass(frozen=True)
class Note:
    kind: str
    line: int  # the line of the comment
    condition: str  # empty if the note names none
    reason: str


@dataclass
class Uncovered:
    """What is not covered in a file and not excused by a note."""
    lines: list = field(default_factory=list)
    sides: list = field(default_factory=list)  # (place, "true" or "false")
    conditions: list = field(default_factory=list)  # places


@dataclass
class Counts:
    """Pairs (covered, total). What notes excuse isn't part of the total."""
    lines: tuple = (0, 0)
    branches: tuple = (0, 0)
    mcdc: tuple = (0, 0)


def read_notes(text):
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _NOTE.search(line)
        if match:
            found.append(Note(match[1], number, match[2] or "", match[3].strip()))
    return found


def place_text(lines, place):
    """The source text of a place, in one line."""
    begin_line, begin, end_line, end = place
    if begin_line == end_line:
        return lines[begin_line - 1][begin - 1:end - 1]
    parts = [lines[begin_line - 1][begin - 1:], *lines[begin_line:end_line - 1],
             lines[end_line - 1][:end - 1]]
    return " ".join(part.strip() for part in parts)


class _Excuses:
    def __init__(self, text):
        self.lines = {}  # line -> note
        self.sides = {}  # (place, side) -> note
        self.conditions = {}  # place -> note
        self.errors = []
        self.text_lines = text.splitlines()
        self._source = Source(text)

    def _subject(self, note):
        """The line that the note is about."""
        number = note.line
        if self.text_lines[number - 1].lstrip().startswith("//"):
            while number <= len(self.text_lines) and (
                    self.text_lines[number - 1].lstrip().startswith("//")
                    or not self.text_lines[number - 1].strip()):
                number += 1
        return number

    def _statement(self, line):
        """The lines of the statement that begins on a line."""
        source = self._source
        first = next((i for i in range(len(source.tokens)) if source.line_of(i) >= line), None)
        if first is None:
            return []
        i = first
        while i < len(source.tokens) and source[i] != ";":
            if source[i] in ("{", "(", "[") and i in source.partner:
                closing = source.partner[i]
                if source[i] == "{" and source[closing + 1] not in ("else", ",", ";", ")", "."):
                    i = closing
                    break
                i = closing
            i += 1
        return range(line, source.line_of(min(i, len(source.tokens) - 1)) + 1)

    def _switch_before(self, line):
        """The line of the switch that ends right before a line, or None."""
        source = self._source
        closing = next((i for i in range(len(source.tokens)) if source.line_of(i) >= line), 0) - 1
        if source[closing] == "}" and closing in source.partner:
            before = source.partner[closing] - 1
            if source[before] == ")" and source[source.partner[before] - 1] == "switch":
                return source.line_of(source.partner[before] - 1)
        return None

    def _is_switch(self, place):
        return self.text_lines[place[0] - 1][:place[1] - 1].rstrip().endswith("switch (")

    def _of_conditions(self, note, line, places):
        """Returns the place among `places` that the note means. If there isn't exactly one such
        place, adds an error and returns None."""
        here = [place for place in places if place[0] == line]
        wanted = "".join(note.condition.split())
        if wanted:
            here = [place for place in here
                    if "".join(place_text(self.text_lines, place).split()) == wanted]
        if len(here) == 1:
            return here[0]
        self.errors.append(f"{note.line}: `Never {note.kind}` fits "
                           f"{len(here) or 'no'} conditions without coverage")
        return None

    def add(self, note, lacking):
        """Adds what the note excuses. lacking: what all runs together leave uncovered."""
        line = self._subject(note)
        if len(note.reason) < 3:
            self.errors.append(f"{note.line}: `Never {note.kind}` gives no reason")
        if note.kind == "reached":
            statement = self._statement(line)
            covered = [n for n in statement if n in lacking.covered_lines]
            missed = [n for n in statement if n in lacking.lines]
            if covered or not missed:
                self.errors.append(f"{note.line}: `Never reached`, but line "
                                   f"{covered[0] if covered else line} "
                                   f"{'is covered' if covered else 'has no code'}")
            self.lines.update(dict.fromkeys(missed, note))
            switch = self._switch_before(line)
            for place, side in lacking.sides:
                if place[0] in statement or (place[0] == switch and self._is_switch(place)):
                    self.sides[place, side] = note
            for place in lacking.conditions:
                if place[0] in statement:
                    self.conditions[place] = note
        elif note.kind == "alone":
            taken = [p for p in lacking.conditions
                     if not any(place == p for place, _ in lacking.sides)]
            place = self._of_conditions(note, line, taken)
            if place:
                self.conditions[place] = note
        else:
            places = [place for place, side in lacking.sides if side == note.kind]
            place = self._of_conditions(note, line, places)
            if place:
                self.sides[place, note.kind] = note
                if place in lacking.conditions:
                    self.conditions[place] = note


@dataclass
class _Lacking(Uncovered):
    covered_lines: set = field(default_factory=set)


def lacking(file):
    """What is not covered in an export.File."""
    found = _Lacking()
    found.lines = sorted(line for line, count in file.lines.items() if not count)
    found.covered_lines = {line for line, count in file.lines.items() if count}
    found.sides = [(place, side) for place, side, count in file.sides() if not count]
    found.conditions = [place for place, independent in file.conditions() if not independent]
    return found


def excuses(text, together):
    """The excuses in a source text. together: the file's coverage by all runs together."""
    made = _Excuses(text)
    missing = lacking(together)
    for note in read_notes(text):
        made.add(note, missing)
    return made


def judge(file, excused):
    """Returns (Counts, Uncovered) of an export.File, of one run or of all runs together."""
    missing = lacking(file)
    left = Uncovered([n for n in missing.lines if n not in excused.lines],
                     [side for side in missing.sides if side not in excused.sides],
                     [c for c in missing.conditions if c not in excused.conditions])

    def counts(total, uncovered, excuse):
        return total - excuse - len(uncovered), total - excuse

    return Counts(
        counts(len(file.lines), left.lines, len(missing.lines) - len(left.lines)),
        counts(sum(1 for _ in file.sides()), left.sides, len(missing.sides) - len(left.sides)),
        counts(sum(1 for _ in file.conditions()), left.conditions,
               len(missing.conditions) - len(left.conditions))), left
