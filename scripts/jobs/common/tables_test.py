# SPDX-License-Identifier: Apache-2.0

import io
import unittest

from jobs.common import bars, gbench, report, tables
from jobs.common.documents import Document
from jobs.common.gbench_test import entry, results_of
from jobs.common.terminal import WIDTH, Terminal


def sample_round(factor=1.0):
    """A round with most kinds of rows, whose figures are chosen so that every ratio can be worked
    out by hand."""
    def claims(name, rate, **more):
        return entry(name, 100 * factor, items_per_second=rate / factor, **more)

    return [
        entry("BM_ParsePartitionKeyStrict_Core/random", 2.0 * factor, allocs_per_op=0.0,
              bytes_per_second=4e9 / factor),
        entry("BM_ParsePartitionKeyStrict_FromChars/random", 20.0 * factor, allocs_per_op=0.0),
        entry("BM_ParsePartitionKeyStrict_Core/early_reject", 1.0 * factor, allocs_per_op=0.0),
        entry("BM_ParseExecutionIdStrict_Core/valid", 5.0 * factor, allocs_per_op=0.0),
        entry("BM_ParseGrant_Core/canonical", 40.0 * factor, allocs_per_op=0.0),
        entry("BM_ParseGrant_SimdjsonOnDemand/canonical", 160.0 * factor),
        entry("BM_ParseGrant_Memcpy/canonical", 4.0 * factor),
        claims("BM_ClaimPairs_Ledger/live:1000000", 6e6, allocs_per_op=0.0),
        claims("BM_ClaimPairs_LedgerBatch/live:1000000", 9e6),
        claims("BM_ClaimPairs_AbslMapString/live:1000000", 3e6),
        claims("BM_ClaimPairs_AbslMapUuid/live:1000000", 4e6),
        claims("BM_ClaimCycle_Ledger/live:1000/threads:1", 5e6),
        claims("BM_ClaimLatency_Ledger/live:1000", 5e6, p50_ns=90.0, p99_ns=300.0, p999_ns=4e5),
    ]


class WordsTest(unittest.TestCase):
    def test_splits_camel_case(self):
        self.assertEqual(tables.words("ParseExecutionIdStrict"), "parse execution id strict")
        self.assertEqual(tables.words("GrantToJSON"), "grant to JSON")
        self.assertEqual(tables.words("Crc16"), "CRC16")


class NumbersTest(unittest.TestCase):
    def test_rates(self):
        self.assertEqual([tables.rate(v) for v in (12, 8_120_000, 999_999, 1e6, 43_210)],
                         ["12.0", "8.12 M", "1000 k", "1.00 M", "43.2 k"])

    def test_nanoseconds(self):
        self.assertEqual([tables.nanoseconds(v) for v in (1.234, 45.67, 890.1, 123_456)],
                         ["1.23", "45.7", "890", "123 k"])


