# SPDX-License-Identifier: Apache-2.0
"""Arranges results into tables, which report.py turns into text and Markdown."""

import re
from dataclasses import dataclass, field

from jobs.common import bars
from jobs.common.gbench import ratio

_OURS = re.compile(r"(?:Core|Ledger)\w*")
_LABELS = {
    "FromChars": "from_chars",
    "SimdjsonOnDemand": "simdjson",
    "SimdjsonOnDemandTyped": "simdjson, typed",
    "SimdErrors": "simd, with core's errors",
    "SimdjsonChecked": "simdjson, every member checked",
    "SimdjsonDom": "simdjson, DOM",
    "SimdjsonNewest": "simdjson, newest",
    "SimdjsonNewestChecked": "simdjson, newest, every member checked",
    "SimdjsonNewestDom": "simdjson, newest, DOM",
    "Sequential": "member by member",
    "Rapidjson": "RapidJSON",
    "RapidjsonDom": "RapidJSON, DOM in situ",
    "RapidjsonSax": "RapidJSON, SAX in situ",
    "Nlohmann": "nlohmann JSON",
    "NlohmannDom": "nlohmann JSON, DOM",
    "NlohmannSax": "nlohmann JSON, SAX",
    "Re2": "RE2",
    "Reference": "the reference",
    "ReferenceReused": "the reference, reused",
    "ReferenceNothing": "the reference's border and loop",
    "Sqlite": "SQLite",
    "TbbMap": "oneTBB concurrent_hash_map",
    "AbslStrAppend": "absl::StrAppend",
    "AbslMapString": "Abseil, text",
    "AbslMapUuid": "Abseil, uuid",
    "StdString": "std::string",
    "StdStringReused": "std::string, reused",
    "ToChars": "to_chars",
    "StringConcat": "std::string",
    "Memcpy": "memcpy",
    "CacheLines": "4 bytes of each cache line",
}
# These baselines do less work than any implementation of the operation can do, so their time is a
# floor for the operation's time.
LIMITS = frozenset(("CacheLines", "Memcpy", "ReferenceNothing"))
BARS_TITLE = "Figures to reach"
_ACRONYMS = {"json": "JSON", "crc16": "CRC16"}


def words(camel):
    """Turns a name into words: ParseExecutionId becomes parse execution id."""
    parts = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+", camel)
    return " ".join(_ACRONYMS.get(part.lower(), part.lower()) for part in parts)


def label(impl):
    return _LABELS.get(impl) or words(impl)


def is_ours(impl):
    return _OURS.fullmatch(impl) is not None


class Remark(str):
    """A row of a table that holds a sentence about the row before it."""


@dataclass
class Table:
    """A row of one cell is a heading. A row with an empty first cell continues the row before. A
    Remark is a sentence under a row. Columns after the first are set flush right, except the
    columns whose indices are in flush_left.
    """
    title: str
    note: str
    columns: list
    flush_left: tuple = ()
    rows: list = field(default_factory=list)


