# SPDX-License-Identifier: Apache-2.0

import unittest
from types import SimpleNamespace
from unittest import mock

from jobs.perf import decide, measuring, metrics
from jobs.perf.account import Benchmark
from jobs.perf.gbench_json import Key


class SlowedTest(unittest.TestCase):
    def test_only_pairs_of_times_tell_how_much_slower_a_benchmark_is(self):
        result = SimpleNamespace(verdict=decide.INCONCLUSIVE, out_of_time=True,
                                 head=SimpleNamespace(ratio=4.0))
        for metric, told in ((metrics.TIME, 4.0), (metrics.MEMORY, None)):
            name = Benchmark("suite", Key("BM_a"), metric=metric)
            run = measuring._Run(None, decide.Rules())
            run.made.listed = [name]
            run.made.results = {name: result}
            live = mock.Mock()
            live.slowed.return_value = []
            run.name_slowed(live, metric)
            (names, ratios), _ = live.slowed.call_args
            self.assertEqual(names, [name])
            self.assertEqual(ratios.get(name), told)


if __name__ == "__main__":
    unittest.main()
