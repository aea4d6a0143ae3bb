# SPDX-License-Identifier: Apache-2.0
"""Reads what the jobs found, from the JSON beside each Markdown file of results/."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from jobs.common import documents
from jobs.perf.error import PerfError


class ReportError(PerfError):
    """A file that the page is made from, or a folder, is not as it has to be. The text says what is
    wrong."""


@dataclass(frozen=True)
class Table:
    """A table whose cells are inline Markdown. right: for each column, whether it is set flush
    right."""
    section: str
    columns: list
    right: list
    rows: list


@dataclass
class Document:
    """path: the path of the Markdown file, which is what a reader opens."""
    path: Path
    title: str
    facts: dict = field(default_factory=dict)
    summary: str = ""
    tables: list = field(default_factory=list)
    figures: dict = field(default_factory=dict)

    @property
    def date(self):
        """The date of the measurement, as the file has it; empty if the file does not say."""
        return self.facts.get("date") or self.facts.get("recorded") or ""

    def table(self, section):
        """The table of this name; raises an error if there is none."""
        found = next((table for table in self.tables if table.section == section), None)
        if found is None:
            raise ReportError(f"{self.path.with_suffix('.json')}: there is no table {section!r}")
        return found

    def figure(self, name):
        """The numbers of this name; raises an error if there are none."""
        if name not in self.figures:
            raise ReportError(f"{self.path.with_suffix('.json')}: there are no figures {name!r}")
        return self.figures[name]


def is_document(made):
    """Whether parsed JSON has the form that documents.Document writes."""
    return (isinstance(made, dict) and made.get("format") == documents.FORMAT
            and isinstance(made.get("facts"), dict) and isinstance(made.get("tables"), list))


def from_json(made, path):
    """Makes a Document of parsed JSON. path: the path of the Markdown file."""
    path = Path(path)
    if not is_document(made):
        raise ReportError(f"{path.with_suffix('.json')}: it is not what the jobs write")
    try:
        return Document(path, made["title"], made["facts"], made["summary"],
                        [Table(**table) for table in made["tables"]], made["figures"])
    except (KeyError, TypeError) as error:
        raise ReportError(f"{path.with_suffix('.json')}: it is not what the jobs write: "
                          f"{error!r}") from None


def read(path):
    """The document whose Markdown file has this path."""
    source = Path(path).with_suffix(".json")
    try:
        made = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReportError(f"{source}: the figures behind {Path(path).name} are missing; the "
                          "command that writes it writes both") from None
    except (OSError, ValueError) as error:
        raise ReportError(f"{source}: {error}") from None
    return from_json(made, path)
