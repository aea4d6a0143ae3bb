# SPDX-License-Identifier: Apache-2.0
"""Reads the options of scripts/coverage."""

from jobs.common import build, options

_ABOUT = """\
Builds with clang 19, runs the tests, then the replay of the fuzz corpora, and prints
line, branch and MC/DC coverage of core, a row for each file, for the two apart and together.
Writes results/coverage.md with its JSON, and annotated sources to
build/coverage/html/{tests,corpora}/index.html.

Comments can say why code is never reached (CONTRIBUTING.md, "Coverage")."""

_ENDING = """\
Exit status: 0 all but what such comments excuse is covered; 1 something isn't, be it
a source that no test has in its program, a comment is wrong, or the build or a test
failed; 2 wrong usage."""


def parser():
    made = options.Parser("coverage", _ABOUT, _ENDING)
    made.flag("--tests-only", "without the fuzz corpora; writes no results/coverage.md")
    made.flag("--uncovered", "also print every line, branch and condition that is not covered")
    made.option("--out", "FILE", "write FILE in place of results/coverage.md", options.path,
                default=build.results_directory() / "coverage.md")
    return made


def parse(argv):
    return parser().parse_args(argv), options.Start("coverage", ("coverage",), unready=1,
                                                    at_root=True)
