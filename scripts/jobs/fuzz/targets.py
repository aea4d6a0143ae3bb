# SPDX-License-Identifier: Apache-2.0
"""Lists the fuzz targets: every fuzz/<subject>_fuzzer.cc, with its options, dictionary and corpus.

There are also the targets fuzz/differential/<subject>_reference_fuzzer.cc, which can be built only
if Rust is there. Each of them fuzzes the same subject with the reference as its oracle, and has the
options, dictionary and corpus of <subject>_fuzzer.cc.
"""

import configparser
import os
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from jobs.common.build import BUILD, ROOT

CANARY = "canary_fuzzer"  # must fail; not part of --all, and its findings go into no corpus
_SUFFIX = "_fuzzer"
_REFERENCE = "_reference"


class TargetError(Exception):
    """A target, or a file beside it, is not as it has to be."""


@dataclass(frozen=True)
class Target:
    name: str  # the name, with _fuzzer at its end
    root: Path = ROOT

    @property
    def subject(self):
        return self.name[:-len(_SUFFIX)]

    @property
    def is_reference(self):
        return self.subject.endswith(_REFERENCE)

    @property
    def plain_name(self):
        """The name of the target that has the options, dictionary and corpus."""
        return (self.subject[:-len(_REFERENCE)] + _SUFFIX) if self.is_reference else self.name

    @property
    def source(self):
        folder = "fuzz/differential" if self.is_reference else "fuzz"
        return self.root / folder / f"{self.name}.cc"

    @property
    def dictionary(self):
        return self.root / "fuzz" / f"{self.plain_name}.dict"

    @property
    def corpus(self):
        return self.root / "corpus" / self.plain_name

    @property
    def regressions(self):
        """Where findings are kept: in the corpus, or beside the builds if the checkout is
        read-only."""
        if os.access(self.root, os.W_OK):
            return self.corpus / "regressions"
        return BUILD / "fuzz-findings" / self.plain_name

    @property
    def is_canary(self):
        return self.name == CANARY

    def seeds(self):
        """All files of the corpus but hidden ones, including the files in regressions/ and other
        folders below it."""
        return sorted(path for path in self.corpus.rglob("*")
                      if path.is_file() and not path.name.startswith("."))

    def options(self):
        """What the .options file says to libFuzzer: name -> value."""
        path = self.root / "fuzz" / f"{self.plain_name}.options"
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
    """The entries of a dictionary, as they are written. Raises if an engine would refuse the
    dictionary."""
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
    """The first sentence of the comment that follows the licence line."""
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


def _targets_in(folder, root):
    return [Target(path.stem, root) for path in sorted((root / folder).glob(f"*{_SUFFIX}.cc"))]


def all_targets(root=ROOT):
    """The targets that need no reference, with the canary, in alphabetical order."""
    return _targets_in("fuzz", root)


def reference_targets(root=ROOT):
    """The targets whose oracle is the reference, whether the reference is there or not."""
    return _targets_in("fuzz/differential", root)


def find(name, root=ROOT):
    """The target of this name, with or without _fuzzer; None if there is none."""
    wanted = name if name.endswith(_SUFFIX) else name + _SUFFIX
    known = all_targets(root) + reference_targets(root)
    return next((target for target in known if target.name == wanted), None)
