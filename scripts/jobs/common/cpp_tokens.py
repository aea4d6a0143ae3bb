# SPDX-License-Identifier: Apache-2.0
"""Finds the tokens and scopes of C++ source that clang-format has laid out.

This module is no parser: where the grammar alone is ambiguous, the layout decides. clang-format
puts spaces on both sides of a binary operator, and never on both sides of a template's angle
bracket.
So `a < b` is a comparison and `span<char>` is not.
"""

import bisect
import re
from dataclasses import dataclass

_TOKEN = re.compile(r"""
    (?P<space>\s+)
  | (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<directive>\#(?:\\\n|/\*.*?\*/|[^\n])*)
  | (?P<string>(?:u8|u|U|L)?R"(?P<mark>[^()\s\\]{0,16})\(.*?\)(?P=mark)"\w*
             | (?:u8|u|U|L)?"(?:\\.|[^"\\\n])*"\w*)
  | (?P<char>(?:u8|u|U|L)?'(?:\\.[^'\n]*|[^'\\\n])'\w*)
  | (?P<number>\.?\d(?:'?[\w.]|(?<=[eEpP])[+-])*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<mark_>\.\.\.|->\*|<=>|<<=|>>=|::|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
""", re.VERBOSE | re.DOTALL)

_OPENING = {"(": ")", "[": "]", "{": "}"}
_CLOSING = set(_OPENING.values())


@dataclass(frozen=True)
class Token:
    kind: str  # name, number, char, string, mark
    text: str
    begin: int
    end: int
    spaced: bool  # white space on both sides


def tokenize(text):
    """All tokens but white space, comments and preprocessor directives."""
    found, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match and match.lastgroup, "the last alternative matches anything"
        kind = match.lastgroup
        position = match.end()
        if kind not in ("space", "comment", "directive"):
            before = text[match.start() - 1:match.start()]
            after = text[position:position + 1]
            kind = {"mark_": "mark"}.get(kind, kind)
            found.append(Token(kind, match[0], match.start(), position,
                               (not before or before.isspace()) and
                               (not after or after.isspace())))
    return found


@dataclass(frozen=True)
class Span:
    """Tokens [begin, end) that belong together."""
    begin: int
    end: int


