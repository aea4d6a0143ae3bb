# SPDX-License-Identifier: Apache-2.0

import contextlib
import io
import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.perf import fake, history_files, kernel, record, record_more, revisions, schema
from jobs.perf.error import PerfError

_HERE = revisions.Revision("0729f9c13a5b" + "0" * 28, "content", "working tree", changed=True)


class RecordTest(unittest.TestCase):
    """Tests the whole command, with scripts in place of programs and without a build."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.folder = self.directory / "built"
        fake.program(self.folder / "reference_kernel", (record.REFERENCE,), 4.0)
        fake.program(self.folder / "a_benchmark", ("BM_X_Core", "BM_X_Plain"), 10.0)
        fake.program(self.folder / "b_benchmark", ("BM_Y_Core/1",), 2.0)
        for name, value in (("directory_of", lambda *_: self.folder),
                            ("working_tree", lambda: _HERE), ("resolve", lambda _: _HERE),
                            ("PERF", self.directory / "perf")):
            patch = mock.patch.object(revisions, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        patch = mock.patch.object(kernel, "program", lambda: self.folder / "reference_kernel")
        patch.start()
        self.addCleanup(patch.stop)

    def record(self, *more):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = record.main(["--history", str(self.directory / "history"),
                                  "--pairs", "6", *more])
        return status, output.getvalue(), history_files.read_all(self.directory / "history")

    def test_a_point_a_suite_as_multiples_of_the_kernel(self):
        status, output, history = self.record()
        self.assertEqual(status, 0)
        self.assertEqual(sorted(suite for _, suite in history), ["a", "b"])
        (point,) = next(points for (_, suite), points in history.items() if suite == "a")
        self.assertEqual(point.revision, "0729f9c13a5b+")  # "+": no commit holds the changes
        self.assertEqual(point.benchmarks, {
            "BM_X_Core": history_files.Measurement(2.5, 2.5, 2.5, 10.0, 4.0, 6)})  # no baseline
        self.assertIn("a.jsonl", output)

    def test_appends(self):
        self.record()
        _, _, history = self.record()
        self.assertEqual([len(points) for points in history.values()], [2, 2])

    def test_a_filter_picks_and_baselines_can_be_asked_for(self):
        _, _, history = self.record("--filter", "BM_X")
        ((_, suite), (point,)), = history.items()
        self.assertEqual((suite, sorted(point.benchmarks)), ("a", ["BM_X_Core", "BM_X_Plain"]))
        with self.assertRaisesRegex(PerfError, "no benchmark"):
            self.record("--filter", "BM_Z")

    def test_a_filter_that_says_which_not_leaves_the_kernel(self):
        for pattern, left in (("-Core", ["BM_X_Plain"]), ("-Core|Reference", ["BM_X_Plain"])):
            with self.subTest(pattern):
                shutil.rmtree(self.directory / "history", ignore_errors=True)
                _, _, history = self.record(f"--filter={pattern}")
                self.assertEqual([sorted(point.benchmarks) for (point,) in history.values()],
                                 [left])

    def test_any_program(self):
        program = fake.program(self.directory / "other", ("BM_Z",), 8.0)
        _, _, history = self.record("--bin", str(program.path), "--suite", "other",
                                    "--revision", "aaaaaaaaaaaa")
        ((_, suite), (point,)), = history.items()
        self.assertEqual((suite, point.revision), ("other", "aaaaaaaaaaaa"))
        self.assertEqual(point.benchmarks["BM_Z"].ratio, 2.0)

    def test_a_program_s_revision_is_the_commit_of_this_folder(self):
        program = fake.program(self.directory / "other", ("BM_Z",), 8.0)
        repository = fake.RepositoryCase()
        repository.setUp()
        self.addCleanup(repository.doCleanups)
        repository.git("commit", "--quiet", "--allow-empty", "--message", "x")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(repository.root)
        _, _, history = self.record("--bin", str(program.path), "--suite", "other")
        ((_, (point,)),) = history.items()
        self.assertEqual(point.revision, repository.git("rev-parse", "HEAD")[:12])

    def test_too_little_time_records_nothing(self):
        with self.assertRaisesRegex(PerfError, "budget"):
            self.record("--budget", "0.001")
        self.assertEqual(history_files.read_all(self.directory / "history"), {})

    def bin(self, *more, revision="aaaaaaaaaaaa", suite="other"):
        program = fake.program(self.directory / "other", ("BM_Z",), 8.0)
        return program, self.record("--bin", str(program.path), "--suite", suite,
                                    "--revision", revision, *more)

    def test_a_bad_revision_or_suite_is_found_out_before_anything_is_measured(self):
        for names in ({"revision": "main"}, {"suite": "../up"}):
            with self.assertRaises(PerfError):
                self.bin(**names)
            self.assertEqual(fake.starts(fake.Program(self.directory / "other")), [])

    def test_a_program_needs_no_build_of_the_project(self):
        with mock.patch.object(revisions, "directory_of", side_effect=AssertionError), \
                mock.patch.object(revisions, "working_tree", side_effect=AssertionError):
            self.assertEqual(self.bin()[1][0], 0)

    def test_what_was_measured_is_kept_where_it_cannot_be_recorded(self):
        with mock.patch.object(history_files, "append", side_effect=OSError("disk full")):
            _, (status, output, history) = self.bin("--json", str(self.directory / "out.json"))
        self.assertEqual((status, history), (2, {}))
        self.assertRegex(output, "it is kept in .*unrecorded-other-.*jsonl")
        (kept,) = self.directory.glob("unrecorded-other-*.jsonl")
        self.assertEqual(history_files.parse_point(kept.read_text(encoding="utf-8")).suite,
                         "other")

    def fails(self, path):
        path.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    def test_a_program_that_fails_as_a_whole_is_status_2_and_the_others_are_recorded(self):
        self.fails(self.folder / "c_benchmark")
        out = self.directory / "out.json"
        status, _, history = self.record("--json", str(out))
        self.assertEqual((status, sorted(suite for _, suite in history)), (2, ["a", "b"]))
        document = json.loads(out.read_text(encoding="utf-8"))
        schema.check(document)
        self.assertEqual((document["verdict"], document["exit_status"]), ("unmeasured", 2))
        self.assertIn("ended with status 3", " ".join(document["incidents"]))

    def test_the_only_program_that_fails_says_why(self):
        path = self.fails(self.directory / "bad")
        with self.assertRaisesRegex(PerfError, "ended with status 3"):
            self.record("--bin", str(path), "--suite", "bad", "--revision", "aaaaaaaaaaaa")

    def test_all_is_recorded_even_if_nobody_reads_the_output(self):
        class Broken(io.StringIO):
            def write(self, text):
                if "benchmarks at" in text:  # the lines that say what is recorded
                    raise BrokenPipeError
                return super().write(text)

        out = self.directory / "out.json"
        with contextlib.redirect_stdout(Broken()), self.assertRaises(BrokenPipeError):
            record.main(["--history", str(self.directory / "history"), "--pairs", "6", "--json",
                         str(out)])
        self.assertEqual(
            sorted(suite for _, suite in history_files.read_all(self.directory / "history")),
            ["a", "b"])
        document = json.loads(out.read_text(encoding="utf-8"))
        schema.check(document)
        self.assertEqual([point["suite"] for point in document["points"]], ["a", "b"])

    def with_row(self, more):
        """Records a program whose rows of BM_Odd have `more` in addition."""
        made = fake.program(self.directory / "odd", ("BM_Z", "BM_Odd"), 8.0)
        text = made.path.read_text(encoding="utf-8")
        made.path.write_text(text.replace(
            "    separator=,\n", f"""    case $name in *Odd) printf ', {more}' ;; esac
    printf '}}'
    separator=,
