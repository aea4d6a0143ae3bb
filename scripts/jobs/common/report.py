# SPDX-License-Identifier: Apache-2.0
"""Turns tables into lines: for a terminal or a log, and as Markdown."""

import textwrap

from jobs.common.tables import Remark
from jobs.common.terminal import WIDTH


def as_text(table, terminal):
    """The table as lines of at most WIDTH columns on a terminal; the first column is cut if need
    be. In a log no row is cut, since nobody can ask a log for the rest."""
    body = [row for row in table.rows if len(row) > 1 and not isinstance(row, Remark)]
    widths = [max(len(row[i]) for row in body + [table.columns])
              for i in range(len(table.columns))]
    lead = max([widths[0]] + [len(row[0]) for row in table.rows
                              if len(row) == 1 and not isinstance(row, Remark)])
    room = WIDTH - sum(width + 2 for width in widths[1:])
    widths[0] = min(lead, room) if terminal.is_tty else lead

    def layout(cells):
        first = cells[0][:widths[0]].ljust(widths[0])
        rest = ("  " + (cell.ljust(width) if column in table.flush_left else cell.rjust(width))
                for column, (cell, width) in enumerate(zip(cells[1:], widths[1:]), 1))
        return (first + "".join(rest)).rstrip()

    lines = [terminal.bold(table.title)]
    lines += [terminal.dim(line) for line in textwrap.wrap(table.note, WIDTH)]
    lines += ["", terminal.dim(layout(table.columns))]
    for row in table.rows:
        if isinstance(row, Remark):
            lines += [terminal.dim(line) for line in textwrap.wrap(
                row, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)]
            continue
        if len(row) == 1:
            lines.append(terminal.bold(row[0][:WIDTH] if terminal.is_tty else row[0]))
            continue
        line = layout(row)
        lines.append(terminal.bad(line) if "MISSED" in row else line)
    return lines


def flat_rows(table):
    """The rows, each with a cell for each column. A heading becomes a part of the names of the
    rows below it, a continuation a part of the row before, and a remark a row of its own."""
    rows, heading = [], ""
    for row in table.rows:
        if isinstance(row, Remark):
            rows.append([f"*{row}*"] + [""] * (len(table.columns) - 1))
        elif len(row) == 1:
            heading = row[0]
        elif not row[0]:  # this row continues the last cell of the row before
            rows[-1][-1] = f"{rows[-1][-1]}; {row[-1].strip()}"
        else:
            name = row[0].strip()
            rows.append([f"{heading}: {name}" if heading else name,
                         *(cell.strip() for cell in row[1:])])
    return rows


def as_markdown(table):
    def line(cells):
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    lines = [f"## {table.title}", ""]
    if table.note:
        lines += [table.note[0].upper() + table.note[1:] + ".", ""]
    left = {0} | set(table.flush_left)
    return [*lines, line(table.columns),
            "|" + "|".join(":--" if column in left else "--:"
                           for column in range(len(table.columns))) + "|",
            *(line(row) for row in flat_rows(table))]
