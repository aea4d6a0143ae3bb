# SPDX-License-Identifier: Apache-2.0

import hashlib
import unittest

from jobs.common import build

_SHA256 = "0145e4bf8582694f7cbba6086de03497e94f963b35e1dd6e055350df50a92e15"


class ReferenceKernelTest(unittest.TestCase):
    def test_is_what_the_history_was_measured_with(self):
        """Every time in the history is a multiple of this kernel's time. The kernel is never
        changed: a better one gets a name of its own, and a history of its own."""
        source = (build.ROOT / "bench" / "perf" / "reference_kernel.cc").read_bytes()
        self.assertEqual(hashlib.sha256(source).hexdigest(), _SHA256)


if __name__ == "__main__":
    unittest.main()
