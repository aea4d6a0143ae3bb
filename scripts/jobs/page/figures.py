# SPDX-License-Identifier: Apache-2.0
"""Draws the page's plots that have a row for each value; line_figures.py draws the plots with
lines. Each function that draws a plot returns a Matplotlib figure. The page's style is set around
the call (svg.draw)."""

import math
from dataclasses import dataclass
from typing import Any

from matplotlib import ticker
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from jobs.page.svg import COLOURS, TEXT, WIDTH, new_figure

_ROW = 15.5  # the height of a row, in points
# The widths, in points, of the column of labels left of the plot and the column of values right of
# the plot.
_LABELS, _VALUES = 112, 46
SIZE = 5  # the size of a marker
_FAR = 6  # rows that reach farther than this many times the median row do not widen an axis
# The background of headings and long labels, which may be wider than the labels' column.
_BEHIND = {"facecolor": COLOURS["panel"], "edgecolor": "none", "pad": 1}

# (shape, colour, whether filled). The marks of one plot also differ in shape or filling, so nobody
# needs the colours to tell them apart.
MARKS = {
    "ahead": ("o", "blue", True),
    "behind": ("D", "orange", True),
    "undecided": ("o", "muted", False),
    "limit": ("s", "muted", False),
    "unchanged": ("s", "muted", True),
    "ours": ("o", "blue", True),
    "baseline": ("D", "orange", False),
}

_UNSURE = ("undecided", "limit")  # marks of the gate's verdicts inconclusive and invalid

_SIGNS = {("o", True): "●", ("o", False): "○", ("D", True): "◆", ("D", False): "◇",
          ("s", True): "■", ("s", False): "□"}


def key(legend):
    """A legend of (mark, meaning) as svg.Caption wants it."""
    made = []
    for mark, meaning in legend:
        if mark.startswith("bar-"):
            made.append(("■", mark[len("bar-"):], meaning))
        else:
            shape, colour, filled = MARKS[mark]
            made.append((_SIGNS[shape, filled], colour, meaning.partition(":")[0]))
    return tuple(made)


@dataclass(frozen=True)
class Row:
    """A line of a plot of rows. A Row without an estimate is a heading."""
    label: str
    estimate: Any = None  # bench_results.Estimate
    mark: str = "ours"
    text: str = ""  # the value, for the right margin


def _style(mark):
    shape, colour, filled = MARKS[mark]
    return {"marker": shape, "color": COLOURS[colour], "markersize": SIZE,
            "markerfacecolor": COLOURS[colour] if filled else COLOURS["panel"],
            "markeredgewidth": 1.1, "ecolor": COLOURS[colour], "elinewidth": 1.3, "capsize": 2.2,
            "capthick": 1.1, "linestyle": "none"}


def text_width(text, weight="normal"):
    """The width of a text in points, in the plots' font. A reader's font is rarely wider."""
    if not text:
        return 0.0
    return TextPath((0, 0), text, size=TEXT, usetex=False, prop=FontProperties(
        family="DejaVu Sans", weight=weight)).get_extents().x1


def wrapped(text, width=WIDTH - 6):
    """A whole name, broken into lines of at most `width` points. A line ends after a punctuation
    mark or a blank if one is near its end, else wherever the width is used up."""
    lines = []
    while text_width(text) > width:
        end = max(1, int(len(text) * width / text_width(text)))
        while end > 1 and text_width(text[:end]) > width:
            end -= 1
        signs = [place for place in range(end, max(0, end - 24), -1)
                 if text[place - 1] in "/,:<>; "]
        end = signs[0] if signs else end
        lines.append(text[:end])
        text = text[end:]
    return [*lines, text]


def _places(rows):
    """Returns ([(place, lines above the place)] for the rows, how many places there are). A label
    that is wider than its column stands in lines of its own, above its row."""
    places, at = [], 0
    for row in rows:
        above = []
        if row.estimate is None or text_width(row.label) > _LABELS - 12:
            above = wrapped(row.label)
        if row.estimate is None:  # the last line of a heading stands at the row's place
            places.append((at + len(above) - 1, above[:-1]))
            at += len(above)
        else:
            places.append((at + len(above), above))
            at += len(above) + 1
    return places, at


def _rows_figure(rows, label):
    """Makes an empty plot of rows, each with its label and value; returns (figure, axes, the place
    of each row)."""
    places, count = _places(rows)
    bottom, top = 36, 4
    height = _ROW * count + bottom + top
    figure = new_figure(height)
    axes = figure.add_axes((_LABELS / WIDTH, bottom / height,
                            (WIDTH - _LABELS - _VALUES) / WIDTH, (height - bottom - top) / height))
    axes.set_ylim(count - 0.5, -0.5)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_xlabel(label)
    for (place, above), row in zip(places, rows):
        heading = row.estimate is None
        texts = [(place - len(above) + number, text) for number, text in enumerate(above)]
        if heading:
            texts.append((place, wrapped(row.label)[-1]))
        elif not above:
            texts.append((place, row.label))
        for where, text in texts:
            axes.annotate(text, (0, where), (-_LABELS + (2 if heading or above else 10), 0),
                          xycoords=axes.get_yaxis_transform(), textcoords="offset points",
                          va="center", weight="bold" if heading else "normal",
                          color=COLOURS["ink"], bbox=_BEHIND if heading or above else None)
        if not heading:
            axes.annotate(row.text, (1, place), (_VALUES - 2, 0), va="center", ha="right",
                          xycoords=axes.get_yaxis_transform(), textcoords="offset points")
    return figure, axes, [place for place, _ in places]


