#!/usr/bin/env bash
# Would the tests notice? Changes the block coder and the packet code in every way that cargo-mutants knows, one at a time, and runs the
# codec's tests on each change: scripts/mutants.sh [arguments of mutants.py]. Outcomes are in .cache/mutants/outcomes.tsv.
. "$(dirname "$0")/lib.sh"

TOOLS=$CACHE/tools
OUT=$CACHE/mutants
PATH=$TOOLS/bin:$PATH
have cargo-mutants || retry 3 cargo install --quiet --locked --root "$TOOLS" cargo-mutants

mkdir -p "$OUT"
cargo mutants --list --json --package htj2k --file 'crates/htj2k/src/block/*.rs' --file crates/htj2k/src/packet.rs \
  --file crates/htj2k/src/tag_tree.rs --exclude '**/block/wasm.rs' >"$OUT/list.json"
FIRSTLIGHT_SHARED=${FIRSTLIGHT_SHARED:-$ROOT/../shared} exec python3 scripts/mutants.py "$OUT/list.json" "$OUT" "$@"
