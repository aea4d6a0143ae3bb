# SPDX-License-Identifier: Apache-2.0
"""Lists the situations of the outside corpus. Each situation says what base and head are, and which
verdict is right."""

from dataclasses import dataclass, field

CLEAN, REGRESSION, ERROR, INCONCLUSIVE, SUSPICION = range(5)


@dataclass(frozen=True)
class Situation:
    """kind: the kind of base and head, as odd.cc names it; head: the head's kind if it is another.
    ns: the times that base and head claim to take. says: texts that the JSON has to hold. names:
    benchmarks that have to be measured; left_out: benchmarks that have to be named without a
    figure."""
    what: str
    status: object  # an exit status, or a tuple of the right ones
    kind: str = "plain"
    head: str = ""
    ns: tuple = (10000, 10000)
    lane: str = "gate"
    options: tuple = ()
    says: tuple = ()
    names: tuple | None = None
    left_out: tuple | None = None
    short: bool = True  # whether the situation is part of the default run too
    environment: dict = field(default_factory=dict)  # the variables that the caller has set


def _m(*names):
    return tuple(f"{name}/manual_time" for name in names)


_SLOWER = (10000, 13000)
# The right verdicts where times are measured and not set by hand: the machine may be too busy to
# tell.
_QUIET = (CLEAN, INCONCLUSIVE)

TIMES = (
    Situation("equal programs", CLEAN, names=_m("BM_a", "BM_b/8"), left_out=()),
    Situation("30 % slower", REGRESSION, ns=_SLOWER),
    Situation("5 % slower", REGRESSION, ns=(10000, 10500)),
    Situation("faster", CLEAN, ns=(10000, 7000), says=("improved",)),
    Situation("1 % slower is within the margin", CLEAN, ns=(10000, 10100)),
    Situation("one of two is slower", REGRESSION, "one slow", ns=_SLOWER,
              says=("slower: BM_a/manual_time +30.0%.",)),
    Situation("the most slowed down comes first", REGRESSION, "order", ns=(10000, 11000)),
    Situation("another unit of time", CLEAN, "one", "milliseconds"),
    Situation("a slowdown among hopeless noise", REGRESSION, "noisy", ns=_SLOWER,
              options=("--budget", "40"), says=("BM_slow/manual_time",)),
    Situation("hopeless noise alone is inconclusive", INCONCLUSIVE, "only noise",
              options=("--budget", "10")),
    Situation("threads", CLEAN, "threads", names=("BM_a/manual_time/threads:2",
                                                  "BM_b/manual_time")),
    Situation("a fixed number of iterations", CLEAN, "fixed"),
    Situation("a least time in the code", CLEAN, "min time"),
    Situation("the optimiser removed what the head measures", ERROR, "real", "empty loop",
              says=("the head measures nothing any more: BM_work",)),
    Situation("the optimiser removed both", _QUIET, "empty loop",
              says=('"measures_nothing": ["base", "head"]',)),
)

NAMES = (
    Situation("a name twice, both as fast", CLEAN, "twice"),
    Situation("a name twice, the second slower", REGRESSION, "twice", ns=_SLOWER,
              says=("BM_a/8/manual_time #2 +30.0%",)),
    Situation("brackets and braces", CLEAN, "brackets",
              names=_m("BM_fill<int[16]>", "BM_x{1}", "BM_]", "BM_}", "BM_[a-z]", "BM_a]b}c",
                       "[]")),
    Situation("every sign that there is", CLEAN, "signs", left_out=()),
    Situation("every sign, slower", REGRESSION, "signs", ns=_SLOWER),
    Situation("letters beyond ASCII", CLEAN, "utf8", names=_m("BM_größe", "BM_日本語", "BM_🚀/8")),
    Situation("bytes that are no UTF-8", CLEAN, "bytes", names=_m("BM_\\xff\\xfe", "BM_\\xc3")),
    Situation("control characters", CLEAN, "control", left_out=()),
    Situation("a name of two lines", CLEAN, "newline", names=_m("BM_one\\nBM_two", "BM_a")),
    Situation("names like flags", CLEAN, "dash", left_out=()),
    Situation("names of 9,000 and 70,000 letters", CLEAN, "long", left_out=()),
    Situation("long names, slower", REGRESSION, "long", ns=_SLOWER),
    Situation("names that begin other names", CLEAN, "prefixes",
              names=_m("a", "ab", "abc", "all", ".")),
    Situation("a space at the end", _QUIET, "space", names=("BM_space ",)),
    Situation("500 benchmarks", CLEAN, "many", options=("--budget", "60"), left_out=(),
              environment={"ODD_COUNT": "500"}),
    Situation("2,500 benchmarks and no time for them", (INCONCLUSIVE, CLEAN), "many",
              options=("--budget", "6"), short=False),
    Situation("2,500 benchmarks", CLEAN, "many", options=("--budget", "400"), short=False),
    Situation("2,500 benchmarks, slower", REGRESSION, "many", ns=_SLOWER,
              options=("--budget", "400"), short=False),
)

