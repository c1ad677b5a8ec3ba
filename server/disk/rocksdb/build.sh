#!/usr/bin/env bash
# Builds RocksDB once as four large translation units and keeps the library outside the clone.
#
# Compiled file by file, as the crate's own build script does it, RocksDB takes eleven minutes on two cores, most of it
# spent parsing the same headers again. Four units take under three. The result depends only on the crate's version and
# the flags, so every clone on the machine shares it.
#
# Prints two lines for the caller to export: ROCKSDB_LIB_DIR=... and ROCKSDB_STATIC=1.
# QUORATE_CACHE chooses the cache's place (default: $HOME/.cache/quorate).
set -euo pipefail
cd "$(dirname "$0")/../../.."

flags=(-O3 -fPIC -std=c++20 -include cstdint -DNDEBUG -DLZ4=1 -DHAVE_ALIGNED_NEW -DHAVE_UINT128_EXTENSION
  -DOS_LINUX -DROCKSDB_PLATFORM_POSIX -DROCKSDB_LIB_IO_POSIX -DROCKSDB_SCHED_GETCPU_PRESENT
  -DROCKSDB_AUXV_GETAUXVAL_PRESENT -DROCKSDB_FALLOCATE_PRESENT -DROCKSDB_RANGESYNC_PRESENT -w)
if [ "$(uname -m)" = x86_64 ]; then flags+=(-msse4.2 -mpclmul); fi

manifest_dir() { # package name -> directory of its manifest
  cargo metadata --format-version 1 --locked |
    tr '{' '\n' | grep -o "\"manifest_path\":\"[^\"]*/$1-[0-9][^\"]*/Cargo.toml\"" | head -n 1 |
    sed 's/.*:"//; s/"$//; s#/Cargo.toml$##'
}
sys=$(manifest_dir librocksdb-sys)
lz4=$(manifest_dir lz4-sys)
[ -n "$sys" ] && [ -n "$lz4" ] || { echo "build.sh: librocksdb-sys or lz4-sys is not among the dependencies" >&2; exit 1; }

key=$(printf '%s\n' "$(basename "$sys")" "$(basename "$lz4")" "${flags[*]}" "$(c++ --version | head -n 1)" |
  sha256sum | cut -c1-16)
cache=${QUORATE_CACHE:-$HOME/.cache/quorate}/rocksdb-$key
if [ ! -f "$cache/librocksdb.a" ]; then
  work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
  echo "building RocksDB once into $cache (about three minutes on two cores)" >&2
  grep -v build_version "$sys/rocksdb_lib_sources.txt" | tr ' ' '\n' | sed '/^$/d; s#.*#\#include "rocksdb/&"#' > "$work/all"
  split -n l/4 -d "$work/all" "$work/unit"
  for unit in "$work"/unit0*; do mv "$unit" "$unit.cc"; done
  cp "$sys/build_version.cc" "$work/build_version.cc"
  include=(-I "$sys" -I "$sys/rocksdb/include" -I "$sys/rocksdb" -I "$lz4/liblz4/lib")
  printf '%s\n' "$work"/unit0*.cc "$work/build_version.cc" |
    xargs -P 2 -I{} sh -c 'c++ "$@" -c {} -o {}.o' sh "${flags[@]}" "${include[@]}"
  mkdir -p "$cache.part"
  ar crs "$cache.part/librocksdb.a" "$work"/*.o
  rm -rf "$cache"; mv "$cache.part" "$cache"
fi
echo "ROCKSDB_LIB_DIR=$cache"
echo "ROCKSDB_STATIC=1"
