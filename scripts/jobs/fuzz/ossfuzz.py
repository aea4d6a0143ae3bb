# SPDX-License-Identifier: Apache-2.0
"""Does the work of OSS-Fuzz's builder and of its check for bad builds. Started by
scripts/ossfuzz-check."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jobs.common import build, processes
from jobs.common.sanitizers import sanitizer_wrapper
from jobs.common.terminal import Terminal, duration
from jobs.fuzz import ossfuzz_rules, targets

# The flags that OSS-Fuzz's builder image sets, as far as clang 14 knows them.
_COMMON = ("-O1 -fno-omit-frame-pointer -gline-tables-only "
           "-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION")
_UB = ("bool,array-bounds,float-divide-by-zero,function,integer-divide-by-zero,return,shift,"
       "signed-integer-overflow,vla-bound,vptr")
FLAGS = {
    "address": "-fsanitize=address -fsanitize-address-use-after-scope -fsanitize=fuzzer-no-link",
    "undefined": (f"-fsanitize={_UB},unsigned-integer-overflow -fno-sanitize-recover={_UB} "
                  "-fsanitize=fuzzer-no-link"),
    "memory": "-fsanitize=memory -fsanitize-memory-track-origins -fsanitize=fuzzer-no-link",
    "coverage": ("-fprofile-instr-generate -fcoverage-mapping -pthread -Wl,--no-as-needed "
                 "-Wl,-ldl -Wl,-lm -Wno-unused-command-line-argument"),
}
# MSan needs an instrumented standard library, which OSS-Fuzz's image has. Without one, MSan
# reports memory as uninitialised although the standard library has written it. So MSan runs only
# if it is asked for.
_BY_DEFAULT = ("address", "undefined", "coverage")
# Targets that fuzz/ossfuzz.sh leaves out if hiredis and Lua are not instrumented.
NEED_LIBRARIES = {"client_fault_fuzzer", "functions_model_fuzzer", "resp_reply_fuzzer"}


def _has_libcxx(clang):
    """Whether there is a libc++ that is new enough. The libc++ of clang 14 lacks parts of C++20."""
    source = ("#include <array>\n#include <string_view>\n"
              "int main() { return (std::string_view() <=> std::string_view()) < 0 ||\n"
              "             (std::array<int, 1>{} <=> std::array<int, 1>{}) < 0; }\n")
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [clang, "-std=c++20", "-stdlib=libc++", "-x", "c++", "-",
             "-o", f"{folder}/a"],
            input=source, text=True, capture_output=True, check=False).returncode == 0


def environment(base, sanitizer, clang, libcxx):
    """The environment of OSS-Fuzz's containers. Only the compiler, settings for ccache and the
    number of jobs come from this machine."""
    flags = f"{_COMMON} {FLAGS[sanitizer]}"
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(base / "home"),
           "SRC": str(base / "src"), "OUT": str(base / "out"), "WORK": str(base / "work"),
           "CC": clang.replace("clang++", "clang"), "CXX": clang, "CFLAGS": flags,
           "CXXFLAGS": flags + (" -stdlib=libc++" if libcxx else ""),
           # Unlike OSS-Fuzz's libFuzzer, Debian's needs libstdc++, whatever the targets use (clang
           # would take -lstdc++ for libc++).
           "LIB_FUZZING_ENGINE": "-fsanitize=fuzzer" + (" -Wl,-l:libstdc++.so.6" if libcxx else ""),
           "SANITIZER": sanitizer,
           "FUZZING_ENGINE": "libfuzzer", "FUZZING_LANGUAGE": "c++", "ARCHITECTURE": "x86_64"}
    for name in ("FFGRANT_BUILD_JOBS", "CCACHE_DIR"):
        if name in os.environ:
            env[name] = os.environ[name]
    if shutil.which("ccache"):
        env.setdefault("CCACHE_DIR", str(Path.home() / ".cache" / "ccache"))
        env["CMAKE_CXX_COMPILER_LAUNCHER"] = "ccache"
    return env


def play_builder(terminal, sanitizer, clang):
    """Builds as the compile command of OSS-Fuzz's image does; returns $OUT."""
    base = build.BUILD / "ossfuzz" / sanitizer
    for name in ("src", "out", "work", "home"):
        shutil.rmtree(base / name, ignore_errors=True)
        (base / name).mkdir(parents=True)
    # The copy has no build trees, like a fresh clone.
    shutil.copytree(build.ROOT, base / "src" / "ffgrant", symlinks=True,
                    ignore=_left_out)
    shutil.copy(build.ROOT / "fuzz" / "oss-fuzz" / "build.sh", base / "src" / "build.sh")
    env = environment(base, sanitizer, clang, _has_libcxx(clang))
    start = time.monotonic()
    status, output = processes.run(
        ["bash", "-eux", str(base / "src" / "build.sh")], cwd=base / "src" / "ffgrant", env=env,
        on_tick=lambda: terminal.progress(
            f"{sanitizer}: build, {duration(time.monotonic() - start)}"))
    if status != 0:
        terminal.line("\n".join(output.splitlines()[-40:]))
        raise build.BuildError(f"{sanitizer}: build.sh ended with status {status}")
    return base / "out"


