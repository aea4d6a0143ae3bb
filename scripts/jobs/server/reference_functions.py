# SPDX-License-Identifier: Apache-2.0
"""Fetches FlowFabric's own function library from crates.io, pinned by version and hash, and keeps
it. Fetching needs cargo."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from jobs.common import wheels

CRATE, VERSION = "ff-script", "0.15.0"
_SHA256 = "c84cebd1567f4b7632499ca4e1f6d25f936cdddb179b941ebfaa62c56cb38de0"
LIBRARY = "flowfabric"  # its name in FUNCTION LIST
_MANIFEST = f"""[package]
name = "fetch"
version = "0.0.0"
edition = "2021"
[dependencies]
{CRATE} = "={VERSION}"
[lib]
path = "lib.rs"
"""


class FetchError(Exception):
    """The library could not be fetched, or its hash is not the known hash."""


def _fetch(directory):
    """The path of the library's source in cargo's registry."""
    (directory / "Cargo.toml").write_text(_MANIFEST, encoding="ascii")
    (directory / "lib.rs").touch()
    done = subprocess.run(["cargo", "metadata", "--format-version", "1", "--quiet"], cwd=directory,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FetchError(f"cargo could not fetch {CRATE} {VERSION}:\n{done.stderr[-2000:]}")
    for package in json.loads(done.stdout)["packages"]:
        if (package["name"], package["version"]) == (CRATE, VERSION):
            return Path(package["manifest_path"]).parent / "src" / "flowfabric.lua"
    raise FetchError(f"cargo fetched no {CRATE} {VERSION}")


def source():
    """The text of the library."""
    kept = wheels.CACHE / f"{CRATE}-{VERSION}.lua"
    if not kept.exists():
        if not shutil.which("cargo"):
            raise FetchError(f"fetching {CRATE} {VERSION} from crates.io needs cargo")
        with tempfile.TemporaryDirectory() as directory:
            text = _fetch(Path(directory)).read_bytes()
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial")
        partial.write_bytes(text)
        partial.replace(kept)
    text = kept.read_bytes()
    if hashlib.sha256(text).hexdigest() != _SHA256:
        raise FetchError(f"{kept} does not have the hash that it must have")
    return text.decode("utf-8")
