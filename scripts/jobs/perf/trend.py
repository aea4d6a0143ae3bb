# SPDX-License-Identifier: Apache-2.0
"""scripts/perf trend says what changed in the history, when and by how much. It reports and never
gates.

Apache Otava finds the change points, by e-divisive over windows and then a t-test. On 200 series of
60 points with 1 % of noise, its defaults report a false change point in 6 % of the series, and in
18 % if one point in twenty is a spike. With p = 1e-5 and a magnitude of 3 %, the shares are 0 % and
8 %, and each step of 5 % is still found (jobs.perf.trend_test). Each machine's series is examined
by itself.
"""

import argparse
import datetime
import shlex
from dataclasses import dataclass
from pathlib import Path

from jobs.common import report
from jobs.common.tables import Table
from jobs.common.terminal import Terminal
from jobs.perf import answer, gate, history_files, home, metrics, statuses
from jobs.perf.error import PerfError

MAX_P = 1e-5
MIN_MAGNITUDE = 0.03
_WINDOW = 50
_REPAIR = f"{home.COMMAND} history repair takes them out"


@dataclass(frozen=True)
class Change:
    """A point at which a series changes its level. before, after: the mean ratios to the reference
    kernel, or the mean bytes. previous is the last point of the old level."""
    fingerprint: str
    suite: str
    benchmark: str
    previous: history_files.Point
    point: history_files.Point
    before: float
    after: float
    p: float
    metric: str = metrics.TIME
    around: tuple = ()  # what else changed with this point: 'kernel: 6.1 to 6.2'

    @property
    def relative(self):
        return self.after / self.before - 1

    def shown(self, value):
        """A mean of this series as a text: bytes, or a multiple of the reference kernel's time."""
        if metrics.UNITS[self.metric] == "bytes":
            return metrics.shown(value, self.metric)
        return f"{value:.4g}"


def change_points(values):
    """(index, mean before, mean after, p) of each change point. values: the ratios of one series in
    order."""
    try:
        from otava.analysis import compute_change_points
    except ImportError:
        raise PerfError(f"Apache Otava is missing; {home.advice('otava')}") from None
    found, _ = compute_change_points(list(values), window_len=_WINDOW, max_pvalue=MAX_P,
                                     min_magnitude=MIN_MAGNITUDE)
    return [(change.index, float(change.stats.mean_1), float(change.stats.mean_2),
             float(change.stats.pvalue)) for change in found]


def changes(history):
    """All changes in a History (jobs.perf.history_files.read_all), the newest first."""
    found = []
    for (fingerprint, suite), points in history.items():
        ordered = sorted(points, key=lambda point: point.date)
        for benchmark, series in history_files.series(ordered).items():
            ratios = [point.benchmarks[benchmark].ratio for point in series]
            around = history_files.changes_around(series)
            found += [Change(fingerprint, suite, benchmark, series[index - 1], series[index],
                             before, after, p, series[index].benchmarks[benchmark].metric,
                             tuple(around.get(index, ())))
                      for index, before, after, p in change_points(ratios)]
    return sorted(found, key=lambda change: (change.point.date, abs(change.relative)), reverse=True)


def document(history, found, command, date):
    return {
        "format": answer.FORMAT, "lane": "trend", "date": date.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": command, "verdict": "clean", "exit_status": statuses.CLEAN, "error": None,
        "action": _action(history, found),
        "points": sum(map(len, history.values())),
        "machines": sorted({fingerprint for fingerprint, _ in history}),
        "changes": [
            {"fingerprint": each.fingerprint, "suite": each.suite, "benchmark": each.benchmark,
             "date": each.point.date.strftime("%Y-%m-%dT%H:%M:%SZ"),
             "revision": each.point.revision, "previous_revision": each.previous.revision,
             "before": each.before, "after": each.after, "change": each.relative, "p": each.p,
             "around": list(each.around)} for each in found],
        "bridges": _bridges(history), "ended": history_files.ended(history),
        "problems": list(history.problems)}


