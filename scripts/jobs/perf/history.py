# SPDX-License-Identifier: Apache-2.0
"""scripts/perf history maintains the branch perf-history, which holds the history, and the
history's files.

The branch holds nothing but the history, and shares no commit with main. Its worktree is
build/perf/history: record writes there, and trend and report read there.
"""

import argparse
import io
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from jobs.common.terminal import Terminal
from jobs.perf import history_branch, history_files, home, statuses
from jobs.perf.error import PerfError
from jobs.perf.history_branch import as_someone, git

BRANCH = "perf-history"
_REMOTE = "origin"
_NO_SUCH_REF = 2  # git ls-remote's status
_ASIDE = ".before-"  # in the name of a folder whose points fetch takes over
_OLD = "results/history"  # where the history was before it had a branch
_TRIES = 5  # how many times a push is tried, since others push too
_ROOT = home.REPOSITORY


def _has(name, directory):
    return git("rev-parse", "--verify", "--quiet", f"refs/{name}", directory=directory,
               check=False) is not None


def _has_remote(directory):
    return _REMOTE in (git("remote", directory=directory) or "").split()


def _fetched(project):
    """The commit of the branch on the remote, as far as it is known here; None if the branch was
    never there. A remote that can't be asked is an error, since the branch may be there."""
    name = f"refs/remotes/{_REMOTE}/{BRANCH}"
    if _has_remote(project):
        words = ("ls-remote", "--exit-code", _REMOTE, f"refs/heads/{BRANCH}")
        asked = history_branch.run(*words, directory=project)
        if asked.returncode == 0:
            git("fetch", "--quiet", _REMOTE, f"+refs/heads/{BRANCH}:{name}", directory=project)
        elif asked.returncode != _NO_SUCH_REF:
            raise PerfError(f"git {' '.join(words)}: {asked.stderr.strip()}")
    return git("rev-parse", "--verify", "--quiet", name, directory=project, check=False)


def fetch(terminal, worktree, project=_ROOT):
    """Makes or updates the branch's worktree. A branch that exists nowhere begins empty. Points
    that were recorded in the folder before it was a worktree are taken over."""
    worktree = worktree.absolute()
    theirs = _fetched(project)
    if not (worktree / ".git").exists():
        aside = _set_aside(worktree)
        try:
            _add(terminal, worktree, theirs, project)
        except BaseException:
            if aside and not worktree.exists():
                aside.rename(worktree)
            raise
    with history_files.locked(worktree):  # others who commit or fetch here
        _check_branch(worktree)
        if theirs:
            _merge(worktree, theirs)
        for aside in sorted(path for path in worktree.parent.iterdir()
                            if path.name.startswith(worktree.name + _ASIDE)):
            _take_over(aside, worktree)
            terminal.line("the points that were recorded before are taken over")


def _set_aside(folder):
    """Renames a folder of points, which is no worktree, and returns its new path; None if there is
    nothing in it. A folder of anything else stays, and is an error."""
    paths = [path.relative_to(folder) for path in folder.rglob("*")]
    if not paths:
        return None
    if not all(len(path.parts) == 1 if (folder / path).is_dir() else
               len(path.parts) == 2 and (path.name.endswith(history_branch.OF_LINES)
                                         or path.name.startswith(".writing-")) for path in paths):
        raise PerfError(f"{folder} is there, and no worktree of the branch {BRANCH}")
    aside = Path(tempfile.mkdtemp(prefix=folder.name + _ASIDE, dir=folder.parent))
    with history_files.locked(*(path for path in folder.iterdir() if path.is_dir())):
        folder.rename(aside)  # no writer is at work in it; those who wait find the new folder
    return aside


def _take_over(aside, worktree):
    """Adds the lines of a folder that was set aside to the worktree, and removes the folder."""
    for path in sorted(aside.glob("*/*")):
        if not path.name.endswith(history_branch.OF_LINES):
            continue
        target = worktree / path.relative_to(aside)
        with history_files.locked(target.parent):
            there = target.read_bytes() if target.exists() else b""
            history_files.replace(target, history_files.merged(b"", path.read_bytes(), there))
    shutil.rmtree(aside)


def _add(terminal, worktree, theirs, project):
    """Makes the worktree, and the branch if it is not here."""
    git("worktree", "prune", directory=project)
    if not _has(f"heads/{BRANCH}", project):
        commit = theirs
        if not commit:
            # The first commit is empty: the branch shares no file and no commit with main.
            tree = git("hash-object", "-t", "tree", "-w", os.devnull, directory=project)
            commit = git(*as_someone(project), "commit-tree", tree, "-m",
                         "Begin the history of the performance", directory=project)
            terminal.line(f"the branch {BRANCH} is new")
        git("branch", "--quiet", "--no-track", BRANCH, commit, directory=project)
    worktree.parent.mkdir(parents=True, exist_ok=True)
    git("worktree", "add", "--quiet", str(worktree), BRANCH, directory=project)


def commit(terminal, worktree, message, push):
    """Commits the points that the command record has appended, and pushes them if `push` is true.
    Others may push at the same time."""
    if not (worktree / ".git").exists():
        raise PerfError(f"{worktree} is no worktree of the branch {BRANCH}: "
                        f"{home.COMMAND} history fetch")
    with history_files.locked(worktree):  # others who commit or fetch here
        _check_branch(worktree)
        _commit(terminal, worktree, message)
        if push:
            _push(terminal, worktree)


