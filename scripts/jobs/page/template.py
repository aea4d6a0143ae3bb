# SPDX-License-Identifier: Apache-2.0
"""Makes the report's page: fills the template with sections. Nothing in the page comes from a
network."""

from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from markupsafe import Markup

from jobs.page import markdown
from jobs.page.figures import MARKS
from jobs.page.parts import Link, Table

_FOLDER = Path(__file__).resolve().parent
_STYLE, _SCRIPT, _TEMPLATE = (
    _FOLDER / f"page.{ending}" for ending in ("css", "js", "html"))


@dataclass(frozen=True)
class Figure:
    """One of the few figures that stand first."""
    what: str
    value: str
    unit: str
    sure: str  # the uncertainty, in words
    link: str  # the identifier of the section that says more
    good: object = None  # True, False, or None where there is no verdict
    missing: bool = False


@dataclass
class Page:
    when: str  # when and on what the benchmarks ran, in a line; may be empty
    figures: list  # Figure
    facts: list  # (what, [text])
    warnings: list  # texts
    sections: list  # parts.Section
    plots: str = "plots"  # folder of the PNGs, as the page has to name it
    links: dict = field(default_factory=dict)  # document's path -> address from the page
    slower: object = None  # parts.Section: what got slower; comes first
    project: str = ""  # the project whose page it is
    lead: str = ""  # what the page holds, in a sentence or two
    made_by: str = ""  # the command


def _inline(text):
    return Markup(markdown.inline(text))


def _cell(cell):
    """Returns (text, class) of a cell."""
    if isinstance(cell, Link):
        if not cell.address:
            return cell.text, ""
        return Markup('<a href="{}">{}</a>').format(cell.address, cell.text), ""
    return cell if isinstance(cell, tuple) else (cell, "")


def _as_table(table):
    """A recorded.Table in the form of parts.Table."""
    left = tuple(place for place, right in enumerate(table.right) if not right)
    return Table(table.section, [_inline(column) for column in table.columns],
                 [[_inline(cell) for cell in row] for row in table.rows], left)


_SHAPES = {
    "o": '<circle cx="8" cy="8" r="4"/>',
    "D": '<path d="M8 3l5 5-5 5-5-5z"/>',
    "s": '<path d="M4 4h8v8H4z"/>',
}


def _swatch(mark):
    """A sign of the legend, with the same shape, colour and filling as in the plots."""
    if mark.startswith("bar-"):
        colour, filled, shape = mark[len("bar-"):], True, '<path d="M1 3h14v10H1z"/>'
    else:
        sign, colour, filled = MARKS[mark]
        shape = _SHAPES[sign]
    inside = f"var(--{colour})" if filled else "var(--panel)"
    return Markup(f'<svg class="swatch" viewBox="0 0 16 16" aria-hidden="true" fill="{inside}" '
                  f'stroke="var(--{colour})" stroke-width="1.6">{shape}</svg>')


def render(page):
    """The page's HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    environment.filters.update(inline=_inline, cell=_cell, swatch=_swatch, as_table=_as_table)
    text = environment.get_template(_TEMPLATE.name).render(
        page=page, style=Markup(_STYLE.read_text(encoding="utf-8")),
        script=Markup(_SCRIPT.read_text(encoding="utf-8")), safe=Markup)
    # Drops the blanks that indented blocks of the template leave, since blanks make diffs longer.
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"
