# SPDX-License-Identifier: Apache-2.0
"""Tells findings apart, makes their inputs small, and keeps them as regression inputs."""

import os
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jobs.common import build, processes
from jobs.fuzz import libfuzzer

_MINIMIZE_SECONDS = 10


@dataclass
class Finding:
    signature: str
    data: bytes
    output: str  # the output of the run that found it
    binary: Path  # the program that shows it
    wrapper: tuple = ()
    count: int = 1  # how many inputs showed it
    path: Path | None = None  # where its input is kept
    written: bool = False  # whether keep() has written that file

    @property
    def replay(self):
        assert self.path, "it is kept before anybody shows it"
        path = os.path.relpath(self.path, build.ROOT)
        binary = os.path.relpath(self.binary, build.ROOT)
        return " ".join([*self.wrapper, shlex.quote(binary), shlex.quote(path)])


class Findings:
    """The findings of one target: one for each signature."""

    def __init__(self):
        self.all = []

    def add(self, data, output, binary, wrapper=()):
        """Returns the finding if it is new, else None."""
        signature = libfuzzer.signature(output)
        for known in self.all:
            if known.signature == signature:
                known.count += 1
                if len(data) < len(known.data):
                    known.data, known.output = data, output
                    known.binary, known.wrapper = binary, wrapper
                return None
        self.all.append(Finding(signature, data, output, binary, wrapper))
        return self.all[-1]

    def __len__(self):
        return len(self.all)


def run_on(finding, path):
    """Runs the finding's binary on a file. Returns (exit status, output)."""
    return processes.run([*finding.wrapper, str(finding.binary), "-timeout=25", str(path)],
                         env=libfuzzer.environment())


def minimize(finding, seconds=_MINIMIZE_SECONDS):
    """Makes the input smaller while it still shows the same mistake, or leaves the finding as it
    is. Ends when `seconds` have brought nothing smaller.
    """
    with tempfile.TemporaryDirectory(prefix="ffgrant-fuzz-") as folder:
        whole, small = Path(folder) / "whole", Path(folder) / "small"
        whole.write_bytes(finding.data)
        processes.run(
            [*finding.wrapper, str(finding.binary), "-minimize_crash=1", "-timeout=25",
             f"-max_total_time={seconds}", f"-exact_artifact_path={small}", str(whole)],
            cwd=folder, env=libfuzzer.environment())
        if not small.exists() or small.stat().st_size >= len(finding.data):
            return
        # The smaller input may show another mistake.
        status, output = run_on(finding, small)
        if status != 0 and libfuzzer.signature(output) == finding.signature:
            finding.data, finding.output = small.read_bytes(), output


def keep(finding, target, scratch):
    """Writes the input to the target's regressions, or to `scratch` for the canary. An input that
    the corpus holds already stays where it is. If the finding was kept before and its input has
    become smaller since, the smaller one takes the larger one's place.
    """
    larger = finding.path if finding.written else None
    if larger and larger.read_bytes() == finding.data:
        return
    _write(finding, target, scratch)
    if larger:
        larger.unlink(missing_ok=True)


def _write(finding, target, scratch):
    for known in target.seeds():
        if known.read_bytes() == finding.data:
            finding.path, finding.written = known, False
            return
    folder = scratch if target.is_canary else target.regressions
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{libfuzzer.slug(finding.signature)}-{libfuzzer.digest(finding.data)[:10]}"
    (folder / name).write_bytes(finding.data)
    finding.path, finding.written = folder / name, True
