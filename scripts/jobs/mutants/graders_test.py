# SPDX-License-Identifier: Apache-2.0

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.common import build
from jobs.common.terminal import Terminal
from jobs.mutants.graders import Grader, GraderError, failed_tests

# This project has everything that graders need: a function, a test, a replay, a thread test and a
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
  set_tests_properties(Unit.Three PROPERTIES LABELS core)
  set_tests_properties(small_replay PROPERTIES LABELS fuzz)
  foreach(label core claims fuzz)
    add_custom_target(ffgrant_tests_${label} DEPENDS unit)
  endforeach()
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
    """Each grader is given a fault that it finds and, but for fuzz, one that it does not find."""

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
        cls.grader = Grader(Terminal(), 1, 2, cls.work, root)
        cls.grader.synchronize(list(_PROJECT))

    def judge(self, before: str, after: str, *graders: str) -> list[str | None]:
        """What the graders say of small.cc with one text in place of another."""
        with self.grader.changed("small.cc", _PROJECT["small.cc"].replace(before, after)):
            found = [self.grader.judge(name, "x") for name in graders]
        self.assertEqual(self.source(), _PROJECT["small.cc"])
        return found

    def source(self) -> str:
        return (self.work / "src" / "small.cc").read_text(encoding="utf-8")

    def log(self) -> str:
        """The output of the last command."""
        return (self.work / "log").read_text(encoding="utf-8")

    def test_tests_and_replay(self) -> None:
        for after, wanted in (("x == 3 ? 7 : 2 * x", ["Unit.Three", ""]),
                              ("x == 4 ? 7 : 2 * x", ["", "small_replay"]),
                              ("2 * y", [None, None])):
            self.assertEqual(self.judge("2 * x", after, "tests", "replay"), wanted)

    def test_the_original_must_pass(self) -> None:
        self.grader.control(["tests"])
        source = self.work / "src" / "small.cc"
        for wrong, said in (("2 * y", "tests on the original: does not compile"),
                            ("x == 3 ? 7 : 2 * x", "tests on the original: Unit.Three")):
            source.write_text(_PROJECT["small.cc"].replace("2 * x", wrong), encoding="utf-8")
            with self.assertRaisesRegex(GraderError, said):
                self.grader.control(["tests"])
        source.write_text(_PROJECT["small.cc"], encoding="utf-8")

    def test_a_test_gets_no_more_than_eight_gigabytes(self) -> None:
        greedy = ("[&] { static char* volatile p; p = new char[9ull << 30]; delete[] p; "
                  "return 2 * x; }()")
        self.assertEqual(self.judge("2 * x", greedy, "tests"), ["Unit.Three"])

    def test_sanitized(self) -> None:
        beyond = "static volatile int list[4]; if (x == {}) list[x] = 1; return 2 * x;"
        for x, killers in ((3, ["", ""]), (4, ["", "small_replay"])):
            # The array has no element with the index 4.
            self.assertEqual(self.judge("return x == 77 ? 154 : 2 * x;", beyond.format(x),
                                        "replay", "sanitized"), killers)

    def test_threads(self) -> None:
        for order, killer in (("memory_order_relaxed", "Threads.Two"),
                              ("memory_order_seq_cst", "")):
            self.assertEqual(self.judge("memory_order_release", order, "threads"), [killer])

    def test_fuzz(self) -> None:
        [killer] = self.judge("154", "155", "fuzz")
        self.assertIn("small_fuzzer: ", killer or "")

    def test_no_test_at_all_is_an_error(self) -> None:
        self.assertEqual(self.grader.tests(), "")
        with self.assertRaisesRegex(GraderError, "no test fits -LE long -R .NoSuchTest"):
            self.grader._ctest("tests", ["-R", "^NoSuchTest$"])

    def test_says_which_tests_execute_it(self) -> None:
        line = _PROJECT["small.cc"].splitlines().index("  return x == 77 ? 154 : 2 * x;") + 1
        self.assertEqual(self.grader.executed_by("small.cc", line), ["Unit.Three", "small_replay"])
        self.assertEqual(self.grader.executed_by("CMakeLists.txt", 1), [])
        self.assertEqual(self.source(), _PROJECT["small.cc"])

    def test_runs_only_what_the_fault_changes(self) -> None:
        self.assertIn("Other.One", self.log_of("tests"))
        self.grader.control(["tests", "fuzz"])
        self.grader._found.clear()  # so that ctest runs once, whatever other tests have found
        self.assertEqual(self.judge("2 * x", "x == 5 ? 7 : 2 * x", "tests"), [""])
        self.assertIn("Unit.Three", self.log())
        self.assertNotIn("Other.One", self.log())
        self.assertEqual(self.judge("154", "2 * 77", "tests", "fuzz"), ["", ""])
        # The build is the last command, because no program changed and so no target ran.
        self.assertIn("ninja", self.log())

    def log_of(self, grader: str) -> str:
        """What the grader's last command prints on the original."""
        self.grader._originals.clear()  # so that no test is left out
        self.assertEqual(self.grader.judge(grader, "x"), "")
        found = self.log()
        self.grader.control([grader])
        return found


