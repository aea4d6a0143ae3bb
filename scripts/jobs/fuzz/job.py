# SPDX-License-Identifier: Apache-2.0
"""Fuzzes: builds the targets, explores, judges, and keeps what is found. Started by
scripts/fuzz."""

import contextlib
import datetime
import io
import shlex
import sys
import time

from jobs.common import build, children, documents, processes, reference, report
from jobs.common.sanitizers import sanitizer_wrapper
from jobs.common.terminal import Terminal, duration
from jobs.fuzz import batch as fuzz_batch, findings, merge, summary, targets
from jobs.fuzz.options import LEAST_SECONDS
from jobs.fuzz.session import EngineError, Session, Tools


class UsageError(Exception):
    """The options name something that does not exist or a file that can't be written, or do not go
    together."""


FAST = {"libfuzzer": "fuzz-fast", "afl": "fuzz-afl"}
SANITIZED = "fuzz"


def _binary(preset, target):
    return build.build_directory(preset) / "fuzz" / target.name


def tools_of(target, engine, wrapper):
    return Tools(fast=_binary(FAST[engine], target), sanitized=_binary(SANITIZED, target),
                 work=build.BUILD / "fuzz-corpus" / target.name,
                 scratch=build.BUILD / "fuzz-work" / target.name, wrapper=wrapper)