LISTING = tuple(
    Situation(f"a program that prints: {kind}", CLEAN, kind, names=_m("BM_a", "BM_b/8"),
              left_out=())
    for kind in ("log", "log stderr", "log json", "log changes", "log unfinished", "log after",
                 "much output")) + (
    Situation("prints, and is slower", REGRESSION, "log", ns=_SLOWER),
    Situation("an empty suite", ERROR, "none"),
    Situation("an empty suite that prints", ERROR, "none but prints", says=("no benchmark",)),
    Situation("a filter that matches nothing", ERROR, options=("--filter", "BM_nothing"),
              says=("no benchmark matches",)),
    Situation("a filter that is no pattern", ERROR, options=("--filter", "BM_[("),
              says=("no regular expression",)),
    Situation("a filter", CLEAN, options=("--filter", "b/8"), names=_m("BM_b/8"), left_out=()),
    Situation("a filter that says which not", CLEAN, options=("--filter=-b/8",),
              names=_m("BM_a"), left_out=()),
    Situation("a program that ignores the filter", CLEAN, "ignores filter",
              names=_m("BM_a", "BM_b/8")),
    Situation("ignores the filter, and is slower", REGRESSION, "ignores filter", ns=_SLOWER),
    Situation("a benchmark more", CLEAN, "plain", "three", left_out=_m("BM_c")),
    Situation("a benchmark less", ERROR, "plain", "one", left_out=_m("BM_b/8")),
    Situation("a new name", ERROR, "plain", "renamed", left_out=_m("BM_b/8", "BM_renamed")),
    Situation("nothing in common", ERROR, "one", "prefixes"),
    Situation("the caller's own flags in the environment", CLEAN, names=_m("BM_a", "BM_b/8"),
              environment={"BENCHMARK_FILTER": "nothing", "BENCHMARK_REPORT_AGGREGATES_ONLY": "1",
                           "BENCHMARK_FORMAT": "json", "BENCHMARK_OUT": "/dev/full",
                           "BENCHMARK_LIST_TESTS": "1"}),
)

OUTCOMES = (
    Situation("an error in both", CLEAN, "error", left_out=_m("BM_fails"),
              says=("failed: no \\\"memory\\\" <today>",)),
    Situation("an error in the head", ERROR, "good for error", "error", left_out=_m("BM_fails"),
              names=_m("BM_a")),
    Situation("an error in the base", CLEAN, "error", "good for error",
              left_out=_m("BM_fails")),
    Situation("an error beside a slowdown", REGRESSION, "error", ns=_SLOWER),
    Situation("an error in the loop", CLEAN, "late error", left_out=_m("BM_fails")),
    Situation("nothing but errors", ERROR, "all errors"),
    Situation("aggregates only", CLEAN, "aggregates",
              names=("BM_a/repeats:5/manual_time", "BM_b/manual_time")),
    Situation("aggregates only, slower", REGRESSION, "aggregates", ns=_SLOWER),
    Situation("aggregates only on the display", CLEAN, "display aggregates"),
    Situation("repetitions in the code", CLEAN, "repetitions"),
    Situation("complexity", CLEAN, "complexity", left_out=()),
    Situation("complexity, slower", REGRESSION, "complexity", ns=_SLOWER),
    Situation("statistics of its own", CLEAN, "statistics"),
    Situation("a time of zero", CLEAN, "zero", left_out=("BM_zero/iterations:10/manual_time",),
              says=("its time is 0",)),
    Situation("a time of zero in the head", ERROR, "good for zero", "zero"),
    Situation("a time that is no number", CLEAN, "nan", says=("no finite number",)),
    Situation("an infinite time", CLEAN, "infinite", says=("no finite number",)),
    Situation("a negative time", CLEAN, "negative", says=("is negative",)),
    Situation("counters with the names of fields", CLEAN, "counters", names=_m("BM_a")),
    Situation("counters, slower", REGRESSION, "counters", ns=_SLOWER),
)

