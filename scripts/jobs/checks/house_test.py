# SPDX-License-Identifier: Apache-2.0
"""Tests rules that no compiler knows: above all which folder of core may include which other
folder, and which package of scripts/jobs may import which other package."""

import ast
import re
import subprocess
import unittest

from jobs.common import build

CORE = build.ROOT / "core"
JOBS = build.ROOT / "scripts" / "jobs"

# The rooms of core/ffgrant: a file may include its own room and the rooms named before it.
_ROOMS = ("text", "json", "claims", "valkey", "http", "deployment")

# The floors of scripts/jobs, lowest first: a package imports only itself and packages of lower
# floors.
_FLOORS = (
    {"common"},
    {"bench", "coverage", "fuzz", "server"},
    {"perf", "mutants", "claims", "live", "checks"},
    {"page"},
)


def _includes(path):
    return re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(encoding="utf-8"),
                      re.MULTILINE)


def room_of(include):
    """The room of core/ffgrant that an include path such as ffgrant/json/x.h names."""
    parts = include.split("/")
    return parts[1] if len(parts) > 2 and parts[1] in _ROOMS else "text"


def wrong_includes(path, includes):
    """Returns those of `includes` that the file at `path` must not have. The path is relative to
    core/ffgrant."""
    wrong = []
    is_test = path.endswith("_test.cc")
    room = _ROOMS.index(room_of(f"ffgrant/{path}"))
    for include in includes:
        if include.startswith("ffgrant/"):
            if not is_test and _ROOMS.index(room_of(include)) > room:
                wrong.append(include)
        elif not (is_test and include.startswith("testing/")):
            wrong.append(include)
    return wrong


# The oracles of the claim path, which must not depend on each other. One exception is by design:
# the search for an order of calls searches over the model.
_ORACLES = ("model/model_ledger", "model/lease_observer", "model/linearizability",
            "scenarios/expected")
_BY_DESIGN = {"model/linearizability": {"model/model_ledger"}}


def oracles_of(path, includes):
    """The oracles that a file below core/testing includes, less its own and those of _BY_DESIGN.
    The path is relative to core/testing."""
    own = next((oracle for oracle in _ORACLES if path.startswith(oracle)), None)
    found = {oracle for oracle in _ORACLES for include in includes
             if include.startswith(f"testing/{oracle}")}
    return found - {own} - _BY_DESIGN.get(own, set())


# These functions and classes of the C and C++ libraries read and write texts by the locale of the
# process, which an embedding program may have changed. Functions such as strtod_l take a locale and
# are no match.
_BY_LOCALE = re.compile(
    r"\b(strto(d|f|ld|u?ll?)|sto(d|f|ld|i|u?ll?)|ato(f|i|ll?)|sscanf|v?s?n?printf|setlocale|"
    r"is(alnum|alpha|blank|cntrl|digit|graph|lower|print|punct|space|upper|xdigit)|"
    r"to(lower|upper)|strcoll)\(|\b([io]?stringstream)\b")


def calls_by_locale(text):
    """The functions and classes that a source uses and that depend on the locale of the process."""
    code = re.sub(r"//[^\n]*", "", text)
    return [match[0].rstrip("(") for match in _BY_LOCALE.finditer(code)]


def floor_of(package):
    return next(number for number, floor in enumerate(_FLOORS) if package in floor)


def wrong_imports(package, imported):
    """The packages of `imported`, other than `package`, that stand on its floor or a higher one."""
    return [name for name in imported
            if name != package and floor_of(name) >= floor_of(package)]


