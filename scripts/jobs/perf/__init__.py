# SPDX-License-Identifier: Apache-2.0
"""scripts/perf tells whether a revision is slower than another, and keeps a history of times."""
