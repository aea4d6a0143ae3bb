# SPDX-License-Identifier: Apache-2.0
"""Defines the exit statuses of scripts/perf, and the verdicts that they stand for."""

CLEAN, REGRESSION, HARNESS_ERROR, INCONCLUSIVE, SUSPICION = range(5)

# The verdicts on a whole run, most urgent first.
STATUS_OF = {"regressed": REGRESSION, "error": HARNESS_ERROR, "unmeasured": HARNESS_ERROR,
             "suspected": SUSPICION, "inconclusive": INCONCLUSIVE, "clean": CLEAN}
EPILOG = ("Exit status: 0 nothing slower; 1 something is; 2 wrong usage, or something could not be "
          "measured; 3 inconclusive: too noisy, or the time was up; 4 something seemed slower and "
          "could not be confirmed; 128 + signal if interrupted.")
