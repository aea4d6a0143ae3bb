# SPDX-License-Identifier: Apache-2.0
"""Holds what the page's tests share: what they need, and a small folder of results."""

import datetime
import importlib.util
import json
import math
import unittest

from jobs.perf import history_files

MODULES = ("scipy", "matplotlib", "jinja2", "markdown_it")


def needs(modules=MODULES, bootstrap="perf"):
    """Skips a module of tests if something that it needs is not installed. The module calls this
    function before it imports what may be missing."""
    lacking = [name for name in modules if importlib.util.find_spec(name) is None]
    if lacking:
        raise unittest.SkipTest(f"no {', '.join(lacking)}: ./scripts/bootstrap --for {bootstrap}")


def entry(name, ns, threads=1, **more):
    """A benchmark as Google Benchmark writes it."""
    return {"name": name, "run_name": name, "run_type": "iteration", "repetitions": 1,
            "repetition_index": 0, "threads": threads, "iterations": 1000, "real_time": ns,
            "cpu_time": ns, "time_unit": "ns", **more}


def document(*entries, load=0.5):
    return {"context": {"date": "2026-11-25T02:00:00+00:00", "num_cpus": 2,
                        "load_avg": [load, 0.5, 0.5], "library_build_type": "release"},
            "benchmarks": list(entries)}


def _round(number):
    """The entries of a round; most times are a little longer than in the round before."""
    slow = 1 + number / 100
    cases = [entry("BM_ParseGrant_Core/canonical", 30 * slow, bytes_per_second=7e9 / slow),
             entry("BM_ParseGrant_SimdjsonOnDemand/canonical", 180 * slow ** 2),
             entry("BM_ParseGrant_Memcpy/canonical", 14 * slow),
             entry("BM_ParseGrant_Core/late_reject", 300 * slow),
             entry("BM_ParseGrant_SimdjsonOnDemand/late_reject", 100 * slow)]
    for live, speed in ((1000, 7e6), (1000000, 2.5e6)):
        for impl, factor in (("Ledger", 1), ("AbslMapString", 0.4)):
            for threads in (1, 2):
                cases.append(entry(f"BM_ClaimPairs_{impl}/live:{live}/real_time/threads:{threads}",
                                   1e9 / speed, threads,
                                   items_per_second=speed * factor * threads / slow))
            cases.append(entry(f"BM_ClaimLatency_{impl}/live:{live}", 500 * slow,
                               p50_ns=1e8 / speed * slow, p99_ns=4e8 / speed * slow,
                               p999_ns=2e9 / speed / slow / factor))
    return cases




def made(title, facts, tables=(), figures=None, summary=""):
    """A document as JSON. facts: texts by their names; tables: (section, columns, rows)."""
    return {"format": 1, "title": title, "facts": facts, "summary": summary,
            "tables": [{"section": section, "columns": columns, "rows": rows,
                        "right": [False] + [True] * (len(columns) - 1)}
                       for section, columns, rows in tables], "figures": figures or {}}


def write_document(path, document):
    """Writes a document as JSON, and beside it a Markdown file that no test reads."""
    path.write_text("# A view\n", encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(document), encoding="utf-8")


SUMMARY = made("Benchmark summary", {
    "date": "2026-11-25 02:00 UTC", "command": "`./scripts/bench`",
    "CPU": "A & B <1 GHz>, 2 cores to use", "system": "Debian GNU/Linux 12",
    "revision": "0729f9c13a5b"})
COVERAGE = made("Coverage", {
    "date": "2026-11-24 00:25 UTC", "command": "`./scripts/coverage`", "revision": "a47ee51cfe65"},
    figures={"totals": [
        {"of": kind, "by": by, "percent": percent, "places": places}
        for kind, places, percents in (("lines", 4681, (99.9, 89.6, 100)),
                                       ("branches", 2320, (98.0, 78.2, 99.1)))
        for by, percent in zip(("tests", "corpora", "both"), percents)]})
_OPERATORS = [("relational", 110, 4, 2, 4), ("constant", 70, 4, 0, 6), ("all", 180, 8, 2, 10)]
_OUTCOMES = ("killed in 10 s", "later", "survived", "equivalent")
MUTANTS = made(
    "Mutants", {"date": "2026-11-25 01:00 UTC", "command": "`./scripts/mutants`"},
    [("By operator", ["operator", *_OUTCOMES], [[name, *map(str, counts)]
                                                for name, *counts in _OPERATORS])],
    {"operators": [{"operator": name, **dict(zip(_OUTCOMES, counts))}
                   for name, *counts in _OPERATORS]},
    "200 mutants: 180 killed in 10 s, 8 later, 2 survived, 10 equivalent.")


def history_points(name="BM_ParseGrant_Core/canonical", count=24, step=12, percent=8.0):
    """A history whose benchmark takes `percent` % more time from points[step] on; the noise is
    fixed."""
    start = datetime.datetime(2026, 10, 1, 3, 0, tzinfo=datetime.timezone.utc)
    points = []
    for number in range(count):
        ratio = 7.3 * (1 + 0.01 * math.sin(2.4 * number)) * (
            1 + percent / 100 if number >= step else 1)
        points.append(history_files.Point(
            date=start + datetime.timedelta(days=number), revision=f"{number + 4096:012x}",
            suite="grant_json", command="./scripts/perf record",
            machine={"cpu": "AMD EPYC", "kernel": "6.1"},
            benchmarks={name: history_files.Measurement(
                ratio, ratio * 0.985, ratio * 1.015, ratio * 3.9, 3.9, 10)}))
    return points


