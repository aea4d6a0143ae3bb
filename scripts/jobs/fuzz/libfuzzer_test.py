# SPDX-License-Identifier: Apache-2.0

import unittest
from pathlib import Path

from jobs.fuzz import afl, libfuzzer, targets


def read(*lines):
    status = libfuzzer.Status()
    for line in lines:
        status.read(line)
    return status


class StatusTest(unittest.TestCase):
    def test_follows_the_lines(self):
        status = read(
            "INFO: Loaded 1 modules   (673 inline 8-bit counters): 673 [0x5, 0x6), ",
            "#29\tINITED cov: 212 ft: 1038 corp: 28/226b exec/s: 0 rss: 27Mb",
            "#92679\tNEW    cov: 245 ft: 2089 corp: 450/5266b lim: 64 exec/s: 30893 rss: 31Mb L: 1")
        self.assertEqual((status.counters, status.executions, status.edges, status.features,
                          status.corpus, status.rate), (673, 92679, 245, 2089, 450, 30893))

    def test_final_statistics_are_exact(self):
        status = read("#8\tpulse  cov: 1 ft: 1 corp: 1/1b exec/s: 4 rss: 1Mb",
                      "stat::number_of_executed_units: 1000")
        self.assertEqual(status.executions, 1000)

    def test_knows_where_a_finding_lies(self):
        self.assertEqual(
            read("artifact_prefix='/x/'; Test unit written to /x/crash-ab").artifact,
            Path("/x/crash-ab"))

    def test_a_slow_input_is_no_finding(self):
        self.assertIsNone(read("Test unit written to /x/slow-unit-ab").artifact)


class SignatureTest(unittest.TestCase):
    def test_what_the_target_says_comes_first_and_numbers_do_not_matter(self):
        first = libfuzzer.signature("FINDING: text, into 12 bytes\nSUMMARY: libFuzzer: deadly")
        second = libfuzzer.signature("FINDING: text, into 7 bytes\n")
        self.assertEqual(first, second)
        self.assertNotEqual(first, libfuzzer.signature("FINDING: another\n"))

    def test_sanitizers_are_told_apart_by_kind_and_function(self):
        def crash(kind, function):
            return (f"==1==ERROR: AddressSanitizer: {kind}\n"
                    "    #0 0x55 in __asan_memcpy (/x/y+0x1)\n"
                    f"    #1 0x56 in ffgrant::{function}(int) /x/a.cc:3:1\n"
                    f"SUMMARY: AddressSanitizer: {kind} /x/a.cc:3:1 in ffgrant::{function}(int)\n")

        signatures = {libfuzzer.signature(crash(kind, function))
                      for kind in ("heap-buffer-overflow", "use-after-poison")
                      for function in ("Parse", "Write")}
        self.assertEqual(len(signatures), 4)
        self.assertIn("AddressSanitizer: heap-buffer-overflow in ffgrant::Parse", signatures)

    def test_a_silent_death_has_one_too(self):
        self.assertTrue(libfuzzer.signature(""))

    def test_slug_is_a_file_name(self):
        self.assertEqual(libfuzzer.slug("crc16 is not linear"), "crc16-is-not-linear")
        self.assertEqual(libfuzzer.slug("///"), "finding")
        self.assertLessEqual(len(libfuzzer.slug("word " * 40)), 40)


class CommandTest(unittest.TestCase):
    def test_takes_options_and_dictionary_of_the_target(self):
        target = targets.find("hash_slot")
        command = libfuzzer.command("b", target, "/a/x-", ("/w", "/s"), ("-runs=0",), ("setarch",))
        self.assertEqual(command[:2], ["setarch", "b"])
        self.assertIn("-use_value_profile=1", command)
        self.assertIn(f"-dict={target.dictionary}", command)
        # The caller's flags come after those of the options file, and so they win.
        self.assertEqual(command[-3:], ["-runs=0", "/w", "/s"])


class AflTest(unittest.TestCase):
    def test_reads_statistics(self):
        stats = afl.read_stats("execs_done        : 51900\nedges_found : 47\nbitmap_cvg : 11.38%\n"
                               "afl_version : ++4.04c\n")
        self.assertEqual((stats["execs_done"], stats["edges_found"], stats["bitmap_cvg"]),
                         (51900, 47, 11.38))
        self.assertEqual(stats["afl_version"], "++4.04c")

    def test_command_ends_with_the_binary(self):
        command = afl.command("b", targets.find("hash_slot"), "s", "o", 0.2)
        self.assertEqual(command[-2:], ["--", "b"])
        self.assertEqual(command[command.index("-V") + 1], "1")  # 0 would mean no limit


if __name__ == "__main__":
    unittest.main()
