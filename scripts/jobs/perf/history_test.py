# SPDX-License-Identifier: Apache-2.0

import datetime
import io
import shutil
import tempfile
from pathlib import Path
from unittest import mock

from jobs.common.terminal import Terminal
from jobs.perf import fake, history, history_branch, history_files
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
        other = self.two()
        second = self.at(1)
        history_files.append(point(), self.worktree)
        history_files.append(second, other)
        self.commit(push=True)
        history.commit(self.terminal, other, "Record", True)
        self.fetch()
        (points,) = history_files.read_all(self.worktree).values()
        self.assertEqual(sorted(points, key=lambda each: each.date), [point(), second])

    def two(self):
        """Makes a remote and a second clone with a worktree; returns the second clone's
        worktree."""
        remote = self.remote()
        self.fetch()
        self.commit(push=True)
        other = self.root.parent / "other"
        self.git("clone", "--quiet", str(remote), str(other))
        history.fetch(self.terminal, other / "history", other)
        return other / "history"

    def at(self, day):
        return point(date=point().date + datetime.timedelta(days=day))

    def pushed(self):
        """The points that the remote has, and the texts of lines that can't be read there."""
        seen = self.root.parent / "seen"
        self.git("clone", "--quiet", "--branch", "perf-history", str(self.root.parent
                                                                     / "remote.git"), str(seen))
        found = history_files.read_all(seen)
        points = [each for its in found.values() for each in its]
        return sorted(points, key=lambda each: each.date), found.problems

    def on_push(self, text):
        """Lets git run a line for sh before each push of the first clone."""
        hook = self.root / ".git" / "hooks" / "pre-push"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        hook.chmod(0o755)

    def test_a_point_that_comes_while_another_is_pushed_stays(self):
        other = self.two()
        history_files.append(self.at(1), other)
        history.commit(self.terminal, other, "Record", True)
        path = history_files.append(self.at(0), self.worktree)
        alone = path.read_bytes()
        history_files.append(self.at(2), self.worktree)
        both = self.root.parent / "both"
        both.write_bytes(path.read_bytes())
        path.write_bytes(alone)
        self.on_push(f"[ ! -e '{both}' ] || mv '{both}' '{path}'")
        self.commit(push=True)
        self.assertEqual(self.pushed(), ([self.at(0), self.at(1)], []))
        self.assertEqual(sorted(history_files.read(path), key=lambda each: each.date),
                         [self.at(0), self.at(1), self.at(2)])
        self.assertEqual(self.git("-C", str(self.worktree), "status", "--short").split(),
                         ["M", str(path.relative_to(self.worktree))])

    def test_a_remote_that_takes_no_push_is_an_error(self):
        self.two()
        history_files.append(self.at(0), self.worktree)
        self.on_push("exit 1")
        with self.assertRaises(PerfError):
            self.commit(push=True)
        self.assertEqual(self.pushed(), ([], []))

    def test_a_damaged_line_stops_no_push_and_stays_where_it_is(self):
        other = self.two()
        for number, worktree in enumerate((other, self.worktree)):
            path = history_files.append(self.at(number), worktree)
            with open(path, "a", encoding="utf-8") as file:
                file.write(f"broken {number}\n")
            history.commit(self.terminal, worktree, "Record", True)
        points, problems = self.pushed()
        self.assertEqual((points, len(problems)), ([self.at(0), self.at(1)], 2))

    def test_a_repair_is_not_undone_by_a_push(self):
        other = self.two()
        path = history_files.append(self.at(0), self.worktree)
        with open(path, "a", encoding="utf-8") as file:
            file.write("broken\n")
        self.commit(push=True)
        history.fetch(self.terminal, other, other.parent)
        history_files.append(self.at(1), other)
        history.commit(self.terminal, other, "Record", True)
        history.repair(self.terminal, self.worktree)
        self.commit(push=True)
        self.assertEqual(self.pushed(), ([self.at(0), self.at(1)], []))
        (aside,) = (self.root.parent / "seen").glob("*/*.damaged")
        self.assertEqual(aside.read_bytes(), b"broken\n")

    def test_a_kill_while_the_branch_moves_loses_nothing(self):
        for last in ("commit-tree", "reset"):
            with self.subTest(last):
                self.doCleanups()
                self.setUp()
                other = self.two()
                history_files.append(self.at(1), other)
                history.commit(self.terminal, other, "Record", True)
                history_files.append(self.at(0), self.worktree)

                def killed(*words, last=last, git=history_branch.git, **more):
                    if last in words:
                        raise KeyboardInterrupt
                    return git(*words, **more)
                with mock.patch.object(history_branch, "git", killed), \
                        self.assertRaises(KeyboardInterrupt):
                    self.commit(push=True)
                history_files.append(self.at(2), self.worktree)
                self.commit(push=True)
                self.assertEqual(self.pushed(), ([self.at(0), self.at(1), self.at(2)], []))

    def test_other_files_of_the_branch_come_along(self):
        other = self.two()
        for name, text in (("README", "new"), ("sub/more", "x")):
            (other / name).parent.mkdir(exist_ok=True)
            (other / name).write_text(text, encoding="utf-8")
        history.commit(self.terminal, other, "Say what this is", True)
        history_files.append(self.at(0), self.worktree)
        self.commit(push=True)
        self.assertEqual((self.worktree / "README").read_text(encoding="utf-8"), "new")
        self.assertEqual(self.pushed(), ([self.at(0)], []))
        self.assertEqual(self.git("-C", str(self.worktree), "status", "--short"), "")

    def test_a_writer_s_unfinished_file_is_not_committed(self):
        self.fetch()
        path = history_files.append(point(), self.worktree)
        (path.parent / ".writing-x").touch()
        self.commit()
        self.assertNotIn(".writing", self.git("ls-tree", "-r", "--name-only", "perf-history"))

    def test_a_worktree_on_another_branch_is_not_pushed(self):
        self.remote()
        self.fetch()
        self.git("-C", str(self.worktree), "checkout", "--quiet", "--detach")
        history_files.append(point(), self.worktree)
        with self.assertRaisesRegex(PerfError, "not on the branch"):
            self.commit(push=True)

    def test_a_folder_that_is_something_else_is_left_alone(self):
        self.worktree.mkdir(parents=True)
        (self.worktree / "mine").touch()
        with self.assertRaisesRegex(PerfError, "no worktree of the branch"):
            self.fetch()

    def test_a_remote_that_cannot_be_asked_is_an_error(self):
        self.git("remote", "add", "origin", str(self.root.parent / "gone.git"))
        with self.assertRaisesRegex(PerfError, "git ls-remote"):
            self.fetch()
        self.assertEqual(self.git("branch", "--list", "perf-history"), "")
        self.assertFalse(self.worktree.exists())

    def test_a_lost_worktree_gets_what_the_remote_has_meanwhile(self):
        other = self.two()
        history_files.append(self.at(0), self.worktree)
        self.commit()
        shutil.rmtree(self.root / "build")
        history_files.append(self.at(1), other)
        history.commit(self.terminal, other, "Record", True)
        self.fetch()
        (points,) = history_files.read_all(self.worktree).values()
        self.assertEqual(sorted(points, key=lambda each: each.date), [self.at(0), self.at(1)])

    def test_points_of_both_sides_are_no_conflict(self):
        other = self.two()
        history_files.append(self.at(0), self.worktree)
        self.commit()
        path = history_files.append(self.at(2), self.worktree)  # and one that is not committed
        history_files.append(self.at(1), other)
        history.commit(self.terminal, other, "Record", True)
        self.fetch()
        self.assertEqual(sorted(history_files.read(path), key=lambda each: each.date),
                         [self.at(0), self.at(1), self.at(2)])
        self.commit(push=True)
        self.assertEqual(self.pushed(), ([self.at(0), self.at(1), self.at(2)], []))

    def test_a_branch_that_began_apart_from_the_remote_s_is_joined_to_it(self):
        self.fetch()
        history_files.append(self.at(0), self.worktree)
        self.commit()
        other = self.root.parent / "other"
        remote = self.remote()
        self.git("clone", "--quiet", str(remote), str(other))
        self.git("-C", str(other), "commit", "--quiet", "--allow-empty", "-m", "x")
        history.fetch(self.terminal, other / "history", other)
        history_files.append(self.at(1), other / "history")
        history.commit(self.terminal, other / "history", "Record", True)
        self.fetch()
        self.commit(push=True)
        self.assertEqual(self.pushed(), ([self.at(0), self.at(1)], []))

    def test_points_that_were_recorded_before_the_first_fetch_are_taken_over(self):
        other = self.two()
        history_files.append(self.at(0), other)
        history.commit(self.terminal, other, "Record", True)
        shutil.rmtree(self.root / "build")
        path = history_files.append(self.at(1), self.worktree)
        with open(path, "a", encoding="utf-8") as file:
            file.write("broken\n")
        with self.assertRaisesRegex(PerfError, "history fetch"):
            self.commit(push=True)
        self.fetch()
        self.commit(push=True)
        points, problems = self.pushed()
        self.assertEqual((points, len(problems)), ([self.at(0), self.at(1)], 1))
        self.assertEqual([each.name for each in self.worktree.parent.iterdir()], ["history"])

    def test_points_that_a_killed_fetch_had_set_aside_are_taken_over(self):
        self.remote()
        history_files.append(self.at(0), self.worktree)
        with mock.patch.object(history, "_take_over", side_effect=KeyboardInterrupt), \
                self.assertRaises(KeyboardInterrupt):
            self.fetch()
        history_files.append(self.at(1), self.worktree)
        self.fetch()
        (points,) = history_files.read_all(self.worktree).values()
        self.assertEqual(points, [self.at(1), self.at(0)])

    def test_a_folder_stays_where_it_is_if_git_makes_no_worktree(self):
        self.remote()
        self.git("branch", "perf-history")
        self.git("worktree", "add", "--quiet", str(self.root.parent / "x"), "perf-history")
        path = history_files.append(self.at(0), self.worktree)
        with self.assertRaisesRegex(PerfError, "worktree add"):
            self.fetch()
        self.assertEqual(history_files.read(path), [self.at(0)])

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
