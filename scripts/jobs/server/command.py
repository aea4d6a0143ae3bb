# SPDX-License-Identifier: Apache-2.0
"""Runs a command beside a real server, and ends the server with the command. Started by
scripts/claim-server."""

import dataclasses
import os
import subprocess
import sys
import time

from jobs.common import processes
from jobs.server import claim_server

_GRACE_SECONDS = 5


def environment(running):
    """The variables that tell a command about the servers: {name: text}."""
    nodes = getattr(running, "nodes", [running])
    names = {"FFGRANT_SERVER": running.address,
             "FFGRANT_SERVER_URL": running.url,
             **running.variables,
             "FFGRANT_SERVER_NAME": running.info(),
             "FFGRANT_SERVER_PIDS": ",".join(str(node.pid) for node in nodes)}
    if nodes[0].settings.transport == "tls":
        names["FFGRANT_TLS_FOLDER"] = str(nodes[0].certificates)
        names["FFGRANT_SERVER_TLS"] = "own" if nodes[0].binary.has_tls else "tunnel"
    if len(nodes) > 1:
        names["FFGRANT_CLUSTER"] = ",".join(node.address for node in nodes)
    return names


def run(command, names):
    """Runs a command with these variables added to the environment. Returns the command's exit
    status as a shell would give it."""
    child = subprocess.Popen(command, env={**os.environ, **names})
    try:
        status = child.wait()
    except BaseException:
        # A terminal's Ctrl-C has reached the command as well, but a signal to this process alone
        # has not.
        processes.end_one(child, _GRACE_SECONDS)
        raise
    return status if status >= 0 else 128 - status


def serve(names):
    """Prints the variables that a command would get, and waits for an interrupt."""
    for name, text in names.items():
        print(f"{name}={text}", flush=True)
    print("running until it is interrupted", file=sys.stderr, flush=True)
    while True:
        time.sleep(3600)


def main(arguments):
    processes.raise_on_signals()
    settings = claim_server.Settings(transport=arguments.transport)
    if arguments.appendfsync:
        settings = dataclasses.replace(settings, appendonly=True,
                                       appendfsync=arguments.appendfsync)
    if arguments.cluster:
        started = claim_server.cluster(arguments.engine, settings, replicas=arguments.replicas)
    else:
        started = claim_server.alone(arguments.engine, settings)
    try:
        with started as running:
            if not arguments.command:
                serve(environment(running))
            return run(arguments.command, environment(running))
    except processes.Interrupted as interrupted:
        return interrupted.exit_status
    except (claim_server.ServerError, OSError) as error:
        print(f"claim-server: {error}", file=sys.stderr)
        return 3
