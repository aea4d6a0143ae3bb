# SPDX-License-Identifier: Apache-2.0
"""Plays odd programs for the tests of scripts/perf, as odd.cc does, but with the versions of Google
Benchmark that PyPI has as wheels. ODD_WHEELS names the folders of the wheels. The programs set
their times by hand."""

import contextlib
import ctypes
import os
import sys

for folder in os.environ["ODD_WHEELS"].split(os.pathsep):
    sys.path.insert(0, folder)

import google_benchmark as benchmark  # noqa: E402 (after its folder is known)

_KIND = os.environ.get("ODD", "plain")
_SECONDS = float(os.environ.get("ODD_NS", "10000")) * 1e-9


def claim(seconds=_SECONDS):
    """A function that claims to take this long."""
    def function(state):
        while state:
            state.set_iteration_time(seconds)
    return function


def add(name, function=None, option=None):
    made = benchmark.option.use_manual_time()(function or claim())
    benchmark.register(option(made) if option else made, name=name)


def fails(state):
    state.skip_with_error("no memory")
    while state:
        state.set_iteration_time(_SECONDS)


def dies(_state):
    os.abort()


if _KIND == "names":
    for each in ("BM_fill<int[16]>", "BM_{x}", 'BM_"q"', "BM_größe", "BM_a\\b", "BM_a|b"):
        add(each)
elif _KIND == "twice":
    add("BM_a", claim(5e-6))
    add("BM_a")
elif _KIND == "error":
    add("BM_a")
    add("BM_bad", fails)
elif _KIND == "crash":
    add("BM_a")
    add("BM_bad", dies)
elif _KIND == "good for bad":
    add("BM_a")
    add("BM_bad")
elif _KIND == "aggregates":
    add("BM_a", None, lambda made: benchmark.option.report_aggregates_only(True)(
        benchmark.option.repetitions(5)(made)))
elif _KIND == "log":
    print("BM_not_a_benchmark\n[info] {x}", flush=True)
    add("BM_a")
else:
    add("BM_a")
    add("BM_b/8")

if __name__ == "__main__":
    with contextlib.suppress(SystemExit):
        benchmark.main()
    # With versions before 1.7 a program aborts if the interpreter ends by itself, so this program
    # ends by _exit(). A mere _exit() would lose what C and C++ have not written yet, so their
    # output is written first.
    sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)
    os._exit(0)