class TablesTest(unittest.TestCase):
    def test_claims_pair_ours_with_each_baseline(self):
        rows = tables.claims_table(results_of(sample_round())).rows
        self.assertEqual(rows, [
            ["1,000 live"],  # the quantiles have their own table
            ["  full cycle", "1", "5.00 M", "", ""],
            ["1,000,000 live"],
            ["  issue + claim", "1", "6.00 M", "", "Abseil, text 2.00x"],
            ["", "", "", "", "Abseil, uuid 1.50x"],
            ["  issue + claim, batch", "1", "9.00 M", "", "Abseil, text 3.00x"],
            ["", "", "", "", "Abseil, uuid 2.25x"]])

    def test_claims_say_that_batch_rows_stand_beside_single_calls(self):
        table = tables.claims_table(results_of(sample_round()))
        said = "batch rows are calls of 32 executions each, set against the baseline's single calls"
        self.assertIn(said, " ".join(report.as_text(table, Terminal(io.StringIO()))))
        self.assertIn(said, "\n".join(report.as_markdown(table)))

    def test_claim_latency_shows_the_quantiles(self):
        table = tables.claim_latency_table(results_of(sample_round()))
        self.assertEqual(table.rows, [
            ["1,000 live"], ["  one claim", "1", "90.0", "300", "400 k", "-", "-"]])

    def test_claim_latency_shows_the_longest_call_where_it_was_measured(self):
        results = results_of([entry(
            "BM_ClaimLatency_AbslMapUuid/live:9/threads:16", 1, p50_ns=1.0, p99_ns=2.0, p999_ns=3.0,
            p9999_ns=4.0, longest_ns=5.0)])
        self.assertEqual(tables.claim_latency_table(results).rows, [
            ["9 live"],
            ["  one claim, Abseil, uuid", "16", "1.00", "2.00", "3.00", "4.00", "5.00"]])

    def test_parse_latency_shows_the_clock_and_stays_out_of_the_averages(self):
        results = results_of([
            entry(f"BM_ParseGrantLatency_{impl}/{case}", 50, timer_ns=20.0, p50_ns=p50,
                  p99_ns=2 * p50, p999_ns=3 * p50)
            for impl, p50 in (("SimdjsonOnDemandTyped", 90.0), ("Core", 30.0))
            for case in ("canonical", "late_reject")])
        self.assertEqual(tables.parse_latency_table(results).rows, [
            ["parse grant latency"],
            ["  canonical", "20.0", "30.0", "60.0", "90.0"],
            ["  canonical, simdjson, typed", "20.0", "90.0", "180", "270"],
            ["  late reject", "20.0", "30.0", "60.0", "90.0"],
            ["  late reject, simdjson, typed", "20.0", "90.0", "180", "270"]])
        self.assertIsNone(tables.text_table(results))
        self.assertIsNone(tables.parse_latency_table(results_of(sample_round())))

    def test_memory_pairs_ours_with_each_baseline(self):
        results = results_of([
            entry("BM_LedgerMemory_Ledger/live:1000", 1, bytes_per_execution=200.0),
            entry("BM_LedgerMemory_AbslMapUuid/live:1000", 1, bytes_per_execution=400.0)])
        self.assertEqual(tables.memory_table(results).rows,
                         [["  1,000 live", "200", "", "Abseil, uuid 0.50x"]])
        self.assertIsNone(tables.memory_table(results_of(sample_round())))

    def test_sizes_stay_together_and_variants_come_last(self):
        names = [f"BM_ClaimPairs_Ledger/live:{case}"
                 for case in ("9/clock:coarse", "1000", "9/threads:2", "9")]
        results = results_of([entry(name, 1, items_per_second=1.0) for name in names])
        self.assertEqual([row[:2] for row in tables.claims_table(results).rows], [
            ["9 live"], ["  issue + claim", "1"], ["  issue + claim", "2"],
            ["  issue + claim, clock coarse", "1"], ["1,000 live"], ["  issue + claim", "1"]])

    def test_text_rows_pair_ours_with_each_baseline_of_the_same_case(self):
        table = tables.text_table(results_of(sample_round(), sample_round(3)))
        rows = table.rows
        self.assertEqual(rows[0], ["parse partition key strict"])
        self.assertEqual(rows[1], ["  random", "4.00", "50%", "2.67", "0",
                                   "from_chars 10.0x"])
        self.assertEqual(rows[2][0], "  early reject")
        self.assertEqual(rows[2][-1], "")
        grant = rows.index(["parse grant"])
        self.assertEqual(rows[grant + 1][-1], "simdjson 4.00x")
        self.assertEqual(rows[grant + 2][-1], "memcpy 0.10x")

    def test_a_ratio_shows_its_range_over_the_rounds(self):
        slower = entry("BM_A_Core/x", 3), entry("BM_A_FromChars/x", 4)
        table = tables.text_table(results_of(
            [entry("BM_A_Core/x", 1), entry("BM_A_FromChars/x", 4)], slower))
        self.assertEqual(table.rows[1][-1], "from_chars 2.67x (1.33-4.00)")

    def test_nothing_measured_makes_no_table(self):
        self.assertEqual(tables.all_tables(gbench.Results()), [])

    def test_baselines_alone_make_no_table(self):
        results = results_of([entry("BM_A_FromChars/x", 1),
                              entry("BM_ClaimPairs_AbslMapString/live:5", 1,
                                    items_per_second=1.0)])
        self.assertEqual(tables.all_tables(results), [])


