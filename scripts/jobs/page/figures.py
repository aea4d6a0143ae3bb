# SPDX-License-Identifier: Apache-2.0
"""What the report's figures look like. Each function returns a Matplotlib figure; the caller gives
it the report's style (svg.draw)."""

import math
import statistics
from dataclasses import dataclass, replace

from matplotlib import ticker

from jobs.page.svg import COLOURS, WIDTH, new_figure

_ROW = 15.5  # points
_LABELS, _VALUES = 112, 46  # points, left and right of the rows' plot
_LEFT = 40  # points, for the numbers of a vertical axis
_SIZE = 5  # of a marker
# Behind a heading, which may be wider than the labels' column.
_BEHIND = {"facecolor": COLOURS["panel"], "edgecolor": "none", "pad": 1}

# Shape, colour and filling say the same thing, so that each alone is enough.
MARKS = {
    "ahead": ("o", "blue", True),
    "behind": ("D", "orange", True),
    "undecided": ("o", "muted", False),
    "limit": ("s", "muted", False),
    "unchanged": ("o", "muted", True),
    "ours": ("o", "blue", True),
    "baseline": ("D", "orange", False),
}


_SIGNS = {("o", True): "●", ("o", False): "○", ("D", True): "◆", ("D", False): "◇",
          ("s", False): "□"}


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
    """A line of a figure of rows; one without an estimate is a heading."""
    label: str
    estimate: object = None  # bench_results.Estimate
    mark: str = "ours"
    text: str = ""  # the value, for the right margin


def _style(mark):
    shape, colour, filled = MARKS[mark]
    return {"marker": shape, "color": COLOURS[colour], "markersize": _SIZE,
            "markerfacecolor": COLOURS[colour] if filled else COLOURS["panel"],
            "markeredgewidth": 1.1, "ecolor": COLOURS[colour], "elinewidth": 1.3, "capsize": 2.2,
            "capthick": 1.1, "linestyle": "none"}


def _rows_figure(rows, label):
    """An empty figure of rows, each with its label and value; returns (figure, axes)."""
    bottom, top = 36, 4
    height = _ROW * len(rows) + bottom + top
    figure = new_figure(height)
    axes = figure.add_axes((_LABELS / WIDTH, bottom / height,
                            (WIDTH - _LABELS - _VALUES) / WIDTH, (height - bottom - top) / height))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_xlabel(label)
    for number, row in enumerate(rows):
        heading = row.estimate is None
        axes.annotate(row.label, (0, number), (-_LABELS + (2 if heading else 10), 0),
                      xycoords=axes.get_yaxis_transform(), textcoords="offset points", va="center",
                      weight="bold" if heading else "normal", color=COLOURS["ink"],
                      bbox=_BEHIND if heading else None)
        if not heading:
            axes.annotate(row.text, (1, number), (_VALUES - 2, 0), va="center", ha="right",
                          xycoords=axes.get_yaxis_transform(), textcoords="offset points")
    return figure, axes


def _plot_rows(axes, rows):
    for mark in MARKS:
        found = [(number, row.estimate) for number, row in enumerate(rows)
                 if row.estimate is not None and row.mark == mark]
        if found:
            axes.errorbar([one.value for _, one in found], [number for number, _ in found],
                          xerr=[[one.value - one.low for _, one in found],
                                [one.high - one.value for _, one in found]],
                          zorder=3, **_style(mark))


def ratios(rows, label):
    """Times as fast as baselines, on a logarithmic axis with a line at 1."""
    figure, axes = _rows_figure(rows, label)
    axes.set_xscale("log")
    axes.axvline(1, color=COLOURS["ink"], linewidth=0.9)
    _plot_rows(axes, rows)
    found = [row.estimate for row in rows if row.estimate is not None]
    low = min(0.8, *(estimate.low for estimate in found)) / 1.2
    high = max(1.25, *(estimate.high for estimate in found)) * 1.2
    axes.set_xlim(low, high)
    steps = (1, 2, 5) if high / low < 60 else (1,) if high / low > 2000 else (1, 3)
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=steps, numticks=20))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}×"))
    return figure


