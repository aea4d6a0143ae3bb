# SPDX-License-Identifier: Apache-2.0
"""Reads the project's own results/*.md: facts, the sentence in bold, tables.

The form is that of jobs/common/report.py: a title, a list of "- what: text", perhaps a paragraph in
bold that sums up, and sections with tables.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

_PARSER = MarkdownIt("commonmark", {"html": False}).enable("table")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass
class Table:
    """As in the file: cells are inline Markdown."""
    section: str
    columns: list = field(default_factory=list)
    right: list = field(default_factory=list)  # whether a column is set flush right
    rows: list = field(default_factory=list)


@dataclass
class Document:
    """What the report shows of a file."""
    path: Path
    title: str = ""
    facts: dict = field(default_factory=dict)
    bold: str = ""  # the paragraph that sums up, inline Markdown
    tables: list = field(default_factory=list)

    @property
    def date(self):
        """When it was measured, as the file has it; empty if it does not say."""
        return self.facts.get("date") or self.facts.get("recorded") or ""

    def table(self, section):
        """The table below a heading, or None."""
        return next((table for table in self.tables if table.section == section), None)


def plain(text):
    """Inline Markdown without its marks."""
    return re.sub(r"[`*]", "", text)


def inline(text):
    """Inline Markdown as HTML; what looks like HTML in it is shown as it is."""
    return _PARSER.renderInline(text)


def parse(text, path=Path()):
    """A Document; what it has of another form is left out."""
    document = Document(Path(path))
    section, kinds, table = "", [], Table("")
    for token in _PARSER.parse(_COMMENT.sub("", text)):
        if token.nesting == 1:
            kinds.append(token.type[:-len("_open")])
            if token.type == "table_open":
                table = Table(section)
                document.tables.append(table)
            elif token.type == "tr_open" and "tbody" in kinds:
                table.rows.append([])
            elif token.type == "th_open":
                table.right.append("right" in (token.attrGet("style") or ""))
        elif token.nesting == -1:
            kinds.pop()
        elif token.type == "inline":
            content = " ".join(token.content.split())
            if kinds[-1] == "heading":
                section = plain(content)
                document.title = document.title or section
            elif kinds[-1] == "th":
                table.columns.append(content)
            elif kinds[-1] == "td":
                table.rows[-1].append(content)
            elif "list_item" in kinds:
                what, colon, value = content.partition(": ")
                if colon and section == document.title:
                    document.facts.setdefault(plain(what), value)
            elif re.fullmatch(r"\*\*[^*]+\*\*", content):
                document.bold = document.bold or content.strip("*")
    return document


def read(path):
    return parse(Path(path).read_text(encoding="utf-8", errors="replace"), path)
