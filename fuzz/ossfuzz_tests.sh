#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The tests of the project in OSS-Fuzz's builder, which runs them after build.sh to see whether a
# change of the project breaks it: all of ctest but what takes minutes. $CC, $CXX, $CFLAGS and
# $CXXFLAGS say how to compile, as for fuzz/ossfuzz.sh. The network is not used.
set -eu
: "${CC:?}" "${CXX:?}" "${CFLAGS?}" "${CXXFLAGS?}" "${WORK:?}"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
jobs=${FFGRANT_BUILD_JOBS:-$(nproc)}

cmake -S "$root" -B "$WORK/tests" -DCMAKE_BUILD_TYPE= -DFFGRANT_BUILD_TESTS=ON \
  -DFFGRANT_BUILD_FUZZERS=ON -DFFGRANT_BUILD_BENCHMARKS=OFF -DFFGRANT_INSTALL=OFF \
  -DFFGRANT_REFERENCE=OFF
cmake --build "$WORK/tests" --parallel "$jobs"
ctest --test-dir "$WORK/tests" --parallel "$jobs" --output-on-failure \
  --label-exclude 'long|valkey'
