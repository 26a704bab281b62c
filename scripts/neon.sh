#!/usr/bin/env bash
# The codec's tests on aarch64 (NEON), under qemu: scripts/neon.sh [arguments of cargo test].
#
# Rust's standard library is built along, from the sources that Debian packages; the C library is Debian's for cross builds.
. "$(dirname "$0")/lib.sh"

SYSROOT=/usr/aarch64-linux-gnu

packages aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu qemu-aarch64=qemu-user
[ -e "$SYSROOT/lib/libc.so.6" ] || packages no-cross-libc=libc6-dev-arm64-cross
dpkg -s rustc-web cargo-web rust-web-src >/dev/null 2>&1 || packages no-rust-web=rustc-web no-cargo-web=cargo-web no-web-src=rust-web-src

[ $# -gt 0 ] || set -- --lib --tests
PATH=/usr/bin:$PATH RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}/neon \
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L $SYSROOT" \
  FIRSTLIGHT_SHARED=${FIRSTLIGHT_SHARED:-$ROOT/../shared} \
  cargo test --locked -p htj2k --target aarch64-unknown-linux-gnu -Zbuild-std "$@"
