# SPDX-License-Identifier: Apache-2.0
"""What scripts/bench and scripts/test are made of. Standard library only."""
