# SPDX-License-Identifier: Apache-2.0
"""What all jobs share: builds, processes, terminal, machine, tables, intervals and packages."""
