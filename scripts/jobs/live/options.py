# SPDX-License-Identifier: Apache-2.0
"""Reads the options of scripts/live-conformance and scripts/live-fleet."""

from jobs.common import options

_ABOUT = """\
Checks a deployment of FlowFabric's own server against the wire contract. From a seed it
makes requests whose status and text the contract predicts (each field at its limits and
past them, every edge of JSON, content types, chunked bodies, path segments, tokens), and
lives of executions (claim, renew, expire, reclaim, suspend and signal, cancel and revoke while
held, fail and retry, replay, flows) whose states are read back over HTTP. The server is
the judge of the contract's text; ffgrant's client takes no part.

Against a deployment of others it works in lanes and ids of its own, and removes from the
Valkey what it has created."""

_ENDING = """\
The bearer token comes from FF_API_TOKEN or from the first line of the file that
FF_API_TOKEN_FILE names; Valkey's password from FFGRANT_PASSWORD or FFGRANT_PASSWORD_FILE.

The last line is "N passed, N failed". Exit status: 0 all passed; 1 one failed; 2 wrong
usage; 3 could not run; 128 + signal."""


def parser():
    made = options.Parser("live-conformance", _ABOUT, _ENDING)
    made.option("--url", "URL", "a deployment's server, http:// or https://", options.http_url)
    made.option("--valkey", "ADDRESS", "its Valkey, as HOST:PORT, valkey://[USER@]HOST[:PORT], "
                "valkeys:// (TLS) or unix:///PATH. Without it only requests are made, and the "
                "executions that they create stay there, cancelled", options.address)
    made.flag("--start", "start a deployment in place of --url: Valkey and ff-server on free "
              "ports, with a token")
    made.option("--partitions", "N", "with --start: number of flow partitions (32: a claim looks "
                "at all of them at once)", options.positive)
    made.option("--requests", "N", "number of requests (20000)", options.natural, default=20_000)
    made.option("--histories", "N", "number of lives of executions (5000)", options.natural,
                default=5_000)
    made.option("--seed", "N", "seed of all requests and histories (1)", options.natural,
                default=1)
    made.option("--case", "KIND-NUMBER", "run only this case, as a failure names it: lot-17, "
                "history-5 or flow-3", options.live_case)
    made.option("--threads", "N", "threads at once (4)", options.positive, default=4)
    made.option("--ca-file", "FILE", "certificates to trust for https:// in place of the system's "
                "(default: FF_API_CA_FILE); FFGRANT_TLS_CA_FILE names those for valkeys://",
                options.path)
    return made


def parse(argv):
    made = parser()
    found = made.parse_args(argv)
    if bool(found.url) == found.start:
        made.error("one of --url and --start is needed")
    if found.start and (found.valkey or found.ca_file):
        made.error("--valkey and --ca-file go with --url")
    if found.partitions and not found.start:
        made.error("--partitions goes with --start")
    if found.partitions and found.partitions > 65535:
        made.error("--partitions must be in 1..65535")
    found.partitions = found.partitions or 32
    return found, options.Start("live-conformance", ("valkey",))


_FLEET_ABOUT = """\
Lets workers of both kinds, ours (core/examples/worker.cc) and one on FlowFabric's published
Rust SDK (core/testing/reference/sdk_worker), work off the executions of one lane, in a
deployment of its own. Meanwhile it kills workers of either kind, half of them while they
hold a lease, and stops a few for longer than their lease lasts. It asks for reclaim grants
for what dead workers have left, since a deployment does not do that by itself. At the end
each execution must have been completed exactly once: its result is read over HTTP, its
attempts and leases are read on Valkey, and no two workers may have reported it."""

_FLEET_ENDING = """\
Needs FlowFabric's server (./scripts/flowfabric-server --build) and Rust with the SDK's crates
(./scripts/bootstrap --with-reference).

The last line is "N passed, N failed". Exit status: 0 all passed; 1 one failed; 2 wrong
usage; 3 could not run; 128 + signal."""


def fleet_parser():
    made = options.Parser("live-fleet", _FLEET_ABOUT, _FLEET_ENDING)
    made.option("--executions", "N", "number of executions (10000)", options.count,
                default=10_000)
    made.option("--workers", "N", "workers of each kind at once (3)", options.positive, default=3)
    made.option("--kills", "N", "how many workers are killed (one for 100 executions, at least 8)",
                options.natural)
    made.option("--seconds", "N", "give up if executions are left after so long (900)",
                options.seconds, default=900.0)
    made.option("--seed", "N", "seed of the executions and of what is done to workers (1)",
                options.natural, default=1)
    return made


def parse_fleet(argv):
    found = fleet_parser().parse_args(argv)
    if found.kills is None:
        found.kills = max(8, found.executions // 100)
    # Our worker is one of the examples that a build with tests makes, and it needs libcurl.
    return found, options.Start("live-fleet", ("claims", "live-bench"))
