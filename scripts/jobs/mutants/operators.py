# SPDX-License-Identifier: Apache-2.0
"""Finds where a C++ source can be mutated, and how, with operators over the source's tokens.

Each operator is a generator over a cpp_tokens.Source that yields edits. No operator knows whether
an edit compiles: the compiler finds out.
"""

import hashlib
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """An edit that replaces the tokens [begin, end) by a text."""
    begin: int
    end: int
    text: str


def _swap(pairs):
    return {**dict(pairs), **{b: a for a, b in pairs}}


_BOUNDARY = _swap([("<", "<="), (">", ">=")])
_COMPARISON = _swap([("==", "!=")])
_LOGIC = _swap([("&&", "||"), ("&", "|")])
_ARITHMETIC = {**_swap([("+", "-"), ("<<", ">>"), ("+=", "-=")]), "*": "+", "/": "*", "%": "/",
               "^": "|", "&=": "|=", "|=": "&="}
_LEAVING = ("return", "continue", "break", "goto", "throw")
_NO_CALL = {"if", "for", "while", "switch", "sizeof", "alignof", "decltype", "noexcept", "catch",
            "static_assert", "alignas", "requires", "defined", "operator"}
_NO_STATEMENT = {"return", "break", "continue", "goto", "throw", "if", "else", "for", "while", "do",
                 "switch", "case", "default", "using", "const", "constexpr", "static", "typedef",
                 "struct", "class", "enum", "union", "template", "namespace", "public", "private",
                 "protected", "auto", "friend", "extern", "inline", "thread_local", "explicit",
                 "virtual", "try", "catch", "volatile", "typename", "delete", "alignas"}
# Names of limits: quantities that something must not exceed.
_BOUND_NAME = re.compile(r"k(?:Max\w*|\w*(?:Size|Count|Capacity|Limit))")
_INTEGER = re.compile(r"(0[xX][\da-fA-F']+|\d[\d']*)([uUlLzZ]*)")


def _replacements(table):
    def operator(source):
        for i in range(len(source.tokens)):
            if source[i] in table and source.is_binary(i):
                yield Edit(i, i + 1, table[source[i]])
    return operator


def integers(source):
    """n -> n + 1, n - 1; a character -> the next one."""
    for i, token in enumerate(source.tokens):
        if token.kind == "number":
            match = _INTEGER.fullmatch(token.text)
            if not match:
                continue
            digits, suffix = match[1].replace("'", ""), match[2]
            is_hex = digits[:2] in ("0x", "0X")
            value = int(digits, 16 if is_hex else 8 if len(digits) > 1 and digits[0] == "0" else 10)
            for changed in (value + 1, value - 1):
                if changed >= 0:
                    yield Edit(i, i + 1, (hex(changed) if is_hex else str(changed)) + suffix)
        elif token.kind == "char" and re.fullmatch(r"'[ -&(-\[\]-}]'", token.text):
            following = chr(ord(token.text[1]) + 1)
            yield Edit(i, i + 1, f"'{following}'" if following not in "'\\" else f"'\\{following}'")


def _conditions(source):
    """Yields (opening bracket, closing bracket) of each `if` that is no `if constexpr`."""
    for i in range(len(source.tokens)):
        if source[i] == "if" and source[i + 1] == "(" and i + 1 in source.partner:
            yield i + 1, source.partner[i + 1]


def _leaves(source, closing):
    """Whether the last statement of an `if`'s body leaves the body, as return does."""
    i = closing + 1
    if source[i] == "{" and i in source.partner:
        last = source.partner[i] - 1
        begin = last - 1
        while begin > i and source[begin] not in (";", "{", "}"):
            begin -= 1
        return source[begin + 1] in _LEAVING
    return source[i] in _LEAVING


def dropped_checks(source):
    """if (c) return ...; -> the condition is evaluated but never counts as true."""
    for opening, closing in _conditions(source):
        if _leaves(source, closing):
            yield Edit(opening + 1, closing,
                       f"({source.slice(opening + 1, closing)}) ? false : false")


def negated(source):
    """if (c) -> if (!(c)); !a -> a."""
    for opening, closing in _conditions(source):
        yield Edit(opening + 1, closing, f"!({source.slice(opening + 1, closing)})")
    for i in range(len(source.tokens)):
        if source[i] == "!" and source.tokens[i].kind == "mark":
            yield Edit(i, i + 1, "")


