# SPDX-License-Identifier: Apache-2.0
"""Reads a JSON body as FlowFabric's server does, by rules from the contract (section 4).

    read(struct, b'{"a":1}')     returns the members; raises SyntaxFault (400) or DataFault (422)

The first fault in the order of the bytes decides. Nothing here comes from ffgrant's parsers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class SyntaxFault(Exception):
    """The body is no JSON, or an array with too many elements: status 400."""


class DataFault(Exception):
    """The body is JSON up to this place, but has another shape: status 422."""


_SPACE = b" \t\n\r"
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS = {ord("n"): b"null", ord("t"): b"true", ord("f"): b"false"}
_ESCAPES = {ord('"'): 0x22, ord("\\"): 0x5c, ord("/"): 0x2f, ord("b"): 8, ord("f"): 12,
            ord("n"): 10, ord("r"): 13, ord("t"): 9}
_NOTHING = -1  # what peek() returns at the end of the bytes


class Reader:
    """The bytes of a body, and how far they have been read."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0

    def peek(self) -> int:
        """Skips spaces and returns the next byte without reading it; _NOTHING at the end."""
        while self._at < len(self._text) and self._text[self._at] in _SPACE:
            self._at += 1
        return self._text[self._at] if self._at < len(self._text) else _NOTHING

    def take(self, byte: str) -> None:
        if self.peek() != ord(byte):
            raise SyntaxFault(f"{byte} is needed at byte {self._at}")
        self._at += 1

    def end(self) -> None:
        if self.peek() != _NOTHING:
            raise SyntaxFault("text behind the value")

    def word(self) -> bytes:
        """Reads null, true or false."""
        word = _WORDS[self.peek()]
        if self._text[self._at:self._at + len(word)] != word:
            raise SyntaxFault("no such word")
        self._at += len(word)
        return word

    def number(self) -> tuple[bool, int]:
        """Reads a number. Returns (whether the server takes it for an integer, its value)."""
        found = _NUMBER.match(self._text, self._at)
        if not found:
            raise SyntaxFault("no number")
        text, end = found[0], found.end()
        following = self._text[end:end + 1]
        # The expression matches only the valid beginning of 01, 1. and 1e.
        if following in (b".", b"e", b"E") or (
                following.isdigit() and text.lstrip(b"-") == b"0"):
            raise SyntaxFault("no number")
        self._at = end
        if found[1] or found[2]:
            if float(text) in (float("inf"), float("-inf")):
                raise SyntaxFault("a number out of range")
            return False, 0
        value = int(text)
        if text == b"-0" or not -2**63 <= value < 2**64:
            if len(text) > 308:
                raise SyntaxFault("a number out of range")
            return False, 0
        return True, value

    def string(self, ignored: bool = False) -> bytes:
        """Reads a string. ignored: the string belongs to an unknown member, so its text is
        only skimmed."""
        self.take('"')
        made = bytearray()
        while True:
            if self._at >= len(self._text):
                raise SyntaxFault("a string without an end")
            byte = self._text[self._at]
            self._at += 1
            if byte == 0x22:
                break
            if byte < 0x20:
                raise SyntaxFault("a raw control character")
            if byte == 0x5c:
                made += self._escape(ignored)
            else:
                made.append(byte)
        if not ignored:
            try:
                made.decode()
            except UnicodeDecodeError:
                raise SyntaxFault("no UTF-8") from None
        return bytes(made)

    def _escape(self, ignored: bool) -> bytes:
        byte = self._text[self._at] if self._at < len(self._text) else _NOTHING
        self._at += 1
        if byte in _ESCAPES:
            return bytes([_ESCAPES[byte]])
        if byte != ord("u"):
            raise SyntaxFault("no such escape")
        unit = self._hex()
        if ignored or not 0xd800 <= unit < 0xe000:
            return b"" if ignored else chr(unit).encode()
        if unit >= 0xdc00 or self._text[self._at:self._at + 2] != b"\\u":
            raise SyntaxFault("half of a surrogate pair")
        self._at += 2
        low = self._hex()
        if not 0xdc00 <= low < 0xe000:
            raise SyntaxFault("half of a surrogate pair")
        return chr(0x10000 + (unit - 0xd800) * 0x400 + low - 0xdc00).encode()

    def _hex(self) -> int:
        digits = self._text[self._at:self._at + 4]
        if not re.fullmatch(rb"[0-9a-fA-F]{4}", digits):
            raise SyntaxFault("no four hex digits")
        self._at += 4
        return int(digits, 16)

    def unexpected(self) -> None:
        """Raises SyntaxFault if the value that comes is no JSON, else DataFault for its type. Of an
        array or an object it looks at the first byte only."""
        byte = self.peek()
        if byte in _WORDS:
            self.word()
        elif byte == ord("-") or 0x30 <= byte <= 0x39:
            self.number()
        elif byte == ord('"'):
            self.string()
        elif byte not in (ord("["), ord("{")):
            raise SyntaxFault("no value")
        raise DataFault("a value of another type")

    def skip(self) -> None:
        """Skips a value of any type and depth."""
        closers = []
        while True:
            byte = self.peek()
            if byte == ord("[") or byte == ord("{"):
                self._at += 1
                closers.append("]" if byte == ord("[") else "}")
                if self.peek() == ord(closers[-1]):
                    self._at += 1
                    closers.pop()
                else:
                    if closers[-1] == "}":
                        self._skip_name()
                    continue
            elif byte == ord('"'):
                self.string(ignored=True)
            elif byte in _WORDS:
                self.word()
            else:
                self._skip_number()
            while closers and self.peek() != ord(","):
                self.take(closers.pop())
            if not closers:
                return
            self.take(",")
            if closers[-1] == "}":
                self._skip_name()

    def _skip_name(self) -> None:
        self.string(ignored=True)
        self.take(":")

    def _skip_number(self) -> None:
        found = _NUMBER.match(self._text, self._at)
        if not found:
            raise SyntaxFault("no value")
        following = self._text[found.end():found.end() + 1]
        if following in (b".", b"e", b"E") or (
                following.isdigit() and found[0].lstrip(b"-") == b"0"):
            raise SyntaxFault("no number")
        self._at = found.end()

    def elements(self, read: Callable[[int], bool]) -> None:
        """Reads an array: read(index) reads the element with this index and returns whether another
        may follow."""
        self.take("[")
        number, more = 0, True
        while self.peek() != ord("]"):
            if not more:
                raise SyntaxFault("too many elements")
            if number:
                self.take(",")
                if self.peek() == ord("]"):
                    raise SyntaxFault("a comma too many")
            more = read(number)
            number += 1
        self.take("]")

    def members(self, read: Callable[[bytes], None]) -> None:
        """Reads an object: read(name) checks the name, takes the colon and reads the value."""
        self.take("{")
        first = True
        while self.peek() != ord("}"):
            if not first:
                self.take(",")
            first = False
            if self.peek() != ord('"'):
                raise SyntaxFault("a name is needed")
            read(self.string())
        self.take("}")


