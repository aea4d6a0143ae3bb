# SPDX-License-Identifier: Apache-2.0
"""Tests the tables about loads on a deployment, and the two sentences that say where a claim spends
its time."""

from __future__ import annotations

import unittest
from typing import Any

from jobs.live import load_job, load_tables


def load(count: int, seconds: float, nothing: int = 0, **cpu: float) -> dict[str, Any]:
    stage = {"count": count, "mean": 10.0, "p50": 8.0, "p90": 20.0, "p99": 50.0, "p999": 90.0,
             "max": 99.0}
    stages = dict.fromkeys(load_tables.STAGES, stage)
    stages["grant"] = {**stage, "mean": 40.0}
    stages["whole"] = {**stage, "mean": 100.0}
    return {"count": count, "seconds": seconds, "asked": count + nothing, "nothing": nothing,
            "client_cpu": cpu.get("client", 0.1), "valkey_cpu": cpu.get("valkey", 0.5),
            "stages": stages, **({"server_cpu": cpu["server"]} if "server" in cpu else {})}


class Tables(unittest.TestCase):
    def setUp(self) -> None:
        self.figures = load_tables.Figures()
        for seconds in (1.0, 2.0, 4.0):
            self.figures.add("cycle", 1, load(100, seconds, server=0.4))
            self.figures.add("cycle", 64, load(1000, seconds, nothing=250, server=1.5))
            self.figures.add("threads", 64, load(1000, seconds, server=0.4, client=0.4))
            self.figures.add("open 50", 64, load(100, seconds, server=0.4))
        self.figures.add("once", 64, {**load(1000, 2.0, server=1.5), "executions": 1000,
                                      "completed_once": 999, "results_equal": 998})

    def rows(self, table: load_tables.Table) -> list[list[str]]:
        return [list(map(str, row)) for row in table.rows]

    def test_rates_shares_and_cpu(self) -> None:
        closed = self.rows(load_tables.closed_table(self.figures))
        self.assertEqual(closed[1], ["full cycle", "64", "500", "75%", "20.0 %", "8.0", "50.0",
                                     "100", "1,500", "500", "5.0 %"])
        self.assertEqual([row[:2] + row[-1:] for row in closed[2:]],
                         [["full cycle, a thread each", "64", "44.4 %"]])
        once = self.rows(load_tables.once_table(self.figures, 64))
        self.assertEqual(once[0][:4], ["1,000", "64", "999", "998"])
        opened = self.rows(load_tables.open_table(self.figures, 500))
        self.assertEqual(opened[0][:3], ["50 %", "64", "50.0"])

    def test_every_round_is_kept(self) -> None:
        found = self.figures.as_json()[0]
        self.assertEqual((found["what"], found["workers"], len(found["rounds"])), ("cycle", 1, 3))

    def test_two_sentences(self) -> None:
        text = load_tables.sentences(self.figures, 64)
        self.assertIn("the request that gets the grant takes 40%, claim, renew and complete on "
                      "Valkey 30%, and questions that find nothing, with the pauses behind them, "
                      "30%.", text)
        self.assertIn("FlowFabric's server uses 71%, Valkey 24% and the C++ workers 5%.", text)

    def test_parts_of_unlike_rounds_are_not_taken_for_pauses(self) -> None:
        figures = load_tables.Figures()
        for grant, rest in ((10.0, 20.0), (30.0, 15.0), (90.0, 1.0)):
            one = load(100, 1.0)
            one["stages"]["grant"] = {**one["stages"]["grant"], "mean": grant}
            for stage in ("claim", "renew", "complete"):
                one["stages"][stage] = {**one["stages"][stage], "mean": rest / 3}
            one["stages"]["whole"] = {**one["stages"]["whole"], "mean": grant + rest}
            figures.add("cycle", 1, one)
        self.assertIn("with the pauses behind them, 0%.", load_tables.sentences(figures, 1))

    def test_a_server_whose_cpu_nobody_can_see(self) -> None:
        figures = load_tables.Figures()
        figures.add("cycle", 1, load(100, 1.0))
        self.assertIn("is not known here", load_tables.sentences(figures, 1))
        self.assertEqual(self.rows(load_tables.closed_table(figures))[0][-3:], ["", "5,000", ""])


class Sizes(unittest.TestCase):
    def test_there_are_ids_for_every_load(self) -> None:
        plan = load_job.Plan(rounds=2, count=800, open_seconds=1, executions=10)
        closed = 256 + 2 * (100 + 100 + 800) + 800
        self.assertEqual(load_job.worker_counts(64), [1, 16, 64])
        self.assertEqual(load_job.worker_counts(1), [1])
        self.assertEqual(load_job.ids_needed(plan, 64, 256),
                         2 * (closed + 3 * 2000 + 11 * 4 * 256) + 10)


if __name__ == "__main__":
    unittest.main()
