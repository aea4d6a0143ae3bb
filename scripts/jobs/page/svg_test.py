# SPDX-License-Identifier: Apache-2.0

import io
import re
import unittest
import xml.etree.ElementTree as ElementTree

from jobs.page import testing

testing.needs()

import matplotlib  # noqa: E402
from PIL import Image  # noqa: E402

from jobs.page import (  # noqa: E402
    figures,
    line_figures,
    svg as page_svg,
)
from jobs.page.bench_results import estimate  # noqa: E402
from jobs.page.figures import Row  # noqa: E402

ROWS = [Row("parse grant <a & b>"), Row("simdjson", estimate([4, 5, 6]), "ahead", "5.00×"),
        Row("memcpy", estimate([0.4, 0.5]), "limit", "0.450×"),
        Row("plain", estimate([0.9, 1.2]), "undecided", "1.05×")]


def ratios(name="ratios"):
    return page_svg.draw(name, lambda: figures.ratios(ROWS, "times as fast"))


class DrawTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.svg, cls.png = ratios()
        cls.root = ElementTree.fromstring(cls.svg)

    def test_two_drawings_are_the_same_to_the_byte(self):
        self.assertEqual(ratios(), (self.svg, self.png))

    def test_ids_are_the_figure_s_own_and_all_in_use(self):
        ids = [element.get("id") for element in self.root.iter() if element.get("id")]
        self.assertEqual(len(ids), len(set(ids)))
        used = set(re.findall(r'(?:href="|url\()#([\w-]+)', self.svg))
        self.assertEqual(set(ids), used)
        self.assertTrue(used and all(one.startswith("ratios-") for one in used))
        other = set(re.findall(r'id="([^"]*)"', ratios("other")[0]))
        self.assertFalse(other & set(ids))

    def test_colours_come_from_the_page(self):
        self.assertEqual(re.findall(r"#[0-9a-fA-F]{6}\b", self.svg), [])
        for name in ("blue", "muted", "grid", "ink"):
            self.assertIn(f"var(--{name})", self.svg)

    def test_text_stays_text(self):
        texts = ["".join(element.itertext()) for element in self.root.iter("text")]
        for wanted in ("parse grant <a & b>", "simdjson", "5.00×", "times as fast", "1×"):
            self.assertIn(wanted, texts)
        self.assertNotIn("DejaVu", self.svg)

    def test_says_what_it_shows_to_who_can_t_see_it(self):
        self.assertEqual(self.root.get("role"), "img")
        self.assertEqual(self.root.get("aria-labelledby"), "ratios-title ratios-text")

    def test_nothing_is_fetched(self):
        self.assertNotIn("http", self.svg)
        self.assertNotIn("<image", self.svg)

    def test_all_is_drawn_inside(self):
        width, height = (float(text) for text in self.root.get("viewBox").split()[2:])
        self.assertEqual(width, page_svg.WIDTH)
        places = [(float(element.get("x")), float(element.get("y"))) for element in self.root.iter()
                  if element.get("x")]
        self.assertTrue(all(0 <= x <= width and 0 <= y <= height for x, y in places), places)

    def test_png(self):
        image = Image.open(io.BytesIO(self.png))
        self.assertEqual(image.format, "PNG")
        self.assertEqual(image.width, 1.25 * page_svg.WIDTH)
        self.assertLess(len(self.png), 20_000)

    def test_png_keeps_the_colours(self):
        rows = [Row("a", estimate([2, 3]), "ahead"), Row("b", estimate([0.2, 0.3]), "behind")]
        _, png = page_svg.draw("colours", lambda: figures.ratios(rows, ""))
        image = Image.open(io.BytesIO(png)).convert("RGB")
        found = {"#{:02x}{:02x}{:02x}".format(*colour) for _, colour in image.getcolors(1 << 16)}
        for name in ("blue", "orange", "ink", "panel", "grid"):
            self.assertIn(page_svg.COLOURS[name], found)


