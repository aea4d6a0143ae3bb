# SPDX-License-Identifier: Apache-2.0
"""Makes libFuzzer's command lines, and reads its output."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

INTERRUPTED = 72  # libFuzzer's exit status after SIGINT

_STATUS = re.compile(
    r"#(\d+)\s+(\w+)\s+cov: (\d+) ft: (\d+) corp: (\d+)/\S+(?:.* exec/s: (\d+))?")
_COUNTERS = re.compile(r"INFO: Loaded \d+ modules?\s+\((\d+) (?:inline 8-bit counters|guards)\)")
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_WRITTEN = re.compile(r"Test unit written to (\S.*)$")


@dataclass
class Status:
    """How far a run is, read from the lines that it has printed so far."""
    executions: int = 0
    rate: int = 0  # executions a second, as libFuzzer says
    edges: int = 0
    features: int = 0
    corpus: int = 0
    counters: int = 0  # how many edges there are
    artifact: Path | None = None

    def read(self, line):
        found = _STATUS.match(line)
        if found:
            self.executions, self.edges, self.features, self.corpus = (
                int(found[group]) for group in (1, 3, 4, 5))
            self.rate = int(found[6] or 0)
            return
        for pattern, name in ((_COUNTERS, "counters"), (_EXECUTED, "executions")):
            found = pattern.match(line)
            if found:
                setattr(self, name, int(found[1]))
        found = _WRITTEN.search(line)
        # libFuzzer reports a slow input too, but a slow input is no finding.
        if found and not Path(found[1]).name.startswith("slow-unit-"):
            self.artifact = Path(found[1])


def environment():
    env = dict(os.environ)
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    return env


def command(binary, target, artifacts, directories, flags=(), wrapper=()):
    """The command that starts a target. artifacts: what the paths of the files for findings begin
    with."""
    options = [f"-{name}={value}" for name, value in target.options().items()]
    if target.dictionary.exists():
        options.append(f"-dict={target.dictionary}")
    return [*wrapper, str(binary), "-print_final_stats=1", "-timeout=25",
            f"-artifact_prefix={artifacts}", *options, *flags, *map(str, directories)]


_FRAME = re.compile(r"^\s*#\d+ 0x[0-9a-f]+ in (\S+)")
# Stack frames that do not tell crashes apart.
_NOISE = re.compile(r"^(?:__|fuzzer::|raise$|abort$|main$|_start$|gsignal$|pthread_kill)"
                    r"|^ffgrant::fuzz::Fail|^LLVMFuzzer")


def signature(output):
    """A line that is the same for two inputs if they show the same mistake."""
    said = re.search(r"^FINDING: (.+)$", output, re.MULTILINE)
    if said:
        return re.sub(r"\d+", "N", said[1]).strip()
    frame = next((found[1] for line in output.splitlines() if (found := _FRAME.match(line))
                  and not _NOISE.search(found[1])), "")
    error = re.search(r"runtime error: (.+)$", output, re.MULTILINE)
    summary = re.search(r"^SUMMARY: (.+)$", output, re.MULTILINE)
    what = error[1] if error else summary[1] if summary else "died"
    what = re.sub(r"0x[0-9a-f]+|\d+", "N", re.sub(r"\s*\(?/\S+.*$", "", what))
    return f"{what.strip()} in {frame.split('(')[0]}" if frame else what.strip()


def slug(text, size=40):
    """A text as part of a file's name: its words in lower case, joined by hyphens."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return "-".join(words)[:size].rstrip("-") or "finding"


def digest(data):
    """The name that libFuzzer gives to an input."""
    return hashlib.sha1(data).hexdigest()
