# SPDX-License-Identifier: Apache-2.0

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.fuzz import targets


class TargetsTest(unittest.TestCase):
    def test_every_target_of_the_project_is_complete(self):
        found = targets.all_targets()
        self.assertIn(targets.CANARY, [target.name for target in found])
        for target in found + targets.reference_targets():
            with self.subTest(target.name):
                self.assertTrue(target.about())
                self.assertIn("max_len", target.options())
                if target.dictionary.exists():  # not every target has a dictionary
                    text = target.dictionary.read_text(encoding="utf-8")
                    self.assertTrue(targets.read_dictionary(text))
                self.assertEqual(bool(target.seeds()), not target.is_canary)

    def test_findings_go_to_the_corpus_unless_the_checkout_is_read_only(self):
        target = targets.all_targets()[0]
        self.assertEqual(target.regressions, target.corpus / "regressions")
        with mock.patch.object(targets.os, "access", lambda *_: False):
            self.assertEqual(target.regressions,
                             targets.BUILD / "fuzz-findings" / target.plain_name)

    def test_targets_are_the_sources_and_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "fuzz").mkdir()
            for name in ("b_fuzzer.cc", "a_fuzzer.cc", "a_fuzzer.dict", "grammar.h", "ossfuzz.sh"):
                (root / "fuzz" / name).write_text("")
            self.assertEqual([target.name for target in targets.all_targets(root)],
                             ["a_fuzzer", "b_fuzzer"])
            self.assertEqual(targets.find("a", root), targets.find("a_fuzzer", root))
            self.assertIsNone(targets.find("c", root))

    def test_those_with_the_reference_share_what_the_plain_ones_have(self):
        found = targets.reference_targets()
        self.assertIn("partition_key_reference_fuzzer", [target.name for target in found])
        for target in found:
            with self.subTest(target.name):
                self.assertTrue(target.is_reference)
                plain = targets.find(target.plain_name)
                self.assertFalse(plain.is_reference)
                self.assertEqual(target.corpus, plain.corpus)
                self.assertEqual(target.options(), plain.options())
                self.assertEqual(target.dictionary, plain.dictionary)
                self.assertEqual(targets.find(target.subject), target)

    def test_seeds_are_those_of_folders_too(self):
        with tempfile.TemporaryDirectory() as folder:
            corpus = Path(folder) / "corpus" / "a_fuzzer"
            (corpus / "regressions").mkdir(parents=True)
            for name in ("one", "regressions/two", ".hidden"):
                (corpus / name).write_text("")
            seeds = targets.Target("a_fuzzer", Path(folder)).seeds()
            self.assertEqual([path.name for path in seeds], ["one", "two"])


class FirstSentenceTest(unittest.TestCase):
    def test_skips_the_licence_and_ends_at_the_first_full_stop(self):
        self.assertEqual(
            targets.first_sentence("// SPDX-License-Identifier: X\n//\n// Keys (1.1 - 1.3),\n"
                                   "// any bytes. More.\n\n// Other\n"),
            "Keys (1.1 - 1.3), any bytes")

    def test_without_a_comment_there_is_none(self):
        self.assertEqual(targets.first_sentence("// SPDX-License-Identifier: X\nint x;\n"), "")


class ReadDictionaryTest(unittest.TestCase):
    def test_accepts_what_engines_accept(self):
        self.assertEqual(targets.read_dictionary('# c\n\n"a"\nname="b\\"\\\\\\x0A"\n'),
                         ["a", 'b\\"\\\\\\x0A'])

    def test_rejects_what_they_refuse(self):
        for line in ("a", '"a', '""', '"\\n"', '"\\x1"', '"a" b'):
            with self.subTest(line), self.assertRaises(targets.TargetError):
                targets.read_dictionary(line)


class ReadOptionsTest(unittest.TestCase):
    def test_reads_the_section_of_libfuzzer(self):
        self.assertEqual(targets.read_options("# c\n[libfuzzer]\nmax_len = 64\n[other]\na = b\n"),
                         {"max_len": "64"})
        self.assertEqual(targets.read_options("# nothing\n"), {})

    def test_rejects_what_is_no_such_file(self):
        with self.assertRaises(targets.TargetError):
            targets.read_options("max_len = 64\n")


if __name__ == "__main__":
    unittest.main()
