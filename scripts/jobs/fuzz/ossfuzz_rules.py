# SPDX-License-Identifier: Apache-2.0
"""What a fuzz target in $OUT has to be: OSS-Fuzz's check of bad builds, and what its guide asks.

Thresholds and patterns are those of OSS-Fuzz's base-runner; the checks are written anew.
"""

import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from jobs.fuzz import targets

_RUNS = 4
_LEAST_EDGES = 100
_LEAST_ASAN_CALLS, _LEAST_UBSAN_CALLS = 1000, 168
_MOST_UBSAN_CALLS_ELSEWHERE = 200
_NAME = re.compile(r"[A-Za-z0-9_-]+_fuzzer")
# Of the image in which targets run.
_LIBRARIES = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1",
              "libgcc_s.so.1", "libresolv.so.2", "ld-linux-x86-64.so.2", "linux-vdso.so.1"}
# What a build on an ordinary system has in place of their static libraries.
STAND_INS = {"libc++": r"lib(?:(?:std)?c\+\+(?:abi)?|unwind)\.so\.\d+"}
_NOBODY = 65534


@dataclass
class Checked:
    """One target: what is wrong with it, and figures for the reader."""
    name: str
    problems: list = field(default_factory=list)
    asan_calls: int = 0
    ubsan_calls: int = 0
    edges: int = 0
    seeds: int = 0


def find_targets(out):
    """Executables with an entry point, as their runner finds them."""
    found = []
    for path in sorted(out.iterdir()):
        if (path.is_file() and os.access(path, os.X_OK)
                and b"LLVMFuzzerTestOneInput" in path.read_bytes()):
            found.append(path)
    return found


def count_calls(path):
    """Calls into the runtimes of (ASan, UBSan)."""
    counts = [0, 0]
    with subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", str(path)], text=True,
                          stdout=subprocess.PIPE, errors="replace") as process:
        for line in process.stdout:
            found = re.search(r"callq?\s+[0-9a-f]+\s+<__(asan|ubsan)", line)
            if found:
                counts[found[1] == "ubsan"] += 1
    return tuple(counts)


def needed_libraries(path):
    listed = subprocess.run(["objdump", "-p", str(path)], text=True, capture_output=True,
                            check=True).stdout
    return re.findall(r"^\s+NEEDED\s+(\S+)", listed, re.MULTILINE)


def check_instrumentation(checked, path, sanitizer):
    checked.asan_calls, checked.ubsan_calls = count_calls(path)
    if sanitizer == "address":
        if checked.asan_calls < _LEAST_ASAN_CALLS:
            checked.problems.append(f"{checked.asan_calls} calls into ASan: not built with it?")
        if checked.ubsan_calls > _MOST_UBSAN_CALLS_ELSEWHERE:
            checked.problems.append(f"{checked.ubsan_calls} calls into UBSan in an ASan build")
    elif checked.asan_calls:
        checked.problems.append(f"{checked.asan_calls} calls into ASan, where none is wanted")
    if sanitizer == "undefined" and checked.ubsan_calls < _LEAST_UBSAN_CALLS:
        checked.problems.append(f"{checked.ubsan_calls} calls into UBSan: not built with it?")


def check_libraries(checked, path, stand_ins):
    foreign = [name for name in needed_libraries(path) if name not in _LIBRARIES
               and not any(re.fullmatch(STAND_INS[stand_in], name) for stand_in in stand_ins)]
    if foreign:
        checked.problems.append(f"needs libraries that are not there: {', '.join(sorted(foreign))}")


def check_files(checked, path):
    """Seed corpus, dictionary and options beside the target."""
    corpus = path.with_name(f"{path.name}_seed_corpus.zip")
    if not corpus.exists():
        checked.problems.append(f"there is no {corpus.name}")
    else:
        try:
            with zipfile.ZipFile(corpus) as archive:
                bad = archive.testzip()
                checked.seeds = sum(1 for info in archive.infolist() if not info.is_dir())
        except zipfile.BadZipFile as error:
            bad = str(error)
        if bad:
            checked.problems.append(f"{corpus.name}: {bad}")
        elif not checked.seeds:
            checked.problems.append(f"{corpus.name} is empty")
    for extension, read in (("dict", targets.read_dictionary), ("options", targets.read_options)):
        beside = path.with_name(f"{path.name}.{extension}")
        if not beside.exists():
            continue
        try:
            if not read(beside.read_text(encoding="utf-8")):
                checked.problems.append(f"{beside.name} says nothing")
        except (targets.TargetError, UnicodeDecodeError) as error:
            checked.problems.append(f"{beside.name}: {error}")


def _snapshot(folders):
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*")}


