# SPDX-License-Identifier: Apache-2.0
"""Seeds faults into core for scripts/mutants, and grades the fuzz targets by those they find."""
