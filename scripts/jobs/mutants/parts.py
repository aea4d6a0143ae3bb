# SPDX-License-Identifier: Apache-2.0
"""Divides the sources into parts that are graded separately, and makes the parts' mutants."""

from pathlib import Path

from jobs.common import build
from jobs.coverage import job as coverage
from jobs.mutants import lua, sampling
from jobs.mutants.sampling import Mutant

_SOURCES = Path("core/ffgrant")
_FUNCTIONS = _SOURCES / "valkey" / "functions"
# Folders whose C++ talks to a server. All other C++ is the part "core".
_CLIENT = ("valkey/", "http/", "deployment/")
NAMES = {
    "core": f"core without what talks to a server ({', '.join(_CLIENT)}): --part client",
    "client": "the client of a Valkey server and of an HTTP server that issues grants, and the "
              f"worker of a deployment ({', '.join(_CLIENT)})",
    "functions": f"the Lua functions that a server runs ({_FUNCTIONS})",
}


def part_of(name: str) -> str:
    """Returns the part to which a source belongs. The source is named by its path below
    core/ffgrant."""
    if name.endswith(".lua"):
        return "functions"
    return "client" if name.startswith(_CLIENT) else "core"


def sources(part: str, root: Path = build.ROOT) -> dict[str, str]:
    """The texts of a part's sources, by their names below core/ffgrant."""
    paths = {**coverage.production_sources(root),
             **{str(path.relative_to(root / _SOURCES)): path
                for path in sorted((root / _FUNCTIONS).glob("*.lua"))}}
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items()
            if part_of(name) == part}


def mutants_of(name: str, text: str) -> list[Mutant]:
    """All mutants of a source."""
    make = lua.mutants_of if part_of(name) == "functions" else sampling.mutants_of
    return make(name, text)


def all_ids() -> set[str]:
    """The ids of the mutants of all parts."""
    return {mutant.id for part in NAMES for name, text in sources(part).items()
            for mutant in mutants_of(name, text)}
