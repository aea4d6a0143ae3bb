# SPDX-License-Identifier: Apache-2.0
"""Makes a certificate authority for tests, and good and faulty certificates, by the openssl
command.

    made = certificates.make(folder)     # folder/ca.pem, folder/server.pem, folder/server.key, ...
"""

import datetime
import subprocess
from pathlib import Path

_CONFIGURATION = """\
[ req ]
distinguished_name = name
prompt = no
[ name ]
CN = ffgrant test
[ authority ]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[ ca ]
default_ca = own
[ own ]
database = {folder}/{authority}.index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
email_in_dn = no
unique_subject = no
[ any ]
commonName = supplied
"""

_HERE = "IP:127.0.0.1,DNS:localhost"
_DAY = datetime.timedelta(days=1)


class CertificateError(Exception):
    """The openssl command is missing, or did not do what it was asked for."""


def _run(folder: Path, *words: str) -> None:
    try:
        done = subprocess.run(["openssl", *words], cwd=folder, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=60, check=False)
    except OSError as error:
        raise CertificateError(f"openssl: {error}") from error
    if done.returncode != 0:
        raise CertificateError(f"openssl {words[0]}: {done.stderr.strip()[-500:]}")


def _key(folder: Path, name: str) -> None:
    _run(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-out", f"{name}.key")


def _authority(folder: Path, name: str) -> None:
    (folder / f"{name}.index").touch()
    (folder / f"{name}.cnf").write_text(
        _CONFIGURATION.format(folder=folder, authority=name), encoding="ascii")
    _key(folder, name)
    _run(folder, "req", "-x509", "-new", "-config", f"{name}.cnf", "-extensions", "authority",
         "-key", f"{name}.key", "-subj", f"/CN=ffgrant test authority {name}", "-days", "2",
         "-out", f"{name}.pem")


def _stamp(moment: datetime.datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%SZ")


def _issue(folder: Path, name: str, names: str, authority: str = "ca", begins: int = -1,
           ends: int = 1) -> None:
    """A certificate for `names`, valid from `begins` to `ends` days from now."""
    now = datetime.datetime.now(datetime.timezone.utc)
    _key(folder, name)
    (folder / f"{name}.ext").write_text(f"subjectAltName={names}\n", encoding="ascii")
    _run(folder, "req", "-new", "-config", f"{authority}.cnf", "-key", f"{name}.key",
         "-subj", f"/CN={name}", "-out", f"{name}.csr")
    _run(folder, "ca", "-batch", "-notext", "-config", f"{authority}.cnf",
         "-cert", f"{authority}.pem", "-keyfile", f"{authority}.key", "-in", f"{name}.csr",
         "-extfile", f"{name}.ext", "-startdate", _stamp(now + begins * _DAY),
         "-enddate", _stamp(now + ends * _DAY), "-out", f"{name}.pem")


def make(folder: Path) -> None:
    """Writes these certificates (.pem) and keys (.key) into the folder:

    ca          the authority; `stranger` is another one
    server      right for 127.0.0.1 and localhost; the next five are like it, but each has one
                fault: expired, future (not valid yet), elsewhere (another name), selfsigned,
                unknown (issued by `stranger`)
    client      for a client; foreign: the same, but issued by `stranger`
    """
    _authority(folder, "ca")
    _authority(folder, "stranger")
    _issue(folder, "server", _HERE)
    _issue(folder, "expired", _HERE, begins=-3, ends=-1)
    _issue(folder, "future", _HERE, begins=1, ends=3)
    _issue(folder, "elsewhere", "IP:127.9.9.9,DNS:elsewhere.example")
    _issue(folder, "unknown", _HERE, authority="stranger")
    _issue(folder, "client", "DNS:client")
    _issue(folder, "foreign", "DNS:client", authority="stranger")
    _key(folder, "selfsigned")
    _run(folder, "req", "-x509", "-new", "-config", "ca.cnf", "-key", "selfsigned.key",
         "-subj", "/CN=selfsigned", "-addext", f"subjectAltName={_HERE}", "-days", "2",
         "-out", "selfsigned.pem")
