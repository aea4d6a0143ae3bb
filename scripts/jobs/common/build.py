# SPDX-License-Identifier: Apache-2.0
"""Configures and builds through the presets of CMakePresets.json, and shows the progress."""

import contextlib
import fcntl
import functools
import json
import os
import re
import shutil
import subprocess
import time

from jobs.common import processes
from jobs.common.places import BUILD, ROOT, shown as shown
from jobs.common.terminal import duration

_NINJA_STEP = re.compile(r"\[(\d+)/(\d+)\]")


class BuildError(Exception):
    """A command of the build failed, and its output has been printed; or clang() found no clang."""


def build_directory(preset):
    return BUILD / preset


def results_directory():
    """Where results go: results/, or beside the builds if the checkout is read-only."""
    results = ROOT / "results"
    return results if os.access(results, os.W_OK) else BUILD / "results"


def environment():
    """This process's environment, with settings for ccache if there is one."""
    env = dict(os.environ)
    if shutil.which("ccache"):
        env.setdefault("CMAKE_CXX_COMPILER_LAUNCHER", "ccache")
        env.setdefault("CCACHE_SLOPPINESS", "pch_defines,time_macros")  # for precompiled headers
    return env


@functools.cache
def clang():
    """Returns the clang++ that scripts/bootstrap --clang names, which the clang presets use too."""
    done = subprocess.run([ROOT / "scripts" / "bootstrap", "--clang"], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise BuildError(done.stderr.strip())
    return done.stdout.strip()


def run_step(terminal, label, command, cwd=ROOT, on_line=None):
    """Runs one command of a build and returns its output; raises BuildError if it fails."""
    start = time.monotonic()
    progress = [label]

    def line(text):
        step = _NINJA_STEP.match(text)
        if step:
            progress[0] = f"{label}: {step[1]} of {step[2]}"
        if on_line:
            on_line(text)

    def tick():
        terminal.progress(f"{progress[0]}, {duration(time.monotonic() - start)}")

    tick()
    status, output = processes.run(
        command, cwd=cwd, env=environment(), on_line=line, on_tick=tick)
    if status != 0:
        terminal.line(terminal.bad(f"{label} failed ({status}): {' '.join(map(str, command))}"))
        terminal.line(_important(output))
        raise BuildError(label)
    return output


def _important(output):
    """The part of a failing build's output that a reader needs: from the first failure on, without
    the steps that went well."""
    lines = output.rstrip().splitlines()
    first = next((i for i, text in enumerate(lines)
                  if text.startswith(("FAILED", "CMake Error"))), 0)
    kept = [text for text in lines[first:] if not _NINJA_STEP.match(text)]
    if len(kept) > 80:
        kept = kept[:60] + [f"... {len(kept) - 70} lines left out ..."] + kept[-10:]
    return "\n".join(kept)


@contextlib.contextmanager
def locked(terminal, name):
    """Locks BUILD/NAME against other processes, and waits for a process that holds the lock. Must
    not be nested for one name."""
    path = BUILD / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii") as lock:
        start = time.monotonic()
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                terminal.progress(f"{name}: in use by another run, waiting for "
                                  f"{duration(time.monotonic() - start)}")
                time.sleep(0.2)
        yield


def is_clang_preset(name):
    """Whether a preset uses the clang that clang() names. All presets with a toolchain file use
    this clang."""
    document = json.loads((ROOT / "CMakePresets.json").read_text(encoding="utf-8"))
    presets = {preset["name"]: preset for preset in document["configurePresets"]}
    while name in presets:
        if "toolchainFile" in presets[name]:
            return True
        name = presets[name].get("inherits")
    return False


def _has_other_compiler(preset):
    """Whether the build directory of a clang preset was configured with another clang."""
    try:
        compiler = cache(preset).get("CMAKE_CXX_COMPILER")
    except OSError:
        return False
    return is_clang_preset(preset) and compiler != shutil.which(clang())


def configure(terminal, preset, wrapper=()):
    # Without --fresh, CMake would notice that the compiler is another one, but would then forget
    # the preset's flags.
    with locked(terminal, preset):
        fresh = ["--fresh"] if _has_other_compiler(preset) else []
        return run_step(terminal, f"{preset}: configure",
                        [*wrapper, "cmake", "--preset", preset, "-B",
                         str(build_directory(preset)), *fresh])


def build(terminal, preset, targets=(), wrapper=()):
    command = [*wrapper, "cmake", "--build", str(build_directory(preset))]
    if targets:
        command += ["--target", *targets]
    with locked(terminal, preset):
        return run_step(terminal, f"{preset}: build", command)


def cache(preset):
    """The variables of a configured build directory: name -> value."""
    text = (build_directory(preset) / "CMakeCache.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Za-z]\w*):\w+=(.*)$", text, re.MULTILINE))
