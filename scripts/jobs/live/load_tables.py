# SPDX-License-Identifier: Apache-2.0
"""Makes tables of the figures of loads on a FlowFabric deployment."""

from __future__ import annotations

import statistics
from typing import Any

from jobs.common.gbench import Stat
from jobs.common.tables import Table, rate

SHARES = (50, 70, 90)  # the rates of open loads, in percent of the peak
MOST_RATE = 2000.0  # cycles a second; an open load at a higher rate has no more executions
STAGES = {"grant": "grant, over HTTP", "decode": "grant, read once more from its text",
          "claim": "claim", "renew": "renew", "complete": "complete", "whole": "the whole cycle"}
_QUANTILES = ("p50", "p90", "p99", "p999", "max")
_TITLES = {"grant": "grants alone", "pair": "grant and claim", "cycle": "full cycle",
           "threads": "full cycle, a thread each"}

Key = tuple[str, int]


def key(what: str, workers: int) -> Key:
    return what, workers


class Figures:
    """The measurements of loads: for each (what, workers) a list with one entry for each round."""

    def __init__(self) -> None:
        self._rounds: dict[Key, list[dict[str, Any]]] = {}

    def add(self, what: str, workers: int, figures: dict[str, Any]) -> None:
        self._rounds.setdefault(key(what, workers), []).append(figures)

    def measured(self) -> list[Key]:
        return list(self._rounds)

    def values(self, of: Key, metric: str) -> list[float]:
        """The metric's values, without the rounds that do not have it."""
        made = [_metric(one, metric) for one in self._rounds.get(of, [])]
        return [value for value in made if value is not None]

    def median(self, of: Key, metric: str) -> float:
        return statistics.median(self.values(of, metric))

    def stat(self, of: Key, metric: str) -> Stat | None:
        values = self.values(of, metric)
        return Stat(statistics.median(values), min(values), max(values)) if values else None

    def as_json(self) -> list[dict[str, Any]]:
        return [{"what": what, "workers": workers, "rounds": rounds}
                for (what, workers), rounds in self._rounds.items()]


def _metric(one: dict[str, Any], metric: str) -> float | None:
    if metric == "rate":
        return float(one["count"] / one["seconds"])
    if metric == "nothing":
        return float(one["nothing"] / one["asked"])
    if metric.endswith("_us"):  # CPU time for each execution
        cpu = one.get(f"{metric[:-3]}_cpu")
        return None if cpu is None else float(cpu / one["count"] * 1e6)
    if metric == "share":
        server = one.get("server_cpu")
        return None if server is None else float(one["client_cpu"] / (server + one["valkey_cpu"]))
    if "." in metric:  # stage.quantile
        stage, _, quantile = metric.partition(".")
        found = one["stages"].get(stage)
        return float(found[quantile]) if found else None
    return float(one[metric])


def micros(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}"


def _text(stat: Stat | None) -> str:
    return micros(stat.median if stat else None)


def _percent(stat: Stat | None) -> str:
    return f"{stat.median * 100:.1f} %" if stat else ""


def _cpu_cells(figures: Figures, of: Key) -> list[str]:
    return [*(_text(figures.stat(of, f"{who}_us")) for who in ("client", "server", "valkey")),
            _percent(figures.stat(of, "share"))]


def closed_table(figures: Figures) -> Table:
    table = Table(
        "Executions per second, closed loop",
        "median of the rounds, +/- half of their range; times of one execution from the first "
        "question for a grant to the last answer; 204s: of all questions for a grant those that "
        "found nothing in their window; CPU for one execution of the C++ workers, of FlowFabric's "
        "server and of Valkey; share: the workers' of both servers'. All workers are in one loop, "
        "except in the last row, where each is a thread",
        ["", "workers", "per second", "+/-", "204s", "p50 us", "p99 us", "client us", "server us",
         "Valkey us", "share"])
    for what, title in _TITLES.items():
        for of in sorted(of for of in figures.measured() if of[0] == what):
            speed = figures.stat(of, "rate")
            assert speed
            table.rows.append([
                title, str(of[1]), rate(speed.median), f"{speed.spread * 100:.0f}%",
                _percent(figures.stat(of, "nothing")), _text(figures.stat(of, "whole.p50")),
                _text(figures.stat(of, "whole.p99")), *_cpu_cells(figures, of)])
    return table


