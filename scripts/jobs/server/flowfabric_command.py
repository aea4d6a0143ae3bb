# SPDX-License-Identifier: Apache-2.0
"""Runs a command beside FlowFabric's own server, and ends the server with the command. Started by
scripts/flowfabric-server."""

from __future__ import annotations

import argparse
import secrets
import sys

from jobs.common import processes
from jobs.server import claim_server, command, flowfabric


def _serve(running: flowfabric.Deployment) -> int:
    # Only a command that runs here gets the token; a terminal is no place for a token.
    return command.serve({name: text for name, text in running.environment().items()
                          if not name.startswith("FF_API_TOKEN")})


def main(arguments: argparse.Namespace) -> int:
    processes.raise_on_signals()
    settings = flowfabric.Settings(
        lanes=tuple(arguments.lanes.split(",")), flow_partitions=arguments.partitions,
        token=secrets.token_hex(16) if arguments.token else None, tls=arguments.tls)
    try:
        if arguments.build:
            print(flowfabric.build())
            return 0
        with flowfabric.deployment(settings) as running:
            return (command.run(arguments.command, running.environment()) if arguments.command
                    else _serve(running))
    except processes.Interrupted as interrupted:
        return interrupted.exit_status
    except (claim_server.ServerError, flowfabric.MissingServer, OSError) as error:
        print(f"flowfabric-server: {error}", file=sys.stderr)
        return 3
