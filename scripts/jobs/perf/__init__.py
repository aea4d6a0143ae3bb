# SPDX-License-Identifier: Apache-2.0
"""Tells whether a revision or program is slower than another, and keeps a history of figures."""
