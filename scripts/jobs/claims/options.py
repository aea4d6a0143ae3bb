# SPDX-License-Identifier: Apache-2.0
"""Reads the options of the scripts that try the claim path and the vectors."""

import os

from jobs.common import options

ENGINES = ("memory", "valkey", "redis")
FAULTS = ("kill", "stop", "library", "descriptors", "freeze", "move", "leave", "migration",
          "failover", "failover-cut", "failover-wait")
_CONFORMANCE_ABOUT = """\
Runs the claim scenarios of core/testing/scenarios/cases (contract 7 and the functions'
edges) and random histories beside a plain model, on the embedded ledger and on real
servers. Outcomes, codes, details and everything stored must be what the contract says,
up to the list in core/testing/scenarios/differences.cc."""

_CONFORMANCE_ENDING = """\
The last line is "N passed, N failed". Exit status: 0 all passed; 1 one failed; 2 wrong
usage; 3 could not run; 128 + signal."""


def conformance_parser():
    made = options.Parser("claims-conformance", _CONFORMANCE_ABOUT, _CONFORMANCE_ENDING)
    made.choice("--engine", ENGINES, "run on this engine; may be repeated. Default: memory, and "
                "Valkey and Redis, each alone and as a cluster. Servers are found or fetched, "
                "started and stopped",
                action="append")
    made.flag("--cluster", "run Valkey and Redis as clusters of three primaries")
    made.choice("--transport", options.TRANSPORTS, "how the servers that this script starts are "
                "reached: by TCP (the default), a unix socket or TLS", default="tcp")
    made.option("--server", "ADDRESS", "run on a server that already runs, or on the cluster of a "
                "node: HOST:PORT, valkey://[USER@]HOST[:PORT], valkeys:// (TLS) or unix:///PATH, "
                "its password in FFGRANT_PASSWORD or in the file FFGRANT_PASSWORD_FILE. The "
                "scenarios use lanes, workers and ids of their own and delete them again. "
                "ffgrant's functions are loaded if FlowFabric's are not there", options.address)
    made.option("--store", "ADDRESS", "with --server by TLS: another address, at which the stored "
                "state can be read without TLS: a port of the server without TLS, or stunnel4 "
                "with client = yes", options.address)
    made.flag("--use-loaded-library", "with --server: load nothing; use the functions that are "
              "there, such as FlowFabric's own")
    made.option("--contract", "VERSION", "with --use-loaded-library: the version that "
                "ff_version answers there, if it is another than ffgrant knows")
    made.option("--filter", "TEXT", 'run only the scenarios whose name contains TEXT ("7.2", '
                '"reclaim"), and no histories')
    made.option("--histories", "N", "number of random histories (20)", options.natural)
    made.option("--calls", "N", "calls of each random history (200)", options.positive)
    made.option("--seed", "N", "seed of the first random history (1)", options.natural)
    return made


def parse_conformance(argv):
    made = conformance_parser()
    found = made.parse_args(argv)
    if found.server and (found.engine or found.cluster):
        made.error("--server names a server; --engine and --cluster start one")
    if found.server and found.transport != "tcp":
        made.error("--transport is for servers that are started; a URL says how to reach one")
    if found.store and not found.server:
        made.error("--store is for --server")
    if found.use_loaded_library and not found.server:
        made.error("--use-loaded-library is for --server")
    if found.contract and not found.use_loaded_library:
        made.error("--contract is for --use-loaded-library")
    return found, options.Start("claims-conformance", ("claims",))


_FAULTS_ABOUT = """\
Makes claims on servers of its own while these are killed, stopped, emptied of functions,
resharded and failed over. Each round makes faults of one kind under the load of
concurrent clients, then checks their histories against each other and against what is
stored: never two live leases for one execution, epochs grow, a grant is consumed once at
most, unknown outcomes come out as they are stored, what was acknowledged is there
(appendfsync always).

  kill           kill -9 of the server and a restart on its files
  stop           SIGSTOP for longer than a call may take, SIGCONT
  library        kill -9, and the restarted server has no functions
  descriptors    the clients' process can open no descriptor, and its connections break
  freeze         SIGSTOP of one of three primaries
  move           a node announces another address, or is killed and comes back at another port
  leave          a node leaves for another cluster, which must get no call, and comes back
  migration      a cluster's slots move between its primaries
  failover       kill -9 of a primary; its replica takes over. What was acknowledged may be
                 lost, as replication is asynchronous: it is counted, not refused
  failover-cut   like failover, but the primary is cut off from its replica 0.3 s before
  failover-wait  like failover-cut; what WAIT 1 had confirmed is counted by itself

With --simulated there are no servers: every call of the claim path is made in worlds of
2,000 calls, each with a cluster of its own that runs the shipped functions on a simulated
network and clock. As the seed decides, its nodes freeze, are killed, cut off and split,
move, fail over, hand slots on, and leave for another cluster. Each answer is compared with
what the servers executed."""

_FAULTS_ENDING = """\
The last line is "N passed, N failed", by rounds or worlds. Exit status: 0 no violation; 1
violations; 2 wrong usage, or the file of --markdown can't be written; 3 could not run; 128 +
signal."""
SHORT_FAULTS = ("kill", "library", "descriptors", "freeze", "move", "leave")
_ON_SERVERS = ("short", "long", "fault", "claims", "seconds", "engine", "transport", "threads",
               "keep")
