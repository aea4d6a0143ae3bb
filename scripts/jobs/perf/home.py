# SPDX-License-Identifier: Apache-2.0
"""Where the tool runs, and what follows from it.

These modules run in the project's own tree, behind scripts/perf, or were installed as the package
ffgrant-perf (scripts/packaging/ffgrant-perf). The two differ in the tool's name, in where it keeps
things, and in how a user gets what is missing; in nothing else.
"""

import os
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_TREE = _HERE.parents[2]
IN_TREE = (_TREE / "scripts" / "perf").is_file()
COMMAND = "./scripts/perf" if IN_TREE else "ffgrant-perf"  # as the reader types it
PROGRAM = "scripts/perf" if IN_TREE else "ffgrant-perf"  # as usage texts name it

# The folder of the history, which is a worktree of the branch perf-history. As users read it, it is
# HISTORY_TEXT.
HISTORY = _TREE / "build" / "perf" / "history" if IN_TREE else Path("perf-history")
HISTORY_TEXT = "build/perf/history" if IN_TREE else "perf-history, in this folder"
KERNEL_SOURCE = (_TREE / "bench" / "perf" if IN_TREE else _HERE) / "reference_kernel.cc"
# The repository whose history is kept: the project's own, or the one that the user stands in.
REPOSITORY = _TREE if IN_TREE else Path(".")

_JOBS = {"scipy": "compare", "statsmodels": "compare", "valgrind": "counts", "kernel": "record",
         "otava": "perf", "plots": "perf", "jsonschema": "test"}
_ADVICE = {
    "valgrind": "install the package valgrind of your system",
    "kernel": "install g++ and Google Benchmark's development files (Debian, Ubuntu: g++ "
              "libbenchmark-dev)",
    "otava": "pipx runpip ffgrant-perf install --no-deps apache-otava==0.8.0",
    "plots": "pipx inject ffgrant-perf matplotlib jinja2 markdown-it-py",
    "jsonschema": "pipx inject ffgrant-perf jsonschema",
}


def cache():
    """The folder for what can be made again: builds and the reference kernel. FFGRANT_PERF_CACHE
    names another one."""
    named = os.environ.get("FFGRANT_PERF_CACHE")
    if named:
        return Path(named).absolute()
    if IN_TREE:
        return _TREE / "build" / "perf"
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "ffgrant-perf"


def advice(what):
    """How a user gets what is missing, in a clause: 'scripts/bootstrap --for perf installs it'."""
    if IN_TREE:
        return f"scripts/bootstrap --for {_JOBS.get(what, 'perf')} installs it"
    return f"to get it: {_ADVICE.get(what, f'pipx inject ffgrant-perf {what}')}"