# ---- types of values: each takes a Reader and returns the value ----------------------------------

Type = Callable[[Reader], Any]


def text(reader: Reader) -> str:
    if reader.peek() != ord('"'):
        reader.unexpected()
    return reader.string().decode()


def integer(least: int, most: int) -> Type:
    def read(reader: Reader) -> int:
        byte = reader.peek()
        if byte != ord("-") and not 0x30 <= byte <= 0x39:
            reader.unexpected()
        whole, value = reader.number()
        if not whole or not least <= value <= most:
            raise DataFault("a number of another type")
        return value
    return read


U8, U16, U32, U64 = (integer(0, 2**bits - 1) for bits in (8, 16, 32, 64))
I32, I64 = integer(-2**31, 2**31 - 1), integer(-2**63, 2**63 - 1)


def optional(kind: Type) -> Type:
    def read(reader: Reader) -> Any:
        if reader.peek() == ord("n"):
            reader.word()
            return None
        return kind(reader)
    return read


def array(kind: Type) -> Type:
    def read(reader: Reader) -> list[Any]:
        if reader.peek() != ord("["):
            reader.unexpected()
        made: list[Any] = []

        def one(_: int) -> bool:
            made.append(kind(reader))
            return True
        reader.elements(one)
        return made
    return read


def texts_by_name(reader: Reader) -> dict[str, str]:
    if reader.peek() != ord("{"):
        reader.unexpected()
    made = {}

    def one(name: bytes) -> None:
        reader.take(":")
        made[name.decode()] = text(reader)
    reader.members(one)
    return made


def checked(kind: Type, fault: Callable[[Any], str]) -> Type:
    """A type with a further check: fault() returns what is wrong with a value, or ""."""
    def read(reader: Reader) -> Any:
        value = kind(reader)
        if fault(value):
            raise DataFault(fault(value))
        return value
    return read


# ---- structs -------------------------------------------------------------------------------------

_REQUIRED = object()


@dataclass(frozen=True)
class Member:
    name: str
    kind: Type
    default: Any = _REQUIRED  # the value of an absent member

    @property
    def is_required(self) -> bool:
        return self.default is _REQUIRED


def maybe(name: str, kind: Type) -> Member:
    """An optional member: absent and null mean the same."""
    return Member(name, optional(kind), None)


Struct = tuple[Member, ...]


def read(struct: Struct, body: bytes) -> dict[str, Any]:
    reader = Reader(body)
    found: dict[str, Any] = {}
    by_name = {member.name.encode(): member for member in struct}

    def element(number: int) -> bool:
        found[struct[number].name] = struct[number].kind(reader)
        return number + 1 < len(struct)

    def named(name: bytes) -> None:
        member = by_name.get(name)
        if member is None:
            reader.take(":")
            reader.skip()
            return
        if member.name in found:
            raise DataFault("a member twice")
        reader.take(":")
        found[member.name] = member.kind(reader)

    byte = reader.peek()
    if byte == ord("["):
        reader.elements(element)
    elif byte == ord("{"):
        reader.members(named)
    else:
        reader.unexpected()
    for member in struct:
        if member.name not in found:
            if member.is_required:
                raise DataFault(f"{member.name} is missing")
            found[member.name] = member.default
    reader.end()
    return found
