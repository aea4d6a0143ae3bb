# SPDX-License-Identifier: Apache-2.0
"""Makes private copies of the sources, in which mutants are built."""

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from jobs.common import build
from jobs.common.cpp_tokens import Source
from jobs.mutants import runner

ROOT = build.BUILD / "mutants"
_COPIED = ("CMakeLists.txt", "core", "fuzz")


@dataclass(frozen=True)
class Kind:
    """A way to build."""
    name: str
    flags: str
    engine: str = "-fsanitize=fuzzer"
    pinned_compiler: str = ""  # empty: the clang of the clang presets

    @property
    def compiler(self):
        return self.pinned_compiler or build.clang()


# This kind is built without instrumentation. Instrumentation would keep comparisons of numbers that
# optimisation otherwise removes.
SCREEN = Kind("screen", "-O2 -DNDEBUG", "")
FUZZ = Kind("fuzz", "-O1 -fno-omit-frame-pointer "
            "-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all")
PLAIN = Kind("plain", "-O2 -fsanitize=fuzzer-no-link")
REACH = Kind("reach",
             "-O1 -fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping",
             pinned_compiler="clang++-19")


def read_deps(text, directory):
    """Reads the output of `ninja -t deps`: object -> the files that its compiler read. Paths that
    ccache has made relative start at the build directory."""
    found, current = {}, None
    for line in text.splitlines():
        if line.startswith(" "):
            found[current].append(os.path.normpath(os.path.join(directory, line.strip())))
        elif line:
            current = line.partition(":")[0]
            found[current] = []
    return found


class TreeError(Exception):
    """The unchanged sources can't be built, or a target built from them can't be measured."""