class FiguresTest(unittest.TestCase):
    def text_of(self, figure):
        svg, _ = page_svg.draw("figure", figure)
        return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter("text")]

    def test_history_marks_its_changes(self):
        points = [(point.date, estimate([1, 2])) for point in testing.history_points()]
        texts = self.text_of(lambda: line_figures.history(points, [(12, "+8.0 %")], "ratio"))
        self.assertIn("+8.0 %", texts)
        self.assertIn("2026-10-01", texts)
        self.assertIn("24 measurements, oldest first", texts)

    def test_a_wild_value_does_not_flatten_a_history(self):
        made = testing.history_points(count=20, step=20)
        points = [(point.date, estimate([10, 10.1, 10.2])) for point in made]
        points[7] = (points[7][0], estimate([500, 900, 1000]))
        with matplotlib.rc_context():
            axes = line_figures.history(points, [], "ratio").axes[0]
        self.assertLess(axes.get_ylim()[1], 12)
        self.assertEqual([line.get_marker() for line in axes.lines].count("^"), 1)

    def test_labels_of_changes_stay_inside_and_apart(self):
        points = [(point.date, estimate([1, 2])) for point in testing.history_points()]
        svg, _ = page_svg.draw("figure", lambda: line_figures.history(
            points, [(1, "+1,008.0 %"), (2, "+8.0 %"), (23, "−1,100.0 %")], "ratio"))
        texts = ["".join(element.itertext())
                 for element in ElementTree.fromstring(svg).iter("text")]
        self.assertIn("+1,008.0 %", texts)
        self.assertIn("−1,100.0 %", texts)
        self.assertNotIn("+8.0 %", texts)  # the text would lie on another; the table has it

    def test_quantiles_name_their_shares(self):
        lines = [("ours", [(0.5, estimate([10])), (0.999, estimate([90, 100]))], True)]
        texts = self.text_of(lambda: line_figures.quantiles(lines, "ns"))
        self.assertTrue({"p50", "p99.9", "ours", "ns"} <= set(texts), texts)

    def test_a_noisy_row_does_not_scale_the_others(self):
        rows = [Row("a", estimate([-1.0, 4.0]), "unchanged", "+1.5 %"),
                Row("b", estimate([7.0, 9.0]), "behind", "+8.0 %"),
                Row("noise", estimate([-90.0, 700.0]), "undecided", "+305 %")]
        axes = figures.differences(rows, "change", [2, 2, 400]).axes[0]
        self.assertLess(axes.get_xlim()[1], 12)
        widest = max(abs(edge) for patch in axes.patches for edge in (
            patch.get_x(), patch.get_x() + patch.get_width()))
        self.assertLessEqual(widest, axes.get_xlim()[1])
        self.assertIn("+305 %", self.text_of(lambda: figures.differences(rows, "c", [2, 2, 400])))

    def test_one_that_is_far_off_is_an_arrow_at_the_edge(self):
        rows = [Row(name, estimate([value, value + 1]), "behind", "") for name, value in (
            ("a", 5.0), ("b", 6.0), ("c", 7.0), ("d", 10_000.0))]
        axes = figures.differences(rows, "change", [2] * 4).axes[0]
        self.assertLess(axes.get_xlim()[1], 60)
        self.assertEqual([line.get_marker() for line in axes.lines].count(">"), 1)

    def test_long_names_are_whole_and_wrapped(self):
        name = "BM_Map<std::vector<std::pair<int, std::string>>>/erase_during_iteration/8388608"
        texts = self.text_of(lambda: figures.differences(
            [Row(name, estimate([1.0, 2.0]), "unchanged", "")], "change", [2]))
        self.assertIn(name, "".join(texts))
        for part in figures.wrapped("x" * 500):
            self.assertLessEqual(figures.text_width(part), page_svg.WIDTH - 6)
        self.assertEqual("".join(figures.wrapped(name)), name)

    def test_differences_are_signed(self):
        rows = [Row("a", estimate([-1.0, 4.0]), "undecided", "+1.5 %")]
        texts = self.text_of(lambda: figures.differences(rows, "change", [2]))
        self.assertTrue(any(text.startswith("+") and text.endswith(" %") for text in texts))


if __name__ == "__main__":
    unittest.main()
