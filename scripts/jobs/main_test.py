# SPDX-License-Identifier: Apache-2.0
"""Tests the options of all scripts: what they take, how they refuse, and what help needs."""

import argparse
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from jobs import __main__ as start
from jobs.bench import options as bench
from jobs.claims import conformance, fault_makers, options as claims
from jobs.common import build, options
from jobs.fuzz import job as fuzz_job, options as fuzz, ossfuzz
from jobs.live import options as live
from jobs.mutants import graders, options as mutants, parts
from jobs.perf import commands, start as perf
from jobs.server import options as server

SCRIPTS = build.ROOT / "scripts"


def parse(script, *argv):
    """Returns (arguments, Start), or (the exit status, what was printed)."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            return start.function(start.OPTIONS[script])(list(argv))
        except SystemExit as stop:
            return stop.code, said.getvalue()


class TableTest(unittest.TestCase):
    def test_every_script_is_in_the_table_and_hands_over(self):
        files = {path.name for path in SCRIPTS.iterdir() if path.is_file()}
        self.assertEqual(files - {"bootstrap"}, {*start.OPTIONS, "perf"})
        for name in files - {"bootstrap"}:
            text = (SCRIPTS / name).read_text(encoding="utf-8")
            self.assertIn(f'exec "$scripts/jobs/run" {name} "$@"', text, name)
            self.assertLess(len(text.splitlines()), 12, name)

    def test_every_job_is_there(self):
        for name in start.JOBS.values():
            self.assertTrue(callable(start.function(name)), name)

    def test_choices_are_those_of_the_jobs(self):
        self.assertEqual(tuple(fault_makers.KINDS), claims.FAULTS)
        self.assertEqual(conformance._ENGINES, claims.ENGINES)
        self.assertEqual(set(fuzz_job.FAST), set(fuzz.ENGINES))
        self.assertEqual(set(ossfuzz.FLAGS), set(fuzz.SANITIZERS))
        self.assertEqual(tuple(parts.NAMES), mutants.PARTS)
        self.assertEqual(tuple(graders.GRADERS), mutants.GRADERS)
        self.assertEqual({*commands.COMMANDS, "report"}, set(perf.COMMANDS))

    def test_every_option_says_what_it_does(self):
        parsers = [bench.parser(), claims.conformance_parser(), claims.faults_parser(),
                   claims.vectors_parser(), claims.make_vectors_parser(), fuzz.parser(),
                   fuzz.ossfuzz_parser(), live.fleet_parser(), mutants.parser(),
                   server.claim_server_parser(), server.flowfabric_parser()]
        for parser in parsers:
            self.assertRegex(parser.epilog, r"Exit status: ", parser.prog)
            for action in parser._actions:
                self.assertTrue(action.help, (parser.prog, action.option_strings))


class HelpTest(unittest.TestCase):
    def test_help_needs_nothing_that_bootstrap_installs(self):
        with tempfile.TemporaryDirectory() as folder:
            for module in ("scipy", "numpy", "statsmodels", "matplotlib", "jinja2",
                           "markdown_it"):
                Path(folder, f"{module}.py").write_text("raise ImportError\n")
            for name in (*start.OPTIONS, "perf"):
                done = subprocess.run(
                    [sys.executable, SCRIPTS / "jobs" / "__main__.py", name, "--help"],
                    env={**os.environ, "PYTHONPATH": folder}, text=True, capture_output=True,
                    stdin=subprocess.DEVNULL, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""), name)
                self.assertIn(f"usage: scripts/{name} ", done.stdout)
                self.assertIn("Exit status: ", done.stdout)
            for command in perf.COMMANDS:
                package = "page" if command == "report" else "perf"
                done = subprocess.run(
                    [sys.executable, SCRIPTS / "jobs" / package / "__main__.py", command, "--help"],
                    env={**os.environ, "PYTHONPATH": folder}, text=True, capture_output=True,
                    stdin=subprocess.DEVNULL, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""), command)
                self.assertIn(f"usage: scripts/perf {command} ", done.stdout)

    def test_wrong_usage_ends_with_2_before_anything_is_installed(self):
        for name in start.OPTIONS:
            status, said = parse(name, "--no-such-option")
            self.assertEqual(status, 2, name)
            self.assertIn(f"scripts/{name}: error: ", said)


class WrongTest(unittest.TestCase):
    def refused(self, script, *argv):
        found = parse(script, *argv)
        self.assertEqual(found[0], 2, (script, argv, found))
        return found[1]

    def test_numbers(self):
        for text in ("0", "-1", "x", "1.5", "", "nan", "1e400"):
            self.refused("mutants", "--count", text)
            self.refused("claims-faults", "--threads", text)
        for text in ("0", "-1", "x", "nan", "inf", ""):
            self.refused("fuzz", "--all", "--seconds", text)
            self.refused("claims-faults", "--seconds", text)
        self.refused("fuzz", "--all", "--seed", "-1")
        self.refused("make-vectors", "--seed", str(2**64), "--count", "1")
        self.refused("make-vectors", "--count", "1")
        self.refused("claim-server", "--cluster", "--replicas", "3")
        self.refused("flowfabric-server", "--partitions", "65536")
        self.refused("live-fleet", "--kills", "-1")
        self.assertEqual(parse("fuzz", "x", "--executions", "1e9")[0].executions, 10**9)
        self.assertEqual(options.count("1000"), 1000)
        with self.assertRaises(argparse.ArgumentTypeError):
            options.count("0.5")

    def test_what_does_not_go_together(self):
        for argv in (("--backend=valkey", "--peers"), ("--backend", "valkey", "--filter", "x"),
                     ("--cluster",), ("--engine=redis",), ("--server", "h:1"),
                     ("--with-reference",), ("--backend", "valkey", "--server", "nowhere"),
                     ("--backend", "valkey", "--server", "h:1", "--cluster"),
                     ("--backend", "valkey", "--server", "h:1", "--with-reference"),
                     ("--backend", "valkey", "--server", "h:1", "--engine", "redis"),
                     ("--transports",), ("--backend", "valkey", "--transports", "--cluster"),
                     ("--backend", "valkey", "--transports", "--server", "h:1"),
                     ("--backend", "valkey", "--transports", "--with-reference"),
                     ("--backend", "disk"), ("--out",), ("--out", ""), ("more",)):
            self.refused("bench", *argv)
        self.refused("fuzz")
        self.refused("fuzz", "--all", "a_target")
        self.refused("fuzz", "--all", "--merge", "--executions", "9")
        self.refused("claims-conformance", "--server", "h:1", "--cluster")
        self.refused("claims-conformance", "--server", "h:1", "--transport", "unix")
        self.refused("claims-conformance", "--store", "h:1")
        self.refused("claims-faults", "--fault", "move", "--transport", "tls")
        self.refused("claims-conformance", "--use-loaded-library")
        self.refused("claims-conformance", "--contract", "1")
        self.refused("claim-server", "--replicas", "1")
        self.refused("mutants", "--kind", "x")
        self.refused("conformance")

    def test_an_address_is_one_and_a_password_in_it_is_not_repeated(self):
        for text in ("h:1", "[::1]:7", "a:1,b:2", "valkey://u@h:1/0", "rediss://h",
                     "unix:///run/v.sock"):
            self.assertEqual(parse("claims-conformance", "--server", text)[0].server, text)
        for text in ("nowhere", "h:", "http://h", "hunter2@h:1", "", "h:1,",
                     "valkey://u:hunter2@h", "h:1,redis://:hunter2@h", "valkey://u:/hunter2@h"):
            said = self.refused("claims-conformance", "--server", text)
            self.assertNotIn("hunter2", said)
        for argv in (("valkey://u:hunter2@h",), ("--x=valkey://u:hunter2@h",),
                     ("--engine", "valkey://u:hunter2@h")):
            for script in ("bench", "claims-conformance", "claims-faults"):
                said = self.refused(script, *argv)
                self.assertIn("://***@h", said)
                self.assertNotIn("hunter2", said)

    def test_options_are_not_shortened(self):
        self.refused("bench", "--qui")


class StartTest(unittest.TestCase):
    def test_what_is_installed_follows_from_the_options(self):
        for argv, job, needs in (
                (("bench",), "bench", ("bench",)),
                (("bench", "--peers", "--quick"), "bench", ("peers",)),
                (("bench", "--backend", "valkey"), "bench-server", ("server-bench",)),
                (("bench", "--backend", "flowfabric", "--start"), "bench-flowfabric",
                 ("live-bench",)),
                (("live-conformance", "--start"), "live-conformance", ("valkey",)),
                (("live-fleet",), "live-fleet", ("claims", "live-bench")),
                (("fuzz", "--all"), "fuzz", ("fuzz",)),
                (("fuzz", "--all", "--engine=afl"), "fuzz", ("fuzz-afl",)),
                (("mutants",), "mutants", ("fuzz", "coverage")),
                (("mutants", "--list"), "mutants", ()),
                (("mutants", "--by-hand"), "mutants-by-hand", ("fuzz", "coverage")),
                (("test", "--long"), "test", ("test",))):
            _, found = parse(*argv)
            self.assertEqual((found.job, found.needs), (job, needs), argv)
            self.assertIn(found.job, start.JOBS)

    def test_faults_by_transport(self):
        everything = parse("claims-faults")[0].fault
        self.assertEqual(everything, list(claims.FAULTS))
        self.assertEqual(parse("claims-faults", "--transport", "unix")[0].fault, everything)
        self.assertEqual(parse("claims-faults", "--transport", "tls")[0].fault,
                         [name for name in everything if name not in ("move", "leave")])
        self.assertNotIn("move", parse("claims-faults", "--short", "--transport", "tls")[0].fault)

    def test_what_perf_needs(self):
        for line, job in (
                ("gate", "gate"), ("gate --budget 9", "gate"), ("gate OLD NEW", "compare"),
                ("gate --base-bin a --head-bin b", "compare"), ("gate --build=make", "compare"),
                ("counts OLD NEW", "counts"), ("record --bin x", "record"), ("record", "gate"),
                ("trend", "trend"), ("history fetch", "trend"), ("validate x", "compare"),
                ("report", "perf"), ("selftest", "gate"), ("gate --help", None)):
            self.assertEqual(perf.needs(line.split()), job, line)

    def test_paths_are_the_caller_s(self):
        arguments, _ = parse("bench", "--out", "x")
        self.assertEqual(arguments.out, Path.cwd() / "x")

    def test_the_command_after_the_dashes_keeps_its_options(self):
        arguments, _ = parse("claim-server", "--cluster", "--", "ls", "--all")
        self.assertEqual((arguments.command, arguments.cluster), (["ls", "--all"], True))


if __name__ == "__main__":
    unittest.main()
