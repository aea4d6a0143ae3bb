# SPDX-License-Identifier: Apache-2.0
"""Measures how far the tests and the fuzz corpora cover core. Started by scripts/coverage."""

import datetime
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from jobs.common import build, machine, processes, report
from jobs.common.documents import Document
from jobs.common.tables import Table
from jobs.common.terminal import Terminal, duration
from jobs.coverage import export, lua, notes as coverage_notes

PRESET = "coverage"
_TOOLS = "-19"  # the version of the compiler that the preset names


class CoverageError(Exception):
    """Something that ends the job with status 1."""


@dataclass(frozen=True)
class Command:
    """A program that counts what it executes, and the words that start it, perhaps through another
    program. The command passes if its status is 0. If there is a pattern `expected`, the program's
    output has to match it instead, whatever the status is, as in ctest."""
    program: str
    words: tuple
    environment: tuple = ()  # NAME=VALUE
    expected: str = ""

    def passed(self, status, output):
        if not self.expected:
            return status == 0
        # In CMake's patterns a point also stands for the end of a line.
        return re.search(self.expected, output, re.DOTALL) is not None


@dataclass
class Run:
    """A set of commands that are measured together."""
    name: str  # directories have this name too
    commands: list


def production_sources(root=build.ROOT):
    """path below core/ffgrant -> path, of all C++ sources that are neither tests nor for tests."""
    folder = root / "core" / "ffgrant"
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*"))
            if path.suffix in (".cc", ".h") and not path.name.endswith("_test.cc")
            and "testing" not in path.relative_to(folder).parts}


def read_runs(document):
    """Makes the runs from the output of `ctest --show-only=json-v1`: the tests of core, including
    the tests on servers, and the replay of the corpora. All tests of one GoogleTest program that
    have the same environment make one command."""
    tests, corpora = [], []
    for test in document["tests"]:
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        labels, words = properties.get("LABELS", []), test.get("command", [])
        how = (tuple(properties.get("ENVIRONMENT", ())),
               "|".join(properties.get("PASS_REGULAR_EXPRESSION", ())))
        if test["name"].endswith("_replay"):
            corpora.append(Command(words[0], tuple(words), *how))
        elif words and "valkey" in labels:
            inner = words[words.index("--") + 1:]
            program = inner[2].split()[0] if inner[:2] == ["sh", "-c"] else inner[0]
            tests.append(Command(program, tuple(words), *how))
        elif words and not {"core", "claims", "threads", "conformance"}.isdisjoint(labels):
            filtered = any(word.startswith("--gtest_filter") for word in words)
            tests.append(Command(words[0], tuple(words[:1] if filtered else words), *how))
    return [Run("tests", list(dict.fromkeys(tests))), Run("corpora", corpora)]


def scenarios(tool):
    """The commands of the claim scenarios on servers, which ctest does not run."""
    script = f'exec "{tool}" --server "$FFGRANT_SERVER" --histories 2'
    return [Command(str(tool), (str(build.ROOT / "scripts" / "claim-server"), "--engine", "valkey",
                                *where, "--", "sh", "-c", script))
            for where in ((), ("--cluster",))]


def find_runs(terminal, tests_only):
    directory = build.build_directory(PRESET)
    output = build.run_step(terminal, "coverage: list of tests",
                            ["ctest", "--test-dir", str(directory), "--show-only=json-v1"])
    tests, corpora = read_runs(json.loads(output[output.index("{"):]))
    tests.commands += scenarios(directory / "core" / "testing" / "scenarios" / "claims_conformance")
    if not tests_only and not corpora.commands:
        raise CoverageError("the build made no replay of fuzz corpora (--tests-only?)")
    return [tests] if tests_only else [tests, corpora]


def _tool(name, *arguments):
    status, output = processes.run([name + _TOOLS, *map(str, arguments)], cwd=build.ROOT)
    if status != 0:
        raise CoverageError(f"{name} failed with status {status}:\n{output[-2000:]}")


