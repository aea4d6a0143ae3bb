# SPDX-License-Identifier: Apache-2.0
"""Measures core's benchmarks in rounds, beside baselines and peers, for scripts/bench."""
