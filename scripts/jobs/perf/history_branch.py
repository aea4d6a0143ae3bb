# SPDX-License-Identifier: Apache-2.0
"""Puts two states of the branch perf-history together, and moves the branch and its worktree to
the result.

The result is made among git's objects, apart from the worktree. Then the files change under the
locks that writers take, and the branch moves last. So a point that was appended and not committed
stays, and whoever is killed on the way leaves every point in the worktree or on the branch.
"""

import os
import subprocess
import tempfile

from jobs.perf import history_files, home
from jobs.perf.error import PerfError

OF_LINES = (".jsonl", ".jsonl.damaged")  # the ends of the names of files whose lines are points


def run(*words, directory=home.REPOSITORY, text=True, given=None, environment=None):
    """Runs a git command to its end, with `given` as its input."""
    if given is None:
        given = "" if text else b""
    try:
        return subprocess.run(["git", *words], cwd=directory, input=given, capture_output=True,
                              check=False, text=text, env=dict(os.environ, **(environment or {})))
    except FileNotFoundError:
        raise PerfError("git is needed") from None


def git(*words, check=True, text=True, **more):
    """What a git command prints; None if it fails and is allowed to fail."""
    done = run(*words, text=text, **more)
    if done.returncode == 0:
        return done.stdout.strip() if text else done.stdout
    if check:
        error = done.stderr if text else done.stderr.decode(errors="replace")
        raise PerfError(f"git {' '.join(words)}: {error.strip()}")
    return None


def as_someone(directory):
    """Settings for git that name a committer if git knows none."""
    if git("config", "user.email", directory=directory, check=False):
        return ()
    return ("-c", "user.name=perf", "-c", "user.email=perf@localhost")


def _files(commit, directory):
    """Path -> (mode, id of the content), for all files of a commit; empty without a commit."""
    found = {}
    if commit:
        listed = git("ls-tree", "-r", "-z", "--full-tree", commit, directory=directory)
        for entry in filter(None, listed.split("\0")):
            facts, path = entry.split("\t", 1)
            mode, _, content = facts.split()
            found[path] = (mode, content)
    return found


def _content(entry, directory):
    """The bytes of a file of a commit; none if the commit has no such file."""
    if entry is None:
        return b""
    return git("cat-file", "blob", entry[1], directory=directory, text=False)


def union(ours, theirs, directory):
    """Returns a commit that has what both commits have changed since they parted. It is `theirs`,
    `ours`, or a new commit on top of `theirs`."""
    base = git("merge-base", ours, theirs, directory=directory, check=False)
    if base in (ours, theirs):
        return theirs if base == ours else ours
    old, mine, other = (_files(commit, directory) for commit in (base, ours, theirs))
    changed = {}  # path -> what the index says of it; None: nothing
    for path in sorted({*old, *mine}):
        entries = [each.get(path) for each in (old, mine, other)]
        if entries[1] in (entries[0], entries[2]):
            continue
        if path.endswith(OF_LINES):
            data = history_files.merged(*(_content(entry, directory) for entry in entries))
            made = git("hash-object", "-w", "--stdin", directory=directory, text=False, given=data)
            changed[path] = ("100644", made.decode().strip()) if data or entries[1] else None
        elif entries[2] == entries[0]:
            changed[path] = entries[1]
    tree = _tree(theirs, changed, directory)
    if tree == git("rev-parse", f"{theirs}^{{tree}}", directory=directory):
        return theirs
    return git(*as_someone(directory), "commit-tree", tree, "-p", theirs, "-m",
               git("log", "-1", "--format=%s", ours, directory=directory), directory=directory)


def _tree(commit, changed, directory):
    """Makes a tree: that of the commit, with these files changed."""
    with tempfile.TemporaryDirectory() as temporary:
        index = {"GIT_INDEX_FILE": os.path.join(temporary, "index")}
        git("read-tree", commit, directory=directory, environment=index)
        lines = [f"{mode} {content}\t{path}\0" for path, entry in changed.items()
                 for mode, content in [entry or ("0", "0" * len(commit))]]
        git("update-index", "-z", "--index-info", directory=directory, environment=index,
            given="".join(lines))
        return git("write-tree", directory=directory, environment=index)


def move(worktree, ours, target):
    """Moves the worktree and its branch from the commit `ours` to `target`. What the files have
    and `ours` lacks stays in them. The caller holds the lock of the worktree's own folder."""
    old, new = (_files(commit, worktree) for commit in (ours, target))
    paths = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    folders = {(worktree / path).parent for path in paths} - {worktree}
    with history_files.locked(*folders):
        for path in paths:
            _bring(worktree / path, _content(old.get(path), worktree),
                   _content(new.get(path), worktree), path in new)
        git("reset", "--quiet", "--mixed", target, directory=worktree)


def _bring(path, before, after, stays):
    """Changes a file from the content that one commit has, `before`, to that of another, `after`.
    What has changed in the file since `before` is kept. stays: whether the other commit has the
    file."""
    now = path.read_bytes() if path.exists() else b""
    if path.name.endswith(OF_LINES):
        data = history_files.merged(before, now, after)
    else:
        data = after if now == before else now
    if data or stays:
        history_files.replace(path, data)
    else:
        path.unlink(missing_ok=True)