def _bridges(history):
    """Objects for the JSON that say where series go on although the surroundings of the
    measurements changed."""
    found = []
    for (fingerprint, suite), points in history.items():
        ordered = sorted(points, key=lambda point: point.date)
        found += [{"fingerprint": fingerprint, "suite": suite,
                   "date": ordered[index].date.strftime("%Y-%m-%dT%H:%M:%SZ"), "changed": texts}
                  for index, texts in history_files.changes_around(ordered).items()]
    return found


def _action(history, found):
    worse: dict[str, list[Change]] = {}
    for each in found:
        if each.relative > 0:
            worse.setdefault(metrics.WORSE[each.metric], []).append(each)
    parts = []
    for word, grown in sorted(worse.items(), reverse=True):
        worst = max(grown, key=lambda each: each.relative)
        parts.append(f"{len(grown)} became {word}, {worst.benchmark} the most: "
                     f"{worst.relative:+.1%} at {worst.point.revision}")
    if history.problems:
        parts.append(f"lines that can't be read; {_REPAIR}")
    if parts:
        return f"Look at these: {'; '.join(parts)}."
    return "Nothing to do: nothing became slower or larger."


def tables(found):
    """The tables of changes, one for each machine."""
    by_machine = {}
    for each in found:
        made = by_machine.setdefault(each.fingerprint, Table(
            each.fingerprint, "", ["", "since", "revisions", "before", "after", "change"],
            flush_left=(1, 2)))
        made.rows.append([each.benchmark, f"{each.point.date:%Y-%m-%d}",
                          f"{each.previous.revision}..{each.point.revision}",
                          each.shown(each.before), each.shown(each.after), f"{each.relative:+.1%}"])
    return list(by_machine.values())


def main(argv):
    parser = argparse.ArgumentParser(
        prog=f"{home.PROGRAM} trend",
        description="Prints the change points of the history: times in multiples of the reference "
                    "kernel's, memory and sizes in bytes, each machine by itself.",
        epilog="Exit status: 0, whatever changed; 2 wrong usage, no history in the folder that "
               "--history names, or nothing of it can be read.")
    parser.add_argument("--history", metavar="DIR", type=Path,
                        help=f"the history's folder ({home.HISTORY_TEXT}: the branch "
                             "perf-history)")
    parser.add_argument("--json", metavar="FILE", type=Path)
    arguments = parser.parse_args(argv)
    terminal = Terminal()
    date = datetime.datetime.now(datetime.timezone.utc)
    history = history_files.read_all(arguments.history or history_files.ROOT)
    if not history and history.problems:
        raise PerfError("\n".join(["nothing of the history can be read:", *history.problems,
                                   _REPAIR]))
    if not history and arguments.history:
        raise PerfError(f"no history in {arguments.history}")
    found = changes(history)
    try:  # the file comes first, because perhaps nobody reads the output any more
        if arguments.json:
            command = shlex.join([home.COMMAND, "trend", *argv])
            gate.write_json(arguments.json, document(history, found, command, date))
    finally:
        _print(terminal, history, found)
    return statuses.CLEAN


def _print(terminal, history, found):
    if not history:
        terminal.line(f"no history here yet; {home.COMMAND} history fetch gets the branch, and "
                      f"{home.COMMAND} record begins one")
    for made in tables(found):
        for line in report.as_text(made, terminal):
            terminal.line(line)
        terminal.line()
    for each in found:
        for text in each.around:
            terminal.line(f"{each.benchmark}, {each.point.date:%Y-%m-%d}: changed with it: {text}")
    for bridge in _bridges(history):
        terminal.line(terminal.dim(
            f"{bridge['suite']} goes on over {bridge['date'][:10]}, as multiples of the reference "
            f"kernel: {'; '.join(bridge['changed'])}"))
    for text in history_files.ended(history):
        terminal.line(text)
    for text in history.problems:
        terminal.line(terminal.bad(f"left out: {text}"))
    points = sum(map(len, history.values()))
    machines = len({fingerprint for fingerprint, _ in history})
    terminal.line(f"{len(found)} changes in {points} points of {machines} machines "
                  f"(p < {MAX_P:g}, {MIN_MAGNITUDE:.0%} or more)")
    if history.problems:
        terminal.line(terminal.bad(_action(history, found)))
