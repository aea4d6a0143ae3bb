# SPDX-License-Identifier: Apache-2.0
"""Sends requests to FlowFabric's server on a connection that is kept open. Nothing is added to a
request but the URL's path before the target, the host, and the header that says how long the body
is or that it is chunked."""

from __future__ import annotations

import http.client
import os
import ssl
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

from jobs.live.routes import Request

_SECONDS = 30
_CONNECT_SECONDS = 10  # for a connection, with the handshake of TLS
_TRIES = 3
_CHUNK = 8192


# These errors mean that there was a connection, and that it ended.
_ENDED = (http.client.RemoteDisconnected, http.client.IncompleteRead, BrokenPipeError,
          ConnectionResetError, ssl.SSLEOFError)


class NoServer(Exception):
    """The server can't be reached, its certificate is refused, its connections break again and
    again, or the certificates to trust can't be read."""


def token() -> str | None:
    """The bearer token, from the file that FF_API_TOKEN_FILE names or, if it is not set, from
    FF_API_TOKEN; None if neither is set."""
    path = os.environ.get("FF_API_TOKEN_FILE")
    if path:
        return Path(path).read_text(encoding="utf-8").splitlines()[0].strip()
    return os.environ.get("FF_API_TOKEN") or None


def ca_file(named: Path | None) -> str | None:
    """The file of certificates to trust: the one that an option names, or FF_API_CA_FILE's."""
    return str(named) if named else os.environ.get("FF_API_CA_FILE") or None


class NoAnswer(NoServer):
    """Several connections in a row were made and ended without an answer."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl's errors are OSErrors too
        raise NoServer(f"the certificates of {ca_file}: {error.strerror or error}") from None


class Connection:
    """A connection for one thread. If the connection breaks, it is made again and the request is
    repeated, twice at most."""

    def __init__(self, url: str, ca_file: str | None = None) -> None:
        parts = urllib.parse.urlsplit(url)
        self._prefix = parts.path.rstrip("/")
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "https":
            self._http: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=_CONNECT_SECONDS, context=_trust(ca_file))
        else:
            self._http = http.client.HTTPConnection(host, port, timeout=_CONNECT_SECONDS)

    def ask(self, request: Request) -> Answer:
        for tried in range(1, _TRIES + 1):
            try:
                return self._ask(request)
            except (OSError, http.client.HTTPException) as error:
                kind = NoAnswer if isinstance(error, _ENDED) else NoServer
                self._http.close()
                if tried == _TRIES:
                    raise kind(f"{request.method} {request.target[:80]}: "
                               f"{error or type(error).__name__}") from None
        raise AssertionError

    def _ask(self, request: Request) -> Answer:
        if self._http.sock is None:
            self._connect()
        self._http.putrequest(request.method, self._prefix + request.target,
                              skip_accept_encoding=True)
        for name, text in request.headers:
            self._http.putheader(name, text)
        if request.is_chunked:
            self._http.putheader("transfer-encoding", "chunked")
        elif request.method != "GET" or request.body:
            self._http.putheader("content-length", str(len(request.body)))
        try:
            self._http.endheaders()
            self._send(request)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass  # perhaps the server has answered before it read the whole request
        response = self._http.getresponse()
        return Answer(response.status, response.read(),
                      {name.lower(): text for name, text in response.getheaders()})

    def _connect(self) -> None:
        try:
            self._http.connect()
        except (ssl.SSLCertVerificationError, TimeoutError) as error:
            # Another try would not help: a certificate that was refused will be refused again, and
            # a server that is silent will stay so.
            self._http.close()
            raise NoServer(f"{self._http.host}:{self._http.port}: {error}") from None
        self._http.sock.settimeout(_SECONDS)

    def _send(self, request: Request) -> None:
        if not request.is_chunked:
            self._http.send(request.body)
            return
        for i in range(0, len(request.body), _CHUNK):
            part = request.body[i:i + _CHUNK]
            self._http.send(b"%x\r\n%s\r\n" % (len(part), part))
        self._http.send(b"0\r\n\r\n")

    def close(self) -> None:
        self._http.close()
