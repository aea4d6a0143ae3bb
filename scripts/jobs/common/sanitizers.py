# SPDX-License-Identifier: Apache-2.0
"""What sanitized programs need around them."""

import shutil
import subprocess
from pathlib import Path


def _addresses_too_random():
    """clang 14's sanitizers need a fixed shadow; more random bits than 28 can hit it."""
    try:
        bits = int(Path("/proc/sys/vm/mmap_rnd_bits").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return False
    return bits > 28


def sanitizer_wrapper():
    """Words before a command that runs sanitized programs, also while building (discovery)."""
    if not _addresses_too_random() or not shutil.which("setarch"):
        return ()
    wrapper = ("setarch", "-R")
    works = subprocess.run([*wrapper, "true"], stdin=subprocess.DEVNULL, capture_output=True,
                           check=False).returncode == 0
    return wrapper if works else ()
