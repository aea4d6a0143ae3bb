# SPDX-License-Identifier: Apache-2.0
"""Names the servers on which calls are measured beside the job's own server: servers with other
settings, and every other server that can be had here."""

import contextlib
from dataclasses import dataclass

from jobs.common import wheels
from jobs.common.tables import Table, rate
from jobs.server import claim_server, load_figures
from jobs.server.claim_server import Settings
from jobs.server.load_figures import OURS

WHAT = "settings"  # the load's name in the figures
_DEFAULTS = Settings()


@dataclass(frozen=True)
class Variant:
    name: str
    engine: str  # empty: the engine that the job runs on
    settings: Settings = _DEFAULTS


_SETTINGS = (
    Variant("io-threads 2", "", Settings(extra=("--io-threads", "2"))),
    Variant("append-only file, written to disk each second", "",
            Settings(appendonly=True, appendfsync="everysec")),
    Variant("append-only file, written to disk before each answer", "",
            Settings(appendonly=True, appendfsync="always")),
)


def variants(engine):
    """The variants that can be had here: other settings of the job's own server, and every other
    server. The server of `engine` with its usual settings is not among them."""
    made = list(_SETTINGS)
    seen = {claim_server.find(engine).label}
    for other in ("valkey", "pinned", "pinned-old", "redis"):
        with contextlib.suppress(claim_server.ServerError, wheels.WheelError, OSError):
            label = claim_server.find(other).label
            if label not in seen:
                seen.add(label)
                made.append(Variant(label, other))
    return made


def table(figures, names, depth):
    """The table of the variants that were measured, beside the job's own server; None if there are
    none."""
    if not names:
        return None
    made = Table(
        "Other settings and servers",
        f"issue, then claim, {depth} at once, our functions; each beside the first one, in turn: "
        "claims per second as a multiple of its, paired by round, with its 95 % confidence "
        "interval. Clients, server and its threads share the machine's cores",
        ["", "claims/s", "+/-", "p50 us", "p99 us", "server us", "x the first"], flush_left=(6,))
    for name in (OURS, *names):
        def median(metric, whose=name):
            return figures.stat(WHAT, depth, whose, metric).median
        speed = figures.stat(WHAT, depth, name, "rate")
        ratio = load_figures.paired_ratio(figures.values(WHAT, depth, name, "rate"),
                                          figures.values(WHAT, depth, OURS, "rate"))
        made.rows.append([
            "the first: no persistence, one thread" if name == OURS else name, rate(speed.median),
            f"{speed.spread * 100:.0f}%",
            *(load_figures.micros(median(metric)) for metric in ("p50_us", "p99_us", "server_us")),
            "" if name == OURS else ratio.text()])
    return made
