# SPDX-License-Identifier: Apache-2.0
"""Holds the scripts' code: packages of jobs, and one package that all jobs share."""
