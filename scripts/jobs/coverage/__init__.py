# SPDX-License-Identifier: Apache-2.0
"""Says which parts of core the tests and the fuzz corpora reach, for scripts/coverage."""
