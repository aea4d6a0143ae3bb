# SPDX-License-Identifier: Apache-2.0
#
# The toolchain file of the clang presets. It takes the clang that scripts/bootstrap would take, so
# that a configuration by hand and the scripts agree. -DCMAKE_CXX_COMPILER=... overrules it.
if(NOT CMAKE_CXX_COMPILER)
  execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/../../bootstrap --clang
    OUTPUT_VARIABLE ffgrant_clang OUTPUT_STRIP_TRAILING_WHITESPACE
    ERROR_VARIABLE ffgrant_problem ERROR_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE ffgrant_status)
  if(NOT ffgrant_status EQUAL 0)
    message(FATAL_ERROR "${ffgrant_problem}")
  endif()
  set(CMAKE_CXX_COMPILER ${ffgrant_clang} CACHE FILEPATH "The C++ compiler")
endif()
