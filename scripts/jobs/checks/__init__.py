# SPDX-License-Identifier: Apache-2.0
"""scripts/test: runs the steps that prove the project right, and counts their tests."""
