# SPDX-License-Identifier: Apache-2.0
"""The error that every command of scripts/perf may end with."""


class PerfError(Exception):
    """Nothing can be said about the performance: exit status 2. The text says why."""
