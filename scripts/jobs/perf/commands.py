# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of scripts/perf. Each command is a module with a function main(argv). argv does
not hold the command's name.

main returns the exit status (scripts/perf --help). If main raises an exception instead, this module
handles the failure for all commands: the status is 2, or 128 + the signal after an interrupt. The
files of --json and --markdown, for commands that have these options, say why. SystemExit and
BrokenPipeError go on to run()'s caller.
"""

import argparse
import contextlib
import datetime
import importlib
import shlex
import sys
import traceback
from pathlib import Path

from jobs.common import processes
from jobs.perf import home
from jobs.perf.error import PerfError
from jobs.perf.statuses import (  # noqa: F401
    CLEAN,
    HARNESS_ERROR,
    INCONCLUSIVE,
    REGRESSION,
    SUSPICION,
)

COMMANDS = {
    "gate": "jobs.perf.gate",
    "counts": "jobs.perf.counts",
    "record": "jobs.perf.record",
    "trend": "jobs.perf.trend",
    "history": "jobs.perf.history",
    "baseline": "jobs.perf.baseline",
    "bisect": "jobs.perf.bisect",
    "selftest": "jobs.perf.selftest",
    "validate": "jobs.perf.validate",
}
_LANES = {"gate": "time"}
# The packages for statistics, and the commands that need them. A command imports a package only
# where it first needs it, so that --help needs no package. But a missing one of these packages is
# found before anything is measured.
_STATISTICS = ("scipy.stats", "statsmodels.stats.multitest")
_NEEDS = dict.fromkeys(("gate", "counts", "record", "trend", "selftest"), _STATISTICS)


def _files(argv):
    """The files that --json and --markdown name."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    with contextlib.redirect_stderr(None), contextlib.suppress(SystemExit):
        found, _ = parser.parse_known_args(argv)
        return found.json, found.markdown
    return None, None


def _tell(command, argv, text, status=HARNESS_ERROR):
    """Says, on stderr and in the caller's files, why there is no answer. status: the exit status
    that follows."""
    print(f"perf {command}: {text}", file=sys.stderr)
    if command not in ("gate", "counts", "record", "trend"):
        return
    try:
        from jobs.perf import answer, answer_text, gate  # these modules may lack a package, too
        json_file, markdown = _files(argv)
        if json_file:
            gate.write_json(json_file, answer.error_document(
                _LANES.get(command, command), shlex.join([home.COMMAND, command, *argv]),
                datetime.datetime.now(datetime.timezone.utc), text, status))
        if markdown:
            gate.write(markdown, answer_text.error_markdown(command, text))
    except Exception as error:  # pylint: disable=broad-except
        print(f"perf {command}: this answer could not be written either: {error}", file=sys.stderr)


def run(argv, commands=None):
    """Runs a command and returns its exit status. commands: name -> module, in place of
    COMMANDS."""
    commands = COMMANDS if commands is None else commands
    if not argv or argv[0] not in commands:
        print(f"perf: one of {', '.join(commands)} is needed", file=sys.stderr)
        return HARNESS_ERROR
    command, rest = argv[0], argv[1:]
    processes.raise_on_signals()
    try:
        if not any(argument in ("-h", "--help") for argument in rest):
            for module in _NEEDS.get(command, ()):
                importlib.import_module(module)
        return importlib.import_module(commands[command]).main(rest)
    except processes.Interrupted as interrupted:
        _tell(command, rest, f"stopped by {interrupted}", interrupted.exit_status)
        return interrupted.exit_status
    except SystemExit as stop:
        if stop.code not in (0, None):
            _tell(command, rest, "the command line is wrong, see above")
        raise
    except PerfError as error:
        _tell(command, rest, str(error))
    except BrokenPipeError:
        raise
    except OSError as error:  # no room, no right, no such folder
        _tell(command, rest, str(error))
    except ImportError as error:
        what = (error.name or "").partition(".")[0]
        group = "plots" if what in ("matplotlib", "jinja2", "markdown_it") else what
        _tell(command, rest, f"{error}; {home.advice(group)}")
    except Exception as error:  # pylint: disable=broad-except
        name = type(error).__name__
        if name == "BuildError":
            _tell(command, rest, f"{error} failed")
        else:
            _tell(command, rest, f"it broke: {name}: {error}\n{traceback.format_exc()}")
    return HARNESS_ERROR
