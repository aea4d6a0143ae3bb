# SPDX-License-Identifier: Apache-2.0
"""Runs a command beside FlowFabric's own server, which ends with it. Started by
scripts/flowfabric-server."""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import time

from jobs.common import processes
from jobs.server import claim_server, flowfabric

_GRACE_SECONDS = 10


def _run(command: list[str], running: flowfabric.Deployment) -> int:
    """The command's exit status, as a shell gives it."""
    child = subprocess.Popen(command, env={**os.environ, **running.environment()})
    try:
        status = child.wait()
    except BaseException:
        # A terminal's Ctrl-C has reached the command as well; a signal to us alone has not.
        child.terminate()
        try:
            child.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise
    return status if status >= 0 else 128 - status


def _serve(running: flowfabric.Deployment) -> int:
    for name, text in running.environment().items():
        # A token is for the command that is run here; a terminal is no place for it.
        if name != "FF_API_TOKEN":
            print(f"{name}={text}", flush=True)
    print("running until it is interrupted", file=sys.stderr, flush=True)
    while True:
        time.sleep(3600)


def main(arguments: argparse.Namespace) -> int:
    processes.raise_on_signals()
    settings = flowfabric.Settings(
        lanes=tuple(arguments.lanes.split(",")), flow_partitions=arguments.partitions,
        token=secrets.token_hex(16) if arguments.token else None)
    try:
        if arguments.build:
            print(flowfabric.build())
            return 0
        with flowfabric.deployment(settings) as running:
            return _run(arguments.command, running) if arguments.command else _serve(running)
    except processes.Interrupted as interrupted:
        return interrupted.exit_status
    except (claim_server.ServerError, flowfabric.MissingServer, OSError) as error:
        print(f"flowfabric-server: {error}", file=sys.stderr)
        return 3
