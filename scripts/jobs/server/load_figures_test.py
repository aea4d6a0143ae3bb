# SPDX-License-Identifier: Apache-2.0

import itertools
import math
import unittest
from types import SimpleNamespace

from jobs.server import job, load_figures
from jobs.server.load_figures import OURS, REFERENCE, Figures, paired_ratio


def figures_of(rate, server_us, client_us=5.0):
    return {"count": 1000, "seconds": 1000 / rate, "server_cpu": server_us / 1000,
            "client_cpu": client_us / 1000, "p50_us": 100.0, "p99_us": 2000.0, "p999_us": 3000.0,
            "max_us": 4000.0, "latest_us": 10.0}


def measured(ours, theirs, what="pair", depth=64):
    figures = Figures()
    for rate in ours:
        figures.add(what, depth, OURS, figures_of(rate, 1e6 / rate))
    for rate in theirs:
        figures.add(what, depth, REFERENCE, figures_of(rate, 1e6 / rate))
    return figures


class PairedRatio(unittest.TestCase):
    def test_what_slows_both_sides_of_a_round_does_not_count(self):
        ratio = paired_ratio([200.0, 20.0, 2.0], [100.0, 10.0, 1.0])
        self.assertAlmostEqual(ratio.mean, 2)
        self.assertAlmostEqual(ratio.low, 2)
        self.assertAlmostEqual(ratio.high, 2)

    def test_the_interval_is_students_of_the_logarithms(self):
        # The logarithms have the mean ln 2 and the standard error ln 2 / sqrt 3, and t(2, 97.5 %)
        # is 4.3027.
        ratio = paired_ratio([1.0, 2.0, 4.0], [1.0, 1.0, 1.0])
        self.assertAlmostEqual(ratio.mean, 2)
        half = 4.302653 * math.log(2) / math.sqrt(3)
        self.assertAlmostEqual(math.log(ratio.high), math.log(2) + half, places=5)
        self.assertAlmostEqual(math.log(ratio.low), math.log(2) - half, places=5)

    def test_a_single_round_has_no_interval(self):
        self.assertEqual(paired_ratio([3.0], [2.0]).text(), "1.50x")


class Metrics(unittest.TestCase):
    def test_costs_are_of_one_execution(self):
        figures = measured([4000, 5000, 10000], [])
        self.assertAlmostEqual(figures.stat("pair", 64, OURS, "rate").median, 5000)
        self.assertAlmostEqual(figures.stat("pair", 64, OURS, "server_us").median, 200)
        self.assertAlmostEqual(figures.stat("pair", 64, OURS, "client_us").median, 5)
        self.assertAlmostEqual(figures.stat("pair", 64, OURS, "client_share").median, 0.025)

    def test_ratios_need_both_sides(self):
        self.assertIsNone(measured([1, 2], []).ratio("pair", 64, "rate"))
        figures = measured([200, 400], [100, 200])
        self.assertAlmostEqual(figures.ratio("pair", 64, "rate").mean, 2)
        self.assertAlmostEqual(figures.ratio("pair", 64, "server_us", inverse=True).mean, 2)


class Bars(unittest.TestCase):
    def verdicts(self, figures):
        table = load_figures.bars_table(figures, 64)
        return {row[0]: row[-1] for row in table.rows}

    def test_each_limit_counts(self):
        name = "claims/s, issue, then claim: x reference"
        for ours, verdict in ((149, "MISSED"), (150, "goal")):
            self.assertEqual(self.verdicts(measured([ours] * 2, [100] * 2))[name], verdict)

    def test_the_client_has_at_most_its_share(self):
        for client_us, verdict in ((5.9, "goal"), (9.9, "first"), (10.1, "MISSED")):
            figures = Figures()
            figures.add("pair", 64, OURS, figures_of(10_000, 100, client_us))
            self.assertEqual(
                self.verdicts(figures)["client's share of a core at the peak, 64 at once"],
                verdict)

    def test_the_clients_share_is_that_where_the_server_is_quickest(self):
        figures = Figures()
        for depth, claims, client_us in ((16, 9_000, 20), (64, 10_000, 11), (256, 11_000, 9)):
            figures.add("pair", depth, OURS, figures_of(claims, 100, client_us))
        self.assertEqual(self.verdicts(figures),
                         {"client's share of a core at the peak, 256 at once": "first"})

    def test_the_limit_is_that_of_both_calls_together(self):
        figures = measured([1000], [])
        for what, server_us in (("calls issue", 20), ("calls claim", 80), ("commands issue", 18),
                                ("commands claim", 76)):
            figures.add(what, 64, OURS, figures_of(1000, server_us))
        name = "CPU of the data commands / issue, then claim"
        self.assertEqual(self.verdicts(figures)[name], "MISSED")
        figures = measured([1000], [])
        for what, server_us in (("calls issue", 20), ("calls claim", 80), ("commands issue", 19),
                                ("commands claim", 76.5)):
            figures.add(what, 64, OURS, figures_of(1000, server_us))
        self.assertEqual(self.verdicts(figures)[name], "goal")


