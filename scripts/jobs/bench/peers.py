# SPDX-License-Identifier: Apache-2.0
"""Makes the report that sets core beside its peers: the table of the figures to reach, and the
table of all peers, with a sentence under each row that needs one."""

import re
import tomllib
from dataclasses import dataclass

from jobs.common import bars, build, gbench, intervals, machine, tables

SENTENCES = build.ROOT / "bench" / "peers" / "not_ahead.toml"
_REFERENCE = re.compile(r"Reference\w*")


@dataclass(frozen=True)
class Sentence:
    """Says why core is not ahead in the rows that all three regular expressions match. experiment:
    a peer in the same rows that does all that core does, and so shows that the sentence is right;
    empty if there is no such peer."""
    op: str
    peer: str
    case: str
    text: str
    experiment: str = ""

    def fits(self, name):
        return all(re.fullmatch(pattern, text) for pattern, text in
                   ((self.op, name.op), (self.peer, name.impl), (self.case, name.case)))


def read_sentences(text):
    return [Sentence(**entry) for entry in tomllib.loads(text).get("row", [])]


@dataclass(frozen=True)
class Row:
    """A peer in one case. ratio: the peer's time / core's time, as an Interval; above 1, core is
    ahead. experiment: the row of the sentence's experiment, if it was measured."""
    name: gbench.Name
    ratio: intervals.Interval
    sentence: str
    experiment: "Row | None" = None

    @property
    def is_limit(self):
        return self.name.impl in tables.LIMITS

    @property
    def is_ahead(self):
        """Whether core is ahead. That is so if the whole interval lies above 1 or, where there is
        no interval, the median does."""
        low = self.ratio.median if self.ratio.low is None else self.ratio.low
        return low > 1

    @property
    def remark(self):
        """The sentence under the row; empty if core is ahead, and under a limit."""
        if self.is_limit or self.is_ahead:
            return ""
        if self.ratio.median > 1:
            return "Undecided: core is ahead in the median, but the interval reaches below 1."
        if self.experiment:
            return (f"{self.sentence} Experiment: {tables.label(self.experiment.name.impl)}, "
                    f"{tables.three_digits(self.experiment.ratio.median)}x.")
        return self.sentence or "NOT AHEAD, and nothing says why"

    @property
    def is_behind(self):
        return not (self.is_limit or self.ratio.median > 1)

    @property
    def is_explained(self):
        """Whether the sentence's experiment was measured, and core is ahead of it in the median."""
        return self.experiment is not None and not self.experiment.is_behind


@dataclass(frozen=True)
class Group:
    """One operation in one case. below_limit: the labels of the implementations that are faster
    than the limit; if there are any, the limit is wrong."""
    ours: gbench.Name
    rows: tuple
    below_limit: tuple = ()

    @property
    def has_limit(self):
        return any(row.is_limit for row in self.rows)


def ratio(results, ours, other):
    """An Interval of other's time / ours, from the rounds; None if the two share no round."""
    mine, theirs = (results.series[name].per_round("ns") for name in (ours, other))
    shared = sorted(mine.keys() & theirs.keys())
    return intervals.of_median([theirs[n] / mine[n] for n in shared]) if shared else None


def _place(impl):
    """A sort key: the reference comes first, a limit comes last."""
    return (impl in tables.LIMITS, not _REFERENCE.fullmatch(impl), tables.label(impl).lower())


def groups(results, sentences):
    """A Group for each benchmark of ours, in the order of the results."""
    found = []
    for ours in results.series:
        if not tables.is_ours(ours.impl):
            continue
        others = sorted((name for name in results.series
                         if not tables.is_ours(name.impl)
                         and name._replace(impl=ours.impl) == ours),
                        key=lambda name: _place(name.impl))
        intervals_of = {name: interval for name in others
                        if (interval := ratio(results, ours, name))}
        rows = [_row(name, intervals_of, sentences) for name in intervals_of]
        found.append(Group(ours, tuple(rows), _below_limit(results, ours, rows)))
    return found


def _row(name, intervals_of, sentences):
    """The row of a peer. intervals_of: name -> Interval, for all peers of the group."""
    why = next((s for s in sentences if s.fits(name)), None)
    if why is None:
        return Row(name, intervals_of[name], "")
    shown_by = name._replace(impl=why.experiment)
    experiment = (Row(shown_by, intervals_of[shown_by], "") if shown_by in intervals_of else None)
    return Row(name, intervals_of[name], why.text, experiment)


def _below_limit(results, ours, rows):
    """The labels of our implementation and of peers that are faster than a limit in the same
    group. An implementation counts as faster only if the whole interval of the times' ratio says
    so or, where there is no interval, the median does."""
    found = []
    for limit in (row.name for row in rows if row.is_limit):
        for name in (ours, *(row.name for row in rows if not row.is_limit)):
            share = ratio(results, limit, name)
            if share and (share.median if share.high is None else share.high) < 1:
                found.append(f"{tables.label(name.impl)} ({tables.label(limit.impl)})")
    return tuple(found)


