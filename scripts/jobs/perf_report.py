# SPDX-License-Identifier: Apache-2.0
"""scripts/perf report: one page and its plots of what results/ holds."""

import argparse
import os
import re
from pathlib import Path

from jobs import (build, gbench, perf_report_data, perf_report_evidence, perf_report_gate,
                  perf_report_history, perf_report_page, perf_report_sections,
                  perf_report_selftest)
from jobs.perf_report_page import Figure, Page
from jobs.perf_report_sections import interval, three_digits, times
from jobs.tables import rate
from jobs.terminal import Terminal

RESULTS = build.ROOT / "results"
_PAGE = "report.html"
_PLOTS = "plots"
_OURS = re.compile(r"(?:claims|latency|ratios|gate|selftest|history|mutants|coverage)(?:-[\w-]+)?\.png")
_USAGE = """usage: scripts/perf report [--from DIR] [--out DIR]

Writes report.html, which needs no other file and no network, and its plots as
plots/*.png, from what is there: Google Benchmark's JSON and that of the gate
(*.json in DIR/latest and DIR), DIR/history, mutants.md, coverage.md and other
results. What is missing is named with the command that makes it.

  --from DIR  folder to read (results)
  --out DIR   folder to write to (results)

Exit status: 0 written; 2 wrong usage, or a file that can't be read.
"""


