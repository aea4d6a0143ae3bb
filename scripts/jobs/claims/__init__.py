# SPDX-License-Identifier: Apache-2.0
"""Tries the claim path on real servers, for scripts/claims-conformance and claims-faults."""
