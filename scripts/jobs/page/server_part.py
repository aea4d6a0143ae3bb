# SPDX-License-Identifier: Apache-2.0
"""Makes the page's section for claims on a real server, from the JSON of scripts/bench --backend
valkey.

The figures of this JSON have a list "loads", with an entry for each load: {"what": "pair",
"at_once": 64, "whose": "ours", "rounds": [{"count", "seconds", "p50_us", "p99_us", ...}]}.
"""

from jobs.common import tables
from jobs.page import bench_results, figures, line_figures, recorded
from jobs.page.bench_results import estimate
from jobs.page.figures import Row, key
from jobs.page.parts import Missing, Plot, Section, Table, interval, sureness, three_digits
from jobs.page.svg import Caption, draw

_COMMAND = "./scripts/bench --backend valkey"
_FIELDS = {"what", "at_once", "whose", "rounds"}
_LOADS = {"pair": "issue, then claim", "fused": "issue and claim in one call"}
_WHOSE = {"ours": ("ffgrant", "ours"), "reference": ("the reference", "baseline")}
_QUANTILES = ((0.5, "p50_us"), (0.99, "p99_us"), (0.999, "p999_us"))
_FILES = ("claims", "claims-cluster")  # these runs are shown before others


def _is_load(entry):
    return (isinstance(entry, dict) and set(entry) >= _FIELDS and isinstance(entry["rounds"], list)
            and entry["rounds"])


def read_runs(*folders):
    """name -> (loads, facts), of the runs in the first folder that has any."""
    for folder in folders:
        found = {}
        for path, made in bench_results.read_documents(folder):
            if recorded.is_document(made) and made["figures"].get("loads"):
                loads = made["figures"]["loads"]
                if not all(map(_is_load, loads)):
                    raise bench_results.ReportError(f"{path}: a load is not as expected")
                if not any(load["whose"] in _WHOSE for load in loads):
                    continue  # loads by transport, for example: their table is enough
                found[path.stem] = (loads, made["facts"])
        if found:
            return {name: found[name]
                    for name in sorted(found, key=lambda name: (name not in _FILES, name))}
    return {}


def _rate(load):
    try:
        return estimate([one["count"] / one["seconds"] for one in load["rounds"]])
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise bench_results.ReportError(
            f"a load on a server, {load['what']}, is not as expected: {error!r}") from None


def _rates(name, loads, caption):
    rows, data = [], []
    for what, title in _LOADS.items():
        chosen = sorted((load for load in loads if load["what"] == what),
                        key=lambda load: (load["at_once"], load["whose"] != "ours"))
        for load in chosen:
            heading = f"{title}, {load['at_once']} at once"
            if not data or data[-1][0] != heading:
                rows.append(Row(heading))
            label, mark = _WHOSE.get(load["whose"], (load["whose"], "baseline"))
            speed = _rate(load)
            rows.append(Row(label, speed, mark, tables.rate(speed.value)))
            data.append([heading, label, tables.rate(speed.value), interval(speed, tables.rate)])
    if not rows:
        return None
    svg, png = draw(name, lambda: figures.rates(
        rows, "thousand claims a second", 1e3), caption)
    best = max((row for row in rows if row.mark == "ours" and row.estimate),
               key=lambda row: row.estimate.value, default=None)
    return Plot(name, caption.title, f"The most of ffgrant's is {best.text} a second."
                if best else caption.title, svg, png,
                Table(caption.title, ["load", "whose functions", "claims/s", "interval"], data,
                      (0, 1)))


def _points(load, scale):
    return [(share, estimate([one[metric] / scale for one in load["rounds"]]))
            for share, metric in _QUANTILES if all(metric in one for one in load["rounds"])]


def _open_loop(name, loads, caption):
    """A plot of the latencies when claims are due at a share of the peak rate. A latency counts
    from the moment at which the claim was due."""
    chosen = [load for load in loads if load["what"].startswith("open ")
              and load["whose"] == "ours" and _points(load, 1)]
    if not chosen:
        return None
    longest = max(value.high for load in chosen for _, value in _points(load, 1))
    scale, unit, units = (1000, "ms", "milliseconds") if longest >= 10_000 else (
        1, "µs", "microseconds")
    lines = [(f"at {load['what'].removeprefix('open ')} % of the peak", _points(load, scale), True)
             for load in chosen]
    data = [[label.removeprefix("at "), f"p{100 * share:g}", f"{three_digits(value.value)} {unit}",
             interval(value)] for label, points, _ in lines for share, value in points]
    svg, png = draw(name, lambda: line_figures.quantiles(
        lines, f"{units} a claim"), caption)
    label, points, _ = lines[0]
    return Plot(name, caption.title, f"{label.capitalize()}: " + ", ".join(
        f"p{100 * share:g} {three_digits(value.value)} {unit}" for share, value in points) + ".",
        svg, png,
        Table(caption.title, ["load", "quantile", "time", f"interval, {unit}"], data, (0, 1)))


def server(runs, document=None):
    """The section. document: the last recorded claims.md, whose tables stand below the plots."""
    section = Section("server", "Claims per second, real server", "Server")
    for name, (loads, facts) in runs.items():
        server_name = facts.get("server", name)
        note = ", ".join(filter(None, (facts.get("date"), facts.get("CPU"), facts.get("revision"))))
        legend = [("ours", "ffgrant"), ("baseline", "the reference")]
        plots = (_rates(f"server-{name}-rates", loads,
                        Caption(f"{server_name}: closed loop", note, key(legend))),
                 _open_loop(f"server-{name}-latency", loads,
                            Caption(f"{server_name}: open loop", note)))
        section.plots += [plot for plot in plots if plot]
        section.legend = legend
        section.sources += [(f"{server_name}: {what}" if len(runs) > 1 else what, text)
                            for what, text in facts.items()]
    if section.plots:
        counts = {len(load["rounds"]) for loads, _ in runs.values() for load in loads}
        section.lead = [
            "The same claim path on a server, our functions and the reference's in turn where both "
            "ran. In the closed loop a number of claims is in flight at once; more is better. In "
            "the open loop claims begin at random moments at a share of the peak, whether or not "
            "the server keeps up, and are timed from the moment they were due; less is better.",
            f"Dots are medians of {sureness(min(counts), each='')}."]
    if document:
        section.documents.append(document)
    elif not section.plots:
        section.missing.append(Missing("claims on a server were not measured", _COMMAND))
    return section
