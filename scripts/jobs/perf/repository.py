# SPDX-License-Identifier: Apache-2.0
"""Asks git about a repository: its commits, and the working tree as a commit."""

import contextlib
import os
import shutil
import stat
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
    raise PerfError(f"{text!r} is no commit that git knows here{_if_shallow(directory)}")


def _if_shallow(directory):
    """What to do about a shallow clone, as the end of a sentence; empty if the clone has all of its
    history."""
    shallow = git("rev-parse", "--is-shallow-repository", directory=directory) == "true"
    return ("; this clone is shallow, so fetch more of the history (git fetch --unshallow; "
            "actions/checkout: fetch-depth: 0)" if shallow else "")


def working_tree(directory=None):
    """(commit, changed) of the files as they are: HEAD if nothing changed, else a commit of all
    files, which is on no branch. Nothing is staged, and no branch moves. Raises PerfError if there
    are changes that no commit of this repository can hold."""
    head = commit_of("HEAD", directory)
    top = git("rev-parse", "--show-toplevel", directory=directory)
    _refuse_changed_submodules(top)
    with tempfile.TemporaryDirectory(prefix="ffgrant-index-") as temporary:
        index = {"GIT_INDEX_FILE": str(Path(temporary) / "index")}
        git("read-tree", "HEAD", env=index, directory=top)
        git("add", "--all", env=index, directory=top)
        _refuse_nested_repositories(top, index)
        tree = git("write-tree", env=index, directory=top)
    if tree == git("rev-parse", "HEAD^{tree}", directory=directory):
        return head, False
    # The same files on the same HEAD give a commit of the same id, so that its build is found
    # again.
    someone = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
               for what, value in (("NAME", "perf"), ("EMAIL", "perf"), ("DATE", "@0 +0000"))}
    return git("commit-tree", tree, "-p", head, "-m", "working tree", env=someone,
               directory=directory), True


def _refuse_changed_submodules(top):
    """Raises PerfError if files of a submodule have changed and are in no commit of it."""
    for line in git("status", "--porcelain=v2", "--ignore-submodules=none", "--untracked-files=no",
                    directory=top).splitlines():
        fields = line.split(" ", 8)
        if fields[0] == "1" and fields[2].startswith("S") and fields[2][2:] != "..":
            raise PerfError(f"the submodule {fields[8]} has changes that are in none of its "
                            "commits, so they can't be built: commit them there, or name a head, "
                            "such as --head HEAD")


def _refuse_nested_repositories(top, index):
    """Raises PerfError if a folder is a repository of its own and no submodule: a commit can't hold
    its files."""
    known = git("config", "--file", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$",
                directory=top).splitlines() if (Path(top) / ".gitmodules").is_file() else []
    submodules = {line.partition(" ")[2] for line in known}
    before = git("ls-tree", "-r", "HEAD", directory=top).splitlines()
    submodules.update(line.partition("\t")[2] for line in before if line.startswith("160000 "))
    for line in git("ls-files", "--stage", env=index, directory=top).splitlines():
        path = line.partition("\t")[2]
        if line.startswith("160000 ") and path not in submodules:
            raise PerfError(f"{path} is a git repository of its own, so its files can't be built: "
                            "add it as a submodule, list it in .gitignore, or name a head, such as "
                            "--head HEAD")


def merge_base(directory=None, head="HEAD"):
    """(commit, branch): the commit at which `head` left main, and the branch's name. The branches
    that may be called main are the default branch of origin, main and master, here and at origin.
    The one counts that `head` has left last, so that a branch that was not fetched for long does
    not. The branch that is checked out counts only if there is no other."""
    found = []
    for name in _mains(directory):
        with contextlib.suppress(PerfError):
            commit = git("merge-base", head, name, directory=directory)
            count = int(git("rev-list", "--count", f"{commit}..{head}", directory=directory))
            found.append((count, commit, name))
    if found:
        _, commit, name = min(found, key=lambda one: one[0])
        return commit, name
    raise PerfError("there is no branch main to compare with; say --base REVISION"
                    + _if_shallow(directory))


def _mains(directory):
    """The names of the branches from which the head may have been branched off."""
    names = ["origin/main", "main", "origin/master", "master"]
    with contextlib.suppress(PerfError):
        default = git("symbolic-ref", "--short", "refs/remotes/origin/HEAD", directory=directory)
        names = list(dict.fromkeys([default, default.partition("/")[2], *names]))
    there = set(git("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes",
                    directory=directory).splitlines())
    names = [name for name in names if name in there]
    with contextlib.suppress(PerfError):  # there is no name if HEAD is on no branch
        here = git("symbolic-ref", "--short", "HEAD", directory=directory)
        return [name for name in names if name != here] or names
    return names


def remove_worktree(path):
    """Removes a worktree of ours, and its entry in its repository. Entries of other worktrees stay,
    even of those that are gone: their disk may only be away."""
    with contextlib.suppress(PerfError):  # it is no worktree, or its repository is gone
        owner = git("rev-parse", "--path-format=absolute", "--git-common-dir", directory=path)
        git(f"--git-dir={owner}", "worktree", "remove", "--force", str(path), directory=owner)
    shutil.rmtree(path, ignore_errors=True)
    if Path(path).is_dir():  # a build has made folders read-only, such as a cache of modules
        for folder, _, _ in os.walk(path):
            os.chmod(folder, stat.S_IRWXU)
        shutil.rmtree(path, ignore_errors=True)
