# SPDX-License-Identifier: Apache-2.0
"""Tries the claim path on all engines and under faults, and runs and makes vectors."""
