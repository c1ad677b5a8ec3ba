#!/usr/bin/env bash
# Installs what the build needs on Debian or Ubuntu, and only what is missing:
#   a C++ compiler     RocksDB is C++
#   libclang           its bindings are made while building
#   etcdctl            with --with-etcdctl: the tests drive the server with it
#
# Elsewhere it says what to install. Nothing happens when everything is there.
set -euo pipefail

missing=()
command -v c++ >/dev/null || missing+=(g++)
has_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] && return 0
  compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null && return 0
  (ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true) | grep -q 'libclang[-.]'
}
has_libclang || missing+=(libclang-dev)
if [ "${1:-}" = --with-etcdctl ]; then
  command -v etcdctl >/dev/null || missing+=(etcd-client)
fi

if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "setup.sh: this is not Debian or Ubuntu; install what these packages hold: ${missing[*]}" >&2
    exit 1
  fi
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "setup.sh: as root, run: apt-get install ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
  fi
  echo "installing ${missing[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get update -q >&2
  "${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
fi
