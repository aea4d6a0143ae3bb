# SPDX-License-Identifier: Apache-2.0

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from jobs.perf import fingerprint, history_files

_CONTEXT = {"num_cpus": 2, "library_build_type": "debug", "caches": [
    {"level": 1, "type": "Data", "size": 32768, "num_sharing": 1}]}


class CodeTest(unittest.TestCase):
    def test_changes_with_each_file_of_the_gate_and_with_no_test(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name in ("perf/a.py", "perf/a_test.py", "common/b.py", "growth.cc"):
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).write_text(name, encoding="utf-8")
            seen = [fingerprint.code_of_gate(root / "growth.cc", jobs=root)]
            for name, changes in (("perf/a.py", True), ("common/b.py", True), ("growth.cc", True),
                                  ("perf/a_test.py", False), ("perf/new.py", True)):
                (root / name).write_text("x", encoding="utf-8")
                code = fingerprint.code_of_gate(root / "growth.cc", jobs=root)
                self.assertEqual(code not in seen, changes, name)
                seen.append(code)
        self.assertRegex(fingerprint.code_of_gate(), "^[0-9a-f]{12}$")


class IdentityTest(unittest.TestCase):
    def test_is_made_of_texts(self):
        found = fingerprint.identity(_CONTEXT, "g++ 12", "-O2")
        self.assertTrue(all(isinstance(text, str) and text for text in found.values()))
        self.assertEqual(found["caches"], "L1 Data 32 KiB for 1")
        self.assertEqual(found["benchmark_library"], "debug")

    def test_the_fingerprint_depends_on_what_a_time_depends_on(self):
        mark = history_files.fingerprint(fingerprint.identity(_CONTEXT, "g++ 12", "-O2"))
        self.assertEqual(
            history_files.fingerprint(fingerprint.identity(dict(_CONTEXT), "g++ 12", "-O2")), mark)
        for context, compiler, flags in (
                (_CONTEXT, "g++ 13", "-O2"), (_CONTEXT, "g++ 12", "-O3"),
                (dict(_CONTEXT, caches=[]), "g++ 12", "-O2"),
                (dict(_CONTEXT, num_cpus=4), "g++ 12", "-O2")):
            self.assertNotEqual(
                history_files.fingerprint(fingerprint.identity(context, compiler, flags)), mark)

    def test_a_context_of_nothing_will_do(self):
        self.assertEqual(fingerprint.identity({}, "x", "y")["caches"], "unknown")
        for caches in (1, [1], [{"level": 1, "type": "Data", "size": "big"}]):
            self.assertEqual(fingerprint.identity({"caches": caches}, "x", "y")["caches"],
                             "unknown")

    @unittest.skipUnless(shutil.which("readelf"), "no readelf")
    def test_a_program_says_what_compiled_it(self):
        with tempfile.TemporaryDirectory() as temporary:
            path = f"{temporary}/object.o"
            subprocess.run(["g++", "-x", "c++", "-c", "-o", path, "-"], input=b"int x;", check=True)
            self.assertRegex(fingerprint.compiler_of(path), r"^GCC: .*\d+\.\d+")
        self.assertEqual(fingerprint.compiler_of("/no/such/file"), "unknown")


if __name__ == "__main__":
    unittest.main()
