# SPDX-License-Identifier: Apache-2.0
"""Seeds faults into core for scripts/mutants, and grades targets and tests by those they find."""
