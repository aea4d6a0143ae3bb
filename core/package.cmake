# SPDX-License-Identifier: Apache-2.0
#
# Installs libraries, public headers, a CMake package and pkg-config files.

if(NOT FFGRANT_INSTALL)
  return()
endif()

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ffgrant)

install(TARGETS ffgrant_core ffgrant_claims ffgrant_valkey_functions
  EXPORT ffgrantTargets FILE_SET HEADERS)
install(EXPORT ffgrantTargets NAMESPACE ffgrant:: DESTINATION ${package_dir})
# ffgrant::valkey has an export of its own, so a project that does not use it needs no hiredis.
if(TARGET ffgrant_valkey)
  install(TARGETS ffgrant_valkey EXPORT ffgrantValkeyTargets FILE_SET HEADERS)
  install(EXPORT ffgrantValkeyTargets NAMESPACE ffgrant:: DESTINATION ${package_dir})
endif()
# ffgrant::http has an export of its own too, so that a project without it needs no libcurl.
if(TARGET ffgrant_http)
  install(TARGETS ffgrant_http EXPORT ffgrantHttpTargets FILE_SET HEADERS)
  install(EXPORT ffgrantHttpTargets NAMESPACE ffgrant:: DESTINATION ${package_dir})
endif()
if(TARGET ffgrant_deployment)
  install(TARGETS ffgrant_deployment EXPORT ffgrantDeploymentTargets FILE_SET HEADERS)
  install(EXPORT ffgrantDeploymentTargets NAMESPACE ffgrant:: DESTINATION ${package_dir})
endif()
configure_package_config_file(ffgrantConfig.cmake.in ffgrantConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(ffgrantConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/ffgrantConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/ffgrantConfigVersion.cmake
  ffgrantHiredis.cmake
  DESTINATION ${package_dir})

# ffgrant_pkgconfig(<library> <description> <required packages> <linker flags>) installs a file for
# pkg-config. The flags name the libraries that the library itself uses. Only a program that links
# the library statically has to name them, too.
function(ffgrant_pkgconfig name description requires uses)
  # The prefix is relative to the file's own folder, so that an installed tree can be moved.
  # Folders with an absolute path stay where they are.
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
    BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig OUTPUT_VARIABLE prefix)
  set(libdir "\${prefix}")
  cmake_path(APPEND libdir ${CMAKE_INSTALL_LIBDIR})
  set(includedir "\${prefix}")
  cmake_path(APPEND includedir ${CMAKE_INSTALL_INCLUDEDIR})
  string(REPLACE - _ libraries ffgrant_${name})
  string(PREPEND libraries -l)
  if(BUILD_SHARED_LIBS)
    set(flags " -DFFGRANT_SHARED")
  else()
    string(APPEND libraries " ${uses}")
    set(uses "")
  endif()
  configure_file(ffgrant.pc.in ffgrant-${name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ffgrant-${name}.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

ffgrant_pkgconfig(core "Claim grants: ids, keys, JSON" "" "")
ffgrant_pkgconfig(claims "The claim path in memory" ffgrant-core "")
ffgrant_pkgconfig(valkey-functions "The claim path as Lua functions for a server" "" "")
if(TARGET ffgrant_valkey)
  set(valkey_uses -lhiredis)
  if(NOT FFGRANT_NEEDS_OPENSSL STREQUAL "")
    string(APPEND valkey_uses " -lssl -lcrypto")
  endif()
  ffgrant_pkgconfig(valkey "The claim path on Valkey" "ffgrant-claims ffgrant-valkey-functions"
    "${valkey_uses}")
endif()
if(TARGET ffgrant_http)
  ffgrant_pkgconfig(http "FlowFabric's server over HTTP" ffgrant-claims -lcurl)
endif()
if(TARGET ffgrant_deployment)
  ffgrant_pkgconfig(deployment "A whole worker of a FlowFabric deployment"
    "ffgrant-http ffgrant-valkey" "")
endif()
