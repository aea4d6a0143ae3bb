# SPDX-License-Identifier: Apache-2.0
"""Says for scripts/coverage which parts of core are reached by the tests and the fuzz corpora."""
