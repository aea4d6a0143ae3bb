# SPDX-License-Identifier: Apache-2.0
"""Makes the table of a fuzzing run, and the document that holds the table."""

from jobs.common import machine
from jobs.common.documents import Document
from jobs.common.tables import Table
from jobs.fuzz.session import short

_NOTE = ("seconds: of the clock, per target; executions of both builds; rates: executions a second "
         "of the fast and of the sanitized build; edges reached of those in the binary, features "
         "as the fast build counts them; corpus: inputs of the working corpus; findings: different "
         "ones")
_COLUMNS = ["", "s", "executions", "fast/s", "san/s", "edges", "features", "corpus", "findings"]


def row(session, seconds, files):
    """The row of a session that has ended."""
    fast, sanitized = session.fast, session.sanitized
    now = 0  # the session has ended
    status = fast.status
    return [session.target.subject, f"{seconds:.0f}",
            short(fast.total() + sanitized.total() + session.last.total()),
            short(fast.rate(now)), short(sanitized.rate(now)) if sanitized.runs else "-",
            f"{status.edges} of {status.counters}", str(status.features or "-"), str(files),
            str(len(session.findings))]


def table(rows, engine):
    name = {"afl": "AFL++", "libfuzzer": "libFuzzer"}[engine]
    return Table(f"Fuzzing with {name}", _NOTE, _COLUMNS, rows=list(rows))


def document(made, preset, command, date, seconds):
    """The document that --markdown writes, such as results/fuzz.md."""
    wanted = ("CPU", "system", "compiler", "flags", "revision")
    facts = [fact for fact in machine.describe(preset, []) if fact[0] in wanted]
    return Document("Fuzzing", [("date", date), ("command", f"`{command}`"),
                                ("seconds in all", f"{seconds:.0f}"), *facts], blocks=[made])
