# SPDX-License-Identifier: Apache-2.0
"""Chooses what gate and counts compare: two ready programs, several pairs of programs, two
revisions, or two commands that compile.

Two ready programs need nothing of this project's build: modules for revisions are imported only if
revisions are asked for.
"""

import os
from dataclasses import dataclass, field, replace

from jobs.perf import fingerprint, home, known as perf_known, metrics, process_pairs, samples
from jobs.perf.error import PerfError

# This pattern matches the benchmarks of the code that this project makes fast. The project's
# baselines do not match, since they are only there for comparison. Of the ledger's benchmarks,
# those of one thread on few executions match: setting up a million executions takes seconds before
# each repetition.
OURS = "_Core(/|$)|_Ledger[A-Za-z]*/live:1000/(clock:coarse/)?manual_time/threads:1$"


@dataclass(frozen=True)
class Chosen:
    """What is compared. suites is empty if both sides are the same files and nothing else differs,
    or if nothing but two commands that compile is compared. lacking: the programs that the base has
    and the head lacks."""
    suites: list
    base: str
    head: str
    filter: str
    compiler: str
    flags: str
    sources: tuple = (None, None)  # the folders from which names of sources start
    directory: object = None  # the folder for copies; None: the system's folder for temporary files
    lacking: tuple = ()
    remarks: tuple = ()  # what else a reader should know about the two sides
    known: perf_known.Known = field(default_factory=perf_known.Known)
    metrics: tuple = (metrics.TIME,)
    sections: tuple = ()  # sections of programs to measure; none: the whole file
    compile: object = None  # arm -> (line for sh, folder), for compile time
    same_files: bool = False  # whether both sides are the same files


def environment(texts):
    """Reads NAME=TEXT arguments: name -> text."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise PerfError(f"--env {text!r}: NAME=TEXT is needed")
        found[name] = value
    return found


def program_at(path, arguments, variables=()):
    """A user's program, with the arguments and environment from the command line."""
    where = path.absolute()
    if not where.exists():
        raise PerfError(f"{path}: no such program")
    if not where.is_file():
        raise PerfError(f"{path}: no file")
    if not os.access(where, os.X_OK):
        raise PerfError(f"{path}: not executable")
    directory = arguments.cwd.resolve() if arguments.cwd else None
    if directory and not directory.is_dir():
        raise PerfError(f"--cwd {arguments.cwd}: no such folder")
    return samples.Program(where, tuple(arguments.argument),
                           environment([*arguments.env, *variables]), directory)


def arms_of(base, head):
    """The base, a second copy of the base, and the head, in the order that decide.Decision
    takes."""
    return {"base": base, "copy": base, "head": head}


def _executables(folder):
    return {path.name: path for path in sorted(folder.iterdir())
            if path.is_file() and os.access(path, os.X_OK)}


def _pairs(bases, heads):
    """([(base path, head path)], the names of programs that head lacks, those that base lacks)."""
    pairs, lacking, added = [], [], []
    for base, head in zip(bases, heads):
        if base.is_dir() != head.is_dir():
            raise PerfError(f"{base} and {head}: two programs are needed, or two folders")
        if not base.is_dir():
            pairs.append((base, head))
            continue
        old, new = _executables(base), _executables(head)
        pairs += [(path, new[name]) for name, path in old.items() if name in new]
        lacking += [name for name in old if name not in new]
        added += [name for name in new if name not in old]
        if not old:
            raise PerfError(f"{base}: no programs in this folder")
    return pairs, lacking, added


def _added(names):
    return [f"only the head has the program {name}, so it is not compared" for name in names]


def _compilers(suites):
    """(the compilers of the heads' programs, a remark on each suite whose two programs were made by
    different compilers)."""
    heads, remarks = set(), []
    for suite in suites:
        base, head = (fingerprint.compiler_of(suite.arms[arm].path) for arm in ("base", "head"))
        heads.add(head)
        if base != head:
            remarks.append(f"{suite.name}: compiled by {base} in the base and by {head} in the "
                           "head")
    return ", ".join(sorted(heads)), remarks


