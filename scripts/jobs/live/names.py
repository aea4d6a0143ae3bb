# SPDX-License-Identifier: Apache-2.0
"""Checks ids and names by grammars that were written down from the contract (1.1, 1.5 to 1.7, 6).

Each ..._fault() returns in the server's words what is wrong; "" if nothing is.
"""

from __future__ import annotations

import re
import unicodedata

_HEX = "[0-9a-fA-F]"
_HYPHENATED = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_UUID = re.compile(rf"{_HEX}{{32}}|{_HYPHENATED}|\{{{_HYPHENATED}\}}|urn:uuid:{_HYPHENATED}")
# The characters with Unicode's White_Space property.
_WHITE = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {
    chr(code) for code in range(0x2000, 0x200b)}
_DEBUG = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def is_index(text: str) -> bool:
    return bool(re.fullmatch(r"\+?[0-9]+", text, re.ASCII)) and int(text) <= 65535


def is_uuid(text: str) -> bool:
    return bool(_UUID.fullmatch(text))


def canonical_uuid(text: str) -> str:
    digits = re.sub(r"urn:uuid:|[-{}]", "", text).lower()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def execution_id_fault(text: str) -> str:
    tag, found, rest = text[4:].partition("}:")
    if not text.startswith("{fp:") or not found:
        return f"execution_id is missing the `{{fp:N}}:` hash-tag prefix: {text}"
    if not is_index(tag):
        return f"execution_id partition index is not a valid u16: {tag}"
    return "" if is_uuid(rest) else f"execution_id UUID suffix is not a valid UUID: {rest}"


def lane_fault(text: str) -> str:
    data = text.encode()
    if not data:
        return "lane_id is empty"
    if len(data) > 64:
        return f"lane_id exceeds 64 bytes (got {len(data)})"
    bad = next((i for i, byte in enumerate(data) if not 0x20 <= byte <= 0x7e), None)
    return "" if bad is None else f"lane_id contains non-ASCII-printable byte at index {bad}"


def _is_odd(text: str) -> bool:
    return any(c in _WHITE or unicodedata.category(c) == "Cc" for c in text)


def worker_fault(text: str) -> str:
    if not text:
        return "must not be empty"
    if len(text.encode()) > 256:
        return f"exceeds 256 bytes (got {len(text.encode())})"
    return "must not contain whitespace or control characters" if _is_odd(text) else ""


def _debug(text: str) -> str:
    """The text in quotes, as Rust's Debug shows it."""
    return '"' + "".join(
        _DEBUG.get(c) or (c if c.isprintable() else f"\\u{{{ord(c):x}}}") for c in text) + '"'


def capabilities_fault(tokens: list[str]) -> str:
    """Returns what the claim route finds wrong with the tokens. The reclaim route does not check
    capabilities."""
    chosen = sorted(set(tokens), key=str.encode)
    for token in chosen:
        if not token:
            return "capability token must not be empty"
        if "," in token:
            return f"capability token may not contain ',' (CSV delimiter): {_debug(token)}"
        if _is_odd(token):
            return ("capability token must not contain whitespace or control characters: "
                    f"{_debug(token)}")
    if len(chosen) > 256:
        return f"capability set exceeds CAPS_MAX_TOKENS (256): {len(chosen)}"
    size = len(",".join(chosen).encode())
    return f"capability CSV exceeds CAPS_MAX_BYTES (4096): {size}" if size > 4096 else ""
