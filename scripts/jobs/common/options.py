# SPDX-License-Identifier: Apache-2.0
"""Holds what all scripts use to read their options: a parser, types of values, one kind of error.

Each package of jobs but perf and page has a module options.py, which imports nothing that bootstrap
may have to install, so that help and errors need no installation. Its functions, such as
parse(argv), return the arguments and a Start.
"""

import argparse
import math
import re
from dataclasses import dataclass
from pathlib import Path

# Ways to reach a server (jobs/server/claim_server.py).
TRANSPORTS = ("tcp", "unix", "tls")


@dataclass(frozen=True)
class Start:
    """What a job needs before it can run, and where it begins."""
    job: str  # its name in the table of jobs/__main__.py
    needs: tuple = ()  # what follows scripts/bootstrap --for: a job, perhaps with more options
    scipy: bool = False  # whether the job needs the Python that scripts/bootstrap --python names
    unready: int = 3  # the exit status if the job's needs can't be installed
    at_root: bool = False  # whether the job runs in the project's folder, not in the caller's


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog):
        super().__init__(prog, max_help_position=22, width=98)


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong and exits with status 2 if the usage is wrong."""

    def __init__(self, script, about, ending, **more):
        super().__init__(prog=f"scripts/{script}", description=about, epilog=ending,
                         allow_abbrev=False, formatter_class=_Formatter, **more)

    def error(self, message):
        super().error(without_passwords(message))

    def flag(self, name, text):
        self.add_argument(name, action="store_true", help=text)

    def option(self, name, metavar, text, kind=str, **more):
        self.add_argument(name, metavar=metavar, help=text, type=kind, **more)

    def choice(self, name, choices, text, **more):
        self.add_argument(name, choices=tuple(choices), help=text, **more)


def _number(text, kind, least, what):
    try:
        number = kind(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None
    if not least <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return number


def positive(text):
    """A whole number above 0."""
    return _number(text, int, 1, "a whole number from 1 on")


def natural(text):
    """A whole number from 0 on, such as a seed."""
    return _number(text, int, 0, "a whole number from 0 on")


def unsigned(text):
    """A whole number of 64 bits."""
    number = natural(text)
    if number >= 2**64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 64 bits")
    return number


def count(text):
    """A number from 1 on, in the forms in which people write large numbers: 1000000, 1e6. What is
    behind a point is dropped."""
    return _number(text, lambda written: int(float(written)), 1, "a number from 1 on")


def seconds(text):
    """A time above 0, perhaps with a fraction."""
    found = _number(text, float, 0, "a number of seconds above 0")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return found


def path(text):
    """Returns the absolute form of a path that the caller gave, since a job may run in another
    folder."""
    if not text:
        raise argparse.ArgumentTypeError("a path is needed")
    return Path(text).absolute()


def without_passwords(text: str) -> str:
    """`text` with *** in place of everything between :// and the last @ of a word. Errors repeat
    the text that they refuse, and by mistake that text may be an address with a password."""
    return re.sub(r"://\S*@", "://***@", text)


def address(text: str) -> str:
    """The address of servers, as SetServers() of the library takes it. Only SetServers() checks the
    whole address. The error does not repeat the address."""
    if re.search(r"://[^/@]*:.*@", text):
        raise argparse.ArgumentTypeError(
            "a password does not belong in a URL: put it into FFGRANT_PASSWORD, or into a file "
            "that FFGRANT_PASSWORD_FILE names")
    for part in text.split(","):
        if not re.fullmatch(r"(valkeys?|rediss?|unix)://\S+|[^@\s]+:\d+", part):
            raise argparse.ArgumentTypeError(
                "an address is HOST:PORT, valkey://[USER@]HOST[:PORT], valkeys:// (TLS) or "
                "unix:///PATH")
    return text


def http_url(text: str) -> str:
    """The address of an HTTP server. The error does not repeat the address, which may hold a
    password by mistake."""
    if not re.fullmatch(r"https?://[^/@?#\s]+(/[^@?#\s]*)?", text):
        raise argparse.ArgumentTypeError("a URL is http://HOST[:PORT] or https://, without a user")
    return text.rstrip("/")


def live_case(text: str) -> tuple[str, int]:
    """A case of scripts/live-conformance, by the name that a failure prints."""
    found = re.fullmatch(r"(lot|history|flow)-(\d+)", text, re.ASCII)
    if not found:
        raise argparse.ArgumentTypeError("a case is lot-N, history-N or flow-N")
    return found[1], int(found[2])


def lane(text: str) -> str:
    """A lane's name (contract 1.7)."""
    if not re.fullmatch(r"[ -~]{1,64}", text):
        raise argparse.ArgumentTypeError("a lane has 1..64 printable characters of ASCII")
    return text