def _arguments(argv):
    parser = argparse.ArgumentParser(prog="scripts/perf report", usage=_USAGE[len("usage: "):],
                                     add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--from", dest="source", type=Path, default=RESULTS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args(argv)


def _find(bench, op, case, impl):
    name = gbench.Name(op, impl, case, 1)
    return name, bench.together.series.get(name)


def _missing(what, command, link):
    return Figure(what, "not measured", "", f"{command} measures it", link, missing=True)


def _claims_figure(bench):
    what = "Claims a second, issue + claim, one thread, 1,000 live"
    _, series = _find(bench, "ClaimPairs", "live:1000", "Ledger") if bench else (None, None)
    found = series and perf_report_data.series_estimate(series, "items_per_second")
    if not found:
        return _missing(what, "./scripts/bench", "claims")
    value, _, unit = rate(found.value).partition(" ")
    return Figure(what, value, f"{unit}/s".strip(), _sure(found, rate), "claims")


def _sure(found, shown=three_digits):
    if found.count < 2:
        return "one round: no interval"
    return (f"{interval(found, shown)} ({100 * found.confidence:.0f} % interval, "
            f"{found.count} rounds)")


def _parse_figure(bench):
    what = "To parse a grant, canonical JSON"
    name, series = _find(bench, "ParseGrant", "canonical", "Core") if bench else (None, None)
    if series is None:
        return _missing(what, "./scripts/bench", "ratios")
    found = perf_report_data.series_estimate(series, "ns")
    best = min((one for one in perf_report_data.comparisons(bench.together)
                if one.name == name and not one.is_limit), default=None,
               key=lambda one: one.times.value)
    text = _sure(found)
    if best:
        text += (f"; {times(best.times.value)} as fast as "
                 f"{perf_report_sections.tables.label(best.baseline)}")
        text += f" ({interval(best.times)})" if best.times.count > 1 else ""
    return Figure(what, three_digits(found.value), "ns", text, "ratios",
                  None if best is None else {"ahead": True, "behind": False}.get(best.verdict))


def _mutants_figure(document):
    what = "Mutants of core killed in 10 s of fuzzing"
    counts = perf_report_evidence.mutant_counts(document)
    if not counts:
        return _missing(what, "./scripts/mutants", "mutants")
    killable = sum(counts.values()) - counts["equivalent"]
    found = perf_report_evidence.share_estimate(counts["killed in 10 s"], killable)
    return Figure(what, f"{found.value:.1f}", "%",
                  f"{found.low:.1f} – {found.high:.1f} % (95 % interval), {counts['survived']} of "
                  f"{killable} survived", "mutants")


def _selftest_figure(document):
    """The least of the conditions at 5 %, the slowdown that the gate promises to find."""
    measured = [share for _, slower, memory, share in perf_report_selftest.power(document)
                if slower == 5 and memory == "in cache"]
    if not measured:
        return None
    worst = min(measured, key=lambda share: share.value)
    alarms = perf_report_selftest.false_alarms(document)
    text = f"{worst.low:g} – {worst.high:g} % (95 % interval), in the worse condition"
    if alarms:
        text += f"; false alarms: {alarms[0]:,} in {alarms[1]:,} verdicts"
    return Figure("Slowdowns of 5 % that the gate finds", f"{worst.value:g}", "%", text, "selftest")


def _gate_figure(document):
    if not document or not document["benchmarks"]:
        return None
    entries = document["benchmarks"]
    counts = perf_report_gate.counts(entries)
    slower = counts.get("regressed", 0)
    margin = max(100 * ((entry["margin"] or 1) - 1) for entry in entries)
    unsure = counts.get("inconclusive", 0) + counts.get("invalid", 0)
    return Figure(f"Benchmarks slower than {document.get('base')}", f"{slower}",
                  f"of {len(entries)}",
                  f"{unsure or 'none'} undecided; margins up to {margin:.1f} %, "
                  f"{min(entry['pairs'] for entry in entries)} to "
                  f"{max(entry['pairs'] for entry in entries)} process pairs", "gate",
                  False if slower else None if unsure else True)


def _coverage_figure(document):
    what = "Coverage of core by tests and corpora"
    both = {kind: percent for kind, run, percent, _ in
            perf_report_evidence.coverage_totals(document) if run == "both"}
    if not both:
        return _missing(what, "./scripts/coverage", "coverage")
    kind = min(both, key=both.get)
    return Figure(what, f"{both[kind]:g}", "%", "the least of " + ", ".join(
        f"{kind} {percent:g} %" for kind, percent in both.items()) + "; counted, not sampled",
        "coverage")


def _when(bench):
    """When and on what the benchmarks ran, in a line."""
    if not bench:
        return ""
    facts = bench.facts
    return "".join((f"Benchmarks: {bench.date}", f" on {facts['CPU']}" if "CPU" in facts else "",
                    f", revision {facts['revision']}" if "revision" in facts else "",
                    f", by {facts['command']}" if "command" in facts else ""))


def _facts(bench, documents):
    """What stands first about machine, dates, revisions and commands."""
    facts = dict(bench.facts) if bench else {}
    revision = facts.get("revision")
    rows = [("machine", [facts["CPU"]] if "CPU" in facts else [])]
    rows[0][1].extend(filter(None, (facts.get("system"),)))
    if not rows[0][1]:
        rows = []
    measured = [f"benchmarks: {bench.date}" + (f", revision {revision}" if revision else "")] \
        if bench else []
    for name, document in documents.items():
        when = document.date
        if when and not (bench and name == "bench.md"):
            of = document.facts.get("revision")
            measured.append(f"{name}: {when}" + (f", revision {of}" if of else ""))
    if measured:
        rows.append(("measured", measured))
    commands = ([facts["command"]] if "command" in facts else []) + [
        document.facts["command"] for name, document in documents.items()
        if "command" in document.facts and not (bench and name == "bench.md")]
    commands.append("`./scripts/perf report` (this page)")
    rows.append(("commands", list(dict.fromkeys(commands))))
    if "compiler" in facts:
        rows.append(("compiler", [f"{facts['compiler']}, {facts.get('flags', '')}".rstrip(", ")]))
    return rows


def _warnings(bench, documents):
    """What a reader has to know before any figure."""
    if not bench and "bench.md" in documents:
        return ["Plots of the benchmarks need the JSON of a run, which is not in the repository: "
                "`./scripts/bench` and then `./scripts/perf report`. The last recorded run is "
                "[among the recorded tables](#recorded)."]
    if not bench:
        return []
    found = []
    if bench.rounds < 5:
        found.append(f"The benchmarks ran {bench.rounds} round{'s' if bench.rounds > 1 else ''}: "
                     "too few for an interval that says much. `./scripts/bench` runs five.")
    loads = [context["load_avg"][0] for context in bench.contexts if context.get("load_avg")]
    cores = max((context.get("num_cpus", 0) for context in bench.contexts), default=0)
    if loads and cores and max(loads) > cores:
        found.append(f"The machine was busy with other work: load up to {max(loads):.1f} on "
                     f"{cores} cores when a run began. Times are too long and intervals wide; "
                     "ratios suffer less.")
    if "uncommitted" in bench.facts.get("revision", ""):
        found.append("The benchmarks ran with changes that are in no commit.")
    found += [f"A benchmark failed: {text}" for text in bench.together.errors]
    return found


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
    shown = {"coverage.md", "mutants.md", "peers.md", "perf-selftest.md"} | ({"bench.md"} if bench else set())
    sections = [
        perf_report_sections.goals(bench),
        perf_report_sections.claims(bench),
        perf_report_sections.latency(bench),
        perf_report_sections.ratios(bench),
        perf_report_sections.peers(peers, documents.get("peers.md")),
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
    figures = [_claims_figure(bench), _parse_figure(bench),
               _selftest_figure(documents.get("perf-selftest.md")) or _gate_figure(gate) or _coverage_figure(documents.get("coverage.md")),
               _mutants_figure(documents.get("mutants.md"))]
    links = {document.path: perf_report_page.relative(document.path, out)
             for document in documents.values()}
    return Page(_when(bench), figures, _facts(bench, documents), _warnings(bench, documents),
                sections, _PLOTS, links)


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
    if arguments.help:
        print(_USAGE, end="")
        return 0
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
