# SPDX-License-Identifier: Apache-2.0
"""Puts the answer of scripts/perf gate into words, for a terminal and as Markdown."""

from jobs.common import report
from jobs.common.tables import Table
from jobs.common.terminal import duration
from jobs.perf import metrics
from jobs.perf.answer import EMPTY, action, counted
from jobs.perf.decide import CLEAN, IMPROVED, INCONCLUSIVE, INVALID, REGRESSED, SUSPECTED
from jobs.perf.gbench_json import printable
from jobs.perf.texts import block, code, escaped, percent, plain

_MOST_OF_A_REASON = 10  # the most names that are listed for one reason


def _row(outcome, name, result):
    head, same = result.head, result.same
    pairs = str(result.pairs)
    if result.confirmation:
        pairs += f"+{result.confirmation.pairs}"
    verdict = result.verdict.upper() if result.verdict == REGRESSED else result.verdict
    if outcome.excused(name) and result.verdict in (INCONCLUSIVE, INVALID):
        verdict += " (known)"
    return [outcome.name(name), *(metrics.shown(value, name.metric) for value in (
        result.base_ns, result.head_ns)),
            percent(head.ratio), f"{percent(head.low)} to {percent(head.high)}",
            f"{percent(same.low)} to {percent(same.high)}", pairs, verdict]


_ORDER = (REGRESSED, SUSPECTED, INVALID, INCONCLUSIVE, IMPROVED, CLEAN)


def table(outcome):
    """The table of results: the worst verdicts first, and within a verdict the most slowed down
    first."""
    made = Table("", "", ["", "base", "head", "change", "interval", "A/A interval", "pairs",
                          "verdict"], flush_left=(7,))
    made.rows = [_row(outcome, name, outcome.results[name])
                 for verdict in _ORDER for name in outcome.ordered(verdict)]
    return made


def headline(outcome):
    counts = [f"{outcome.count(verdict)} {verdict}" for verdict in _ORDER
              if outcome.count(verdict)]
    left_out = len(outcome.unmeasured) + len(outcome.no_time)
    if not counts:
        counts.append("nothing measured")
    if left_out:
        counts.append(f"{left_out} not measured")
    return (f"{', '.join(counts)}: {outcome.head} against {outcome.base}, "
            f"{len(outcome.results)} {_counted(outcome)} in {duration(outcome.seconds)}")


def _counted(outcome):
    """What the results are called: "benchmarks" if all are times, else "comparisons", since a
    benchmark may then have several."""
    return ("benchmarks" if all(name.metric == metrics.TIME for name in outcome.results)
            else "comparisons")


def _notes(outcome):
    """(name, text) for each remark on a single benchmark."""
    notes = []
    for name, result in outcome.results.items():
        texts = [result.note, outcome.remarks.get(name, "")]
        empty = outcome.empty_sides(name, result)
        if empty:
            texts.append(f"{' and '.join(empty)} {EMPTY}")
        entry = outcome.excused(name)
        if entry and result.verdict in (INCONCLUSIVE, INVALID):
            texts.append(f"known until {entry.until}: {entry.reason}")
        notes += [(outcome.name(name), text) for text in texts if text]
    return notes


def _left_out(outcome):
    """(name, why) of the benchmarks that were not compared; those that block come first."""
    left_out = [(one.benchmark, one.text)
                for one in sorted(outcome.unmeasured, key=lambda one: not one.blocks)]
    left_out += [(name, "no time was left to measure it") for name in outcome.no_time]
    made = []
    for name, why in left_out:
        entry = outcome.excused(name)
        made.append((outcome.name(name),
                     why + (f" (known until {entry.until}: {entry.reason})" if entry else "")))
    return _shortened(made)


def _shortened(pairs):
    """Returns (name, why). If many names have one reason, a number stands for those after the first
    few; the JSON has all names."""
    by_reason = {}
    for name, why in pairs:
        by_reason.setdefault(why, []).append(name)
    made = []
    for why, names in by_reason.items():
        made += [(name, why) for name in names[:_MOST_OF_A_REASON]]
        if len(names) > _MOST_OF_A_REASON:
            made.append((f"... and {len(names) - _MOST_OF_A_REASON} more", why))
    return made