def source_files(copied=_COPIED):
    """The paths, below the root, of all files that a build reads."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *copied],
        cwd=build.ROOT, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    names = sorted(name for name in listed.stdout.decode().split("\0") if name)
    return [name for name in names if (build.ROOT / name).is_file()]


def joint(states):
    """One digest of several digests."""
    return hashlib.sha256(repr(sorted(states.items())).encode()).hexdigest()[:16]


def probe(text, line, statement='asm volatile("nop");'):
    """The text with a statement added at the start of the function around a line; None if there is
    no function around the line."""
    source = Source(text)
    for span in source.functions:
        if source.line_of(span.begin) <= line <= source.line_of(span.end - 1):
            brace = source.partner[span.end - 1]
            at = source.tokens[brace].end
            return f"{text[:at]} {statement}{text[at:]}"
    return None


class Tree:
    """A worker's copy of the sources with a build directory for each kind."""

    def __init__(self, children, number, wrapper=()):
        self.directory = ROOT / f"worker{number}"
        self.source = self.directory / "src"
        self.wrapper = wrapper
        self._children = children
        self._original = {}  # object -> digest

    def synchronize(self):
        """Makes the copy equal to the sources. A file that is equal already keeps its time
        stamp."""
        wanted = set(source_files())
        for name in wanted:
            target, content = self.source / name, (build.ROOT / name).read_bytes()
            if not target.exists() or target.read_bytes() != content:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                shutil.copymode(build.ROOT / name, target)
        for path in self.source.rglob("*"):
            if path.is_file() and str(path.relative_to(self.source)) not in wanted:
                path.unlink()

    def build_directory(self, kind):
        return self.directory / kind.name

    def configure(self, kind):
        status, output = self._run([
            "cmake", "-S", str(self.source), "-B", str(self.build_directory(kind)), "-G", "Ninja",
            f"-DCMAKE_CXX_COMPILER={kind.compiler}", "-DCMAKE_BUILD_TYPE=None",
            f"-DCMAKE_CXX_FLAGS={kind.flags}", f"-DFFGRANT_FUZZ_ENGINE={kind.engine}",
            "-DFFGRANT_BUILD_FUZZERS=ON", "-DFFGRANT_BUILD_TESTS=OFF",
            "-DFFGRANT_BUILD_BENCHMARKS=OFF", "-DFFGRANT_INSTALL=OFF",
            "-DFFGRANT_REFERENCE=OFF", "-DFFGRANT_LLD=ON"])
        if status != 0:
            raise TreeError(f"cmake failed:\n{output[-3000:]}")

    def build(self, kind, targets):
        """Builds targets. Returns (whether the build succeeded, what it printed)."""
        status, output = self._run(
            ["ninja", "-C", str(self.build_directory(kind)), "-j1", *targets])
        return status == 0, output

    def build_original(self, kind, targets):
        built, output = self.build(kind, targets)
        if not built:
            raise TreeError(f"{kind.name}: the sources don't build:\n{output[-3000:]}")

    def states(self, kind, names):
        """The state of each target: a digest of all that went into it, that is, of the sources,
        headers and commands of its build. The digest does not depend on the build's directory."""
        headers, targets = self._headers(kind), {}
        for name in names:
            digest = hashlib.sha256(repr(kind).encode())
            digest.update(self._ninja(kind, "commands", name).replace(
                str(self.directory), ".").encode())
            read = set()
            for path in self._ninja(kind, "inputs", name).splitlines():
                read.update(headers.get(path, ()), [path])
            # The engine reads these two files.
            read.update(f"{self.source}/fuzz/{name}{end}" for end in (".dict", ".options"))
            for path in sorted(read):
                if path.startswith(f"{self.source}/") and Path(path).is_file():
                    digest.update(path[len(str(self.source)):].encode() + b"\0")
                    digest.update(Path(path).read_bytes() + b"\0")
            targets[name] = digest.hexdigest()[:16]
        return targets

    def read_by(self, kind, target):
        """The files that the compiler read for those sources of a target that are below fuzz/: the
        target, its checks and its oracles. What the compiler read for core's sources is left
        out."""
        headers = self._headers(kind)
        return {path for name in self._ninja(kind, "inputs", target).splitlines()
                if name.startswith("fuzz/") for path in headers.get(name, ())}

    def _headers(self, kind):
        return read_deps(self._ninja(kind, "deps"), self.build_directory(kind))

    def _ninja(self, kind, tool, *arguments):
        status, output = self._run(
            ["ninja", "-C", str(self.build_directory(kind)), "-t", tool, *arguments])
        if status != 0:
            raise TreeError(f"ninja -t {tool} failed:\n{output[-2000:]}")
        return output

    def remember_objects(self):
        self._original = self._objects()

    def objects_changed(self):
        return self._objects() != self._original

    def _objects(self):
        directory = self.build_directory(SCREEN)
        return {str(path): hashlib.sha256(path.read_bytes()).digest()
                for path in sorted(directory.rglob("*.o"))}

    def write(self, file, text):
        """Changes a file below core/ffgrant; restore() undoes the change."""
        (self.source / "core" / "ffgrant" / file).write_text(text, encoding="utf-8")

    def restore(self, file):
        name = f"core/ffgrant/{file}"
        (self.source / name).write_bytes((build.ROOT / name).read_bytes())

    def _run(self, command):
        log = self.directory / "log"
        log.parent.mkdir(parents=True, exist_ok=True)
        # ccache makes paths relative, so that workers share what ccache keeps.
        env = dict(build.environment(), CCACHE_BASEDIR=str(self.directory), CCACHE_NOHASHDIR="1",
                   LC_ALL="C")
        status, _, _ = self._children.run([*self.wrapper, *command], cwd=self.directory,
                                          output=log, env=env)
        return status, log.read_text(encoding="utf-8", errors="replace")

    def fuzzing(self, kind):
        return runner.Fuzzing(self._children, self.build_directory(kind) / "fuzz",
                              self.directory / "scratch", self.wrapper)

    def targets(self, kind):
        """The names of the fuzz targets, without the canary, which must fail."""
        names = sorted(set(re.findall(r"^fuzz/(\w+_fuzzer): CXX_EXECUTABLE",
                                      self._ninja(kind, "targets", "all"), re.MULTILINE)))
        return [name for name in names if not name.startswith("canary")]