def _left_out(folder, names):
    if Path(folder) == build.ROOT:
        return {name for name in names if name in ("build", ".git", ".cache")
                or build.ROOT / name == build.BUILD}
    return {name for name in names if name == "__pycache__"}


def judge(terminal, sanitizer, out, stand_ins, wrapper):
    """Prints a line for each target; returns how many targets are wrong."""
    results = ossfuzz_rules.check(out, sanitizer, wrapper, stand_ins)
    wanted = {target.name for target in targets.all_targets() if not target.is_canary}
    if sanitizer == "memory":  # the system's libraries are not instrumented
        wanted -= NEED_LIBRARIES
    for name in sorted(wanted - {checked.name for checked in results}):
        results.append(ossfuzz_rules.Checked(name, ["is not in $OUT"]))
    for checked in results:
        verdict = terminal.bad("BAD BUILD") if checked.problems else terminal.good("ok")
        calls = "  ".join(f"{checked.calls.get(name, 0):>6} {name}"
                          for name in ("asan", "msan", "ubsan"))
        terminal.line(f"{sanitizer:<10} {checked.name:<24} {calls}  {checked.edges:>5} edges  "
                      f"{checked.seeds:>4} seeds  {verdict}")
        for problem in checked.problems:
            terminal.line(f"  {problem}")
    return sum(1 for checked in results if checked.problems)


def main(arguments):
    clang = f"clang++-{arguments.clang}" if arguments.clang else build.clang()
    if not shutil.which(clang):
        print(f"scripts/ossfuzz-check: error: there is no {clang}", file=sys.stderr)
        return 2
    terminal = Terminal()
    processes.raise_on_signals()
    bad = 0
    for problem in ossfuzz_rules.check_project(build.ROOT / "fuzz" / "oss-fuzz"):
        terminal.line(f"fuzz/oss-fuzz: {terminal.bad('BAD PROJECT')}: {problem}")
        bad += 1
    try:
        wrapper = sanitizer_wrapper()
        with build.locked(terminal, "ossfuzz"):
            for sanitizer in arguments.sanitizer or _BY_DEFAULT:
                out = play_builder(terminal, sanitizer, clang)
                bad += judge(terminal, sanitizer, out, ["libc++"], wrapper)
    except processes.Interrupted as interrupted:
        terminal.line(f"ossfuzz-check: stopped by {interrupted}")
        return interrupted.exit_status
    except (build.BuildError, OSError) as error:
        terminal.line(f"ossfuzz-check: could not build: {error}")
        return 3
    terminal.line(f"{bad} bad builds" if bad else "no bad builds")
    return 1 if bad else 0