""").replace('"iterations": 100}', '"iterations": 100'), encoding="utf-8")
        return self.record("--bin", str(made.path), "--suite", "other", "--revision",
                           "aaaaaaaaaaaa", "--json", str(self.directory / "out.json"))

    def test_a_benchmark_that_fails_is_status_2(self):
        status, output, history = self.with_row(
            '"error_occurred": true, "error_message": "no memory"')
        self.assertEqual(status, 2)
        self.assertIn("not measured: BM_Odd: head: failed: no memory", output)
        ((_, (point,)),) = history.items()
        self.assertEqual(list(point.benchmarks), ["BM_Z"])
        document = json.loads((self.directory / "out.json").read_text(encoding="utf-8"))
        schema.check(document)
        self.assertEqual((document["verdict"], document["exit_status"]), ("unmeasured", 2))
        self.assertIn("BM_Odd: head: failed: no memory", document["action"])

    def test_a_benchmark_that_says_that_it_is_not_for_here_is_no_failure(self):
        status, output, _ = self.with_row('"skipped": true, "skip_message": "no AVX-512"')
        self.assertEqual(status, 0)
        self.assertIn("not measured: BM_Odd: head: skipped: no AVX-512", output)

    def test_a_benchmark_without_time_is_status_2(self):
        pairs = record._pairs

        def few(live, count, clock):
            found = pairs(live, count, clock)
            (name,) = [name for name in found if str(name) == "BM_Odd"]
            del found[name][3:]
            return found
        with mock.patch.object(record, "_pairs", few):
            status, output, history = self.with_row('"x": 1')
        self.assertEqual(status, 2)
        self.assertIn("BM_Odd: too few pairs in the budget", output)
        ((_, (point,)),) = history.items()
        self.assertEqual(list(point.benchmarks), ["BM_Z"])

    def test_compile_time_is_that_of_the_revision(self):
        folders = []

        def compiled(_terminal, commands, *_):
            """Takes the place of a command's runs."""
            folders.append(commands["head"][1])
            raise PerfError("that is enough")

        with mock.patch.object(record_more.compiling, "Compiling", compiled):
            asked = ("--metric", "compile", "--compile", "make", "--cwd", str(self.directory))
            with self.assertRaisesRegex(PerfError, "no sources of working tree to compile"):
                self.record("--revision", "v1", *asked)
            sources = revisions.source_of(self.folder)
            sources.mkdir(parents=True)
            with self.assertRaisesRegex(PerfError, "enough"):
                self.record("--revision", "v1", *asked)
            with self.assertRaisesRegex(PerfError, "enough"):
                self.bin(*asked)
        self.assertEqual(folders, [sources, self.directory])

    def test_a_section_that_is_not_there_is_status_2(self):
        _, (status, output, _) = self.bin("--metric", "size", "--section", ".text")
        self.assertEqual(status, 2)
        self.assertIn("no ELF file", output)

    def test_what_is_not_measured_is_named(self):
        made = fake.program(self.directory / "crash", ("BM_Z", "BM_Crash"), 8.0)
        text = made.path.read_text(encoding="utf-8")
        made.path.write_text(text.replace(
            "separator=\n", "case $names in *Crash*) kill -SEGV $$ ;; esac\nseparator=\n", 1),
            encoding="utf-8")
        status, output, history = self.record("--bin", str(made.path), "--suite", "other",
                                              "--revision", "aaaaaaaaaaaa", "--filter", "BM")
        self.assertEqual(status, 2)
        self.assertIn("not measured: BM_Crash: head: ", output)
        ((_, (point,)),) = history.items()
        self.assertEqual(list(point.benchmarks), ["BM_Z"])

    def test_wrong_usage(self):
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir("/")  # outside of any repository: there is no commit to record
        for arguments in (["--bin", "x"], ["--bin", "x", "--suite", "y"], ["--pairs", "5"]):
            with self.assertRaises(SystemExit) as stop, contextlib.redirect_stderr(io.StringIO()):
                record.main(arguments)
            self.assertEqual(stop.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
