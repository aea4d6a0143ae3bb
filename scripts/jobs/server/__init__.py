# SPDX-License-Identifier: Apache-2.0
"""Starts and stops real servers, calls the function library, and measures loads on the servers."""
