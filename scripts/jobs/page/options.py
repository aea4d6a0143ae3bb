# SPDX-License-Identifier: Apache-2.0
"""Reads the options of scripts/perf report."""

import argparse
from pathlib import Path

from jobs.common import build
from jobs.perf import home

RESULTS = build.results_directory() if home.IN_TREE else Path(".")


def parse(argv):
    parser = argparse.ArgumentParser(
        prog=f"{home.PROGRAM} report",
        description="Writes report.html, which needs no other file and no network, and its plots "
                    "as plots/*.png, from what is there: " + (
                        "JSON of Google Benchmark, of the gate, of counts and of the other jobs "
                        "(*.json in DIR/latest and DIR), and the history."
                        if home.IN_TREE else
                        "answers of gate and counts (*.json in DIR), and the history.")
                    + " What is missing is named with the command that makes it, and takes no "
                      "room on the page.",
        epilog="Exit status: 0 written; 2 wrong usage, or a file that can't be read.")
    parser.add_argument("--from", dest="source", metavar="DIR", type=Path, default=RESULTS,
                        help="folder to read (results)" if home.IN_TREE else
                        "folder to read (this one)")
    parser.add_argument("--history", metavar="DIR", type=Path,
                        help="the history's folder (DIR/history, or "
                             f"{home.HISTORY_TEXT}: the branch perf-history)")
    parser.add_argument("--project", metavar="NAME", help="the project's name (the repository's)")
    parser.add_argument("--repository", metavar="URL",
                        help="where commits can be looked at (default: the address that CI names, "
                             "else git's origin)")
    parser.add_argument("--out", metavar="DIR", type=Path, default=RESULTS,
                        help="folder to write to (results)" if home.IN_TREE else
                        "folder to write to (this one)")
    return parser.parse_args(argv)