def gate_entry(name, ratio, verdict, half=0.01, **more):
    """A benchmark of the gate's JSON."""
    same = {"ratio": 1.0, "low": 0.995, "high": 1.004}
    return {"name": name, "suite": "grant_json", "verdict": verdict, "ratio": ratio,
            "low": ratio - half, "high": ratio + half, "same": same, "margin": 1.02, "p": 0.01,
            "pairs": 20, "base_ns": 30.0, "head_ns": 30.0 * ratio, "note": "",
            "confirmation": None, **more}


def gate_document(*entries):
    return {"format": 1, "lane": "time", "date": "2026-11-25T02:40:11Z",
            "command": "./scripts/perf gate", "seconds": 212.4, "base": "merge base with main",
            "head": "working tree on 0729f9c13a5b", "machine": {"cpu": "AMD EPYC"},
            "conditions": "load 0.4 on 2 CPUs", "verdict": "regressed",
            "benchmarks": list(entries), "only_in_one": []}


def write_bench(folder, rounds=5, subjects=("grant_json", "ledger")):
    """Writes a run of scripts/bench into folder/latest."""
    latest = folder / "latest"
    latest.mkdir()
    names = {"grant_json": "BM_ParseGrant", "ledger": "BM_Claim"}
    for number in range(1, rounds + 1):
        suffix = "" if number == 1 else f".round{number}"
        for subject in subjects:
            entries = [one for one in _round(number) if one["name"].startswith(names[subject])]
            (latest / f"{subject}{suffix}.json").write_text(json.dumps(document(*entries)))
    write_document(latest / "summary.md", SUMMARY)
    return latest


FOREIGN = ("BM_Map<std::vector<std::pair<int, std::string>>>/erase_during_iteration/8388608",
           "größe/µs", "BM_noise", "BM_\"q\"<&>", "a" * 90)


def write_foreign(folder):
    """Writes what another project has: an answer of the gate with odd names and a noisy row, and a
    history of a few benchmarks, one of which has a single point."""
    (folder / "gate.json").write_text(json.dumps(gate_document(
        gate_entry(FOREIGN[0], 1.082, "regressed", suite="./bin/bench"),
        gate_entry(FOREIGN[1], 1.4, "suspected", suite="./bin/bench"),
        gate_entry(FOREIGN[2], 3.9, "inconclusive", 2.8, margin=7.5, suite="./bin/bench"),
        gate_entry(FOREIGN[3], 1.001, "clean", suite="./bin/bench"),
        gate_entry(FOREIGN[4], 0.9, "improved", suite="./bin/bench"))))
    for name, count in ((FOREIGN[0], 24), (FOREIGN[3], 2), (FOREIGN[4], 1)):
        for number, point in enumerate(history_points(name, count)):
            wild = 30 if number == 5 else 1
            entry_ = point.benchmarks[name]
            point.benchmarks[name] = history_files.Measurement(
                entry_.ratio * wild, entry_.low * wild, entry_.high * wild * wild,
                entry_.time_ns * wild, entry_.reference_ns, entry_.pairs)
            history_files.append(history_files.Point(**{
                **vars(point), "suite": f"suite{count}"}), folder / "history")
    return folder


def write_results(folder):
    """Writes results as they would be in results/, into an empty folder."""
    latest = write_bench(folder)
    (latest / "gate.json").write_text(json.dumps(gate_document(
        gate_entry("BM_ParseGrant_Core/canonical", 1.082, "regressed"),
        gate_entry("BM_ParseGrant_Core/late_reject", 1.001, "clean"),
        gate_entry("BM_ParseGrant_SimdjsonOnDemand/canonical", 1.01, "inconclusive", 0.05),
        gate_entry("other/2", 0.95, "improved"),
        gate_entry("BM_ClaimPairs_Ledger/live:1000000/threads:2", 1.03, "inconclusive", low=None,
                   high=None, pairs=4))))
    (latest / "counts.json").write_text(json.dumps({
        "format": 1, "lane": "counts", "date": "2026-11-25T02:44:00Z", "base": "a", "head": "b",
        "command": "./scripts/perf counts", "errors": [], "benchmarks": [
            {"name": "BM_ParseGrant_Core/canonical", "verdict": "regressed", "note": "",
             "iterations": 1000, **{event: {"base": 100_000, "head": 101_500}
                                    for event in ("Ir", "Dr", "Dw")}}]}))
    write_document(latest / "claims.md", made("Claims", {}, figures={"loads": [
        {"what": what, "at_once": 16, "whose": whose, "rounds": [
            {"count": count + number, "seconds": 0.5, "p50_us": 90 + number, "p99_us": 400,
             "p999_us": 900} for number in range(5)]}
        for what, whose, count in (("pair", "ours", 1500), ("pair", "reference", 900),
                                   ("open 70", "ours", 1000))]}))
    write_document(folder / "coverage.md", COVERAGE)
    write_document(folder / "mutants.md", MUTANTS)
    for point in history_points():
        history_files.append(point, folder / "history")
    return folder
