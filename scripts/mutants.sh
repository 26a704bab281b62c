#!/usr/bin/env bash
# Would the tests notice? Changes the block coder and the packet code line by line and runs the codec's tests on each change:
# scripts/mutants.sh [SHARD/SHARDS] [arguments of cargo-mutants]. Outcomes are in .cache/mutants/mutants.out.
. "$(dirname "$0")/lib.sh"

TOOLS=$CACHE/tools
PATH=$TOOLS/bin:$PATH
have cargo-mutants || retry 3 cargo install --quiet --locked --root "$TOOLS" cargo-mutants

shard=()
case ${1:-} in */*) shard=(--shard "$1"); shift ;; esac
# Less optimised than the tests usually are, and the unit tests alone: most of a mutant's time goes into building. What survives them is to be
# tried again with all tests: `TESTS=--tests scripts/mutants.sh --re NAME`.
FIRSTLIGHT_SHARED=${FIRSTLIGHT_SHARED:-$ROOT/../shared} CARGO_PROFILE_DEV_PACKAGE_HTJ2K_OPT_LEVEL=1 \
  cargo mutants --package htj2k --file 'crates/htj2k/src/block/*.rs' --file crates/htj2k/src/packet.rs --file crates/htj2k/src/tag_tree.rs \
  --output "$CACHE/mutants" --jobs 1 --timeout 300 --build-timeout 900 --no-shuffle "${shard[@]}" "$@" -- ${TESTS:---lib}
