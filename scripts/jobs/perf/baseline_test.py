# SPDX-License-Identifier: Apache-2.0

import contextlib
import io
import tarfile

from jobs.common import build
from jobs.common.terminal import Terminal
from jobs.perf import baseline, fake, revisions
from jobs.perf.error import PerfError

_REVISION = revisions.Revision("0729f9c13a5b" + "0" * 28, "0123456789ab", "v1")


class BaselineTest(fake.RepositoryCase):
    def setUp(self):
        super().setUp()
        self.file = self.root / "kept.tar.gz"
        self.output = io.StringIO()
        self.terminal = Terminal(self.output)

    def save(self, name):
        folder = self.root / name
        fake.program(folder / "a_benchmark", nanoseconds=7.0)
        baseline.save(folder, _REVISION, self.file)

    def test_a_build_that_fits_is_found_again_and_runs(self):
        name = revisions.folder_name(_REVISION)
        self.save(name)
        found = baseline.opened(self.terminal, self.file)
        self.assertEqual((found.commit, found.content, found.label),
                         (_REVISION.commit, _REVISION.content, "v1, kept"))
        programs = revisions.suites(revisions.PERF / "bin" / name)
        self.assertEqual(list(programs), ["a"])
        self.assertTrue(fake.Program(programs["a"]).listing().keys)
        self.assertEqual(revisions.directory_of(self.terminal, found).name, name)

    def test_the_sources_are_there_if_git_knows_the_commit(self):
        self.save(revisions.folder_name(_REVISION))
        baseline.opened(self.terminal, self.file)
        folder = revisions.PERF / "bin" / revisions.folder_name(_REVISION)
        self.assertFalse(revisions.source_of(folder).exists())
        (self.root / "file").write_text("one", encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "one")
        revision = revisions.Revision(self.git("rev-parse", "HEAD"), _REVISION.content, "v1")
        baseline.save(folder, revision, self.file)
        baseline.opened(self.terminal, self.file)
        self.assertEqual((revisions.source_of(folder) / "file").read_text(encoding="utf-8"), "one")

    def test_nobody_else_changes_the_builds_meanwhile(self):
        held = []

        @contextlib.contextmanager
        def locked(_terminal, name):
            held.append(name)
            yield
            held.remove(name)

        def while_locked(do):
            def checked(*arguments):
                self.assertEqual(held, [revisions.LOCK])
                return do(*arguments)
            return checked

        self.replace(build, "locked", locked)
        self.replace(baseline, "_unpack", while_locked(baseline._unpack))
        self.replace(baseline, "save", while_locked(baseline.save))
        folder = self.root / revisions.folder_name(_REVISION)
        fake.program(folder / "a_benchmark")
        self.replace(revisions, "resolve", lambda _: _REVISION)
        self.replace(revisions, "directory_of", lambda *_: folder)
        with contextlib.redirect_stdout(self.output):
            baseline.main(["--base", "v1", "--out", str(self.file)])
        baseline.opened(self.terminal, self.file)
        self.assertEqual(list(revisions.suites(revisions.PERF / "bin" / folder.name)), ["a"])
        self.assertEqual(held, [])

    def test_a_build_of_another_compiler_is_not_taken(self):
        self.save("0123456789ab-00000000")
        baseline.opened(self.terminal, self.file)
        self.assertIn("building it again", self.output.getvalue())
        self.assertFalse((revisions.PERF / "bin").exists())

    def test_what_is_none_is_an_error(self):
        self.file.write_bytes(b"nothing")
        with self.assertRaisesRegex(PerfError, "--baseline"):
            baseline.opened(self.terminal, self.file)
        with tarfile.open(self.file, "w:gz"):
            pass
        with self.assertRaisesRegex(PerfError, "--baseline"):
            baseline.opened(self.terminal, self.file)
