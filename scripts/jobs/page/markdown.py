# SPDX-License-Identifier: Apache-2.0
"""Inline Markdown, which texts in results may hold, as HTML and as plain text."""

import re

from markdown_it import MarkdownIt

_PARSER = MarkdownIt("commonmark", {"html": False}).enable("table")


def plain(text):
    """Inline Markdown without its marks."""
    return re.sub(r"[`*]", "", text)


def inline(text):
    """Inline Markdown as HTML; what looks like HTML in it is shown as it is."""
    return _PARSER.renderInline(text)
