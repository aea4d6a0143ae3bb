# SPDX-License-Identifier: Apache-2.0

import json
import tempfile
import unittest
from pathlib import Path

from jobs.common import build, documents
from jobs.common.tables import Table


def made():
    table = Table("A table", "a note", ["", "n", "text"], flush_left=(2,), rows=[
        ["heading"], ["  a | b", "1", "x, \"y\""], ["", "", "z"]])
    return documents.Document("Title", [("date", "today"), ("command", "`x`")], "All is well.",
                              [table, "## More\n\nWords."], {"numbers": [1, 2.5, None]})


class DocumentTest(unittest.TestCase):
    def test_markdown_is_a_view(self):
        self.assertEqual(made().markdown(), """<!-- SPDX-License-Identifier: Apache-2.0 -->
# Title

- date: today
- command: `x`

**All is well.**

## A table

A note.

|  | n | text |
|:--|--:|:--|
| heading: a \\| b | 1 | x, "y"; z |

## More

Words.
""")

    def test_the_json_has_the_same_rows_and_the_numbers(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "new", "x.md")
            made().write(path)
            self.assertEqual(path.read_text(encoding="utf-8"), made().markdown())
            text = path.with_suffix(".json").read_text(encoding="utf-8")
        self.assertEqual(json.loads(text), {
            "format": 1, "title": "Title", "facts": {"date": "today", "command": "`x`"},
            "summary": "All is well.",
            "tables": [{"section": "A table", "columns": ["", "n", "text"],
                        "right": [False, True, False],
                        "rows": [["heading: a | b", "1", "x, \"y\"; z"]]}],
            "figures": {"numbers": [1, 2.5, None]}})
        self.assertIn('["heading: a | b", "1", "x, \\"y\\"; z"]', text)


class CheckWritableTest(unittest.TestCase):
    def test_leaves_everything_as_it_is(self):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "old").write_text("old", encoding="utf-8")
            (folder / "link").symlink_to("target")
            for name in ("old", "new", "deep/new", "link"):
                documents.check_writable(folder / name)
            self.assertEqual((folder / "old").read_text(encoding="utf-8"), "old")
            self.assertTrue((folder / "link").is_symlink())
            self.assertEqual({path.name for path in folder.iterdir()}, {"old", "deep", "link"})
            with self.assertRaises(OSError):
                documents.check_writable(folder / "old" / "new")


class ResultsTest(unittest.TestCase):
    """Tests that each Markdown file of results/ shows what the JSON beside it holds."""

    def test_every_table_and_fact_of_the_json_stands_in_the_markdown(self):
        paths = sorted((build.ROOT / "results").glob("*.md"))
        self.assertGreater(len(paths), 5)
        for path in paths:
            shown = " ".join(path.read_text(encoding="utf-8").split())
            document = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            self.assertEqual(document["format"], documents.FORMAT, path.name)
            self.assertTrue(document["tables"], path.name)
            for what, text in document["facts"].items():
                self.assertIn(f"- {what}: {text}", shown, path.name)
            for table in document["tables"]:
                self.assertIn(f"# {table['section']} ", shown, path.name)
                for row in (table["columns"], *table["rows"]):
                    line = " | ".join(cell.replace("|", "\\|") for cell in row)
                    self.assertIn(" ".join(f"| {line} |".split()), shown, path.name)

    def test_there_is_no_json_without_its_view(self):
        for path in (build.ROOT / "results").glob("*.json"):
            self.assertTrue(path.with_suffix(".md").is_file(), path.name)


if __name__ == "__main__":
    unittest.main()