def _range(interval):
    if interval.low is None:
        return ""
    return f"{tables.three_digits(interval.low)}-{tables.three_digits(interval.high)}"


def _figures(results, name):
    series = results.series[name]
    time, allocations = series.stat("ns"), series.stat("allocs_per_op")
    return [tables.nanoseconds(time.median), tables.spread(time), tables.rate(1e9 / time.median),
            f"{allocations.median:.3g}" if allocations else ""]


def _heading(name):
    live = f"{name.live:,} live" if name.live is not None else ""
    case = "" if live else re.sub("[_:]", " ", name.case)
    threads = f"{name.threads} threads" if name.threads > 1 else ""
    what = {"ClaimPairs": "grants issued and claimed",
            "ClaimPairsBatched": "grants issued and claimed, many a call"}.get(name.op)
    return ", ".join(filter(None, (what or tables.words(name.op), case, live, threads)))


def peers_table(results, found):
    """The table of all groups; None if nothing was measured."""
    table = tables.Table(
        "Core beside its peers",
        "ns an operation: median of the rounds, +/- half of their range; last, how many times as "
        "fast core is: its peer's time / its own within a round, the median of the rounds and "
        "between what the true one lies with 95 % confidence; above 1 core is ahead; a limit only "
        "reads four bytes of each cache line of the text that the operation reads, copies them "
        "into a text that it writes, or, for a pair, copies its record twice; the reference's "
        "border and loop are a part of each time of the reference",
        ["", "ns", "+/-", "per second", "allocs", "core is", "95 %"])
    for group in found:
        table.rows.append([_heading(group.ours)])
        table.rows.append(["  ffgrant", *_figures(results, group.ours), "", ""])
        for row in group.rows:
            label = ("limit: " if row.is_limit else "") + tables.label(row.name.impl)
            table.rows.append([f"  {label}", *_figures(results, row.name),
                               f"{tables.three_digits(row.ratio.median)}x", _range(row.ratio)])
            if row.remark:
                table.rows.append(tables.Remark(row.remark))
    return table if table.rows else None


def bars_table(results):
    """The table that says how many times as fast as the reference core has to be, and is; None if
    the reference was not measured."""
    table = tables.Table("Figures to reach: times as fast as the reference", "",
                         ["", "core is", "95 %", "bar", ""], flush_left=(4,))
    measured = False
    for bar in bars.REFERENCE_BARS:
        ours = next((name for name in results.series
                     if (name.op, name.impl, name.case) == (bar.op, "Core", bar.case)), None)
        other = ours and ours._replace(impl=bar.reference)
        interval = ratio(results, ours, other) if other in results.series else None
        if interval is None:
            cells = ["not measured", "", f">= {bar.at_least:g}x", "-"]
        else:
            measured = True
            cells = [f"{tables.three_digits(interval.median)}x", _range(interval),
                     f">= {bar.at_least:g}x", bar.verdict(interval)]
        table.rows.append([bar.what, *cells])
    return table if measured else None


def problems(found):
    """Returns a list of texts that say what the report lacks or contradicts. Figures that are only
    bad are no problem here."""
    texts = [f"{_heading(group.ours)}: no limit beside it" for group in found
             if not group.has_limit]
    texts += [f"{_heading(group.ours)}: {label} is faster than its limit, which is none"
              for group in found for label in group.below_limit]
    texts += [f"{_heading(group.ours)}: not ahead of {tables.label(row.name.impl)}, and "
              f"bench/peers/{SENTENCES.name} does not say why"
              for group in found for row in group.rows if row.is_behind and not row.sentence]
    return texts


def without_experiment(found):
    """Returns (heading, peer's label) of each row in which core is behind, if the row has no
    experiment or core is behind the experiment too."""
    return [(_heading(group.ours), tables.label(row.name.impl))
            for group in found for row in group.rows if row.is_behind and not row.is_explained]


def _version(text):
    """The version that the library states, or else the version of the distribution's package."""
    package = re.fullmatch(r"package (\S+)", text)
    return machine.package_version(package[1]) if package else text


def facts(contexts, found):
    """Pairs (what, text): the versions of the peers, how some were compiled, the peers that were
    left out, and the rows of without_experiment()."""
    merged = {key: value for context in contexts for key, value in context.items()}
    versions, builds, left_out = [], [], []
    for key, value in merged.items():
        if key.startswith("version of "):
            versions.append(f"{key[len('version of '):]} {_version(value)}")
        elif key.startswith("build of "):
            builds.append((key, value))
        elif key.startswith("left out "):
            left_out.append(f"{key[len('left out '):]} ({value})")
    rows = [("peers", ", ".join(sorted(versions, key=str.lower))), *builds]
    if left_out:
        rows.append(("left out, since they are not here", ", ".join(sorted(left_out))))
    if unshown := without_experiment(found):
        rows.append(("behind, and no experiment shows that nothing can be gained",
                     "; ".join(f"{heading}: {label}" for heading, label in unshown)))
    return rows
