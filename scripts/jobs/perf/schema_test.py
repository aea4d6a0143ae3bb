# SPDX-License-Identifier: Apache-2.0

import contextlib
import copy
import io
import json
import tempfile
import unittest
from pathlib import Path

from jobs.perf import schema, validate


@unittest.skipUnless(schema.is_installed(), "no jsonschema: ./scripts/bootstrap --for test")
class SchemaTest(unittest.TestCase):
    def examples(self):
        return {path.stem: json.loads(path.read_text(encoding="utf-8"))
                for path in sorted(schema.EXAMPLES.glob("*.json"))}

    def test_there_is_an_example_of_each_lane(self):
        self.assertLessEqual({"gate", "counts", "trend", "record", "error"}, set(self.examples()))

    def test_the_examples_are_of_the_form(self):
        for name, document in self.examples().items():
            with self.subTest(name):
                schema.check(document)

    def test_refuses_what_is_not(self):
        for name, document in self.examples().items():
            for field in document:
                broken = copy.deepcopy(document)
                del broken[field]
                with self.subTest(f"{name} without {field}"), self.assertRaises(ValueError):
                    schema.check(broken)
            with self.assertRaises(ValueError):
                schema.check(dict(document, more=1))
            with self.assertRaises(ValueError):
                schema.check(dict(document, format=1))

    def test_what_is_no_object_is_refused(self):
        for document in ([], [{}], "gate", 3, None, True):
            with self.subTest(document=document), \
                    self.assertRaisesRegex(ValueError, "no object"):
                schema.check(document)

    def test_a_lane_of_another_type_is_refused(self):
        for lane in ([], {}, None, 3):
            with self.subTest(lane=lane), self.assertRaises(ValueError):
                schema.check(dict(self.examples()["gate"], lane=lane))

    def test_an_error_has_the_status_of_an_error_or_of_a_signal(self):
        document = self.examples()["error"]
        for status, right in ((2, True), (130, True), (143, True), (0, False), (1, False),
                              (128, False), (2.5, False), ("2", False)):
            with self.subTest(status=status), contextlib.ExitStack() as stack:
                if not right:
                    stack.enter_context(self.assertRaises(ValueError))
                schema.check(dict(document, exit_status=status))

    def test_validate_names_the_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "list.json"
            for text in ("[]", "{", "[" * 100_000):
                path.write_text(text, encoding="utf-8")
                output = io.StringIO()
                with contextlib.redirect_stdout(output):
                    self.assertEqual(validate.main([str(path)]), 2)
                self.assertIn(f"{path}: ", output.getvalue())
                self.assertIn("1 files, 1 problems", output.getvalue())


if __name__ == "__main__":
    unittest.main()
