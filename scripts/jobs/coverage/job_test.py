# SPDX-License-Identifier: Apache-2.0

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from jobs.common.terminal import Terminal
from jobs.coverage import export, job, notes
from jobs.coverage.export import Branch, File
from jobs.coverage.job import Command


def region(line, column, end_line, end_column, count):
    return [line, column, end_line, end_column, count, 0, 0, 0]


def function(name, regions, branches=(), records=()):
    return {"name": name, "filenames": ["/a.h"], "count": regions[0][4], "regions": regions,
            "branches": [[*b, 0, 0, kind] for *b, kind in branches],
            "mcdc_records": [[*r[:4], 0, 5, r[4]] for r in records]}


def read(*functions, segments=()):
    document = {"data": [{"files": [{"filename": "/a.h", "segments": list(segments)}],
                          "functions": list(functions)}]}
    return export.read_export(document, {"/a.h": "a.h"})["a.h"]


class CoverageDataTest(unittest.TestCase):
    def test_lines(self):
        #                 line, column, count, has count, entry, gap
        file = read(segments=[[1, 10, 5, True, True, False], [2, 3, 0, True, True, False],
                              [3, 2, 5, True, False, False], [4, 2, 0, False, False, False]])
        self.assertEqual(file.lines, {1: 5, 2: 5, 3: 0, 4: 5})

    def test_instantiations_add_up(self):
        one = function("f<1>", [region(1, 1, 9, 1, 4)], [(2, 3, 2, 8, 4, 0, 4)])
        two = function("f<2>", [region(1, 1, 9, 1, 4)], [(2, 3, 2, 8, 0, 4, 4)])
        self.assertEqual([count for *_, count in read(one).sides()], [4, 0])
        self.assertEqual([count for *_, count in read(one, two).sides()], [4, 4])

    def test_what_is_constant_everywhere_is_no_branch(self):
        constant = function("f<1>", [region(1, 1, 9, 1, 4)], [(2, 3, 2, 8, 0, 0, 4)])
        never_run = function("f<1>", [region(1, 1, 9, 1, 0)], [(2, 3, 2, 8, 0, 0, 4)])
        self.assertEqual(list(read(constant).sides()), [])
        self.assertEqual(len(list(read(never_run).sides())), 2)

    def test_conditions_that_decide_by_themselves(self):
        def one(independent):
            return function("f", [region(1, 1, 9, 1, 4)],
                            [(2, 3, 2, 8, 2, 2, 6), (2, 12, 2, 15, 1, 1, 6)],
                            [(2, 3, 2, 15, independent)])

        self.assertEqual([v for _, v in read(one([True, False])).conditions()], [True, False])
        self.assertEqual([v for _, v in read(one([True, False]), one([False, True])).conditions()],
                         [True, True])

    def test_a_constant_condition_that_is_missing_among_the_branches(self):
        found = read(function("f", [region(1, 1, 9, 1, 4)],
                              [(2, 3, 2, 8, 2, 2, 6), (2, 12, 2, 15, 1, 1, 6)],
                              [(2, 3, 2, 30, [True, False, True])]))
        self.assertEqual([v for _, v in found.conditions()], [True, True])

    def test_comparisons_that_the_compiler_writes(self):
        text = "\nbool operator==(const A&) const = default;\n"
        end = text.splitlines()[1].index(";") + 1
        file = File(branches={(2, end - 1, 2, end): Branch(1, 0, False, True)})
        file.leave_out_defaulted(text)
        self.assertEqual(file.branches, {})

    def test_lines_without_code(self):
        file = File(lines={1: 0, 2: 0, 3: 0, 4: 5, 5: 0, 6: 0})
        file.leave_out_lines_without_code(
            "int F() {\n  // Why.\n#ifdef A\n  return 1;  // one\n  }\n} else {\n")
        self.assertEqual(file.lines, {1: 0, 4: 5, 6: 0})