def _suite_names(paths):
    """A name for each program: the file's name, with as many folders before it as are needed to
    tell the programs apart, or with a number if six folders are not enough."""
    depth = 1
    while depth < 8:
        names = ["/".join(path.absolute().parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
        depth += 1
    return [f"{path.name}-{number}" for number, path in enumerate(paths, 1)]


def _programs(arguments):
    pairs, lacking, added = _pairs(arguments.base_bin, arguments.head_bin)
    if not pairs:
        raise PerfError("the folders have no program in common")
    suites = []
    for name, (base, head) in zip(_suite_names([head for _, head in pairs]), pairs):
        suites.append(process_pairs.Suite(name, arms_of(
            program_at(base, arguments, arguments.base_env),
            program_at(head, arguments, arguments.head_env))))
    compiler, remarks = _compilers(suites)
    return Chosen(suites, ", ".join(map(str, arguments.base_bin)),
                  ", ".join(map(str, arguments.head_bin)), arguments.filter or "",
                  compiler, "unknown", lacking=tuple(lacking),
                  remarks=(*_added(added), *remarks), known=_known(arguments))


def _known(arguments):
    return perf_known.read(arguments.known) if arguments.known else perf_known.Known()


def _suites_of(folders, arguments):
    """Returns (suites of the benchmark programs that both base's and head's folders have, the names
    of programs that the head lacks, those that the base lacks)."""
    from jobs.perf import revisions
    found = [revisions.suites(folder) for folder in folders]
    suites = []
    for name in found[0].keys() & found[1].keys():
        variables = process_pairs.environment_of([paths[name] for paths in found])
        programs = [samples.Program(
            paths[name], tuple(arguments.argument),
            {**variables, **environment([*arguments.env, *more])}, arguments.cwd)
            for paths, more in zip(found, (arguments.base_env, arguments.head_env))]
        suites.append(process_pairs.Suite(name, arms_of(*programs)))
    if not suites:
        raise PerfError("the revisions have no benchmark program in common")
    return (sorted(suites, key=lambda suite: suite.name),
            tuple(sorted(found[0].keys() - found[1].keys())),
            sorted(found[1].keys() - found[0].keys()))


def _sides_differ(arguments):
    """Whether base and head are run or compiled differently, so that there is something to compare
    even if both are the same revision."""
    lines = _lines(arguments)
    return arguments.base_env != arguments.head_env or bool(lines and lines[0] != lines[1])


def _revisions(terminal, arguments):
    from jobs.perf import baseline, revisions
    if arguments.baseline:
        base = baseline.opened(terminal, arguments.baseline)
    else:
        base = (revisions.resolve(arguments.base) if arguments.base
                else revisions.default_base(arguments.head or "HEAD"))
    head = (revisions.resolve(arguments.head) if arguments.head else revisions.working_tree())
    filter_text = OURS if arguments.filter is None else arguments.filter
    if base.content == head.content and not _sides_differ(arguments):
        return Chosen([], base.label, head.label, filter_text, "", "", same_files=True)
    folders = [revisions.directory_of(terminal, revision) for revision in (base, head)]
    suites, lacking, added = _suites_of(folders, arguments)
    sources = tuple(map(revisions.source_of, folders))
    return Chosen(suites, base.label, head.label, filter_text,
                  fingerprint.compiler_version(revisions.COMPILER), revisions.FLAGS,
                  sources, revisions.PERF / "run", lacking, tuple(_added(added)), _known(arguments),
                  compile=_compiling(arguments, *sources))


def _built(terminal, arguments):
    """The revisions of any repository, built by the command that the user gives."""
    from jobs.perf import builds
    recipe = builds.Recipe(arguments.build, tuple(arguments.program))
    top = builds.top_folder()
    (base_commit, base_label), (head_commit, head_label) = (
        builds.base_named(arguments.base, top, arguments.head or "HEAD"),
        builds.commit_named(arguments.head, top))
    if builds.same_files(base_commit, head_commit, top) and not _sides_differ(arguments):
        return Chosen([], base_label, head_label, arguments.filter or "", "", "", same_files=True)
    base = builds.build(terminal, base_commit, base_label, recipe, top)
    head = builds.build(terminal, head_commit, head_label, recipe, top)
    arguments.base_bin, arguments.head_bin = list(base.programs), list(head.programs)
    return replace(_programs(arguments), base=base.label, head=head.label,
                   compile=_compiling(arguments, base.folder, head.folder))


def _lines(arguments):
    """The lines for sh that compile base and head; None if they are not given."""
    base, head = (getattr(arguments, f"{side}_compile", None) or getattr(arguments, "compile", None)
                  for side in ("base", "head"))
    return (base, head) if base and head else None


def _compiling(arguments, base_folder, head_folder):
    """The commands for compiling.Compiling, in the folders of two revisions; None if no command is
    given."""
    lines = _lines(arguments)
    if not lines:
        return None
    for folder in (base_folder, head_folder):
        if not folder.is_dir():  # a build that scripts/perf baseline kept
            raise PerfError("--baseline keeps no sources to compile, and git does not know its "
                            "commit: --base is needed")
    from jobs.perf import compiling
    return compiling.commands(lines[0], lines[1], base_folder, head_folder)


def _compiling_here(chosen, arguments, parser):
    """The commands for compiling.Compiling if no revision has a folder of its own; None if there is
    nothing to compile or both sides are the same files."""
    lines = _lines(arguments)
    if not lines:
        return None
    if lines[0] == lines[1]:
        if chosen.same_files:
            return None
        parser.error("--compile would compare a command with itself: --base-compile and "
                     "--head-compile are needed, or revisions")
    from jobs.perf import compiling
    return compiling.commands(lines[0], lines[1], arguments.cwd, arguments.cwd)


def _names_sides(arguments):
    """Whether the arguments say what base and head are, other than by the commands that compile
    them."""
    return bool(arguments.programs or arguments.base_bin or arguments.head_bin or arguments.build
                or arguments.program or arguments.base or arguments.head or arguments.baseline)


def choose(terminal, arguments, parser):
    """Builds or finds what the arguments of gate and counts ask for, and says what a reader should
    know about it."""
    chosen = _chosen(terminal, arguments, parser)
    for remark in chosen.remarks:
        terminal.line(remark)
    return chosen


def _chosen(terminal, arguments, parser):
    if getattr(arguments, "metric", None) is None:  # counts has one metric of its own
        return _choose(terminal, arguments, parser)
    wanted = tuple(dict.fromkeys(metrics.ARGUMENTS[name] for name in arguments.metric)) \
        or (metrics.TIME,)
    lines = _lines(arguments)
    if (metrics.COMPILE in wanted) != bool(lines):
        parser.error("--metric compile and --compile (or --base-compile and --head-compile) go "
                     "together")
    if arguments.section and metrics.SIZE not in wanted:
        parser.error("--section goes with --metric size")
    if wanted == (metrics.COMPILE,) and not _names_sides(arguments) and (
            lines[0] != lines[1] or not home.IN_TREE):
        if arguments.filter:
            parser.error("--filter chooses benchmarks, and none are compared")
        chosen = Chosen([], "base", "head", "", "unknown", "unknown", known=_known(arguments))
    else:
        chosen = _choose(terminal, arguments, parser)
    return replace(chosen, metrics=wanted, sections=tuple(arguments.section),
                   compile=chosen.compile or _compiling_here(chosen, arguments, parser))


def _choose(terminal, arguments, parser):
    if len(arguments.programs) not in (0, 2):
        parser.error("two programs are needed: base and head")
    if arguments.programs:
        arguments.base_bin, arguments.head_bin = (
            [arguments.programs[0], *arguments.base_bin],
            [arguments.programs[1], *arguments.head_bin])
    with_programs = bool(arguments.base_bin or arguments.head_bin)
    if bool(arguments.build) != bool(arguments.program):
        parser.error("--build and --program go together")
    if arguments.build and (with_programs or arguments.baseline):
        parser.error("--build makes the programs of revisions: name no others")
    if arguments.build:
        return _built(terminal, arguments)
    if not with_programs and not home.IN_TREE:
        parser.error("two programs are needed: base and head; or revisions with --build and "
                     "--program")
    if with_programs and (arguments.base or arguments.head or arguments.baseline):
        parser.error("--base and --head are revisions, --base-bin and --head-bin programs: either")
    if len(arguments.base_bin) != len(arguments.head_bin):
        parser.error("--base-bin and --head-bin go together: as many of the one as of the other")
    if arguments.base and arguments.baseline:
        parser.error("--baseline stands in place of --base")
    return _programs(arguments) if with_programs else _revisions(terminal, arguments)
