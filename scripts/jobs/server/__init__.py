# SPDX-License-Identifier: Apache-2.0
"""Real servers: starts and stops them, calls the function library, measures loads on them."""
