# SPDX-License-Identifier: Apache-2.0

import datetime
import json
import tempfile
import unittest
from pathlib import Path

from jobs.perf import known
from jobs.perf.error import PerfError

_DAY = datetime.date(2026, 11, 28)


def entry(benchmark="BM_a", reason="noisy", until="2026-12-31"):
    return {"benchmark": benchmark, "reason": reason, "until": until}


class KnownTest(unittest.TestCase):
    def read(self, document):
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "known.json"
            path.write_text(document if isinstance(document, str) else json.dumps(document),
                            encoding="utf-8")
            return known.read(path, _DAY)

    def test_an_entry_holds_to_its_last_day(self):
        for until, holds in (("2026-11-28", True), ("2026-11-27", False)):
            found = self.read([entry(until=until)])
            self.assertEqual(found.entry("BM_a") is not None, holds)
            self.assertEqual(len(found.expired), 0 if holds else 1)

    def test_a_star_stands_for_any_text_and_nothing_else_is_special(self):
        found = self.read([entry("BM_x<int[16]>/*")])
        self.assertIsNotNone(found.entry("BM_x<int[16]>/8/threads:1"))
        for name in ("BM_x<int1>/8", "BM_x<int[16]>", "xBM_x<int[16]>/8"):
            self.assertIsNone(found.entry(name))

    def test_an_entry_that_matches_nothing_is_told(self):
        found = self.read([entry(), entry("BM_b")])
        self.assertEqual([each.benchmark for each in found.unused(["BM_a"])], ["BM_b"])

    def test_a_reason_and_a_date_are_needed(self):
        for document in ("{", {}, [1], [{"benchmark": "x"}], [entry(reason=" ")],
                         [entry(until="soon")], [dict(entry(), more=1)], [dict(entry(), until=1)]):
            with self.assertRaises(PerfError):
                self.read(document)
        with self.assertRaises(PerfError):
            known.read(Path("/no/such/file"))


if __name__ == "__main__":
    unittest.main()
