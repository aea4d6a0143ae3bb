# SPDX-License-Identifier: Apache-2.0
"""Builds the reference kernel alone, for which a compiler and Google Benchmark are enough."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from jobs.common import machine
from jobs.perf import home
from jobs.perf.error import PerfError

SOURCE = home.KERNEL_SOURCE
_COMPILER = "g++"
_FLAGS = ("-std=c++20", "-O2", "-g1", "-falign-functions=64", "-DNDEBUG")  # as revisions.FLAGS


def program(folder=None):
    """The path of the kernel's program, which is built if it was not built before."""
    folder = folder or home.cache_folder("kernel")
    version = machine.first_line([_COMPILER, "--version"])
    if not version:
        raise PerfError("the reference kernel takes g++ and Google Benchmark's development files "
                        f"({home.advice('kernel')}), or a ready one: --kernel FILE")
    key = hashlib.sha256(SOURCE.read_bytes() + repr((version, _FLAGS)).encode()).hexdigest()[:12]
    target = folder / key / "reference_kernel"
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        made = Path(temporary) / "reference_kernel"
        done = subprocess.run(
            [_COMPILER, *_FLAGS, "-o", str(made), str(SOURCE), "-lbenchmark", "-lpthread"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", check=False)
        if done.returncode:
            raise PerfError(f"the reference kernel could not be built ({home.advice('kernel')}):\n"
                            f"{done.stdout[-2000:].strip()}")
        shutil.move(made, target)
    return target
