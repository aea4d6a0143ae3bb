# SPDX-License-Identifier: Apache-2.0
"""Tests the checks: a target, a file beside it or the project's folder breaks a rule, and a check
has to notice this."""

import shutil
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

from jobs.common import build
from jobs.fuzz import ossfuzz_rules

# COPIES + 1 copies of a function make enough edges and calls to pass, if COPIES is 40.
SOURCE = r"""
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#ifndef COPIES
#define COPIES 40
#endif
namespace {
volatile int sink;
template <int N> __attribute__((noinline)) int Step(const uint8_t* d, size_t n, int* table) {
  for (size_t i = 0; i + 4 < n; ++i) {
    if (d[i] == N) table[d[i] % 4] += d[i + 1] * 1000000;
    if (d[i + 2] > N) table[d[i + 3] % 4] -= 1 << (d[i + 4] % 31);
    table[1] += table[2] * table[3];
  }
  return table[0] / (table[1] | 1);
}
template <int N> void Steps(const uint8_t* d, size_t n, int* table) {
  sink = Step<N>(d, n, table);
  if constexpr (N > 0) Steps<N - 1>(d, n, table);
}
}  // namespace
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
#ifdef CRASHES
  std::abort();
#endif
#ifdef EXITS
  std::exit(0);
#endif
#ifdef WRITES
  if (FILE* f = std::fopen("left_behind", "w")) std::fclose(f);
  if (!std::fopen("/tmp/.", "r")) std::abort();
#endif
#ifdef CRASHES_ON_SEED
  if (size == 4 && data[0] == 's' && data[1] == 'e' && data[3] == 'd') std::abort();
#endif
  int table[4] = {1, 1, 1, 1};
  Steps<COPIES>(data, size < 2 ? size : 2, table);
  return 0;
}
"""


def clang():
    try:
        return build.clang()
    except build.BuildError:
        return None


