# SPDX-License-Identifier: Apache-2.0

import contextlib
import io
import unittest

from jobs.checks import job, python_tests


class PartsTest(unittest.TestCase):
    def test_every_test_is_in_one_part(self):
        listed = [[test.id() for test in python_tests.suite(number)]
                  for number in range(len(python_tests.PARTS))]
        together = unittest.defaultTestLoader.discover(
            str(python_tests.SCRIPTS), "*_test.py", str(python_tests.SCRIPTS)).countTestCases()
        self.assertEqual(sum(map(len, listed)), together)
        self.assertTrue(all(len(each) > 10 for each in listed), list(map(len, listed)))

    def test_a_module_that_cannot_be_imported_is_in_a_part(self):
        for name, part in (("unittest.loader._FailedTest.jobs.perf.outside.outside_test", 0),
                           ("unittest.loader.ModuleSkipped.jobs.page.svg_test", 2),
                           ("jobs.perf.package_test.ContentsTest.test_x", 1),
                           ("jobs.perf.packages_test.X.test_x", 3)):
            self.assertEqual(python_tests.part_of(name), part, name)


class RunTest(unittest.TestCase):
    def run_all(self, *scripts):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            succeeded = python_tests.run_parts([["sh", "-c", script] for script in scripts])
        return succeeded, job.read_unittest(output.getvalue())

    def test_adds_the_parts_up(self):
        succeeded, tally = self.run_all(
            "sleep 0.2; printf 'Ran 12 tests in 1s\\n\\nOK (skipped=2)\\n'",
            "printf 'FAIL: x\\nRan 5 tests in 1s\\n\\nFAILED (failures=1)\\n'; exit 1")
        self.assertFalse(succeeded)
        self.assertEqual((tally.passed, tally.failed), (14, 1))
        [problem] = tally.problems
        self.assertIn("\nFAIL: x\n", problem)

    def test_a_part_that_dies_fails(self):
        succeeded, tally = self.run_all("printf 'Ran 12 tests in 1s\\n\\nOK\\n'", "kill -9 $$")
        self.assertEqual((succeeded, tally.passed), (False, 12))

    def test_all_that_went_well_is_well(self):
        self.assertTrue(self.run_all("echo Ran 1 test in 0s", "echo Ran 2 tests in 0s")[0])


if __name__ == "__main__":
    unittest.main()