def lua_directory(run):
    return build.build_directory(PRESET) / "profiles" / f"{run.name}-lua"


def measure(terminal, run, sources):
    """Runs the programs; returns name -> export.File and writes the HTML report."""
    directory = build.build_directory(PRESET)
    profiles = directory / "profiles" / run.name
    for folder in (profiles, lua_directory(run)):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    start = time.monotonic()
    for number, command in enumerate(run.commands, 1):
        name = Path(command.program).name
        # With %m, all processes of one program add to one file.
        status, output = processes.run(
            command.words, cwd=directory,
            env=dict(os.environ, LLVM_PROFILE_FILE=str(profiles / f"{name}.%m.profraw"),
                     **{lua.VARIABLE: str(lua_directory(run))},
                     **dict(entry.split("=", 1) for entry in command.environment)),
            on_tick=lambda n=number, what=name: terminal.progress(
                f"{run.name}: {n} of {len(run.commands)}, {what}, "
                f"{duration(time.monotonic() - start)}"))
        if not command.passed(status, output):
            raise CoverageError(f"{name} ended with status {status}:\n{output[-3000:]}")
    terminal.progress(f"{run.name}: reading what was counted")
    merged = directory / "profiles" / f"{run.name}.profdata"
    _tool("llvm-profdata", "merge", "-sparse", *sorted(profiles.glob("*.profraw")), "-o", merged)
    programs = list(dict.fromkeys(command.program for command in run.commands))
    objects = [programs[0], *(word for path in programs[1:] for word in ("-object", path))]
    html = directory / "html" / run.name
    shutil.rmtree(html, ignore_errors=True)
    _tool("llvm-cov", "show", "-instr-profile", merged, *objects, "-format=html",
          f"-output-dir={html}", "-show-branches=count", "-show-mcdc", "-show-mcdc-summary",
          "-show-instantiations=false", "-sources", *sources.values())
    # A program that contains an inline function but does not use it reports that nothing in the
    # function was executed. Given several programs at once, llvm-cov believes the first, so each
    # program is exported by itself.
    exports = []
    for number, program in enumerate(programs, 1):
        terminal.progress(f"{run.name}: reading what was counted, {number} of {len(programs)}")
        exports.append(_export(merged, program, sources))
    names = sorted({name for files in exports for name in files})
    return {name: together([files[name] for files in exports if name in files])
            for name in names}


def _export(merged, program, sources):
    # llvm-cov's warnings are about inline functions that a program contains but does not use.
    status, output = processes.run(
        ["sh", "-c", 'exec "$@" 2>/dev/null', "sh", f"llvm-cov{_TOOLS}", "export",
         "-instr-profile", str(merged), str(program)], cwd=build.ROOT)
    if status != 0:
        raise CoverageError(f"llvm-cov export failed with status {status}")
    files = export.read_export(json.loads(output),
                               {str(path): name for name, path in sources.items()})
    for name, file in files.items():
        text = sources[name].read_text(encoding="utf-8")
        file.leave_out_defaulted(text)
        file.leave_out_lines_without_code(text)
    return files


def together(files):
    """The export.File that is the union of several export.Files, of programs or of runs."""
    union = export.File()
    for file in files:
        for line, count in file.lines.items():
            union.lines[line] = union.lines.get(line, 0) + count
        for place, branch in file.branches.items():
            seen = union.branches.setdefault(place, export.Branch())
            seen.true += branch.true
            seen.false += branch.false
            seen.executed = seen.executed or branch.executed
            seen.constant = seen.constant and branch.constant
        for place, independent in file.independent.items():
            union.independent[place] = union.independent.get(place, False) or independent
    return union


@dataclass
class Verdict:
    """The result of all runs for one file."""
    counts: list  # Counts of each run, then of all runs together; only these if there is one run
    left: coverage_notes.Uncovered  # what all runs together left uncovered
    errors: list  # errors of the file's notes
    notes: int


# A source that a build without a library compiles -> the source that a build with it compiles.
_IN_PLACE_OF = {"valkey/no_tls.cc": "valkey/tls_network.cc"}


