# SPDX-License-Identifier: Apache-2.0
"""Checks documents against answer.schema.json, the schema of what --json writes. examples/ has an
example of each lane, and of an error. The check needs the Python package jsonschema, which only the
tests and scripts/perf validate need.
"""

import functools
import json
from pathlib import Path

PATH = Path(__file__).with_name("answer.schema.json")
EXAMPLES = Path(__file__).with_name("examples")


@functools.cache
def _validator():
    try:
        import jsonschema
    except ImportError:
        return None
    document = json.loads(PATH.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    # An error from one lane's own part of the schema says more than "matches none of five".
    parts = {}
    for part in ("gate", "counts", "trend", "record", "error"):
        parts[part] = jsonschema.Draft202012Validator(
            {"$ref": f"#/$defs/{part}", "$defs": document["$defs"]})
    parts["any"] = jsonschema.Draft202012Validator(document)
    return parts


def is_installed():
    """Whether documents can be checked on this machine."""
    return _validator() is not None


def check(document):
    """Raises ValueError if a document is not of its lane's form. Does nothing without
    jsonschema."""
    validators = _validator()
    if validators is None:
        return
    if not isinstance(document, dict):
        raise ValueError("no object, and so no answer")
    lane = document.get("lane")
    if document.get("verdict") == "error":
        part = "error"
    elif lane == "time":
        part = "gate"
    else:
        part = lane if isinstance(lane, str) else "any"
    problems = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
                for error in validators.get(part, validators["any"]).iter_errors(document)]
    problems += [error.message for error in validators["any"].iter_errors(document)][:1]
    if problems:
        raise ValueError("; ".join(problems)[:2000])
