# SPDX-License-Identifier: Apache-2.0
"""Makes the page's sections from recorded results: mutants, coverage, and files as they are."""

from dataclasses import replace

from scipy import stats

from jobs.page import bench_results, figures, markdown, recorded
from jobs.page.parts import Missing, Plot, Section, Table
from jobs.page.svg import Caption, draw

_MUTANTS = ("killed in 10 s", "later", "survived", "equivalent")
_KINDS = (("killed in 10 s", "blue", None), ("killed later", "sky", None),
          ("survived", "orange", "////"), ("equivalent", "grid", None))
_COVERAGE = (("lines", "lines"), ("branches", "sides of branches"),
             ("MC/DC", "conditions by themselves (MC/DC)"))
# Name of a file -> (what it holds, the command that makes it), to name the files that are missing.
COMMANDS = {
    "bench.md": ("the last recorded run of the benchmarks", "./scripts/bench"),
    "fuzz.md": ("how long the fuzz targets ran, and what they found",
                "./scripts/fuzz --all --markdown results/fuzz.md"),
    "coverage.md": ("coverage of core", "./scripts/coverage"),
    "mutants.md": ("the grading of the fuzz targets", "./scripts/mutants"),
}


def read_documents(directory):
    """name of the Markdown -> recorded.Document, for the results that are there."""
    return {path.name: recorded.read(path) for path in sorted(directory.glob("*.md"))}


def note(document):
    """A line that says when and of which revision a document is."""
    return ", ".join(filter(None, (document.date, document.facts.get("revision"))))


def share_estimate(count, total):
    """A share of a sample with Wilson's interval of 95 %, in percent."""
    found = stats.binomtest(count, total).proportion_ci(bench_results.CONFIDENCE, "wilson")
    return bench_results.Estimate(100 * count / total, 100 * found.low, 100 * found.high,
                                  bench_results.CONFIDENCE, total)


def mutant_counts(document):
    """{"killed in 10 s": ..., ...} of all mutants; None without a document."""
    if not document:
        return None
    total = next(row for row in document.figure("operators") if row["operator"] == "all")
    return {kind: total[kind] for kind in _MUTANTS}


def mutants(document):
    section = Section("mutants", "Faults found: mutants", "Mutants")
    counts = mutant_counts(document)
    if not counts:
        section.missing.append(Missing(
            "no grading of the fuzz targets is recorded", "./scripts/mutants"))
        return section
    killable = sum(counts.values()) - counts["equivalent"]
    score = share_estimate(counts["killed in 10 s"], killable)
    section.lead = [
        "Small faults were put into core, one at a time and drawn by lot; then the fuzz targets "
        "looked for each from an empty corpus. What they miss is what no target checks.",
        f"Killed in 10 s: {counts['killed in 10 s']} of {killable}, {score.value:.1f} % "
        f"({score.low:.1f} – {score.high:.1f} %, Wilson's interval of 95 % for a sample)."]
    table = document.table("By operator")
    rows = [(row["operator"], [row[kind] for kind in _MUTANTS],
             f"{sum(row[kind] for kind in _MUTANTS)}")
            for row in document.figure("operators") if row["operator"] != "all"]
    section.legend = [(f"bar-{colour}", name) for name, colour, _ in _KINDS]
    title = "What became of mutants, by operator"
    svg, png = draw("mutants-by-operator", lambda: figures.stacks(
        rows, _KINDS, "mutants (number at the right: all)"),
        Caption(title, note(document), figures.key(section.legend)))
    section.plots.append(Plot(
        "mutants-by-operator", title,
        f"{counts['killed in 10 s']} killed in 10 s, {counts['later']} later, "
        f"{counts['survived']} survived, {counts['equivalent']} behave as the original.", svg, png,
        Table("By operator", [markdown.plain(column) for column in table.columns],
              [[markdown.plain(cell) for cell in row] for row in table.rows])))
    section.documents.append(document)
    return section


def coverage_totals(document):
    """[(kind, run, percent, number of places)] of all files; empty without a document."""
    if not document:
        return []
    return [(total["of"], total["by"], total["percent"], total["places"])
            for total in document.figure("totals") if total["places"]]


def coverage(document):
    section = Section("coverage", "Coverage of core", "Coverage")
    totals = coverage_totals(document)
    if not totals:
        section.missing.append(Missing("no coverage is recorded", "./scripts/coverage"))
        return section
    section.lead = [
        "What of core the tests execute, and what the fuzz corpora do by replay alone. Executed is "
        "not checked: what the checks are worth, the mutants say."]
    names = {"tests": "tests", "corpora": "fuzz corpora", "both": "both together"}
    rows, data = [], []
    for kind, words in _COVERAGE:
        found = [entry for entry in totals if entry[0] == kind]
        if found:
            rows.append((f"{words}: {found[0][3]:,}", None, "", False))
        for _, run, percent, _ in found:
            rows.append((names.get(run, run), percent, f"{percent:g} %", run == "both"))
            data.append([words, names.get(run, run), f"{percent:g} %"])
    svg, png = draw("coverage-by-run", lambda: figures.shares(rows, "covered"),
                    Caption(section.title, note(document)))
    best = [f"{kind} {percent:g} %" for kind, run, percent, _ in totals if run == "both"]
    section.plots.append(Plot("coverage-by-run", "Covered by tests and by fuzz corpora",
                              f"Tests and corpora together: {', '.join(best)}.", svg, png,
                              Table("Coverage of core", ["of", "by", "covered"], data, (0, 1))))
    section.documents.append(replace(document, tables=[]))  # its tables have a row for each file
    return section


def as_they_are(documents, shown):
    """The section for files of results/ whose tables are shown as they are. shown: names of the
    files that other sections show."""
    section = Section("recorded", "Other recorded results", "Recorded tables")
    section.lead = ["Tables as they stand in the files beside this page, each with the command "
                    "that made it."]
    for name, (what, command) in COMMANDS.items():
        if name not in documents and name not in shown:
            section.missing.append(Missing(f"{what} ({name})", command))
    section.documents = [document for name, document in documents.items() if name not in shown]
    return section
