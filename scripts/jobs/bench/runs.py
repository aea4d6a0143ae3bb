# SPDX-License-Identifier: Apache-2.0
"""Keeps the files of a run of scripts/bench in a folder that changes only once a run is whole."""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path

_PREFIX = ".unfinished-"


def _locked(folder: Path, wait: bool) -> int | None:
    """A descriptor that holds the folder's lock; None if the lock is taken and `wait` is false."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


class Run:
    """The files of one run, in a folder of their own until keep() replaces the last run's files
    with them. A run that ends without keep(), for whatever reason, changes nothing: its folder is
    removed, by the next run if need be. Several runs may be under way; the last keep() wins.

        with Run(out, pattern) as run:
            measure(run.folder)
            run.keep()
    """

    def __init__(self, out: Path, pattern: str):
        """pattern: a regular expression for the names of files that a run of this kind leaves."""
        self._out = out
        self._pattern = pattern

    def __enter__(self) -> "Run":
        self._out.mkdir(parents=True, exist_ok=True)
        self._remove_abandoned()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._out))
        self._lock = _locked(self.folder, wait=True)
        return self

    def __exit__(self, *_unused: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)

    def _remove_abandoned(self) -> None:
        """Removes the folders of runs that were killed: nobody holds the lock of such a folder."""
        for folder in self._out.glob(_PREFIX + "*"):
            with contextlib.suppress(OSError):
                lock = _locked(folder, wait=False)
                if lock is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(lock)

    def keep(self) -> None:
        """Puts each new file in the old file's place in one step, and then removes the old files
        that are left over. So after an interrupt each file is a whole file of the old run or of
        the new one, and the folder is never empty."""
        lock = _locked(self._out, wait=True)
        try:
            new = {path.name for path in self.folder.iterdir()}
            for name in sorted(new):
                os.replace(self.folder / name, self._out / name)
            for path in self._out.iterdir():
                if path.name not in new and re.fullmatch(self._pattern, path.name):
                    path.unlink()
        finally:
            if lock is not None:
                os.close(lock)
