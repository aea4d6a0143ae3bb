# SPDX-License-Identifier: Apache-2.0

import io
import os
import unittest
from unittest import mock

from jobs.common import machine
from jobs.common.terminal import Terminal
from jobs.perf import builds, choice, fake, fingerprint, home, options, revisions
from jobs.perf.error import PerfError

_COMMAND = "mkdir -p out && cp source out/bench && chmod +x out/bench && echo x >>builds"


class BuildsTest(fake.RepositoryCase):
    def setUp(self):
        super().setUp()
        self.replace(home, "cache", lambda: self.root.parent / "cache")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.root)
        self.recipe = builds.Recipe(_COMMAND, ("out/bench",))
        self.first = self.commit(100.0)

    def write(self, nanoseconds):
        made = fake.program(self.root / "source", nanoseconds=nanoseconds)
        made.path.chmod(0o644)

    def commit(self, nanoseconds):
        self.write(nanoseconds)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "one")
        return self.git("rev-parse", "HEAD")

    def build(self, text, recipe=None):
        return builds.build(Terminal(io.StringIO()), *builds.commit_named(text, self.root),
                            recipe or self.recipe, self.root)

    def test_builds_a_revision_once_and_in_a_folder_of_its_own(self):
        second = self.commit(130.0)
        old, new, again = self.build(self.first), self.build(second), self.build(self.first)
        self.assertEqual(old.programs, again.programs)
        (program,), (other,) = old.programs, new.programs
        self.assertEqual(len(str(program)), len(str(other)))
        self.assertIn("100.0", program.read_text(encoding="utf-8"))
        self.assertIn("130.0", other.read_text(encoding="utf-8"))
        tree = program.parents[1]
        self.assertEqual((tree / "builds").read_text(encoding="utf-8"), "x\n")
        self.assertEqual(self.git("status", "--porcelain"), "")

    def test_the_builds_that_were_used_last_stay(self):
        first = self.build(self.first)
        others = [self.build(self.commit(100.0 + number)) for number in range(1, builds._KEPT)]
        for age, built in enumerate([*reversed(others), first], 1):  # the first one is the oldest
            tree = built.programs[0].parents[1]
            os.utime(tree, (tree.stat().st_atime, tree.stat().st_mtime - 100 * age))
        self.build(self.first)
        self.build(self.commit(200.0))
        self.assertTrue(first.programs[0].exists())
        self.assertEqual([built.programs[0].exists() for built in others],
                         [False] + [True] * (len(others) - 1))

    def test_a_cache_in_the_checkout_is_no_part_of_the_head(self):
        self.replace(home, "cache", lambda: self.root / ".perf" / "cache")
        self.build(self.first)
        self.assertTrue((home.cache() / "builds").is_dir())
        self.assertEqual(self.git("status", "--porcelain", "--untracked-files=all"), "")
        self.assertEqual(builds.commit_named(None, self.root)[0], self.first)

    def test_another_command_is_another_build(self):
        other = builds.Recipe(_COMMAND + " && true", ("out/bench",))
        self.assertNotEqual(self.build("HEAD").programs, self.build("HEAD", other).programs)

    def test_another_environment_is_another_build(self):
        usual = self.build("HEAD").programs
        for name, text in (("CXXFLAGS", "-O3"), ("CFLAGS", "-O3"), ("CPPFLAGS", "-DX"),
                           ("LDFLAGS", "-s"), ("RUSTFLAGS", "-Ctarget-cpu=native"), ("CC", "other"),
                           ("CXX", "other"), ("CMAKE_BUILD_TYPE", "Debug")):
            with mock.patch.dict(os.environ, {name: text}):
                self.assertNotEqual(self.build("HEAD").programs, usual, name)
        for name in ("cpu_model", "_cpu_flags"):  # -march=native makes another program
            owner = machine if name == "cpu_model" else fingerprint
            with mock.patch.object(owner, name, return_value="other"):
                self.assertNotEqual(self.build("HEAD").programs, usual, name)
        with mock.patch.dict(os.environ, {"X": "1", "CMAKE_BUILD_PARALLEL_LEVEL": "2"}):
            self.assertEqual(self.build("HEAD").programs, usual)


    def test_the_working_tree_is_built_as_it_is(self):
        self.write(170.0)
        built = self.build(None)
        self.assertIn("170.0", built.programs[0].read_text(encoding="utf-8"))
        self.assertIn("working tree on", built.label)

    def test_a_build_that_fails_is_none_and_says_why(self):
        broken = builds.Recipe("echo no compiler here; false", ("out/bench",))
        for _ in range(2):
            with self.assertRaisesRegex(PerfError, "status 1:\nno compiler here"):
                self.build("HEAD", broken)
        with self.assertRaisesRegex(PerfError, "left no out/other"):
            self.build("HEAD", builds.Recipe(_COMMAND, ("out/other",)))

    def test_a_program_outside_of_the_checkout_is_refused(self):
        """All revisions would have the same program, that of the last build."""
        out = self.root.parent / "out"
        fake.program(out / "bench")
        link = "mkdir -p out && ln -sf ../../../../out/bench out/bench"
        for command, path in (("true", str(out / "bench")), ("true", "../../../out/bench"),
                              ("true", str(out)), (f"ln -s {out} linked", "linked/bench"),
                              (f"ln -s {out} linked", "linked"),
                              (f"mkdir here && ln -s {out}/bench here/bench", "here"),
                              (link.replace("../../../../out", str(out)), "out/bench")):
            for _ in range(2):
                with self.assertRaisesRegex(PerfError, "inside of the checkout", msg=path):
                    self.build("HEAD", builds.Recipe(command, (path,)))

    def test_a_kept_build_without_its_program_is_built_again(self):
        (program,) = self.build(self.first).programs
        program.unlink()
        self.assertEqual(self.build(self.first).programs, (program,))
        self.assertTrue(program.is_file())

    def test_worktrees_of_others_stay(self):
        self.git("worktree", "add", "--quiet", "--detach", "../away")
        (self.root.parent / "away").rename(self.root.parent / "elsewhere")
        for number in range(1, builds._KEPT + 2):
            self.build(self.commit(100.0 + number))
        self.assertIn("/away\n", self.git("worktree", "list", "--porcelain"))
        self.assertEqual(self.git("worktree", "list").count("/cache/"), builds._KEPT)

    def test_the_base_of_a_named_head_is_where_that_head_left_main(self):
        self.git("checkout", "--quiet", "-b", "topic")
        topic = self.commit(130.0)
        self.git("checkout", "--quiet", "main")
        self.commit(140.0)
        self.git("checkout", "--quiet", "-b", "other")
        self.commit(150.0)
        chosen = self.choose("--build", _COMMAND, "--program", "out/bench", "--head", topic)
        self.assertIn(self.first[:12], chosen.base)

    def test_says_what_only_the_head_has_and_what_another_compiler_made(self):
        old, new = self.root.parent / "old", self.root.parent / "new"
        for folder, names in ((old, ("a",)), (new, ("a", "b"))):
            for name in names:
                fake.program(folder / name)
        with mock.patch.object(fingerprint, "compiler_of",
                               lambda path: f"compiler of {path.parent.name}"):
            chosen = self.choose("--base-bin", str(old), "--head-bin", str(new))
        self.assertEqual(chosen.lacking, ())
        self.assertEqual(chosen.remarks, (
            "only the head has the program b, so it is not compared",
            "a: compiled by compiler of old in the base and by compiler of new in the head"))
        self.assertEqual(self.choose("--base-bin", str(old), "--head-bin", str(old)).remarks, ())

    def test_the_base_is_where_head_left_main(self):
        self.git("checkout", "--quiet", "-b", "topic")
        self.commit(130.0)
        self.assertEqual(builds.base_named(None, self.root)[0], self.first)

    def choose(self, *argv):
        parser = options.parser("gate", "", "")
        options.add_programs(parser)
        options.add_effort(parser)
        options.add_metrics(parser)
        return choice.choose(Terminal(io.StringIO()), parser.parse_args(argv), parser)

    def test_a_base_that_is_no_commit_says_what_to_do(self):
        def error_of(text, top):
            with self.assertRaises(PerfError) as caught:
                builds.commit_named(text, top)
            return str(caught.exception)

        self.assertEqual(error_of("nosuch", self.root), "'nosuch' is no commit that git knows here")
        self.assertEqual(error_of("", self.root), "'' is no commit that git knows here")
        self.assertIn("the first push of a branch", error_of("0" * 40, self.root))
        self.commit(130.0)
        shallow = self.root.parent / "shallow"
        self.git("clone", "--quiet", "--depth", "1", f"file://{self.root}", str(shallow))
        self.assertIn("this clone is shallow", error_of(self.first, shallow))
        self.assertIn("not a git repository", error_of("main", self.root.parent))

    def test_what_the_gate_compares(self):
        self.git("checkout", "--quiet", "-b", "topic")
        self.commit(130.0)
        chosen = self.choose("--build", _COMMAND, "--program", "out/bench")
        self.assertEqual([suite.name for suite in chosen.suites], ["bench"])
        self.assertIn("merge base with main", chosen.base)
        with mock.patch("sys.stderr", io.StringIO()):
            for argv in (["--build", "true"], ["--program", "x"], ["x"], ["x", "y", "z"],
                         ["x", "y", "--build", "true", "--program", "z"]):
                with self.assertRaises(SystemExit, msg=argv):
                    self.choose(*argv)

    def test_the_same_files_are_not_compared(self):
        """On main itself, HEAD is where HEAD left main."""
        asked = ("--build", _COMMAND, "--program", "out/bench")
        self.git("commit", "--quiet", "--allow-empty", "--message", "the same files")
        for more in ((), ("--base", self.first), ("--base", "HEAD", "--head", self.first)):
            chosen = self.choose(*asked, *more)
            self.assertEqual((chosen.suites, chosen.same_files), ([], True))
        self.assertFalse((home.cache() / "builds").exists())
        for more in (("--head-env", "X=1"), ("--metric", "compile", "--base-compile", "make old",
                                             "--head-compile", "make new")):
            chosen = self.choose(*asked, *more)
            self.assertEqual(([suite.name for suite in chosen.suites], chosen.same_files),
                             (["bench"], False))
        self.write(130.0)
        self.assertEqual(len(self.choose(*asked).suites), 1)

    def compiled(self, *argv):
        """The lines and folders that --metric compile compares."""
        found = self.choose("--metric", "compile", *argv).compile
        return found and [found[arm] for arm in ("base", "head")]

    def test_a_command_compiles_each_revision_in_its_folder(self):
        second = self.commit(130.0)
        (line, base), (other, head) = self.compiled(
            "--base", self.first, "--build", _COMMAND, "--program", "out/bench", "--compile",
            "make")
        self.assertEqual((line, other), ("make", "make"))
        self.assertIn("100.0", (base / "source").read_text(encoding="utf-8"))
        self.assertIn("130.0", (head / "source").read_text(encoding="utf-8"))

        def built(_terminal, revision):
            """Takes the place of a build of this project's benchmarks."""
            folder = revisions.PERF / "bin" / revision.commit
            fake.program(folder / "x_benchmark")
            revisions.source_of(folder).mkdir(parents=True, exist_ok=True)
            return folder

        def resolved(text):
            return revisions.Revision(text, text, text)

        with mock.patch.object(revisions, "directory_of", built), \
                mock.patch.object(revisions, "resolve", resolved):
            asked = ("--base", self.first, "--head", second, "--compile", "make")
            self.assertEqual(self.compiled(*asked), [
                ("make", revisions.PERF / "src" / self.first),
                ("make", revisions.PERF / "src" / second)])
            self.assertIsNone(self.compiled("--base", second, "--head", second, "--compile",
                                            "make"))
            (revisions.PERF / "src" / self.first).rmdir()
            with mock.patch.object(revisions, "directory_of", lambda _, revision:
                                   revisions.PERF / "bin" / revision.commit), \
                    self.assertRaisesRegex(PerfError, "no sources"):
                self.compiled(*asked)

    def test_no_command_is_compared_with_itself(self):
        program = str(fake.program(self.root / "program").path)
        two = ("--base-compile", "make old", "--head-compile", "make new")
        self.assertEqual(self.compiled(*two), [("make old", None), ("make new", None)])
        self.assertEqual(self.compiled(program, program, *two),
                         [("make old", None), ("make new", None)])
        for in_tree, argv in (
                (False, ["--base-compile", "make", "--head-compile", "make"]),
                (True, [program, program, "--compile", "make"]),
                (True, [program, program, "--metric", "time", "--compile", "make"]),
                (True, ["--head-bin", program, *two]), (True, ["--filter", "x", *two]),
                (True, ["--program", program, *two]), (True, ["--base-compile", "make"]),
                (False, ["--compile", "make"]), (False, ["--base", self.first, *two]),
                (False, ["--head", self.first, "--compile", "make"])):
            with mock.patch.object(home, "IN_TREE", in_tree), \
                    mock.patch("sys.stderr", io.StringIO()), \
                    self.assertRaises(SystemExit, msg=argv):
                self.compiled(*argv)

    def test_what_is_known_holds_without_programs_too(self):
        known = self.root / "known.json"
        known.write_text('[{"benchmark": "build*", "reason": "x", "until": "2999-01-01"}]',
                         encoding="utf-8")
        chosen = self.choose("--metric", "compile", "--base-compile", "make old",
                             "--head-compile", "make new", "--known", str(known))
        self.assertIsNotNone(chosen.known.entry("build [compile time]"))


if __name__ == "__main__":
    unittest.main()