TEXT = """int F(int a, int b) {
  // Never true: b is checked by the caller.
  if (b < 0) return 1;
  switch (a) {
    case 1:
      return 2;
  }
  return 3;  // Never reached: all cases return.
}
"""
CHECK, SWITCH = (3, 7, 3, 12), (4, 11, 4, 12)


def covered():
    return File(lines={1: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 0, 9: 1},
                branches={CHECK: Branch(0, 9, False, True), SWITCH: Branch(0, 9, False, True)})


class NotesTest(unittest.TestCase):
    def judge(self, text, file):
        excused = notes.excuses(text, file)
        counts, left = notes.judge(file, excused)
        return excused.errors, counts, left

    def test_what_they_excuse_is_not_missing(self):
        errors, counts, left = self.judge(TEXT, covered())
        self.assertEqual(errors, [])
        self.assertEqual((left.lines, left.sides), ([], []))
        self.assertEqual((counts.lines, counts.branches), ((7, 7), (2, 2)))

    def test_without_them_it_is(self):
        _, counts, left = self.judge(TEXT.replace("Never", "Seldom"), covered())
        self.assertEqual((left.lines, left.sides), ([8], [(CHECK, "true"), (SWITCH, "true")]))
        self.assertEqual((counts.lines, counts.branches), ((7, 8), (2, 4)))

    def test_covered_code_that_is_said_never_to_be_reached(self):
        file = covered()
        file.lines[8] = 3
        errors, *_ = self.judge(TEXT, file)
        self.assertIn("is covered", errors[0])

    def test_a_condition_that_is_said_never_to_be_true(self):
        file = covered()
        file.branches[CHECK].true = 1
        errors, *_ = self.judge(TEXT, file)
        self.assertIn("fits no conditions", errors[0])

    def test_a_note_needs_a_reason(self):
        errors, *_ = self.judge(TEXT.replace(" b is checked by the caller.", ""), covered())
        self.assertIn("no reason", errors[0])

    def test_names_one_of_several_conditions(self):
        line = "  if (a < 0 || b < 0) return 1;  // Never true{}: the caller checks.\n"
        places = {place: Branch(0, 1, False, True) for place in ((1, 7, 1, 12), (1, 16, 1, 21))}
        file = File(lines={1: 1}, branches=places,
                    independent=dict.fromkeys(places, False))
        errors, *_ = self.judge(line.format(""), file)
        self.assertIn("fits 2 conditions", errors[0])
        errors, _, left = self.judge(line.format(": `b < 0`"), file)
        self.assertEqual((errors, left.sides), ([], [((1, 7, 1, 12), "true")]))
        self.assertEqual(left.conditions, [(1, 7, 1, 12)])