def rate(value):
    """A number per second as text: 9.81 M, 812 k."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{three_digits(value / limit)} {letter}"
    return three_digits(value)


def three_digits(value):
    if value == 0:
        return "0"
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def nanoseconds(value):
    return f"{three_digits(value)}" if value < 99_999.5 else f"{value / 1000:.0f} k"


def spread(stat):
    return f"{stat.spread * 100:.0f}%" if stat and stat.low < stat.high else ""


def _range(stat):
    """The range as text; empty if low and high are the same value."""
    if stat.low == stat.high:
        return ""
    return f"{three_digits(stat.low)}-{three_digits(stat.high)}"


def _ratio_cell(stat):
    if stat is None:
        return "-"
    extent = _range(stat)
    return f"{three_digits(stat.median)}x" + (f" ({extent})" if extent else "")


def _case(name):
    case = re.sub(r"(?:^|/)live:\d+", "", name.case).strip("/")
    return re.sub("[_:]", " ", case).replace("/", ", ")


def _baselines(names):
    return list(dict.fromkeys(name.impl for name in names if not is_ours(name.impl)))


def _ratios(results, name, metric):
    """A text for each baseline that was measured in the same case. If the metric is a time, the
    text says how many times as fast `name` is as this baseline. For any other metric it says how
    many times as large the value of `name` is."""
    texts = []
    for impl in _baselines(other for other in results.series if other.op == name.op):
        other = results.find(name.op, impl, name.case, name.threads)
        if other:
            first, second = results.series[name], other
            if metric == "ns":  # for times, more is slower
                first, second = second, first
            found = ratio(first, second, metric)
            texts.append(f"{label(impl)} {_ratio_cell(found)}")
    return texts


def _with_ratios(cells, ratios):
    """A row that ends in the first ratio, and continuation rows for the other ratios."""
    return ([cells + (ratios[:1] or [""])]
            + [[""] * len(cells) + [text] for text in ratios[1:]])


def _claim_names(results, metric):
    """The benchmarks of the ledger and of its baselines that measured this metric, sorted by the
    number of live executions."""
    ops = list(dict.fromkeys(name.op for name in results.series))
    impls = list(dict.fromkeys(name.impl for name in results.series))
    return sorted((name for name, series in results.series.items()
                   if name.live is not None and series.stat(metric)),
                  key=lambda name: (name.live, _case(name), ops.index(name.op),
                                    impls.index(name.impl), name.threads))


def _add_by_size(table, names, rows_of):
    """Appends the rows of each name, under a heading for each number of executions."""
    live = None
    for name in names:
        if name.live != live:
            live = name.live
            table.rows.append([f"{live:,} live"])
        table.rows.extend(rows_of(name))


def claims_table(results):
    """The table of claims per second, ours beside the baselines; None if none was measured."""
    table = Table(
        "Claims per second, embedded ledger",
        "median of the rounds, +/- half of their range; one thread by its CPU time, two by the "
        "clock; then how many times as fast as the baseline, more is better; batch rows are calls "
        "of 32 executions each, set against the baseline's single calls",
        ["", "threads", "claims/s", "+/-", "times as fast as (range)"], flush_left=(4,))

    def rows_of(name):
        speed = results.series[name].stat("items_per_second")
        cells = [f"  {_claim_label(name)}", str(name.threads), rate(speed.median), spread(speed)]
        return _with_ratios(cells, _ratios(results, name, "items_per_second"))

    _add_by_size(table, [name for name in _claim_names(results, "items_per_second")
                         if is_ours(name.impl) and not results.series[name].stat("p50_ns")],
                 rows_of)
    return table if table.rows else None


def _claim_label(name):
    what = {"ClaimPairs": "issue + claim", "ClaimCycle": "full cycle",
            "ClaimLatency": "one claim"}.get(name.op) or words(name.op)
    if is_ours(name.impl):
        how = words(name.impl).replace("ledger", "").strip()
    else:
        how = label(name.impl)
    return ", ".join(filter(None, (what, how, _case(name))))


def claim_latency_table(results):
    """The table of the quantiles of a single claim's time; None if none was measured."""
    table = Table(
        "Time of a single claim",
        "nanoseconds, median of the rounds; of more threads than cores, all calls are one sample: "
        "the last quantile and the longest call show who waits for a thread that lost its core",
        ["", "threads", "p50", "p99", "p99.9", "p99.99", "longest"])

    def rows_of(name):
        series = results.series[name]
        quantiles = [series.stat(metric) for metric in (
            "p50_ns", "p99_ns", "p999_ns", "p9999_ns", "longest_ns")]
        return [[f"  {_claim_label(name)}", str(name.threads)]
                + [nanoseconds(q.median) if q else "-" for q in quantiles]]

    _add_by_size(table, _claim_names(results, "p50_ns"), rows_of)
    return table if table.rows else None


