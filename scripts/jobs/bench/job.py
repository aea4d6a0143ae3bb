# SPDX-License-Identifier: Apache-2.0
"""Builds the benchmarks with optimisation, measures them in rounds, and reports the figures.
Started by scripts/bench."""

import datetime
import json
import os
import re
import shlex
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

from jobs.bench import merged
from jobs.bench.runs import Run
from jobs.common import build, gbench, machine, processes, report, tables
from jobs.common.documents import Document
from jobs.common.terminal import WIDTH, Terminal, duration

PRESET = "bench"
_SUFFIX = "_benchmark"
# The ledger asks for huge pages for its memory. With this variable malloc asks for huge pages too
# (glibc 2.35 and later), so the maps that the ledger is compared with get huge pages as
# well. ENVIRONMENT names the binaries that run with this variable.
_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
ENVIRONMENT = {"ledger_benchmark": _HUGE_PAGES, "ledger_peers_benchmark": _HUGE_PAGES,
               "ledger_shapes_benchmark": _HUGE_PAGES}
# This variable asks for ten million live executions (bench/ledger_benchmark.cc).
_TEN_MILLION = "FFGRANT_BENCH_TEN_MILLION"
_TEN_MILLION_KIB = 8 << 20  # memory that the ledger, a map and the ids need


@dataclass(frozen=True)
class Plan:
    """Says how much is measured. If a round after the first would not fit into the budget, it and
    all later rounds are left out."""
    rounds: int
    repetitions: int
    min_time: float  # the least seconds of a repetition
    budget: float  # seconds, all rounds


@dataclass(frozen=True)
class Suite:
    """The binaries of one build folder, and how they are run and reported."""
    directory: str
    targets: tuple  # build targets; empty: everything
    full: Plan
    quick: Plan
    report: str
    merged: str  # name of the file that merged.py makes of all programs and rounds
    title: str
    # Whether the binaries can run a case's benchmarks in reverse order, and can skip their checks.
    # The job tells them to skip the checks, since find_binaries() has seen that these pass.
    is_peers: bool = False
    repetition: str = "of {:g} s or more"
    flag: str = ""


CORE = Suite("bench", ("ffgrant_benchmarks",),
             Plan(rounds=5, repetitions=3, min_time=0.05, budget=900),
             Plan(rounds=3, repetitions=1, min_time=0.02, budget=45), "summary.md", merged.FILE,
             "Benchmark summary")
# A confidence interval of 95 % needs at least six rounds.
PEERS = Suite("bench/peers", ("ffgrant_peers",),
              Plan(rounds=9, repetitions=3, min_time=0.01, budget=1800),
              Plan(rounds=6, repetitions=1, min_time=0.002, budget=960), "peers.md",
              "peers-merged.json", "Core beside its peers", is_peers=True, flag="--peers",
              repetition="each a pass over 65,536 inputs, of ledgers {:g} s or more")


class BenchError(Exception):
    """Something that ends the job with status 1."""


@dataclass(frozen=True)
class Binary:
    path: Path
    benchmarks: tuple  # names, in the order in which they run

    @property
    def subject(self):
        return self.path.name[:-len(_SUFFIX)]

    @property
    def command(self):
        # The paths are relative, so that the JSON holds no path of this machine.
        return "./" + os.path.relpath(self.path, build.ROOT)

    @property
    def environment(self):
        return dict(os.environ, **ENVIRONMENT.get(self.path.name, {}))


def _fail_with(binary, status, output):
    tail = "\n".join(output.rstrip().splitlines()[-20:])
    raise BenchError(f"{binary.name} failed with status {status}:\n{tail}")


def _paths(suite):
    return sorted(path for path in (build.build_directory(PRESET) / suite.directory).glob(
        "*" + _SUFFIX) if path.is_file() and os.access(path, os.X_OK))


def _raw_names(path, filter_text):
    status, output = processes.run(
        [str(path), "--benchmark_list_tests=true", f"--benchmark_filter={filter_text or '.'}"],
        cwd=build.ROOT, on_tick=lambda: None)
    if status != 0:
        _fail_with(path, status, output)
    return tuple(line.strip() for line in output.splitlines() if line.startswith("BM_"))


def by_row_name(wanted: str, raw_names) -> str:
    """A regular expression that matches all benchmarks of the table rows whose name holds the text
    `wanted`. It is "" if no row's name holds the text."""
    parsed = [(raw, name) for raw in raw_names if (name := gbench.parse_name(raw))]
    rows = {(name.op, name.case, name.threads) for _, name in parsed
            if tables.is_ours(name.impl)
            and wanted.strip().lower() in tables.row_name(name).lower()}
    chosen = [raw for raw, name in parsed if (name.op, name.case, name.threads) in rows]
    if not chosen:
        return ""
    return "^(" + "|".join(re.sub(r"([][.*+?^${}()|\\])", r"\\\1", raw) for raw in chosen) + ")$"


