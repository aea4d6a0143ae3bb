# SPDX-License-Identifier: Apache-2.0
"""Makes the wheel and the source archive of ffgrant-perf (PEP 517), with Python alone.

Most content of both comes from elsewhere in the project: the packages common, perf and page of
scripts/jobs, and the source of the reference kernel. The tests of these packages are left out, and
so are the files that only serve this project. In a source archive the packages and the kernel are
below src/.
"""

import ast
import base64
import gzip
import hashlib
import io
import re
import tarfile
import zipfile
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_PACKAGE = "ffgrant_perf"
_ROOMS = ("common", "perf", "page")
_DATA = (".json", ".css", ".js", ".html")
# Files that only serve this project: its own scripts and builds, and the tests of the gate itself.
_LEFT_OUT = frozenset((
    "common/clang.cmake", "common/reference.py", "common/sanitizers.py", "common/cpp_tokens.py",
    "common/wheels.py", "perf/baseline.py", "perf/bisect.py", "perf/fake.py",
    "perf/live_trials.py", "perf/metric_trials.py", "perf/replay.py", "perf/revisions.py",
    "perf/selftest.py", "perf/start.py", "common/options.py", "page/testing.py",
    "perf/__main__.py", "page/__main__.py"))
_TIME = (2020, 1, 1, 0, 0, 0)  # so that equal sources make equal wheels


def _tree():
    """(the folder jobs, the kernel's source), in the project or in a source archive."""
    archived = _HERE / "src"
    if archived.is_dir():
        return archived / "jobs", archived / "reference_kernel.cc"
    scripts = _HERE.parents[1]
    return scripts / "jobs", scripts.parent / "bench" / "perf" / "reference_kernel.cc"


def _licence():
    for path in (_HERE / "LICENSE", _HERE.parents[2] / "LICENSE"):
        if path.is_file():
            return path.read_bytes()
    raise FileNotFoundError("LICENSE")


def sources():
    """Path below jobs -> bytes, for every file that belongs to the package."""
    jobs, kernel = _tree()
    found = {"__init__.py": (jobs / "__init__.py").read_bytes()}
    for room in _ROOMS:
        for path in sorted((jobs / room).iterdir()):
            name = f"{room}/{path.name}"
            if path.is_file() and path.suffix in (".py", *_DATA) and name not in _LEFT_OUT \
                    and not path.stem.endswith("_test"):
                found[name] = path.read_bytes()
    found["perf/reference_kernel.cc"] = kernel.read_bytes()
    return found


def _project():
    """(table, name) -> value, of pyproject.toml, where each value is a literal of Python's on one
    line. tomllib, which reads any TOML, is missing in Python 3.10."""
    text = (_HERE / "pyproject.toml").read_text(encoding="utf-8")
    found, section = {}, ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif " = " in line:
            name, _, value = line.partition(" = ")
            found[section, name] = ast.literal_eval(value)
    return found


def _metadata(project):
    lines = ["Metadata-Version: 2.1", f"Name: {project['project', 'name']}",
             f"Version: {project['project', 'version']}",
             f"Summary: {project['project', 'description']}", "License: Apache-2.0",
             f"Requires-Python: {project['project', 'requires-python']}"]
    lines += [f"Requires-Dist: {text}" for text in project["project", "dependencies"]]
    for (section, name), texts in project.items():
        if section == "project.optional-dependencies":
            lines.append(f"Provides-Extra: {name}")
            lines += [f'Requires-Dist: {text}; extra == "{name}"' for text in texts]
    lines.append("Description-Content-Type: text/markdown")
    return "\n".join(lines) + "\n\n" + (_HERE / "README.md").read_text(encoding="utf-8")


def _names():
    project = _project()
    return project, f"{_PACKAGE}-{project['project', 'version']}"


def _information(project):
    """Name -> bytes, for all files of the wheel's folder .dist-info except RECORD."""
    scripts = "".join(f"{name} = {target}\n" for (section, name), target in project.items()
                      if section == "project.scripts")
    return {"METADATA": _metadata(project).encode(),
            "WHEEL": b"Wheel-Version: 1.0\nGenerator: ffgrant-perf\nRoot-Is-Purelib: true\n"
                     b"Tag: py3-none-any\n",
            "entry_points.txt": f"[console_scripts]\n{scripts}".encode(),
            "LICENSE": _licence()}


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    project, stem = _names()
    folder = Path(metadata_directory) / f"{stem}.dist-info"
    folder.mkdir()
    for name, data in _information(project).items():
        (folder / name).write_bytes(data)
    return folder.name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    project, stem = _names()
    files = {f"{_PACKAGE}/__init__.py": (_HERE / f"{_PACKAGE}.py").read_bytes()}
    files.update((f"{_PACKAGE}/jobs/{name}", data) for name, data in sources().items())
    files.update((f"{stem}.dist-info/{name}", data)
                 for name, data in _information(project).items())
    record = f"{stem}.dist-info/RECORD"
    rows = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in files.items()]
    files[record] = "\n".join([*rows, f"{record},,"]).encode() + b"\n"
    wheel = f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return wheel


def _digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def build_sdist(sdist_directory, config_settings=None):
    project, stem = _names()
    files = {name: (_HERE / name).read_bytes()
             for name in ("backend.py", "pyproject.toml", "README.md", f"{_PACKAGE}.py")}
    files["LICENSE"] = _licence()
    files["PKG-INFO"] = _metadata(project).encode()
    for name, data in sources().items():
        files[f"src/{'' if name.endswith('.cc') else 'jobs/'}{re.sub('^perf/(?=.*cc$)', '', name)}"
              ] = data
    name = f"{stem}.tar.gz"
    # The archive holds no time, so it is the same each time.
    with open(Path(sdist_directory) / name, "wb") as file, \
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in sorted(files.items()):
            entry = tarfile.TarInfo(f"{stem}/{path}")
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return name


def get_requires_for_build_wheel(config_settings=None):
    return []


def get_requires_for_build_sdist(config_settings=None):
    return []
