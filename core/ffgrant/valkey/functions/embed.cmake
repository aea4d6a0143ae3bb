# SPDX-License-Identifier: Apache-2.0
#
# cmake -DPARTS=a.lua;b.lua -DOUT=x.cc -P embed.cmake: writes the parts into a
# C++ source. Each part is a literal of its own, because a compiler need not
# take a literal of more than 65,536 characters. The source joins the literals
# when it is compiled.

set(literals)
foreach(part IN LISTS PARTS)
  file(READ ${part} text)
  string(APPEND literals "\n    R\"lua(${text})lua\",")
endforeach()
file(WRITE ${OUT} "// SPDX-License-Identifier: Apache-2.0\n// Generated from the Lua sources.\n
#include \"ffgrant/valkey/function_library.h\"\n
#include <array>
#include <cstddef>\n
namespace ffgrant::valkey {
namespace {\n
constexpr std::string_view kParts[] = {${literals}
};\n
constexpr std::size_t kSize = [] {
  std::size_t size = 0;
  for (const std::string_view part : kParts) size += part.size();
  return size;
}();\n
constexpr std::array<char, kSize> kSource = [] {
  std::array<char, kSize> source{};
  std::size_t at = 0;
  for (const std::string_view part : kParts) {
    for (const char c : part) source[at++] = c;
  }
  return source;
}();\n
}  // namespace\n
std::string_view FunctionLibrarySource() noexcept { return {kSource.data(), kSource.size()}; }\n
}  // namespace ffgrant::valkey\n")
