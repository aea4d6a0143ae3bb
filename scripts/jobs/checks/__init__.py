# SPDX-License-Identifier: Apache-2.0
"""Runs the steps that prove the project right, and counts their tests, for scripts/test."""
