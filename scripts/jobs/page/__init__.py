# SPDX-License-Identifier: Apache-2.0
"""scripts/perf report makes one HTML page and its plots of what the other jobs wrote."""
