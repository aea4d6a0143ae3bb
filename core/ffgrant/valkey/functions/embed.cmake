# SPDX-License-Identifier: Apache-2.0
#
# cmake -DPARTS=a.lua;b.lua -DOUT=x.cc -P embed.cmake: joins the parts into a
# C++ source. A raw string literal a part, because compilers bound the length of
# one.

set(literals)
foreach(part IN LISTS PARTS)
  file(READ ${part} text)
  string(APPEND literals "\n    R\"lua(${text})lua\"")
endforeach()
file(WRITE ${OUT} "// SPDX-License-Identifier: Apache-2.0\n// Generated from the Lua sources.\n
#include \"ffgrant/valkey/function_library.h\"\n
namespace ffgrant::valkey {\n
std::string_view FunctionLibrarySource() noexcept {
  static constexpr std::string_view kSource =${literals};
  return kSource;
}\n
}  // namespace ffgrant::valkey\n")