def _plot_rows(axes, rows, places, low=-math.inf, high=math.inf):
    """Draws dots with their intervals. A value beyond low or high is drawn at the edge, as an
    arrow."""
    for mark in MARKS:
        found = [(place, row.estimate) for place, row in zip(places, rows)
                 if row.estimate is not None and row.mark == mark]
        inside = [(place, one) for place, one in found if low <= one.value <= high]
        if inside:
            axes.errorbar([one.value for _, one in inside], [place for place, _ in inside],
                          xerr=[[one.value - max(one.low, low) for _, one in inside],
                                [min(one.high, high) - one.value for _, one in inside]],
                          zorder=3, **_style(mark))
        for sign, edge, beyond in ((">", high, [place for place, one in found if one.value > high]),
                                   ("<", low, [place for place, one in found if one.value < low])):
            if beyond:
                axes.plot([0.97 * edge] * len(beyond), beyond, clip_on=False, zorder=3,
                          linestyle="none",
                          **{name: value for name, value in _style(mark).items()
                             if name.startswith("marker") and name != "marker"},
                          marker=sign, color=COLOURS[MARKS[mark][1]])


def _reach(extents, is_sure):
    """How far an axis has to reach so that most rows can be seen. Rows whose value is unsure do not
    count unless all are unsure, and rows far beyond the others do not count either."""
    sure = sorted(extent for extent, sure in zip(extents, is_sure) if sure) or sorted(extents)
    return min(sure[-1], max(_FAR * sure[(len(sure) - 1) // 2], 0.0))


def ratios(rows, label):
    """A plot of ratios to baselines, on a logarithmic axis with a line at 1."""
    figure, axes, places = _rows_figure(rows, label)
    axes.set_xscale("log")
    axes.axvline(1, color=COLOURS["ink"], linewidth=0.9)
    found = [row.estimate for row in rows if row.estimate is not None]
    # The values set the axis, not the intervals: a very wide interval is cut off at the edge.
    low = min(0.8, *(estimate.value for estimate in found)) / 1.5
    high = max(1.25, *(estimate.value for estimate in found)) * 1.5
    _plot_rows(axes, rows, places, low, high)
    axes.set_xlim(low, high)
    steps = (1, 2, 5) if high / low < 60 else (1,) if high / low > 2000 else (1, 3)
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=steps, numticks=20))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}×"))
    return figure


def rates(rows, label, scale):
    """A plot of claims per second, divided by scale, on an axis from 0."""
    figure, axes, places = _rows_figure(rows, label)
    for place, row in zip(places, rows):
        if row.estimate is not None:
            axes.hlines(place, 0, row.estimate.value, color=COLOURS["grid"], linewidth=2.5)
    high = max(row.estimate.value for row in rows if row.estimate is not None) * 1.25
    _plot_rows(axes, rows, places, 0, high)
    axes.set_xlim(0, high)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value / scale:g}"))
    return figure


def differences(rows, label, margins):
    """A plot of changes in percent around 0. margins: for each row half the width, in percent, of
    the band in which nothing is called a change; None for a heading. An infinite bound reaches to
    the edge."""
    figure, axes, places = _rows_figure(rows, label)
    shown = [(row, margin) for row, margin in zip(rows, margins) if row.estimate is not None]
    extents = [max(2 * margin, abs(row.estimate.value), *(
        abs(bound) for bound in (row.estimate.low, row.estimate.high) if math.isfinite(bound)))
        for row, margin in shown]
    reach = 1.15 * max(4.0, _reach(extents, [row.mark not in _UNSURE for row, _ in shown]))
    for place, margin in zip(places, margins):
        if margin is not None:
            half = min(margin, reach)
            axes.barh(place, 2 * half, left=-half, height=0.72, color=COLOURS["grid"], linewidth=0)
    axes.axvline(0, color=COLOURS["ink"], linewidth=0.9)
    axes.set_xlim(-reach, reach)
    _plot_rows(axes, rows, places, -reach, reach)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4, symmetric=True))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(
        lambda value, _: f"{value:+g} %".replace("+0 ", "0 ").replace("-", "−")))
    return figure


def found(rows, label):
    """A plot of percentages from 0 to 100, with intervals."""
    figure, axes, places = _rows_figure(rows, label)
    _plot_rows(axes, rows, places)
    axes.set_xlim(-2, 102)
    axes.set_xticks((0, 50, 100), ("0 %", "50 %", "100 %"))
    return figure


def shares(rows, label):
    """A plot of percentages from 0 to 100, for rows (label, percent or None for a heading, text,
    filled)."""
    made = [Row(name, None if percent is None else 0, text=text) for name, percent, text, _ in rows]
    figure, axes, places = _rows_figure(made, label)
    for place, (_, percent, _, filled) in zip(places, rows):
        if percent is not None:
            axes.barh(place, 100, height=0.62, color=COLOURS["grid"], linewidth=0)
            axes.barh(place, percent, height=0.62, linewidth=0,
                      color=COLOURS["blue" if filled else "sky"])
    axes.grid(visible=False)
    axes.set_xlim(0, 100)
    axes.set_xticks((0, 50, 100), ("0 %", "50 %", "100 %"))
    return figure


def stacks(rows, kinds, label):
    """A plot with one bar for each row, in which counts lie side by side. rows: (label, counts,
    text); kinds: (name, colour, hatch) of each count."""
    made = [Row(name, 0, text=text) for name, _, text in rows]
    figure, axes, places = _rows_figure(made, label)
    for number, (_, counts, _) in zip(places, rows):
        start = 0
        for count, (_, colour, hatch) in zip(counts, kinds):
            axes.barh(number, count, left=start, height=0.68, color=COLOURS[colour], hatch=hatch,
                      linewidth=0)
            start += count
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4, integer=True))
    return figure
