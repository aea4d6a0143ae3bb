# SPDX-License-Identifier: Apache-2.0
"""Seeds faults into core, and grades the fuzz targets by the faults that they find, for
scripts/mutants."""
