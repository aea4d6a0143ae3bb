# SPDX-License-Identifier: Apache-2.0
"""The scripts' code: one package for each job, and one package that all jobs share."""
