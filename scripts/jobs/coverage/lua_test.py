# SPDX-License-Identifier: Apache-2.0

import tempfile
import unittest
from pathlib import Path

from jobs.common import build
from jobs.coverage import lua


class LuaTest(unittest.TestCase):
    TEXTS = {"a.lua": "one\ntwo\nthree\n", "b.lua": "four\nfive\n"}
    RUNS = [{1: 2, 3: 0, 4: 0, 5: 1}, {1: 0, 3: 0, 4: 7, 5: 0}]

    def test_sums_the_files_of_processes(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("11", "1 2\n3 0\n"), ("12", "1 5\n4 1\n")):
                (Path(folder) / name).write_text(text, encoding="ascii")
            self.assertEqual(lua.read_counts(Path(folder)), {1: 7, 3: 0, 4: 1})

    def test_lines_become_those_of_the_parts(self) -> None:
        parts = lua.by_part(self.TEXTS, self.RUNS)
        self.assertEqual([part.runs for part in parts],
                         [[{1: 2, 3: 0}, {1: 0, 3: 0}], [{1: 0, 2: 1}, {1: 7, 2: 0}]])
        self.assertEqual(lua.rows(parts), [["a.lua", "50.0", "0.0", "50.0", "2"],
                                           ["b.lua", "50.0", "50.0", "100", "2"],
                                           ["all", "50.0", "25.0", "75.0", "4"]])
        self.assertEqual(lua.rows(lua.by_part(self.TEXTS, self.RUNS[:1]))[-1],
                         ["all", "50.0", "4"])
        self.assertEqual(lua.uncovered(parts, self.TEXTS), ["a.lua:3: not executed: three"])

    def test_the_end_of_a_block_is_no_code(self) -> None:
        texts = {"a.lua": "register(function()\n  if a then\n    return b\n  end\nend)\nending()\n"}
        [part] = lua.by_part(texts, [dict.fromkeys(range(1, 7), 0)])
        self.assertEqual(part.runs, [{1: 0, 2: 0, 3: 0, 6: 0}])

    def test_parts_are_joined_in_the_order_of_the_list(self) -> None:
        texts = lua.read_texts(build.ROOT / "core" / "ffgrant" / "valkey" / "functions")
        self.assertEqual(next(iter(texts)), "valkey/functions/common.lua")
        self.assertTrue(all(text.endswith("\n") for text in texts.values()))


if __name__ == "__main__":
    unittest.main()
