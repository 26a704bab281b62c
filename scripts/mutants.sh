#!/usr/bin/env bash
# Would the tests notice? Changes the block coder and the packet code line by line and runs the codec's tests on each change:
# scripts/mutants.sh [SHARD/SHARDS] [arguments of cargo-mutants]. Outcomes are in .cache/mutants/mutants.out.
. "$(dirname "$0")/lib.sh"

TOOLS=$CACHE/tools
PATH=$TOOLS/bin:$PATH
have cargo-mutants || retry 3 cargo install --quiet --locked --root "$TOOLS" cargo-mutants

shard=()
case ${1:-} in */*) shard=(--shard "$1"); shift ;; esac
# Less optimised than the tests usually are, and without the slowest of them. The unit tests do not reach the packet code: TESTS=--lib
# is enough for the block coder alone. What survives is to be tried with all: `TESTS=--tests scripts/mutants.sh --re NAME`.
FIRSTLIGHT_SHARED=${FIRSTLIGHT_SHARED:-$ROOT/../shared} CARGO_PROFILE_DEV_PACKAGE_HTJ2K_OPT_LEVEL=1 \
  cargo mutants --package htj2k --file 'crates/htj2k/src/block/*.rs' --file crates/htj2k/src/packet.rs --file crates/htj2k/src/tag_tree.rs --exclude '**/block/wasm.rs' \
  --output "$CACHE/mutants" --jobs 1 --timeout 300 --build-timeout 900 --no-shuffle "${shard[@]}" "$@" -- ${TESTS:---lib --test streams --test conformance}
