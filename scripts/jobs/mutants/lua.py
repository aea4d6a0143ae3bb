# SPDX-License-Identifier: Apache-2.0
"""Finds where a Lua source can be mutated, and how. operators.py does the same for C++.

Each edit leaves a text that Lua compiles.
"""

import bisect
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.mutants.sampling import Mutant

_TOKEN = re.compile(r"""
    (?P<space>\s+)
  | (?P<comment>--\[\[.*?\]\]|--[^\n]*)
  | (?P<string>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")
  | (?P<number>0x[\da-fA-F]+|\d+(?:\.\d+)?)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<mark>==|~=|<=|>=|\.\.\.|\.\.|.)
""", re.VERBOSE | re.DOTALL)
_KEYWORDS = {"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in",
             "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"}
_SWAPS = {
    "boundary": {"<": "<=", "<=": "<", ">": ">=", ">=": ">"},
    "comparison": {"==": "~=", "~=": "=="},
    "logic": {"and": "or", "or": "and"},
    "arithmetic": {"+": "-", "-": "+", "*": "+", "/": "*", "%": "*"},
    "truth": {"true": "false", "false": "true"},
}
_PAIRS = {"(": ")", "[": "]", "{": "}"}
# A function, or a call that registers one, begins at the start of a line.
_FUNCTION = re.compile(r"^(?:local )?function \w|^register\(|^redis\.register_function",
                       re.MULTILINE)
_HEAD = re.compile(r"function(?: \w+)?\([^)]*\)")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    begin: int
    end: int


@dataclass(frozen=True)
class Edit:
    """An edit that replaces the characters [begin, end) by a text."""
    begin: int
    end: int
    text: str


class Source:
    """A Lua text and its tokens, without white space and comments."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = []
        for match in _TOKEN.finditer(text):
            assert match.lastgroup, "the last alternative matches anything"
            if match.lastgroup not in ("space", "comment"):
                self.tokens.append(_Token(match.lastgroup, match[0], match.start(), match.end()))
        self.lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self._functions = [match.start() for match in _FUNCTION.finditer(text)]

    def __getitem__(self, i: int) -> str:
        return self.tokens[i].text if 0 <= i < len(self.tokens) else ""

    def line_of(self, position: int) -> int:
        return bisect.bisect_right(self.lines, position)

    def chunk(self, position: int) -> tuple[int, int]:
        """Where the function around a position begins, and where the next function begins."""
        i = bisect.bisect_right(self._functions, position)
        return (self._functions[i - 1] if i else 0,
                self._functions[i] if i < len(self._functions) else len(self.text))

    def ends_operand(self, i: int) -> bool:
        token = self.tokens[i]
        return (token.kind in ("string", "number") or token.text in (")", "]", "}")
                or (token.kind == "name" and token.text not in _KEYWORDS - {"nil", "true", "false",
                                                                           "end"}))

    def closing(self, i: int) -> int:
        """The index of the bracket that closes the bracket i."""
        depth = 0
        for k in range(i, len(self.tokens)):
            depth += (self[k] in _PAIRS) - (self[k] in _PAIRS.values())
            if depth == 0:
                return k
        return i


def _swaps(source: Source) -> Iterator[tuple[str, Edit]]:
    for i, token in enumerate(source.tokens):
        for operator, table in _SWAPS.items():
            fits = operator == "truth" or (i > 0 and source.ends_operand(i - 1))
            if token.kind != "string" and token.text in table and fits:
                yield operator, Edit(token.begin, token.end, table[token.text])


def _constants(source: Source) -> Iterator[tuple[str, Edit]]:
    """n -> n + 1 and n - 1, also where the number is the whole of a string."""
    for token in source.tokens:
        match = re.fullmatch(r"('?)(\d+)('?)", token.text)
        if match and token.kind in ("number", "string"):
            for value in (int(match[2]) + 1, int(match[2]) - 1):
                if value >= 0:
                    yield "constant", Edit(token.begin, token.end, f"{match[1]}{value}{match[3]}")


def _conditions(source: Source) -> Iterator[tuple[str, Edit]]:
    """if c then -> if not (c) then; if c then return -> if (c) and false then return;
    not a -> a."""
    for i, token in enumerate(source.tokens):
        if token.text in ("if", "elseif"):
            then = next((k for k in range(i, len(source.tokens)) if source[k] == "then"), None)
            if then is None:
                continue
            begin, end = source.tokens[i + 1].begin, source.tokens[then - 1].end
            condition = source.text[begin:end]
            yield "negation", Edit(begin, end, f"not ({condition})")
            if source[then + 1] == "return":
                yield "dropped-check", Edit(begin, end, f"({condition}) and false")
        elif token.text == "not":
            yield "negation", Edit(token.begin, source.tokens[i + 1].begin, "")


def _statements(source: Source) -> Iterator[tuple[str, Edit]]:
    """Leaves out a call whose value nobody takes."""
    for i in range(1, len(source.tokens)):
        token = source.tokens[i]
        starts = source[i - 1] in ("then", "do", "else", "end") or (
            "\n" in source.text[source.tokens[i - 1].end:token.begin]
            and source.ends_operand(i - 1)) or source[i - 1] == ";"
        if token.kind != "name" or token.text in _KEYWORDS or not starts:
            continue
        k = i + 1
        while source[k] in (".", "["):
            k = source.closing(k) + 1 if source[k] == "[" else k + 2
        if source[k] == "(" and token.begin != source.chunk(token.begin)[0]:
            yield "dropped-call", Edit(token.begin, source.tokens[source.closing(k)].end, "")


def _fields(source: Source) -> Iterator[tuple[str, Edit]]:
    """Leaves out a line of a call if the line begins with a field's name."""
    for match in re.finditer(r"^ +'[a-z_]+', [^\n]*,\n", source.text, re.MULTILINE):
        yield "dropped-field", Edit(match.start(), match.end(), "")


_OPERATORS = (_swaps, _constants, _conditions, _statements, _fields)


def mutants_of(file: str, text: str) -> list[Mutant]:
    """All mutants of a Lua file. An id names the file, the operator, the function (by its tokens)
    and the number among the operator's edits in that function."""
    source = Source(text)
    found: list[tuple[int, str, Edit]] = []
    for operators in _OPERATORS:
        found += [(edit.begin, name, edit) for name, edit in operators(source)]
    made, ordinals = [], Counter[str]()
    for _, operator, edit in sorted(found, key=lambda entry: (entry[1], entry[0], entry[2].end)):
        begin, end = source.chunk(edit.begin)
        words = " ".join(t.text for t in source.tokens if begin <= t.begin < end)
        name = f"{file}:{operator}:{hashlib.sha256(words.encode()).hexdigest()[:8]}"
        ordinals[name] += 1
        made.append(Mutant(
            f"{name}.{ordinals[name]}", file, operator, source.line_of(edit.begin),
            (source.line_of(begin), source.line_of(end - 1)),
            text[:edit.begin] + edit.text + text[edit.end:]))
    return made


def probe(text: str, line: int) -> str | None:
    """The text with an error at the start of the function around a line; None if there is no
    function around the line."""
    source = Source(text)
    position = source.lines[line - 1]
    begin, _ = source.chunk(position)
    head = _HEAD.search(text, begin)
    if head is None or not _FUNCTION.match(text, begin):
        return None
    return f"{text[:head.end()]} error('probe')\n{text[head.end():]}"