def _imported_packages(text):
    """The packages of jobs that a module's source imports, also inside functions. A package counts
    too if a text in the source names a module of it, since other code imports modules by such
    texts."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = re.fullmatch(r"jobs\.([a-z_]+)\.[a-z_.]+", node.value)
            found |= {named[1]} if named else set()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("jobs.")}
    return found


def _tracked(folder, pattern):
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "."], cwd=folder,
                            capture_output=True, text=True, check=False)
    files = ([folder / name for name in listed.stdout.splitlines()] if listed.returncode == 0
             else sorted(folder.rglob("*")))
    return [path for path in files if path.is_file() and re.search(pattern, path.name)]


class CoreTest(unittest.TestCase):
    def test_the_product_includes_neither_its_judges_nor_a_room_above(self):
        files = _tracked(CORE / "ffgrant", r"\.(h|cc)$")
        self.assertGreater(len(files), 150)
        for path in files:
            relative = path.relative_to(CORE / "ffgrant").as_posix()
            self.assertEqual(wrong_includes(relative, _includes(path)), [], relative)

    def test_the_product_reads_and_writes_by_no_locale(self):
        for path in _tracked(CORE / "ffgrant", r"(?<!_test)\.(h|cc)$"):
            self.assertEqual(calls_by_locale(path.read_text(encoding="utf-8")), [], path.name)
        self.assertEqual(calls_by_locale("x = std::strtod(p, &q); // isspace(c)\nstrtod_l(p, l);"),
                         ["strtod"])
        self.assertEqual(calls_by_locale("std::isspace(c) || tolower(c)"), ["isspace", "tolower"])
        self.assertEqual(calls_by_locale("std::ostringstream out;"), ["ostringstream"])

    def test_every_source_stands_in_one_of_the_two_rooms(self):
        rooms = {path.relative_to(CORE).parts[0] for path in _tracked(CORE, r"\.(h|cc|lua|rs)$")}
        self.assertLessEqual(rooms, {"ffgrant", "testing", "examples"})

    def test_calls_lean_on_no_oracle_and_no_oracle_on_another(self):
        judged = [path for path in _tracked(CORE / "testing", r"\.(h|cc)$")
                  if path.parent.name == "calls" or
                  (path.relative_to(CORE / "testing").as_posix().startswith(_ORACLES) and
                   not path.stem.endswith("_test"))]
        self.assertGreater(len(judged), 15)
        for path in judged:
            relative = path.relative_to(CORE / "testing").as_posix()
            self.assertEqual(oracles_of(relative, _includes(path)), set(), relative)
        self.assertEqual(oracles_of("calls/make.h", ["testing/model/model_ledger.h"]),
                         {"model/model_ledger"})
        self.assertEqual(oracles_of("model/linearizability.cc", ["testing/model/model_ledger.h",
                                                                 "testing/scenarios/expected.h"]),
                         {"scenarios/expected"})

    def test_what_is_wrong_is_found(self):
        self.assertEqual(wrong_includes("uuid.cc", ["ffgrant/json/json_error.h"]),
                         ["ffgrant/json/json_error.h"])
        self.assertEqual(wrong_includes("internal/hex.h", ["ffgrant/uuid.h"]), [])
        self.assertEqual(wrong_includes("json/internal/x.h", ["ffgrant/claims/clock.h"]),
                         ["ffgrant/claims/clock.h"])
        self.assertEqual(wrong_includes("claims/worker.cc", ["testing/model/model_ledger.h"]),
                         ["testing/model/model_ledger.h"])
        self.assertEqual(wrong_includes("claims/worker_test.cc", ["testing/model/model_ledger.h"]),
                         [])
        self.assertEqual(wrong_includes("valkey/x_test.cc", ["bench/inputs.h"]),
                         ["bench/inputs.h"])


class ReadmeTest(unittest.TestCase):
    def test_the_worker_in_readme_is_the_example(self):
        example = (CORE / "examples" / "worker.cc").read_text(encoding="utf-8")
        code = example[example.index("#include"):]
        readme = (build.ROOT / "README.md").read_text(encoding="utf-8")
        self.assertIn(f"```cpp\n{code}```\n", readme)


class JobsTest(unittest.TestCase):
    def test_imports_run_in_one_direction(self):
        packages = {path.name for path in JOBS.iterdir() if (path / "__init__.py").is_file()}
        self.assertEqual(packages, set().union(*_FLOORS))
        for path in _tracked(JOBS, r"\.py$"):
            package = path.relative_to(JOBS).parts[0]
            if path.parent == JOBS:  # __main__.py and its test may import every package
                continue
            imported = _imported_packages(path.read_text(encoding="utf-8"))
            self.assertEqual(wrong_imports(package, imported & packages), [],
                             path.relative_to(JOBS))

    def test_every_package_says_in_a_sentence_what_it_is_for(self):
        for path in JOBS.glob("*/__init__.py"):
            doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            self.assertRegex(doc or "", r"^[\w].{20,}\.$", path.parent.name)

    def test_what_is_wrong_is_found(self):
        self.assertEqual(wrong_imports("perf", ["common", "bench", "perf"]), [])
        self.assertEqual(wrong_imports("bench", ["perf"]), ["perf"])
        self.assertEqual(wrong_imports("perf", ["mutants"]), ["mutants"])
        self.assertEqual(_imported_packages("def f():\n  from jobs.page import job\n"), {"page"})
        self.assertEqual(_imported_packages("import jobs.perf.gate as g\nfrom jobs import fuzz\n"),
                         {"perf", "fuzz"})
        self.assertEqual(_imported_packages('TABLE = {"report": "jobs.page.job"}\n'), {"page"})
        self.assertEqual(_imported_packages('TEXT = "from jobs.page import job"\n'), set())


if __name__ == "__main__":
    unittest.main()
