# SPDX-License-Identifier: Apache-2.0
"""Tests that MemoryLedger's header names, call by call, the errors that the ledger's property
test sees.

The property test fails unless it sees exactly the outcomes of its table kExpected. Its cases
FewNames, LittleRoomForTexts and FewExecutionsLanesAndSets fail unless kLedgerFull comes from
exactly the calls that each of these cases names.
"""

import re
import unittest
from pathlib import Path

CLAIMS = Path(__file__).resolve().parents[3] / "core" / "ffgrant" / "claims"
_METHODS = {
    "create": "CreateExecution", "create_badly": "CreateExecution", "issue": "IssueClaimGrant",
    "claim_for_worker": "ClaimForWorker", "claim": "Claim", "claim_resumed": "ClaimResumed",
    "renew": "Renew", "revoke": "Revoke", "issue_reclaim": "IssueReclaimGrant",
    "reclaim": "Reclaim", "suspend": "Suspend", "complete": "Complete",
    "complete_override": "Complete", "fail": "Fail", "fail_override": "Fail", "resume": "Resume",
    "forget": "Forget"}


def _documented():
    text = (CLAIMS / "memory_ledger.h").read_text(encoding="utf-8")
    table = text[text.index("all the errors of each call"):text.index("class MemoryLedger final")]
    found, methods = {}, []
    for line in re.findall(r"^//   (.+)$", table, re.MULTILINE):
        errors = re.findall(r"\bk[A-Z]\w*", line)
        methods = re.findall(r"\b[A-Z]\w*", line) or methods
        for method in methods:
            found.setdefault(method, set()).update(errors)
    return found


def _errors():
    """Returns {the word on the wire: the enumerator} of each error."""
    text = (CLAIMS / "claim_error.h").read_text(encoding="utf-8")
    body = re.sub(r"//.*", "", text[text.index("enum class ClaimError"):text.index("};")])
    return {re.sub(r"(?<!^)(?=[A-Z])", "_", name[1:]).lower(): name
            for name in re.findall(r"\bk[A-Z]\w*", body) if name != "kNone"}


def _texts(source):
    return " ".join(re.findall(r'"([^"]*)"', source))


def _seen():
    text = (CLAIMS / "memory_ledger_property_test.cc").read_text(encoding="utf-8")
    table = text[text.index("const Expected kExpected[]"):text.index("ExpectedSightings()")]
    words, found = _errors(), {"CreateExecution": {"kLedgerFull"}}
    for row in re.findall(r"\{((?:\s*(?:\"[^\"]*\"|k\w+),?)+)\}", table):
        operations, outcomes = row.split(",", 1)[0], row.rsplit(",", 1)[1]
        for operation in _texts(operations).split():
            if operation in _METHODS:
                found.setdefault(_METHODS[operation], set()).update(
                    words[word] for word in _texts(outcomes).split() if word in words)
    for full in re.findall(r"EXPECT_EQ\(full, (.+?)\);", text, re.DOTALL):
        for operation in _texts(full).split():
            found[_METHODS[operation]].add("kLedgerFull")
    return found


class LedgerErrorsTest(unittest.TestCase):
    maxDiff = None

    def test_each_call_has_the_errors_that_were_seen(self):
        self.assertEqual(_documented(), _seen())


if __name__ == "__main__":
    unittest.main()
