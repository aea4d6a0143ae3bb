# SPDX-License-Identifier: Apache-2.0
"""Asks git about a repository: its commits, and the working tree as a commit."""

import os
import subprocess
import tempfile
from pathlib import Path

from jobs.common import build
from jobs.perf.error import PerfError


def git(*words, env=None, directory=None):
    """What a git command prints, in the project or another directory. Raises PerfError."""
    try:
        done = subprocess.run(["git", *words], cwd=directory or build.ROOT, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=True,
                              env=env and dict(os.environ, **env))
    except FileNotFoundError:
        raise PerfError("git is needed to build revisions") from None
    except subprocess.CalledProcessError as error:
        raise PerfError(f"git {' '.join(words)}: {error.stderr.strip()}") from None
    return done.stdout.strip()


def commit_of(text, directory=None):
    """The full id of the commit that git knows by this name."""
    try:
        return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}",
                   directory=directory)
    except PerfError as error:
        if not str(error).endswith(": "):
            raise  # git says itself what is wrong: no repository, or a name for two commits
    if len(text) >= 40 and not text.strip("0"):
        raise PerfError(f"{text} is no commit. CI systems name it as the state before the first "
                        "push of a branch: choose another base, such as origin/main")
    shallow = git("rev-parse", "--is-shallow-repository", directory=directory) == "true"
    raise PerfError(f"{text!r} is no commit that git knows here" + (
        "; this clone is shallow, so fetch more of the history (actions/checkout: fetch-depth: 0)"
        if shallow else ""))


def working_tree(directory=None):
    """(commit, changed) of the files as they are: HEAD if nothing changed, else a commit of all
    files, which is on no branch. Nothing is staged, and no branch moves."""
    head = commit_of("HEAD", directory)
    with tempfile.TemporaryDirectory(prefix="ffgrant-index-") as temporary:
        index = {"GIT_INDEX_FILE": str(Path(temporary) / "index")}
        git("read-tree", "HEAD", env=index, directory=directory)
        git("add", "--all", env=index, directory=directory)
        tree = git("write-tree", env=index, directory=directory)
    if tree == git("rev-parse", "HEAD^{tree}", directory=directory):
        return head, False
    # The same files on the same HEAD give a commit of the same id, so that its build is found
    # again.
    someone = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
               for what, value in (("NAME", "perf"), ("EMAIL", "perf"), ("DATE", "@0 +0000"))}
    return git("commit-tree", tree, "-p", head, "-m", "working tree", env=someone,
               directory=directory), True


def merge_base(directory=None):
    """(commit, branch): the commit at which HEAD left main, and the branch's name. origin/main,
    master and origin/master stand in for main if it is not there."""
    for name in ("main", "origin/main", "master", "origin/master"):
        try:
            return git("merge-base", "HEAD", name, directory=directory), name
        except PerfError:
            continue
    raise PerfError("no branch main to compare with; say --base REVISION")
