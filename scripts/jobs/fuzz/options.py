# SPDX-License-Identifier: Apache-2.0
"""Reads the options of scripts/fuzz and scripts/ossfuzz-check."""

import os

from jobs.common import options

ENGINES = ("libfuzzer", "afl")
LEAST_SECONDS = 2  # for each target, however little --seconds gives to all
SANITIZERS = ("address", "undefined", "coverage", "memory")
_ABOUT = """\
A fast build (fuzz-fast) explores while a sanitized one (fuzz) fuzzes beside it on the
same working corpus, build/fuzz-corpus/TARGET, and so runs every input that the fast one
adds; at the end it runs the whole of it once more. Seeds are corpus/TARGET; options and
dictionary are fuzz/TARGET.options and .dict.

A finding is made small and written to corpus/TARGET/regressions/ (the canary's is not),
and the command that replays it is printed. Logs are in build/fuzz-work/TARGET."""

_ENDING = """\
Exit status: 0 nothing found; 1 findings, whatever else went wrong; 2 wrong usage, or a
file of --log or --markdown can't be written; 3 could not run; 128 + signal if
interrupted and nothing was found."""


def parser():
    made = options.Parser("fuzz", _ABOUT, _ENDING)
    made.add_argument("target", metavar="TARGET", nargs="*",
                      help="a target by its subject, as in --list")
    made.flag("--list", "print the targets and their subjects")
    made.flag("--all", "all targets but the canary, whose fault must be found:  "
              "scripts/fuzz canary")
    made.flag("--reference", "the targets whose oracle is FlowFabric's own code; --all has them "
              "too if Rust is there:  scripts/bootstrap --with-reference")
    made.option("--executions", "N", "run each target N times (such as 1e9) by its replay main: "
                "no engine, mutators only, one process at low priority; --seed repeats a run",
                options.count, default=0)
    made.option("--seconds", "N", "seconds of the clock in all, shared evenly by the targets "
                f"(60); a target gets {LEAST_SECONDS} s at least, so many targets may take longer",
                options.seconds, default=60)
    made.choice("--engine", ENGINES, "libfuzzer (default) or afl: AFL++ explores, the sanitized "
                "build judges", default="libfuzzer")
    made.option("--seed", "N", "repeats a run as far as two processes allow; 0 (default): another "
                "seed each time", options.natural, default=0)
    made.option("--jobs", "N", "processes at once (number of cores). With libFuzzer a target "
                "takes two; with --jobs 1 its two builds take turns, for two thirds and one third "
                "of the time",
                options.positive, default=len(os.sched_getaffinity(0)))
    made.option("--log", "FILE", "write the table to FILE too", options.path)
    made.option("--markdown", "FILE", "write the table with machine and toolchain to FILE, and "
                "the same as .json beside it", options.path)
    made.flag("--merge", "fuzz nothing; add the inputs of the working corpus that reach more to "
              "corpus/TARGET, at most 40 small files; files that people named, and folders, stay "
              "as they are")
    return made


def parse(argv):
    made = parser()
    found = made.parse_args(argv)
    if not found.list and bool(found.target) + found.all + found.reference != 1:
        made.error("name targets, or --all, or --reference")
    if found.executions and (found.merge or found.engine != "libfuzzer"):
        made.error("--executions goes without an engine and without --merge")
    return found, options.Start("fuzz",
                                ("fuzz-afl" if found.engine == "afl" else "fuzz",))


_OSSFUZZ_ABOUT = """\
Checks the files of fuzz/oss-fuzz as OSS-Fuzz's presubmit would, runs its build.sh with
the environment that OSS-Fuzz sets up for each sanitizer, then checks every target: name,
architecture, instrumentation, start, seed corpus, dictionary, options, libraries, no
writes outside /tmp. A local clang stands in for theirs, and the system's libstdc++ for
their libc++ where none for C++20 is installed.

MemorySanitizer needs a standard library that is instrumented, as OSS-Fuzz has it and
Debian has not: what --sanitizer memory reports here may be that library's."""

_OSSFUZZ_ENDING = """\
Exit status: 0 all targets pass; 1 one does not; 2 wrong usage; 3 could not build."""


def ossfuzz_parser():
    made = options.Parser("ossfuzz-check", _OSSFUZZ_ABOUT, _OSSFUZZ_ENDING)
    made.choice("--sanitizer", SANITIZERS, "only this one; may be repeated (all but memory)",
                action="append")
    made.option("--clang", "VERSION", "default: the version that scripts/bootstrap --clang "
                "prints; 19 with libc++-19-dev is closer to OSS-Fuzz's", options.positive)
    return made


def parse_ossfuzz(argv):
    return ossfuzz_parser().parse_args(argv), options.Start("ossfuzz-check", ("fuzz",))
