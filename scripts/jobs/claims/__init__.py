# SPDX-License-Identifier: Apache-2.0
"""scripts/claims-conformance and scripts/claims-faults: try the claim path on real servers."""
