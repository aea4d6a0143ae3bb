# SPDX-License-Identifier: Apache-2.0
"""Checks the fuzz targets in $OUT by the rules of OSS-Fuzz's check for bad builds and of its guide,
and the project's folder by the rules of its presubmit check.

Thresholds and patterns come from OSS-Fuzz's base-runner; the code of the checks is our own.
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
# The least number of calls into a sanitizer's runtime in the sanitizer's own build, and the most
# in builds for other sanitizers. Any build with an engine has a few calls into MSan's runtime.
_LEAST_CALLS = {"asan": 1000, "msan": 1000, "ubsan": 168}
_MOST_CALLS_ELSEWHERE = {"asan": 0, "msan": 3, "ubsan": 200, "dfsan": 0}
_RUNTIMES = {"address": "asan", "memory": "msan", "undefined": "ubsan"}
_X86_64 = 62  # e_machine of an ELF file
# OSS-Fuzz's presubmit check wants this text in files of these kinds.
_LICENSE = "http://www.apache.org/licenses/LICENSE-2.0"
_LICENSED = ("Dockerfile", ".bash", ".h", ".htm", ".html", ".js", ".proto", ".py", ".sh")
_SECTIONS = {"homepage", "language", "primary_contact", "auto_ccs", "main_repo", "sanitizers",
             "fuzzing_engines", "architectures"}
_CONSTANTS = {"sanitizers": {"address", "memory", "undefined", "none"},
              "fuzzing_engines": {"afl", "centipede", "honggfuzz", "libfuzzer"},
              "architectures": {"x86_64", "i386"}}
_NAME = re.compile(r"[A-Za-z0-9_-]+_fuzzer")
# The libraries of the image in which targets run.
_LIBRARIES = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1",
              "libgcc_s.so.1", "libresolv.so.2", "ld-linux-x86-64.so.2", "linux-vdso.so.1"}
# What a build on an ordinary system has in place of OSS-Fuzz's static libraries.
STAND_INS = {"libc++": r"lib(?:(?:std)?c\+\+(?:abi)?|unwind)\.so\.\d+"}
_NOBODY = 65534


@dataclass
class Checked:
    """The result for one target: what is wrong with it, and figures for the reader."""
    name: str
    problems: list = field(default_factory=list)
    calls: dict = field(default_factory=dict)  # into the runtimes: "asan" -> how many
    edges: int = 0
    seeds: int = 0


def find_targets(out):
    """The executables with an entry point, as OSS-Fuzz's runner finds them."""
    found = []
    for path in sorted(out.iterdir()):
        if (path.is_file() and os.access(path, os.X_OK)
                and b"LLVMFuzzerTestOneInput" in path.read_bytes()):
            found.append(path)
    return found


def count_calls(path):
    """The number of calls into each sanitizer's runtime: "asan" -> how many."""
    counts = dict.fromkeys(_MOST_CALLS_ELSEWHERE, 0)
    with subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", str(path)], text=True,
                          stdout=subprocess.PIPE, errors="replace") as process:
        for line in process.stdout or ():
            found = re.search(r"callq?\s+[0-9a-f]+\s+<__(asan|dfsan|msan|ubsan)", line)
            if found:
                counts[found[1]] += 1
    return counts


def check_project(folder):
    """What OSS-Fuzz's presubmit check would say about a folder of projects/, as texts."""
    problems = []
    for path in sorted(folder.iterdir()):
        text = path.read_text(encoding="utf-8")
        if (path.name in _LICENSED or path.suffix in _LICENSED) and _LICENSE not in text:
            problems.append(f"{path.name}: the licence's address is missing")
        if path.name == "build.sh" and "-lFuzzingEngine" in text:
            problems.append("build.sh: -lFuzzingEngine; it is $LIB_FUZZING_ENGINE")
    if not (folder / "run_tests.sh").is_file():
        problems.append("there is no run_tests.sh")
    sections = _read_sections((folder / "project.yaml").read_text(encoding="utf-8"))
    problems += [f"project.yaml: {name} is no section" for name in sections.keys() - _SECTIONS]
    for name in ("homepage", "language", "main_repo", "primary_contact"):
        if not sections.get(name):
            problems.append(f"project.yaml: there is no {name}")
    for name, allowed in _CONSTANTS.items():
        problems += [f"project.yaml: {value} is none of {name}"
                     for value in sections.get(name, ()) if value not in allowed]
    for address in sections.get("primary_contact", ()):
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address):
            problems.append(f"project.yaml: {address} is no mail address")
    return problems


