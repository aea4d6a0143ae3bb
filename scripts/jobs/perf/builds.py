# SPDX-License-Identifier: Apache-2.0
"""Builds the programs of any repository's revisions with the command that the user gives.

Each revision is checked out into a worktree of its own, in folders whose names all have one length,
and the command runs there. Builds are kept below the cache folder (jobs.perf.home), and are known
by the revision's files, the command, the programs' paths, the compilers, the variables that give
them flags, and the processor with its features. If the cache folder is kept between two runs, as in
CI, the revisions that were used last are not built again on such a processor.
"""

import fcntl
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from jobs.common import processes
from jobs.common.terminal import duration
from jobs.perf import fingerprint, home, repository
from jobs.perf.error import PerfError

_DONE = "ffgrant-perf-built.json"
_KEPT = 6  # the most builds that are kept
_WORDS = 4000  # the most characters of a failed build's output that are shown


@dataclass(frozen=True)
class Recipe:
    """How revisions are built. command: a line for sh, which runs in the worktree's top folder.
    programs: paths, relative to this folder and inside of it, of programs or of folders in which
    all executables are programs."""
    command: str
    programs: tuple


@dataclass(frozen=True)
class Built:
    """A revision's programs. commit is the name that git knows, label the name for the reader."""
    commit: str
    label: str
    programs: tuple
    folder: Path


def top_folder(folder="."):
    """The top folder of the repository that holds this folder."""
    return Path(repository.git("rev-parse", "--show-toplevel", directory=folder))


def _tree(commit, top):
    return repository.git("rev-parse", f"{commit}^{{tree}}", directory=top)


def same_files(commit, other, top):
    """Whether two commits have the same files."""
    return _tree(commit, top) == _tree(other, top)


def _key(commit, recipe, top):
    text = json.dumps([_tree(commit, top), recipe.command, recipe.programs,
                       fingerprint.processor(), fingerprint.compilers(), fingerprint.variables()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _forget_old(folder):
    kept = sorted((path for path in folder.iterdir() if path.is_dir()),
                  key=lambda path: path.stat().st_mtime, reverse=True)
    for path in kept[_KEPT:]:
        repository.remove_worktree(path)


def _run(terminal, recipe, tree, label):
    seconds = [0.0]

    def tick():
        seconds[0] += 0.5
        terminal.progress(f"building {label}, {duration(seconds[0])}")

    status, output = processes.run(["sh", "-e", "-c", recipe.command], cwd=tree, on_tick=tick)
    if status:
        raise PerfError(f"--build failed for {label} with status {status}:\n"
                        f"{output[-_WORDS:].strip()}")


def _check_out(commit, tree, top):
    repository.remove_worktree(tree)
    tree.parent.mkdir(parents=True, exist_ok=True)
    repository.git("worktree", "add", "--detach", "--force", str(tree), commit, directory=top)
    if (tree / ".gitmodules").is_file():
        repository.git("submodule", "update", "--init", "--recursive", "--quiet", directory=tree)


def _lacking(recipe, tree):
    return [path for path in recipe.programs if not (tree / path).exists()]


def _refuse_outside(recipe, tree):
    """Raises PerfError if a program is outside of the worktree, by its name or through a link. All
    revisions would have the same file there: that of the last build."""
    for path in recipe.programs:
        named = tree / path
        inner = [one for one in named.iterdir() if os.access(one, os.X_OK) and one.is_file()
                 ] if named.is_dir() else []
        if not all(one.resolve().is_relative_to(tree.resolve()) for one in (named, *inner)):
            raise PerfError(f"--program {path}: a path inside of the checkout is needed, since "
                            "each revision is built in a checkout of its own")


def build(terminal, commit, label, recipe, top):
    """The Built of a commit. A build of it by this recipe that is still kept is used again. Raises
    PerfError."""
    folder = home.cache_folder("builds")
    with open(folder / "lock", "w", encoding="ascii") as lock:
        terminal.progress("waiting until another run has built")
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _built(terminal, commit, label, recipe, top, folder)


def _built(terminal, commit, label, recipe, top, folder):
    tree = folder / _key(commit, recipe, top)
    _refuse_outside(recipe, tree)
    if not (tree / _DONE).is_file() or _lacking(recipe, tree):
        _check_out(commit, tree, top)
        _run(terminal, recipe, tree, label)
        lacking = _lacking(recipe, tree)
        if lacking:
            raise PerfError(f"--build left no {', '.join(lacking)} for {label}")
        _refuse_outside(recipe, tree)
        (tree / _DONE).write_text(json.dumps({"commit": commit, "command": recipe.command}) + "\n",
                                  encoding="utf-8")
    else:
        terminal.line(f"{label} was built before")
    os.utime(tree)
    _forget_old(folder)
    return Built(commit, label, tuple(tree / path for path in recipe.programs), tree)


def commit_named(text, top):
    """(commit, label) of a revision as a user names it. None stands for the working tree as it
    is."""
    if text is not None:
        commit = repository.commit_of(text, top)
        return commit, text if commit.startswith(text) else f"{text} ({commit[:12]})"
    commit, changed = repository.working_tree(top)
    if changed:
        return commit, f"working tree on {repository.commit_of('HEAD', top)[:12]}"
    return commit, f"working tree ({commit[:12]})"


def base_named(text, top, head="HEAD"):
    """Like commit_named(), but None stands for the commit at which `head` left main."""
    if text is not None:
        return commit_named(text, top)
    commit, name = repository.merge_base(top, head)
    return commit, f"merge base with {name} ({commit[:12]})"
