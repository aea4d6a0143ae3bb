# SPDX-License-Identifier: Apache-2.0
"""Makes the page's sections of figures to reach, claims, latency and all benchmarks from a run of
scripts/bench. Defines what the sections of all modules consist of."""

from dataclasses import dataclass, field

from jobs.common import bars, tables
from jobs.page import bench_results, figures, line_figures
from jobs.page.figures import Row, key
from jobs.page.svg import Caption, draw

_SUBJECTS = {
    "execution_id": "Execution ids and UUIDs",
    "partition_key": "Partition keys",
    "grant_json": "Grants as JSON",
    "hash_slot": "Hash slots and key names",
    "ledger": "Ledger: claims",
    "text_peers": "Keys, ids and grants",
    "ledger_peers": "Claims in memory",
}


@dataclass(frozen=True)
class Link:
    """A cell that links to an address; without an address the cell shows only its text."""
    text: str
    address: str = ""


@dataclass
class Table:
    """A table, whose cells are texts, Links, or (text, class of the style sheet)."""
    caption: str
    columns: list
    rows: list
    left: tuple = (0,)  # columns set flush left
    name: str = ""  # the name of a table that can be filtered
    stacked: bool = False  # whether each row becomes a list on a phone
    opened: bool = False  # whether a table that can be filtered is shown from the start


@dataclass
class Plot:
    """A plot with its alternative in words, and its data as a table. A Plot without an svg is not
    drawn, and its words say why."""
    name: str
    title: str
    text: str
    svg: str
    png: bytes
    table: Table


@dataclass
class Missing:
    """Data that is missing, and the command that makes it."""
    what: str
    command: str


@dataclass
class Section:
    identifier: str
    title: str
    short: str  # the title in the list of sections
    lead: list = field(default_factory=list)  # paragraphs
    legend: list = field(default_factory=list)  # (mark of figures.MARKS or bar-COLOUR, meaning)
    plots: list = field(default_factory=list)
    tables: list = field(default_factory=list)
    missing: list = field(default_factory=list)
    sources: list = field(default_factory=list)  # (what, text)
    documents: list = field(default_factory=list)  # recorded.Document

    @property
    def has_data(self):
        """Whether the section has anything to show other than what is missing."""
        return bool(self.plots or self.tables or self.documents)


