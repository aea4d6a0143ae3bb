# SPDX-License-Identifier: Apache-2.0
"""Opens the report's page in Chromium and looks at it as a reader would. The tests are skipped,
and do not count as passed, where ./scripts/bootstrap --for browser has not been run."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.page import testing

testing.needs(("scipy", "matplotlib", "jinja2", "markdown_it", "selenium"), "browser")
_BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
if not (_BROWSER and shutil.which("chromedriver")):
    raise unittest.SkipTest("no chromium: ./scripts/bootstrap --for browser")

from selenium import webdriver  # noqa: E402 (after what skips)
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

from jobs.page import job  # noqa: E402
from jobs.page.template_test import written  # noqa: E402

_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
          "--disable-background-networking", "--disable-component-update", "--disable-sync")
_OPEN_ALL = "document.querySelectorAll('details').forEach((d) => { d.open = arguments[0]; });"
_LUMINANCE = """
const luminance = (colour) => {
  const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
const contrast = (a, b) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
"""


class BrowserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        cls.addClassCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        (folder / "results").mkdir()
        testing.write_results(folder / "results")
        written(folder / "results", folder / "out")
        cls.url = cls.own = (folder / "out" / "report.html").as_uri()
        (folder / "theirs").mkdir()
        testing.write_foreign(folder / "theirs")
        with mock.patch.object(job.home, "IN_TREE", False):
            written(folder / "theirs", folder / "there", "--project", "theirs", "--repository",
                    "https://github.com/o/r")
        cls.theirs = (folder / "there" / "report.html").as_uri()
        options = Options()
        options.binary_location = _BROWSER
        for flag in (*_FLAGS, f"--user-data-dir={folder / 'profile'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        cls.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")),
                                      options=options)
        cls.addClassCleanup(cls.driver.quit)

    def setUp(self):
        self.url = self.own

    def open(self, scheme="light", width=1280, height=900):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme},
                         {"name": "prefers-reduced-motion", "value": "reduce"}]})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        self.driver.get(self.url)

    def run_js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def test_no_errors_and_no_requests(self):
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.open()
        self.run_js(_OPEN_ALL, True)
        self.assertEqual(self.driver.get_log("browser"), [])
        messages = [json.loads(record["message"])["message"]
                    for record in self.driver.get_log("performance")]
        requests = [message["params"]["request"]["url"] for message in messages
                    if message["method"] == "Network.requestWillBeSent"]
        self.assertIn(self.url, requests)
        self.assertEqual([url for url in requests if url not in (self.url, "data:,")], [])

    def test_all_plots_are_drawn(self):
        self.all_plots_are_drawn(8)

    def test_all_plots_of_another_project_are_drawn(self):
        self.url = self.theirs
        self.all_plots_are_drawn(3)

    def test_the_first_screen_says_what_got_slower(self):
        self.url = self.theirs
        for width, height in ((1280, 720), (360, 740)):
            self.open(width=width, height=height)
            seen = self.run_js("""
                return [...document.querySelectorAll('#slower tbody th, #slower tbody td')]
                  .filter((cell) => cell.getBoundingClientRect().bottom < innerHeight)
                  .map((cell) => cell.textContent);""")
            for text in (testing.FOREIGN[0], "+8.2 %"):
                self.assertIn(text, seen)
            self.assertTrue([text for text in seen if "between" in text or "2026" in text], seen)

    def test_another_project_s_page_on_a_phone(self):
        self.url = self.theirs
        self.open(width=360, height=740)
        for opened in (False, True):
            self.run_js(_OPEN_ALL, opened)
            self.assertLessEqual(
                self.run_js("return document.documentElement.scrollWidth"), 360, opened)

    def test_no_label_lies_on_another(self):
        for url in (self.own, self.theirs):
            self.url = url
            self.open()
            self.assertEqual(self.run_js("""
                const bad = [];
                for (const svg of document.querySelectorAll('svg.plot')) {
                  const boxes = [...svg.querySelectorAll('text')].map((text) =>
                    [text.textContent, text.getBoundingClientRect()]);
                  boxes.forEach(([one, a], at) => boxes.slice(at + 1).forEach(([two, b]) => {
                    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 &&
                        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4)
                      bad.push([svg.getAttribute('aria-labelledby'), one, two]);
                  }));
                }
                return bad;"""), [])

    def all_plots_are_drawn(self, least):
        for width in (1280, 360):
            self.open(width=width)
            boxes = self.run_js("""
                return [...document.querySelectorAll('svg.plot')].map((svg) => {
                  const box = svg.getBoundingClientRect();
                  const marks = [...svg.querySelectorAll('use, text')].map((mark) =>
                    [mark.outerHTML, mark.getBoundingClientRect()]);
                  const bad = marks.filter(([, inner]) => !(
                    inner.width + inner.height > 0 && inner.left >= box.left - 2 &&
                    inner.right <= box.right + 2 && inner.top >= box.top - 2 &&
                    inner.bottom <= box.bottom + 2));
                  return [svg.getAttribute('aria-labelledby'), box.width, box.height, marks.length,
                          bad.map(([text]) => text)];
                });""")
            self.assertGreaterEqual(len(boxes), least)
            for name, wide, high, marks, outside in boxes:
                self.assertGreater(min(wide, high), 40, name)
                self.assertGreater(marks, 7, name)
                self.assertEqual(outside, [], f"{name}: without size or not inside of the figure")

    def test_a_phone_needs_no_scrolling_sideways(self):
        self.open(width=360, height=740)
        for opened in (False, True):
            self.run_js(_OPEN_ALL, opened)
            self.assertLessEqual(
                self.run_js("return document.documentElement.scrollWidth"), 360, opened)
            wide = self.run_js("""
                return [...document.querySelectorAll('body *')].filter((element) =>
                  !element.closest('.scroll, .hidden, .skip, svg') &&
                  element.getBoundingClientRect().right > 361)
                  .map((element) => element.outerHTML.slice(0, 80));""")
            self.assertEqual(wide, [])

    def test_a_phone_s_text_can_be_read(self):
        self.open(width=360, height=740)
        smallest = self.run_js("""
            return Math.min(...[...document.querySelectorAll('svg.plot text')].map((text) => {
              const svg = text.closest('svg');
              return parseFloat(getComputedStyle(text).fontSize) *
                svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
            }));""")
        self.assertGreaterEqual(smallest, 8.5)

    def test_links_lead_somewhere(self):
        self.open()
        links = self.run_js("return [...document.links].map((link) => link.href)")
        self.assertGreater(len(links), 15)
        for link in links:
            address, _, fragment = link.partition("#")
            if address == self.url:
                self.assertTrue(self.run_js(
                    "return document.getElementById(arguments[0]) !== null", fragment), link)
            else:
                self.assertTrue(address.startswith("file://"), link)
                self.assertTrue(Path(address[len("file://"):]).is_file(), link)

    def test_a_link_to_a_section_brings_it_into_view(self):
        self.open()
        link = self.driver.find_element("css selector", 'nav a[href="#mutants"]')
        link.click()
        top = self.run_js("return document.getElementById('mutants').getBoundingClientRect().top")
        self.assertLess(abs(top), 60)

    def test_both_schemes_and_the_choice_between_them(self):
        colours = {}
        for scheme in ("light", "dark"):
            self.open(scheme)
            self.run_js("localStorage.clear()")
            self.open(scheme)
            colours[scheme] = self.run_js("return getComputedStyle(document.body).backgroundColor")
        self.assertNotEqual(colours["light"], colours["dark"])
        button = self.driver.find_element("id", "theme")  # the system prefers dark
        seen = []
        for _ in range(3):
            button.click()
            seen.append((button.text, self.run_js(
                "return getComputedStyle(document.body).backgroundColor")))
        self.assertEqual(seen, [("Theme: light", colours["light"]),
                                ("Theme: dark", colours["dark"]),
                                ("Theme: automatic", colours["dark"])])
        button.click()
        self.open("dark")
        self.assertEqual(self.driver.find_element("id", "theme").text, "Theme: light")
        self.run_js("localStorage.clear()")

    def test_contrast(self):
        # WCAG 2.2 AA asks for a contrast of 4.5 for text and of 3 for the parts of a plot. Colours
        # of both have to reach 4.5 here.
        for scheme in ("light", "dark"):
            self.open(scheme)
            found = self.run_js(_LUMINANCE + """
                const probe = document.body.appendChild(document.createElement('i'));
                const colour = (name) => {
                  probe.style.color = `var(--${name})`;
                  return getComputedStyle(probe).color;
                };
                const made = {};
                for (const paper of ['panel', 'paper'])
                  for (const name of ['ink', 'muted', 'blue', 'orange', 'purple'])
                    made[`${name} on ${paper}`] = contrast(colour(name), colour(paper));
                probe.remove();
                return made;""")
            for what, value in found.items():
                self.assertGreaterEqual(value, 4.5, f"{scheme}: {what}")

    def test_the_keyboard_reaches_every_control(self):
        self.open()
        wanted = self.run_js("""
            const controls = document.querySelectorAll(
              'a[href], button, input, summary, [tabindex="0"]');
            const reachable = [...controls].filter((one) =>
              one.checkVisibility({contentVisibilityAuto: true}) && one.getClientRects().length);
            reachable.forEach((one, number) => { one.dataset.stop = number; });
            return reachable.length;""")
        self.assertGreater(wanted, 20)
        reached = []
        body = self.driver.find_element("tag name", "body")
        for _ in range(wanted):
            (self.driver.switch_to.active_element or body).send_keys(Keys.TAB)
            stop, shown = self.run_js("""
                const at = document.activeElement, style = getComputedStyle(at);
                return [at.dataset.stop, parseFloat(style.outlineWidth) > 1 &&
                        style.outlineStyle !== 'none'];""")
            reached.append(int(stop if stop is not None else -1))
            self.assertTrue(shown, f"no focus to be seen at stop {stop}")
        self.assertEqual(reached, list(range(wanted)))

    def test_the_skip_link_comes_first_and_works(self):
        self.open()
        self.driver.find_element("tag name", "body").send_keys(Keys.TAB)
        first = self.driver.switch_to.active_element
        self.assertEqual(first.get_attribute("href"), f"{self.url}#content")
        self.assertGreaterEqual(first.rect["y"], 0)
        first.send_keys(Keys.ENTER)
        self.assertEqual(self.run_js("return document.activeElement.id"), "content")

    def test_the_filter_leaves_rows_that_have_all_words(self):
        self.open()
        field = self.driver.find_element("id", "filter-benchmarks")
        field.send_keys("grant canonical")
        shown = self.run_js("""
            return [...document.querySelectorAll('#table-benchmarks tbody tr')]
              .filter((row) => row.checkVisibility()).map((row) => row.textContent);""")
        self.assertEqual(len(shown), 3)
        self.assertTrue(all("grant, canonical" in text for text in shown))
        count = self.driver.find_element("css selector", "#filter-benchmarks ~ output").text
        self.assertEqual(count, "3 of 17")

    def test_without_scripts_nothing_is_lost(self):
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            self.open()
        finally:
            self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        self.assertFalse(self.driver.find_element("id", "theme").is_displayed())
        self.assertTrue(self.driver.find_element("css selector", "svg.plot").is_displayed())


if __name__ == "__main__":
    unittest.main()