class Sandbox:
    """Runs a target from a copy of $OUT that nobody may write to, in a folder of its own."""

    def __init__(self, out, wrapper=()):
        self._wrapper = wrapper
        self.folder = Path(tempfile.mkdtemp(prefix="ffgrant-ossfuzz-"))
        # Elsewhere than it was built: a path that is part of a binary is noticed.
        self.out = self.folder / "not-out"
        shutil.copytree(out, self.out)
        self.home, self.here = self.folder / "home", self.folder / "elsewhere"
        self.seeds = self.folder / "seeds"
        for path in (self.home, self.here, self.seeds):
            path.mkdir()
        for path in (self.folder, self.out, self.home, self.here, self.seeds):
            path.chmod(0o555)

    def __enter__(self):
        return self

    def __exit__(self, *_reason):
        for path in (self.folder, self.out, self.home, self.here, self.seeds):
            path.chmod(0o755)
        shutil.rmtree(self.folder)

    def unpack_seeds(self, name):
        self.seeds.chmod(0o755)
        for path in self.seeds.iterdir():
            path.unlink()
        try:
            with zipfile.ZipFile(self.out / f"{name}_seed_corpus.zip") as archive:
                archive.extractall(self.seeds)
        except (OSError, zipfile.BadZipFile):
            pass  # reported by check_files
        self.seeds.chmod(0o555)

    def seed_files(self):
        return sorted(str(path) for path in self.seeds.iterdir())

    def run(self, name, arguments, timeout=100):
        """(exit status, output, files that it changed)."""
        before = _snapshot((self.out, self.home, self.here))
        # root may write anywhere; nobody may not.
        as_nobody = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        try:
            done = subprocess.run(
                [*self._wrapper, str(self.out / name), *arguments], cwd=self.here,
                env={"PATH": "/usr/bin:/bin", "HOME": str(self.home),
                     "UBSAN_OPTIONS": "silence_unsigned_overflow=1:print_stacktrace=1",
                     "ASAN_OPTIONS": "detect_leaks=0", "LLVM_PROFILE_FILE": "/dev/null"},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=timeout, check=False, **(as_nobody if os.getuid() == 0 else {}))
            status, output = done.returncode, done.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired:
            status, output = -1, "timed out"
        after = _snapshot((self.out, self.home, self.here))
        changed = [str(path.relative_to(self.folder)) for path in after
                   if before.get(path) != after[path]]
        return status, output, changed


def _tail(output):
    return "\n    ".join(output.rstrip().splitlines()[-12:])


def check_runs(checked, sandbox, sanitizer):
    """Starts, has edges to count, and does not fail on its own seeds."""
    sandbox.unpack_seeds(checked.name)
    if sanitizer == "coverage":  # has no edges, without which libFuzzer does not begin
        status, output, changed = sandbox.run(checked.name, ["-runs=1", *sandbox.seed_files()])
        if status != 0:
            checked.problems.append(f"fails on its seed corpus ({status}):\n    {_tail(output)}")
        if changed:
            checked.problems.append(f"writes outside /tmp: {', '.join(sorted(changed))}")
        return
    status, output, changed = sandbox.run(checked.name, ["-seed=1337", f"-runs={_RUNS}"])
    found = re.search(r"INFO: Loaded \d+ modules?.*\((?:\d+) (?:inline 8-bit )?"
                      r"(?:counters|guards)\):\s+(\d+)", output)
    checked.edges = int(found[1]) if found else 0
    if status != 0 or f"Done {_RUNS} runs" not in output:
        checked.problems.append(f"crashes or ends at its start ({status}):\n    {_tail(output)}")
    elif checked.edges < _LEAST_EDGES:
        checked.problems.append(f"{checked.edges} edges are instrumented, at least "
                                f"{_LEAST_EDGES} are wanted")
    status, output, more = sandbox.run(checked.name, ["-runs=0", "-timeout=25",
                                                      "-rss_limit_mb=2560", str(sandbox.seeds)])
    if status != 0:
        checked.problems.append(f"fails on its seed corpus ({status}):\n    {_tail(output)}")
    if changed + more:
        checked.problems.append(f"writes outside /tmp: {', '.join(sorted(set(changed + more)))}")


def check_profile(checked, sandbox):
    """A coverage build writes a profile of what ran."""
    folder = Path(tempfile.mkdtemp(prefix="ffgrant-profile-"))
    try:
        profile = folder / "profile"
        done = subprocess.run([str(sandbox.out / checked.name), "-runs=1", *sandbox.seed_files()],
                              cwd=folder, env={"LLVM_PROFILE_FILE": str(profile)},
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=100,
                              check=False)
        if done.returncode != 0 or not profile.exists() or not profile.stat().st_size:
            checked.problems.append("a coverage build that leaves no profile")
    finally:
        shutil.rmtree(folder)


def check(out, sanitizer, wrapper=(), stand_ins=()):
    """All targets of $OUT. stand_ins: libraries that need not be linked statically."""
    results = []
    with Sandbox(out, wrapper) as sandbox:
        for path in find_targets(out):
            checked = Checked(path.name)
            results.append(checked)
            if not _NAME.fullmatch(path.name):
                checked.problems.append("its name is not [A-Za-z0-9_-]+_fuzzer")
            check_instrumentation(checked, path, sanitizer)
            check_libraries(checked, path, stand_ins)
            check_files(checked, path)
            check_runs(checked, sandbox, sanitizer)
            if sanitizer == "coverage":
                check_profile(checked, sandbox)
    return results
