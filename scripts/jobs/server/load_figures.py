# SPDX-License-Identifier: Apache-2.0
"""Keeps figures of the claim path on a server, round by round, and compares them in pairs."""

import math
import statistics
from typing import NamedTuple

from scipy import stats

from jobs.common.gbench import Stat
from jobs.common.tables import Table, rate

OURS, REFERENCE = "ours", "reference"


class Ratio(NamedTuple):
    """A geometric mean and its 95 % confidence interval. The bounds are NaN if there is only one
    round."""
    mean: float
    low: float
    high: float

    def text(self):
        if math.isnan(self.low):
            return f"{self.mean:.2f}x"
        return f"{self.mean:.2f}x ({self.low:.2f}-{self.high:.2f})"


def paired_ratio(numerators, denominators):
    """The mean ratio of two series of rounds. Each round is paired with the other series' round
    that ran in turn with it, and each pair's ratio counts once."""
    logs = [math.log(a / b) for a, b in zip(numerators, denominators)]
    mean = statistics.fmean(logs)
    if len(logs) < 2:
        return Ratio(math.exp(mean), math.nan, math.nan)
    if max(logs) == min(logs):
        return Ratio(*[math.exp(mean)] * 3)
    interval = stats.ttest_1samp(logs, 0.0).confidence_interval(0.95)
    return Ratio(math.exp(mean), math.exp(interval.low), math.exp(interval.high))


class Figures:
    """What loads measured: for each (what, depth, whose) a list with one entry for each time that
    the load was measured, in the order of the rounds."""

    def __init__(self):
        self._rounds = {}

    def add(self, what, depth, whose, figures):
        self._rounds.setdefault((what, depth, whose), []).append(figures)

    def as_json(self):
        return [{"what": what, "at_once": depth, "whose": whose, "rounds": rounds}
                for (what, depth, whose), rounds in self._rounds.items()]

    def has(self, what, depth, whose=OURS):
        return (what, depth, whose) in self._rounds

    def depths(self, what):
        return [depth for each, depth, whose in self._rounds if (each, whose) == (what, OURS)]

    def values(self, what, depth, whose, metric):
        read = _METRICS.get(metric) or (lambda figures: figures[metric])
        return [read(figures) for figures in self._rounds[what, depth, whose]]

    def stat(self, what, depth, whose, metric):
        values = self.values(what, depth, whose, metric)
        return Stat(statistics.median(values), min(values), max(values))

    def ratio(self, what, depth, metric, over=REFERENCE, inverse=False):
        """The ratio ours / `over`, or `over` / ours if inverse; None if one of the two was not
        measured."""
        if not (self.has(what, depth) and self.has(what, depth, over)):
            return None
        pair = [self.values(what, depth, OURS, metric), self.values(what, depth, over, metric)]
        return paired_ratio(*(reversed(pair) if inverse else pair))


_METRICS = {
    "rate": lambda f: f["count"] / f["seconds"],
    "server_us": lambda f: f["server_cpu"] / f["count"] * 1e6,
    "client_us": lambda f: f["client_cpu"] / f["count"] * 1e6,
    "client_share": lambda f: f["client_cpu"] / f["server_cpu"],
}

_LABELS = {"pair": "issue, then claim", "fused": "issue and claim in one", "create": "create",
           "issue": "issue", "claim": "claim", "complete": "complete",
           "bare": "bare call with claim's arguments", "commands issue": "issue's commands alone",
           "commands claim": "claim's commands alone", "commands fused": "the one call's commands",
           "calls issue": "issue, beside its commands", "calls claim": "claim, beside its commands",
           "calls fused": "the one call, beside its commands"}


