# SPDX-License-Identifier: Apache-2.0
"""Reads the options of scripts/test."""

from jobs.common import options

_ABOUT = """\
Builds and runs all tests: those of the scripts, of core with gcc and under clang's
sanitizers, the conformance vectors, the claim scenarios on real servers, the installed package, the
benchmarks' own checks and a short run of every fuzz target. Prints a line for each step; the
last line is "N passed, N failed"."""

_ENDING = """\
Exit status: 0 only if N failed is 0. A step that runs no test fails, unless what it needs
is not here; then it says what is missing, as a test does that is left out."""


def parser():
    made = options.Parser("test", _ABOUT, _ENDING)
    made.flag("--long", "also all tests with clang, shared libraries, the exhaustive tests in "
              "full (an hour), the peers' benchmarks, all odd programs of scripts/perf, and "
              "FlowFabric's own server where it is built (scripts/flowfabric-server --build), "
              "which a fleet of Rust and C++ workers then uses too")
    return made


def parse(argv):
    # The tests of scripts/perf need SciPy.
    return parser().parse_args(argv), options.Start("test", ("test",), scipy=True,
                                                    unready=1, at_root=True)
