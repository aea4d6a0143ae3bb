# SPDX-License-Identifier: Apache-2.0
"""Reads the options of scripts/bench."""

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
    made.flag("--list", "measure nothing; print the names of the benchmarks that --filter selects")
    made.option("--filter", "RE", "run only the benchmarks whose name matches RE (ratios need the "
                "baselines too, which ParsePartitionKey matches). Or a part of a row's name in "
                "the tables, such as 'parse grant: canonical': this runs the row's baselines too",
                default="")
    made.option("--out", "DIR", "write to DIR in place of results/latest", options.path,
                default=build.results_directory() / "latest")
    made.choice("--backend", ("memory", "valkey", "flowfabric"), "the embedded ledger (default), a "
                "server, or a deployment of FlowFabric's own server", default="memory")
    server = made.add_argument_group("with --backend valkey")
    server.add_argument("--cluster", action="store_true", help="three primaries")
    server.add_argument("--engine", choices=("auto", "valkey", "redis"),
                        help="a server of this kind, not the first that is found")
    server.add_argument("--server", metavar="ADDRESS", type=options.address,
                        help="measure a server or cluster that already runs: HOST:PORT, "
                             "valkey://[USER@]HOST[:PORT], valkeys:// (TLS) or unix:///PATH, its "
                             "password in FFGRANT_PASSWORD or in the file FFGRANT_PASSWORD_FILE. "
                             "The benchmark uses a lane of its own, and removes in the end what "
                             "it has put there")
    server.add_argument("--transports", action="store_true",
                        help="measure only one server, by TCP, a unix socket and TLS in turn; "
                             "writes claims-transports.md and .json. --engine redis speaks TLS "
                             "itself; other servers may need stunnel4 in front of them")
    server.add_argument("--with-reference", action="store_true",
                        help="also measure FlowFabric's own functions (needs cargo), on a second "
                             "server of the same build, in turn with ours")
    _add_flowfabric(made.add_argument_group("with --backend flowfabric"))
    return made


def _add_flowfabric(group):
    group.add_argument("--url", metavar="URL", type=options.http_url,
                       help="the deployment's server, http:// or https://; its token in "
                            "FF_API_TOKEN or in the file FF_API_TOKEN_FILE")
    group.add_argument("--valkey", metavar="ADDRESS", type=options.address,
                       help="the deployment's Valkey, in the forms of --server; the benchmark "
                            "creates and claims executions of its own only, and removes them in "
                            "the end")
    group.add_argument("--start", action="store_true",
                       help="start a deployment in place of --url and --valkey: Valkey and "
                            "ff-server (scripts/flowfabric-server --build) on free ports")
    group.add_argument("--lane", metavar="L", type=options.lane,
                       help="a lane that nobody uses (default: a name of its own)")
    group.add_argument("--workers", metavar="N", type=options.positive,
                       help="the most C++ workers at once (64)")
    group.add_argument("--executions", metavar="N", type=options.count,
                       help="executions of the last load, whose results are all read back (20000)")
    group.add_argument("--server-pid", metavar="PID", type=options.positive,
                       help="process id of the deployment's server, if it runs on this machine: "
                            "measures its CPU time")
    group.add_argument("--ca-file", metavar="FILE", type=options.path,
                       help="certificates to trust for https:// in place of the system's "
                            "(default: FF_API_CA_FILE); FFGRANT_TLS_CA_FILE names those for "
                            "valkeys://")


def _flowfabric(made, found):
    if bool(found.url) == found.start:
        made.error("--backend flowfabric needs one of --url and --start")
    if found.url and not found.valkey:
        made.error("--url needs --valkey: a worker claims there")
    if found.start and (found.valkey or found.ca_file or found.server_pid):
        made.error("--start goes with neither --valkey, --ca-file nor --server-pid")
    if found.workers and found.workers > 1024:
        made.error("--workers must be in 1..1024")
    found.workers = found.workers or 64
    return found, options.Start("bench-flowfabric", ("live-bench",), scipy=True, unready=1,
                                at_root=True)


def parse(argv):
    made = parser()
    found = made.parse_args(argv)
    if found.backend != "flowfabric" and (
            found.url or found.valkey or found.start or found.lane or found.workers
            or found.executions or found.server_pid or found.ca_file):
        made.error("--url, --valkey, --start, --lane, --workers, --executions, --server-pid and "
                   "--ca-file need --backend flowfabric")
    if found.backend == "flowfabric" and (
            found.cluster or found.engine or found.server or found.with_reference
            or found.transports or found.filter or found.peers or found.list
            or found.ten_million):
        made.error("--backend flowfabric goes with --quick, --out and its own options only")
    if found.backend == "flowfabric":
        return _flowfabric(made, found)
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
