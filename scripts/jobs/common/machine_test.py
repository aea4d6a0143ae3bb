# SPDX-License-Identifier: Apache-2.0

import tempfile
import unittest
from pathlib import Path

from jobs.common import machine


class TransparentHugePagesTest(unittest.TestCase):
    def test_the_mode_is_the_one_in_brackets(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "enabled"
            path.write_text("always [madvise] never\n", encoding="ascii")
            self.assertEqual(machine.transparent_huge_pages(path), "madvise")

    def test_a_kernel_without_them(self):
        self.assertEqual(machine.transparent_huge_pages("/nowhere/enabled"), "unknown")


if __name__ == "__main__":
    unittest.main()
