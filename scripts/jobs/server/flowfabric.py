# SPDX-License-Identifier: Apache-2.0
"""Starts FlowFabric's own server beside a Valkey, on free ports of the loopback, and always stops
both.

    with flowfabric.deployment(Settings(lanes=("default",))) as running:
        urllib.request.urlopen(running.url + "/healthz")

The server is the published crate, pinned by version. It is built once (about 8 minutes on two
cores) and kept among the downloads. The command line is jobs.server.flowfabric_command
(scripts/flowfabric-server).
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs.common import processes, reference, wheels
from jobs.server import claim_server

CRATE, VERSION = "ff-server", "0.15.0"
_START_SECONDS = 60
_STOP_SECONDS = 10
# The key that signs waitpoint tokens. Anybody may know this key, because a deployment that lives
# for minutes has no secrets.
_SECRET = "ab" * 32


class MissingServer(Exception):
    """FlowFabric's server is not there, and can't be built here."""


@dataclass(frozen=True)
class Settings:
    lanes: tuple[str, ...] = ("default",)
    flow_partitions: int = 256
    token: str | None = None  # the bearer token of all requests but /healthz
    # Whether clients speak TLS to both servers. stunnel4 speaks TLS for a server that has none.
    tls: bool = False
    engine: str = "valkey"  # as claim_server.find() takes it


def kept_binary() -> Path:
    """The path where the built server is kept."""
    return wheels.CACHE / f"{CRATE}-{VERSION}" / "bin" / "ff-server"


def find() -> Path:
    """The server's binary: the one that FFGRANT_FF_SERVER names, or the kept binary."""
    named = os.environ.get("FFGRANT_FF_SERVER")
    if named:
        return Path(named)
    if not kept_binary().exists():
        raise MissingServer(
            f"{CRATE} {VERSION} is not built; ./scripts/flowfabric-server --build does that where "
            "cargo is (./scripts/bootstrap --with-reference); FFGRANT_FF_SERVER names another one")
    return kept_binary()


def lacking_sdk() -> str | None:
    """Why the server and a worker on FlowFabric's SDK can't both run here; None if they can."""
    try:
        find()
    except MissingServer as missing:
        return str(missing)
    reason = reference.lacking(reference.SDK_WORKER)
    return f"the worker on FlowFabric's SDK: {reason}; {reference.ADVICE}" if reason else None


def build() -> Path:
    """Builds the pinned crate with the crate's own lock file, unless it is built already."""
    if kept_binary().exists():
        return kept_binary()
    if not shutil.which("cargo"):
        raise MissingServer(f"building {CRATE} {VERSION} needs cargo, from Rust 1.85 on: "
                            "./scripts/bootstrap --with-reference installs it")
    root = wheels.CACHE / f"{CRATE}-{VERSION}"
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as target:
        done = subprocess.run(
            ["cargo", "install", "--locked", "--root", str(root), "--version", f"={VERSION}",
             CRATE],
            env={**os.environ, "CARGO_TARGET_DIR": target}, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0 or not kept_binary().exists():
        raise MissingServer(f"cargo could not build {CRATE} {VERSION}")
    return kept_binary()


class Server:
    """One process of FlowFabric's server."""

    def __init__(self, binary: Path, valkey: claim_server.Server, directory: Path,
                 settings: Settings) -> None:
        self._binary = binary
        self._valkey = valkey
        self._settings = settings
        self._log = directory / "ff-server.log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{claim_server.HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def _environment(self) -> dict[str, str]:
        settings = self._settings
        names = {
            "FF_HOST": claim_server.HOST, "FF_PORT": str(self._valkey.port),
            "FF_LISTEN_ADDR": f"{claim_server.HOST}:{self.port}",
            "FF_LANES": ",".join(settings.lanes), "FF_WAITPOINT_HMAC_SECRET": _SECRET,
            "FF_FLOW_PARTITIONS": str(settings.flow_partitions),
        }
        if settings.token:
            names["FF_API_TOKEN"] = settings.token
        # No FF_ variable of this process's environment reaches the server.
        others = {name: text for name, text in os.environ.items() if not name.startswith("FF_")}
        return {"RUST_LOG": "warn", **others, **names}

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(claim_server.HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def log_tail(self) -> str:
        with contextlib.suppress(OSError):
            text = self._log.read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.splitlines()[-15:])
        return ""

    def start(self) -> None:
        with socket.socket() as probe:
            probe.bind((claim_server.HOST, 0))
            self.port = probe.getsockname()[1]
        with open(self._log, "ab") as output:
            self.process = subprocess.Popen(
                claim_server.guarded([str(self._binary)]), env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True)
        limit = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            status = self.process.poll()
            if status is not None or time.monotonic() > limit:
                tail = self.log_tail()
                self.stop()
                what = f"ended with status {status}" if status is not None else \
                    f"was not ready within {_START_SECONDS} s"
                raise claim_server.ServerError(f"{self._binary.name} {what}:\n{tail}")
            time.sleep(0.05)

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        processes.end_one(process, _STOP_SECONDS)


@dataclass
class Deployment:
    """The server that runs, and the Valkey that it works on."""

    valkey: claim_server.Server
    server: Server
    settings: Settings
    tunnel: claim_server.Tunnel | None = None  # in front of the server, with TLS

    @property
    def url(self) -> str:
        if self.tunnel:
            return f"https://{claim_server.HOST}:{self.tunnel.port}"
        return self.server.url

    @property
    def ca_file(self) -> Path | None:
        """The certificates that a client has to trust; None without TLS."""
        return self.valkey.certificates / "ca.pem" if self.settings.tls else None

    def environment(self) -> dict[str, str]:
        """The variables that tell a command about the deployment: {name: text}."""
        names = {"FFGRANT_ISSUER": self.url, "FFGRANT_SERVER": self.valkey.address,
                 "FFGRANT_SERVER_URL": self.valkey.url,
                 "FFGRANT_LANES": ",".join(self.settings.lanes),
                 "FFGRANT_SERVER_PIDS": f"{self.server.pid},{self.valkey.pid}",
                 **self.valkey.variables}
        if self.ca_file:
            names["FF_API_CA_FILE"] = str(self.ca_file)
        if self.settings.token:
            names["FF_API_TOKEN"] = self.settings.token
            names["FF_API_TOKEN_FILE"] = ""  # a file that the caller named has another token
        return names


@contextlib.contextmanager
def deployment(settings: Settings = Settings()) -> Iterator[Deployment]:
    """Starts a Valkey and FlowFabric's server on it; both end with the context."""
    binary = find()
    of_valkey = claim_server.Settings(transport="tls" if settings.tls else "tcp")
    with contextlib.ExitStack() as stack:
        valkey = stack.enter_context(claim_server.alone(settings.engine, of_valkey))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = Server(binary, valkey, directory, settings)
        stack.callback(server.stop)
        server.start()
        tunnel = None
        if settings.tls:
            tunnel = claim_server.Tunnel(directory, valkey.certificates, server.port)
            stack.callback(tunnel.stop)
            tunnel.start()
        yield Deployment(valkey, server, settings, tunnel)
