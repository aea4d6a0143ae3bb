# SPDX-License-Identifier: Apache-2.0
"""Describes what the figures depend on: machine, compiler, flags, libraries, revision, and how much
other programs use of the machine."""

import os
import platform
import re
import subprocess
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]


def output_of(command):
    """What a command prints; "" if there is no such command or the command fails."""
    try:
        done = subprocess.run(command, cwd=_ROOT, stdin=subprocess.DEVNULL, text=True,
                              errors="replace", capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout


def first_line(command):
    return output_of(command).partition("\n")[0].strip()


def cpu_model():
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _operating_system():
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return platform.system()
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', text, re.MULTILINE)
    return found[1] if found else platform.system()


def transparent_huge_pages(path="/sys/kernel/mm/transparent_hugepage/enabled"):
    """The mode of transparent huge pages that is set. The file has this mode in brackets: always,
    madvise (where a program asks for huge pages) or never."""
    try:
        text = Path(path).read_text(encoding="ascii")
    except OSError:
        return "unknown"
    found = re.search(r"\[(\w+)\]", text)
    return found[1] if found else "unknown"


def library_version(cache, name):
    """The version that the package's CMake files state, e.g. for simdjson."""
    directory = Path(cache.get(f"{name}_DIR", ""))
    for stem in (f"{name}ConfigVersion.cmake", f"{name}-config-version.cmake"):
        try:
            text = (directory / stem).read_text(encoding="utf-8")
        except OSError:
            continue
        found = re.search(r'set\(PACKAGE_VERSION "([^"]+)"\)', text)
        if found:
            return found[1]
    return "unknown"


def package_version(name):
    """The version of a package of the distribution."""
    return first_line(["dpkg-query", "-W", "-f=${Version}", name]) or "unknown"


def revision():
    text = first_line(["git", "rev-parse", "--short=12", "HEAD"])
    if not text:
        return "unknown"
    changed = first_line(["git", "status", "--porcelain", "--untracked-files=no"])
    return text + (" with uncommitted changes" if changed else "")


def _cpu_seconds() -> tuple[float, float]:
    """Processor seconds, of all processors: (busy since the machine started; used by this process
    and by its children that have ended)."""
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
        user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, fields[:8])
    except (OSError, ValueError):
        return own, own
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK"), own


class Others:
    """How much of the machine other programs have used since this object was made. The time that a
    hypervisor gave to other machines counts too."""

    _MANY = 0.1  # others are many if they use more than this share of all processors

    def __init__(self, seconds=_cpu_seconds, clock=time.monotonic, cpus=None):
        self._seconds = seconds
        self._clock = clock
        self._cpus = cpus or os.cpu_count() or 1
        self._begin = (clock(), *seconds())

    def processors(self) -> float:
        """How many processors others used on average: 0 to the number of processors."""
        passed, busy, own = (now - then for now, then in zip(
            (self._clock(), *self._seconds()), self._begin))
        return min(max(busy - own, 0.0) / passed, float(self._cpus)) if passed > 0 else 0.0

    def text(self) -> str:
        return f"{self.processors():.2f} of {self._cpus}"

    def are_many(self) -> bool:
        return self.processors() > self._MANY * self._cpus


def basic():
    """Pairs (what, text) that do not depend on the build."""
    return [
        ("CPU", f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores to use"),
        ("system", f"{_operating_system()}, kernel {platform.release()}, {platform.machine()}"),
        ("revision", revision()),
    ]


def describe(preset, contexts):
    """Pairs (what, text). contexts: the "context" objects of Google Benchmark's files."""
    from jobs.common import build  # a caller that asks only for the machine needs no build
    cache = build.cache(preset)
    build_type = cache.get("CMAKE_BUILD_TYPE", "")
    flags = " ".join(filter(None, (
        cache.get("CMAKE_CXX_FLAGS"), cache.get(f"CMAKE_CXX_FLAGS_{build_type.upper()}"))))
    reported = sorted({c["library_build_type"] for c in contexts if "library_build_type" in c})
    loads = [c["load_avg"][0] for c in contexts if c.get("load_avg")]
    rows = [
        ("CPU", f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores to use"),
        ("system", f"{_operating_system()}, kernel {platform.release()}, {platform.machine()}"),
        ("transparent huge pages", transparent_huge_pages()),
        ("compiler", first_line([cache.get("CMAKE_CXX_COMPILER", "c++"), "--version"])),
        ("flags", f"{flags} ({build_type})"),
        ("libraries", ", ".join(f"{label} {library_version(cache, name)}" for label, name in (
            ("simdjson", "simdjson"), ("Abseil", "absl"), ("Google Benchmark", "benchmark")))),
        ("benchmark library reports", f"build type {', '.join(reported) or 'unknown'}"),
        ("revision", revision()),
    ]
    if loads:
        rows.append(("load when the runs began", f"{min(loads):.1f} to {max(loads):.1f}"))
    return rows