_SIMULATED = ("calls", "jobs", "resume")
_SHORT_SECONDS = 2.0
_SECONDS = 10.0
_LONG_CLAIMS = 1_000_000
_LONG_SECONDS = 30.0


def faults_parser():
    made = options.Parser("claims-faults", _FAULTS_ABOUT, _FAULTS_ENDING)
    size = made.add_mutually_exclusive_group()
    size.add_argument("--short", action="store_true",
                      help=f"2 s each of {', '.join(SHORT_FAULTS)}: what scripts/test runs")
    size.add_argument("--long", action="store_true",
                      help="rounds of 30 s of every kind until 1,000,000 claims were acknowledged")
    made.option("--fault", "FAULT", "only this kind; may be repeated", choices=FAULTS,
                action="append")
    made.option("--claims", "N", "run rounds until N claims were acknowledged (default: one "
                "round of each kind)", options.natural, default=0)
    made.option("--seconds", "N", "seconds of load in each round (10)", options.seconds)
    made.choice("--engine", ("auto", "valkey", "redis"), "the kind of server; auto (default): the "
                "first that is found", default="auto")
    made.choice("--transport", options.TRANSPORTS, "reach the servers by TCP (the default), a unix "
                "socket or TLS (all faults but move and leave); nodes of a cluster name themselves "
                "by their ports", default="tcp")
    made.option("--threads", "N", "clients at once (16)", options.positive, default=16)
    made.option("--seed", "N", "seed of faults and load (1)", options.natural, default=1)
    made.option("--markdown", "FILE", "write the table with machine and date to FILE, and the "
                "same as .json beside it", options.path)
    made.option("--keep", "FOLDER", "keep the histories of rounds with violations in FOLDER",
                options.path)
    made.flag("--simulated", "use simulated worlds in place of servers")
    made.option("--calls", "N", "with --simulated: make N calls (10,000,000), in worlds with the "
                "seeds from --seed on", options.count, default=10**7)
    made.option("--jobs", "N", "with --simulated: worlds at once (as many as there are "
                "processors)", options.positive, default=os.cpu_count() or 1)
    made.flag("--resume", "with --simulated: takes over the worlds that an earlier run of the same "
              "program has finished")
    return made


def parse_faults(argv):
    made = faults_parser()
    found = made.parse_args(argv)
    others = _ON_SERVERS if found.simulated else _SIMULATED
    for name in others:
        if getattr(found, name) != made.get_default(name):
            made.error(f"--{name} does not go with --simulated" if found.simulated
                       else f"--{name} goes with --simulated")
    asked = bool(found.fault)
    if found.short:
        found.fault = found.fault or list(SHORT_FAULTS)
    if found.long:
        found.claims = found.claims or _LONG_CLAIMS
    if found.seconds is None:
        found.seconds = (_SHORT_SECONDS if found.short else _LONG_SECONDS if found.long
                         else _SECONDS)
    # These faults move nodes and introduce them to each other by ports without TLS.
    without_tls = {"move", "leave"} if found.transport == "tls" else set()
    if not asked and without_tls:
        found.fault = [name for name in found.fault or FAULTS if name not in without_tls]
    if without_tls & set(found.fault or ()):
        made.error("--fault move and leave do not go with --transport tls")
    found.fault = found.fault or list(FAULTS)
    return found, options.Start("claims-faults", ("claims",))


_VECTORS_ABOUT = """\
Builds core/testing/vectors's run_vectors if needed, then runs every vector of the files
through it. Prints failures and a table by kind; the last line is "N passed, N failed".
corpus/vectors/README.md describes the format."""

_VECTORS_ENDING = """\
Exit status: 0 all passed; 1 one failed or could not be read; 2 the tool was not built or
no file was named."""


def vectors_parser():
    made = options.Parser("conformance", _VECTORS_ABOUT, _VECTORS_ENDING)
    made.add_argument("files", metavar="FILE.jsonl", nargs="+", help="a file of vectors")
    return made


def parse_vectors(argv):
    return vectors_parser().parse_args(argv), options.Start(
        "conformance", ("conformance",), unready=2)


_MAKE_ABOUT = """\
Writes N conformance vectors (corpus/vectors/README.md) of all kinds: generated inputs,
and what FlowFabric's own code says of them; no code of ffgrant takes part. The same seed
and count give the same vectors. A table of kinds and outcomes goes to stderr.

Needs Rust and the crates, and gets them: scripts/bootstrap --with-reference. Any
implementation can be checked with the vectors; for ours: scripts/conformance FILE."""

_MAKE_ENDING = """\
Exit status: 0; 1 an outcome came out too rarely to be tested, where N allows for more;
2 wrong usage; 3 could not run."""


def make_vectors_parser():
    made = options.Parser("make-vectors", _MAKE_ABOUT, _MAKE_ENDING)
    made.option("--seed", "S", "a number from 0 to 18446744073709551615", options.unsigned,
                required=True)
    made.option("--count", "N", "number of vectors; each kind has its share in corpus/vectors",
                options.natural, required=True)
    made.option("--out", "FILE", "write the vectors to FILE, whole or not at all (stdout)",
                options.path)
    return made


def parse_make_vectors(argv):
    return make_vectors_parser().parse_args(argv), options.Start(
        "make-vectors", ("claims --with-reference",))
