# SPDX-License-Identifier: Apache-2.0

import os
import shutil
import unittest

from jobs.perf import fake, repository
from jobs.perf.error import PerfError


class RepositoryTest(fake.RepositoryCase):
    def setUp(self):
        super().setUp()
        self.first = self.commit("one")

    def commit(self, text):
        (self.root / "file").write_text(text, encoding="utf-8")
        self.git("add", "file")
        self.git("commit", "--quiet", "--message", text)
        return self.git("rev-parse", "HEAD")

    def clone(self, name, *more):
        """Makes a clone, which then is the repository of the test."""
        source, self.root = self.root, self.root.parent / name
        self.root.mkdir()
        self.git("clone", "--quiet", *more, f"file://{source}", ".")
        self.git("config", "user.name", "x")
        self.git("config", "user.email", "x@example.org")
        return source

    def base(self, head="HEAD"):
        return repository.merge_base(self.root, head)

    # ---- the base ----

    def test_the_base_is_where_head_left_main(self):
        self.git("checkout", "--quiet", "-b", "topic")
        self.commit("two")
        self.assertEqual(self.base(), (self.first, "main"))
        self.git("checkout", "--quiet", "main")
        second = self.commit("three")
        self.assertEqual(self.base(), (second, "main"))
        self.assertEqual(self.base("topic"), (self.first, "main"))

    def test_a_main_that_was_not_fetched_for_long_does_not_count(self):
        source = self.clone("clone")
        clone, self.root = self.root, source
        second = self.commit("two")
        self.root = clone
        self.git("fetch", "--quiet")
        self.git("checkout", "--quiet", "-b", "topic", "origin/main")
        self.commit("three")
        self.assertEqual(self.base(), (second, "origin/main"))
        # Nor does origin's, if what is here is newer.
        self.git("checkout", "--quiet", "main")
        newest = self.commit("four")
        self.git("checkout", "--quiet", "-b", "other")
        self.commit("five")
        self.assertEqual(self.base(), (newest, "main"))

    def test_on_main_the_base_is_what_was_pushed(self):
        self.clone("clone")
        self.commit("two")
        self.assertEqual(self.base(), (self.first, "origin/main"))

    def test_origin_says_what_its_main_is_called(self):
        self.git("branch", "--quiet", "--move", "trunk")
        self.clone("clone")
        self.git("checkout", "--quiet", "-b", "topic")
        self.commit("two")
        self.assertEqual(self.base(), (self.first, "origin/trunk"))

    def test_without_main_says_what_to_do(self):
        self.git("branch", "--quiet", "--move", "mine")
        with self.assertRaisesRegex(PerfError, "no branch main to compare with; say --base REV"):
            self.base()
        self.git("branch", "main")
        self.commit("two")
        self.git("checkout", "--quiet", "main")
        self.clone("shallow", "--depth", "1", "--branch", "mine", "--single-branch")
        with self.assertRaisesRegex(PerfError, "this clone is shallow.*fetch-depth: 0"):
            self.base()

    # ---- the working tree ----

    def add_submodule(self):
        other = self.root.parent / "other"
        shutil.copytree(self.root, other)
        self.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other),
                 "inner")
        self.git("commit", "--quiet", "--message", "with a submodule")

    def test_a_submodule_with_another_commit_is_a_change(self):
        self.add_submodule()
        self.assertFalse(repository.working_tree(self.root)[1])
        (self.root / "inner" / "file").write_text("new", encoding="utf-8")
        with self.assertRaisesRegex(PerfError, "the submodule inner has changes"):
            repository.working_tree(self.root)
        self.git("-C", "inner", "-c", "user.name=x", "-c", "user.email=x@example.org", "commit",
                 "--quiet", "--all", "--message", "new")
        self.assertTrue(repository.working_tree(self.root)[1])
        (self.root / "inner" / "new").touch()
        with self.assertRaisesRegex(PerfError, "the submodule inner has changes"):
            repository.working_tree(self.root)

    def test_a_repository_in_the_repository_is_refused_unless_it_is_ignored(self):
        self.add_submodule()
        shutil.copytree(self.root / "inner", self.root / "nested")
        shutil.rmtree(self.root / "nested" / ".git", ignore_errors=True)
        (self.root / "nested" / ".git").unlink(missing_ok=True)
        self.git("init", "--quiet", "nested")
        for words in (("add", "."), ("-c", "user.name=x", "-c", "user.email=x@example.org",
                                     "commit", "--quiet", "--message", "x")):
            self.git("-C", "nested", *words)
        for folder in (self.root, self.root / "nested" / ".."):
            with self.assertRaisesRegex(PerfError, "nested is a git repository of its own"):
                repository.working_tree(folder)
        (self.root / ".gitignore").write_text("/nested\n", encoding="utf-8")
        self.assertTrue(repository.working_tree(self.root)[1])

    def test_all_of_the_working_tree_counts_wherever_the_command_runs(self):
        (self.root / "folder").mkdir()
        (self.root / "new").touch()
        commit, changed = repository.working_tree(self.root / "folder")
        self.assertTrue(changed)
        self.assertIn("new", self.git("ls-tree", "--name-only", commit).split())

    # ---- worktrees ----

    def test_only_the_worktree_itself_is_removed(self):
        """The worktree `away` is on a disk that is not there for now."""
        for name in ("away", "ours", "gone"):
            self.git("worktree", "add", "--quiet", "--detach", f"../{name}")
        (self.root.parent / "away").rename(self.root.parent / "elsewhere")
        ours = self.root.parent / "ours"
        (ours / "file").write_text("changed", encoding="utf-8")
        (ours / "read-only").mkdir()
        (ours / "read-only" / "file").touch()
        (ours / "read-only").chmod(0o555)
        repository.remove_worktree(ours)
        self.assertFalse(ours.exists())
        shutil.rmtree(self.root.parent / "gone")
        repository.remove_worktree(self.root.parent / "gone")
        listed = self.git("worktree", "list", "--porcelain")
        self.assertIn("/away\n", listed)
        self.assertNotIn("/ours\n", listed)
        # What is no worktree is removed all the same, wherever it is.
        folder = self.root / "folder"
        os.makedirs(folder / "inner")
        repository.remove_worktree(folder)
        self.assertFalse(folder.exists())
        self.assertTrue((self.root / "file").is_file())


if __name__ == "__main__":
    unittest.main()
