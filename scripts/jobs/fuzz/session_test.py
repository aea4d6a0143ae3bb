# SPDX-License-Identifier: Apache-2.0

import tempfile
import textwrap
import time
import unittest
from pathlib import Path

from jobs.common import children
from jobs.fuzz import findings, libfuzzer, merge, targets
from jobs.fuzz.session import EngineError, Session, Tools, short

# This program behaves like libFuzzer on the folders that it is given: an input that holds FATAL
# fails.
FAKE = """\
#!/usr/bin/env python3
import hashlib, os, sys
options = dict(a[1:].split("=", 1) for a in sys.argv[1:] if a.startswith("-"))
places = [a for a in sys.argv[1:] if not a.startswith("-")]
files = [p for p in places if os.path.isfile(p)]
files += sorted(os.path.join(d, f) for d in places if os.path.isdir(d) for f in os.listdir(d))
print("INFO: Loaded 1 modules   (673 inline 8-bit counters): 673 [0x5, 0x6), ")
for path in files:
    data = open(path, "rb").read()
    if FATAL in data:
        print("FINDING: it holds what it must not\\n  input:    ...")
        name = options.get("artifact_prefix", "") + "crash-" + hashlib.sha1(data).hexdigest()
        if not os.path.isfile(places[0]):
            open(name, "wb").write(data)
            print("Test unit written to " + name)
        sys.exit(77)
if "runs" not in options and NEW:
    open(os.path.join(places[0], hashlib.sha1(NEW).hexdigest()), "wb").write(NEW)
print("#64\\tDONE   cov: 12 ft: 34 corp: 5/6b lim: 64 exec/s: 64 rss: 27Mb")
print("stat::number_of_executed_units: 100")
sys.exit(STATUS)
"""


def fake_fuzzer(path, fatal=b"\0never\0", new=b"", status=0):
    text = FAKE.replace("FATAL", repr(fatal)).replace("NEW", repr(new))
    path.write_text(text.replace("STATUS", str(status)), encoding="utf-8")
    path.chmod(0o755)


