# SPDX-License-Identifier: Apache-2.0
"""Checks a running FlowFabric deployment against its contract, and measures it."""