def find_binaries(terminal, suite, filter_text):
    """Returns (binaries, regular expression): the binaries in which the filter selects benchmarks,
    with these benchmarks, and the regular expression that selects them. The filter is a regular
    expression for raw names, or a part of a row's name in a table."""
    paths = _paths(suite)
    if not paths:
        raise BenchError("the build made no benchmarks")
    try:
        problem = ""
        re.compile(filter_text)
    except re.error as error:
        problem = f"--filter {filter_text}: no regular expression ({error})"

    def matching(expression):
        found = []
        for path in paths:
            terminal.progress(f"checking {path.name}")
            names = _raw_names(path, expression)
            if names:
                found.append(Binary(path, names))
        return found

    binaries = [] if problem else matching(filter_text)
    if not binaries and filter_text:
        filter_text = by_row_name(filter_text, [name for binary in matching("")
                                                for name in binary.benchmarks])
        binaries = matching(filter_text) if filter_text else []
    if not binaries:
        raise BenchError(problem or "no benchmark has such a name; --list prints all names")
    return binaries, filter_text


class Progress:
    """Shows what runs, how far the run is, and how long the rest will take."""

    def __init__(self, terminal, binaries, rounds):
        self._terminal = terminal
        self._total = sum(len(binary.benchmarks) for binary in binaries) * rounds
        self._rounds = rounds
        self._start = time.monotonic()
        self._seconds = {}  # benchmark -> seconds it took when it last ran
        self._done = 0
        self._begin = self._start
        self._pending = []
        self.round = 1

    def elapsed(self):
        return time.monotonic() - self._start

    def begin(self, binary):
        self._pending = list(binary.benchmarks)
        self._begin = time.monotonic()

    def line(self, text):
        """Reads a line that a binary printed. A line that starts with a benchmark's name says
        that the benchmark is done."""
        name = text.split(" ", 1)[0]
        if name in self._pending:
            now = time.monotonic()
            count = self._pending.index(name) + 1
            for passed in self._pending[:count]:
                self._seconds[passed] = (now - self._begin) / count
            self._begin = now
            del self._pending[:count]
            self._done += count

    def left(self):
        """The seconds that are left, estimated from what the benchmarks took so far. None before
        the first benchmark is done."""
        if not self._seconds:
            return None
        mean = sum(self._seconds.values()) / len(self._seconds)
        return mean * (self._total - self._done)

    def show(self):
        left = self.left()
        now = self._pending[0] if self._pending else "finishing"
        ending = f", about {duration(left)} left" if left is not None else ""
        self._terminal.progress(
            f"round {self.round}/{self._rounds}, {min(self._done + 1, self._total)} of "
            f"{self._total}, {duration(self.elapsed())}{ending}: {now}")


def _output_file(out, binary, round_number):
    suffix = "" if round_number == 1 else f".round{round_number}"
    return out / f"{binary.subject}{suffix}.json"


def _results_pattern(suite):
    """A regular expression that matches the names of all files that a run leaves."""
    subjects = "|".join(re.escape(path.name[:-len(_SUFFIX)]) for path in _paths(suite))
    stem = re.escape(Path(suite.report).stem)
    return rf"(?:{subjects})(?:\.round\d+)?\.json|{stem}\.(?:md|json)|{re.escape(suite.merged)}"


def measure(terminal, suite, binaries, plan, filter_text, out):
    """Runs the rounds that fit into the plan's budget. Returns (results, documents, rounds
    done)."""
    results, documents = gbench.Results(), []
    progress = Progress(terminal, binaries, plan.rounds)
    rounds = 0
    for number in range(1, plan.rounds + 1):
        if rounds and progress.elapsed() * number / rounds > plan.budget:
            break
        progress.round = number
        # Every other round runs backwards, so that a drift of the machine favours nobody.
        for binary in binaries if number % 2 else reversed(binaries):
            target = _output_file(out, binary, number)
            progress.begin(binary)
            status, output = processes.run(
                [binary.command, *(["--checked"] if suite.is_peers else []),
                 *(["--reversed"] if suite.is_peers and number % 2 == 0 else []),
                 f"--benchmark_filter={filter_text or '.'}",
                 f"--benchmark_min_time={plan.min_time}",
                 f"--benchmark_repetitions={plan.repetitions}",
                 "--benchmark_color=false", f"--benchmark_out={target}",
                 "--benchmark_out_format=json"],
                cwd=build.ROOT, env=binary.environment, on_line=progress.line,
                on_tick=progress.show)
            if status != 0:
                _fail_with(binary.path, status, output)
            try:
                document = json.loads(target.read_text(encoding="utf-8"))
            except ValueError:
                raise BenchError(f"{target.name} can't be read back; is the disk full?") from None
            documents.append(document)
            results.add(document, number)
            if results.errors:
                raise BenchError(f"{binary.path.name}: {results.errors[0]}")
        rounds = number
    terminal.clear()
    return results, documents, rounds


def _core_report(results, _contexts):
    left_out = [] if os.environ.get(_TEN_MILLION) else [
        ("left out", "ten million live executions (--ten-million)")]
    return tables.all_tables(results), left_out, []


