# SPDX-License-Identifier: Apache-2.0

import os
import tempfile
import unittest
from unittest import mock

from jobs.page import testing

testing.needs()

from jobs.page import addresses  # noqa: E402 (after what skips)
from jobs.page.parts import Link  # noqa: E402

_ONE, _TWO = "0" * 12, "1" * 40


class AddressesTest(unittest.TestCase):
    def setUp(self):
        for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "CI_PROJECT_URL"):
            patch = mock.patch.dict(os.environ)
            patch.start()
            self.addCleanup(patch.stop)
            os.environ.pop(name, None)

    def test_of_remotes(self):
        for text, address in (
                ("git@github.com:o/r.git", "https://github.com/o/r"),
                ("ssh://git@gitlab.example.org:2222/a/b/c.git", "https://gitlab.example.org/a/b/c"),
                ("https://user:secret@github.com/o/r.git", "https://github.com/o/r"),
                ("https://codeberg.org/o/r", "https://codeberg.org/o/r"),
                ("/srv/git/r.git", ""), ("", ""), ("../r", "")):
            self.assertEqual(addresses.of_remote(text), address)

    def test_a_commit_and_what_lies_between_two(self):
        hub = "https://github.com/o/r"
        self.assertEqual(addresses.commit(hub, _ONE), Link(_ONE, f"{hub}/commit/{_ONE}"))
        self.assertEqual(addresses.commit(hub, _ONE + "+"),
                         Link(_ONE + "+", f"{hub}/commit/{_ONE}"))
        self.assertEqual(addresses.between(hub, _ONE, _TWO).address,
                         f"{hub}/compare/{_ONE}...{_TWO}")
        lab = "https://gitlab.example.org/o/r"
        self.assertEqual(addresses.commit(lab, _ONE).address, f"{lab}/-/commit/{_ONE}")

    def test_what_is_not_known_leads_nowhere(self):
        for repository in ("", "https://git.example.org/o/r"):
            self.assertEqual(addresses.commit(repository, _ONE), Link(_ONE, ""))
        self.assertEqual(addresses.commit("https://github.com/o/r", "main\" onload=").address, "")

    def test_ci_knows_and_a_folder_without_a_repository_does_not(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(addresses.known(folder), "")
            with mock.patch.dict(os.environ, {"GITHUB_SERVER_URL": "https://ghe.example.org",
                                              "GITHUB_REPOSITORY": "o/r"}):
                self.assertEqual(addresses.known(folder), "https://ghe.example.org/o/r")
                self.assertTrue(addresses.commit(addresses.known(folder), _ONE).address)


if __name__ == "__main__":
    unittest.main()
