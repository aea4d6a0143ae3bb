# SPDX-License-Identifier: Apache-2.0
"""Builds and runs the tool that scripts/conformance needs, and the tool that makes vectors."""


import os
import subprocess
import sys

from jobs.common import build, processes


def _build(preset, target, log, *settings):
    """Builds a target, and returns whether the build succeeds. Prints nothing if it does, since
    programs read what the tool prints."""
    log.parent.mkdir(parents=True, exist_ok=True)
    text = ""
    for command in (["cmake", "--preset", preset, "-B", str(build.build_directory(preset)),
                     *settings],
                    ["cmake", "--build", str(build.build_directory(preset)), "--target", target]):
        status, output = processes.run(command, cwd=build.ROOT)
        text += output
        log.write_text(text, encoding="utf-8")
        if status:
            print("\n".join(output.splitlines()[-40:]), file=sys.stderr)
            return False
    return True


def main(arguments):
    """Runs the vectors."""
    # scripts/test builds the preset gcc-release, and so the tool. After a test run nothing is left
    # to build here.
    built = (build.build_directory("gcc-release") / "build.ninja").exists()
    preset = "gcc-release" if built else "conformance"
    log = build.BUILD / "conformance.log"
    processes.raise_on_signals()
    try:
        if not _build(preset, "run_vectors", log):
            print(f"scripts/conformance: run_vectors does not build, see {log}", file=sys.stderr)
            return 2
    except processes.Interrupted as interrupted:
        return interrupted.exit_status
    tool = build.build_directory(preset) / "core" / "testing" / "vectors" / "run_vectors"
    return os.execv(tool, [str(tool), *arguments.files])


def make(arguments):
    """Writes vectors from the reference."""
    log = build.BUILD / "make-vectors.log"
    processes.raise_on_signals()
    try:
        if not _build("gcc-release", "ffgrant_make_vectors", log, "-DFFGRANT_REFERENCE=AUTO"):
            print(f"scripts/make-vectors: make_vectors does not build, see {log}", file=sys.stderr)
            return 3
        tool = (build.build_directory("gcc-release") / "core" / "testing" / "reference"
                / "make_vectors")
        command = [str(tool), str(arguments.seed), str(arguments.count)]
        if not arguments.out:
            return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
        part = arguments.out.with_name(arguments.out.name + ".part")
        try:
            with open(part, "wb") as output:
                status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output,
                                        check=False).returncode
            if status in (0, 1):
                part.replace(arguments.out)
            return status
        finally:
            part.unlink(missing_ok=True)
    except processes.Interrupted as interrupted:
        return interrupted.exit_status
    except OSError as error:
        print(f"scripts/make-vectors: {error}", file=sys.stderr)
        return 3
