# SPDX-License-Identifier: Apache-2.0
"""Tells whether the tool runs in the project's tree or is installed, and what depends on this.

The tool's modules run in the project's own tree, started by scripts/perf, or are installed as the
package ffgrant-perf (scripts/packaging/ffgrant-perf). The two forms differ in the tool's name, in
the folder where it keeps files, and in how a user gets what is missing. Only in the tree does the
tool know how to build this project's revisions, and show all of this project's results.
"""

import os
from pathlib import Path

from jobs.common import places

_HERE = Path(__file__).resolve().parent
_TREE = _HERE.parents[2]
IN_TREE = (_TREE / "scripts" / "perf").is_file()
COMMAND = "./scripts/perf" if IN_TREE else "ffgrant-perf"  # as the reader types it
PROGRAM = "scripts/perf" if IN_TREE else "ffgrant-perf"  # as usage texts name it

# The folder of the history, which is a worktree of the branch perf-history. HISTORY_TEXT is its
# name for users.
HISTORY = places.BUILD / "perf" / "history" if IN_TREE else Path("perf-history")
HISTORY_TEXT = str(places.shown(HISTORY)) if IN_TREE else "perf-history, in this folder"
KERNEL_SOURCE = (_TREE / "bench" / "perf" if IN_TREE else _HERE) / "reference_kernel.cc"
# The git repository whose history of figures is kept: the project's own, or the one to which the
# current folder belongs.
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
    """The folder for files that can be made again: builds and the reference kernel.
    FFGRANT_PERF_CACHE can name another folder, and in the tree FFGRANT_BUILD_DIR can."""
    named = os.environ.get("FFGRANT_PERF_CACHE")
    if named:
        return Path(named).absolute()
    if IN_TREE:
        return places.BUILD / "perf"
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "ffgrant-perf"


def cache_folder(name):
    """The folder of this name in the cache, which is made if there is none. git ignores what is in
    it: a cache in the checkout, as in some CI, is no part of the working tree that is compared."""
    folder = cache() / name
    folder.mkdir(parents=True, exist_ok=True)
    ignored = folder / ".gitignore"
    if not ignored.is_file():
        ignored.write_text("*\n", encoding="ascii")
    return folder


def advice(what):
    """How a user gets what is missing, in a clause: 'scripts/bootstrap --for perf installs it'."""
    if IN_TREE:
        return f"scripts/bootstrap --for {_JOBS.get(what, 'perf')} installs it"
    return f"to get it: {_ADVICE.get(what, f'pipx inject ffgrant-perf {what}')}"
