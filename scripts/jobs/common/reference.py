# SPDX-License-Identifier: Apache-2.0
"""Tells whether FlowFabric's own code can be built beside ours. CMake makes the same checks."""

import re
import shutil
import subprocess

from jobs.common.build import ROOT

OLDEST_RUST = (1, 85)
MANIFEST = ROOT / "core" / "testing" / "reference" / "Cargo.toml"
# The manifest of a worker on FlowFabric's SDK. Only scripts/live-fleet builds it.
SDK_WORKER = MANIFEST.parent / "sdk_worker" / "Cargo.toml"
ADVICE = "./scripts/bootstrap --with-reference gets it"


def _run(command):
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False)
    except OSError:
        return None


def rust_version(text):
    """The major and minor version in the output of `rustc --version`; None if the output is of
    another form."""
    found = re.match(r"rustc (\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def lacking(manifest=MANIFEST):
    """What is missing, in words; None where the crate of the manifest can be built."""
    if not shutil.which("cargo") or not shutil.which("rustc"):
        return "no cargo and rustc"
    ran = _run(["rustc", "--version"])
    version = rust_version(ran.stdout) if ran else None
    if version is None:
        return "rustc does not run"
    if version < OLDEST_RUST:
        return f"rustc {version[0]}.{version[1]} is older than {OLDEST_RUST[0]}.{OLDEST_RUST[1]}"
    ran = _run(["cargo", "fetch", "--locked", "--offline", "--quiet", "--manifest-path",
                str(manifest)])
    return None if ran and ran.returncode == 0 else "its crates are not there"
