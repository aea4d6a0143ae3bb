# SPDX-License-Identifier: Apache-2.0
"""Makes the page's sections that say how many times as fast ffgrant is as baselines and peers."""

from jobs.common import tables
from jobs.page import bench_results, figures
from jobs.page.figures import Row, key
from jobs.page.parts import (
    Missing,
    Plot,
    Section,
    Table,
    bench_missing,
    claim_label,
    interval,
    subject_title,
    sureness,
    times,
)
from jobs.page.svg import Caption, draw

_MOST_ROWS = 40  # the most comparisons in a plot; longer plots are split


def _ratio_rows(comparisons):
    rows, data, heading = [], [], None
    for one in comparisons:
        label = claim_label(one.name)
        if label != heading:
            heading = label
            rows.append(Row(label))
        mark = "limit" if one.is_limit else one.verdict
        rows.append(Row(tables.label(one.baseline), one.times, mark, times(one.times.value)))
        data.append([label, tables.label(one.baseline), times(one.times.value),
                     interval(one.times), mark])
    return rows, data


def _parts(comparisons):
    """Yields (number of live executions, index of the part, comparisons) for each plot. A plot has
    comparisons of one number of live executions, at most _MOST_ROWS of them."""
    by_live = {}
    for one in comparisons:
        by_live.setdefault(one.name.live, []).append(one)
    for live, found in sorted(by_live.items(), key=lambda item: item[0] or 0):
        for start in range(0, len(found), _MOST_ROWS):
            yield live, start // _MOST_ROWS, found[start:start + _MOST_ROWS]


def _ratio_legend(bench):
    return [("ahead", "ahead: the whole interval is right of 1×"),
            ("behind", "behind: the whole interval is left of 1×"),
            ("undecided", "undecided: 1× is inside of the interval"
             if bench.rounds > 1 else "undecided: a single round has no interval"),
            ("limit", "limit: copies what no code can leave out, no rival")]


def _ratio_plots(bench, legend, against):
    for subject, results in bench.subjects.items():
        for live, part, found in _parts(bench_results.comparisons(results)):
            rows, data = _ratio_rows(found)
            name = f"ratios-{subject.replace('_', '-')}" + (f"-{live}" if live else "") \
                + (f"-{part + 1}" if part else "")
            title = subject_title(subject) + (f", {live:,} live" if live else "") \
                + (", continued" if part else "")
            judged = [one.verdict for one in found if not one.is_limit]
            svg, png = draw(name, lambda r=rows: figures.ratios(
                r, f"times as fast as the {against}"), Caption(title, bench.note, key(legend)))
            yield Plot(
                name, title, f"{len(judged)} ratios: " + ", ".join(
                    f"{word} in {judged.count(word)}" for word in ("ahead", "behind", "undecided")
                    if judged.count(word)) + ".", svg, png,
                Table(title, ["operation", against, "times as fast", "interval", "verdict"], data,
                      (0, 1, 4)))


def _fill_ratios(section, bench, against, lead):
    """Fills the section with plots. Returns whether there was anything to show."""
    legend = _ratio_legend(bench) if bench else []
    section.plots = list(_ratio_plots(bench, legend, against)) if bench else []
    if not section.plots:
        return False
    section.legend = legend
    section.lead = [
        f"{lead} 2× is half of the time or twice the claims. Ratios are taken within a round, "
        "where both sides met the same conditions. Right is better; the axis is logarithmic.",
        f"Dots are medians of {sureness(bench.rounds)}."]
    return True


def ratios(bench):
    """The section of ratios to plain baselines, by subject."""
    section = Section("ratios", "Beside plain baselines", "Baselines")
    if not _fill_ratios(section, bench, "baseline", "How many times as fast as a plain "
                        "implementation that does the same, in the same program."):
        section.missing.append(bench_missing("no ratios to baselines were measured"))
    return section


def peers(bench, document=None):
    """The section of ratios to other people's code. document: the last recorded peers.md."""
    section = Section("peers", "Beside the reference and other libraries", "Peers")
    if _fill_ratios(section, bench, "peer", "How many times as fast as the reference and libraries "
                    "that do the same, each used as it advises."):
        document = bench.document or document  # it says why a row is behind
    if document:
        section.documents.append(document)
    elif not section.plots:
        section.missing.append(Missing("nothing was measured beside other people's code",
                                       "./scripts/bench --peers"))
    return section
