# SPDX-License-Identifier: Apache-2.0
"""Lists and runs a program that uses Google Benchmark, of any version from 1.6 on.

The process is the unit of measurement: repetitions inside a process share the layout of its memory
and the state of the machine, so they are no independent evidence. A process gives one number for
each benchmark, the least time of its repetitions: a disturbance makes a repetition longer, so the
shortest repetition was disturbed least. Many short repetitions find a quiet moment where few long
repetitions do not: on a shared core, a repetition shorter than a slice of the scheduler may run
without another process' data in the caches. (Measured with 24 processes on two cores at a load
average of 15: the time of a walk over 256 KiB differs from process to process by 1.6 % with 5
repetitions of 10 ms, and by 0.4 % with 25 repetitions of 2 ms.)

Names reach the program as a regular expression, because no other way works in all versions. Regular
expressions have limits here: the library's std::regex refuses "\\]" and "\\}" and more than 100,000
states, an argument on Linux holds 128 KiB, and a filter that can't be compiled ends the program
with status 0.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from jobs.common import bounded
from jobs.perf import gbench_json
from jobs.perf.error import PerfError
from jobs.perf.gbench_json import Key

# The library takes flags from these variables too, but what this module asks for must not depend on
# the caller.
_FLAG_VARIABLES = re.compile(
    r"BENCHMARK_(?:LIST_TESTS|FILTER|MIN_TIME|MIN_WARMUP_TIME|REPETITIONS|DRY_RUN|"
    r"ENABLE_RANDOM_INTERLEAVING|REPORT_AGGREGATES_ONLY|DISPLAY_AGGREGATES_ONLY|FORMAT|OUT_FORMAT|"
    r"OUT|COLOR|COUNTERS_TABULAR|TIME_UNIT)")
_LONGEST_FILTER = 30_000  # bytes: less than a third of what libstdc++ and an argument take
_LONGEST_NAME = 6_000  # characters of a name that go into the filter
_SPECIAL = re.compile(r"([\\.\[({)*+?|^$])")
# This filter matches no benchmark. With this filter, a program that lists its benchmarks prints
# only what it prints besides names.
_NOTHING = "^no benchmark has this name, as ffgrant hopes$"
_LIST_SECONDS = 600
# A line of ldd: "	libx.so.1 => /usr/lib/libx.so.1 (0x00007f0000000000)".
_LIBRARY = re.compile(rb"^\s*(\S+) => (.*?)(?: \(0x[0-9a-f]+\))?$", re.MULTILINE)
# Lines in which the library describes the machine; they explain no failure.
BANNER = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d|Running |Run on \(|CPU Caches:|  L\d |Load Average:"
    r"|\*\*\*WARNING|-- LOG\(|-+$|Benchmark  +Time  +CPU")


@dataclass(frozen=True)
class Effort:
    """How much a process measures each benchmark."""
    repetitions: int = 20
    min_time: float = 0.002  # seconds a repetition

    @property
    def flags(self):
        # The flag has no suffix "s", because versions before 1.8 do not know it.
        return (f"--benchmark_repetitions={self.repetitions}",
                f"--benchmark_min_time={self.min_time:g}")


@dataclass(frozen=True)
class Listing:
    """The benchmarks that a program lists, in its order. doubt is empty if all other output of the
    program was recognised and left out. doubt is "lines" if some of that output may still be among
    the keys, and "all" if the program prints the same whatever it is asked for.
    """
    keys: tuple
    doubt: str = ""


@dataclass(frozen=True)
class Run:
    """What one process measured, as Key -> gbench_json.Reading, and how the process ended."""
    readings: dict
    context: dict
    ended: bounded.Ended
    whole: bool  # whether the JSON is complete
    data: bytes = b""


def round_name(phase, done):
    """The name of a round in the files of --raw: b07. phase: how often copies were made anew; done:
    how many rounds came before since then."""
    return f"{chr(ord('a') + phase % 26)}{done + 1:02}"


def numbered(names):
    """The Keys for names, in their order. Equal names get the numbers 1, 2, ..."""
    seen = {}
    keys = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        keys.append(Key(name, seen[name]))
    return tuple(keys)


def exactly(names):
    """A regular expression for Google Benchmark that matches only these names, except that a very
    long name stands for all that begin like it. "]" and "}" stand for themselves: outside of
    brackets every engine takes them literally, and some engines refuse a backslash before them.
    """
    return "^(" + "|".join(map(_pattern, names)) + ")$"


def _pattern(name):
    """A pattern for a name. For a very long name the pattern matches all names that begin like this
    name."""
    text = _SPECIAL.sub(r"\\\1", name[:_LONGEST_NAME])
    return text + ".*" if len(name) > _LONGEST_NAME else text


def _size(text):
    return len(text.encode("utf-8", "surrogateescape"))


def batches(names):
    """Splits the names into groups whose filters are short enough for every version."""
    groups, length = [], _LONGEST_FILTER
    for name in dict.fromkeys(names):
        size = _size(exactly([name]))
        if length + size > _LONGEST_FILTER or not groups:
            groups.append([])
            length = 0
        groups[-1].append(name)
        length += size
    return groups


def _names_between(text, noise):
    """Returns (the lines of `text` that are no part of `noise`, the doubt about them; see Listing).

    noise: what the program prints when it lists nothing. The program may print this noise before
    the names, after them, or both.
    """
    if not noise.strip():
        return text.split("\n"), ""
    if text == noise:
        return text.split("\n"), "all"
    common = len(os.path.commonprefix([text, noise]))
    splits = [at for at in range(common + 1) if at == 0 or noise[at - 1] == "\n"]
    for at in [*reversed(splits), common]:
        rest = noise[at:]
        if len(text) >= len(noise) and text.endswith(rest):
            return text[at:len(text) - len(rest)].split("\n"), ""
    left = noise.split("\n")
    kept = []
    for line in text.split("\n"):
        if line in left:
            left.remove(line)
        else:
            kept.append(line)
    return kept, "lines"


@dataclass(frozen=True)
class Program:
    """A benchmark program: its path, its arguments, and the variables that its environment gets
    beside the caller's."""
    path: Path
    arguments: tuple = ()
    environment: dict = field(default_factory=dict)
    directory: object = None  # working folder; None: the caller's
    called: str = ""  # the path as it is written in the command; empty: as in `path`

    @property
    def name(self):
        return self.path.name

    def whole_environment(self):
        """The environment of the program: the caller's without the library's flags, and then its
        own."""
        kept = {name: text for name, text in os.environ.items()
                if not _FLAG_VARIABLES.fullmatch(name)}
        return {**kept, **self.environment}

    def run(self, flags, limit, **options):
        """Runs the program with more flags; see jobs.common.bounded. Raises PerfError if it can't
        start."""
        try:
            return bounded.run([self.called or str(self.path), *self.arguments, *flags], limit,
                               env=self.whole_environment(), cwd=self.directory, **options)
        except (OSError, ValueError) as error:
            text = getattr(error, "strerror", None) or error
            raise PerfError(f"{self.path} can't be run: {text}") from None

    def libraries(self):
        """The shared libraries that the program loads when it starts: name -> path. The dictionary
        is empty if there are none, or if the system has no ldd."""
        def told_by(command):
            try:
                ended = bounded.run(command, _LIST_SECONDS, cwd=self.directory, env={
                    **self.whole_environment(), "LD_TRACE_LOADED_OBJECTS": "1"})
            except OSError:
                return {}
            return {found[1].decode("utf-8", "surrogateescape"): found[2]
                    for found in _LIBRARY.finditer(ended.stdout)}

        # ldd takes a link's folder for the program's, but only ldd knows whether the program would
        # list its libraries itself. One that would not runs: it is asked for something harmless.
        if not told_by(["ldd", str(self.path)]):
            return {}
        return told_by([str(self.path), "--benchmark_list_tests=true"])

    def _printed(self, filter_text, limit):
        ended = self.run(["--benchmark_list_tests=true", f"--benchmark_filter={filter_text}",
                          "--benchmark_format=console", "--benchmark_color=false"], limit)
        if ended.failed:
            raise PerfError(f"{self.path}, asked for its benchmarks, {ended.why()}:\n"
                            f"{ended.words(20, BANNER)}".rstrip(":\n"))
        if ended.is_cut:
            raise PerfError(f"{self.path}, asked for its benchmarks, prints without end")
        return ended

    def listing(self, filter_text="", limit=_LIST_SECONDS):
        """The Listing of the benchmarks that match the filter, a regular expression of Google
        Benchmark."""
        ended = self._printed(filter_text or ".", limit)
        text = ended.stdout.decode("utf-8", "surrogateescape")
        if not text.strip():
            if b"Could not compile benchmark re" in ended.tail:
                raise PerfError(f"--filter {filter_text!r} is no regular expression:\n"
                                f"{ended.words(3)}")
            return Listing(())
        noise = self._printed(_NOTHING, limit).stdout.decode("utf-8", "surrogateescape")
        lines, doubt = _names_between(text, noise)
        return Listing(numbered(line for line in lines if line), doubt)

    def still_listed(self, names, limit=_LIST_SECONDS):
        """The names that the program lists if it is asked for them, and does not print if it is
        asked for no benchmark."""
        def lines(pattern):
            text = self._printed(pattern, limit).stdout.decode("utf-8", "surrogateescape")
            return set(text.split("\n"))

        found = set().union(*(lines(exactly(group)) & set(group) for group in batches(names)))
        return found - lines(_NOTHING)

    def measure(self, names, effort, target, limit, *, stall=None, in_order=False,
                filter_text=None, **options):
        """Runs one process that measures these benchmarks. Returns a Run. The JSON goes to the file
        `target`.

        limit: seconds after which the process is ended; stall: seconds without another row after
        which it is ended. in_order: the process measures one benchmark after the other, so that the
        rows tell at which benchmark it died. options: those of bounded.run.
        """
        target.unlink(missing_ok=True)

        def size():
            try:
                return target.stat().st_size
            except OSError:
                return 0

        ended = self.run(
            [f"--benchmark_filter={filter_text or exactly(names)}", *effort.flags,
             f"--benchmark_enable_random_interleaving={'false' if in_order else 'true'}",
             "--benchmark_report_aggregates_only=false", "--benchmark_color=false",
             f"--benchmark_out={target}", "--benchmark_out_format=json"],
            limit, stall=stall, progress=size if stall else None, **options)
        try:
            data = target.read_bytes()
        except OSError:
            data = b""
        document = gbench_json.parse(data)
        return Run(gbench_json.readings(document), document.context, ended, document.whole, data)
