#!/usr/bin/env bash
# Builds htj2k for the browser into .cache/wasm: the module and its loader. With --test, decodes real frames with it in
# Chromium, and times it beside the codec that viewers use today.
#
# Rust's standard library is built along, from the sources that Debian packages, so that no other toolchain is needed.
. "$(dirname "$0")/lib.sh"

OUT=$CACHE/wasm
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}/wasm

toolchain() {
  packages wasm-ld-22=lld-22 npm=npm
  dpkg -s rustc-web cargo-web rust-web-src rust-web-llvm >/dev/null 2>&1 || packages no-rust-web=rustc-web no-cargo-web=cargo-web no-web-src=rust-web-src no-web-llvm=rust-web-llvm
}

tools() { (cd web/tests/wasm && [ node_modules/.package-lock.json -nt package-lock.json ] || retry 3 npm ci --no-audit --no-fund --loglevel=error >&2); }

# one NAME FEATURES OPTIONS...: a module for machines with these features. Inlining beyond small functions makes it a fifth larger and no faster; of
# the standard library the small forms serve (what sorts here sorts a few entries).
one() {
  local name=$1 features=$2; shift 2
  PATH=/usr/bin:$PATH RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$TARGET/$name RUSTFLAGS="-C target-feature=$features -C panic=immediate-abort -Z unstable-options -C llvm-args=-inline-threshold=60" \
    cargo build --quiet --release --locked --manifest-path crates/htj2k/wasm/Cargo.toml --target wasm32-unknown-unknown \
    -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size
  web/tests/wasm/node_modules/.bin/wasm-opt -O3 "$@" --enable-bulk-memory --enable-sign-ext --enable-nontrapping-float-to-int \
    --enable-mutable-globals --enable-multivalue --enable-reference-types \
    "$TARGET/$name/wasm32-unknown-unknown/release/htj2k_wasm.wasm" -o "$OUT/$name.wasm"
  say "$OUT/$name.wasm: $(stat -c %s "$OUT/$name.wasm") bytes, $(gzip -9c "$OUT/$name.wasm" | wc -c) with gzip"
}

# With SIMD, and for browsers without it.
build() {
  mkdir -p "$OUT"
  one htj2k +simd128,+bulk-memory --enable-simd
  one htj2k-scalar +bulk-memory
  cp crates/htj2k/wasm/loader.js "$OUT/loader.js"
}

toolchain
tools
build
if [ "${1:-}" = --test ]; then
  packages chromium=chromium
  [ -d web/node_modules/playwright-core ] || (cd web && retry 3 npm ci --no-audit --no-fund --loglevel=error >&2)
  FIRSTLIGHT_SHARED=${FIRSTLIGHT_SHARED:-$ROOT/../shared} node web/tests/wasm/run.mjs "$OUT"
fi
