# SPDX-License-Identifier: Apache-2.0

import contextlib
import html.parser
import io
import json
import re
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.page import testing

testing.needs()

from jobs.page import job  # noqa: E402
from jobs.page.bench_results import ReportError  # noqa: E402
from jobs.perf import history_files, home  # noqa: E402

_VOID = {"meta", "link", "input", "br", "hr", "img"}


class Reader(html.parser.HTMLParser):
    """Collects the parts of a page, and the places where it is not well-formed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.problems, self.elements = [], [], []
        self.text = []
        self.feed(text)
        self.problems += [f"{tag} is never closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> closes {self.open[-1:]} in line {self.getpos()[0]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text.append(data)

    def all(self, attribute):
        return [attrs[attribute] for _, attrs in self.elements if attribute in attrs]

    def words(self):
        return " ".join(" ".join(self.text).split())


def written(source, out, *more):
    """Runs the command; returns (exit status, what the command printed, the page)."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        status = job.main(["--from", str(source), "--out", str(out), *more])
    return status, output.getvalue(), (out / "report.html").read_text(encoding="utf-8")


class FullPageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        (folder / "results").mkdir()
        cls.source = testing.write_results(folder / "results")
        cls.out = folder / "out"
        cls.status, cls.output, cls.text = written(cls.source, cls.out)
        cls.page = Reader(cls.text)

    def test_is_well_formed(self):
        self.assertEqual(self.status, 0)
        self.assertEqual(self.page.problems, [])
        ids = self.page.all("id")
        self.assertEqual(len(ids), len(set(ids)))

    def test_every_reference_has_its_target(self):
        ids = set(self.page.all("id"))
        for attribute in ("aria-labelledby", "for", "data-table"):
            for value in self.page.all(attribute):
                self.assertLessEqual(set(value.split()), ids, value)
        links = self.page.all("href")
        self.assertTrue(links)
        for link in links:
            if link.startswith("#"):
                self.assertIn(link[1:], ids)
            elif link != "data:,":
                self.assertTrue((self.out / link).is_file(), link)

    def test_asks_no_network(self):
        self.assertEqual(self.page.all("src"), [])
        self.assertNotRegex(self.text, r"https?://|@import|url\((?!#)")

    def test_says_first_what_where_when_and_how_sure(self):
        words = self.page.words()
        first = words[:words.index("Figures to reach")]
        for wanted in ("A & B <1 GHz>, 2 cores to use", "2026-11-25 02:00 UTC", "0729f9c13a5b",
                       "./scripts/bench", "./scripts/mutants", "94 % interval, 5 rounds",
                       "94.7 %", "90.6 – 97.1 %"):
            self.assertIn(wanted, first)

    def test_holds_what_was_measured(self):
        words = self.page.words()
        for wanted in ("1,000,000 live executions", "simdjson", "p99.9", "24 measurements",
                       "memcpy 0.467× 0.467 – 0.467 limit",
                       "180 killed in 10 s, 8 later, 2 survived", "89.6 %"):
            self.assertIn(wanted, words)

    def test_says_what_is_missing_and_how_to_make_it(self):
        for wanted in ("./scripts/bench --peers", "./scripts/perf selftest"):
            self.assertIn(wanted, self.output)
            self.assertNotIn(wanted, self.page.words())  # a section without data takes no room
        self.assertNotIn("selftest", self.page.all("id"))

    def test_every_plot_has_words_a_table_and_a_png(self):
        plots = [attrs for tag, attrs in self.page.elements
                 if tag == "svg" and attrs.get("class") == "plot"]
        self.assertGreaterEqual(len(plots), 8)
        for attrs in plots:
            name = attrs["aria-labelledby"].split("-title")[0]
            self.assertTrue((self.out / "plots" / f"{name}.png").is_file())
        figures = re.findall(r"<figure.*?</figure>", self.text, re.DOTALL)
        self.assertEqual(len(figures), len(plots))
        self.assertTrue(all("<table" in figure for figure in figures))

    def test_the_same_results_make_the_same_page(self):
        again = self.out.parent / "again"
        self.assertEqual(written(self.source, again)[2], self.text)
        for path in (self.out / "plots").iterdir():
            self.assertEqual((again / "plots" / path.name).read_bytes(), path.read_bytes())


class SparsePageTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.source = Path(temporary.name) / "results"
        self.source.mkdir()
        self.out = Path(temporary.name) / "out"

    def test_without_results_no_part_is_shown_and_each_is_named(self):
        status, output, text = written(self.source, self.out)
        page = Reader(text)
        self.assertEqual((status, page.problems), (0, []))
        self.assertEqual(text.count('class="plot"'), 0)
        for command in ("./scripts/bench", "./scripts/perf record", "./scripts/mutants",
                        "./scripts/coverage"):
            self.assertIn(command, output)
        self.assertIn("Nothing is known yet", page.words())
        self.assertNotIn("<nav", text)
        self.assertNotIn("not measured", page.words())

    def test_the_first_thing_is_what_got_slower(self):
        for point in testing.history_points(count=1):
            history_files.append(point, self.source / "history")
        (self.source / "gate.json").write_text(json.dumps(testing.gate_document(
            testing.gate_entry("BM_fill<int[16]>", 1.2, "regressed"))), encoding="utf-8")
        with mock.patch.object(job.home, "IN_TREE", False):
            text = written(self.source, self.out, "--project", "theirs", "--repository",
                           "https://github.com/o/r")[2]
        page = Reader(text)
        self.assertEqual(page.problems, [])
        words = page.words()
        self.assertLess(words.index("BM_fill<int[16]>"), words.index("Gate"))
        self.assertIn("One measurement, and so no line yet", words)
        self.assertIn("https://github.com/o/r/commit/000000001000", page.all("href"))
        for ours in ("ffgrant parses", "FlowFabric", "claim", "same flags", "Figures to reach"):
            self.assertNotIn(ours, words)

    def test_files_of_others_are_none_of_ours(self):
        (self.source / "tsconfig.json").write_text("// no JSON\n{", encoding="utf-8")
        with mock.patch.object(home, "IN_TREE", False):
            self.assertEqual(written(self.source, self.out)[0], 0)
            (self.source / "gate.json").write_text("{", encoding="utf-8")
            with self.assertRaisesRegex(ReportError, "gate.json"):
                written(self.source, self.out)

    def test_plots_that_are_no_more_go_away_and_others_stay(self):
        (self.out / "plots").mkdir(parents=True)
        for name in ("ratios-gone.png", "mine.png", "ratios-gone.txt"):
            (self.out / "plots" / name).write_text("")
        testing.write_document(self.source / "coverage.md", testing.COVERAGE)
        written(self.source, self.out)
        self.assertEqual({path.name for path in (self.out / "plots").iterdir()},
                         {"mine.png", "ratios-gone.txt", "coverage-by-run.png"})

    def test_one_round_has_no_intervals_and_no_verdicts(self):
        testing.write_bench(self.source, rounds=1)
        words = Reader(written(self.source, self.out)[2]).words()
        self.assertIn("no interval can be given", words)
        self.assertIn("too few for an interval", words)
        self.assertNotIn("ahead in 1", words)

    def test_recorded_figures_are_shown_where_their_json_is_not(self):
        for name in ("bench.md", "peers.md"):
            testing.write_document(self.source / name,
                                   testing.made(f"T {name}", {"date": "today"}))
        words = Reader(written(self.source, self.out)[2]).words()
        self.assertIn("The last recorded run is among the recorded tables", words)
        self.assertIn("T bench.md", words)
        self.assertIn("T peers.md", words)
        self.assertNotIn("./scripts/bench --peers makes it", words)

    def test_only_files_beside_the_page_are_linked(self):
        testing.write_document(self.source / "coverage.md", testing.COVERAGE)
        elsewhere = Reader(written(self.source, self.out)[2])
        self.assertFalse([link for link in elsewhere.all("href") if link.endswith(".md")])
        here = Reader(written(self.source, self.source)[2])
        self.assertIn("coverage.md", here.all("href"))

    def test_a_file_may_lack_any_fact(self):
        for name in ("fuzz", "claims", "claims-faults"):
            testing.write_document(self.source / f"{name}.md", testing.made(name, {}))
        status, _, text = written(self.source, self.out)
        self.assertEqual((status, Reader(text).problems), (0, []))

    def test_a_markdown_without_its_json_ends_it_with_its_name(self):
        (self.source / "fuzz.md").write_text("# Fuzzing\n")
        with self.assertRaisesRegex(ReportError, "fuzz.json"):
            written(self.source, self.out)

    def test_results_of_another_folder_than_latest(self):
        testing.write_bench(self.source, subjects=("grant_json",))
        text = written(self.source / "latest", self.out)[2]
        self.assertIn("Grants as JSON", text)

    def test_text_of_files_can_t_become_markup(self):
        testing.write_document(self.source / "fuzz.md", testing.made(
            "<img src=x>", {"date": "<script>alert(1)</script>"}, [("S", ["<b>a"], [["<i>b"]])]))
        page = Reader(written(self.source, self.out)[2])
        self.assertEqual(page.problems, [])
        self.assertEqual([tag for tag, _ in page.elements].count("script"), 1)
        self.assertIn("<script>alert(1)</script>", page.words())

    def test_a_broken_file_ends_it_with_its_name(self):
        testing.write_bench(self.source)
        (self.source / "latest" / "ledger.json").write_text("{")
        with self.assertRaisesRegex(ReportError, "ledger.json"):
            written(self.source, self.out)
        self.assertFalse((self.out / "report.html").exists())

    def test_a_folder_that_is_not_there(self):
        with self.assertRaisesRegex(ReportError, "no such folder"):
            written(self.source / "absent", self.out)


if __name__ == "__main__":
    unittest.main()