def stages_table(figures: Figures) -> Table:
    table = Table(
        "Time of each stage of a full cycle, closed loop",
        "microseconds, median of the rounds; of the longest the longest. A grant's time is that of "
        "the request that got it; the whole cycle has the requests before it too, and the pauses "
        "behind 204s",
        ["workers", "stage", "p50", "p90", "p99", "p99.9", "longest"], flush_left=(1,))
    for of in sorted(of for of in figures.measured() if of[0] == "cycle"):
        for stage, title in STAGES.items():
            cells = [figures.stat(of, f"{stage}.{quantile}") for quantile in _QUANTILES]
            longest = cells[-1]
            if longest:
                table.rows.append([str(of[1]), title, *map(_text, cells[:-1]),
                                   micros(longest.high)])
    return table


def open_table(figures: Figures, peak: float) -> Table:
    table = Table(
        "Time of a full cycle, open loop",
        f"cycles that begin at random moments, whether or not the deployment keeps up, at a share "
        f"of the peak of {rate(peak)}/s; microseconds from the planned moment, median of the "
        "rounds, of the longest the longest",
        ["share of the peak", "workers", "per second", "204s", "p50", "p90", "p99", "p99.9",
         "longest"])
    for what, workers in figures.measured():
        if not what.startswith("open "):
            continue
        of = key(what, workers)
        cells = [figures.stat(of, f"whole.{quantile}") for quantile in _QUANTILES]
        longest, speed = cells[-1], figures.stat(of, "rate")
        assert longest and speed
        table.rows.append([f"{what.removeprefix('open ')} %", str(workers), rate(speed.median),
                           _percent(figures.stat(of, "nothing")), *map(_text, cells[:-1]),
                           micros(longest.high)])
    return table


def once_table(figures: Figures, workers: int) -> Table:
    table = Table(
        "Each execution completed once, each result read back",
        "one load; completed once: claimed once and completed once, as its worker saw it; results "
        "equal: read back over HTTP, byte for byte",
        ["executions", "workers", "completed once", "results equal", "per second", "204s",
         "client us", "server us", "Valkey us", "share"])
    of = key("once", workers)
    speed = figures.stat(of, "rate")
    if speed:
        count = lambda name: f"{int(figures.median(of, name)):,}"
        table.rows.append([count("executions"), str(workers), count("completed_once"),
                           count("results_equal"), rate(speed.median),
                           _percent(figures.stat(of, "nothing")), *_cpu_cells(figures, of)])
    return table


def tables(figures: Figures, workers: int, peak: float) -> list[Table]:
    return [closed_table(figures), stages_table(figures), open_table(figures, peak),
            once_table(figures, workers)]


def sentences(figures: Figures, workers: int) -> str:
    """Says in two sentences where a claim spends its time."""
    alone, of = key("cycle", 1), key("cycle", workers)
    # The rounds are added up, since medians of parts don't add up to the median of the whole.
    sums = {stage: sum(figures.values(alone, f"{stage}.mean")) for stage in STAGES}
    whole, rounds = sums["whole"], len(figures.values(alone, "whole.mean"))
    on_valkey = sums["claim"] + sums["renew"] + sums["complete"]
    rest = max(0.0, whole - sums["grant"] - on_valkey)
    first = (f"Of the {micros(whole / rounds)} us of a cycle with one worker, the request that "
             f"gets the grant takes {sums['grant'] / whole:.0%}, claim, renew and complete on "
             f"Valkey {on_valkey / whole:.0%}, and questions that find nothing, with the pauses "
             f"behind them, {rest / whole:.0%}.")
    cpu = {who: figures.stat(of, f"{who}_us") for who in ("client", "server", "valkey")}
    if not all(cpu.values()):
        return first + " The CPU of FlowFabric's server is not known here."
    used = {who: stat.median for who, stat in cpu.items() if stat}
    total = sum(used.values())
    return (f"{first} Of the {micros(total)} us of CPU of a cycle with {workers} workers, "
            f"FlowFabric's server uses {used['server'] / total:.0%}, Valkey "
            f"{used['valkey'] / total:.0%} and the C++ workers {used['client'] / total:.0%}.")
