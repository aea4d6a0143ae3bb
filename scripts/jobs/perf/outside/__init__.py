# SPDX-License-Identifier: Apache-2.0
"""Holds the outside corpus: odd programs and situations, each with the right verdict."""
