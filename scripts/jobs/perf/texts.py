# SPDX-License-Identifier: Apache-2.0
"""Prepares texts for Markdown and terminals, whatever their authors wrote in them, and formats
ratios as percentages."""

import math
import re

from jobs.perf.gbench_json import printable


def code(text):
    """A code span of Markdown, whatever the text holds."""
    text = printable(text)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def block(lines):
    """A fenced block of Markdown."""
    text = "\n".join(lines)
    fence = "`" * max(3, max(map(len, re.findall("`+", text)), default=0) + 1)
    return [fence, *lines, fence]


def plain(markdown):
    """The line without its emphasis and code spans' fences, for a terminal and for JSON."""
    return markdown.replace("**", "").replace("`", "")


def percent(ratio):
    """How far a ratio is from 1, as text: +5.1%. A "?" if it is not positive and finite."""
    if not 0 < ratio < math.inf:
        return "?"
    return f"{(ratio - 1) * 100:+.1f}%"


def escaped(text):
    """A text with escapes, so that Markdown and HTML show each of its characters as it is."""
    return re.sub(r"([\\`*_\[\]<>|&])", r"\\\1", printable(text)).replace("\\<", "&lt;")