def _check_branch(worktree):
    if git("symbolic-ref", "--quiet", "HEAD", directory=worktree,
           check=False) != f"refs/heads/{BRANCH}":
        raise PerfError(f"{worktree} is not on the branch {BRANCH}: git -C {worktree} status")


def _commit(terminal, worktree, message):
    folders = [path for path in worktree.iterdir() if path.is_dir()]
    with history_files.locked(*folders):  # so that no file vanishes while git looks
        git("add", "--all", "--", ".", ":(exclude,glob)**/.writing-*", directory=worktree)
    if git("diff", "--cached", "--name-only", directory=worktree):
        git(*as_someone(worktree), "commit", "--quiet", "--message", message, directory=worktree)
    else:
        terminal.line("nothing new to commit")


def _push(terminal, worktree):
    for number in range(_TRIES):
        if git("push", "--quiet", _REMOTE, f"HEAD:refs/heads/{BRANCH}", directory=worktree,
               check=number == _TRIES - 1) is not None:
            terminal.line(f"pushed to {BRANCH}")
            return
        git("fetch", "--quiet", _REMOTE, BRANCH, directory=worktree)
        _merge(worktree, "FETCH_HEAD")


def _merge(worktree, revision):
    """Puts the points of this worktree's own commits on top of what others pushed."""
    ours, theirs = (git("rev-parse", name, directory=worktree) for name in ("HEAD", revision))
    history_branch.move(worktree, ours, history_branch.union(ours, theirs, worktree))


def _extract(directory, revision, path, target):
    """Writes the history's files (*.jsonl) of a revision's folder to another folder."""
    data = git("archive", "--format=tar", f"{revision}:{path}" if path else revision,
               directory=directory, text=False)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive.getmembers():
            parts = Path(member.name).parts
            if member.isfile() and ".." not in parts and member.name.endswith(".jsonl"):
                place = target.joinpath(*parts)
                place.parent.mkdir(parents=True, exist_ok=True)
                content = archive.extractfile(member)
                place.write_bytes(content.read() if content else b"")


def _last_revision_with(path, project):
    """The newest commit of HEAD's history that has the folder of the old history; None if no commit
    has it."""
    if git("cat-file", "-e", f"HEAD:{path}", directory=project, check=False) is not None:
        return "HEAD"
    gone = git("log", "-1", "--format=%H", "--diff-filter=D", "--", path, directory=project)
    return f"{gone}^" if gone else None


def migrate(terminal, source, root, project=_ROOT):
    """Takes over a history of the old form. source: the folder of that history; None: the last such
    folder that HEAD's history held."""
    with tempfile.TemporaryDirectory() as temporary:
        if source is None:
            revision = _last_revision_with(_OLD, project)
            if revision is None:
                raise PerfError(f"no commit has {_OLD}; --from names another folder")
            source = Path(temporary)
            _extract(project, revision, _OLD, source)
        elif not source.is_dir():
            raise PerfError(f"--from {source}: no such folder")
        added, problems = history_files.migrate(source, root)
    for text in problems:
        terminal.line(terminal.bad(f"left out: {text}"))
    terminal.line(f"{added} points taken over into {root}")
    return statuses.HARNESS_ERROR if problems else statuses.CLEAN


def repair(terminal, root):
    """Takes damaged lines out of every file."""
    total = 0
    for path in sorted(Path(root).glob("*/*.jsonl")):
        count = history_files.repair(path)
        total += count
        if count:
            terminal.line(f"{path}: {count} damaged lines are in {path.name}.damaged now")
    terminal.line(f"{total} damaged lines taken out")


def _parser():
    parser = argparse.ArgumentParser(
        prog=f"{home.PROGRAM} history", allow_abbrev=False,
        description="Maintains the history. fetch makes or updates its worktree, which is of "
                    f"the branch {BRANCH}, and takes over points that were recorded there before; "
                    "commit commits what record appended there; migrate "
                    f"takes over a history of the old form (the last that HEAD's history held in "
                    f"{_OLD}); repair moves damaged lines from the files to files beside them.",
        epilog="Exit status: 0 done; 2 wrong usage, or it could not be done.")
    parser.add_argument("what", choices=("fetch", "commit", "migrate", "repair"))
    parser.add_argument("--history", metavar="DIR", type=Path, default=history_files.ROOT,
                        help=f"the history's folder ({home.HISTORY_TEXT})")
    parser.add_argument("--from", dest="source", metavar="DIR", type=Path,
                        help="for migrate: a folder with the old history")
    parser.add_argument("--push", action="store_true", help="for commit: push it, too")
    parser.add_argument("--message", metavar="TEXT", default="Record the performance",
                        help="for commit: its message")
    return parser


def main(argv):
    arguments = _parser().parse_args(argv)
    terminal = Terminal()
    if arguments.what == "fetch":
        fetch(terminal, arguments.history)
    elif arguments.what == "commit":
        commit(terminal, arguments.history, arguments.message, arguments.push)
    elif arguments.what == "migrate":
        return migrate(terminal, arguments.source, arguments.history)
    else:
        repair(terminal, arguments.history)
    return statuses.CLEAN