class Tables(unittest.TestCase):
    def test_rows_of_ours_and_of_the_reference_with_the_ratio(self):
        table = load_figures.rate_table(measured([2000, 2000], [1000, 1000]), [64])
        self.assertEqual(table.rows[0], ["issue, then claim"])
        self.assertEqual(table.rows[1][:3], ["  ours", "64", "2.00 k"])
        self.assertEqual(table.rows[1][-1], "2.00x (2.00-2.00)")
        self.assertEqual(table.rows[2][:3], ["  reference", "64", "1.00 k"])

    def test_open_loops_show_the_longest_of_all_rounds(self):
        figures = Figures()
        for longest, latest in ((1000.0, 20.0), (9000.0, 30.0), (2000.0, 7000.0)):
            figures.add("open 50", 0, OURS, {**figures_of(500, 100), "max_us": longest,
                                             "latest_us": latest})
        table = load_figures.open_table(figures, [50, 70], 1000)
        self.assertEqual(len(table.rows), 1)
        self.assertEqual(table.rows[0][:2], ["50 %", "500"])
        self.assertEqual(table.rows[0][-2:], ["9,000", "7,000"])


class Limits(unittest.TestCase):
    def test_the_sentence_says_what_lua_cannot_get_past(self):
        figures = measured([2000, 2000], [1000, 1000])
        self.assertEqual(load_figures.limit_sentence(figures, 64), "")
        for name in ("issue", "claim"):
            figures.add(f"calls {name}", 64, OURS, {**figures_of(100, 1), "server_cpu": 1.0})
            figures.add(f"commands {name}", 64, OURS, {**figures_of(100, 1), "server_cpu": 0.5})
        ratio = figures.ratio("pair", 64, "server_us", inverse=True).mean
        self.assertEqual(
            load_figures.limit_sentence(figures, 64),
            "the data commands alone take 50 % of the CPU of issue, then claim: functions that "
            f"store the same state get to {2 * ratio:.2f}x the reference at most, however little "
            "Lua they are")
        self.assertIn("get to", load_figures.bars_table(figures, 64).note)


class Cells(unittest.TestCase):
    def test_each_load_finds_executions_that_are_ready_for_it(self):
        plan = job.Plan(rounds=1, turns=1, count=40, open_seconds=1)
        needs = {"issue": "create", "claim": "issue", "fused": "create", "complete": "claim"}
        cells = [*job.cells(plan), job.bare_cell(plan),
                 *itertools.chain(*job.limit_cells(plan))]
        for (what, depth), loads in cells:
            done = {}
            for load in loads:
                kind, _, count, *steps = load.split()
                for step in (text.split(":")[0] for text in steps):
                    if step in needs and kind == "closed":
                        available = max(done.get(needs[step], 0),
                                        done.get("fused", 0) if step == "complete" else 0)
                        self.assertGreaterEqual(available, int(count), (what, depth, load))
                    done[step] = done.get(step, 0) + int(count)


class Spread(unittest.TestCase):
    def test_a_spread_says_what_it_is(self):
        figures = measured([2000, 2000], [1000, 1000])
        for table in (load_figures.rate_table(figures, [64]), load_figures.cost_table(figures, 64)):
            self.assertIn("+/-", table.columns)
            self.assertIn("+/- half of their range", table.note)


class Transports(unittest.TestCase):
    def test_each_has_a_row_a_depth_beside_the_first(self):
        figures = load_figures.Figures()
        for _ in range(3):
            for name, seconds in (("tcp", 1.0), ("tls", 2.0)):
                figures.add("pair", 64, name, {"count": 100, "seconds": seconds, "p50_us": 5.0,
                                               "server_cpu": 0.5, "client_cpu": seconds / 10})
        table = load_figures.transport_table(figures, [64], ["tcp", "tls"])
        self.assertEqual(table.rows, [
            ["tcp", "64", "100", "0%", "5.0", "1,000", "5,000", "", ""],
            ["tls", "64", "50.0", "0%", "5.0", "2,000", "5,000", "0.50x (0.50-0.50)",
             "2.00x (2.00-2.00)"]])


class Command(unittest.TestCase):
    def test_the_command_is_repeated_as_it_was_given(self):
        arguments = SimpleNamespace(quick=True, cluster=True, with_reference=True, engine="redis",
                                    server=None, transports=False)
        self.assertEqual(job._command(arguments),
                         "./scripts/bench --backend valkey --quick --cluster --engine redis "
                         "--with-reference")


if __name__ == "__main__":
    unittest.main()
