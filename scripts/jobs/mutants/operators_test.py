# SPDX-License-Identifier: Apache-2.0

import unittest

from jobs.common.cpp_tokens import Source
from jobs.mutants import operators


def body(text):
    return f"void F() {{\n{text}\n}}\n"


def mutate(operator, text, wrap=True):
    """The bodies that an operator makes of a function's body."""
    source = Source(body(text) if wrap else text)
    results = [operators.apply(source, edit)
               for name, edit in operators.all_edits(source) if name == operator]
    return [" ".join(result[len("void F() {"):-3].split()) if wrap else result
            for result in results]


class OperatorTest(unittest.TestCase):
    def check(self, operator, text, *expected):
        self.assertEqual(sorted(mutate(operator, text)), sorted(expected))

    def test_boundary(self):
        self.check("boundary", "x = a < b;", "x = a <= b;")
        self.check("boundary", "x = a >= b;", "x = a > b;")
        self.check("boundary", "std::span<char> x;")

    def test_comparison(self):
        self.check("comparison", "x = a == b;", "x = a != b;")

    def test_logic(self):
        self.check("logic", "x = a && b;", "x = a || b;")
        self.check("logic", "x = a & b;", "x = a | b;")
        self.check("logic", "const T& x = &y;")

    def test_arithmetic(self):
        self.check("arithmetic", "x = a + b;", "x = a - b;")
        self.check("arithmetic", "x += b;", "x -= b;")
        self.check("arithmetic", "x = -b;")
        self.check("arithmetic", "char* p = q;")

    def test_constant(self):
        self.check("constant", "x = 7;", "x = 8;", "x = 6;")
        self.check("constant", "x = 0u;", "x = 1u;")
        self.check("constant", "x = 0x80;", "x = 0x81;", "x = 0x7f;")
        self.check("constant", "x = 1'000;", "x = 1001;", "x = 999;")
        self.check("constant", "x = '}';", "x = '~';")
        self.check("constant", "x = '&';", r"x = '\'';")
        self.check("constant", 'x = 1.5; y = "7";')

    def test_dropped_check(self):
        self.check("dropped-check", "if (a(b)) return 1;", "if ((a(b)) ? false : false) return 1;")
        self.check("dropped-check", "if (a) { b(); continue; }",
                   "if ((a) ? false : false) { b(); continue; }")
        self.check("dropped-check", "if (a) b(); if constexpr (c) return;")

    def test_negation(self):
        self.check("negation", "if (a || b) c();", "if (!(a || b)) c();")
        self.check("negation", "x = !a;", "x = a;")

    def test_swapped_arguments(self):
        self.check("swapped-arguments", "return f(a, g(b), c);", "return f(g(b), a, c);",
                   "return f(a, c, g(b));")
        self.check("swapped-arguments", "f(a, a); T x(a, b);")
        self.assertEqual(mutate("swapped-arguments", "int A::F(int a, int b) { return 0; }", False),
                         [])

    def test_wrong_enumerator_is_one_that_the_file_names(self):
        self.check("wrong-enumerator", "f(E::kA); g(E::kB);",
                   "f(E::kB); g(E::kB);", "f(E::kA); g(E::kA);")
        self.check("wrong-enumerator", "f(E::kA); g(D::kB);")
        self.check("wrong-enumerator", "switch (x) { case E::kA: case E::kB: break; }")

    def test_transition(self):
        self.check("transition", "r.state = State::kA; if (s == State::kB) return;",
                   "r.state = State::kB; if (s == State::kB) return;",
                   "; if (s == State::kB) return;")
        self.check("transition", "r.has = true;", "r.has = false;", ";")
        # Neither edit is made a second time as a wrong enumerator or a dropped statement.
        self.check("dropped-statement", "r.has = true;")
        self.check("transition", "bool has = true;")

    def test_bound(self):
        self.check("bound", "x = a + b.size();", "x = a + (b.size() + 1);",
                   "x = a + (b.size() - 1);")
        self.check("bound", "x = y < internal::kMaxKey;", "x = y < (internal::kMaxKey + 1);",
                   "x = y < (internal::kMaxKey - 1);")
        self.check("bound", "x = Enum::kMaxKey; constexpr int kMaxOther = 3;")

    def test_returned_truth(self):
        self.check("returned-truth", "return true;", "return false;")
        self.check("returned-truth", "return truth;")

    def test_dropped_statement(self):
        self.check("dropped-statement", "a.b(c); d = e; ++f; *g = h;",
                   "; d = e; ++f; *g = h;", "a.b(c); ; ++f; *g = h;", "a.b(c); d = e; ; *g = h;",
                   "a.b(c); d = e; ++f; ;")
        self.check("dropped-statement", "if (a) b(); else c();", "if (a) ; else c();",
                   "if (a) b(); else ;")
        self.check("dropped-statement", "T a; T b(c); const T& d = e; T* f = g; std::x<y> h = i();")
        self.check("dropped-statement", "for (; a != b; ++a) c(a);", "for (; a != b; ++a) ;")
        self.check("dropped-statement", "return a ? b(c) : d(e);")

    def test_nothing_in_checks_comments_or_attributes(self):
        for text in ("static_assert(1 < 2);", "// a < b", "#if 1 < 2\n#endif",
                     "[[gnu::aligned(8)]]"):
            self.assertEqual(list(operators.all_edits(Source(text))), [])

    def test_nothing_that_a_comment_says_is_never_left_by(self):
        never = "// Never reached: every enumerator\n  // has a case.\n"
        self.check("returned-truth", f"if (a) return true; {never} return false;",
                   f"if (a) return false; {' '.join(never.split())} return false;")
        self.check("returned-truth", "// Never reached: at compile time.\nint b = G([] {\n"
                   "return true; });", "// Never reached: at compile time. int b = G([] { return "
                   "false; });")

    def test_every_edit_changes_the_text_and_no_two_are_the_same(self):
        source = Source(body("if (!a) return false; b = true; c(d, 1); e = f.size() + 2;"))
        texts = [operators.apply(source, edit)
                 for _, edit in operators.all_edits(source)]
        self.assertNotIn(source.text, texts)
        self.assertEqual(len(texts), len(set(texts)))


if __name__ == "__main__":
    unittest.main()
