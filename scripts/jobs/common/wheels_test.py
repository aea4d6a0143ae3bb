# SPDX-License-Identifier: Apache-2.0

import io
import tarfile
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.common import build, wheels


def archive(folder, members):
    """A file as pip hands it over: an archive of sources with these members, path -> text."""
    path = folder / "thing-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        for name, text in members.items():
            info = tarfile.TarInfo(f"thing-1.0/{name}")
            info.size = len(text)
            file.addfile(info, io.BytesIO(text.encode()))
    return path


class SourceTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.cache = self.folder / "cache"
        patch = mock.patch.object(wheels, "CACHE", self.cache)
        patch.start()
        self.addCleanup(patch.stop)

    def fetch(self, wanted, members):
        file = archive(self.folder, members)
        with mock.patch.object(wheels, "_download", lambda package, folder: file):
            return wheels.fetch(wheels.Source("thing", "1.0", "0" * 64, members=wanted))

    def test_only_what_is_wanted_is_unpacked(self):
        found = self.fetch(("vendor/a.h",), {"vendor/a.h": "int a;", "setup.py": "raise"})
        self.assertEqual(found, self.cache / "thing-1.0")
        self.assertEqual([path.name for path in found.iterdir()], ["a.h"])
        self.assertEqual((found / "a.h").read_text(encoding="ascii"), "int a;")

    def test_an_archive_that_lacks_a_file_leaves_nothing_behind(self):
        with self.assertRaises(wheels.WheelError):
            self.fetch(("vendor/a.h", "vendor/b.h"), {"vendor/a.h": "int a;"})
        self.assertEqual(list(self.cache.iterdir()), [])

    def test_cmake_looks_for_the_newest_simdjson_where_it_is_unpacked(self):
        text = (build.ROOT / "bench" / "peers" / "CMakeLists.txt").read_text(encoding="utf-8")
        self.assertIn(f"/cache/{wheels.NEWEST_SIMDJSON.directory.name})", text)


if __name__ == "__main__":
    unittest.main()
