# SPDX-License-Identifier: Apache-2.0

import unittest

from jobs.mutants import sampling

TEXT = """int F(int a) {
  if (a < 3) return 1;
  return a + 2;
}
int G(int b) {
  return b > 7 ? 8 : 9;
}
"""


def everything(sample, unusable=()):
    """Draws until the sample is complete; returns the ids that were used."""
    used = []
    while True:
        mutant = sample.draw()
        if mutant is None:
            return used
        usable = mutant.id not in unusable
        sample.put_back(mutant, usable)
        if usable:
            used.append(mutant.id)


class MutantsOfTest(unittest.TestCase):
    def test_ids_are_unique(self):
        ids = [mutant.id for mutant in sampling.mutants_of("a.cc", TEXT)]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertGreater(len(ids), 10)

    def test_edits_elsewhere_leave_ids_alone(self):
        before = {m.id for m in sampling.mutants_of("a.cc", TEXT) if m.line >= 5}
        changed = "// A comment.\n\n" + TEXT.replace("a < 3", "a < 4")
        after = {m.id: m for m in sampling.mutants_of("a.cc", changed)}
        self.assertLessEqual(before, set(after))
        self.assertTrue(all(after[name].line >= 7 for name in before))

    def test_an_edit_of_the_function_changes_them(self):
        before = {m.id for m in sampling.mutants_of("a.cc", TEXT) if m.line < 5}
        after = {m.id for m in sampling.mutants_of("a.cc", TEXT.replace("a < 3", "a < 4"))}
        self.assertFalse(before & after)

    def test_diff(self):
        mutant = next(m for m in sampling.mutants_of("a.cc", TEXT) if m.operator == "boundary")
        self.assertEqual([line for line in sampling.diff(mutant, TEXT)
                          if line[0] in "+-"],
                         ["-  if (a < 3) return 1;", "+  if (a <= 3) return 1;"])
        self.assertEqual((mutant.line, mutant.lines), (2, (1, 4)))


class QuotasTest(unittest.TestCase):
    def test_in_proportion_and_at_least_one(self):
        self.assertEqual(sampling.quotas({"a": 600, "b": 300, "c": 1, "d": 0}, 90),
                         {"a": 59, "b": 30, "c": 1})

    def test_never_more_than_there_are(self):
        self.assertEqual(sampling.quotas({"a": 2, "b": 3}, 100), {"a": 2, "b": 3})
        self.assertEqual(sampling.quotas({}, 100), {})


class SampleTest(unittest.TestCase):
    def setUp(self):
        self.mutants = {"a.cc": sampling.mutants_of("a.cc", TEXT),
                        "b.cc": sampling.mutants_of("b.cc", TEXT.replace("9", "12"))}

    def test_has_the_size_and_is_the_same_each_time(self):
        first = everything(sampling.Sample(self.mutants, 10, 1))
        self.assertEqual(len(first), 10)
        self.assertEqual(first, everything(sampling.Sample(self.mutants, 10, 1)))
        self.assertNotEqual(first, everything(sampling.Sample(self.mutants, 10, 2)))

    def test_operators_take_turns(self):
        used = everything(sampling.Sample({"a.cc": self.mutants["a.cc"]}, 4, 1))
        self.assertEqual(len({name.split(":")[1] for name in used}), 4)

    def test_what_is_of_no_use_is_replaced_by_its_operator(self):
        only = {"a.cc": self.mutants["a.cc"]}
        first = everything(sampling.Sample(only, 5, 1))
        constant = next(name for name in first if ":constant:" in name)
        second = everything(sampling.Sample(only, 5, 1), {constant})
        self.assertEqual(len(second), 5)
        self.assertEqual(sorted(name.split(":")[1] for name in first),
                         sorted(name.split(":")[1] for name in second))

    def test_what_a_file_lacks_others_provide(self):
        bad = {m.id for m in self.mutants["a.cc"]}
        used = everything(sampling.Sample(self.mutants, 8, 1), bad)
        self.assertEqual(len(used), 8)
        self.assertFalse(bad & set(used))

    def test_ends_where_nothing_is_of_use(self):
        bad = {m.id for mutants in self.mutants.values() for m in mutants}
        self.assertEqual(everything(sampling.Sample(self.mutants, 8, 1), bad), [])

    def test_no_more_are_on_their_way_than_are_needed(self):
        sample = sampling.Sample(self.mutants, 4, 1)
        drawn = [sample.draw() for _ in range(5)]
        self.assertIsNone(drawn[4])
        sample.put_back(drawn[0], False)
        self.assertEqual(sample.draw().operator, drawn[0].operator)


if __name__ == "__main__":
    unittest.main()