class BarsTest(unittest.TestCase):
    def verdict(self, what, *rounds):
        found = [v for v in bars.judge(results_of(*rounds)) if what in v.bar.what]
        self.assertEqual(len(found), 1)
        return found[0]

    def test_time_ratio(self):
        verdict = self.verdict("strict key", sample_round())
        self.assertAlmostEqual(verdict.value.median, 0.1)
        self.assertTrue(verdict.meets(verdict.bar.first) and verdict.meets(verdict.bar.goal))

    def test_absolute_time(self):
        verdict = self.verdict("execution id", sample_round())
        self.assertTrue(verdict.meets(verdict.bar.first))
        self.assertFalse(verdict.meets(verdict.bar.goal))

    def test_speed_ratio(self):
        verdict = self.verdict("from JSON", sample_round())
        self.assertAlmostEqual(verdict.value.median, 4)
        self.assertTrue(verdict.meets(verdict.bar.first))
        self.assertFalse(verdict.meets(verdict.bar.goal))

    def test_claims_ratio_and_rate(self):
        self.assertAlmostEqual(self.verdict("Abseil, text", sample_round()).value.median, 2)
        self.assertAlmostEqual(self.verdict("full cycle", sample_round()).value.median, 5)

    def test_two_threads_are_compared_with_one(self):
        one = entry("BM_ClaimPairs_Ledger/live:1000", 50, items_per_second=20e6)
        two = entry("BM_ClaimPairs_Ledger/live:1000/manual_time/threads:2", 30,
                    items_per_second=30e6, threads=2)
        verdict = self.verdict("pairs, 1,000 live: 2 threads", [one, two])
        self.assertAlmostEqual(verdict.value.median, 1.5)
        self.assertFalse(verdict.meets(verdict.bar.goal))
        self.assertIsNone(self.verdict("pairs, 1,000 live: 2 threads", [one]).value)
        self.assertIsNone(self.verdict("pairs, 1,000 live: 2 threads", [two]).value)

    def test_missing_rows_are_neither_met_nor_missed(self):
        verdict = self.verdict("memcpy", sample_round())
        self.assertIsNone(verdict.value)
        self.assertIsNone(verdict.meets(verdict.bar.goal))

    def test_a_single_allocation_anywhere_is_seen(self):
        self.assertEqual(self.verdict("allocations", sample_round()).value.median, 0)
        leaky = entry("BM_FormatKey_Core/x/threads:2", 3, allocs_per_op=1.0, threads=2)
        verdict = self.verdict("allocations", sample_round() + [leaky])
        self.assertEqual(verdict.value.median, 1)
        self.assertFalse(verdict.meets(verdict.bar.first))

    def test_table_says_which_bars_are_met(self):
        table = tables.bars_table(results_of(sample_round()))
        self.assertEqual(table.rows[1][1:], ["5.00 ns", "", "<= 8 ns", "met", "<= 4 ns", "MISSED"])
        self.assertEqual(table.rows[3][1], "not measured")


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.tables = tables.all_tables(results_of(sample_round(), sample_round(1.3)))

    def test_text_is_ascii_without_colour_on_a_pipe_and_narrow_on_a_terminal(self):
        self.assertEqual(len(self.tables), 4)
        screen = Terminal(io.StringIO())
        screen.is_tty = True
        for table in self.tables:
            for line in report.as_text(table, Terminal(io.StringIO())):
                self.assertTrue(line.isascii() and "\033" not in line, line)
            for line in report.as_text(table, screen):
                self.assertLessEqual(len(line), WIDTH, line)

    def test_a_spread_says_what_it_is(self):
        with_spread = [table for table in self.tables if "+/-" in table.columns]
        self.assertGreater(len(with_spread), 1)
        for table in with_spread:
            self.assertIn("+/- half of their range", table.note, table.title)

    def test_a_long_name_gives_way(self):
        name = "BM_ParseSomething" + "VeryLong" * 12 + "_Core/case" + "_and_more" * 12
        table = tables.text_table(results_of([entry(name, 1.0)]))
        screen = Terminal(io.StringIO())
        screen.is_tty = True
        body = report.as_text(table, screen)[2:]
        self.assertLessEqual(max(len(line) for line in body), WIDTH)
        # In a log the row is whole.
        log = report.as_text(table, Terminal(io.StringIO()))
        self.assertTrue(any("case" + " and more" * 12 in line for line in log), log)

    def test_markdown_rows_have_as_many_cells_as_their_head(self):
        text = Document("Benchmark summary", [("CPU", "c")], blocks=self.tables).markdown()
        self.assertIn("- CPU: c\n", text)
        self.assertIn("| parse partition key strict: random | 2.30 |", text)
        self.assertIn("| simdjson 4.00x; memcpy 0.10x |", text)
        cells = None
        for line in text.splitlines():
            if line.startswith("|"):
                cells = cells or line.count("|")
                self.assertEqual(line.count("|"), cells, line)
            else:
                cells = None


if __name__ == "__main__":
    unittest.main()
