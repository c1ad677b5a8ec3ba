# Thin wrappers: everything is cargo, after the machine has what the build needs (server/disk/rocksdb).
#
# ARGS passes more: `make run ARGS="--name node1"`, `make test ARGS="-p quorate-core"`, `make bench ARGS="--rounds 1"`.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help run test oracle bench

rocksdb := server/disk/rocksdb
etcd ?= $(shell command -v etcd)

# RocksDB is compiled once per machine; cargo is told where it is.
define with_rocksdb
settings=$$($(rocksdb)/build.sh)
while IFS= read -r setting; do export "$$setting"; done <<< "$$settings"
target=$${CARGO_TARGET_DIR:-target}
endef

help:
	@echo 'make run      build and start a durable member on 127.0.0.1:2379 (ARGS=more flags of etcd)'
	echo 'make test     format check, clippy, and all tests (ARGS=more arguments of cargo test)'
	echo 'make bench    compare speed with an etcd on this machine (etcd=its path, ARGS=more arguments)'
	echo 'make oracle   run the etcdctl, crash and input suites on an etcd instead (etcd=its path)'

run:
	@$(rocksdb)/setup.sh
	$(with_rocksdb)
	cargo build --locked --release -p quorate --bin quorate
	exec "$$target/release/quorate" --listen-metrics-urls=http://127.0.0.1:2381 $(ARGS)

test:
	@$(rocksdb)/setup.sh --with-etcdctl
	$(with_rocksdb)
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --workspace $(ARGS)

oracle:
	@$(rocksdb)/setup.sh --with-etcdctl
	[ -x "$(etcd)" ] || { echo 'there is no etcd here; install etcd-server, or name one: make oracle etcd=PATH' >&2; exit 1; }
	$(with_rocksdb)
	QUORATE_TEST_SERVER="$(etcd)" cargo test --locked -p quorate --test process -- etcdctl:: crash:: input::

bench:
	@$(rocksdb)/setup.sh
	[ -x "$(etcd)" ] || { echo 'there is no etcd here; install etcd-server, or name one: make bench etcd=PATH' >&2; exit 1; }
	$(with_rocksdb)
	cargo build --locked --release -p quorate --bin quorate -p quorate-bench
	exec "$$target/release/quorate-bench" compare --etcd "$(etcd)" --quorate "$$target/release/quorate" $(ARGS)