def rates(rows, label, scale):
    """Claims per second from 0, divided by scale."""
    figure, axes = _rows_figure(rows, label)
    for number, row in enumerate(rows):
        if row.estimate is not None:
            axes.hlines(number, 0, row.estimate.value, color=COLOURS["grid"], linewidth=2.5)
    _plot_rows(axes, rows)
    axes.set_xlim(0, max(row.estimate.high for row in rows if row.estimate is not None) * 1.05)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value / scale:g}"))
    return figure


def differences(rows, label, margins):
    """Percent of change around 0; margins: percent, of each row half of the band in which nothing
    is said, None for a heading. A bound that is infinite reaches to the edge."""
    figure, axes = _rows_figure(rows, label)
    found = [row.estimate for row in rows if row.estimate is not None]
    bounds = [abs(bound) for one in found for bound in (one.low, one.high) if math.isfinite(bound)]
    reach = 1.15 * max(*(2 * margin for margin in margins if margin is not None), *bounds,
                       *(abs(one.value) for one in found))
    for number, margin in enumerate(margins):
        if margin is not None:
            axes.barh(number, 2 * margin, left=-margin, height=0.72, color=COLOURS["grid"],
                      linewidth=0)
    axes.axvline(0, color=COLOURS["ink"], linewidth=0.9)
    axes.set_xlim(-reach, reach)
    _plot_rows(axes, [row if row.estimate is None else
                      replace(row, estimate=replace(row.estimate, low=max(row.estimate.low, -reach),
                                                    high=min(row.estimate.high, reach)))
                      for row in rows])
    axes.xaxis.set_major_locator(ticker.MaxNLocator(5, symmetric=True))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(
        lambda value, _: f"{value:+g} %".replace("+0 ", "0 ").replace("-", "−")))
    return figure


def found(rows, label):
    """Percent from 0 to 100 with intervals."""
    figure, axes = _rows_figure(rows, label)
    _plot_rows(axes, rows)
    axes.set_xlim(-2, 102)
    axes.set_xticks((0, 50, 100), ("0 %", "50 %", "100 %"))
    return figure


def _title_above(axes, label, distance=8):
    """What the vertical axis shows, level, so that nobody has to turn their head."""
    axes.annotate(label, (0, 1), (2 - _LEFT, distance), xycoords="axes fraction",
                  textcoords="offset points", color=COLOURS["muted"])


def quantiles(lines, label):
    """Latency: lines of (label, [(share, Estimate of ns)], ours), on logarithmic axes."""
    height = 170 + 14 * len(lines) + 6 + 60
    figure = new_figure(height)
    axes = figure.add_axes((_LEFT / WIDTH, 40 / height, (WIDTH - _LEFT - 8) / WIDTH, 170 / height))
    styles = (("o", "blue", True), ("s", "purple", True), ("D", "orange", False),
              ("^", "muted", False), ("v", "ink", False))
    shares = sorted({share for _, points, _ in lines for share, _ in points})
    handles = []
    for number, (name, points, _) in enumerate(lines):
        shape, colour, filled = styles[number % len(styles)]
        # Side by side, so that intervals don't hide each other.
        offset = (number - (len(lines) - 1) / 2) * 0.05
        handles.append(axes.errorbar(
            [shares.index(share) + offset for share, _ in points],
            [found.value for _, found in points],
            yerr=[[found.value - found.low for _, found in points],
                  [found.high - found.value for _, found in points]],
            marker=shape, markersize=_SIZE, color=COLOURS[colour], linewidth=1.2, elinewidth=1.2,
            markerfacecolor=COLOURS[colour] if filled else COLOURS["panel"], capsize=2.2,
            label=name))
    axes.set_yscale("log")
    axes.grid(axis="y")
    axes.set_xlim(-0.4, len(shares) - 0.6)
    axes.set_xticks(range(len(shares)), [f"p{100 * share:g}" for share in shares])
    axes.set_xlabel("share of claims that took no longer")
    _title_above(axes, label)
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5), numticks=12))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, 1),
                  borderpad=0, borderaxespad=0.2, handlelength=2.6, labelspacing=0.35)
    return figure


