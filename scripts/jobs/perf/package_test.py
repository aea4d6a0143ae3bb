# SPDX-License-Identifier: Apache-2.0
"""Tests the package ffgrant-perf: what is in it, and that it says what scripts/perf says."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path

from jobs.perf import fake, schema

_SCRIPTS = Path(__file__).resolve().parents[2]
_FOLDER = _SCRIPTS / "packaging" / "ffgrant-perf"
# Modules that are imported only inside of functions, for this project's own revisions.
_OF_THE_TREE = {"jobs.perf.revisions", "jobs.perf.baseline", "jobs.bench.job", "jobs.bench"}


def _backend():
    specification = importlib.util.spec_from_file_location("backend", _FOLDER / "backend.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _imports(tree, packaged):
    """Yields the modules of jobs that a source imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("jobs."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jobs"):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                is_module = name in packaged or name in _OF_THE_TREE
                yield name if is_module or node.module.count(".") < 2 else node.module


class ContentsTest(unittest.TestCase):
    def setUp(self):
        self.sources = _backend().sources()

    def test_has_what_it_imports_and_nothing_of_the_build(self):
        packaged = {"jobs." + name[:-3].replace("/", ".").removesuffix(".__init__")
                    for name in self.sources if name.endswith(".py")}
        self.assertIn("jobs.perf.gate", packaged)
        self.assertFalse(packaged & _OF_THE_TREE)
        self.assertFalse([name for name in self.sources if name.endswith("_test.py")])
        for name, data in self.sources.items():
            if not name.endswith(".py"):
                continue
            tree = ast.parse(data, feature_version=(3, 10))
            lacking = set(_imports(tree, packaged)) - packaged
            self.assertLessEqual(lacking, _OF_THE_TREE, name)
            outside = {found for node in tree.body for found in _imports(node, packaged)
                       if isinstance(node, (ast.Import, ast.ImportFrom))}
            self.assertLessEqual(outside, packaged, f"{name}, when it is imported")

    def test_has_the_project_s_version(self):
        project = (_SCRIPTS.parent / "CMakeLists.txt").read_text(encoding="utf-8")
        version = re.search(r"project\(ffgrant VERSION (\S+)", project)[1]
        self.assertIn(f'version = "{version}"',
                      (_FOLDER / "pyproject.toml").read_text(encoding="utf-8"))

    def test_has_the_data_that_it_reads(self):
        self.assertLessEqual({"perf/answer.schema.json", "perf/reference_kernel.cc",
                              "page/page.html", "page/page.css", "page/page.js"},
                             set(self.sources))

    def test_archives_are_the_same_each_time_and_hold_the_same(self):
        backend = _backend()
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for name in ("one", "two"):
                (folder / name).mkdir()
                wheel = backend.build_wheel(folder / name)
            self.assertEqual((folder / "one" / wheel).read_bytes(),
                             (folder / "two" / wheel).read_bytes())
            with zipfile.ZipFile(folder / "one" / wheel) as archive:
                self.assertFalse([name for name in archive.namelist()
                                  if not name.startswith("ffgrant_perf")])
            made = [folder / name / backend.build_sdist(folder / name) for name in ("one", "two")]
            self.assertEqual(made[0].read_bytes(), made[1].read_bytes())
            with tarfile.open(made[0]) as archive:
                archive.extractall(folder)
            unpacked = next(path for path in folder.glob("ffgrant_perf-*") if path.is_dir())
            again = subprocess.run(
                [sys.executable, "-c", "import backend; print(backend.build_wheel('.'))"],
                cwd=unpacked, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
            self.assertEqual((unpacked / again).read_bytes(),
                             (folder / "one" / wheel).read_bytes())


class InstalledTest(unittest.TestCase):
    """Installs the package from its folder into an environment of its own. The packages for
    statistics come from this Python, so that no network is needed."""

    @classmethod
    def setUpClass(cls):
        cls._temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._temporary.cleanup)
        cls.folder = Path(cls._temporary.name)
        venv = cls.folder / "venv"
        for command in ([sys.executable, "-m", "venv", "--system-site-packages", str(venv)],
                        [str(venv / "bin" / "python3"), "-m", "pip", "install", "--quiet",
                         "--disable-pip-version-check", "--no-index", "--no-deps", str(_FOLDER)]):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False, cwd=cls.folder)
            if done.returncode and ("No module named" in done.stdout
                                    or "ensurepip" in done.stdout):
                raise unittest.SkipTest("no venv or pip: the package was not installed on trial")
            if done.returncode:
                raise AssertionError(done.stdout)
        cls.tool = venv / "bin" / "ffgrant-perf"
        cls.base = fake.program(cls.folder / "old" / "bench", nanoseconds=100.0).path
        cls.head = fake.program(cls.folder / "new" / "bench", nanoseconds=130.0).path

    def run_tool(self, command, *argv, cwd=None):
        """Runs the tool; returns (exit status, what it printed). The environment knows nothing of
        this project."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = subprocess.run([*command, *map(str, argv)], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              cwd=cwd or self.folder, env=kept)
        return done.returncode, done.stdout

    def answer(self, command, *argv):
        target = self.folder / "answer.json"
        target.unlink(missing_ok=True)
        status, output = self.run_tool(command, *argv, "--json", target)
        document = json.loads(target.read_text(encoding="utf-8"))
        schema.check(document)
        return status, document, output

    def test_says_what_the_tree_s_own_says(self):
        in_tree = [sys.executable, str(_SCRIPTS / "jobs" / "perf" / "__main__.py")]
        for argv in ((self.base, self.head), (self.base, self.base), (self.head, self.base),
                     (self.base, self.folder / "none")):
            answers = []
            for command in ([str(self.tool)], in_tree):
                status, document, _ = self.answer(command, "gate", *argv, "--seed", "1")
                for field in ("date", "seconds", "command", "conditions", "settling_budget"):
                    document.pop(field, None)
                answers.append((status, document))
            self.assertEqual(answers[0], answers[1])

    def test_finds_the_slowdown_and_names_itself(self):
        status, document, output = self.answer([str(self.tool)], "gate", self.base, self.head)
        self.assertEqual((status, document["verdict"]), (1, "regressed"), output)
        self.assertTrue(document["command"].startswith("ffgrant-perf gate "))

    def test_usage(self):
        self.assertEqual(self.run_tool([self.tool], "--help")[0], 0)
        self.assertRegex(self.run_tool([self.tool], "--version")[1], r"^ffgrant-perf \d")
        self.assertEqual(self.run_tool([self.tool])[0], 2)
        self.assertEqual(self.run_tool([self.tool], "selftest")[0], 2)
        status, output = self.run_tool([self.tool], "gate")
        self.assertEqual(status, 2)
        self.assertIn("two programs are needed", output)
        for command in ("gate", "counts", "record", "trend", "history", "validate"):
            status, output = self.run_tool([self.tool], command, "--help")
            self.assertEqual(status, 0, output)
            self.assertNotIn("scripts/", output, command)

    def test_validates_its_own_answer(self):
        self.answer([str(self.tool)], "gate", self.base, self.base)
        status, output = self.run_tool([self.tool], "validate", self.folder / "answer.json")
        self.assertEqual(status, 0 if schema.is_installed() else 2, output)
        (self.folder / "broken.json").write_text("{}", encoding="utf-8")
        self.assertEqual(self.run_tool([self.tool], "validate", self.folder / "broken.json")[0], 2)

    def test_an_empty_history_is_none(self):
        status, output = self.run_tool([self.tool], "trend")
        self.assertEqual(status, 0, output)
        self.assertIn("ffgrant-perf record", output)


if __name__ == "__main__":
    unittest.main()
