# SPDX-License-Identifier: Apache-2.0
"""Seeds faults into core, and grades the fuzz targets by what they find, for scripts/mutants."""
