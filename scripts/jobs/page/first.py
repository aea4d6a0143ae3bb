# SPDX-License-Identifier: Apache-2.0
"""Makes the first part of the page: the few figures that matter, with their uncertainty; machine,
dates, revisions and commands; and what a reader has to know before any figure."""

from jobs.common import gbench, tables
from jobs.common.tables import rate
from jobs.page import bench_results, evidence, gate_part, selftest_part
from jobs.page.parts import interval, three_digits, times
from jobs.page.template import Figure


def _find(bench, op, case, impl):
    name = gbench.Name(op, impl, case, 1)
    return name, bench.together.series.get(name)


def _missing(what, command, link):
    return Figure(what, "not measured", "", f"{command} measures it", link, missing=True)


def _claims_figure(bench):
    what = "Claims a second, issue + claim, one thread, 1,000 live"
    _, series = _find(bench, "ClaimPairs", "live:1000", "Ledger") if bench else (None, None)
    found = series and bench_results.series_estimate(series, "items_per_second")
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
    found = bench_results.series_estimate(series, "ns")
    best = min((one for one in bench_results.comparisons(bench.together)
                if one.name == name and not one.is_limit), default=None,
               key=lambda one: one.times.value)
    text = _sure(found)
    if best:
        text += (f"; {times(best.times.value)} as fast as "
                 f"{tables.label(best.baseline)}")
        text += f" ({interval(best.times)})" if best.times.count > 1 else ""
    return Figure(what, three_digits(found.value), "ns", text, "ratios",
                  None if best is None else {"ahead": True, "behind": False}.get(best.verdict))


def _mutants_figure(document):
    what = "Mutants of core killed in 10 s of fuzzing"
    counts = evidence.mutant_counts(document)
    if not counts:
        return _missing(what, "./scripts/mutants", "mutants")
    killable = sum(counts.values()) - counts["equivalent"]
    found = evidence.share_estimate(counts["killed in 10 s"], killable)
    return Figure(what, f"{found.value:.1f}", "%",
                  f"{found.low:.1f} – {found.high:.1f} % (95 % interval), {counts['survived']} of "
                  f"{killable} survived", "mutants")


def _selftest_figure(document):
    """The share of slowdowns of 5 % that the gate finds, in the condition in which the gate finds
    the fewest. The gate promises to find such slowdowns."""
    measured = [share for _, slower, memory, share in selftest_part.power(document)
                if slower == 5 and memory == "in cache"]
    if not measured:
        return None
    worst = min(measured, key=lambda share: share.value)
    alarms = selftest_part.false_alarms(document)
    text = f"{worst.low:g} – {worst.high:g} % (95 % interval), in the worse condition"
    if alarms:
        text += f"; false alarms: {selftest_part.alarms_text(alarms)}"
    return Figure("Slowdowns of 5 % that the gate finds", f"{worst.value:g}", "%", text, "selftest")


def _gate_figure(document):
    if not document or not document["benchmarks"]:
        return None
    entries = document["benchmarks"]
    counts = gate_part.counts(entries)
    slower = counts.get("regressed", 0)
    margin = max(100 * ((entry["margin"] or 1) - 1) for entry in entries)
    unsure = counts.get("inconclusive", 0) + counts.get("invalid", 0)
    return Figure(f"Benchmarks slower than {document.get('base')}", f"{slower}",
                  f"of {len(entries)}",
                  f"{unsure or 'none'} undecided; margins up to {margin:.1f} %, "
                  f"{min(entry['pairs'] for entry in entries)} to "
                  f"{max(entry['pairs'] for entry in entries)} process pairs", "gate",
                  False if slower else None if unsure or gate_part.troubles(document) else True)


def _coverage_figure(document):
    what = "Coverage of core by tests and corpora"
    both = {kind: percent for kind, run, percent, _ in
            evidence.coverage_totals(document) if run == "both"}
    if not both:
        return _missing(what, "./scripts/coverage", "coverage")
    kind = min(both, key=lambda name: both[name])
    return Figure(what, f"{both[kind]:g}", "%", "the least of " + ", ".join(
        f"{kind} {percent:g} %" for kind, percent in both.items()) + "; counted, not sampled",
        "coverage")


def when(bench):
    """A line that says when, on which machine, at which revision and by which command the
    benchmarks ran, as far as this is known; empty if they did not."""
    if not bench:
        return ""
    known = bench.facts
    return "".join((f"Benchmarks: {bench.date}", f" on {known['CPU']}" if "CPU" in known else "",
                    f", revision {known['revision']}" if "revision" in known else "",
                    f", by {known['command']}" if "command" in known else ""))


def facts(bench, documents):
    """[(what, [texts])] of "machine", "measured" (dates and revisions), "commands" and "compiler",
    without those of which nothing is known."""
    known = bench.facts if bench else {}
    machine = [known[what] for what in ("CPU", "system") if what in known]
    measured, commands = [], [known["command"]] if "command" in known else []
    if bench:
        measured.append(_dated("benchmarks", bench.date, known.get("revision")))
    for name, document in documents.items():
        if bench and name == "bench.md":
            continue  # an older run of the same command
        if document.date:
            measured.append(_dated(name, document.date, document.facts.get("revision")))
        if "command" in document.facts:
            commands.append(document.facts["command"])
    commands.append("`./scripts/perf report` (this page)")
    compiler = ", ".join(known[what] for what in ("compiler", "flags") if what in known)
    rows = (("machine", machine), ("measured", measured),
            ("commands", list(dict.fromkeys(commands))), ("compiler", [compiler]))
    return [(what, texts) for what, texts in rows if any(texts)]


def _dated(what, date, revision):
    return f"{what}: {date}" + (f", revision {revision}" if revision else "")


def warnings(bench, documents):
    """The warnings that a reader has to know before any figure."""
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
    if bench.together.unnamed:
        found.append(f"Left out, since not named BM_<Op>_<Impl>/<case>: "
                     f"{', '.join(f'`{name}`' for name in bench.together.unnamed)}.")
    found += [f"A benchmark failed: {text}" for text in bench.together.errors]
    return found


def figures(bench, gate, documents):
    """The four figures that matter most. job.main() leaves out those whose section has no data."""
    answer = _gate_figure(gate)
    if answer is None or answer.good is not False:  # a slowdown matters more
        answer = (_selftest_figure(documents.get("perf-selftest.md")) or answer
                  or _coverage_figure(documents.get("coverage.md")))
    return [_claims_figure(bench), _parse_figure(bench), answer,
            _mutants_figure(documents.get("mutants.md"))]
