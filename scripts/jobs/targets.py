# SPDX-License-Identifier: Apache-2.0
"""The fuzz targets: every fuzz/<subject>_fuzzer.cc, with its options, dictionary and corpus."""

import configparser
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from jobs.build import ROOT

CANARY = "canary_fuzzer"  # must fail: in no "all", and what it finds is kept nowhere
_SUFFIX = "_fuzzer"


class TargetError(Exception):
    """A target, or a file beside it, is not as it has to be."""


@dataclass(frozen=True)
class Target:
    name: str  # with _fuzzer
    root: Path = ROOT

    @property
    def subject(self):
        return self.name[:-len(_SUFFIX)]

    @property
    def source(self):
        return self.root / "fuzz" / f"{self.name}.cc"

    @property
    def dictionary(self):
        return self.root / "fuzz" / f"{self.name}.dict"

    @property
    def corpus(self):
        return self.root / "corpus" / self.name

    @property
    def is_canary(self):
        return self.name == CANARY

    def seeds(self):
        """All files of the corpus, those of regressions/ and of other folders below too."""
        return sorted(path for path in self.corpus.rglob("*")
                      if path.is_file() and not path.name.startswith("."))

    def options(self):
        """What the .options file says to libFuzzer: name -> value."""
        path = self.root / "fuzz" / f"{self.name}.options"
        return read_options(path.read_text(encoding="utf-8")) if path.exists() else {}

    def about(self, width=78):
        return textwrap.shorten(first_sentence(self.source.read_text(encoding="utf-8")), width,
                                placeholder=" ...")


def read_options(text):
    parser = configparser.ConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise TargetError(str(error)) from error
    return dict(parser["libfuzzer"]) if parser.has_section("libfuzzer") else {}


_ENTRY = re.compile(r'\s*(?:[\w]+\s*=\s*)?"((?:[^"\\]|\\["\\]|\\x[0-9a-fA-F]{2})+)"\s*')


def read_dictionary(text):
    """The entries of a dictionary, as they are written; raises where an engine would refuse."""
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _ENTRY.fullmatch(line)
        if not found:
            raise TargetError(f"line {number} is no dictionary entry: {line}")
        entries.append(found[1])
    return entries


def first_sentence(source):
    """Of the comment that follows the licence line."""
    lines = []
    for line in source.splitlines():
        if not line.startswith("//"):
            break
        text = line[2:].strip()
        if text and not text.startswith("SPDX"):
            lines.append(text)
        elif lines:
            break
    return re.split(r"\.(?=\s|$)", " ".join(lines), maxsplit=1)[0]


def all_targets(root=ROOT):
    """In alphabetical order, the canary too."""
    return [Target(path.stem, root) for path in sorted((root / "fuzz").glob(f"*{_SUFFIX}.cc"))]


def find(name, root=ROOT):
    """By name, with or without _fuzzer; None if there is none."""
    wanted = name if name.endswith(_SUFFIX) else name + _SUFFIX
    return next((target for target in all_targets(root) if target.name == wanted), None)
