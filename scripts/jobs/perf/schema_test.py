# SPDX-License-Identifier: Apache-2.0

import contextlib
import copy
import json
import unittest

from jobs.perf import schema


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

    def test_an_error_has_the_status_of_an_error_or_of_a_signal(self):
        document = self.examples()["error"]
        for status, right in ((2, True), (130, True), (143, True), (0, False), (1, False),
                              (128, False), (2.5, False), ("2", False)):
            with self.subTest(status=status), contextlib.ExitStack() as stack:
                if not right:
                    stack.enter_context(self.assertRaises(ValueError))
                schema.check(dict(document, exit_status=status))


if __name__ == "__main__":
    unittest.main()
