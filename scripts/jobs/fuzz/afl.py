# SPDX-License-Identifier: Apache-2.0
"""Makes AFL++'s command line and environment, and reads its statistics."""

import os
import re

# AFL++ can't use the mutator that is part of a target. So the canary's seed is close to the
# input on which the canary fails, and AFL++'s deterministic stages (-D) change this seed in every
# place.
_CANARY_SEED = b"{fp:65535}"


def environment():
    """The environment for a container, in which nobody may set up the kernel as AFL++ would like
    it."""
    env = dict(os.environ)
    env.update({
        "AFL_SKIP_CPUFREQ": "1",
        "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",  # core_pattern may be a pipe
        "AFL_NO_AFFINITY": "1",
        "AFL_NO_UI": "1",
        "AFL_AUTORESUME": "0",
        "AFL_FORKSRV_INIT_TMOUT": "30000",
    })
    return env


def command(binary, target, seeds, out, seconds, seed=0, extra=()):
    size = target.options().get("max_len")
    return ["afl-fuzz", "-i", str(seeds), "-o", str(out), "-V", str(max(1, round(seconds))),
            *(["-s", str(seed)] if seed else []), *(["-G", size] if size else []),
            *(["-x", str(target.dictionary)] if target.dictionary.exists() else []),
            *(["-D"] if target.is_canary else []), "-t", "1000", *extra, "--", str(binary)]


def prepare_seeds(target, directory):
    """Copies the seeds into one flat folder. AFL++ wants at least one seed, and none that is
    empty."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.iterdir():
        path.unlink()
    count = 0
    for path in target.seeds():
        data = path.read_bytes()
        if data:
            (directory / f"{count:04d}-{path.name}").write_bytes(data)
            count += 1
    if not count:
        (directory / "seed").write_bytes(_CANARY_SEED if target.is_canary else b"0")


def read_stats(text):
    """Reads fuzzer_stats: name -> value, with numbers as numbers."""
    stats = {}
    for name, value in re.findall(r"^(\w+)\s*: (.*)$", text, re.MULTILINE):
        try:
            stats[name] = float(value.rstrip("%"))
        except ValueError:
            stats[name] = value
    return stats


def stats(out):
    try:
        return read_stats((out / "default" / "fuzzer_stats").read_text(encoding="utf-8"))
    except OSError:
        return {}


def inputs(out, kind):
    """The files in which AFL++ has kept inputs of a kind: crashes, hangs or queue."""
    return sorted((out / "default" / kind).glob("id*"))
