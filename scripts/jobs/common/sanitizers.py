# SPDX-License-Identifier: Apache-2.0
"""Finds the wrapper that sanitized programs need."""

import shutil
import subprocess
from pathlib import Path


def _addresses_too_random():
    """Whether addresses are too random for clang 14's sanitizers. The sanitizers need shadow memory
    at a fixed address, and with more than 28 random bits a mapping may lie there."""
    try:
        bits = int(Path("/proc/sys/vm/mmap_rnd_bits").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return False
    return bits > 28


def sanitizer_wrapper():
    """The words that have to stand before a command that runs sanitized programs; none if addresses
    are not too random, or if setarch does not work. A build runs such programs too, to discover the
    tests."""
    if not _addresses_too_random() or not shutil.which("setarch"):
        return ()
    wrapper = ("setarch", "-R")
    works = subprocess.run([*wrapper, "true"], stdin=subprocess.DEVNULL, capture_output=True,
                           check=False).returncode == 0
    return wrapper if works else ()
