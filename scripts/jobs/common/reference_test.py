# SPDX-License-Identifier: Apache-2.0

import os
import re
import stat
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.common import reference
from jobs.common.build import ROOT


def tool(folder, name, text, status=0):
    path = Path(folder) / name
    path.write_text(f"#!/bin/sh\necho '{text}'\nexit {status}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


class LackingTest(unittest.TestCase):
    def lacking(self, rustc=None, cargo_status=None):
        with tempfile.TemporaryDirectory() as folder:
            if rustc is not None:
                tool(folder, "rustc", rustc)
            if cargo_status is not None:
                tool(folder, "cargo", "", cargo_status)
            with mock.patch.dict(os.environ, PATH=folder):
                return reference.lacking()

    def test_says_what_there_is_not(self):
        self.assertEqual(self.lacking(), "no cargo and rustc")
        self.assertEqual(self.lacking("rustc 1.85.0 (x)"), "no cargo and rustc")
        self.assertEqual(self.lacking("what?", 0), "rustc does not run")
        self.assertEqual(self.lacking("rustc 1.63.0 (x)", 0), "rustc 1.63 is older than 1.85")
        self.assertEqual(self.lacking("rustc 1.85.0 (x)", 101), "its crates are not there")

    def test_nothing_where_all_is_there(self):
        self.assertIsNone(self.lacking("rustc 1.85.0 (x)", 0))
        self.assertIsNone(self.lacking("rustc 2.0.0-nightly", 0))


class OldestRustTest(unittest.TestCase):
    def test_is_the_same_everywhere(self):
        expected = "{}.{}".format(*reference.OLDEST_RUST)
        for path, pattern in (("core/testing/reference/CMakeLists.txt", r"set\(oldest_rust (.*)\)"),
                              ("core/testing/reference/Cargo.toml", r'rust-version = "(.*)"'),
                              ("core/testing/reference/sdk_worker/Cargo.toml",
                               r'rust-version = "(.*)"'),
                              ("scripts/bootstrap", r"^oldest_rust=(.*)$")):
            with self.subTest(path):
                text = (ROOT / path).read_text(encoding="utf-8")
                self.assertEqual(re.search(pattern, text, re.MULTILINE)[1], expected)


if __name__ == "__main__":
    unittest.main()
