# SPDX-License-Identifier: Apache-2.0
"""scripts/perf tells whether a revision or program is slower than another, and keeps a history of
figures."""