@unittest.skipUnless(clang(), "no clang: ./scripts/bootstrap --for fuzz")
class RulesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="ffgrant-rules-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.built = {}

    def out_with(self, *defines, flags="-fsanitize=address,fuzzer-no-link", name="a_fuzzer",
                 link="-fsanitize=fuzzer"):
        """An $OUT with one target; binaries are built once."""
        key = (*defines, flags, link)
        binary = self.built.get(key)
        if not binary:
            binary = self.built[key] = self.folder / f"built{len(self.built)}"
            # Compiling and linking are two steps, because `link` must not add instrumentation to
            # the code.
            compiler = [clang(), *flags.split()]
            subprocess.run(
                [*compiler, "-std=c++17", "-O0", *(f"-D{define}" for define in defines),
                 "-x", "c++", "-c", "-", "-o", f"{binary}.o"],
                input=SOURCE, text=True, check=True)
            subprocess.run([*compiler, *link.split(), f"{binary}.o", "-o", str(binary)],
                           check=True)
        out = Path(tempfile.mkdtemp(dir=self.folder))
        shutil.copy(binary, out / name)
        with zipfile.ZipFile(out / f"{name}_seed_corpus.zip", "w") as archive:
            archive.writestr("one", "seed")
        (out / f"{name}.dict").write_text('"a"\n')
        (out / f"{name}.options").write_text("[libfuzzer]\nmax_len = 64\n")
        return out

    def problems(self, out, sanitizer="address", stand_ins=("libc++",)):
        checked = ossfuzz_rules.check(out, sanitizer, stand_ins=stand_ins)
        self.assertEqual(len(checked), 1)
        return "\n".join(checked[0].problems)

    def test_a_good_target_has_none(self):
        self.assertEqual(self.problems(self.out_with()), "")

    def test_instrumentation(self):
        for defines, flags, sanitizer, wanted in (
                ((), "-fsanitize=fuzzer-no-link", "address", "not built with it"),
                (("COPIES=1",), "-fsanitize=fuzzer-no-link", "undefined", "not built with it"),
                (("COPIES=1",), "-fsanitize=fuzzer-no-link", "memory", "not built with it"),
                ((), "-fsanitize=address,fuzzer-no-link", "undefined", "calls into asan"),
                ((), "-fsanitize=address,fuzzer-no-link", "memory", "calls into asan"),
                ((), "-fsanitize=memory,fuzzer-no-link", "address", "calls into msan"),
                ((), "-fsanitize=address,undefined,fuzzer-no-link", "address",
                 "calls into ubsan in a build for address")):
            with self.subTest(flags=flags, sanitizer=sanitizer):
                out = self.out_with(*defines, flags=flags)
                self.assertIn(wanted, self.problems(out, sanitizer))

    def test_architecture(self):
        checked = ossfuzz_rules.Checked("a_fuzzer")
        ossfuzz_rules.check_architecture(checked, self.out_with() / "a_fuzzer")
        self.assertEqual(checked.problems, [])
        other = self.folder / "other"
        other.write_bytes(b"\x7fELF" + bytes(14) + b"\xb7\x00")  # AArch64
        ossfuzz_rules.check_architecture(checked, other)
        self.assertEqual(checked.problems, ["is not built for x86_64"])

    def test_edges(self):
        out = self.out_with("COPIES=0", flags="-fsanitize=undefined,fuzzer-no-link")
        self.assertIn("edges are instrumented", self.problems(out, "undefined"))

    def test_start(self):
        for define in ("CRASHES", "EXITS"):
            with self.subTest(define):
                self.assertIn("at its start", self.problems(self.out_with(define)))

    def test_seeds_that_fail(self):
        self.assertIn("fails on its seed corpus", self.problems(self.out_with("CRASHES_ON_SEED")))

    def test_writes(self):
        out = self.out_with("WRITES")
        with ossfuzz_rules.Sandbox(out) as sandbox:
            sandbox.here.chmod(0o777)  # now even the user `nobody` may write there
            checked = ossfuzz_rules.Checked("a_fuzzer")
            ossfuzz_rules.check_runs(checked, sandbox, "address")
        self.assertIn("writes outside /tmp: elsewhere", "\n".join(checked.problems))

    def test_names(self):
        self.assertIn("its name", self.problems(self.out_with(name="fuzz.a")))

    def test_seed_corpus(self):
        out = self.out_with()
        corpus = out / "a_fuzzer_seed_corpus.zip"
        corpus.rename(out / "a_seed_corpus.zip")
        self.assertIn("there is no a_fuzzer_seed_corpus.zip", self.problems(out))
        with zipfile.ZipFile(corpus, "w"):
            pass
        self.assertIn("is empty", self.problems(out))
        corpus.write_bytes(b"no zip")
        self.assertIn("not a zip file", self.problems(out))

    def test_dictionary_and_options(self):
        out = self.out_with()
        (out / "a_fuzzer.dict").write_text("no entry\n")
        (out / "a_fuzzer.options").write_text("max_len = 64\n")
        problems = self.problems(out)
        self.assertIn("no dictionary entry", problems)
        self.assertIn("a_fuzzer.options", problems)

    def test_libraries(self):
        out = self.out_with()
        self.assertIn("libstdc++.so.6", self.problems(out, stand_ins=()))

    def test_a_coverage_build_leaves_a_profile(self):
        out = self.out_with(flags="-fprofile-instr-generate -fcoverage-mapping")
        self.assertEqual(self.problems(out, "coverage"), "")
        out = self.out_with(flags="-g0")
        self.assertIn("leaves no profile", self.problems(out, "coverage"))


class ProjectTest(unittest.TestCase):
    """Rules of OSS-Fuzz's presubmit check are broken in a copy of the project's folder."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = Path(directory.name) / "ffgrant"
        shutil.copytree(build.ROOT / "fuzz" / "oss-fuzz", self.folder)

    def edit(self, name, before, after):
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        self.assertIn(before, text)
        path.write_text(text.replace(before, after), encoding="utf-8")
        return "\n".join(ossfuzz_rules.check_project(self.folder))

    def test_ours_passes(self):
        self.assertEqual(ossfuzz_rules.check_project(self.folder), [])

    def test_licence(self):
        for name in ("Dockerfile", "build.sh", "run_tests.sh"):
            self.assertIn(f"{name}: the licence", self.edit(name, "LICENSE-2.0", ""))

    def test_engine(self):
        self.assertIn("-lFuzzingEngine", self.edit("build.sh", "exec", "LIB=-lFuzzingEngine exec"))

    def test_tests(self):
        (self.folder / "run_tests.sh").unlink()
        self.assertEqual(ossfuzz_rules.check_project(self.folder), ["there is no run_tests.sh"])

    def test_project(self):
        for before, after, wanted in (
                ("main_repo:", "repo:", "there is no main_repo"),
                ("homepage:", "home:", "home is no section"),
                ("  - memory", "  - memories", "memories is none of sanitizers"),
                ("  - centipede", "  - millipede", "millipede is none of fuzzing_engines"),
                ("@example.org", "", "is no mail address")):
            with self.subTest(after):
                self.assertIn(wanted, self.edit("project.yaml", before, after))
                self.assertNotIn(wanted, self.edit("project.yaml", after, before) if after else "")


if __name__ == "__main__":
    unittest.main()