def three_digits(value):
    """A number as text: 0.203, 7.45, 28.4, 1,343. From 0.1 up it has three digits, or all before
    the point if these are more; below, it has three decimals."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 9.995 else f"{value:.2f}" if size >= 0.9995 else f"{value:.3f}"


def interval(found, shown=three_digits):
    """The bounds with a dash between them, or only a dash if a single measurement has no bounds."""
    return f"{shown(found.low)} – {shown(found.high)}" if found.count > 1 else "–"


def times(value):
    return f"{three_digits(value)}×"


def sureness(count, each=", each a process of its own"):
    """Words that say what an interval of this many rounds is. each: words about a round."""
    if count < 2:
        return "a single round: no interval can be given"
    found = bench_results.estimate(range(count))
    what = "the range of the rounds" if found.low == 0 else "order statistics of the rounds"
    return (f"{count} rounds{each}; intervals are {what}, "
            f"which hold{'s' if found.low == 0 else ''} the true median with a chance of "
            f"{100 * found.confidence:.1f} %")


def _case(name):
    """The case in words, without the number of live executions."""
    parts = [part for part in name.case.split("/") if not part.startswith("live:")]
    return ", ".join(part.replace("_", " ").replace(":", " ") for part in parts if part)


def _threads(name):
    return f"{name.threads} threads" if name.threads > 1 else ""


def case_label(name):
    """The case as a label: canonical; 1,000 live, 2 threads"""
    live = f"{name.live:,} live" if name.live is not None else ""
    return ", ".join(filter(None, (_case(name), live, _threads(name))))


def operation_label(name):
    """The operation as a label, with the variant of our implementation if there is one: parse
    grant; issue + claim, batch"""
    variant = tables.words(name.impl).replace("core", "").replace("ledger", "").strip() \
        if tables.is_ours(name.impl) else ""
    return ", ".join(filter(None, (_OPERATIONS.get(name.op) or tables.words(name.op), variant)))


_OPERATIONS = {"ClaimPairs": "issue + claim", "ClaimCycle": "full cycle",
               "ClaimLatency": "one claim"}


def benchmark_label(name):
    """The operation and case as a label: parse grant, canonical; issue + claim, batch, 1,000 live,
    2 threads"""
    return ", ".join(filter(None, (operation_label(name), case_label(name))))


def claim_label(name):
    """Like benchmark_label(), without the number of live executions."""
    return ", ".join(filter(None, (operation_label(name), _case(name), _threads(name))))


def bench_missing(what):
    return Missing(what, "./scripts/bench")


def goals(bench):
    """The section of the figures to reach, each judged against its first bar and its goal."""
    section = Section("goals", "Figures to reach", "Goals")
    verdicts = bars.judge(bench.together) if bench else []
    if not any(verdict.value for verdict in verdicts):
        section.missing.append(bench_missing("no measurement to hold against the figures to reach"))
        return section

    def cell(verdict, limit):
        met = verdict.meets(limit)
        mark = {True: ("✓ met", "good"), False: ("✗ missed", "bad"), None: ("not measured", "none")}
        return (f"{verdict.limit_text(limit).replace('<=', '≤').replace('>=', '≥')}"
                f" {mark[met][0]}", mark[met][1])

    rows = []
    for verdict in verdicts:
        value = verdict.value
        rows.append([verdict.bar.what,
                     three_digits(value.median) + verdict.bar.unit if value else "not measured",
                     f"{three_digits(value.low)} – {three_digits(value.high)}"
                     if value and value.low < value.high else "",
                     cell(verdict, verdict.bar.first), cell(verdict, verdict.bar.goal)])
    section.lead = ["What the project set itself, judged by the median of the rounds. "
                    "A figure that is missed says so here and in the terminal."]
    section.tables.append(Table("Figures to reach, with the range of the rounds",
                                ["figure", "measured", "range", "first bar", "goal"], rows,
                                stacked=True))
    return section


def _claim_groups(results):
    """live -> [(name of ours, [(name, series)])], for the benchmarks that count claims."""
    groups = {}
    for name, series in results.series.items():
        if (name.live is not None and tables.is_ours(name.impl)
                and series.per_round("items_per_second")
                and not bench_results.quantiles(series)):
            members = [(name, series)] + [
                (other, its) for other, its in results.series.items()
                if (other.op, other.case, other.threads) == (name.op, name.case, name.threads)
                and not tables.is_ours(other.impl) and its.per_round("items_per_second")]
            groups.setdefault(name.live, []).append((name, members))
    return {live: sorted(found, key=lambda group: (_case(group[0]), group[0].op, group[0].impl,
                                                   group[0].threads))
            for live, found in sorted(groups.items())}


def claims(bench):
    """The section of the embedded ledger's claims per second."""
    section = Section("claims", "Claims per second, embedded ledger", "Claims a second")
    groups = _claim_groups(bench.together) if bench else {}
    if not groups:
        section.missing.append(bench_missing("claims per second were not measured"))
        return section
    section.lead = [
        "The claim path in memory, beside the same path on a hash map under a lock. “Issue + "
        "claim” mints a grant and consumes it; a “full cycle” also writes the grant as "
        "JSON and reads it back. Batch rows hand over 32 executions a call. More is better.",
        f"Dots are medians of {sureness(bench.rounds)}."]
    section.legend = [("ours", "ffgrant"), ("baseline", "baseline")]
    for live, found in groups.items():
        rows, data = [], []
        for name, members in found:
            rows.append(Row(claim_label(name)))
            for other, series in members:
                ours = tables.is_ours(other.impl)
                value = bench_results.series_estimate(series, "items_per_second")
                label = "ffgrant" if ours else tables.label(other.impl)
                rows.append(Row(label, value, "ours" if ours else "baseline",
                                tables.rate(value.value)))
                data.append([claim_label(name), label, tables.rate(value.value),
                             interval(value, tables.rate), value.value])
        best = max((data_row[4], data_row[2], data_row[0]) for data_row in data
                   if data_row[1] == "ffgrant")[1:]
        title = f"{live:,} live executions"
        svg, png = draw(f"claims-{live}", lambda r=rows: figures.rates(
            r, "million claims a second", 1e6),
            Caption(f"{section.short}, {title}", bench.note, key(section.legend)))
        section.plots.append(Plot(
            f"claims-{live}", title,
            f"{len(found)} ways of claiming beside their baselines; the most of ffgrant's is "
            f"{best[0]} a second: {best[1]}.", svg, png,
            Table(title, ["operation", "implementation", "claims/s", "interval"],
                  [cells[:4] for cells in data], (0, 1))))
    return section


