# SPDX-License-Identifier: Apache-2.0
"""What the scripts are made of: a package a job, and one package that all of them share."""