PROCESSES = (
    Situation("a crash in the head", ERROR, "good for bad", "crash",
              names=_m("BM_a", "BM_z"), left_out=_m("BM_bad"), says=("ended by SIGSEGV",)),
    Situation("a crash in the base", CLEAN, "crash", "good for bad", left_out=_m("BM_bad")),
    Situation("a crash in both", ERROR, "crash", names=_m("BM_a", "BM_z")),
    Situation("a crash beside a slowdown", REGRESSION, "good for bad", "crash", ns=_SLOWER),
    Situation("an exception", ERROR, "good for throws", "throws", left_out=_m("BM_throws"),
              says=("ended by SIGABRT",)),
    Situation("an end amid the run with status 0", ERROR, "good for bad", "exits",
              left_out=_m("BM_bad"), says=("ended early with status 0",)),
    Situation("a benchmark that hangs and ignores SIGTERM", ERROR, "good for bad", "hang",
              options=("--budget", "25"), names=_m("BM_a", "BM_z"), left_out=_m("BM_bad"),
              says=("hung",)),
    Situation("a benchmark of seconds is slow and does not hang", INCONCLUSIVE, "slow",
              options=("--budget", "60", "--repetitions", "20"), names=_m("BM_a"),
              left_out=_m("BM_bad"), says=("--repetitions 1",), short=False),
    Situation("hangs in both", ERROR, "hang", options=("--budget", "40"), short=False,
              left_out=_m("BM_bad")),
    Situation("a listing that hangs", ERROR, "list hang", options=("--budget", "2")),
    Situation("an end before anything", ERROR, "silent"),
    Situation("a head that ends before anything", ERROR, "plain", "silent"),
    Situation("a failure at the end", ERROR, "plain", "fails at the end",
              says=("ended with status 3",)),
    Situation("a program that writes no JSON", ERROR, "plain", "no json",
              says=("wrote no JSON",)),
    Situation("a crash now and then", ERROR, "flaky", says=("SIGABRT",),
              options=("--budget", "30")),
    Situation("a child that holds the output", CLEAN, "child", options=("--budget", "60"),
              names=_m("BM_a", "BM_b/8")),
    Situation("a daemon", CLEAN, "daemon", options=("--budget", "60")),
    Situation("reads its input", CLEAN, "stdin"),
    Situation("changes its folder", CLEAN, "chdir"),
    Situation("closes its output", (CLEAN, ERROR), "closed"),
    Situation("needs a file beside itself", CLEAN, "beside"),
    Situation("starts slowly", CLEAN, "slow start", short=False,
              options=("--budget", "120")),
    Situation("starts again without randomisation", _QUIET, "again"),
    Situation("needs an argument, and has it", CLEAN, "own flag",
              options=("--argument=--own=1",)),
    Situation("needs an argument", ERROR, "own flag", says=("--own=1 is needed",)),
    Situation("needs a variable, and has it", CLEAN, "needs variable",
              options=("--env", "ODD_DATA=1")),
    Situation("needs a variable", ERROR, "needs variable", says=("ODD_DATA is not set",)),
    Situation("needs a folder", ERROR, "needs folder", says=("no file odd-data",)),
)

COUNTS = (
    Situation("counts: equal", CLEAN, "real", lane="counts", names=("BM_work",)),
    Situation("counts: more", REGRESSION, "real", lane="counts", ns=(10000, 10400),
              says=("more instructions: BM_work",)),
    Situation("counts: starts again without randomisation", CLEAN, "again", lane="counts",
              names=("BM_work",)),
    Situation("counts: starts again, more", REGRESSION, "again", lane="counts",
              ns=(10000, 10400)),
    Situation("counts: an error in the head", ERROR, "good for error", "error", lane="counts",
              left_out=_m("BM_fails")),
    Situation("counts: the optimiser removed what the head measures", ERROR, "real", "empty loop",
              lane="counts", says=("the head does nothing any more: BM_work",)),
    Situation("counts: needs a variable", ERROR, "needs variable", lane="counts"),
    Situation("counts: needs a variable, and has it", CLEAN, "needs variable", lane="counts",
              options=("--env", "ODD_DATA=1")),
    Situation("counts: threads are named", CLEAN, "real threads", lane="counts",
              names=("BM_work",), left_out=("BM_both/threads:2",),
              says=("runs in several threads",)),
    Situation("counts: a name twice", CLEAN, "twice", lane="counts",
              left_out=("BM_a/8/manual_time #2", "BM_a/8/manual_time #3"), short=False),
    Situation("counts: brackets", CLEAN, "brackets", lane="counts", left_out=(), short=False),
    Situation("counts: a crash in the head", ERROR, "good for bad", "crash", lane="counts",
              short=False),
    Situation("counts: a fixed number of iterations", CLEAN, "fixed", lane="counts"),
    Situation("counts: a least time in the code", CLEAN, "min time", lane="counts",
              short=False),
    Situation("counts: prints", CLEAN, "log", lane="counts", short=False),
    Situation("counts: needs an argument, and has it", CLEAN, "own flag", lane="counts",
              options=("--argument=--own=1",), short=False),
)

ALL = (*TIMES, *NAMES, *LISTING, *OUTCOMES, *PROCESSES, *COUNTS)

# These situations run on versions of Google Benchmark that PyPI has; the kinds are those of
# odd_wheel.py.
WHEELS = (
    Situation("equal programs", CLEAN, names=_m("BM_a", "BM_b/8")),
    Situation("slower", REGRESSION, ns=_SLOWER),
    Situation("names", CLEAN, "names", left_out=(),
              names=_m("BM_fill<int[16]>", "BM_{x}", 'BM_"q"', "BM_größe", "BM_a\\b", "BM_a|b")),
    Situation("a name twice, the second slower", REGRESSION, "twice", ns=_SLOWER,
              says=("BM_a/manual_time #2 +30.0%",)),
    Situation("an error in the head", ERROR, "good for bad", "error",
              left_out=_m("BM_bad")),
    Situation("a crash in the head", ERROR, "good for bad", "crash", left_out=_m("BM_bad")),
    Situation("aggregates only, slower", REGRESSION, "aggregates", ns=_SLOWER),
    Situation("a program that prints", CLEAN, "log", names=_m("BM_a")),
)
