#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the fuzz targets for OSS-Fuzz and ClusterFuzzLite. Both set $CC, $CXX, $CFLAGS, $CXXFLAGS
# and $LIB_FUZZING_ENGINE, so nothing here depends on the engine. The results go to $OUT: the binary
# of every target but the canary, and the seed corpus, dictionary and options of the targets that
# have them.
set -eu
: "${CC:?}" "${CXX:?}" "${CFLAGS?}" "${CXXFLAGS?}" "${LIB_FUZZING_ENGINE:?}"
: "${SRC:?}" "${OUT:?}" "${WORK:?}"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
jobs=${FFGRANT_BUILD_JOBS:-$(nproc)}

# hiredis and Lua are C, so the system's libraries can be used. They are linked statically, since
# the machine that runs the targets lacks them. If one of them is missing, the targets that need it
# are left out, with a message.
static() { find /usr/lib /usr/local/lib -name "$1" 2>/dev/null | head -n 1; }
hiredis=$(static libhiredis.a)
lua=$(static liblua5.1.a)
cjson=$(static liblua5.1-cjson.a)
# MemorySanitizer wants every library instrumented, but the system's libraries are not, so they are
# left out.
without=
case $CXXFLAGS in
  *-fsanitize=*memory*)
    hiredis='' lua='' cjson=''
    without=-DFFGRANT_HIREDIS_LIBRARY= ;;
esac

# No build type is set, since it would add flags to those that the engine gives.
# TLS is left out: no target tests it, and the machine that runs the targets lacks its libraries.
cmake -S "$root" -B "$WORK/build" -DCMAKE_BUILD_TYPE= ${without:+"$without"} \
  -DFFGRANT_TLS=OFF \
  ${hiredis:+-DFFGRANT_HIREDIS_LIBRARY="$hiredis"} ${lua:+-DFFGRANT_LUA_LIBRARY="$lua"} \
  ${cjson:+-DFFGRANT_LUA_CJSON_LIBRARY="$cjson"} \
  -DFFGRANT_BUILD_TESTS=OFF -DFFGRANT_BUILD_BENCHMARKS=OFF -DFFGRANT_INSTALL=OFF -DFFGRANT_REFERENCE=OFF \
  -DFFGRANT_FUZZ_ENGINE="$LIB_FUZZING_ENGINE"
cmake --build "$WORK/build" --parallel "$jobs" --target ffgrant_fuzzers

for source in "$root"/fuzz/*_fuzzer.cc; do
  target=$(basename "$source" .cc)
  [ "$target" != canary_fuzzer ] || continue  # it must fail
  [ -f "$WORK/build/fuzz/$target" ] || continue  # it was left out
  cp "$WORK/build/fuzz/$target" "$OUT/"
  for extension in dict options; do
    file=$root/fuzz/$target.$extension
    if [ -f "$file" ]; then cp "$file" "$OUT/"; fi
  done
  # Copies all inputs, including those of regressions/, into one folder. Their names could then
  # clash, so each input is named by its content.
  [ -d "$root/corpus/$target" ] || continue
  seeds=$WORK/seeds/$target
  rm -rf "$seeds"
  mkdir -p "$seeds"
  find "$root/corpus/$target" -type f ! -name '.*' -exec sh -c '
    for file do cp "$file" "$0/$(sha1sum <"$file" | cut -c 1-40)"; done' "$seeds" {} +
  rm -f "$OUT/${target}_seed_corpus.zip"
  (cd "$seeds" && zip -q -X "$OUT/${target}_seed_corpus.zip" -- *)
done
