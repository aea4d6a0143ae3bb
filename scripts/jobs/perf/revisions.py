# SPDX-License-Identifier: Apache-2.0
"""Builds the benchmarks of a revision once, in a worktree of its own, into build/perf/bin/<id>/.

A build is known by the content of CMakeLists.txt, core and bench, so a revision that changed other
files only need not be built. All revisions are built with the same compiler and flags, in folders
whose names all have one length, and no path of the machine gets into the programs. So equal sources
make equal programs, byte for byte. The working tree with its changes counts as a revision too: the
commit that git would make of it now.
"""

import hashlib
import os
import platform
import shlex
import shutil
from dataclasses import dataclass

from jobs.common import build, machine
from jobs.perf import fingerprint, repository
from jobs.perf.repository import commit_of, git

PERF = build.BUILD / "perf"
LOCK = "perf"  # the name of the lock (build.locked) that whoever changes PERF / "bin" has to hold
COMPILER = "g++"
# -g1 adds line numbers for the annotation of counts, and changes no instruction. With
# -falign-functions an unchanged function keeps its place relative to cache lines, however much the
# function before it grows. Without this flag, a parser measured 5 % slower after 112 bytes had been
# added to an unrelated file.
FLAGS = "-O2 -g1 -falign-functions=64 -DNDEBUG"
_INPUTS = ("CMakeLists.txt", "core", "bench")  # what the build of the benchmarks reads
_KEPT = 12  # this many built revisions are kept
# The end of the names of the suite's programs; the same folder also holds programs of perf's own.
_SUFFIX = "_benchmark"


@dataclass(frozen=True)
class Revision:
    """A commit. For a working tree with changes it is a commit that is on no branch, and `changed`
    is set. Two revisions with the same content build the same programs."""
    commit: str
    content: str
    label: str  # what the reader calls it
    changed: bool = False

    @property
    def short(self):
        return self.commit[:12]


def _of_commit(commit, label, changed=False):
    # A missing file gives no output, which is an answer too.
    listed = git("ls-tree", commit, "--", *_INPUTS)
    return Revision(commit, hashlib.sha256(listed.encode()).hexdigest()[:12], label, changed)


def resolve(text):
    """The Revision that git knows by this name."""
    commit = commit_of(text)
    return _of_commit(commit, text if commit.startswith(text) else f"{text} ({commit[:12]})")


def working_tree():
    """The Revision of the files as they are: HEAD if nothing changed, else a commit of all
    files."""
    commit, changed = repository.working_tree()
    if not changed:
        return _of_commit(commit, "working tree")
    return _of_commit(commit, f"working tree on {commit_of('HEAD')[:12]}", changed=True)


def default_base(head="HEAD"):
    """The Revision at which `head` left main."""
    commit, name = repository.merge_base(head=head)
    return _of_commit(commit, f"merge base with {name}")


def _settings(source, tree, compiler, flags):
    # CMake hands the flags to a shell as they are, and there may be a blank in the checkout's path.
    # The quotes stand inside of the text, because CMake removes quotes around a whole value.
    maps = " ".join(f"-ffile-prefix-map={shlex.quote(str(path)) if path else ''}=."
                    for path in (source, tree))
    return ("-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_CXX_COMPILER={compiler}",
            f"-DCMAKE_CXX_FLAGS_RELEASE={flags}",
            f"-DCMAKE_CXX_FLAGS={maps}",
            "-DFFGRANT_BUILD_TESTS=OFF", "-DFFGRANT_BUILD_BENCHMARKS=ON",
            "-DFFGRANT_BUILD_FUZZERS=OFF", "-DFFGRANT_WERROR=OFF")


def _forget_old(directory):
    """Removes all builds except those that were used last."""
    built = sorted((path for path in directory.iterdir() if path.is_dir()),
                   key=lambda path: path.stat().st_mtime, reverse=True)
    for path in built[_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
        repository.remove_worktree(PERF / "src" / path.name)


def folder_name(revision, compiler=COMPILER, flags=FLAGS):
    """The name of the folder below build/perf/bin that holds a revision's programs. It stands for
    the revision's files, the compiler, its flags and those that the environment gives. No flag asks
    for this very processor, so that its features do not count."""
    version = machine.first_line([compiler, "--version"])
    settings = repr((version, *_settings("", "", compiler, flags), platform.machine(),
                     fingerprint.variables()))
    return f"{revision.content}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"


def directory_of(terminal, revision, compiler=COMPILER, flags=FLAGS):
    """Builds the revision's benchmarks if they were not built before; returns their folder."""
    with build.locked(terminal, LOCK):
        return _built(terminal, revision, compiler, flags)


def _built(terminal, revision, compiler, flags):
    name = folder_name(revision, compiler, flags)
    done = PERF / "bin" / name
    if done.is_dir():
        os.utime(done)
        return done
    tree = PERF / "tree" / name
    shutil.rmtree(tree, ignore_errors=True)
    tree.parent.mkdir(parents=True, exist_ok=True)
    source = check_out(revision, done)
    label = f"building {revision.label}"
    build.run_step(terminal, label, ["cmake", "-S", str(source), "-B", str(tree), "-G", "Ninja",
                                     *_settings(source, tree, compiler, flags)])
    build.run_step(terminal, label, ["cmake", "--build", str(tree)])
    # The folder appears whole or not at all: an interrupt must not leave a build that looks done.
    partial = PERF / "bin" / f"{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for path in (*(tree / "bench").glob("*"), *(tree / "bench" / "perf").glob("*")):
        if path.is_file() and os.access(path, os.X_OK):
            shutil.copy2(path, partial / path.name)
    partial.rename(done)
    shutil.rmtree(tree)
    _forget_old(done.parent)
    return done


def check_out(revision, directory):
    """Makes the worktree of the revision whose programs are in this folder, or will be; returns its
    path. Raises PerfError, if git does not know the commit for one. The caller holds LOCK."""
    source = source_of(directory)
    repository.remove_worktree(source)
    source.parent.mkdir(parents=True, exist_ok=True)
    git("worktree", "add", "--detach", "--force", str(source), revision.commit)
    return source


def source_of(directory):
    """The worktree in which the programs of this folder were built."""
    return PERF / "src" / directory.name


def suites(directory):
    """Subject -> program, for the benchmarks in a built folder."""
    return {path.name[:-len(_SUFFIX)]: path for path in sorted(directory.glob("*" + _SUFFIX))}