def _read_sections(text):
    """Reads the sections of a project.yaml: section -> values. A project.yaml has only scalars and
    lists of scalars."""
    sections, values = {}, []
    for line in text.splitlines():
        entry = re.fullmatch(r"\s+-\s+(\S.*)", line)
        found = re.fullmatch(r"(\w+):\s*(.*)", line)
        if entry:
            values.append(entry[1].strip("\"'"))
        elif found:
            values = sections[found[1]] = [found[2].strip("\"'")] if found[2] else []
    return sections


def check_architecture(checked, path):
    header = path.read_bytes()[:20]
    if header[:4] != b"\x7fELF" or int.from_bytes(header[18:20], "little") != _X86_64:
        checked.problems.append("is not built for x86_64")


def needed_libraries(path):
    listed = subprocess.run(["objdump", "-p", str(path)], text=True, capture_output=True,
                            check=True).stdout
    return re.findall(r"^\s+NEEDED\s+(\S+)", listed, re.MULTILINE)


def check_instrumentation(checked, path, sanitizer):
    checked.calls = count_calls(path)
    own = _RUNTIMES.get(sanitizer)
    if own and checked.calls[own] < _LEAST_CALLS[own]:
        checked.problems.append(f"{checked.calls[own]} calls into {own}: not built with it?")
    for name, most in _MOST_CALLS_ELSEWHERE.items():
        if name != own and checked.calls[name] > most and (name, sanitizer) != (
                "ubsan", "coverage"):
            checked.problems.append(f"{checked.calls[name]} calls into {name} in a build for "
                                    f"{sanitizer}, where at most {most} are wanted")


def check_libraries(checked, path, stand_ins):
    foreign = [name for name in needed_libraries(path) if name not in _LIBRARIES
               and not any(re.fullmatch(STAND_INS[stand_in], name) for stand_in in stand_ins)]
    if foreign:
        checked.problems.append(f"needs libraries that are not there: {', '.join(sorted(foreign))}")


def check_files(checked, path):
    """Checks the seed corpus, dictionary and options beside the target."""
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
    """Runs targets from a read-only copy of $OUT, in a folder that is read-only too."""

    def __init__(self, out, wrapper=()):
        self._wrapper = wrapper
        self.folder = Path(tempfile.mkdtemp(prefix="ffgrant-ossfuzz-"))
        # The folder differs from the one in which the targets were built, so that a build path in
        # a binary is noticed.
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
        """Runs the target. Returns (exit status, output, files that it changed)."""
        before = _snapshot((self.out, self.home, self.here))
        # root may write anywhere, so root runs the target as the user `nobody`.
        as_nobody: dict = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
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
    """Checks that the target starts, has edges to count, does not fail on its own seeds, and writes
    nothing outside /tmp. Of a coverage build, checks only the last two."""
    sandbox.unpack_seeds(checked.name)
    if sanitizer == "coverage":  # libFuzzer needs edges to begin, and this build has none
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
    """Checks that a coverage build writes a profile of what ran."""
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
    """Checks all targets of $OUT. stand_ins: libraries that need not be linked statically."""
    results = []
    with Sandbox(out, wrapper) as sandbox:
        for path in find_targets(out):
            checked = Checked(path.name)
            results.append(checked)
            if not _NAME.fullmatch(path.name):
                checked.problems.append("its name is not [A-Za-z0-9_-]+_fuzzer")
            check_architecture(checked, path)
            check_instrumentation(checked, path, sanitizer)
            check_libraries(checked, path, stand_ins)
            check_files(checked, path)
            check_runs(checked, sandbox, sanitizer)
            if sanitizer == "coverage":
                check_profile(checked, sandbox)
    return results
