# SPDX-License-Identifier: Apache-2.0
"""Makes the addresses at which revisions can be looked at: pages of a repository whose host is
known."""

import os
import re

from jobs.common import machine
from jobs.page.parts import Link

_SSH = re.compile(r"(?:ssh://)?(?:[\w.-]+@)([\w.-]+)(?::\d+)?[:/](.+)")
_WEB = re.compile(r"https?://(?:[^@/]*@)?([\w.-]+(?::\d+)?)/(.+)")
_DIGITS = re.compile(r"[0-9a-f]{7,64}\+?")
# The paths on each known kind of host: (path of a commit, path of what lies between two commits).
_GITHUB = ("commit/{0}", "compare/{0}...{1}")
_GITLAB = ("-/commit/{0}", "-/compare/{0}...{1}")
_GITEA = ("commit/{0}", "compare/{0}...{1}")


def of_remote(text):
    """The address of a repository's page, made from git's address of the remote; empty if the
    remote's address is neither of the web nor of SSH."""
    found = _WEB.fullmatch(text.strip()) or _SSH.fullmatch(text.strip())
    if not found:
        return ""
    path = found[2].strip("/")
    return f"https://{found[1]}/{path.removesuffix('.git')}"


def known(folder):
    """The address of the repository that holds a folder, from CI or from git; empty if neither CI
    nor git knows the address."""
    server, name = (os.environ.get(f"GITHUB_{what}") for what in ("SERVER_URL", "REPOSITORY"))
    if server and name:
        return f"{server.rstrip('/')}/{name}"
    project = os.environ.get("CI_PROJECT_URL")  # GitLab
    if project:
        return project
    return of_remote(machine.first_line(["git", "-C", str(folder), "remote", "get-url", "origin"]))


def _forms(repository):
    host = repository.partition("://")[2].partition("/")[0]
    if host.startswith("github.") or host == os.environ.get(
            "GITHUB_SERVER_URL", "").partition("://")[2]:
        return _GITHUB
    if "gitlab" in host or os.environ.get("CI_PROJECT_URL", "").startswith(repository):
        return _GITLAB
    if host == "codeberg.org" or host.startswith(("gitea.", "forgejo.")):
        return _GITEA
    return None


def _form(repository, number, *revisions):
    """The address; empty if the host is not known or a text is no revision."""
    forms = _forms(repository) if repository else None
    if not forms or not all(_DIGITS.fullmatch(revision) for revision in revisions):
        return ""
    return f"{repository}/" + forms[number].format(*(one.rstrip("+") for one in revisions))


def commit(repository, revision):
    """A Link to a commit. A "+" at the end of the revision says that there were uncommitted changes
    too."""
    return Link(revision, _form(repository, 0, revision))


def between(repository, old, new):
    """A Link to what changed between two revisions."""
    if old == new:
        return commit(repository, new)
    return Link(f"{old}..{new}", _form(repository, 1, old, new))