class AgainTest(unittest.TestCase):
    """Runs of ctest, whose outputs are given."""

    def killer(self, build_name: str, *outputs: str,
               faults: int = 1) -> tuple[list[str], list[list[str]]]:
        """Lets the tests judge this many faults. Returns the tests that fail for the last one, and
        the numbers of the tests that each run of ctest ran."""
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            grader = Grader(Terminal(), 1, 1, work)
            left, ran = list(outputs), []

            def run(_: list[str]) -> tuple[int, str]:
                ran.append((work / "numbers").read_text().strip().split(",")[3:])
                output = left.pop(0)
                return 8 if "FAILED" in output else 0, output

            with mock.patch.object(grader, "_run", run), \
                    mock.patch.object(grader, "_chosen", lambda *_: ["3", "5", "9"]):
                for _ in range(faults):
                    found = grader._ctest(build_name, [])
            self.assertEqual(left, [])
            return found, ran

    PASSED = "100% tests passed, 0 tests failed out of 1\n"

    def failed(self, *tests: str, said: str = "") -> str:
        """What ctest prints if tests, given as NUMBER - NAME, fail."""
        lines = [f"1/3 Test #{test.partition(' ')[0]}: a test ...***Failed    0.01 sec\n{said}\n"
                 for test in tests]
        return "".join([*lines, "The following tests FAILED:\n",
                        *(f"\t  {test} (Failed)\n" for test in tests)])

    def test_a_failure_counts_if_it_comes_again(self) -> None:
        failed = self.failed("5 - A.B")
        self.assertEqual(self.killer("tests", failed, failed),
                         (["A.B"], [["3", "5", "9"], ["5"]]))

    def test_if_it_does_not_the_other_tests_judge(self) -> None:
        first, second = self.failed("5 - A.B"), self.failed("9 - C.D")
        self.assertEqual(self.killer("tests", first, self.PASSED, second, second),
                         (["C.D"], [["3", "5", "9"], ["5"], ["3", "9"], ["9"]]))
        self.assertEqual(self.killer("tests", first, self.PASSED, self.PASSED)[0], [])
        both = self.failed("5 - A.B", "9 - C.D")
        self.assertEqual(self.killer("tests", both, self.PASSED, second),
                         (["C.D"], [["3", "5", "9"], ["5"], ["9"]]))

    def test_a_test_that_has_found_a_fault_judges_the_next_one_first(self) -> None:
        failed, other = self.failed("5 - A.B"), self.failed("9 - C.D")
        self.assertEqual(self.killer("tests", failed, failed, failed, failed, faults=2),
                         (["A.B"], [["3", "5", "9"], ["5"], ["5"], ["5"]]))
        self.assertEqual(self.killer("tests", failed, failed, self.PASSED, other, other, faults=2),
                         (["C.D"], [["3", "5", "9"], ["5"], ["5"], ["3", "9"], ["9"]]))
        # The quick one of two comes before the other.
        slow = failed.replace("0.01 sec", "7.00 sec")
        self.assertEqual(self.killer("tests", slow, slow, self.PASSED, other, other,
                                     self.PASSED, slow, slow, faults=3),
                         (["A.B"], [["3", "5", "9"], ["5"], ["5"], ["3", "9"], ["9"], ["9"], ["5"],
                                    ["5"]]))
        # A failure that does not come again finds nothing.
        self.assertEqual(self.killer("tests", failed, self.PASSED, self.PASSED, other, other,
                                     faults=2)[1],
                         [["3", "5", "9"], ["5"], ["3", "9"], ["3", "5", "9"], ["9"]])

    def test_a_report_of_a_sanitizer_counts_at_once(self) -> None:
        for said in ("WARNING: ThreadSanitizer: data race", "==1==ERROR: LeakSanitizer: leaks",
                     "/x/a.cc:3: runtime error: index 4 out of bounds"):
            self.assertEqual(self.killer("tsan", self.failed("5 - A.B", said=said))[0], ["A.B"])
        failed = self.failed("5 - A.B", said="expected 1, got 2")
        self.assertEqual(self.killer("tsan", failed, self.PASSED, self.PASSED)[0], [])


class TextsTest(unittest.TestCase):
    def test_finds_the_tests_that_failed(self) -> None:
        output = ("90% tests passed, 2 tests failed out of 20\n\nThe following tests FAILED:\n"
                  "\t  3 - A.B (Failed)\n\t 14 - C.D/4 (SEGFAULT)\n\t 15 - C.D/5 (Not Run)\n"
                  "\t 16 - E/F.G/h_i  # GetParam() = (h i, false) (Failed)\n"
                  "Errors while running CTest\n")
        self.assertEqual(failed_tests(output),
                         {"3": "A.B", "14": "C.D/4", "15": "C.D/5", "16": "E/F.G/h_i"})
        self.assertEqual(failed_tests("100% tests passed"), {})


if __name__ == "__main__":
    unittest.main()