def micros(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _ratio_text(ratio):
    return ratio.text() if ratio else ""


def rate_table(figures, depths):
    table = Table(
        "Claims per second on a server, closed loop",
        "median of the rounds, +/- half of their range; times of one claim from its first call to "
        "its last answer; server and client CPU for one claim; ours / reference: claims per "
        "second, paired by round, with its 95 % confidence interval",
        ["", "at once", "claims/s", "+/-", "p50 us", "p99 us", "server us", "client us",
         "ours / reference"], flush_left=(8,))
    for what in ("pair", "fused"):
        if not any(figures.has(what, depth) for depth in depths):
            continue
        table.rows.append([_LABELS[what]])
        for depth in depths:
            speed = figures.stat(what, depth, OURS, "rate")
            table.rows.append(
                ["  ours", str(depth), rate(speed.median), f"{speed.spread * 100:.0f}%",
                 *(micros(figures.stat(what, depth, OURS, metric).median) for metric in
                   ("p50_us", "p99_us", "server_us", "client_us")),
                 _ratio_text(figures.ratio(what, depth, "rate"))])
            if figures.has(what, depth, REFERENCE):
                speed = figures.stat(what, depth, REFERENCE, "rate")
                table.rows.append(
                    ["  reference", str(depth), rate(speed.median), f"{speed.spread * 100:.0f}%",
                     *(micros(figures.stat(what, depth, REFERENCE, metric).median) for metric in
                       ("p50_us", "p99_us", "server_us", "client_us")), ""])
    return table


def transport_table(figures, depths, transports):
    """The table of one server that was reached by several transports. transports: their names;
    in `figures` the name of a transport is the `whose` of its rounds."""
    first = transports[0]
    table = Table(
        "Claims per second by transport, closed loop",
        f"issue, then claim; one server and one connection, in turn in each round; median of the "
        f"rounds, +/- half of their range; CPU of client and server for one claim; the last two "
        f"columns are paired by round with {first}, with their 95 % confidence interval",
        ["", "at once", "claims/s", "+/-", "p50 us", "client us", "server us",
         f"claims/s over {first}", f"client CPU over {first}"], flush_left=(7, 8))
    for depth in depths:
        for name in transports:
            speed = figures.stat("pair", depth, name, "rate")
            times = [micros(figures.stat("pair", depth, name, metric).median)
                     for metric in ("p50_us", "client_us", "server_us")]
            ratios = ["", ""] if name == first else [
                paired_ratio(figures.values("pair", depth, name, metric),
                             figures.values("pair", depth, first, metric)).text()
                for metric in ("rate", "client_us")]
            table.rows.append([name, str(depth), rate(speed.median), f"{speed.spread * 100:.0f}%",
                               *times, *ratios])
    return table


def cost_table(figures, depth):
    table = Table(
        "Server CPU of one call",
        f"microseconds of the server's process, {depth} calls at once, median of the rounds, +/- "
        "half of their range; reference / ours: paired by round, with its 95 % confidence "
        "interval; steadier on a busy machine than calls per second",
        ["", "ours", "+/-", "reference", "reference / ours"], flush_left=(4,))
    for what in ("create", "issue", "claim", "pair", "fused", "complete", "bare",
                 "calls issue", "commands issue", "calls claim", "commands claim", "calls fused",
                 "commands fused"):
        if not figures.has(what, depth):
            continue
        ours = figures.stat(what, depth, OURS, "server_us")
        theirs = (figures.stat(what, depth, REFERENCE, "server_us")
                  if figures.has(what, depth, REFERENCE) else None)
        table.rows.append([_LABELS[what], f"{ours.median:.1f}", f"{ours.spread * 100:.0f}%",
                           f"{theirs.median:.1f}" if theirs else "",
                           _ratio_text(figures.ratio(what, depth, "server_us", inverse=True))])
    return table


def open_table(figures, shares, peak):
    table = Table(
        "Time of one claim, open loop",
        f"claims (issue, then claim) that begin at random moments, whether or not the server keeps "
        f"up, at a share of the peak of {rate(peak)} claims/s; microseconds from the planned "
        "moment, median of the rounds, of the longest the longest",
        ["share of the peak", "claims/s", "p50", "p99", "p99.9", "longest", "sent late by at most"])
    for share in shares:
        what = f"open {share}"
        if not figures.has(what, 0):
            continue
        table.rows.append(
            [f"{share} %", rate(figures.stat(what, 0, OURS, "rate").median),
             *(micros(figures.stat(what, 0, OURS, metric).median)
               for metric in ("p50_us", "p99_us", "p999_us")),
             micros(figures.stat(what, 0, OURS, "max_us").high),
             micros(figures.stat(what, 0, OURS, "latest_us").high)])
    return table if table.rows else None


def peak_depth(figures):
    """The number of calls at once at which "issue, then claim" is the quickest; None if it wasn't
    run."""
    rates = {depth: figures.stat("pair", depth, OURS, "rate").median
             for depth in figures.depths("pair")}
    return max(rates, key=lambda depth: rates[depth], default=None)


def _limit_share(figures, depth, names):
    """The ratio of the CPU that calls' data commands alone take to the CPU of our calls, paired by
    turn; None if not all of these were measured."""
    if not all(figures.has(f"commands {name}", depth) for name in names):
        return None
    alone, ours = ([sum(parts) for parts in zip(*(
        figures.values(prefix + name, depth, OURS, "server_us") for name in names))]
        for prefix in ("commands ", "calls "))
    return paired_ratio(alone, ours)


def limit_sentence(figures, depth):
    """A clause that says what share of the CPU the data commands alone take and, if the reference
    was measured, how many times as fast as the reference other functions could be at most; empty if
    the share was not measured."""
    share = _limit_share(figures, depth, ("issue", "claim"))
    if not share:
        return ""
    text = f"the data commands alone take {share.mean * 100:.0f} % of the CPU of issue, then claim"
    ratio = figures.ratio("pair", depth, "server_us", inverse=True)
    if ratio:
        text += (f": functions that store the same state get to {ratio.mean / share.mean:.2f}x "
                 "the reference at most, however little Lua they are")
    return text


def bars_table(figures, depth):
    """The table of the figures to reach: "first" is the bar, "goal" is the figure to reach in the
    end."""
    note = "first has to be reached, goal is the aim"
    sentence = limit_sentence(figures, depth)
    table = Table("Figures to reach", note + (f"; {sentence}" if sentence else ""),
                  ["", "first", "goal", "measured", ""], flush_left=(3,))

    def row(what, first, goal, value, text, at_most=False):
        good = lambda limit: value <= limit if at_most else value >= limit
        sign = "<=" if at_most else ">="
        number = lambda limit: f"{sign} {limit:g}"
        verdict = "goal" if good(goal) else "first" if good(first) else "MISSED"
        table.rows.append([what, number(first), number(goal), text, verdict])

    for what in ("pair", "fused"):
        ratio = figures.ratio(what, depth, "rate")
        if ratio:
            row(f"claims/s, {_LABELS[what]}: x reference", 1.5, 1.5, ratio.mean, ratio.text())
        ratio = figures.ratio(what, depth, "server_us", inverse=True)
        if ratio:
            row(f"server CPU, {_LABELS[what]}: reference x ours", 1.5, 1.5, ratio.mean,
                ratio.text())
    peak = peak_depth(figures)
    if peak is not None:
        share = figures.stat("pair", peak, OURS, "client_share").median
        row(f"client's share of a core at the peak, {peak} at once", 0.10, 0.06, share,
            f"{share:.3f}", True)
    for what, names in (("pair", ("issue", "claim")), ("fused", ("fused",))):
        share = _limit_share(figures, depth, names)
        if share:
            row(f"CPU of the data commands / {_LABELS[what]}", 0.95, 0.95, share.mean,
                share.text())
    return table if table.rows else None
