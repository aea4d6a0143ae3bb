# SPDX-License-Identifier: Apache-2.0

import unittest
from unittest import mock

from jobs.server import claim_server, variants
from jobs.server.load_figures import OURS, Figures


def _figures_of(rate):
    return {"count": 100, "seconds": 100 / rate, "p50_us": 1.0, "p99_us": 2.0, "server_cpu": 0.001}


class Variants(unittest.TestCase):
    def names(self, found):
        """The variants that are measured beside the server "auto", if the servers in `found` are
        there."""
        def find(engine):
            if engine not in found:
                raise claim_server.ServerError(f"no {engine}")
            return claim_server.Binary("/server", *found[engine], "installed")

        with mock.patch.object(claim_server, "find", find):
            return [variant.name for variant in variants.variants("auto")]

    def test_each_version_is_there_once(self):
        names = self.names({"auto": ("Valkey", "9.1.2"), "pinned": ("Valkey", "9.1.2"),
                            "pinned-old": ("Valkey", "9.0.0"), "redis": ("Redis", "7.0.15")})
        self.assertEqual(names[3:], ["Valkey 9.0.0 (installed)", "Redis 7.0.15 (installed)"])

    def test_settings_are_there_with_one_server_alone(self):
        names = self.names({"auto": ("Redis", "7.0.15"), "redis": ("Redis", "7.0.15")})
        self.assertEqual(len(names), 3)
        self.assertIn("io-threads 2", names)


class Rows(unittest.TestCase):
    def test_each_stands_beside_the_first(self):
        figures = Figures()
        for _ in range(2):
            figures.add(variants.WHAT, 64, OURS, _figures_of(1000))
            figures.add(variants.WHAT, 64, "slow", _figures_of(500))
        rows = variants.table(figures, ["slow"], 64).rows
        self.assertEqual(rows[0][0:2] + rows[0][-1:],
                         ["the first: no persistence, one thread", "1.00 k", ""])
        self.assertEqual(rows[1][0:2] + rows[1][-1:], ["slow", "500", "0.50x (0.50-0.50)"])
        self.assertIsNone(variants.table(figures, [], 64))


if __name__ == "__main__":
    unittest.main()
