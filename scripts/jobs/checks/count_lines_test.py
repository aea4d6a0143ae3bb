# SPDX-License-Identifier: Apache-2.0
"""Tests what counts as a line, language by language."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from jobs.checks import count_lines


class CountTest(unittest.TestCase):
    def test_cpp_comments_are_not_counted_and_strings_are(self):
        self.assertEqual(count_lines.count("C++", "// a\n\nint a;  // b\n/* c\n d */ int b;\n"), 2)
        self.assertEqual(count_lines.count("C++", 'f("// no", \'"\', R"x(/*\n\n)x");\n'), 2)
        self.assertEqual(count_lines.count("C++", "/* all\n of it */\n"), 0)

    def test_lua(self):
        self.assertEqual(count_lines.count("Lua", "-- a\nlocal a = '--'\n--[[ b\nc ]]\nreturn a\n"),
                         2)

    def test_python_docstrings_are_comments(self):
        text = '"""Doc.\n\nMore."""\n# a\n\nX = """a\n\nb"""\n\ndef f():\n    "doc"\n    return 1\n'
        self.assertEqual(count_lines.count("Python", text), 4)

    def test_sh(self):
        self.assertEqual(count_lines.count("sh", "#!/bin/sh\n# a\n\nset -eu\n  # b\necho '#'\n"), 2)

    def test_language(self):
        self.assertEqual(count_lines.language_of("a/b.cc", b""), "C++")
        self.assertEqual(count_lines.language_of("scripts/test", b"#!/bin/sh\n"), "sh")
        self.assertIsNone(count_lines.language_of("LICENSE", b"Apache"))
        self.assertIsNone(count_lines.language_of("a.md", b""))

    def test_a_revision(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "a.cc").write_text("int a;\n// b\nint b;", encoding="utf-8")
            (folder / "b c").write_text("#!/bin/sh\ntrue\n", encoding="utf-8")
            (folder / "d.bin").write_bytes(b"\0\xff\n")
            for command in (["init", "-q"], ["add", "."],
                            ["-c", "user.name=x", "-c", "user.email=x@localhost",
                             "commit", "-qm", "x"]):
                subprocess.run(["git", *command], cwd=folder, check=True)
            self.assertEqual(count_lines.count_revision("HEAD", folder),
                             {"C++": 2, "Lua": 0, "Python": 0, "sh": 1})


if __name__ == "__main__":
    unittest.main()
