# SPDX-License-Identifier: Apache-2.0
"""Defines the error with which every command of scripts/perf may end."""


class PerfError(Exception):
    """Says that nothing can be said about the performance, and why. The exit status is then 2."""
