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

build() {
  PATH=/usr/bin:$PATH RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$TARGET RUSTFLAGS="-C target-feature=+simd128,+bulk-memory" \
    cargo build --quiet --release --locked --manifest-path crates/htj2k/wasm/Cargo.toml --target wasm32-unknown-unknown \
    -Zbuild-std=std,panic_abort
  mkdir -p "$OUT"
  web/tests/wasm/node_modules/.bin/wasm-opt -O3 --enable-simd --enable-bulk-memory --enable-sign-ext --enable-nontrapping-float-to-int \
    --enable-mutable-globals --enable-multivalue --enable-reference-types \
    "$TARGET/wasm32-unknown-unknown/release/htj2k_wasm.wasm" -o "$OUT/htj2k.wasm"
  cp crates/htj2k/wasm/loader.js "$OUT/loader.js"
  say "$OUT/htj2k.wasm: $(stat -c %s "$OUT/htj2k.wasm") bytes, $(gzip -9c "$OUT/htj2k.wasm" | wc -c) with gzip"
}

toolchain
tools
build
if [ "${1:-}" = --test ]; then
  packages chromium=chromium
  [ -d web/node_modules/playwright-core ] || (cd web && retry 3 npm ci --no-audit --no-fund --loglevel=error >&2)
  FIRSTLIGHT_SHARED=${FIRSTLIGHT_SHARED:-$ROOT/../shared} node web/tests/wasm/run.mjs "$OUT"
fi
