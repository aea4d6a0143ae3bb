# SPDX-License-Identifier: Apache-2.0
"""Holds the scripts' code: one package for each job, and one package that all jobs share."""
