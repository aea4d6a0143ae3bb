# SPDX-License-Identifier: Apache-2.0
"""scripts/perf report makes one page, and its plots, from a folder of results and a history."""

import os
import re

from jobs.common.terminal import Terminal
from jobs.page import (
    addresses,
    bench_results,
    evidence,
    first,
    gate_part,
    history_part,
    options,
    parts,
    ratios,
    selftest_part,
    server_part,
    slower_part,
    template,
)
from jobs.page.template import Page
from jobs.perf import history_files, home

_PAGE = "report.html"
_PLOTS = "plots"
_OURS = re.compile(
    r"(?:claims|latency|server|ratios|gate|selftest|history|mutants|coverage)(?:-[\w-]+)?\.png")


def _method(bench):
    section = parts.Section("method", "How it was measured", "Method")
    section.lead = [
        "Benchmarks run in rounds; a round is one process of each program, every other round in "
        "the opposite order. Repetitions in a process are not independent and count as one, by "
        "their median. A benchmark checks its results against a plain implementation before it is "
        "timed. Absolute times are never compared between machines."]
    if bench:
        section.sources = [(what, text) for what, text in bench.facts.items()]
        if not section.sources:
            section.sources = [("date", bench.date)]
    else:
        section.missing.append(parts.bench_missing("no run of the benchmarks"))
    return section


_OWN_LEAD = ("ffgrant parses, writes and claims FlowFabric’s claim grants. This page holds the "
             "figures behind what it says of itself: speed beside baselines, change over time, and "
             "what the tests are worth.")


def _default_history(source):
    if (source / "history").is_dir():
        return source / "history"
    return history_files.ROOT if source == options.RESULTS.resolve() else source / "history"


def _own_sections(source, bench, documents):
    """Two lists of sections that only this project's results have: those that come before the
    gate's section, and those that come last. gather() adds the section of the selftest."""
    latest = source / "latest"
    peers = (bench_results.read_bench(latest, "peers")
             or bench_results.read_bench(source, "peers"))
    shown = {"claims.md", "coverage.md", "mutants.md", "peers.md", "perf-selftest.md",
             *(["bench.md"] if bench else [])}
    return [
        parts.goals(bench),
        parts.claims(bench),
        parts.latency(bench),
        server_part.server(server_part.read_runs(latest, source),
                           documents.get("claims.md")),
        ratios.ratios(bench),
        ratios.peers(peers, documents.get("peers.md")),
    ], [
        evidence.mutants(documents.get("mutants.md")),
        evidence.coverage(documents.get("coverage.md")),
        evidence.as_they_are(documents, shown),
        parts.every_benchmark(bench),
        _method(bench),
    ]


def gather(source, out, history=None, project=None, repository=None):
    """The Page of a folder of results and of a history. Without `history` it is the folder's own
    history, or the branch's if `source` is results/ and has none."""
    latest = source / "latest"
    history = _default_history(source) if history is None else history
    repository = addresses.known(source) if repository is None else repository.rstrip("/")
    gate = gate_part.read_answer("time", latest, source)
    counts = gate_part.read_answer("counts", latest, source)
    lines = history_part.read_lines(history)
    page = Page("", [], [], [], [
        gate_part.gate(gate),
        gate_part.instructions(counts),
        history_part.history(lines, history, repository)], _PLOTS)
    page.slower = slower_part.slower(gate, counts, lines, repository)
    page.project = project or repository.rpartition("/")[2] or source.name
    page.made_by = f"{home.COMMAND} report"
    if not home.IN_TREE:
        return page
    bench = bench_results.read_bench(latest) or bench_results.read_bench(source)
    documents = evidence.read_documents(source)
    before, after = _own_sections(source, bench, documents)
    page.sections[2:2] = [selftest_part.selftest(documents.get("perf-selftest.md"))]
    page.sections = [*before, *page.sections, *after]
    # Only files below the page's folder get links: other links would break if the folder is moved.
    page.links = {document.path: document.path.relative_to(out).as_posix()
                  for document in documents.values() if document.path.is_relative_to(out)}
    page.when, page.facts = first.when(bench), first.facts(bench, documents)
    page.figures = first.figures(bench, gate, documents)
    page.warnings = first.warnings(bench, documents)
    page.project, page.lead = project or "ffgrant", _OWN_LEAD
    return page


def write(page, out):
    """Writes the page and its plots; removes plots of an earlier page that this page does not
    have. Returns the number of plots."""
    folder = out / _PLOTS
    folder.mkdir(parents=True, exist_ok=True)
    plots = {f"{plot.name}.png": plot.png for section in page.sections for plot in section.plots
             if plot.png}
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in plots:
            path.unlink()
    for name, png in plots.items():
        (folder / name).write_bytes(png)
    (out / _PAGE).write_text(template.render(page), encoding="utf-8")
    return len(plots)


def main(argv):
    arguments = options.parse(argv)
    source, out = arguments.source.resolve(), arguments.out.resolve()
    if not source.is_dir():
        raise bench_results.ReportError(f"--from {arguments.source}: no such folder")
    terminal = Terminal()
    terminal.progress("drawing")
    page = gather(source, out, arguments.history, arguments.project, arguments.repository)
    missing = [missing for section in page.sections for missing in section.missing]
    # A section with nothing to show is left out, and so are the first figures that link to it.
    page.sections = [section for section in page.sections
                     if section.has_data or (section.sources and not section.missing)]
    shown = {section.identifier for section in page.sections}
    page.figures = [figure for figure in page.figures if figure.link in shown]
    count = write(page, out)
    for one in missing:
        terminal.line(f"missing: {one.what}; {one.command} makes it")
    terminal.line(f"written: {os.path.relpath(out / _PAGE)} and {count} plots")
    return 0
