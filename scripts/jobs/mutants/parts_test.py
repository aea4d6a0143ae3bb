# SPDX-License-Identifier: Apache-2.0

import tempfile
import unittest
from pathlib import Path

from jobs.mutants import parts

_SOURCES = {
    "core": ["a.cc", "claims/b.h"],
    "client": ["deployment/c.cc", "http/internal/d.cc", "valkey/e.cc", "valkey/internal/f.h"],
    "functions": ["valkey/functions/g.lua"],
}
_NEITHER = ["a_test.cc", "valkey/functions/README.md"]


class PartsTest(unittest.TestCase):
    def test_each_source_is_in_one_part(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            for source in [*_NEITHER, *(s for sources in _SOURCES.values() for s in sources)]:
                path = Path(name) / "core" / "ffgrant" / source
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(source, encoding="utf-8")
            for part in parts.NAMES:
                self.assertEqual(parts.sources(part, Path(name)), {s: s for s in _SOURCES[part]})

    def test_each_part_has_mutants(self) -> None:
        for part in parts.NAMES:
            sources = parts.sources(part)
            ids = [m.id for name, text in sources.items() for m in parts.mutants_of(name, text)]
            self.assertGreater(len(ids), 1000, part)
            self.assertEqual(len(ids), len(set(ids)), part)


if __name__ == "__main__":
    unittest.main()