def without_data(sources, measured):
    """Text lines that name the .cc files that are in none of the programs that were run, so that
    nothing of them is covered. Headers are not named: one that only declares has no data either."""
    known = {name for run in measured for name, file in run.items() if file.lines}
    return [f"{name}: no program that was run contains it" for name in sources
            if name.endswith(".cc") and name not in known
            and _IN_PLACE_OF.get(name) not in known]


def judge(sources, measured):
    """Returns name -> Verdict. measured: for each run, name -> export.File."""
    verdicts = {}
    for name, path in sources.items():
        files = [run[name] for run in measured if name in run]
        if not files:
            continue  # declarations only, or without_data() tells of it
        text = path.read_text(encoding="utf-8")
        union = together(files)
        excused = coverage_notes.excuses(text, union)
        counts = [coverage_notes.judge(run.get(name, export.File()), excused)[0]
                  if len(measured) > 1 else None for run in measured]
        total, left = coverage_notes.judge(union, excused)
        errors = [f"{name}:{error}" for error in excused.errors]
        verdicts[name] = Verdict([c for c in counts if c] + [total], left, errors,
                                 len(coverage_notes.read_notes(text)))
    return verdicts


def _share(pair, of=None):
    covered, total = pair[0], of if of is not None else pair[1]
    if not total:
        return "-"
    if covered == total:
        return "100"
    return f"{min(99.9, 100 * covered / total):.1f}"


def names_of(runs):
    return [run.name for run in runs] + (["both"] if len(runs) > 1 else [])


def make_table(verdicts, runs):
    names = names_of(runs)
    columns = ["file"]
    for kind in ("lines", "branches", "MC/DC"):
        columns += [f"{kind}: {names[0]}", *names[1:], "of"]

    def row(name, all_counts):
        cells = [name]
        for kind in ("lines", "branches", "mcdc"):
            total = getattr(all_counts[-1], kind)[1]
            # A run that does not have a file at all covers nothing of the file.
            cells += [_share(getattr(counts, kind), total) for counts in all_counts]
            cells.append(str(total))
        return cells

    rows, sums = [], None
    for name, verdict in verdicts.items():
        rows.append(row(name, verdict.counts))
        if sums is None:
            sums = [coverage_notes.Counts() for _ in verdict.counts]
        for total, counts in zip(sums, verdict.counts):
            for kind in ("lines", "branches", "mcdc"):
                setattr(total, kind, tuple(
                    a + b for a, b in zip(getattr(total, kind), getattr(counts, kind))))
    rows.append(row("all", sums))
    notes = sum(verdict.notes for verdict in verdicts.values())
    return Table("Coverage of core/ffgrant", "percent of lines, of sides of branches, and of "
                 "conditions shown to decide by themselves (MC/DC); `of`: how many there are, "
                 f"without those that {notes} comments in the sources say can't be reached",
                 columns, rows=rows), sums


def uncovered_lines(sources, verdicts):
    """Text lines that list what is not covered."""
    shown = []
    for name, verdict in verdicts.items():
        lines = sources[name].read_text(encoding="utf-8").splitlines()
        found = [(line, 0, f"{name}:{line}: not executed: {lines[line - 1].strip()}")
                 for line in verdict.left.lines]
        for place, side in verdict.left.sides:
            found.append((*place[:2], f"{name}:{place[0]}: never {side}: "
                          f"{coverage_notes.place_text(lines, place)}"))
        for place in verdict.left.conditions:
            found.append((*place[:2], f"{name}:{place[0]}: never alone: "
                          f"{coverage_notes.place_text(lines, place)}"))
        shown += [text for *_, text in sorted(found)]
    return shown


def _facts():
    cache = build.cache(PRESET)
    return machine.basic() + [
        ("compiler", machine.first_line([cache["CMAKE_CXX_COMPILER"], "--version"])),
        ("flags", f"{cache['CMAKE_CXX_FLAGS']} {cache['CMAKE_CXX_FLAGS_DEBUG']}")]


