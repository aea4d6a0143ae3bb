# SPDX-License-Identifier: Apache-2.0
"""Starts a script: reads its options, installs what it needs, and runs its job.

jobs/run SCRIPT ARGUMENT... starts this program. For every script but perf, the program then starts
itself once more, with --ready, in the Python in which the job has to run.
"""

import importlib
import os
import subprocess
import sys

_JOBS = os.path.dirname(os.path.abspath(__file__))
_SCRIPTS = os.path.dirname(_JOBS)
sys.path[:] = [_SCRIPTS, *(path for path in sys.path if os.path.abspath(path or ".") != _JOBS)]

from jobs.common.terminal import run_main  # noqa: E402 (after the path is right)

# Script -> the function that reads its options.
OPTIONS = {
    "bench": "jobs.bench.options:parse",
    "claim-server": "jobs.server.options:parse_claim_server",
    "claims-conformance": "jobs.claims.options:parse_conformance",
    "claims-faults": "jobs.claims.options:parse_faults",
    "conformance": "jobs.claims.options:parse_vectors",
    "coverage": "jobs.coverage.options:parse",
    "flowfabric-server": "jobs.server.options:parse_flowfabric",
    "fuzz": "jobs.fuzz.options:parse",
    "live-conformance": "jobs.live.options:parse",
    "live-fleet": "jobs.live.options:parse_fleet",
    "make-vectors": "jobs.claims.options:parse_make_vectors",
    "mutants": "jobs.mutants.options:parse",
    "ossfuzz-check": "jobs.fuzz.options:parse_ossfuzz",
    "test": "jobs.checks.options:parse",
}
# A job's name, as in options.Start -> the function that does the job and returns the exit status.
JOBS = {
    "bench": "jobs.bench.job:main",
    "bench-flowfabric": "jobs.live.load_job:main",
    "bench-server": "jobs.server.job:main",
    "claim-server": "jobs.server.command:main",
    "claims-conformance": "jobs.claims.conformance:main",
    "claims-faults": "jobs.claims.faults:main",
    "conformance": "jobs.claims.vectors:main",
    "coverage": "jobs.coverage.job:main",
    "flowfabric-server": "jobs.server.flowfabric_command:main",
    "fuzz": "jobs.fuzz.job:main",
    "live-conformance": "jobs.live.job:main",
    "live-fleet": "jobs.live.fleet:main",
    "make-vectors": "jobs.claims.vectors:make",
    "mutants": "jobs.mutants.job:main",
    "mutants-by-hand": "jobs.mutants.by_hand:main",
    "ossfuzz-check": "jobs.fuzz.ossfuzz:main",
    "test": "jobs.checks.job:main",
}


def function(name):
    """Imports the module that a text "module:name" names, and returns its function."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _bootstrap(*arguments, **more):
    return subprocess.run([os.path.join(_SCRIPTS, "bootstrap"), *arguments], text=True,
                          check=False, **more)


def _python():
    """The Python that bootstrap names: one that can import SciPy and statsmodels, else python3. If
    bootstrap fails, this Python."""
    return _bootstrap("--python", stdout=subprocess.PIPE).stdout.strip() or sys.executable


def prepare(name, argv):
    """Installs what the job needs, and starts the job in the Python in which it has to run. Returns
    only if the installation fails."""
    _, start = function(OPTIONS[name])(argv)
    for job in start.needs:
        # Bootstrap's output goes to standard error, because it is not the job's output.
        if _bootstrap("--for", *job.split(), stdout=2).returncode:
            return start.unready
    python = _python() if start.scipy else sys.executable
    return os.execvp(python, [python, os.path.abspath(__file__), "--ready", name, *argv])


def run(name, argv):
    arguments, start = function(OPTIONS[name])(argv)
    arguments.argv = argv
    if start.at_root:
        os.chdir(os.path.dirname(_SCRIPTS))
    return function(JOBS[start.job])(arguments)


def perf(argv):
    """Does for scripts/perf what prepare() does for each other script. The commands of scripts/perf
    read their options themselves, because a package ships them without this module."""
    start = importlib.import_module("jobs.perf.start")
    status = start.wrong(argv)
    if status is not None:
        return status
    job = start.needs(argv)
    if job and _bootstrap("--for", job, stdout=2).returncode:
        return 2
    package = "page" if argv[0] == "report" else "perf"
    python = _python()
    return os.execvp(python, [python, os.path.join(_JOBS, package, "__main__.py"), *argv])


def main(argv):
    ready = argv[:1] == ["--ready"]
    name, *rest = argv[ready:] or [""]
    if name not in OPTIONS and name != "perf":
        print(f"jobs: one of {', '.join(OPTIONS)}, perf is needed", file=sys.stderr)
        return 2
    try:
        if name == "perf":
            return perf(rest)
        return run(name, rest) if ready else prepare(name, rest)
    except KeyboardInterrupt:  # the interrupt came before the job set its signal handlers
        return 130


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(run_main(lambda: main(sys.argv[1:])))