class Job:
    """All targets of one run. The table shows what was done so far, however the run ends."""

    def __init__(self, terminal, chosen, arguments, wrapper):
        self._terminal, self._chosen, self._arguments = terminal, chosen, arguments
        self._wrapper = wrapper
        self.rows, self.found = [], []
        self._active = []
        # libFuzzer gets two processes for each target, if --jobs allows two.
        self._pair = arguments.engine == "libfuzzer" and arguments.jobs >= 2
        self._lanes = min(len(chosen), arguments.jobs // 2 if self._pair else arguments.jobs)

    def run(self):
        seconds = self._arguments.seconds * self._lanes / len(self._chosen)
        if seconds < LEAST_SECONDS:
            seconds = LEAST_SECONDS
            whole = seconds * -(-len(self._chosen) // self._lanes)
            self._terminal.line(f"each of the {len(self._chosen)} targets gets {seconds} s, the "
                                f"least: about {whole} s in all")
        waiting = list(self._chosen)
        with children.Children() as started:
            try:
                while waiting or self._active:
                    while waiting and len(self._active) < self._lanes:
                        target = waiting.pop(0)
                        self._active.append(Session(
                            target, tools_of(target, self._arguments.engine, self._wrapper),
                            seconds, started, engine=self._arguments.engine, pair=self._pair,
                            seed=self._arguments.seed))
                    self._step()
                    time.sleep(0.25)
            except BaseException:
                # What these sessions have run and found so far counts too, whatever ends the run.
                handlers = processes.ignore_signals()
                try:
                    for session in self._active:
                        self._take(session)
                    for session in self._active:
                        self._interrupt(session)
                finally:
                    processes.restore_signals(handlers)
                raise

    def _step(self):
        for session in list(self._active):
            goes_on = session.step()
            self._say_events(session)
            if not goes_on:
                self._finish(session)
        if self._active:
            self._terminal.progress(" | ".join(session.describe() for session in self._active))

    def _say_events(self, session):
        for event in session.events:
            self._terminal.line(self._terminal.bad(event))
        session.events.clear()

    def _interrupt(self, session):
        for role in (session.fast, session.sanitized, session.last):
            if role.child:
                role.child.end()
                for line in role.child.new_lines():
                    role.status.read(line)
                role.end(time.monotonic())
        self._keep(session)
        self._add_row(session)

    def _finish(self, session):
        # The findings are kept before anything that takes time. An interrupt must not lose them.
        self._keep(session)
        self._active.remove(session)
        self._add_row(session)
        for finding in session.findings.all:
            self._terminal.progress(f"{session.target.name}: making a finding smaller")
            findings.minimize(finding)
            self._write(session, finding)
        row = self.rows[-1]
        self._terminal.line(f"{row[0]:<20} {row[1]:>5} s  {row[2]:>7} executions  "
                            f"{row[5]:>13} edges  {row[7]:>6} inputs  {row[8]} findings")

    def _add_row(self, session):
        if session.begun is None:
            return
        work = session.tools.work
        files = sum(1 for _ in work.iterdir()) if work.is_dir() else 0
        self.rows.append(summary.row(session, time.monotonic() - session.begun, files))

    def _take(self, session):
        """Takes over the findings of a session, each once. They count even if their inputs can't be
        written."""
        known = [id(finding) for _, finding in self.found]
        self.found += [(session.target, finding) for finding in session.findings.all
                       if id(finding) not in known]

    def _keep(self, session):
        self._take(session)
        for finding in session.findings.all:
            self._write(session, finding)

    @staticmethod
    def _write(session, finding):
        findings.keep(finding, session.target, session.tools.scratch / "findings")

    def report_findings(self):
        for target, finding in self.found:
            self._terminal.line()
            self._terminal.line(self._terminal.bad(f"{target.name}: {finding.signature}"))
            for line in finding.output.splitlines():
                if line.startswith(("FINDING", "  input:", "  expected:", "  got:", "SUMMARY")) or (
                        "runtime error" in line or "ERROR: AddressSanitizer" in line):
                    self._terminal.line("  " + line[:200])
            kept = finding.replay if finding.path else "its input was not kept"
            self._terminal.line(f"  {finding.count} inputs showed it; the smallest, "
                                f"{len(finding.data)} bytes: {kept}")


def add_reference_targets(terminal, arguments, chosen):
    """Adds the targets that need the reference, if --reference asks for them, or with --all, but
    without --merge, if they can be built. If the caller has named such targets, adds none. Raises
    if targets that were asked for can't be built."""
    wanted = arguments.reference or any(target.is_reference for target in chosen)
    if not wanted and (not arguments.all or arguments.merge):
        return chosen
    lacking = reference.lacking()
    if lacking and wanted:
        raise targets.TargetError(f"no reference: {lacking}; {reference.ADVICE}")
    if lacking:
        terminal.line(f"without the reference: {lacking}; {reference.ADVICE}")
        return chosen
    if any(target.is_reference for target in chosen):
        return chosen
    return chosen + targets.reference_targets()


def list_targets(terminal):
    for target in targets.all_targets():
        note = " (not in --all)" if target.is_canary else ""
        terminal.line(f"{target.subject:<18} {target.about(80 - len(note))}{note}")
    lacking = reference.lacking()
    terminal.line()
    terminal.line(f"with the reference as their oracle: not here, {lacking}; {reference.ADVICE}"
                  if lacking else "with the reference as their oracle, by --reference:")
    for target in targets.reference_targets() if not lacking else ():
        terminal.line(f"{target.subject:<26} {target.about(72)}")


def build_all(terminal, chosen, engine, wrapper):
    names = [target.name for target in chosen]
    for preset in (FAST[engine], SANITIZED):
        build.configure(terminal, preset)
        build.build(terminal, preset, names, () if preset != SANITIZED else wrapper)


def _status(terminal, found, stopped, write):
    """Writes the files that the options name and returns the exit status. A finding decides it,
    whatever else went wrong; then what stopped the run, which is None if nothing did."""
    if stopped:
        terminal.line(f"fuzz: stopped by {stopped}")
    try:
        write()
    except (processes.Interrupted, build.BuildError, OSError) as reason:
        terminal.line(f"fuzz: could not write the table: {reason}")
        stopped = stopped or reason
    if found:
        return 1
    # An interrupt has an exit status of its own. If anything else failed, the status is 3.
    return getattr(stopped, "exit_status", 3) if stopped else 0


def batch(terminal, chosen, arguments):
    made, stopped = fuzz_batch.run(terminal, chosen, arguments.executions, arguments.seed)
    table = made.table()
    terminal.line()
    for line in report.as_text(table, terminal):
        terminal.line(line)

    def write():
        command, date = _command_and_date(arguments)
        _write_log(arguments.log, command, date, table)
        if arguments.markdown:
            fuzz_batch.document(table, command, date).write(arguments.markdown)

    return _status(terminal, any(row.finding for row in made.rows), stopped, write)


def _command_and_date(arguments):
    command = shlex.join(["./scripts/fuzz", *arguments.argv])
    return command, datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _write_log(path, command, date, made):
    if path:
        plain = Terminal(io.StringIO())
        lines = [f"{date}  {command}", *report.as_text(made, plain)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def fuzz(terminal, chosen, arguments):
    wrapper = sanitizer_wrapper()
    build_all(terminal, chosen, arguments.engine, wrapper)
    if arguments.merge:
        for target in chosen:
            merge.merge(terminal, target, tools_of(target, "libfuzzer", wrapper))
        return 0
    start = time.monotonic()
    job = Job(terminal, chosen, arguments, wrapper)
    stopped = None
    try:
        job.run()
    except BrokenPipeError:  # nobody reads the output any more
        raise
    except (processes.Interrupted, EngineError, targets.TargetError, OSError) as reason:
        stopped = reason
    seconds = time.monotonic() - start
    made = summary.table(job.rows, arguments.engine)
    terminal.line()
    for line in report.as_text(made, terminal):
        terminal.line(line)
    job.report_findings()

    def write():
        command, date = _command_and_date(arguments)
        _write_log(arguments.log, command, date, made)
        if arguments.markdown:
            summary.document(made, FAST[arguments.engine], command, date, seconds).write(
                arguments.markdown)

    return _status(terminal, job.found, stopped, write)


def _chosen(arguments):
    """The targets that the options name."""
    if arguments.all:
        return [target for target in targets.all_targets() if not target.is_canary]
    chosen = [targets.find(name) for name in arguments.target]
    for name, target in zip(arguments.target, chosen):
        if target is None:
            raise UsageError(f"there is no target {name}; --list shows them")
        if target.is_canary and arguments.merge:
            raise UsageError("the canary has no corpus")
        if target.is_reference and arguments.merge:
            raise UsageError(f"{name} has the corpus of {target.plain_name}: merge that")
    return chosen


def check_files(arguments):
    """Raises if a file that the options name can't be written: after the fuzzing it is too late for
    that. The folders of the files are made, the files stay as they are."""
    for path in (arguments.log, arguments.markdown,
                 arguments.markdown and arguments.markdown.with_suffix(".json")):
        if not path:
            continue
        try:
            documents.check_writable(path)
        except OSError as error:
            raise UsageError(f"can't write {path}: {error}") from error


def main(arguments):
    terminal = Terminal()
    if arguments.list:
        list_targets(terminal)
        return 0
    try:
        chosen = _chosen(arguments)
        check_files(arguments)
    except UsageError as error:
        print(f"scripts/fuzz: error: {error}", file=sys.stderr)
        return 2
    processes.raise_on_signals()
    start = time.monotonic()
    try:
        chosen = add_reference_targets(terminal, arguments, chosen)
        with contextlib.ExitStack() as stack:
            for name in sorted({target.name for target in chosen}):
                stack.enter_context(build.locked(terminal, f"fuzz-work/{name}"))
            status = (batch if arguments.executions else fuzz)(terminal, chosen, arguments)
    except processes.Interrupted as interrupted:
        terminal.line(f"fuzz: stopped by {interrupted}")
        return interrupted.exit_status
    except (build.BuildError, EngineError, targets.TargetError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        terminal.line(f"fuzz: could not run: {error}")
        return 3
    terminal.line(f"{duration(time.monotonic() - start)} in all")
    return status
