# SPDX-License-Identifier: Apache-2.0

import tempfile
import unittest
from pathlib import Path

from jobs.page import testing

testing.needs()

from jobs.page import recorded, server_part  # noqa: E402
from jobs.page.bench_results import ReportError  # noqa: E402
from jobs.server import load_figures  # noqa: E402


def load(what, at_once, whose, *rates):
    return {"what": what, "at_once": at_once, "whose": whose, "rounds": [
        {"count": rate, "seconds": 1.0, "p50_us": 100, "p99_us": 200, "p999_us": 900}
        for rate in rates]}


RUN = [load("pair", 16, "reference", 2000, 2100, 2200), load("pair", 1, "ours", 1000, 1100, 1200),
       load("pair", 16, "ours", 3000, 3100, 3200), load("create", 64, "ours", 1, 2, 3),
       load("open 50", 0, "ours", 1500, 1500, 1500)]


class ServerTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def section(self):
        return server_part.server(server_part.read_runs(self.folder))

    def write(self, run, name="claims", **facts):
        testing.write_document(self.folder / f"{name}.md",
                               testing.made("T", facts, figures={"loads": run}))

    def test_loads_are_set_beside_each_other(self):
        self.write(RUN, server="Valkey 9.1", date="today")
        rates, latency = self.section().plots
        self.assertEqual(rates.title, "Valkey 9.1: closed loop")
        self.assertEqual([row[:3] for row in rates.table.rows], [
            ["issue, then claim, 1 at once", "ffgrant", "1.10 k"],
            ["issue, then claim, 16 at once", "ffgrant", "3.10 k"],
            ["issue, then claim, 16 at once", "the reference", "2.10 k"]])
        self.assertEqual(rates.svg.count("issue, then claim, 16 at once"), 1)
        self.assertEqual(latency.text, "At 50 % of the peak: p50 100 µs, p99 200 µs, p99.9 900 µs.")

    def test_long_times_are_in_milliseconds(self):
        slow = load("open 90", 0, "ours", 10)
        slow["rounds"][0]["p999_us"] = 12_000
        self.write([slow])
        self.assertEqual(self.section().plots[0].text,
                         "At 90 % of the peak: p50 0.100 ms, p99 0.200 ms, p99.9 12.0 ms.")

    def test_reads_what_the_benchmark_writes(self):
        figures = load_figures.Figures()
        for number in range(3):
            figures.add("fused", 64, load_figures.OURS,
                        {"count": 100 + number, "seconds": 0.1, "p50_us": 5})
        self.write(figures.as_json())
        (plot,) = self.section().plots
        self.assertEqual(plot.table.rows, [["issue and claim in one call, 64 at once", "ffgrant",
                                            "1.01 k", "1.00 k – 1.02 k"]])

    def test_alone_and_cluster_stand_one_after_the_other(self):
        self.write(RUN, "claims-cluster")
        self.write(RUN)
        section = self.section()
        self.assertEqual([plot.name for plot in section.plots], [
            "server-claims-rates", "server-claims-latency", "server-claims-cluster-rates",
            "server-claims-cluster-latency"])

    def test_loads_by_transport_have_no_plot(self):
        self.write(RUN)
        self.write([load("pair", 64, "tcp", 1000), load("pair", 64, "tls", 900)],
                   "claims-transports")
        self.assertEqual([plot.name for plot in self.section().plots],
                         ["server-claims-rates", "server-claims-latency"])

    def test_what_has_no_loads_is_left_alone(self):
        self.write([])
        (self.folder / "other.json").write_text('[{"what": "pair"}]')
        self.assertEqual(self.section().missing[0].command, "./scripts/bench --backend valkey")

    def test_recorded_tables_are_shown_with_plots_and_without(self):
        document = recorded.from_json(testing.made("Claims", {}), "claims.md")
        self.write(RUN)
        for runs, plots in (({}, 0), (server_part.read_runs(self.folder), 2)):
            section = server_part.server(runs, document)
            self.assertEqual((section.documents, section.missing), ([document], []))
            self.assertEqual(len(section.plots), plots)

    def test_a_load_of_another_form_is_an_error(self):
        self.write([{"what": "pair", "at_once": 1, "whose": "ours", "rounds": [{"count": 1}]}])
        with self.assertRaisesRegex(ReportError, "pair.*seconds"):
            self.section()
        self.write([{"what": "pair"}])
        with self.assertRaisesRegex(ReportError, "claims.json"):
            self.section()


if __name__ == "__main__":
    unittest.main()