def _about_known(outcome):
    names = [str(name) for name in (*outcome.results, *outcome.no_time,
                                    *(one.benchmark for one in outcome.unmeasured))]
    return ([f"the entry {entry.benchmark!r} of --known is past its day, {entry.until}"
             for entry in outcome.known.expired]
            + [f"the entry {entry.benchmark!r} of --known matches no benchmark"
               for entry in outcome.known.unused(names)])


def _narrow(made):
    """The table without the columns head and A/A: names need the room, and the JSON has
    everything."""
    kept = (0, 1, 3, 4, 6, 7)
    return Table(made.title, made.note, [made.columns[i] for i in kept], (5,),
                 [[row[i] for i in kept] for row in made.rows])


def print_text(outcome, terminal):
    made = _narrow(table(outcome))
    if made.rows:
        for line in report.as_text(made, terminal)[2:]:
            terminal.line(terminal.bad(line) if line.endswith(REGRESSED.upper()) else line)
    for name, text in _notes(outcome):
        terminal.line(terminal.dim(f"{name}: {printable(text)}"))
    for name, text in _left_out(outcome):
        terminal.line(f"not measured: {name}: {printable(text)}")
    for text in (*counted(outcome.incidents), *_about_known(outcome)):
        terminal.line(printable(text))
    for who, words in outcome.words.items():
        terminal.line(terminal.dim(f"{printable(who)} said at last:"))
        for line in words.splitlines():
            terminal.line(terminal.dim(f"  {printable(line)}"))
    paint = terminal.good if outcome.verdict == "clean" else terminal.bad
    terminal.line(paint(headline(outcome)))
    terminal.line(paint(plain(action(outcome))))


def _spans(made, rows):
    """The table with its names in code spans."""
    return Table("", "", made.columns, made.flush_left,
                 [[code(row[0]), *row[1:]] for row in rows])


def _worse_title(outcome):
    """The title over what regressed: Slower, Larger, or Slower and larger."""
    words = {metrics.WORSE[name.metric] for name in outcome.ordered(REGRESSED)}
    return " and ".join(word for word in ("slower", "larger") if word in words).capitalize()


def markdown(outcome):
    """A summary for a pull request: what to do, then the verdicts. Clean benchmarks are folded
    away."""
    made = table(outcome)
    title = {"regressed": _worse_title(outcome), "unmeasured": "Performance: not measured",
             "suspected": f"Performance: perhaps {outcome.worse}",
             "inconclusive": "Performance: can't tell",
             "clean": "No performance regression"}[outcome.verdict]
    if outcome.same_files:
        title = "Performance: nothing compared"
    lines = [f"## {title}", "", action(outcome), "", f"{escaped(headline(outcome))}.", ""]
    rest = _spans(made, [row for row in made.rows if row[-1] != CLEAN])
    clean = _spans(made, [row for row in made.rows if row[-1] == CLEAN])
    if rest.rows:
        lines += report.as_markdown(rest)[2:] + [""]
    lines += [f"- {code(name)}: {escaped(text)}" for name, text in _notes(outcome)]
    left_out = _left_out(outcome)
    if left_out:
        lines += ["", "Not measured:", ""]
        lines += [f"- {code(name)}: {code(text)}" for name, text in left_out]
    lines += [f"- {code(text)}" for text in (*counted(outcome.incidents), *_about_known(outcome))]
    for who, words in outcome.words.items():
        lines += ["", f"{code(who)} said at last:", "",
                  *block([printable(line) for line in words.splitlines()])]
    if clean.rows:
        lines += ["", f"<details><summary>{len(clean.rows)} clean</summary>", "",
                  *report.as_markdown(clean)[2:], "", "</details>"]
    cpu = outcome.machine.get("cpu", "unknown CPU")
    lines += ["", f"<sub>{code(outcome.command)}, {outcome.date:%Y-%m-%d %H:%M} UTC, "
              f"{escaped(cpu)}, {escaped(outcome.conditions)}. Intervals are of the median ratio "
              "of process pairs; A/A is a second copy of the base.</sub>"]
    return "\n".join(lines) + "\n"


def error_markdown(lane, text):
    """The text that --markdown gets if nothing can be said."""
    lines = printable(text.splitlines()[0] if text.splitlines() else "")
    more = [printable(line) for line in text.splitlines()[1:]]
    made = [f"## Performance: `{lane}` failed", "",
            f"**Look at this**: it could not be measured: {code(lines)}", ""]
    return "\n".join(made + (block(more) if more else [])) + "\n"