def swapped_arguments(source):
    """f(a, b) -> f(b, a), for each two neighbouring arguments."""
    for i in range(1, len(source.tokens)):
        if source[i] != "(" or i not in source.partner or source.tokens[i - 1].kind != "name":
            continue
        name = i - 1
        while source[name - 1] == "::" and source.tokens[name - 2].kind == "name":
            name -= 2
        before = source.tokens[name - 1] if name else None
        declared = before is not None and (
            (before.kind == "name" and before.text not in ("return", "else", "case", "throw"))
            or (before.text in (">", "*", "&") and not before.spaced))
        if source[i - 1] in _NO_CALL or declared:
            continue
        arguments = source.arguments(i)
        for a, b in zip(arguments, arguments[1:]):
            first, second = source.slice(a.begin, a.end), source.slice(b.begin, b.end)
            if first != second and first and second:
                yield Edit(a.begin, b.end, f"{second}, {first}")


def _enumerators(source):
    """Yields (index of Enum in Enum::kName, "Enum", "kName") for each name of that form."""
    for i in range(len(source.tokens) - 2):
        if source[i + 1] == "::" and source.tokens[i].kind == "name" and \
                source[i][:1].isupper() and re.fullmatch(r"k[A-Z]\w*", source[i + 2]) and \
                source[i + 3] not in ("(", "::", "<"):
            yield i, source[i], source[i + 2]


def _others(source):
    """Enum -> the enumerators of it that the file names, sorted."""
    found = {}
    for _, enum, name in _enumerators(source):
        found.setdefault(enum, set()).add(name)
    return {enum: sorted(names) for enum, names in found.items()}


def _other(names, name, salt):
    """One of `names` other than `name`; None if there is no other. A digest of `salt` and `name`
    chooses it, and not a person."""
    rest = [n for n in names if n != name]
    digest = hashlib.sha256(f"{salt}:{name}".encode()).digest()
    return rest[int.from_bytes(digest[:4], "big") % len(rest)] if rest else None


def _is_assigned(source, i):
    """Whether the tokens from i on are the whole value that is assigned to something that existed
    before."""
    begin = i - 1
    if source[i - 1] == "::":  # a namespace in front
        begin = i - 3
    if source[begin] != "=":
        return False
    lhs = source.operand_begin(begin - 1)
    return source[lhs - 1] in ("{", "}", ";", ")", "else", "=", ":")


def wrong_enumerators(source):
    """Enum::kX -> Enum::kY, where kY is an enumerator that the file names."""
    others = _others(source)
    for i, enum, name in _enumerators(source):
        if source[i - 1] == "case" or (source[i - 1] == "::" and source[i - 3] == "case"):
            continue
        function = source.function_of(i)
        salt = source[function.begin + 1] if function else ""
        replacement = _other(others[enum], name, salt)
        if replacement and not _is_assigned(source, i):
            yield Edit(i + 2, i + 3, replacement)


def _assignments(source):
    """Yields (first token, index of =, index of ;) of statements `a.b = ...;`."""
    for begin, end in _statements(source):
        depth_zero = begin
        while depth_zero < end and source[depth_zero] != "=":
            depth_zero = source.partner[depth_zero] + 1 \
                if source[depth_zero] in ("(", "[", "{") and depth_zero in source.partner \
                else depth_zero + 1
        if depth_zero < end:
            yield begin, depth_zero, end


def transitions(source):
    """x = State::kA; -> another state, or nothing; x = true; -> false, or nothing."""
    others = _others(source)
    for begin, equals, end in _assignments(source):
        value = [source[i] for i in range(equals + 1, end)]
        replacement = None
        if value in (["true"], ["false"]):
            replacement = "false" if value == ["true"] else "true"
            yield Edit(equals + 1, end, replacement)
            yield Edit(begin, end, "")
        elif len(value) >= 3 and value[-2] == "::" and value[-3] in others and \
                value[-1] in others[value[-3]] and "(" not in value:
            replacement = _other(others[value[-3]], value[-1], source[begin])
            if replacement:
                yield Edit(end - 1, end, replacement)
            yield Edit(begin, end, "")


def bounds(source):
    """x.size() or kMaxX -> one more, one less."""
    for i in range(len(source.tokens)):
        if source[i] == "size" and source[i - 1] in (".", "->") and source[i + 1] == "(" and \
                source[i + 2] == ")":
            begin, end = source.operand_begin(i), i + 3
        elif source.tokens[i].kind == "name" and _BOUND_NAME.fullmatch(source[i]) and \
                source[i + 1] not in ("=", "::", "(", "{") and \
                not (source[i - 1] == "::" and source[i - 2][:1].isupper()):
            begin, end = i, i + 1
            while source[begin - 1] == "::" and source.tokens[begin - 2].kind == "name":
                begin -= 2
        else:
            continue
        for change in ("+ 1", "- 1"):
            yield Edit(begin, end, f"({source.slice(begin, end)} {change})")


def returned_truths(source):
    """return true; -> return false; and the other way round."""
    for i in range(len(source.tokens) - 2):
        if source[i] == "return" and source[i + 1] in ("true", "false") and source[i + 2] == ";":
            yield Edit(i + 1, i + 2, "false" if source[i + 1] == "true" else "true")


