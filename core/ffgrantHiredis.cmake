# SPDX-License-Identifier: Apache-2.0
#
# Defines ffgrant::hiredis if hiredis is there, in version 0.14 or later. The build and the installed
# package use this file, because Debian 12's hiredis has no CMake package.

if(NOT TARGET ffgrant::hiredis)
  find_path(FFGRANT_HIREDIS_INCLUDE hiredis/hiredis.h)
  find_library(FFGRANT_HIREDIS_LIBRARY hiredis)
  mark_as_advanced(FFGRANT_HIREDIS_INCLUDE FFGRANT_HIREDIS_LIBRARY)
  set(hiredis_version 0)
  if(FFGRANT_HIREDIS_INCLUDE AND FFGRANT_HIREDIS_LIBRARY)
    file(STRINGS ${FFGRANT_HIREDIS_INCLUDE}/hiredis/hiredis.h hiredis_version
      REGEX "^#define HIREDIS_(MAJOR|MINOR) ")
    string(REGEX REPLACE "#define HIREDIS_[A-Z]+ +" "" hiredis_version "${hiredis_version}")
    list(JOIN hiredis_version "." hiredis_version)
    if(hiredis_version VERSION_LESS 0.14)
      message(STATUS "ffgrant: hiredis ${hiredis_version} is older than 0.14")
    endif()
  endif()
  if(hiredis_version VERSION_GREATER_EQUAL 0.14)
    add_library(ffgrant::hiredis UNKNOWN IMPORTED GLOBAL)
    set_target_properties(ffgrant::hiredis PROPERTIES
      IMPORTED_LOCATION ${FFGRANT_HIREDIS_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${FFGRANT_HIREDIS_INCLUDE})
  endif()
endif()
