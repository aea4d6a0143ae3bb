# SPDX-License-Identifier: Apache-2.0
"""scripts/mutants: seeds faults into core and grades the fuzz targets by what they find."""