def _statements(source):
    """Yields (first token, index of ;) of each expression statement in a function: calls,
    assignments, ++ and --."""
    for function in source.functions:
        i = function.begin
        while i < function.end and source[i] != "{":
            i = source.partner[i] + 1 if source[i] in ("(", "[") and i in source.partner else i + 1
        while i < function.end - 1:
            before = source.tokens[i - 1]
            label = before.text == ":" and not before.spaced
            if (label or before.text in ("{", "}", ";", ")", "else", "]")) and \
                    source[i] not in "{};":
                end = _expression_end(source, i, function.end)
                if end:
                    yield i, end
            i += 1


def _expression_end(source, begin, limit):
    """The index of the ; if an expression statement begins at `begin`; None otherwise."""
    first = source.tokens[begin]
    if first.kind == "name" and first.text in _NO_STATEMENT:
        return None
    if first.kind != "name" and first.text not in ("*", "++", "--", "("):
        return None
    if source[begin - 1] == ")" and not _is_head(source, begin - 1):
        return None
    i, acts, angle = begin, False, 0
    while i < limit and source[i] != ";":
        token = source.tokens[i]
        if token.kind == "mark":
            if token.text in ("(", "[", "{") and i in source.partner:
                acts = acts or (token.text == "(" and i > begin)
                i = source.partner[i] + 1
                continue
            if token.text in (")", "]", "}", ",", ":", "?") and not acts:
                return None
            if token.text in (")", "}"):
                return None  # the head of a for, or a value in braces
            if not token.spaced and token.text in ("<", ">", ">>"):
                angle += {"<": 1, ">": -1, ">>": -2}[token.text]
            assigns = token.spaced and re.fullmatch(r"(?:[-+*/%&|^]|<<|>>)?=", token.text)
            acts = acts or bool(assigns) or token.text in ("++", "--")
        elif token.kind == "name" and i > begin and not acts:
            before = source.tokens[i - 1]
            # Two names in a row, or a type and a name, are a declaration.
            if before.kind == "name" or (before.text in (">", "*", "&", "&&") and
                                         not before.spaced and before.kind == "mark" and
                                         i - 1 > begin):
                return None
        i += 1
    return i if acts and source[i] == ";" else None


def _is_head(source, closing):
    """Whether a closing bracket ends `if (...)`, `for (...)` or `while (...)`."""
    opening = source.partner.get(closing)
    return opening is not None and (source[opening - 1] in ("if", "for", "while", "constexpr"))


def dropped_statements(source):
    """Leaves out a call or an assignment; the empty statement stays."""
    for begin, end in _statements(source):
        yield Edit(begin, end, "")


# The operators, by the names that ids and summaries use.
OPERATORS = {
    "boundary": _replacements(_BOUNDARY),
    "comparison": _replacements(_COMPARISON),
    "logic": _replacements(_LOGIC),
    "arithmetic": _replacements(_ARITHMETIC),
    "constant": integers,
    "dropped-check": dropped_checks,
    "negation": negated,
    "swapped-arguments": swapped_arguments,
    "wrong-enumerator": wrong_enumerators,
    "bound": bounds,
    "returned-truth": returned_truths,
    "transition": transitions,
    "dropped-statement": dropped_statements,
}


_NEVER_LEFT = re.compile(r"//\s*Never reached:[^\n]*\n(?:\s*//[^\n]*\n)*\s*(?:return|break)\b")


def _never_reached(source):
    """The lines with a return or break that is never reached, as a comment (jobs.coverage.notes)
    says. scripts/coverage checks whether the comment is true. A comment on a whole function does
    not count here: perhaps it says no more than that the compiler alone runs the function."""
    return {source.text.count("\n", 0, match.end()) + 1
            for match in _NEVER_LEFT.finditer(source.text)}


def all_edits(source):
    """Yields (operator, Edit) for all edits outside of the code that must stay as it is. No edit
    repeats the edit of an earlier operator."""
    seen, never_reached = set(), _never_reached(source)
    for name, operator in OPERATORS.items():
        for edit in sorted(operator(source), key=lambda e: (e.begin, e.end)):
            if source.is_skipped(edit.begin) or source.line_of(edit.begin) in never_reached:
                continue
            key = (edit.begin, edit.end, edit.text)
            if edit.text != source.slice(edit.begin, edit.end) and key not in seen:
                seen.add(key)
                yield name, edit


def apply(source, edit):
    """The whole text with the edit."""
    begin = source.tokens[edit.begin].begin
    end = source.tokens[edit.end - 1].end
    return source.text[:begin] + edit.text + source.text[end:]
