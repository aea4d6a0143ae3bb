# SPDX-License-Identifier: Apache-2.0
"""Holds what a job found as data, and writes it as JSON, with Markdown beside it for readers.

The JSON has {"format": 1, "title", "facts": {what: text}, "summary": text, "tables": [{"section",
"columns", "right", "rows"}], "figures": {...}}. Texts may hold inline Markdown. The figures are the
numbers that a program may want, under names that the job chooses.
"""

import json
import re
from dataclasses import dataclass, field

from jobs.common import report
from jobs.common.tables import Table

FORMAT = 1


@dataclass
class Document:
    """facts: pairs of texts. blocks: Markdown and Tables, in the order in which they are read."""
    title: str
    facts: list
    summary: str = ""  # a sentence that says what came out; or empty
    blocks: list = field(default_factory=list)
    figures: dict = field(default_factory=dict)

    def markdown(self):
        lines = ["<!-- SPDX-License-Identifier: Apache-2.0 -->", f"# {self.title}", "",
                 *(f"- {what}: {text}" for what, text in self.facts)]
        if self.summary:
            lines += ["", f"**{self.summary}**"]
        for block in self.blocks:
            lines += ["", *(report.as_markdown(block) if isinstance(block, Table) else [block])]
        return "\n".join(lines).rstrip() + "\n"

    def as_json(self):
        return {"format": FORMAT, "title": self.title, "facts": dict(self.facts),
                "summary": self.summary,
                "tables": [table_json(block) for block in self.blocks if isinstance(block, Table)],
                "figures": self.figures}

    def write(self, path):
        """Writes the Markdown to this path, and the JSON beside it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".json").write_text(json_text(self.as_json()), encoding="utf-8")
        path.write_text(self.markdown(), encoding="utf-8")


def check_writable(path):
    """Raises OSError if this file can't be written: after a long job it is too late for that. The
    file's folder is made, the file stays as it is."""
    path = path.resolve()  # a link stays, too
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_fifo():  # it can be opened only once
        return
    new = not path.exists()
    with path.open("a", encoding="utf-8"):
        pass
    if new:
        path.unlink()


def table_json(table):
    left = {0} | set(table.flush_left)
    return {"section": table.title, "columns": list(table.columns),
            "right": [column not in left for column in range(len(table.columns))],
            "rows": report.flat_rows(table)}


def json_text(document):
    """JSON text whose diffs can be read: each row of a table is one line."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    item = r'(?:"(?:[^"\\]|\\.)*"|true|false|-?[\d.e+-]+|null)'
    return re.sub(rf"\[\s+({item}(?:,\s+{item})*)\s+\]",
                  lambda found: "[" + re.sub(rf"({item},)\s+", r"\1 ", found[1]) + "]",
                  text) + "\n"