class Source:
    """A file's tokens, its pairs of brackets, and the functions and enums that hold the tokens."""

    def __init__(self, text):
        self.text = text
        self.tokens = tokenize(text)
        self.partner = self._match_brackets()
        self.functions = []  # Span of each outermost function, from its first token on
        self.enums = []  # Span of each enum's body
        self._find_scopes()
        self.skipped = self._find_skipped()

    def __getitem__(self, index):
        """The text of a token; empty outside of the file."""
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def slice(self, begin, end):
        """The source text of tokens [begin, end)."""
        return self.text[self.tokens[begin].begin:self.tokens[end - 1].end] if begin < end else ""

    def is_binary(self, index):
        """Whether the token is laid out as an operator between two operands: a mark with white
        space on both sides."""
        return self.tokens[index].kind == "mark" and self.tokens[index].spaced

    def line_of(self, index):
        return self.text.count("\n", 0, self.tokens[index].begin) + 1

    def _match_brackets(self):
        partner, stack = {}, []
        for i, token in enumerate(self.tokens):
            if token.kind != "mark":
                continue
            if token.text in _OPENING:
                stack.append(i)
            elif token.text in _CLOSING and stack:
                opening = stack.pop()
                partner[opening], partner[i] = i, opening
        return partner

    def _head(self, brace):
        """The first token of the declaration whose body the brace opens, at namespace or class
        scope."""
        i = brace - 1
        while i >= 0 and self[i] not in (";", "{", "}"):
            # The inside of round and square brackets is skipped. The inside of braces is not, so a
            # constructor that initializes a member in braces ends the search too early.
            i = self.partner[i] - 1 if self[i] in (")", "]") else i - 1
        i += 1
        while self[i] in ("public", "private", "protected") and self[i + 1] == ":":
            i += 2
        return i

    def _find_scopes(self):
        i = 0
        while i < len(self.tokens):
            if self[i] == "{" and i in self.partner:
                head = self._head(i)
                words = self._words(head, i)
                if "namespace" in words or "extern" in words:
                    pass  # the loop goes on with what is inside
                elif "enum" in words:
                    self.enums.append(Span(i + 1, self.partner[i]))
                    i = self.partner[i]
                elif "(" in words and "=" not in words:
                    self.functions.append(Span(head, self.partner[i] + 1))
                    i = self.partner[i]
                elif not {"class", "struct", "union"} & set(words):
                    i = self.partner[i]  # an initializer
            i += 1

    def _words(self, begin, end):
        """The tokens of a declaration's head, without those inside round or square brackets or
        template<>."""
        words = []
        i = begin
        while i < end:
            if self[i] == "template" and self[i + 1] == "<":
                depth = 0
                i += 1
                while i < end:
                    depth += {"<": 1, ">": -1, ">>": -2}.get(self[i], 0)
                    i += 1
                    if depth <= 0:
                        break
                continue
            words.append(self[i])
            i = self.partner[i] if self[i] in ("(", "[") and i in self.partner else i + 1
        # operator() and operator= are functions too.
        if "operator" in words and "(" in words:
            return [word for word in words if word != "="]
        return words

    def _find_skipped(self):
        """Finds the spans of assertions, attributes, using-declarations, and conditions that only
        the compiler evaluates."""
        spans = []
        for i in range(len(self.tokens)):
            if self[i] in ("static_assert", "assert", "requires", "alignas", "noexcept") and \
                    self[i + 1] == "(":
                spans.append(Span(i, self.partner[i + 1] + 1))
            elif self[i] == "[" and self[i + 1] == "[" and i in self.partner:
                spans.append(Span(i, self.partner[i] + 1))
            elif self[i] == "using":
                end = i
                while end < len(self.tokens) and self[end] != ";":
                    end += 1
                spans.append(Span(i, end))
        return spans

    def is_skipped(self, index):
        return any(span.begin <= index < span.end for span in self.skipped)

    def function_of(self, index):
        """The Span of the function around a token, or None."""
        place = bisect.bisect_right([span.begin for span in self.functions], index) - 1
        if place >= 0 and index < self.functions[place].end:
            return self.functions[place]
        return None

    def enclosing(self, index):
        """The Span of the function around a token; outside of functions, the Span of the
        declaration around the token."""
        function = self.function_of(index)
        if function:
            return function
        begin = end = index
        while begin > 0 and self[begin - 1] not in (";", "}"):
            begin -= 1
        while end < len(self.tokens) and self[end] != ";":
            end += 1
        return Span(begin, min(end + 1, len(self.tokens)))

    def arguments(self, opening):
        """The spans between the commas inside a bracket. A comma inside a template's angle brackets
        does not count."""
        spans, begin, i, depth = [], opening + 1, opening + 1, 0
        end = self.partner[opening]
        while i < end:
            token = self.tokens[i]
            if token.kind == "mark" and token.text in _OPENING and i in self.partner:
                i = self.partner[i]
            elif token.kind == "mark" and not token.spaced and token.text in ("<", ">", ">>"):
                depth += {"<": 1, ">": -1, ">>": -2}[token.text]
            elif token.text == "," and token.kind == "mark" and depth <= 0:
                spans.append(Span(begin, i))
                begin = i + 1
            i += 1
        if begin < end:
            spans.append(Span(begin, end))
        return spans

    def operand_begin(self, index):
        """The first token of the postfix expression (a.b(c)->d::e) that ends at `index`."""
        i = index
        while True:
            while self[i] in (")", "]") and i in self.partner:
                i = self.partner[i] - 1
            if self[i - 1] in (".", "->", "::"):
                if self[i - 2] == ">" and self[i - 1] == "::":
                    return i  # a template's member: its beginning isn't worth finding
                i -= 2
            else:
                return i
