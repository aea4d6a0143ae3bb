# SPDX-License-Identifier: Apache-2.0
"""scripts/bench: measures core's benchmarks in rounds, beside baselines and peers."""
