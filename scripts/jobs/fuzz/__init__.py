# SPDX-License-Identifier: Apache-2.0
"""Runs, judges and checks the fuzz targets, for scripts/fuzz and scripts/ossfuzz-check."""