def available_kib(meminfo):
    """The KiB of memory that programs can still get, by the text of /proc/meminfo; 0 if the text
    does not say."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo, re.MULTILINE)
    return int(found[1]) if found else 0


def _ask_for_ten_million(terminal):
    if available_kib(Path("/proc/meminfo").read_text(encoding="ascii")) < _TEN_MILLION_KIB:
        terminal.line("bench: ten million live executions need 8 GiB of free memory: left out")
        return
    os.environ[_TEN_MILLION] = "1"


def _peers_report(results, contexts):
    from jobs.bench import peers  # of bench's modules only peers needs SciPy
    found = peers.groups(results, peers.read_sentences(
        peers.SENTENCES.read_text(encoding="utf-8")))
    made = [table for table in (peers.bars_table(results), peers.peers_table(results, found))
            if table]
    return made, peers.facts(contexts, found), peers.problems(found)


def _command(suite, arguments):
    parts = ["./scripts/bench", suite.flag, "--quick" if arguments.quick else "",
             "--ten-million" if arguments.ten_million else "",
             f"--filter {shlex.quote(arguments.filter)}" if arguments.filter else ""]
    return " ".join(filter(None, parts))


def _job(terminal, suite, arguments):
    """Returns the exit status."""
    start = time.monotonic()
    build.configure(terminal, PRESET)
    build.build(terminal, PRESET, suite.targets)
    if arguments.list:
        binaries, _ = find_binaries(terminal, suite, arguments.filter)
        for binary in binaries:
            terminal.clear()
            print("\n".join(binary.benchmarks))
        return 0
    terminal.line(f"built in {duration(time.monotonic() - start)}; now checking and measuring")
    binaries, filter_text = find_binaries(terminal, suite, arguments.filter)
    with Run(arguments.out.resolve(), _results_pattern(suite)) as run:
        return _measure_and_report(terminal, suite, arguments, binaries, filter_text, run)


def _measure_and_report(terminal, suite, arguments, binaries, filter_text, run):
    start = time.monotonic()
    plan = suite.quick if arguments.quick else suite.full
    others = machine.Others()
    results, documents, rounds = measure(terminal, suite, binaries, plan, filter_text, run.folder)
    contexts = [document["context"] for document in documents]
    made, more_facts, problems = (
        _peers_report if suite.is_peers else _core_report)(results, contexts)
    if not made:
        raise BenchError("nothing was measured that a table could show")

    facts = machine.describe(PRESET, contexts) + more_facts
    facts.append(("processors that others used meanwhile", others.text()))
    for binary in binaries:
        for name, value in ENVIRONMENT.get(binary.path.name, {}).items():
            facts.append((f"environment of {binary.path.name}", f"{name}={value}"))
    if results.unnamed:
        facts.append(("measured, but not named BM_<Op>_<Impl>/<case>", ", ".join(results.unnamed)))
    method = (f"rounds (processes of each binary): {rounds}, repetitions in each: "
              f"{plan.repetitions}, {suite.repetition.format(plan.min_time)}; ratios within a "
              "round")
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    try:
        Document(suite.title, [("date", date), ("command", f"`{_command(suite, arguments)}`"),
                               ("method", method), *facts],
                 blocks=made).write(run.folder / suite.report)
        (run.folder / suite.merged).write_text(json.dumps(merged.merge(documents), indent=1) + "\n",
                                               encoding="utf-8")
        run.keep()
    except OSError as error:
        raise BenchError(f"the results can't be kept: {error}") from None

    for table in made:
        if table.title.startswith(tables.BARS_TITLE):
            continue  # the project's own goals; they say nothing to a user
        terminal.line()
        for line in report.as_text(table, terminal):
            terminal.line(line)
    terminal.line()
    for what, text in [("method", method), *facts]:
        whole = f"{what}: {text}"
        for line in textwrap.wrap(whole, WIDTH) if terminal.is_tty else [whole]:
            terminal.line(terminal.dim(line))
    terminal.line(f"\nmeasured in {duration(time.monotonic() - start)}; JSON, {suite.merged} and "
                  f"{suite.report} are in {build.shown(arguments.out.resolve())}")
    if others.are_many():
        terminal.line(terminal.bad(
            f"warning: other programs used {others.text()} processors meanwhile; times are longer "
            "and less certain than on an idle machine, ratios suffer less"))
    for problem in problems:
        terminal.line(terminal.bad(problem))
    return 3 if problems else 0


def main(arguments):
    # With --list the standard output holds nothing but the names.
    terminal = Terminal(sys.stderr if arguments.list else None)
    processes.raise_on_signals()
    os.environ.pop(_TEN_MILLION, None)
    if arguments.ten_million:
        _ask_for_ten_million(terminal)
    try:
        return _job(terminal, PEERS if arguments.peers else CORE, arguments)
    except processes.Interrupted as interrupted:
        terminal.line(f"bench: stopped by {interrupted}")
        return interrupted.exit_status
    except build.BuildError:
        return 1
    except BenchError as error:
        terminal.line(f"bench: {error}")
        return 1
