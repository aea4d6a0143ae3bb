# SPDX-License-Identifier: Apache-2.0
"""scripts/perf report: one page and its plots of what results/ holds."""

import argparse
import os
import re
from pathlib import Path

from jobs import (build, perf_report_data, perf_report_evidence, perf_report_first,
                  perf_report_gate, perf_report_history, perf_report_page, perf_report_ratios,
                  perf_report_sections, perf_report_selftest, perf_report_server)
from jobs.perf_report_page import Page
from jobs.terminal import Terminal

RESULTS = build.ROOT / "results"
_PAGE = "report.html"
_PLOTS = "plots"
_OURS = re.compile(
    r"(?:claims|latency|server|ratios|gate|selftest|history|mutants|coverage)(?:-[\w-]+)?\.png")


def _arguments(argv):
    parser = argparse.ArgumentParser(
        prog="scripts/perf report",
        description="Writes report.html, which needs no other file and no network, and its plots "
                    "as plots/*.png, from what is there: JSON of Google Benchmark, of the gate and "
                    "of counts (*.json in DIR/latest and DIR), DIR/history, and the tables of "
                    "DIR/*.md. What is missing is named with the command that makes it.",
        epilog="Exit status: 0 written; 2 wrong usage, or a file that can't be read.")
    parser.add_argument("--from", dest="source", metavar="DIR", type=Path, default=RESULTS,
                        help="folder to read (results)")
    parser.add_argument("--out", metavar="DIR", type=Path, default=RESULTS,
                        help="folder to write to (results)")
    return parser.parse_args(argv)


def _method(bench):
    section = perf_report_sections.Section("method", "How it was measured", "Method")
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
        section.missing.append(perf_report_sections.bench_missing("no run of the benchmarks"))
    return section


def gather(source, out):
    """The Page of a folder of results."""
    latest = source / "latest"
    bench = perf_report_data.read_bench(latest) or perf_report_data.read_bench(source)
    peers = (perf_report_data.read_bench(latest, "peers")
             or perf_report_data.read_bench(source, "peers"))
    gate = perf_report_gate.read_answer("time", latest, source)
    counts = perf_report_gate.read_answer("counts", latest, source)
    documents = perf_report_evidence.read_documents(source)
    lines = perf_report_history.read_lines(source / "history")
    shown = {"claims.md", "coverage.md", "mutants.md", "peers.md", "perf-selftest.md",
             *(["bench.md"] if bench else [])}
    sections = [
        perf_report_sections.goals(bench),
        perf_report_sections.claims(bench),
        perf_report_sections.latency(bench),
        perf_report_server.server(perf_report_server.read_runs(latest, source),
                                  documents.get("claims.md")),
        perf_report_ratios.ratios(bench),
        perf_report_ratios.peers(peers, documents.get("peers.md")),
        perf_report_gate.gate(gate),
        perf_report_gate.instructions(counts),
        perf_report_selftest.selftest(documents.get("perf-selftest.md")),
        perf_report_history.history(lines),
        perf_report_evidence.mutants(documents.get("mutants.md")),
        perf_report_evidence.coverage(documents.get("coverage.md")),
        perf_report_evidence.recorded(documents, shown),
        perf_report_sections.every_benchmark(bench),
        _method(bench),
    ]
    # A page that is taken elsewhere keeps what is below its folder, and nothing else.
    links = {document.path: document.path.relative_to(out).as_posix()
             for document in documents.values() if document.path.is_relative_to(out)}
    return Page(perf_report_first.when(bench), perf_report_first.figures(bench, gate, documents),
                perf_report_first.facts(bench, documents),
                perf_report_first.warnings(bench, documents), sections, _PLOTS, links)


def write(page, out):
    """Writes page and plots; takes away plots of an earlier page that this one lacks."""
    folder = out / _PLOTS
    folder.mkdir(parents=True, exist_ok=True)
    plots = {f"{plot.name}.png": plot.png for section in page.sections for plot in section.plots}
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in plots:
            path.unlink()
    for name, png in plots.items():
        (folder / name).write_bytes(png)
    (out / _PAGE).write_text(perf_report_page.render(page), encoding="utf-8")
    return len(plots)


def main(argv):
    arguments = _arguments(argv)
    source, out = arguments.source.resolve(), arguments.out.resolve()
    if not source.is_dir():
        raise perf_report_data.ReportError(f"--from {arguments.source}: no such folder")
    terminal = Terminal()
    terminal.progress("drawing")
    page = gather(source, out)
    count = write(page, out)
    missing = [missing for section in page.sections for missing in section.missing]
    for one in missing:
        terminal.line(f"missing: {one.what}; {one.command} makes it")
    terminal.line(f"written: {os.path.relpath(out / _PAGE)} and {count} plots")
    return 0
