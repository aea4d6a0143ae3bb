# SPDX-License-Identifier: Apache-2.0
"""Turns inline Markdown, which texts in results may hold, into HTML and into text without marks."""

import re

from markdown_it import MarkdownIt

_PARSER = MarkdownIt("commonmark", {"html": False}).enable("table")


def plain(text):
    """Inline Markdown without its backticks and asterisks."""
    return re.sub(r"[`*]", "", text)


def inline(text):
    """Inline Markdown as HTML. Text that looks like HTML is shown as it is."""
    return _PARSER.renderInline(text)
