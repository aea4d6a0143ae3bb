# SPDX-License-Identifier: Apache-2.0
"""Finds the fuzz targets that fit a mutant: those that execute the mutant's place. To find these
targets, each target is compiled from the unchanged sources with source-based coverage, and runs
from an empty corpus.
"""

import json

from jobs.coverage import export
from jobs.mutants import trees
from jobs.mutants.trees import REACH, TreeError

_TOOLS = "-19"
MOST = 4  # the most targets that a mutant is given of those that execute its line


def _export(children, tree, binary, profile):
    merged = profile.with_suffix(".profdata")
    output = tree.directory / "export.json"
    for command in (
            [f"llvm-profdata{_TOOLS}", "merge", "-sparse", str(profile), "-o", str(merged)],
            ["sh", "-c", 'exec "$@" 2>/dev/null', "sh", f"llvm-cov{_TOOLS}", "export",
             f"-instr-profile={merged}", str(binary)]):
        status, _, _ = children.run(command, cwd=tree.directory, output=output)
        if status != 0:
            raise TreeError(f"{command[0]} failed with status {status}")
    return json.loads(output.read_text(encoding="utf-8", errors="replace"))


def _measure(children, tree, target, seconds):
    """file -> line -> whether a target executes the line. A file that the target includes, but
    whose code it does not hold, has no lines."""
    tree.build_original(REACH, [target.name])
    profile = tree.directory / f"{target.name}.profraw"
    profile.unlink(missing_ok=True)
    run = tree.fuzzing(REACH).run_to_its_end(
        target, 1, seconds, {"LLVM_PROFILE_FILE": str(profile)})
    if run.killed or not profile.exists():
        raise TreeError(f"{target.name} fails on the unchanged sources: {run.how} {run.note}")
    prefix = str(tree.source / "core" / "ffgrant") + "/"
    document = _export(children, tree, tree.build_directory(REACH) / "fuzz" / target.name, profile)
    names = {entry["filename"]: entry["filename"][len(prefix):]
             for data in document["data"] for entry in data["files"]
             if entry["filename"].startswith(prefix)}
    reached = {name: {line: count > 0 for line, count in file.lines.items()}
               for name, file in export.read_export(document, names).items()}
    if not any(any(lines.values()) for lines in reached.values()):
        raise TreeError(f"{target.name} executes nothing of core")
    for path in tree.read_by(REACH, target.name):
        if path.startswith(prefix):
            reached.setdefault(path[len(prefix):], {})
    return reached


def load_or_measure(children, tree, targets, seconds, states, say):
    """The Reach of targets. What a target reaches is kept as long as the target's state stays the
    same."""
    path = trees.ROOT / "reach.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    reached = {}
    for target in targets:
        state = f"{states[target.name]} {seconds} files"
        entry = kept.get(target.name, {})
        if entry.get("state") != state:
            say(f"reach: {target.name}, {seconds} s")
            tree.configure(REACH)
            kept[target.name] = entry = {
                "state": state, "files": _measure(children, tree, target, seconds)}
            path.write_text(json.dumps(kept), encoding="utf-8")
        reached[target.name] = {
            file: {int(line): hit for line, hit in lines.items()}
            for file, lines in entry["files"].items()}
    return Reach(reached)


def _is_evaluated_early(head):
    return any(word in head for word in ("constexpr", "consteval", "constinit"))


def _executed(lines, first, last):
    return any(lines.get(line, False) for line in range(first, last + 1))


class Reach:
    """Knows which lines each target executes (target name -> file -> line -> whether it was
    executed), and therefore which targets fit a mutant."""

    def __init__(self, reached):
        self._reached = reached
        self._total = {name: sum(sum(lines.values()) for lines in files.values())
                       for name, files in reached.items()}

    def fitting(self, mutant, original):
        """Names of the targets that fit. The targets that execute the fewest lines in all come
        first, since they know the place best. A target fits if it executes the mutant's line. Of
        these targets at most MOST are taken, which can only make the grade worse. If the line is
        no code (or the compiler may evaluate it), a target fits if it executes anything in the same
        file. If no target executes anything there, a target fits if it has the file's code. If no
        target has any, a target fits if it includes the file. If none includes it, the first MOST
        of all targets are taken.
        """
        by_size = sorted(self._reached, key=lambda name: (self._total[name], name))
        here = {name: files.get(mutant.file, {}) for name, files in self._reached.items()}
        names = [name for name in by_size if _executed(here[name], mutant.line, mutant.line)]
        if names:
            return names[:MOST]
        known = any(mutant.line in lines for lines in here.values())
        head = original.splitlines()[mutant.lines[0] - 1:mutant.line]
        # The head of a template or function may take several lines.
        if known and not _is_evaluated_early(" ".join(head[:3])):
            return []
        return ([name for name in by_size if any(here[name].values())]
                or [name for name in by_size if here[name]]
                or [name for name in by_size if mutant.file in self._reached[name]]
                or by_size[:MOST])
