# SPDX-License-Identifier: Apache-2.0
"""scripts/coverage: says what the tests and the fuzz corpora reach of core."""
