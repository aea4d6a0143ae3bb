# SPDX-License-Identifier: Apache-2.0
"""Tests that a password of the scripts' user reaches the server, and never reaches an output that
anybody reads."""

import io
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from jobs.claims import conformance
from jobs.common import build
from jobs.common.terminal import Terminal
from jobs.server import claim_server

SECRET = "hunter2-of-this-test"
SCRIPTS = build.ROOT / "scripts"


def run(*words: str, **variables: str) -> tuple[int, str]:
    """Returns (exit status, all that the command printed)."""
    done = subprocess.run(words, env={**os.environ, **variables}, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, check=False)
    return done.returncode, done.stdout


def setUpModule() -> None:
    terminal = Terminal(io.StringIO())
    build.configure(terminal, conformance.PRESET)
    build.build(terminal, conformance.PRESET, ("claims_conformance",))


class OnTheCommandLine(unittest.TestCase):
    def test_no_script_has_an_option_that_takes_a_password(self) -> None:
        files = [path for path in SCRIPTS.rglob("*")
                 if path.is_file() and path.suffix in ("", ".py")]
        files += list((build.ROOT / "core" / "testing").rglob("*.cc"))
        files.append(build.ROOT / "bench" / "server_load.cc")
        self.assertGreater(len(files), 100)
        word = "(pass(word)?|secret|auth)"
        option = re.compile(rf"""["'`\[ |]--{word}\b|ABSL_FLAG\([^,]*, {word}\b"""
                            rf"""|\{{"{word}", (required|no)_argument""")
        for text in (" --password", "'--pass'", "ABSL_FLAG(std::string, secret",
                     '{"password", required_argument'):
            self.assertRegex(text, option)
        for path in files:
            if path != Path(__file__):
                found = option.search(path.read_text(encoding="utf-8", errors="replace"))
                self.assertIsNone(found, path)

    def test_an_address_with_one_is_refused_and_not_repeated(self) -> None:
        url = f"valkey://u:{SECRET}@127.0.0.1:1/0"
        for script in ("bench", "claims-conformance", "claims-faults", "claim-server"):
            for words in ((url,), ("--no-such-option", url), (f"--no-such-option={url}",)):
                if script == "claim-server" and words[0] == url:
                    continue  # claim-server would run the address as a command
                status, output = run(str(SCRIPTS / script), *words)
                self.assertEqual(status, 2, f"{script} {output}")
                self.assertNotIn(SECRET, output)

    def test_so_do_the_tools_behind_the_scripts(self) -> None:
        for url in (f"valkey://u:{SECRET}@127.0.0.1:1", f"{SECRET}@127.0.0.1:1",
                    f"127.0.0.1:1,redis://:{SECRET}@db"):
            for words in ((str(conformance.TOOL), "--server", url),
                          (str(conformance.TOOL), url), (str(conformance.TOOL), f"--x={url}")):
                status, output = run(*words)
                self.assertIn(status, (2, 3), output)
                self.assertNotIn(SECRET, output)


class InTheEnvironment(unittest.TestCase):
    def test_a_server_that_wants_one_is_judged_with_it_alone(self) -> None:
        with claim_server.alone("redis") as server, tempfile.TemporaryDirectory() as folder:
            server.client().config_set("requirepass", SECRET)
            file = Path(folder) / "password"
            file.write_text(SECRET + "\n", encoding="ascii")
            wrong = Path(folder) / "wrong"
            wrong.write_text(SECRET + "x\n", encoding="ascii")
            words = (str(conformance.TOOL), "--filter", "7.2", "--server")
            unix = f"unix://{server.socket_path}"
            for url, variables, passes in (
                    (server.address, {"FFGRANT_PASSWORD": SECRET}, True),
                    (unix, {"FFGRANT_PASSWORD_FILE": str(file)}, True),
                    (f"valkey://default@{server.address}/0", {"FFGRANT_PASSWORD": SECRET}, True),
                    (server.address, {"FFGRANT_PASSWORD": SECRET + "x"}, False),
                    (unix, {"FFGRANT_PASSWORD_FILE": str(wrong)}, False),
                    (server.address, {}, False),
                    (server.address, {"FFGRANT_PASSWORD": SECRET,
                                      "FFGRANT_PASSWORD_FILE": str(file)}, False)):
                status, output = run(*words, url, **variables)
                self.assertNotIn(SECRET, output)
                if passes:
                    self.assertEqual(status, 0, output)
                    self.assertRegex(output, r"\n[1-9]\d* passed, 0 failed\n$")
                else:
                    self.assertEqual(status, 3, output)
                    self.assertRegex(output, "WRONGPASS|NOAUTH|both set")


if __name__ == "__main__":
    unittest.main()
