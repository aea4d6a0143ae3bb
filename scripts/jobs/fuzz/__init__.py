# SPDX-License-Identifier: Apache-2.0
"""scripts/fuzz and scripts/ossfuzz-check: run, judge and check the fuzz targets."""
