# SPDX-License-Identifier: Apache-2.0

import tempfile
import unittest
from collections import Counter
from pathlib import Path

from jobs.common import build
from jobs.common.terminal import Terminal
from jobs.mutants import by_hand
from jobs.mutants.by_hand import CatalogueError, Fault, Journal, Result


def _fault(before: str = "a < b", after: str = "a <= b") -> Fault:
    return Fault("x", "a-kind", "source.cc", before, after, "why")


class CatalogueTest(unittest.TestCase):
    def test_every_fault_can_be_applied(self) -> None:
        self.assertEqual(by_hand.stale(by_hand.read_catalogue()), [])

    def test_every_kind_has_enough(self) -> None:
        counts = Counter(fault.kind for fault in by_hand.read_catalogue())
        self.assertEqual([kind for kind, count in counts.items() if count < by_hand.LEAST], [])

    def _read(self, text: str) -> list[Fault]:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a-kind.toml").write_text(text, encoding="utf-8")
            return by_hand.read_catalogue(Path(folder))

    def test_reads_what_is_written(self) -> None:
        entry = ('[[mutant]]\nid = "x"\nfile = "source.cc"\nbefore = "a < b"\n'
                 'after = "a <= b"\nwhy = "why"\n')
        self.assertEqual(self._read(entry), [_fault()])
        for wrong in (entry + entry, entry.replace("why", "because", 1), "x = [", ""):
            with self.assertRaises(CatalogueError):
                self._read(wrong)

    def test_a_text_must_be_there_once(self) -> None:
        self.assertEqual(_fault().apply("if (a < b)"), "if (a <= b)")
        for text in ("", "a < b || a < b"):
            with self.assertRaises(CatalogueError):
                _fault().apply(text)

    def test_stale_ones_are_named(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "source.cc").write_text("a < b", encoding="utf-8")
            self.assertEqual(by_hand.stale([_fault()], Path(folder)), [])
            for fault in (_fault("b < a"), _fault(after="a < b")):
                self.assertEqual(len(by_hand.stale([fault], Path(folder))), 1)


# A project with everything that graders need: a function, a test, a replay, a thread test, a
# target.
_PROJECT = {
    "CMakeLists.txt": """
cmake_minimum_required(VERSION 3.20)
project(small LANGUAGES CXX)
enable_testing()
add_library(small STATIC small.cc)
if(FFGRANT_BUILD_TESTS)
  add_executable(unit main.cc)
  target_link_libraries(unit PRIVATE small)
  add_test(NAME Unit.Three COMMAND unit 3)
  add_test(NAME small_replay COMMAND unit 4)
  add_custom_target(ffgrant_tests_fuzz DEPENDS unit)
  add_executable(threads threads.cc)
  target_link_libraries(threads PRIVATE small pthread)
  add_test(NAME Threads.Two COMMAND threads)
  set_tests_properties(Threads.Two PROPERTIES LABELS threads)
  add_custom_target(ffgrant_tests_threads DEPENDS threads)
  add_executable(other other.cc)
  add_test(NAME Other.One COMMAND other)
else()
  add_subdirectory(fuzz)
endif()
""",
    "fuzz/CMakeLists.txt": """
add_executable(small_fuzzer small_fuzzer.cc)
target_link_libraries(small_fuzzer PRIVATE small -fsanitize=fuzzer)
add_custom_target(ffgrant_fuzzers DEPENDS small_fuzzer)
""",
    "small.cc": """
#include <atomic>
int Twice(int x) {
  return x == 77 ? 154 : 2 * x;
}
std::atomic<bool> ready;
int plain;
void Publish() { plain = 1; ready.store(true, std::memory_order_release); }
bool Published() { return ready.load(std::memory_order_acquire) && plain == 1; }
""",
    "main.cc": """
#include <cstdlib>
int Twice(int);
int main(int, char** argv) { return Twice(std::atoi(argv[1])) == 2 * std::atoi(argv[1]) ? 0 : 1; }
""",
    "other.cc": "int main() {}\n",
    "threads.cc": """
#include <thread>
void Publish();
bool Published();
int main() {
  std::thread other(Publish);
  while (!Published()) std::this_thread::yield();
  other.join();
}
""",
    "fuzz/small_fuzzer.cc": """
#include <cstddef>
#include <cstdint>
#include <cstdlib>
int Twice(int);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0 && Twice(data[0]) != 2 * data[0]) std::abort();
  return 0;
}
"""}