def history(points, changes, label, bridges=()):
    """One benchmark over time: points of (date, Estimate), oldest first; changes: (index of the
    first point after it, text); bridges: indices of points whose surroundings (a kernel) are not
    those of the point before."""
    height = 38 + 96 + (36 if changes else 22)
    figure = new_figure(height)
    axes = figure.add_axes((_LEFT / WIDTH, 38 / height, (WIDTH - _LEFT - 8) / WIDTH, 96 / height))
    places = range(len(points))
    values = [found.value for _, found in points]
    bounds = [0, *(index for index, _ in changes), len(points)]
    axes.errorbar(places, values, color=COLOURS["blue"], marker="o", markersize=2.6,
                  linestyle="none", elinewidth=0.8, ecolor=COLOURS["sky"],
                  yerr=[[found.value - found.low for _, found in points],
                        [found.high - found.value for _, found in points]])
    for first, last in zip(bounds, bounds[1:]):
        level = statistics.fmean(values[first:last])
        axes.hlines(level, first - 0.5, last - 0.5, color=COLOURS["ink"], linewidth=1)
    axes.margins(x=0.02, y=0.12)
    for index in bridges:
        axes.axvline(index - 0.5, color=COLOURS["sky"], linewidth=1.4, linestyle=(0, (1, 1.5)))
    for index, text in changes:
        axes.axvline(index - 0.5, color=COLOURS["purple"], linewidth=1, linestyle=(0, (4, 2)))
        axes.annotate(text, (index - 0.5, 1), (3, 2), textcoords="offset points",
                      xycoords=axes.get_xaxis_transform(), color=COLOURS["purple"],
                      weight="bold", va="bottom", ha="center")
    axes.grid(axis="y")
    axes.yaxis.set_major_locator(ticker.MaxNLocator(4))
    _title_above(axes, label, 22 if changes else 8)
    count = len(points)
    ticks = sorted({0, count // 2, count - 1}) if count > 4 else list(places)
    axes.set_xticks(ticks, [f"{points[tick][0]:%Y-%m-%d}" for tick in ticks])
    if count > 4:  # the outer ones would be cut off
        for tick, alignment in zip(axes.get_xticklabels(), ("left", "center", "right")):
            tick.set_horizontalalignment(alignment)
    axes.set_xlabel(f"{count} measurements, oldest first" if count > 1 else "")
    return figure


def shares(rows, label):
    """Percent from 0 to 100: rows of (label, percent or None for a heading, text, filled)."""
    made = [Row(name, None if percent is None else 0, text=text) for name, percent, text, _ in rows]
    figure, axes = _rows_figure(made, label)
    for number, (_, percent, _, filled) in enumerate(rows):
        if percent is not None:
            axes.barh(number, 100, height=0.62, color=COLOURS["grid"], linewidth=0)
            axes.barh(number, percent, height=0.62, linewidth=0,
                      color=COLOURS["blue" if filled else "sky"])
    axes.grid(visible=False)
    axes.set_xlim(0, 100)
    axes.set_xticks((0, 50, 100), ("0 %", "50 %", "100 %"))
    return figure


def stacks(rows, kinds, label):
    """Counts side by side in one bar: rows of (label, counts, text), kinds: (name, colour,
    hatch) of each count."""
    made = [Row(name, 0, text=text) for name, _, text in rows]
    figure, axes = _rows_figure(made, label)
    for number, (_, counts, _) in enumerate(rows):
        start = 0
        for count, (_, colour, hatch) in zip(counts, kinds):
            axes.barh(number, count, left=start, height=0.68, color=COLOURS[colour], hatch=hatch,
                      linewidth=0)
            start += count
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4, integer=True))
    return figure
