# SPDX-License-Identifier: Apache-2.0
"""Odd programs and situations, each with the verdict that scripts/perf must reach: the outside corpus."""