class RunsTest(unittest.TestCase):
    def test_programs_once_and_replays_as_they_are(self):
        def test(name, label, *command, **properties):
            return {"name": name, "command": list(command),
                    "properties": [{"name": "LABELS", "value": [label]},
                                   *({"name": key, "value": [value]}
                                     for key, value in properties.items())]}

        tests, corpora = job.read_runs({"tests": [
            test("A.B", "core", "/x/a_test", "--gtest_filter=A.B"),
            test("A.C", "core", "/x/a_test", "--gtest_filter=A.C"),
            test("A.B.portable", "core", "/x/a_test", "--gtest_filter=A.B",
                 ENVIRONMENT="PORTABLE=1"),
            test("vectors", "core", "/x/run_vectors", "a.jsonl"),
            test("live", "valkey", "/x/claim-server", "--cluster", "--", "/x/live",
                 "--gtest_filter=*"),
            test("epoll", "valkey", "/x/claim-server", "--", "sh", "-c", '/x/epoll "$URL"'),
            test("refused", "core", "/x/worker", "http://127.0.0.1:1",
                 PASS_REGULAR_EXPRESSION="the start: unavailable"),
            test("p_replay", "fuzz", "/x/p_replay", "/corpus/p"),
            test("all", "long", "/x/all", "--long")]})
        self.assertEqual(tests.commands, [
            Command("/x/a_test", ("/x/a_test",)),
            Command("/x/a_test", ("/x/a_test",), ("PORTABLE=1",)),
            Command("/x/run_vectors", ("/x/run_vectors", "a.jsonl")),
            Command("/x/live", ("/x/claim-server", "--cluster", "--", "/x/live",
                                "--gtest_filter=*")),
            Command("/x/epoll", ("/x/claim-server", "--", "sh", "-c", '/x/epoll "$URL"')),
            Command("/x/worker", ("/x/worker", "http://127.0.0.1:1"), (),
                    "the start: unavailable")])
        self.assertEqual(corpora.commands, [
            Command("/x/p_replay", ("/x/p_replay", "/corpus/p"))])

    def test_a_command_passes_as_ctest_has_it(self):
        plain = Command("/x/a", ("/x/a",))
        self.assertEqual([plain.passed(0, ""), plain.passed(1, "")], [True, False])
        refused = Command("/x/a", ("/x/a",), expected="the start: .*refused")
        self.assertTrue(refused.passed(1, "the start: unavailable\ncan't connect: refused"))
        self.assertFalse(refused.passed(0, "all is well"))

    def test_together(self):
        one = File(lines={1: 1, 2: 0}, branches={(1, 1, 1, 2): Branch(1, 0, False, True)})
        two = File(lines={1: 0, 2: 3}, branches={(1, 1, 1, 2): Branch(0, 1, False, True)})
        union = job.together([one, two])
        self.assertEqual(union.lines, {1: 1, 2: 3})
        self.assertEqual([count for *_, count in union.sides()], [1, 1])


class JobTest(unittest.TestCase):
    """Whole runs, in which the builds and the programs that count are left out."""

    def run_job(self, sources, measured, lua_counts):
        """Returns the exit status, and what was printed."""
        said = io.StringIO()
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as patches:
            for name in sources:
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("int a;\n", encoding="utf-8")
            for owner, name, value in (
                    (job.build, "configure", None), (job.build, "build", None),
                    (job, "production_sources", {name: Path(folder) / name for name in sources}),
                    (job, "find_runs", [job.Run("tests", [])]), (job, "measure", measured),
                    (job.lua, "read_texts", {"a.lua": "return 1\n", "b.lua": "return 2\n"}),
                    (job.lua, "read_counts", lua_counts)):
                patches.enter_context(mock.patch.object(owner, name, return_value=value))
            status = job._job(Terminal(said), SimpleNamespace(tests_only=True, uncovered=False))
        return status, said.getvalue()

    SOURCES = ("a.cc", "a.h", "valkey/no_tls.cc", "valkey/tls_network.cc")
    MEASURED = {"a.cc": File(lines={1: 1}), "valkey/tls_network.cc": File(lines={1: 1})}

    def test_all_is_covered(self):
        # A header without data declares only, and one of the two sources for TLS is not built.
        status, said = self.run_job(self.SOURCES, self.MEASURED, {1: 1, 2: 1})
        self.assertEqual((status, "no program" in said), (0, False))

    def test_a_source_in_no_program_is_not_covered(self):
        for left_out in self.MEASURED:
            measured = {name: file for name, file in self.MEASURED.items() if name != left_out}
            status, said = self.run_job(self.SOURCES, measured, {1: 1, 2: 1})
            self.assertEqual(status, 1)
            self.assertIn(f"{left_out}: no program that was run contains it\n", said)

    def test_lua_of_which_no_line_was_counted_is_not_covered(self):
        for counts, names in (({}, ("a.lua", "b.lua")), ({1: 1}, ("b.lua",))):
            status, said = self.run_job(self.SOURCES, self.MEASURED, counts)
            self.assertEqual(status, 1)
            self.assertEqual(said.count("no program that was run counted its lines"), len(names))


if __name__ == "__main__":
    unittest.main()
