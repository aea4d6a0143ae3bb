# SPDX-License-Identifier: Apache-2.0

import datetime
import io
import tempfile
from pathlib import Path

from jobs.common.terminal import Terminal
from jobs.perf import fake, history, history_files
from jobs.perf.error import PerfError
from jobs.perf.history_files_test import line, point


class BranchTest(fake.RepositoryCase):
    """Tests the branch and its worktree, with a bare repository in place of the remote."""

    def setUp(self):
        super().setUp()
        self.git("commit", "--quiet", "--allow-empty", "-m", "main's first")
        self.output = io.StringIO()
        self.terminal = Terminal(self.output)
        self.worktree = self.root / "build" / "perf" / "history"

    def remote(self):
        path = self.root.parent / "remote.git"
        self.git("init", "--quiet", "--bare", str(path))
        self.git("remote", "add", "origin", str(path))
        return path

    def fetch(self):
        history.fetch(self.terminal, self.worktree, self.root)

    def commit(self, worktree=None, push=False):
        history.commit(self.terminal, worktree or self.worktree, "Record", push)

    def test_a_branch_that_is_nowhere_begins_empty_and_apart_from_main(self):
        self.fetch()
        self.fetch()  # a second time changes nothing
        self.assertEqual(self.git("ls-tree", "-r", "perf-history"), "")
        self.assertEqual(self.git("rev-list", "--count", "perf-history"), "1")
        self.assertEqual(self.git("branch", "--show-current"), "main")

    def test_points_are_committed_there_and_main_holds_none(self):
        self.fetch()
        history_files.append(point(), self.worktree)
        self.commit()
        self.assertIn("grant_json.jsonl", self.git("ls-tree", "-r", "--name-only",
                                                   "perf-history"))
        self.assertEqual(self.git("ls-tree", "-r", "--name-only", "main"), "")
        self.commit()
        self.assertIn("nothing new", self.output.getvalue())

    def test_a_branch_of_the_remote_is_taken(self):
        remote = self.remote()
        self.fetch()
        history_files.append(point(), self.worktree)
        self.commit(push=True)
        other = self.root.parent / "other"
        self.git("clone", "--quiet", str(remote), str(other))
        history.fetch(self.terminal, other / "history", other)
        (points,) = history_files.read_all(other / "history").values()
        self.assertEqual(points, [point()])

    def test_two_that_push_at_once_lose_nothing(self):
        remote = self.remote()
        self.fetch()
        self.commit(push=True)
        other = self.root.parent / "other"
        self.git("clone", "--quiet", str(remote), str(other))
        history.fetch(self.terminal, other / "history", other)
        second = point(date=point().date + datetime.timedelta(days=1))
        history_files.append(point(), self.worktree)
        history_files.append(second, other / "history")
        self.commit(push=True)
        history.commit(self.terminal, other / "history", "Record", True)
        self.fetch()
        (points,) = history_files.read_all(self.worktree).values()
        self.assertEqual(sorted(points, key=lambda each: each.date), [point(), second])

    def test_a_folder_that_is_something_else_is_left_alone(self):
        self.worktree.mkdir(parents=True)
        (self.worktree / "mine").touch()
        with self.assertRaisesRegex(PerfError, "no worktree of the branch"):
            self.fetch()

    def test_takes_over_what_main_held_last(self):
        old = self.root / "results" / "history" / "amd-epyc-0123456789ab"
        old.mkdir(parents=True)
        (old / "grant_json.jsonl").write_text(line() + "\n", encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", "a point")
        self.git("rm", "-r", "--quiet", "results")
        self.git("commit", "--quiet", "-m", "no more")
        target = self.root / "new"
        self.assertEqual(history.migrate(self.terminal, None, target, self.root), 0)
        (points,) = history_files.read_all(target).values()
        self.assertEqual(points, [point()])

    def test_repairs_every_file(self):
        with tempfile.TemporaryDirectory() as temporary:
            path = history_files.append(point(), temporary)
            with open(path, "a", encoding="utf-8") as file:
                file.write("{\n")
            history.repair(self.terminal, Path(temporary))
            self.assertEqual(len(history_files.read(path)), 1)
        self.assertIn("1 damaged lines taken out", self.output.getvalue())
