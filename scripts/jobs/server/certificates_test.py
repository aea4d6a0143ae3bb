# SPDX-License-Identifier: Apache-2.0

import subprocess
import tempfile
import unittest
from pathlib import Path

from jobs.server import certificates


class Certificates(unittest.TestCase):
    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.folder = Path(holder.name)
        certificates.make(cls.folder)

    def verified(self, name: str, *options: str, authority: str = "ca") -> str:
        done = subprocess.run(
            ["openssl", "verify", "-CAfile", f"{authority}.pem", *options, f"{name}.pem"],
            cwd=self.folder, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False)
        return done.stdout.lower()

    def test_each_has_its_fault_and_no_other(self) -> None:
        here = ("-verify_ip", "127.0.0.1")
        self.assertIn("server.pem: ok", self.verified("server", *here))
        self.assertIn("server.pem: ok", self.verified("server", "-verify_hostname", "localhost"))
        for name, fault in (("expired", "certificate has expired"),
                            ("future", "certificate is not yet valid"),
                            ("elsewhere", "ip address mismatch"),
                            ("selfsigned", "self-signed certificate|self signed certificate"),
                            ("unknown", "unable to get local issuer certificate")):
            self.assertRegex(self.verified(name, *here), fault, name)
        for name in ("expired", "future"):
            self.assertIn("ok", self.verified(name, *here, "-no_check_time"), name)
        self.assertIn("ok", self.verified("elsewhere", "-verify_ip", "127.9.9.9"))
        self.assertIn("ok", self.verified("selfsigned", *here, authority="selfsigned"))
        self.assertIn("ok", self.verified("unknown", *here, authority="stranger"))
        self.assertIn("ok", self.verified("client"))
        self.assertIn("ok", self.verified("foreign", authority="stranger"))

    def test_what_openssl_says_is_shown(self) -> None:
        # ca.key is a folder. Newer versions of openssl fail only when the next command reads it.
        with tempfile.TemporaryDirectory() as folder, \
                self.assertRaisesRegex(certificates.CertificateError,
                                       r"openssl (genpkey|req): .*ca\.key"):
            Path(folder, "ca.index").touch()
            Path(folder, "ca.key").mkdir()
            certificates.make(Path(folder))


if __name__ == "__main__":
    unittest.main()
