# SPDX-License-Identifier: Apache-2.0
"""scripts/coverage: says which parts of core the tests and the fuzz corpora reach."""
