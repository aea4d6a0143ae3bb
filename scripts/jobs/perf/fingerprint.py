# SPDX-License-Identifier: Apache-2.0
"""Describes what a time depends on besides the code. The history's fingerprint is made of a part of
this description (history_point.identity)."""

import hashlib
import os
import platform
import re
from pathlib import Path

from jobs.common import machine

# The variables from which compilers and build tools take flags, or learn which compiler to use.
_VARIABLES = re.compile(
    r"CC|CXX|CPP|LD|AR|CPPFLAGS|CFLAGS|CXXFLAGS|LDFLAGS|LDLIBS|CPATH|C_INCLUDE_PATH|"
    r"CPLUS_INCLUDE_PATH|LIBRARY_PATH|RUSTC|RUSTC_WRAPPER|RUSTFLAGS|RUSTUP_TOOLCHAIN|GOFLAGS|"
    r"GOARCH|GOAMD64|GOEXPERIMENT|CGO_\w+|CARGO_ENCODED_RUSTFLAGS|"
    r"CARGO_(?:BUILD|PROFILE|TARGET)_\w+|"
    r"CMAKE_(?!BUILD_PARALLEL_LEVEL|COLOR|\w+_LAUNCHER$)\w+")
# Compilers whose versions count, with the variables that name another one.
_COMPILERS = (("CXX", "c++"), ("CC", "cc"), ("RUSTC", "rustc"))


def variables():
    """The variables of the environment that change what a build makes, with their texts."""
    return {name: text for name, text in sorted(os.environ.items())
            if text and _VARIABLES.fullmatch(name)}


def compilers():
    """The versions of the compilers that a build uses unless its command names another one."""
    return [machine.first_line([*(os.environ.get(name) or usual).split(), "--version"])
            for name, usual in _COMPILERS]


def processor():
    """What a program that is compiled for this very processor depends on (-march=native)."""
    return [platform.machine(), machine.cpu_model(), _cpu_flags()]


def _cpu_flags():
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    return " ".join(sorted(found[1].split())) if found else "unknown"


def _caches(context):
    """The caches as Google Benchmark saw them: L1 Data 32 KiB for 2, ..."""
    try:
        texts = [f"L{cache['level']} {cache['type']} {cache['size'] // 1024} KiB"
                 f" for {cache.get('num_sharing') or 1}" for cache in context.get("caches", [])]
    except (TypeError, KeyError, AttributeError):  # another program's context may have another form
        return "unknown"
    return ", ".join(texts) or "unknown"


def compiler_of(program):
    """The compilers that left their names in an ELF file."""
    text = machine.output_of(["readelf", "--string-dump=.comment", str(program)])
    names = sorted(set(re.findall(r"^\s*\[\s*[0-9a-f]+\]\s+(.+?)\s*$", text, re.MULTILINE)))
    return ", ".join(names) or "unknown"


def identity(context, compiler, flags):
    """Texts by which two machines differ. context comes from Google Benchmark's JSON."""
    return {
        "cpu": machine.cpu_model(),
        "cpus": str(context.get("num_cpus", os.cpu_count())),
        "cpu_flags": _cpu_flags(),
        "caches": _caches(context),
        "kernel": platform.release(),
        "compiler": compiler,
        "compiler_flags": flags,
        "libc": " ".join(platform.libc_ver()).strip() or "unknown",
        "benchmark_library": " ".join(str(text) for text in (
            context.get("library_version", ""), context.get("library_build_type", "unknown"))
            if text),
    }


def conditions(context):
    """What a reader should know about the moment of the measurement. This text is no part of the
    identity."""
    load = os.getloadavg()[0]
    return f"load {load:.1f} on {context.get('num_cpus', os.cpu_count())} CPUs"


def compiler_version(compiler):
    return machine.first_line([compiler, "--version"]) or "unknown"


def code_of_gate(*sources, jobs=Path(__file__).parents[1]):
    """A digest of the gate's own code, and of `sources`. The selftest keeps this digest beside its
    tries, because tries of one gate say nothing about another."""
    files = sorted(path for room in ("perf", "common") for path in (jobs / room).glob("*.py")
                   if not path.stem.endswith("_test"))
    digest = hashlib.sha256()
    for path in (*files, *sources):
        data = path.read_bytes()
        digest.update(f"{path.name} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:12]