class WithTarget(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ffgrant-session-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.target = targets.Target("a_fuzzer", self.root)
        self.target.corpus.mkdir(parents=True)
        (self.target.corpus / "seed").write_bytes(b"seed")
        self.tools = Tools(self.root / "fast", self.root / "sanitized", self.root / "work",
                           self.root / "scratch")
        fake_fuzzer(self.tools.fast)
        fake_fuzzer(self.tools.sanitized)


class SessionTest(WithTarget):
    def run_session(self, **options):
        with children.Children() as started:
            session = Session(self.target, self.tools, 9, started, **options)
            limit = time.monotonic() + 60
            while session.step():
                self.assertLess(time.monotonic(), limit)
                time.sleep(0.02)
        return session

    def test_nothing_found(self):
        for pair in (True, False):
            with self.subTest(pair=pair):
                session = self.run_session(pair=pair)
                self.assertEqual(len(session.findings), 0)
                self.assertEqual((session.fast.total(), session.sanitized.total()), (100, 100))
                self.assertEqual(session.fast.status.edges, 12)

    def test_what_the_fast_build_adds_is_run_by_the_sanitized_one(self):
        fake_fuzzer(self.tools.fast, new=b"only sanitizers see it")
        fake_fuzzer(self.tools.sanitized, fatal=b"sanitizers")
        session = self.run_session()
        self.assertEqual([found.data for found in session.findings.all],
                         [b"only sanitizers see it"])
        self.assertEqual(session.findings.all[0].binary, self.tools.sanitized)
        # The input has left the working corpus. If it were still there, no later run would begin.
        self.assertEqual(list(self.tools.work.iterdir()), [])

    def test_a_seed_that_fails_does_not_end_the_run(self):
        (self.target.corpus / "bad").write_bytes(b"bad seed")
        fake_fuzzer(self.tools.fast, fatal=b"bad")
        fake_fuzzer(self.tools.sanitized, fatal=b"bad")
        session = self.run_session()
        self.assertEqual(len(session.findings), 1)
        self.assertEqual(session.fast.total(), 100)
        self.assertTrue((self.target.corpus / "bad").exists())

    def test_an_engine_that_does_not_start_is_an_error(self):
        fake_fuzzer(self.tools.fast, status=1)
        with self.assertRaises(EngineError):
            self.run_session()


    def fake_mutator_that_dies(self, path):
        """Writes a program that behaves as libFuzzer does when a mutator dies: the artifact is
        empty, since no input was running."""
        path.write_text(textwrap.dedent("""\
            #!/usr/bin/env python3
            import sys
            prefix = next((a[17:] for a in sys.argv if a.startswith("-artifact_prefix=")), None)
            if prefix is None:
                sys.exit(0)
            open(prefix + "crash-da39", "wb").close()
            print("FINDING: one")
            print("Test unit written to " + prefix + "crash-da39")
            sys.exit(77)
            """), encoding="utf-8")
        path.chmod(0o755)

    def test_a_mutator_that_dies_is_an_error_and_no_finding(self):
        for unreadable in (False, True):
            with self.subTest(unreadable=unreadable):
                self.fake_mutator_that_dies(self.tools.fast)
                if unreadable:
                    text = self.tools.fast.read_text(encoding="utf-8")
                    text = text.replace('open(prefix + "crash-da39"', 'open("elsewhere"')
                    self.tools.fast.write_text(text, encoding="utf-8")
                with children.Children() as started:
                    session = Session(self.target, self.tools, 9, started)
                    session.findings.add(b"an input", "FINDING: one", self.tools.fast)
                    with self.assertRaisesRegex(EngineError, "no input"):
                        while session.step():
                            time.sleep(0.02)
                self.assertEqual([(one.data, one.count) for one in session.findings.all],
                                 [(b"an input", 1)])

    def test_an_empty_input_may_be_a_finding(self):
        (self.target.corpus / "empty").write_bytes(b"")
        fake_fuzzer(self.tools.fast, fatal=b"")
        fake_fuzzer(self.tools.sanitized)
        session = self.run_session()
        self.assertIn(b"", [one.data for one in session.findings.all])


# This program behaves like a libFuzzer that minimises to SMALL, or leaves nothing. The content
# of an input says how it fails.
FAKE_MINIMISER = """\
#!/usr/bin/env python3
import sys
options = dict(a[1:].split("=", 1) for a in sys.argv[1:] if a.startswith("-"))
if "minimize_crash" in options:
    if SMALL is not None:
        open(options["exact_artifact_path"], "wb").write(SMALL)
    sys.exit(1)
data = open(sys.argv[-1], "rb").read()
if data:
    print("FINDING: " + data.split()[0].decode())
    sys.exit(77)
"""


class MinimizeTest(WithTarget):
    def left_of(self, small, data=b"one and more"):
        self.tools.sanitized.write_text(FAKE_MINIMISER.replace("SMALL", repr(small)),
                                        encoding="utf-8")
        finding = findings.Findings().add(data, "FINDING: one", self.tools.sanitized)
        findings.minimize(finding)
        return finding.data

    def test_takes_what_shows_the_same(self):
        self.assertEqual(self.left_of(b"one"), b"one")

    def test_the_finding_stays_as_it_is_where_that_is_none(self):
        for small in (b"", None, b"two", b"one and even more"):
            with self.subTest(small):
                self.assertEqual(self.left_of(small), b"one and more")


class FindingsTest(WithTarget):
    def add(self, found, data, said="FINDING: one"):
        return found.add(data, said, self.tools.sanitized)

    def test_one_for_each_signature_and_the_smallest_input_of_it(self):
        found = findings.Findings()
        self.assertIsNotNone(self.add(found, b"long"))
        self.assertIsNone(self.add(found, b"s"))
        self.assertIsNotNone(self.add(found, b"other", "FINDING: two"))
        self.assertEqual([(one.data, one.count) for one in found.all], [(b"s", 2), (b"other", 1)])

    def test_is_kept_among_the_regressions_under_a_telling_name(self):
        found = findings.Findings()
        finding = self.add(found, b"data", "FINDING: hash tag")
        findings.keep(finding, self.target, self.root / "scratch")
        self.assertEqual(finding.path, self.target.corpus / "regressions"
                         / f"hash-tag-{libfuzzer.digest(b'data')[:10]}")
        self.assertEqual(finding.path.read_bytes(), b"data")

    def test_stays_where_the_corpus_has_it(self):
        finding = self.add(findings.Findings(), b"seed")
        findings.keep(finding, self.target, self.root / "scratch")
        self.assertEqual(finding.path, self.target.corpus / "seed")

    def test_the_canarys_goes_into_no_corpus(self):
        canary = targets.Target(targets.CANARY, self.root)
        finding = self.add(findings.Findings(), b"data")
        findings.keep(finding, canary, self.root / "scratch")
        self.assertEqual(finding.path.parent, self.root / "scratch")
        self.assertFalse(canary.corpus.exists())


class MergeTest(unittest.TestCase):
    def test_named_files_and_folders_stay_and_older_merges_go(self):
        with tempfile.TemporaryDirectory() as folder:
            corpus, new = Path(folder) / "corpus", Path(folder) / "new"
            (corpus / "regressions").mkdir(parents=True)
            new.mkdir()
            old, fresh = "0" * 40, "1" * 40
            for path in (corpus / "named", corpus / old, corpus / "regressions" / old, new / fresh):
                path.write_text("x")
            merge.replace_merged(corpus, [new / fresh])
            left = sorted(str(path.relative_to(corpus)) for path in corpus.rglob("*")
                          if path.is_file())
            self.assertEqual(left, [fresh, "named", f"regressions/{old}"])

    def test_takes_few_and_small_files(self):
        with tempfile.TemporaryDirectory() as folder:
            for number in range(merge.MOST_FILES + 9):
                (Path(folder) / f"{number:02d}").write_bytes(b"x" * (100 - number))
            (Path(folder) / "large").write_bytes(b"x" * (merge.MOST_BYTES + 1))
            chosen = merge.choose(Path(folder).iterdir())
            self.assertEqual(len(chosen), merge.MOST_FILES)
            self.assertEqual(chosen[0].name, f"{merge.MOST_FILES + 8:02d}")


class ChildrenTest(unittest.TestCase):
    def test_none_outlives_the_context(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(ZeroDivisionError), children.Children() as started:
                child = started.start(["sleep", "100"], log=Path(folder) / "log")
                self.assertIsNone(child.status())
                _ = 1 / 0
            self.assertIsNotNone(child.status())

    def test_reads_whole_lines_once(self):
        with tempfile.TemporaryDirectory() as folder, children.Children() as started:
            child = started.start(["sh", "-c", textwrap.dedent("""\
                echo one; printf tw; sleep 0.4; echo o""")], log=Path(folder) / "log")
            seen = []
            while child.status() is None:
                seen += child.new_lines()
                time.sleep(0.05)
            seen += child.new_lines()
            self.assertEqual(seen, ["one", "two"])


class ShortTest(unittest.TestCase):
    def test_three_digits(self):
        self.assertEqual([short(number) for number in (0, 93, 1250, 812_000, 1_250_000, 35e6)],
                         ["0", "93", "1.25 k", "812 k", "1.25 M", "35.0 M"])


if __name__ == "__main__":
    unittest.main()
