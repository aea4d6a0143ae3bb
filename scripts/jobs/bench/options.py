# SPDX-License-Identifier: Apache-2.0
"""The options of scripts/bench."""

from jobs.common import build, options

_ABOUT = """\
Measures claims per second of the embedded ledger and the time to parse and serialize
keys, ids and grants, each beside a plain baseline. Prints tables; writes summary.md,
summary.json and Google Benchmark's JSON to results/latest/: a file of each program and
round, and merged.json, which has each benchmark once and is what github-action-benchmark
and Bencher read. The last run's files stay until this run has its own, whatever ends it.

With --backend valkey: claims per second, the server's and the client's CPU for each
call, and times under a given load, on a real server that is found or fetched, started
on a free port and stopped (scripts/claim-server says which). Writes claims.md and
claims.json, for a cluster claims-cluster.md and .json."""

_ENDING = """\
Exit status: 0 measured; 1 a benchmark failed its check, the build failed, or nothing
was measured; 2 wrong usage; 3 measured, but core is behind a peer and
bench/peers/not_ahead.toml does not say why."""


def parser():
    made = options.Parser("bench", _ABOUT, _ENDING)
    made.flag("--peers", "core beside the reference, JSON libraries, a regular expression library, "
              "databases and maps, each used as it advises and checked for equal results first; "
              "writes peers.md and peers.json in place of the summary")
    made.flag("--quick", "under a minute after the build: fewer and shorter runs")
    made.flag("--ten-million", "also with ten million live executions: 8 GiB of memory and some "
              "minutes more")
    made.flag("--list", "measure nothing; print the benchmarks' names, those that --filter leaves")
    made.option("--filter", "RE", "only the benchmarks whose name matches RE (keep the baselines "
                "in to see ratios, as with --filter ParsePartitionKey); or a part of a row's name "
                "in the tables, as 'parse grant: canonical', with its baselines", default="")
    made.option("--out", "DIR", "write to DIR in place of results/latest", options.path,
                default=build.results_directory() / "latest")
    made.choice("--backend", ("memory", "valkey"), "the embedded ledger (default) or a server",
                default="memory")
    server = made.add_argument_group("with --backend valkey")
    server.add_argument("--cluster", action="store_true", help="three primaries")
    server.add_argument("--engine", choices=("auto", "valkey", "redis"),
                        help="a server of this kind, not the first that is found")
    server.add_argument("--server", metavar="ADDRESS", type=options.address,
                        help="a server, or a cluster, that runs already, as HOST:PORT, "
                             "valkey://[USER@]HOST[:PORT], valkeys:// (TLS) or unix:///PATH, its "
                             "password in FFGRANT_PASSWORD or in the file FFGRANT_PASSWORD_FILE: "
                             "in a lane of its own, and what the benchmark put there is removed in "
                             "the end")
    server.add_argument("--transports", action="store_true",
                        help="one server by TCP, a unix socket and TLS in turn, and nothing else; "
                             "writes claims-transports.md and .json. --engine redis speaks TLS "
                             "itself, other servers may need stunnel4 before them")
    server.add_argument("--with-reference", action="store_true",
                        help="FlowFabric's own functions (needs cargo) on a second server of the "
                             "same build, in turn with ours")
    return made


def parse(argv):
    made = parser()
    found = made.parse_args(argv)
    if found.backend == "memory":
        if (found.cluster or found.engine or found.server or found.with_reference
                or found.transports):
            made.error("--engine, --server, --cluster, --transports and --with-reference need "
                       "--backend valkey")
        return found, options.Start(
            "bench", ("peers",) if found.peers else ("bench",), scipy=found.peers,
            unready=1, at_root=True)
    if found.filter or found.peers or found.list or found.ten_million:
        made.error("--filter, --list, --peers and --ten-million do not go with --backend valkey")
    if found.server and (found.cluster or found.with_reference or found.engine):
        made.error("--server goes with neither --cluster, --engine nor --with-reference")
    if found.transports and (found.server or found.cluster or found.with_reference):
        made.error("--transports goes with neither --server, --cluster nor --with-reference")
    found.engine = found.engine or "auto"
    return found, options.Start("bench-server", ("server-bench",), scipy=True, unready=1,
                                at_root=True)
