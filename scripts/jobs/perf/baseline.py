# SPDX-License-Identifier: Apache-2.0
"""scripts/perf baseline keeps a revision's build in one file, so that gates need not build it.

A kept build is used as a base only if it has this machine's compiler and flags. If compiler or
flags differ, the revision is built again. Times are never kept, because a time is true for one
machine and one moment only.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from jobs.common import build
from jobs.common.terminal import Terminal
from jobs.perf import home, revisions, statuses
from jobs.perf.error import PerfError

_MANIFEST = "baseline.json"


def save(directory, revision, target):
    """Writes the programs of a built folder, with their description, to a file."""
    manifest = json.dumps({"format": 1, "folder": directory.name, "commit": revision.commit,
                           "content": revision.content, "label": revision.label}).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file, \
            tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo(_MANIFEST)
        entry.size = len(manifest)
        archive.addfile(entry, io.BytesIO(manifest))
        for path in sorted(directory.iterdir()):
            archive.add(path, f"bin/{path.name}", recursive=False)
    Path(file.name).replace(target)


def opened(terminal, path):
    """Opens a kept build and returns its revision. If the build fits this machine, the build is put
    where directory_of() finds it, with the revision's sources if git knows the commit."""
    try:
        with tarfile.open(path) as archive:
            content = archive.extractfile(_MANIFEST)
            manifest = json.loads(content.read() if content else b"")
            revision = revisions.Revision(manifest["commit"], manifest["content"],
                                          f"{manifest['label']}, kept")
            folder = str(manifest["folder"])
            done = revisions.PERF / "bin" / folder
            if folder != revisions.folder_name(revision):
                terminal.line(f"{path} was built by another compiler or with other flags; building "
                              "it again")
                return revision
            with build.locked(terminal, revisions.LOCK):  # others may build, unpack or forget it
                if not done.is_dir():
                    _unpack(archive, done)
                if not revisions.source_of(done).is_dir():
                    # Only counts and --compile read sources, and counts can do without.
                    with contextlib.suppress(PerfError):
                        revisions.check_out(revision, done)
                os.utime(done)  # a build that was just used is not the next to be forgotten
    except (OSError, tarfile.TarError, KeyError, TypeError, ValueError) as error:
        raise PerfError(f"--baseline {path}: {error}") from None
    return revision


def _unpack(archive, done):
    done.parent.mkdir(parents=True, exist_ok=True)
    partial = done.with_name(f"{done.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for member in archive.getmembers():
        name = Path(member.name)
        if member.isfile() and name.parent == Path("bin"):
            target = partial / name.name
            target.write_bytes(archive.extractfile(member).read())
            target.chmod(0o755)
    partial.rename(done)


def main(argv):
    parser = argparse.ArgumentParser(
        prog=f"{home.PROGRAM} baseline", allow_abbrev=False,
        description="Builds a revision's benchmarks and keeps them in one file, which gate and "
                    "counts take with --baseline FILE in place of --base.",
        epilog="Exit status: 0 kept; 2 wrong usage, or it could not be built.")
    parser.add_argument("--base", metavar="REV", help="revision (the working tree)")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True)
    arguments = parser.parse_args(argv)
    terminal = Terminal()
    revision = (revisions.resolve(arguments.base) if arguments.base
                else revisions.working_tree())
    directory = revisions.directory_of(terminal, revision)
    with build.locked(terminal, revisions.LOCK):  # others may forget the build meanwhile
        save(directory, revision, arguments.out)
    terminal.line(f"{revision.label} is kept in {arguments.out}")
    return statuses.CLEAN
