# SPDX-License-Identifier: Apache-2.0
"""scripts/perf validate tells whether files are as scripts/perf writes them. The files are answers
and files of the history."""

import argparse
import json
from pathlib import Path

from jobs.common.terminal import Terminal
from jobs.perf import history_files, home, schema, statuses
from jobs.perf.error import PerfError


def _problems(path):
    """Texts that say what is wrong with a file; none if the file is as it has to be."""
    if path.suffix == ".jsonl":
        found = []
        history_files.read(path, found)
        return [str(problem) for problem in found]
    try:
        schema.check(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        return [f"{path}: {error.strerror}"]
    except RecursionError:
        return [f"{path}: too deeply nested"]
    except ValueError as error:
        return [f"{path}: {error}"]
    return []


def _files(path):
    return sorted(path.glob("**/*.jsonl")) if path.is_dir() else [path]


def main(argv):
    parser = argparse.ArgumentParser(
        prog=f"{home.PROGRAM} validate", allow_abbrev=False,
        description="Checks answers (what --json wrote) against their schema, and files of the "
                    "history (*.jsonl, or folders of them) against their form.",
        epilog="Exit status: 0 all are as they have to be; 2 one is not, or wrong usage.")
    parser.add_argument("files", metavar="FILE", type=Path, nargs="*")
    parser.add_argument("--schema", action="store_true", help="print the schema, and check nothing")
    arguments = parser.parse_args(argv)
    terminal = Terminal()
    if arguments.schema:
        terminal.line(schema.PATH.read_text(encoding="utf-8").rstrip())
        return statuses.CLEAN
    if not arguments.files:
        parser.error("a file is needed")
    files = [file for path in arguments.files for file in _files(path)]
    if not files:
        raise PerfError("the folders hold no *.jsonl")
    if any(path.suffix != ".jsonl" for path in files) and not schema.is_installed():
        raise PerfError(f"jsonschema is missing; {home.advice('jsonschema')}")
    problems = [problem for path in files for problem in _problems(path)]
    for text in problems:
        terminal.line(terminal.bad(text))
    terminal.line(f"{len(files)} files, {len(problems)} problems")
    return statuses.HARNESS_ERROR if problems else statuses.CLEAN
