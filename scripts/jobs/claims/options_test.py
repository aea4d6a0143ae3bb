# SPDX-License-Identifier: Apache-2.0
import contextlib
import io
import unittest
from unittest import mock

from jobs.claims import fault_makers, options
from jobs.server import claim_server


class FaultsOptionsTest(unittest.TestCase):
    def refused(self, *argv):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), self.assertRaises(SystemExit) as stop:
            options.parse_faults(list(argv))
        self.assertEqual(stop.exception.code, 2)
        return errors.getvalue()

    def test_what_servers_need_does_not_go_with_simulated(self):
        for argv in (("--short",), ("--long",), ("--fault", "kill"), ("--claims", "5"),
                     ("--seconds", "3"), ("--engine", "redis"), ("--transport", "unix"),
                     ("--threads", "2"), ("--keep", "folder")):
            said = self.refused("--simulated", *argv)
            self.assertIn(f"{argv[0]} does not go with --simulated", said)

    def test_what_worlds_need_does_not_go_without(self):
        for argv in (("--calls", "5"), ("--jobs", "77"), ("--resume",)):
            self.assertIn(f"{argv[0]} goes with --simulated", self.refused(*argv))

    def test_what_goes_together(self):
        found, _ = options.parse_faults(["--simulated", "--calls", "4000", "--seed", "3",
                                         "--jobs", "77", "--resume", "--markdown", "x.md"])
        self.assertEqual((found.calls, found.seed), (4000, 3))
        found, _ = options.parse_faults(["--transport", "tls"])
        self.assertEqual(set(options.FAULTS) - set(found.fault), {"move", "leave"})
        self.assertIn("do not go with --transport tls",
                      self.refused("--transport", "tls", "--fault", "move"))


class TransportTest(unittest.TestCase):
    def test_every_kind_reaches_its_servers_by_the_transport(self):
        for name, kind in fault_makers.KINDS.items():
            for transport in ("tcp", "unix", "tls"):
                asked = []

                @contextlib.contextmanager
                def start(*args, asked=asked, **named):
                    asked.extend(value for value in (*args, *named.values())
                                 if isinstance(value, claim_server.Settings))
                    raise InterruptedError
                    yield

                with mock.patch.multiple(claim_server, alone=start, cluster=start, node=start), \
                        self.assertRaises(InterruptedError), \
                        fault_makers.make_fault(name, 1, 1.0, transport).servers("auto"):
                    pass
                self.assertEqual([each.transport for each in asked], [transport], kind)


if __name__ == "__main__":
    unittest.main()
