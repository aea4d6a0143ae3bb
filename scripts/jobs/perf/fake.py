# SPDX-License-Identifier: Apache-2.0
"""Makes, for tests, shell scripts that do what scripts/perf expects of a Google Benchmark program,
and a repository in place of the project's."""

import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.common import build
from jobs.perf import revisions
from jobs.perf.samples import Program

_SCRIPT = r"""#!/bin/sh
out= filter=
for argument in "$@"; do
  case $argument in
    --benchmark_list_tests=true) list=1 ;;
    --benchmark_filter=*) filter=${argument#*=} ;;
    --benchmark_out=*) out=${argument#*=} ;;
  esac
done
without=
case $filter in -*) without=-v filter=${filter#-} ;; esac
names=$(printf '%s\n' NAMES | grep -E $without -- "$filter")
if [ "$list" ]; then printf '%s\n' "$names"; exit; fi
echo "$0 $*" >>LOG
separator=
{
  printf '{"context": {"num_cpus": 2, "library_build_type": "release"}, "benchmarks": ['
  for name in $names; do
    printf '%s{"name": "%s", "run_type": "iteration", "cpu_time": TIME, "real_time": TIME,' \
      "$separator" "$name"
    printf ' "time_unit": "ns", "threads": 1, "iterations": 100}'
    separator=,
  done
  printf ']}'
} >"$out"
EXTRA
"""


def program(path, names=("BM_A", "BM_B/1"), nanoseconds=10.0, extra=""):
    """Makes a program at `path` that claims to have taken `nanoseconds`. path.log has the command
    line of each start that measures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _SCRIPT.replace("NAMES", " ".join(f"'{name}'" for name in names))
    text = text.replace("TIME", str(nanoseconds)).replace("LOG", f"'{path}.log'")
    path.write_text(text.replace("EXTRA", extra), encoding="utf-8")
    path.chmod(0o755)
    return Program(path)


def starts(made):
    """The command lines of all starts in which a program, or a copy of the program, measured."""
    try:
        with open(f"{made.path}.log", encoding="utf-8") as log:
            return log.read().splitlines()
    except FileNotFoundError:
        return []


class RepositoryCase(unittest.TestCase):
    """A test with a new repository in place of the project's, on branch main."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name) / "repository"
        self.root.mkdir()
        self.replace(build, "ROOT", self.root)
        self.replace(revisions, "PERF", self.root / "build" / "perf")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "x")
        self.git("config", "user.email", "x@example.org")

    def replace(self, target, name, value):
        patch = mock.patch.object(target, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def git(self, *words):
        return subprocess.run(["git", *words], cwd=self.root, check=True, text=True,
                              capture_output=True).stdout.strip()
