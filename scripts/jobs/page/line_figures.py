# SPDX-License-Identifier: Apache-2.0
"""Draws the page's plots that have lines: latencies, and one benchmark over time. quantiles() and
history() return a Matplotlib figure, as the functions of figures.py do."""

import statistics

from matplotlib import ticker

from jobs.page.figures import SIZE, text_width
from jobs.page.svg import COLOURS, WIDTH, new_figure

_LEFT = 40  # the width, in points, that the vertical axis' numbers take
_RIGHT = 8


def _title_above(axes, label, distance=8):
    """Writes the vertical axis' title horizontally above the axis, so that nobody has to turn their
    head."""
    axes.annotate(label, (0, 1), (2 - _LEFT, distance), xycoords="axes fraction",
                  textcoords="offset points", color=COLOURS["muted"])


def quantiles(lines, label):
    """A plot of latencies, on a logarithmic axis of times. lines: (label, [(share, Estimate of the
    time)], whether the implementation is ours). label names the unit of the times."""
    height = 170 + 14 * len(lines) + 6 + 60
    figure = new_figure(height)
    axes = figure.add_axes((_LEFT / WIDTH, 40 / height, (WIDTH - _LEFT - _RIGHT) / WIDTH,
                            170 / height))
    styles = (("o", "blue", True), ("s", "purple", True), ("D", "orange", False),
              ("^", "muted", False), ("v", "ink", False))
    shares = sorted({share for _, points, _ in lines for share, _ in points})
    handles = []
    for number, (name, points, _) in enumerate(lines):
        shape, colour, filled = styles[number % len(styles)]
        # The lines are moved sideways a little, so that intervals don't hide each other.
        offset = (number - (len(lines) - 1) / 2) * 0.05
        handles.append(axes.errorbar(
            [shares.index(share) + offset for share, _ in points],
            [found.value for _, found in points],
            yerr=[[found.value - found.low for _, found in points],
                  [found.high - found.value for _, found in points]],
            marker=shape, markersize=SIZE, color=COLOURS[colour], linewidth=1.2, elinewidth=1.2,
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
    """A plot of one benchmark over time. points: (date, Estimate), oldest first; changes: (index of
    the first point after the change, text); bridges: indices of points whose surroundings (such as
    the kernel) differ from the surroundings of the point before."""
    height = 38 + 96 + (36 if changes else 22)
    figure = new_figure(height)
    axes = figure.add_axes((_LEFT / WIDTH, 38 / height, (WIDTH - _LEFT - _RIGHT) / WIDTH,
                            96 / height))
    places = range(len(points))
    values = [found.value for _, found in points]
    bounds = [0, *(index for index, _ in changes), len(points)]
    low, high = _limits(points, bounds)
    inside = [(place, found) for place, (_, found) in zip(places, points)
              if low <= found.value <= high]
    axes.errorbar([place for place, _ in inside], [found.value for _, found in inside],
                  color=COLOURS["blue"], marker="o", markersize=2.6, linestyle="none",
                  elinewidth=0.8, ecolor=COLOURS["sky"],
                  yerr=[[found.value - max(found.low, low) for _, found in inside],
                        [min(found.high, high) - found.value for _, found in inside]])
    for sign, edge, beyond in (("^", high, [place for place in places if values[place] > high]),
                               ("v", low, [place for place in places if values[place] < low])):
        axes.plot(beyond, [edge] * len(beyond), marker=sign, markersize=SIZE, linestyle="none",
                  color=COLOURS["muted"], clip_on=False)
    for first, last in zip(bounds, bounds[1:]):
        level = statistics.fmean(values[first:last])
        if low <= level <= high:
            axes.hlines(level, first - 0.5, last - 0.5, color=COLOURS["ink"], linewidth=1)
    axes.set_xlim(-0.6, len(points) - 0.4)
    axes.set_ylim(low, high)
    for index in bridges:
        axes.axvline(index - 0.5, color=COLOURS["sky"], linewidth=1.4, linestyle=(0, (1, 1.5)))
    _mark_changes(axes, changes, len(points))
    axes.grid(axis="y")
    axes.yaxis.set_major_locator(ticker.MaxNLocator(4))
    _title_above(axes, label, 22 if changes else 8)
    count = len(points)
    ticks = sorted({0, count // 2, count - 1}) if count > 3 else [0, count - 1]
    axes.set_xticks(ticks, [f"{points[tick][0]:%Y-%m-%d}" for tick in ticks])
    for tick, alignment in ((0, "left"), (-1, "right")):  # centred labels would be cut off
        axes.get_xticklabels()[tick].set_horizontalalignment(alignment)
    axes.set_xlabel(f"{count} measurements, oldest first")
    return figure


def _limits(points, bounds):
    """The range of the vertical axis. It is set by the levels, by the usual scatter around them and
    by the median interval, so that neither one wild value nor one wide interval flattens all
    others."""
    values = [found.value for _, found in points]
    levels = [statistics.median(values[first:last]) for first, last in zip(bounds, bounds[1:])]
    off = sorted(abs(value - level) for level, first, last in zip(levels, bounds, bounds[1:])
                 for value in values[first:last])
    usual = max(statistics.median(off), 0.004 * max(levels))
    near = [value for value in values
            if min(abs(value - level) for level in levels) <= 8 * usual]
    widths = [max(found.high - found.value, found.value - found.low) for _, found in points]
    reach = max(statistics.median(widths), 2 * usual) * 1.3
    return min(near) - reach, max(near) + reach


def _mark_changes(axes, changes, count):
    """Draws a line at each change. Writes the change's text, unless it would lie on the text that
    was written last."""
    # The width that each measurement has on the axis, in typographic points.
    a_point = (WIDTH - _LEFT - _RIGHT) / max(1, count)
    end = float("-inf")
    for index, text in changes:
        axes.axvline(index - 0.5, color=COLOURS["purple"], linewidth=1, linestyle=(0, (4, 2)))
        width = text_width(text, "bold") + 4
        # The position is counted from the axis' left edge; a text that would be cut off is moved
        # inwards.
        left = min(max((index + 0.1) * a_point - width / 2, 0), WIDTH - _LEFT - _RIGHT - width)
        if left < end:
            continue
        end = left + width
        axes.annotate(text, (0, 1), (left, 2), textcoords="offset points",
                      xycoords="axes fraction", color=COLOURS["purple"], weight="bold",
                      va="bottom", ha="left")