def latency(bench):
    """The section of the quantiles of a single claim's time."""
    section = Section("latency", "Latency of a single claim", "Latency")
    found = {}
    for name, series in (bench.together.series.items() if bench else ()):
        points = bench_results.quantiles(series)
        if points:
            found.setdefault(name.live, []).append((name, points))
    if not found:
        section.missing.append(bench_missing("no latency distribution was measured"))
        return section
    section.lead = [
        "Claims timed one by one, so that the slow ones are not averaged away: half of them took "
        "no longer than p50, all but one in a thousand no longer than p99.9. The reading of the "
        "clock is inside what is shown. Less is better; time is on a logarithmic axis.",
        f"Dots are medians of {sureness(bench.rounds)}."]
    for live, lines in sorted(found.items(), key=lambda item: item[0] or 0):
        lines.sort(key=lambda line: (not tables.is_ours(line[0].impl), line[0].threads))
        labelled, data = [], []
        for name, points in lines:
            ours = tables.is_ours(name.impl)
            label = ", ".join(filter(None, (
                "ffgrant" if ours else tables.label(name.impl), _case(name),
                _threads(name) or "1 thread")))
            labelled.append((label, points, ours))
            data += [[label, f"p{100 * share:g}", f"{three_digits(value.value)} ns",
                      interval(value)] for share, value in points]
        title = f"{live:,} live executions" if live is not None else "Latency"
        name = f"latency-{live or 'all'}"
        svg, png = draw(name, lambda lines=labelled: line_figures.quantiles(
            lines, "nanoseconds a claim"), Caption(f"{section.title}, {title}", bench.note))
        first, points, _ = labelled[0]
        section.plots.append(Plot(
            name, title, f"Quantiles of the time of one claim. {first}: " + ", ".join(
                f"p{100 * share:g} {three_digits(value.value)} ns" for share, value in points)
            + ".", svg, png,
            Table(title, ["what", "quantile", "time", "interval, ns"], data, (0, 1))))
    return section


def subject_title(subject):
    return _SUBJECTS.get(subject, subject.replace("_", " ").capitalize())


def every_benchmark(bench):
    """The section with a table of all measurements."""
    section = Section("all", "Every benchmark", "All benchmarks")
    if not bench:
        section.missing.append(bench_missing("nothing was measured"))
        return section
    rows = []
    for subject, results in bench.subjects.items():
        for name, series in results.series.items():
            time = bench_results.series_estimate(series, "ns")
            speed = bench_results.series_estimate(series, "bytes_per_second")
            items = bench_results.series_estimate(series, "items_per_second")
            allocations = bench_results.series_estimate(series, "allocs_per_op")
            who = "ffgrant" if tables.is_ours(name.impl) else tables.label(name.impl)
            rows.append([
                benchmark_label(name), who, three_digits(time.value),
                interval(time), three_digits(speed.value / 1e9) if speed else "",
                tables.rate(items.value) if items else "",
                f"{allocations.value:g}" if allocations else "",
                subject_title(subject).partition(":")[0]])
    section.lead = [f"Medians of {sureness(bench.rounds)}. Time is CPU time where one thread "
                    "works by itself, else that of the clock."]
    section.tables.append(Table(
        f"{len(rows)} benchmarks", ["operation and case", "implementation", "ns", "interval, ns",
                                    "GB/s", "items/s", "allocations", "subject"], rows, (0, 1, 7),
        "benchmarks"))
    return section
