# SPDX-License-Identifier: Apache-2.0
#
# Defines ffgrant_lua if Lua 5.1 and its module cjson are installed. Only tests and fuzz targets use
# it. Debian: liblua5.1-0-dev and lua-cjson-dev.

if(NOT TARGET ffgrant_lua)
  find_path(FFGRANT_LUA_INCLUDE lua5.1/lua.hpp)
  find_library(FFGRANT_LUA_LIBRARY lua5.1)
  find_library(FFGRANT_LUA_CJSON_LIBRARY lua5.1-cjson)
  mark_as_advanced(FFGRANT_LUA_INCLUDE FFGRANT_LUA_LIBRARY FFGRANT_LUA_CJSON_LIBRARY)
  if(FFGRANT_LUA_INCLUDE AND FFGRANT_LUA_LIBRARY AND FFGRANT_LUA_CJSON_LIBRARY)
    add_library(ffgrant_lua INTERFACE)
    target_include_directories(ffgrant_lua SYSTEM INTERFACE ${FFGRANT_LUA_INCLUDE})
    # cjson needs Lua, and a static Lua needs the libraries for mathematics and for loading.
    target_link_libraries(ffgrant_lua INTERFACE
      ${FFGRANT_LUA_CJSON_LIBRARY} ${FFGRANT_LUA_LIBRARY} m ${CMAKE_DL_LIBS})
  else()
    message(STATUS "ffgrant: no Lua 5.1 with cjson (Debian: liblua5.1-0-dev, lua-cjson-dev): "
      "the simulated server and its tests are left out")
  endif()
endif()
