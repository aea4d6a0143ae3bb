# SPDX-License-Identifier: Apache-2.0
"""Counts the lines of C++, Lua, Python and sh that are neither blank nor comment, by revision.

PYTHONPATH=scripts python3 -m jobs.checks.count_lines [REVISION...]

Prints one row for each revision (HEAD by default): its lines of each language, and their sum.
Docstrings are comments. A file whose name has no ending is sh if its first line says so.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize

from jobs.common import build

LANGUAGES = ("C++", "Lua", "Python", "sh")
_ENDINGS = {".cc": "C++", ".h": "C++", ".lua": "Lua", ".py": "Python", ".sh": "sh"}
_SHEBANG = re.compile(rb"#! ?/(usr/)?bin/(env )?(ba)?sh\b")
# Strings match too, and are kept, so that no comment seems to begin inside of a string.
_CPP = re.compile(r"""R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""
                  r"""|(?P<comment>//[^\n]*|/\*.*?\*/)""", re.DOTALL)
_LUA = re.compile(r"""\[(=*)\[.*?\]\1\]|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""
                  r"""|(?P<comment>--\[(=*)\[.*?\]\3\]|--[^\n]*)""", re.DOTALL)
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
           tokenize.ENDMARKER}


def language_of(path, content):
    """The language of a file by its path and content; None if it is not counted."""
    name = path.rsplit("/", 1)[-1]
    ending = name[name.rfind("."):] if "." in name else ""
    if ending:
        return _ENDINGS.get(ending)
    return "sh" if _SHEBANG.match(content) else None


def _python_lines(text):
    docstrings = set()
    for node in ast.walk(ast.parse(text)):
        if (isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
                and ast.get_docstring(node) is not None):
            text_of = node.body[0]
            docstrings.update(range(text_of.lineno, (text_of.end_lineno or 0) + 1))
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    blank = {number for number, line in enumerate(text.split("\n"), 1) if not line.strip()}
    return len(lines - docstrings - blank)


def count(language, text):
    """How many lines of a text are neither blank nor comment."""
    if language == "Python":
        return _python_lines(text)
    if language == "sh":
        return sum(bool(line.strip()) and not line.lstrip().startswith("#")
                   for line in text.split("\n"))
    pattern = _CPP if language == "C++" else _LUA
    kept = pattern.sub(lambda found: "\n" * found.group().count("\n")
                       if found.group("comment") else found.group(), text)
    return sum(bool(line.strip()) for line in kept.split("\n"))


def count_revision(revision, folder=build.ROOT):
    """How many lines each language has at a revision of the repository that contains the folder:
    language -> number."""
    def git(*arguments, **options):
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True,
                              **options).stdout

    names = [name for name in git("ls-tree", "-rz", "--name-only", revision).split(b"\0") if name]
    wanted = b"\n".join(revision.encode() + b":" + name for name in names) + b"\n"
    objects = io.BytesIO(git("cat-file", "--batch", input=wanted))
    sums = dict.fromkeys(LANGUAGES, 0)
    for name in names:
        size = int(objects.readline().rsplit(b" ", 1)[1])
        content = objects.read(size)
        objects.read(1)
        language = language_of(name.decode(), content)
        if language is not None:
            sums[language] += count(language, content.decode("utf-8", "replace"))
    return sums


def main(arguments):
    print(f"{'':12}" + "".join(f"{name:>9}" for name in (*LANGUAGES, "sum")))
    for revision in arguments or ["HEAD"]:
        try:
            sums = count_revision(revision)
        except subprocess.CalledProcessError as error:
            print(f"count_lines: {error.stderr.decode().strip()}", file=sys.stderr)
            return 2
        figures = [*sums.values(), sum(sums.values())]
        print(f"{revision[:12]:12}" + "".join(f"{figure:9}" for figure in figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