def lua_table(parts, runs):
    return Table("Coverage of the server functions", "percent of the lines of Lua that hold code, "
                 "executed in simulated servers, by calls and by loading the library; `of`: how "
                 "many there are", ["file", *names_of(runs), "of"], rows=lua.rows(parts))


_METHOD = ("a place in the source counts once, however many objects and instantiations hold it, "
           "and is covered if one of them covers it; conditions that are constant in every "
           "instantiation, and comparisons that the compiler writes (`= default`), are not "
           "counted, nor are lines that only end a block or belong to the preprocessor; MC/DC "
           "sees `&&` and `||` alone: the fast parsers join their conditions by `&`, on purpose, "
           "and those are not counted. Each of them alone decides in "
           "fuzz/exhaustive/lengths_exhaustive_test.cc, which changes each byte of each document "
           "that they take")


def totals(runs, sums):
    """The coverage of all files as numbers: each percentage of the table's last row, and the number
    of places of which it is a percentage."""
    made = []
    for kind, words in (("lines", "lines"), ("branches", "branches"), ("mcdc", "MC/DC")):
        places = getattr(sums[-1], kind)[1]
        made += [{"of": words, "by": name, "places": places,
                  "percent": float(_share(getattr(counts, kind), places)) if places else None}
                 for name, counts in zip(runs, sums)]
    return made


def document(tables, left, sums, runs):
    """The content of results/coverage.md. sums: the counts of all files, for each run and for all
    runs together."""
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return Document(
        "Coverage", [("date", date), ("command", "`./scripts/coverage`"), ("method", _METHOD),
                     *_facts()],
        blocks=[*tables, "\n".join(["## Not covered", "",
                                  *([f"- `{text}`" for text in left] or ["Nothing."])])],
        figures={"totals": totals(runs, sums)})


def _job(terminal, arguments):
    build.configure(terminal, PRESET)
    build.build(terminal, PRESET)
    sources = production_sources()
    runs = find_runs(terminal, arguments.tests_only)
    measured = [measure(terminal, run, sources) for run in runs]
    verdicts = judge(sources, measured)
    table, sums = make_table(verdicts, runs)
    texts = lua.read_texts(build.ROOT / "core" / "ffgrant" / "valkey" / "functions")
    parts = lua.by_part(texts, [lua.read_counts(lua_directory(run)) for run in runs])
    tables = [table, lua_table(parts, runs)]
    for shown in tables:
        for line in report.as_text(shown, terminal):
            terminal.line(line)
    unknown = without_data(sources, measured) + lua.without_data(parts)
    left = unknown + uncovered_lines(sources, verdicts) + lua.uncovered(parts, texts)
    if arguments.uncovered:
        terminal.line()
        for line in left:
            terminal.line(line)
    errors = [error for verdict in verdicts.values() for error in verdict.errors]
    terminal.line()
    for error in (*(() if arguments.uncovered else unknown), *errors):
        terminal.line(terminal.bad(error))
    if not arguments.tests_only:
        document(tables, left, sums, names_of(runs)).write(arguments.out)
    for kind in ("lines", "branches", "mcdc"):
        covered, total = getattr(sums[-1], kind)
        terminal.line(f"{kind}: {covered} of {total} covered")
    hint = "" if arguments.uncovered else " (--uncovered)"
    terminal.line(f"not covered: {len(left)} places{hint}, wrong comments: {len(errors)}; "
                  f"HTML in {build.shown(build.build_directory(PRESET))}/html")
    return 1 if left or errors else 0


def main(arguments):
    terminal = Terminal()
    processes.raise_on_signals()
    try:
        with build.locked(terminal, "coverage-job"):
            return _job(terminal, arguments)
    except processes.Interrupted as interrupted:
        terminal.line(f"coverage: stopped by {interrupted}")
        return interrupted.exit_status
    except build.BuildError:
        return 1
    except CoverageError as error:
        terminal.line(f"coverage: {error}")
        return 1
