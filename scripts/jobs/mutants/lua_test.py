# SPDX-License-Identifier: Apache-2.0

import ctypes
import ctypes.util
import unittest
from collections import Counter

from jobs.common import build
from jobs.mutants import lua

_FUNCTIONS = build.ROOT / "core" / "ffgrant" / "valkey" / "functions"
_TEXT = """\
-- A comment: if a == b then
local function first(a, b)
  if not a or b < 2 then return nil end
  call('HSET', a,
    'one', 'x == 1',
    'two', b)
  return a + 1
end

register('second', 1, 1, function(keys, args)
  local x = call('GET', keys[1])
  if x then call('DEL', keys[1]) end
  return { 1, 'OK', '0', true }
end)
"""


def _changes(operator: str) -> list[str]:
    """The lines that an operator's mutants have and the text has not, joined for each mutant."""
    before = _TEXT.splitlines()
    return ["|".join(line.strip() for line in mutant.text.splitlines() if line not in before)
            for mutant in lua.mutants_of("x.lua", _TEXT) if mutant.operator == operator]


class OperatorsTest(unittest.TestCase):
    def test_boundary_comparison_and_logic(self) -> None:
        self.assertEqual(_changes("boundary"), ["if not a or b <= 2 then return nil end"])
        self.assertEqual(_changes("comparison"), [])  # neither in a comment nor in a string
        self.assertEqual(_changes("logic"), ["if not a and b < 2 then return nil end"])
        self.assertEqual(_changes("arithmetic"), ["return a - 1"])
        self.assertEqual(_changes("truth"), ["return { 1, 'OK', '0', false }"])

    def test_constants(self) -> None:
        found = _changes("constant")
        for wanted in ("return a + 2", "return a + 0", "return { 1, 'OK', '1', true }",
                       "local x = call('GET', keys[2])", "if not a or b < 3 then return nil end"):
            self.assertIn(wanted, found)
        self.assertFalse([line for line in found if "x == 2" in line])

    def test_conditions(self) -> None:
        self.assertCountEqual(_changes("negation"), [
            "if not (not a or b < 2) then return nil end", "if a or b < 2 then return nil end",
            "if not (x) then call('DEL', keys[1]) end"])
        self.assertEqual(_changes("dropped-check"),
                         ["if (not a or b < 2) and false then return nil end"])

    def test_dropped_calls_and_fields(self) -> None:
        self.assertEqual(_changes("dropped-call"), ["", "if x then  end"])
        lost = [set(_TEXT.splitlines()) - set(mutant.text.splitlines())
                for mutant in lua.mutants_of("x.lua", _TEXT) if mutant.operator == "dropped-field"]
        self.assertEqual(lost, [{"    'one', 'x == 1',"}])

    def test_an_id_holds_when_another_function_changes(self) -> None:
        other = _TEXT.replace("'OK'", "'FINE'").replace("-- A comment", "-- Another\n-- comment")
        ids = {mutant.id for mutant in lua.mutants_of("x.lua", _TEXT) if mutant.line <= 8}
        self.assertLessEqual(ids, {mutant.id for mutant in lua.mutants_of("x.lua", other)})


class FunctionsTest(unittest.TestCase):
    """The mutants of the functions that ffgrant ships."""

    def test_each_is_lua_and_has_an_id_of_its_own(self) -> None:
        name = ctypes.util.find_library("lua5.1")
        if name is None:
            raise unittest.SkipTest("no liblua5.1")
        library = ctypes.CDLL(name)
        library.luaL_newstate.restype = ctypes.c_void_p
        state = ctypes.c_void_p(library.luaL_newstate())
        self.addCleanup(library.lua_close, state)
        ids: Counter[str] = Counter()
        for path in sorted(_FUNCTIONS.glob("*.lua")):
            for mutant in lua.mutants_of(path.name, path.read_text(encoding="utf-8")):
                ids[mutant.id] += 1
                text = mutant.text.encode()
                if text.startswith(b"#!"):  # the server's own line, which Lua does not know
                    text = text.partition(b"\n")[2]
                self.assertEqual(library.luaL_loadbuffer(
                    state, text, ctypes.c_size_t(len(text)), b"mutant"), 0, mutant.id)
                library.lua_settop(state, 0)
        self.assertGreater(len(ids), 2000)
        self.assertEqual(max(ids.values()), 1)

    def test_a_probe_stands_in_the_function_around_the_line(self) -> None:
        self.assertIn("first(a, b) error('probe')\n", lua.probe(_TEXT, 3) or "")
        self.assertIn("function(keys, args) error('probe')\n", lua.probe(_TEXT, 13) or "")
        self.assertIsNone(lua.probe(_TEXT, 1))


if __name__ == "__main__":
    unittest.main()
