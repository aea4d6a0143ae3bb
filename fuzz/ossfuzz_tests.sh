#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs the project's tests in OSS-Fuzz's builder. OSS-Fuzz calls this script after build.sh, to see
# whether a change breaks the project. All tests of ctest are run except those that take minutes and
# those with the label valkey, most of which need a server. $CC, $CXX, $CFLAGS and $CXXFLAGS say how
# to compile, as for fuzz/ossfuzz.sh. The network is not used.
#
# OSS-Fuzz's flags choose libc++, but the system's C++ libraries were built with libstdc++. So
# GoogleTest is built here from its sources (Debian's package googletest), and the tests that need
# simdjson are left out: the reference's cases, and the test of an oracle.
set -eu
: "${CC:?}" "${CXX:?}" "${CFLAGS?}" "${CXXFLAGS?}" "${WORK:?}"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
jobs=${FFGRANT_BUILD_JOBS:-$(nproc)}

googletest=${FFGRANT_GOOGLETEST_SOURCE:-/usr/src/googletest}
cmake -S "$root" -B "$WORK/tests" -DCMAKE_BUILD_TYPE= -DFFGRANT_BUILD_TESTS=ON \
  -DFFGRANT_BUILD_FUZZERS=ON -DFFGRANT_BUILD_BENCHMARKS=OFF -DFFGRANT_INSTALL=OFF \
  -DFFGRANT_REFERENCE=OFF -DFFGRANT_SIMDJSON=OFF \
  -DFFGRANT_GOOGLETEST_SOURCE="$googletest"
cmake --build "$WORK/tests" --parallel "$jobs"
ctest --test-dir "$WORK/tests" --parallel "$jobs" --output-on-failure \
  --label-exclude 'long|valkey'
