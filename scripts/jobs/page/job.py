# SPDX-License-Identifier: Apache-2.0
"""scripts/perf report: one page and its plots of what results/ holds."""

import argparse
import os
import re
from pathlib import Path

from jobs.common import build
from jobs.common.terminal import Terminal
from jobs.page import (bench_results, evidence, first, gate_part, history_part, parts, ratios,
                       selftest_part, server_part, template)
from jobs.page.template import Page
from jobs.perf import history_files

RESULTS = build.results_directory()
_PAGE = "report.html"
_PLOTS = "plots"
_OURS = re.compile(
    r"(?:claims|latency|server|ratios|gate|selftest|history|mutants|coverage)(?:-[\w-]+)?\.png")


def _arguments(argv):
    parser = argparse.ArgumentParser(
        prog="scripts/perf report",
        description="Writes report.html, which needs no other file and no network, and its plots "
                    "as plots/*.png, from what is there: JSON of Google Benchmark, of the gate and "
                    "of counts (*.json in DIR/latest and DIR), the history, and the tables of "
                    "DIR/*.md. What is missing is named with the command that makes it.",
        epilog="Exit status: 0 written; 2 wrong usage, or a file that can't be read.")
    parser.add_argument("--from", dest="source", metavar="DIR", type=Path, default=RESULTS,
                        help="folder to read (results)")
    parser.add_argument("--history", metavar="DIR", type=Path,
                        help="(DIR/history, or build/perf/history: the branch perf-history)")
    parser.add_argument("--out", metavar="DIR", type=Path, default=RESULTS,
                        help="folder to write to (results)")
    return parser.parse_args(argv)


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


def gather(source, out, history=None):
    """The Page of a folder of results, and of a history (the folder's own, or the branch's)."""
    if history is None:
        history = source / "history"
        if not history.is_dir() and source == RESULTS:
            history = history_files.ROOT
    latest = source / "latest"
    bench = bench_results.read_bench(latest) or bench_results.read_bench(source)
    peers = (bench_results.read_bench(latest, "peers")
             or bench_results.read_bench(source, "peers"))
    gate = gate_part.read_answer("time", latest, source)
    counts = gate_part.read_answer("counts", latest, source)
    documents = evidence.read_documents(source)
    lines = history_part.read_lines(history)
    shown = {"claims.md", "coverage.md", "mutants.md", "peers.md", "perf-selftest.md",
             *(["bench.md"] if bench else [])}
    sections = [
        parts.goals(bench),
        parts.claims(bench),
        parts.latency(bench),
        server_part.server(server_part.read_runs(latest, source),
                           documents.get("claims.md")),
        ratios.ratios(bench),
        ratios.peers(peers, documents.get("peers.md")),
        gate_part.gate(gate),
        gate_part.instructions(counts),
        selftest_part.selftest(documents.get("perf-selftest.md")),
        history_part.history(lines, history),
        evidence.mutants(documents.get("mutants.md")),
        evidence.coverage(documents.get("coverage.md")),
        evidence.recorded(documents, shown),
        parts.every_benchmark(bench),
        _method(bench),
    ]
    # A page that is taken elsewhere keeps what is below its folder, and nothing else.
    links = {document.path: document.path.relative_to(out).as_posix()
             for document in documents.values() if document.path.is_relative_to(out)}
    return Page(first.when(bench), first.figures(bench, gate, documents),
                first.facts(bench, documents),
                first.warnings(bench, documents), sections, _PLOTS, links)


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
    (out / _PAGE).write_text(template.render(page), encoding="utf-8")
    return len(plots)


def main(argv):
    arguments = _arguments(argv)
    source, out = arguments.source.resolve(), arguments.out.resolve()
    if not source.is_dir():
        raise bench_results.ReportError(f"--from {arguments.source}: no such folder")
    terminal = Terminal()
    terminal.progress("drawing")
    page = gather(source, out, arguments.history)
    count = write(page, out)
    missing = [missing for section in page.sections for missing in section.missing]
    for one in missing:
        terminal.line(f"missing: {one.what}; {one.command} makes it")
    terminal.line(f"written: {os.path.relpath(out / _PAGE)} and {count} plots")
    return 0
