# SPDX-License-Identifier: Apache-2.0

import unittest

from jobs.mutants import reach, sampling, trees

TEXT = """constexpr int kTable = 5;
constexpr int Early(int a) {
  return a + 1;
}
int F(int a) {
  if (a < 3) return 1;
  return a + 2;
}
"""


def at_line(line):
    return next(m for m in sampling.mutants_of("a.cc", TEXT) if m.line == line)


class FittingTest(unittest.TestCase):
    def fitting(self, line, reached):
        return reach.Reach(reached).fitting(at_line(line), TEXT)

    def test_by_the_line_and_the_ones_that_execute_least_first(self):
        reached = {"all": {"a.cc": {6: True, 7: True}, "b.cc": {1: True}},
                   "one": {"a.cc": {6: True, 7: False}},
                   "none": {"a.cc": {6: False, 7: False}}}
        self.assertEqual(self.fitting(6, reached), ["one", "all"])
        self.assertEqual(self.fitting(7, reached), ["all"])

    def test_code_that_nobody_executes_has_none(self):
        self.assertEqual(self.fitting(7, {"a": {"a.cc": {6: True, 7: False}}}), [])

    def test_what_is_no_code_goes_by_the_file(self):
        reached = {"a": {"a.cc": {6: True}}, "b": {"a.cc": {6: False}}, "c": {"b.cc": {1: True}}}
        self.assertEqual(self.fitting(1, reached), ["a"])

    def test_so_does_what_may_be_evaluated_while_compiling(self):
        self.assertEqual(self.fitting(3, {"a": {"a.cc": {3: False, 6: True}}}), ["a"])

    def test_where_all_is_evaluated_while_compiling_it_concerns_who_has_the_file(self):
        self.assertEqual(self.fitting(3, {"a": {"a.cc": {3: False}}, "b": {"b.cc": {1: True}}}),
                         ["a"])

    def test_a_file_without_code_concerns_who_includes_it(self):
        self.assertEqual(self.fitting(1, {"a": {"a.cc": {}}, "b": {"b.cc": {1: True}}}), ["a"])

    def test_a_file_that_nobody_has_concerns_all(self):
        self.assertEqual(self.fitting(1, {"a": {}, "b": {"b.cc": {1: True}}}), ["a", "b"])

    def test_not_too_many(self):
        reached = {f"t{i}": {"a.cc": {6: True}} for i in range(9)}
        self.assertEqual(len(self.fitting(6, reached)), reach.MOST)


class DepsTest(unittest.TestCase):
    def test_paths_are_absolute_whether_or_not_they_were_printed_so(self):
        text = ("fuzz/x.cc.o: #deps 2, deps mtime 1 (VALID)\n    ../src/core/ffgrant/a.h\n"
                "    /usr/include/b.h\n\ny.o: #deps 0, deps mtime 1 (VALID)\n")
        self.assertEqual(trees.read_deps(text, "/tree/reach"),
                         {"fuzz/x.cc.o": ["/tree/src/core/ffgrant/a.h", "/usr/include/b.h"],
                          "y.o": []})


class ProbeTest(unittest.TestCase):
    def test_is_put_into_the_function_around_a_line(self):
        changed = trees.probe(TEXT, 7).splitlines()
        self.assertIn("asm", changed[4])
        self.assertEqual(changed[:4], TEXT.splitlines()[:4])

    def test_there_is_none_outside_of_functions(self):
        self.assertIsNone(trees.probe(TEXT, 1))


if __name__ == "__main__":
    unittest.main()
