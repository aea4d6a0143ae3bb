# SPDX-License-Identifier: Apache-2.0
"""Makes folders for the copies of programs and the files of a run."""

import tempfile


def folder(directory=None):
    """A new temporary folder, in `directory` or in the system's place for temporary files; use it
    as a context."""
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="perf-", dir=directory)
