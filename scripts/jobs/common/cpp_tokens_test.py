# SPDX-License-Identifier: Apache-2.0

import unittest

from jobs.common.cpp_tokens import Source, tokenize


def texts(text):
    return [token.text for token in tokenize(text)]


class TokenizeTest(unittest.TestCase):
    def test_leaves_out_comments_and_directives(self):
        self.assertEqual(texts("int a;  // b < c\n#define X \\\n  1 < 2\n/* d\n */ int e;"),
                         ["int", "a", ";", "int", "e", ";"])

    def test_a_directive_begins_a_line(self):
        self.assertEqual(texts("a;\n  # define B\nc"), ["a", ";", "c"])

    def test_literals_are_one_token(self):
        self.assertEqual(texts(r'''f("a\"<b", 'x', '\'', 1'000u, 0x1Fu, 1e-3)'''),
                         ["f", "(", r'"a\"<b"', ",", "'x'", ",", r"'\''", ",", "1'000u", ",",
                          "0x1Fu", ",", "1e-3", ")"])
        self.assertEqual(texts('R"x(a)" // b)x" c'), ['R"x(a)" // b)x"', "c"])

    def test_longest_marks(self):
        self.assertEqual(texts("a <<= b->c::d && e <= f"),
                         ["a", "<<=", "b", "->", "c", "::", "d", "&&", "e", "<=", "f"])

    def test_layout_tells_comparison_from_template(self):
        source = Source("bool b = x < y; std::span<char> s;")
        marks = [i for i in range(len(source.tokens)) if source[i] == "<"]
        self.assertEqual([source.is_binary(i) for i in marks], [True, False])


FUNCTIONS = """
namespace a {
namespace {
constexpr int kTable[2] = {1, 2};
enum class E { kA = 1, kB };
}
template <class T>
bool First(const T& t) noexcept {
  const auto f = [&]() { return t < 1; };
  return f();
}
class C {
 public:
  explicit C(int a) : a_(a) {}
  bool operator==(const C& other) const { return a_ == other.a_; }

 private:
  int a_ = 0;
};
}
"""


class SourceTest(unittest.TestCase):
    def test_finds_functions_in_namespaces_and_classes(self):
        source = Source(FUNCTIONS)
        self.assertEqual([source[span.begin] for span in source.functions],
                         ["template", "explicit", "bool"])
        self.assertEqual(len(source.enums), 1)

    def test_the_enclosing_function_or_declaration(self):
        source = Source(FUNCTIONS)
        one = next(i for i in range(len(source.tokens)) if source[i] == "1")
        span = source.enclosing(one)
        self.assertIn("kTable", source.slice(span.begin, span.end))
        self.assertIsNone(source.function_of(one))
        less = next(i for i in range(len(source.tokens))
                    if source[i] == "<" and source.is_binary(i))
        self.assertEqual(source.enclosing(less), source.functions[0])

    def test_checks_of_the_compiler_are_skipped(self):
        source = Source("static_assert(1 < 2); [[gnu::aligned(8)]] int a = 3;")
        numbers = [i for i, t in enumerate(source.tokens) if t.kind == "number"]
        self.assertEqual([source.is_skipped(i) for i in numbers], [True, True, True, False])

    def test_arguments(self):
        source = Source("f(a, g(b, c), std::pair<int, int>(d, e), {1, 2});")
        spans = source.arguments(1)
        self.assertEqual([source.slice(s.begin, s.end) for s in spans],
                         ["a", "g(b, c)", "std::pair<int, int>(d, e)", "{1, 2}"])
        self.assertEqual(Source("f();").arguments(1), [])

    def test_where_a_postfix_expression_begins(self):
        source = Source("x = a + b.c(1)[2]->d::e.size();")
        size = next(i for i in range(len(source.tokens)) if source[i] == "size")
        self.assertEqual(source[source.operand_begin(size)], "b")


if __name__ == "__main__":
    unittest.main()
