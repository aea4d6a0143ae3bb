# SPDX-License-Identifier: Apache-2.0
"""Holds a running FlowFabric deployment to its contract, and measures it."""
