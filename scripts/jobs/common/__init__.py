# SPDX-License-Identifier: Apache-2.0
"""Holds what all jobs share: builds, processes, terminal, machine, tables, intervals, packages."""