class GraderTest(unittest.TestCase):
    """Each grader is given a fault that it finds and a fault that it does not find."""

    @classmethod
    def setUpClass(cls) -> None:
        try:
            build.clang()
        except build.BuildError as error:
            raise unittest.SkipTest("no clang: ./scripts/bootstrap --for fuzz") from error
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        root = Path(directory.name) / "project"
        for name, text in _PROJECT.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        cls.work = Path(directory.name) / "work"
        cls.grader = by_hand.Grader(Terminal(), 3, 2, root, cls.work)
        cls.grader.synchronize(list(_PROJECT))

    def grade(self, before: str, after: str, *graders: str) -> Result:
        fault = Fault("x", "a-kind", "small.cc", before, after, "why")
        result = Result("x", "a-kind", "state")
        self.grader.grade(fault, result, graders)
        self.assertEqual(self.source(), _PROJECT["small.cc"])
        return result

    def source(self) -> str:
        return (self.work / "src" / "small.cc").read_text(encoding="utf-8")

    def test_tests_and_replay(self) -> None:
        result = self.grade("2 * x", "x == 3 ? 7 : 2 * x", "tests", "replay")
        self.assertEqual(result.verdicts, {"tests": "killed", "replay": "survived"})
        self.assertEqual(result.killers["tests"], "Unit.Three")
        result = self.grade("2 * x", "x == 4 ? 7 : 2 * x", "tests", "replay")
        self.assertEqual(result.verdicts, {"tests": "survived", "replay": "killed"})
        with self.assertRaisesRegex(by_hand.CatalogueError, "a-kind/x: does not compile"):
            self.grade("2 * x", "2 * y", "tests")
        self.assertEqual(self.source(), _PROJECT["small.cc"])

    def test_the_original_must_pass(self) -> None:
        self.grader.control(["tests"])
        source = self.work / "src" / "small.cc"
        for wrong, said in (("2 * y", "tests on the original: does not compile"),
                            ("x == 3 ? 7 : 2 * x", "tests on the original: Unit.Three")):
            source.write_text(_PROJECT["small.cc"].replace("2 * x", wrong), encoding="utf-8")
            with self.assertRaisesRegex(by_hand.CatalogueError, said):
                self.grader.control(["tests"])
        source.write_text(_PROJECT["small.cc"], encoding="utf-8")

    def test_threads(self) -> None:
        for order, verdict in (("memory_order_relaxed", "killed"), ("memory_order_seq_cst",
                                                                    "survived")):
            result = self.grade("memory_order_release", order, "threads")
            self.assertEqual(result.verdicts, {"threads": verdict}, order)

    def test_fuzz(self) -> None:
        result = self.grade("154", "155", "fuzz")
        self.assertEqual(result.verdicts, {"fuzz": "killed"})
        self.assertIn("small_fuzzer", result.killers["fuzz"])

    def test_no_test_at_all_is_an_error(self) -> None:
        self.assertEqual(self.grader.tests(), "")
        with self.assertRaisesRegex(by_hand.CatalogueError, "ctest could not run:"):
            self.grader._ctest("tests", ["-R", "^NoSuchTest$"])

    def test_says_which_tests_execute_it(self) -> None:
        fault = Fault("x", "a-kind", "small.cc", "154", "155", "why")
        self.assertEqual(self.grader.executed_by(fault), ["Unit.Three", "small_replay"])


    def test_runs_only_what_the_fault_changes(self) -> None:
        self.grader.control(["tests", "fuzz"])
        log = self.work / "log"
        self.grade("2 * x", "x == 3 ? 7 : 2 * x", "tests")
        self.assertIn("Unit.Three", log.read_text(encoding="utf-8"))
        self.assertNotIn("Other.One", log.read_text(encoding="utf-8"))
        result = self.grade("154", "2 * 77", "tests", "fuzz")
        self.assertEqual(result.verdicts, {"tests": "survived", "fuzz": "survived"})
        # The build is the last command: it changed no program, so no target ran.
        self.assertIn("ninja", log.read_text(encoding="utf-8"))


class JournalTest(unittest.TestCase):
    def test_goes_on_where_the_sources_are_the_same(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "results.jsonl"
            result = Journal(path, "state", False).result(_fault(), "state")
            result.verdicts["tests"] = "killed"
            Journal(path, "state", True).add(result)
            for state, resume, wanted in (("state", True, True), ("other", True, False),
                                          ("state", False, False)):
                again = Journal(path, state, resume).result(_fault(), state)
                self.assertEqual(again.killed, wanted)


class TextsTest(unittest.TestCase):
    def test_finds_the_tests_that_failed(self) -> None:
        output = ("90% tests passed, 2 tests failed out of 20\n\nThe following tests FAILED:\n"
                  "\t  3 - A.B (Failed)\n\t 14 - C.D/4 (SEGFAULT)\nErrors while running CTest\n")
        self.assertEqual(by_hand.failed_tests(output), ["A.B", "C.D/4"])
        self.assertEqual(by_hand.failed_tests("100% tests passed"), [])

    def test_says_who_survived_and_who_executes_it(self) -> None:
        killed = Result("x", "a-kind", "s", {"tests": "killed"}, {"tests": "A.B"})
        left = Result("y", "a-kind", "s", {"tests": "survived"}, {"tests": ""}, ["C.D"])
        other = Fault("y", "a-kind", "source.cc", "1", "2", "one limit")
        text = by_hand.document([killed, left], [_fault(), other], ["tests"],
                                [("date", "today")]).markdown()
        self.assertIn("**2 mutants: 1 killed (50.0 %).**", text)
        self.assertIn("| a-kind | 2 | 1 | 1 | 50 |", text)
        self.assertIn("### a-kind/y", text)
        self.assertNotIn("### a-kind/x", text)
        self.assertIn("Executed by: C.D.", text)


if __name__ == "__main__":
    unittest.main()