def parse_latency_table(results):
    """The table of the quantiles of the time in which one text is read; None if none was
    measured."""
    table = Table(
        "Time of a single parse",
        "nanoseconds, median of the rounds, each call timed by itself; the clock's own reading, "
        "which is inside the other figures, is in the first column: the median of what it reads "
        "around nothing",
        ["", "clock", "p50", "p99", "p99.9"])
    names = [name for name, series in results.series.items()
             if name.live is None and series.stat("p50_ns")]
    for op in dict.fromkeys(name.op for name in names):
        table.rows.append([words(op)])
        ours_first = sorted((name for name in names if name.op == op),
                            key=lambda name: not is_ours(name.impl))
        for case in dict.fromkeys(_case(name) for name in ours_first):
            for name in ours_first:
                if _case(name) != case:
                    continue
                quantiles = [results.series[name].stat(metric)
                             for metric in ("timer_ns", "p50_ns", "p99_ns", "p999_ns")]
                peer = "" if is_ours(name.impl) else label(name.impl)
                table.rows.append(["  " + ", ".join(filter(None, (case, peer)))]
                                  + [nanoseconds(q.median) if q else "-" for q in quantiles])
    return table if table.rows else None


def memory_table(results):
    """The table of a full ledger's memory; None if none was measured."""
    table = Table("Memory of a full ledger",
                  "bytes of resident memory for each live execution, median of the rounds, +/- "
                  "half of their range; then ours / the baseline's, less is better",
                  ["", "bytes", "+/-", "ours / baseline (range)"], flush_left=(3,))
    for name in _claim_names(results, "bytes_per_execution"):
        if is_ours(name.impl):
            used = results.series[name].stat("bytes_per_execution")
            cells = [f"  {name.live:,} live", three_digits(used.median), spread(used)]
            table.rows.extend(_with_ratios(cells, _ratios(results, name, "bytes_per_execution")))
    return table if table.rows else None


def text_table(results):
    """One table of all parse and serialize operations, with a heading row for each operation."""
    table = Table(
        "Parse and serialize",
        "ns an operation, median of the rounds, +/- half of their range; then how many times as "
        "fast as the baseline, more is better",
        ["", "ns", "+/-", "GB/s", "allocs", "times as fast as (range)"],
        flush_left=(5,))
    names = [name for name, series in results.series.items()
             if name.live is None and not series.stat("p50_ns")]
    for op in dict.fromkeys(name.op for name in names):
        ours = [name for name in names if name.op == op and is_ours(name.impl)]
        if not ours:
            continue
        table.rows.append([words(op)])
        for name in ours:
            table.rows.extend(_text_rows(results, name))
    return table if table.rows else None


def _text_rows(results, name):
    series = results.series[name]
    time, speed, allocations = (
        series.stat(metric) for metric in ("ns", "bytes_per_second", "allocs_per_op"))
    cells = [
        f"  {_text_label(name)}",
        nanoseconds(time.median), spread(time),
        three_digits(speed.median / 1e9) if speed else "",
        f"{allocations.median:g}" if allocations else ""]
    return _with_ratios(cells, _ratios(results, name, "ns"))


def _text_label(name):
    variant = words(name.impl).replace("core", "").strip()
    threads = f"{name.threads} threads" if name.threads > 1 else ""
    return ", ".join(filter(None, (variant, _case(name), threads))) or "all"


def row_name(name):
    """The name of a benchmark in a table, with the heading above its row."""
    if name.live is not None:
        return f"{name.live:,} live: {_claim_label(name)}"
    return f"{words(name.op)}: {_text_label(name)}"


def bars_table(results):
    """The table of the figures to reach; None if none of them was measured."""
    table = Table(BARS_TITLE, "", ["", "measured", "range", "first bar", "", "goal", ""],
                  flush_left=(4, 6))
    verdicts = bars.judge(results)
    for verdict in verdicts:
        bar = verdict.bar
        cells = [bar.what, "not measured", ""]
        if verdict.value:
            cells[1:] = [three_digits(verdict.value.median) + bar.unit, _range(verdict.value)]
        for limit in (bar.first, bar.goal):
            met = verdict.meets(limit)
            cells += [verdict.limit_text(limit), {True: "met", False: "MISSED", None: "-"}[met]]
        table.rows.append(cells)
    return table if any(verdict.value for verdict in verdicts) else None


def all_tables(results):
    """[claims, latency of a claim, memory, parse and serialize, latency of a parse, figures to
    reach], without empty tables."""
    made = (claims_table(results), claim_latency_table(results), memory_table(results),
            text_table(results), parse_latency_table(results), bars_table(results))
    return [table for table in made if table]
