# SPDX-License-Identifier: Apache-2.0
"""Reads the JSON files that a run of scripts/bench left, and computes intervals.

An interval here is distribution-free: its bounds are order statistics of the rounds (processes),
and its chance to hold the median is exact. With few rounds 95 % can't be reached. Then the interval
is the range of the rounds, and it says its chance: 93.75 % for 5 rounds, 75 % for 3.
"""

import json
import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.common import gbench, intervals, tables
from jobs.page import recorded
from jobs.page.recorded import ReportError
from jobs.perf import home

CONFIDENCE = intervals.CONFIDENCE  # if there are enough rounds
_FILE = re.compile(r"(?P<subject>.+?)(?:\.round(?P<round>\d+))?\.json")
_QUANTILE = re.compile(r"p(\d+)_ns")
_ANSWERS = ("gate", "counts")  # names of files with an answer of scripts/perf


@dataclass(frozen=True)
class Estimate:
    """A median, or a share in percent, with an interval. confidence is the chance that the interval
    holds the true value."""
    value: float
    low: float
    high: float
    confidence: float
    count: int  # the number of independent measurements


def estimate(values):
    """The median of independent measurements and its interval; None if there are no
    measurements."""
    values = sorted(values)
    count = len(values)
    if not count:
        return None
    # As many values are cut off at each end as CONFIDENCE allows. With rank 1 no value is cut off,
    # and the interval is the range.
    rank = max(1, intervals.median_rank(count, (1 - CONFIDENCE) / 2))
    return Estimate(statistics.median(values), values[rank - 1], values[count - rank],
                    intervals.confidence_of(count, rank), count)


@dataclass(frozen=True)
class Comparison:
    """One of our benchmarks beside a baseline in the same case. times: how many times as fast our
    benchmark is as the baseline."""
    name: gbench.Name  # ours
    baseline: str  # implementation
    times: Estimate

    @property
    def is_limit(self):
        return self.baseline in tables.LIMITS

    @property
    def verdict(self):
        """"ahead", "behind", or "undecided" if the interval holds 1 or a single round gives no
        interval."""
        if self.times.count < 2:
            return "undecided"
        if self.times.low > 1:
            return "ahead"
        return "behind" if self.times.high < 1 else "undecided"


@dataclass
class Bench:
    """One run of scripts/bench, or of any program that writes Google Benchmark's JSON."""
    subjects: dict = field(default_factory=dict)  # name of the program -> gbench.Results
    together: gbench.Results = field(default_factory=gbench.Results)
    rounds: int = 0
    contexts: list = field(default_factory=list)
    document: Any = None  # the job's own summary: a recorded.Document

    @property
    def facts(self):
        """The facts of the run's own summary: date, command, revision, CPU, ..."""
        return self.document.facts if self.document else {}

    @property
    def note(self):
        """A line that says when, on which machine and of which revision the run was."""
        return ", ".join(filter(None, (self.date, self.facts.get("CPU"),
                                       self.facts.get("revision"))))

    @property
    def date(self):
        return self.facts.get("date") or min(
            (context.get("date", "") for context in self.contexts), default="")


def read_documents(directory):
    """[(path, parsed JSON)] of the files of a folder; empty if there is no such folder. In another
    project's folder, a file that is no JSON is ignored unless it has the name of an answer."""
    found = []
    for path in sorted(Path(directory).glob("*.json")):
        try:
            found.append((path, json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError) as error:
            if home.IN_TREE or path.stem in _ANSWERS:
                raise ReportError(f"{path}: {error}") from None
    return found


def is_benchmark(document):
    """Whether a document is what Google Benchmark wrote, and not the merged document in which
    scripts/bench repeats the figures of several such documents. Other tools, too, may leave JSON
    files beside such documents."""
    return (isinstance(document, dict) and isinstance(document.get("context"), dict)
            and "merged_from" not in document["context"]
            and isinstance(document.get("benchmarks"), list))


def _suite_of(document):
    """"peers" for build/bench/bench/peers/x_benchmark, else "". Programs of the two suites may have
    benchmarks of one name, and these must not be mixed."""
    folder = Path(document["context"].get("executable", "")).parent.name
    return folder if folder in _REPORTS else ""


# The summaries that scripts/bench writes beside its JSON, by suite.
_REPORTS = {"": "summary.md", "peers": "peers.md"}


def read_bench(directory, suite=""):
    """The run of a suite, "" or "peers", whose files are in a directory; None if there is no
    run."""
    bench = Bench()
    for path, document in read_documents(directory):
        if not is_benchmark(document) or _suite_of(document) != suite:
            continue
        match = _FILE.fullmatch(path.name)
        assert match, path  # every name that ends in .json fits
        number = int(match["round"] or 1)
        bench.rounds = max(bench.rounds, number)
        bench.contexts.append(document["context"])
        results = bench.subjects.setdefault(match["subject"], gbench.Results())
        try:
            results.add(document, number)
            bench.together.add(document, number)
        except (KeyError, TypeError, ValueError) as error:
            raise ReportError(f"{path}: a benchmark is not as expected: {error!r}") from None
    if not bench.contexts:
        return None
    report = Path(directory) / _REPORTS[suite]
    if report.exists():
        bench.document = recorded.read(report)
    return bench


def series_estimate(series, metric):
    """The Estimate over the rounds. With a single round both bounds are its value, and confidence
    is 0."""
    return estimate(series.per_round(metric).values())


def _times(ours, baseline, metric):
    mine, theirs = ours.per_round(metric), baseline.per_round(metric)
    if metric == "ns":  # a longer time is a slower one
        mine, theirs = theirs, mine
    return estimate([mine[number] / theirs[number] for number in sorted(mine.keys() & theirs.keys())
                     if theirs[number] > 0 and mine[number] > 0])


def metric_of(name, series):
    """The metric that is compared: claims per second if these were measured, else time."""
    counts = name.live is not None and series.per_round("items_per_second")
    return "items_per_second" if counts else "ns"


def quantiles(series):
    """[(share, Estimate of ns)] of the counters p50_ns, p99_ns, p999_ns, ..., in this order."""
    found = []
    for metric in series.metrics:
        match = _QUANTILE.fullmatch(metric)
        if match:
            digits = match[1]
            # The first two digits are percents (p50, p99), and further digits are decimals: p999 is
            # 99.9 %.
            found.append((int(digits) / 10 ** len(digits), series_estimate(series, metric)))
    return sorted(found)


def comparisons(results):
    """A Comparison for each benchmark of ours with each baseline of the same operation, case and
    threads. Benchmarks that have quantiles are left out."""
    made = []
    for name, series in results.series.items():
        if not tables.is_ours(name.impl) or quantiles(series):
            continue
        metric, found = metric_of(name, series), []
        for other, baseline in results.series.items():
            if ((other.op, other.case, other.threads) == (name.op, name.case, name.threads)
                    and not tables.is_ours(other.impl)):
                times = _times(series, baseline, metric)
                if times:
                    found.append(Comparison(name, other.impl, times))
        # The reference comes first, limits come last.
        made += sorted(found, key=lambda one: (one.is_limit,
                                               not one.baseline.startswith("Reference")))
    return made
