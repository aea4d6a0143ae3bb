# SPDX-License-Identifier: Apache-2.0
"""Brings the best inputs of a working corpus into corpus/TARGET/."""

import re
import shutil
import tempfile
from pathlib import Path

from jobs.common import build
from jobs.fuzz import libfuzzer

MOST_FILES = 40
MOST_BYTES = 4096  # the most bytes of one file
_MERGED = re.compile(r"[0-9a-f]{40}")  # a name from libFuzzer; people chose other names


def choose(paths):
    """The smallest inputs: at most MOST_FILES of them, none above MOST_BYTES, so that the
    repository stays small."""
    small = [path for path in paths if path.stat().st_size <= MOST_BYTES]
    return sorted(small, key=lambda path: (path.stat().st_size, path.name))[:MOST_FILES]


def replace_merged(corpus, chosen):
    """Replaces the files of earlier merges. Files that people named and files in folders stay."""
    corpus.mkdir(parents=True, exist_ok=True)
    keep = {path.name: path.read_bytes() for path in chosen}
    for path in corpus.iterdir():
        if path.is_file() and _MERGED.fullmatch(path.name) and path.name not in keep:
            path.unlink()
    for name, data in keep.items():
        (corpus / name).write_bytes(data)


def merge(terminal, target, tools):
    """Chooses, from the working corpus and from earlier merges, inputs that reach more code than
    the inputs which people have named, and puts them in place of the earlier merges. The fast build
    counts what is reached."""
    with tempfile.TemporaryDirectory(prefix="ffgrant-merge-") as folder:
        named, candidates = Path(folder) / "named", Path(folder) / "candidates"
        for directory in (named, candidates):
            directory.mkdir()
        given = set()
        for path in target.seeds():
            merged = path.parent == target.corpus and _MERGED.fullmatch(path.name)
            data = path.read_bytes()
            name = libfuzzer.digest(data)
            ((candidates if merged else named) / name).write_bytes(data)
            if not merged:
                given.add(name)
        for path in tools.work.iterdir() if tools.work.is_dir() else ():
            if path.stat().st_size <= MOST_BYTES:
                shutil.copyfile(path, candidates / path.name)
        # A value profile counts comparisons too, and so would keep hundreds of inputs.
        command = libfuzzer.command(tools.fast, target, f"{folder}/found-", (named, candidates),
                                    ("-merge=1", "-use_value_profile=0"))
        build.run_step(terminal, f"{target.name}: merge", command, cwd=folder)
        added = choose([path for path in named.iterdir() if path.name not in given])
        replace_merged(target.corpus, added)
    terminal.line(f"{target.name}: {len(given)} named inputs, {len(added)} merged ones")
