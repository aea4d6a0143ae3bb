# SPDX-License-Identifier: Apache-2.0
"""The folders of the project, and how their names are shown."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# The folder for builds, downloads and the files that jobs keep for themselves. scripts/bootstrap
# refuses an FFGRANT_BUILD_DIR that is no absolute path.
BUILD = Path(os.environ.get("FFGRANT_BUILD_DIR") or ROOT / "build")


def shown(path):
    """A path as the reader sees it: relative to the project's folder if it is below that folder."""
    return path.relative_to(ROOT) if ROOT in path.parents else path
