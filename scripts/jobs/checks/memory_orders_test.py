# SPDX-License-Identifier: Apache-2.0
"""Tests that every source with memory orders of its own has a test. Such a test shows that the
orders of its source suffice. Sources of valkey are left out."""

import re
import unittest
from pathlib import Path

CORE = Path(__file__).resolve().parents[3] / "core"
_ORDERS = re.compile(r"memory_order_(?:acquire|release|acq_rel)|atomic_thread_fence")

# Source -> its test, which runs under relacy. For a source that only publishes plain data, a test
# under the thread sanitizer (label threads) is enough.
TESTS = {
    "ffgrant/claims/internal/counter_clock.h":
        "testing/memory_orders/counter_clock_orders_test.cc",
    "ffgrant/claims/internal/name_pool.cc": "ffgrant/claims/internal/name_pool_threads_test.cc",
    "ffgrant/claims/internal/name_pool.h": "ffgrant/claims/internal/name_pool_threads_test.cc",
    "ffgrant/claims/internal/spin_lock.cc": "testing/memory_orders/spin_lock_orders_test.cc",
    "ffgrant/claims/internal/spin_lock.h": "testing/memory_orders/spin_lock_orders_test.cc",
    "ffgrant/claims/worker.cc": "ffgrant/claims/worker_threads_test.cc",
}


class MemoryOrdersTest(unittest.TestCase):
    def test_each_source_of_the_claim_path_has_its_test(self):
        found = {
            path.relative_to(CORE).as_posix()
            for path in (CORE / "ffgrant").rglob("*")
            if path.suffix in (".h", ".cc") and not path.stem.endswith("_test")
            and "valkey" not in path.parts and _ORDERS.search(path.read_text(encoding="utf-8"))}
        self.assertEqual(found, set(TESTS))

    def test_each_test_runs_where_it_can_fail(self):
        lists = ((CORE / "CMakeLists.txt").read_text(encoding="utf-8")
                 + (CORE / "testing/memory_orders/CMakeLists.txt").read_text(encoding="utf-8"))
        for source, test in TESTS.items():
            with self.subTest(source):
                self.assertTrue((CORE / test).is_file())
                stem = re.escape(Path(test).stem)
                self.assertRegex(lists, rf"{stem}\.cc threads|foreach\(test [^)]*{stem}")


if __name__ == "__main__":
    unittest.main()
