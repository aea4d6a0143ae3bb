# SPDX-License-Identifier: Apache-2.0
#
# Defines ffgrant::hiredis if hiredis is there. ffgrant needs hiredis 0.14 or later, but this file
# does not check the version. The build and the installed package use this file, because Debian 12's
# hiredis has no CMake package.

if(NOT TARGET ffgrant::hiredis)
  find_path(FFGRANT_HIREDIS_INCLUDE hiredis/hiredis.h)
  find_library(FFGRANT_HIREDIS_LIBRARY hiredis)
  mark_as_advanced(FFGRANT_HIREDIS_INCLUDE FFGRANT_HIREDIS_LIBRARY)
  if(FFGRANT_HIREDIS_INCLUDE AND FFGRANT_HIREDIS_LIBRARY)
    add_library(ffgrant::hiredis UNKNOWN IMPORTED GLOBAL)
    set_target_properties(ffgrant::hiredis PROPERTIES
      IMPORTED_LOCATION ${FFGRANT_HIREDIS_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${FFGRANT_HIREDIS_INCLUDE})
  endif()
endif()
