#!/usr/bin/env bash
# Benchmarks on the release build: run.sh audit [FOLDER] | codec | convert [FOLDER...] | doors [FLAGS] | migrate [FLAGS] | scale [FLAGS] | server [FLAGS] | viewer [FLAGS].
. "$(dirname "$0")/../lib.sh"

what=${1:?audit, codec, convert, doors, migrate, scale, server, viewer or policy}
shift
case $what in
  convert)
    cargo build --release --locked --quiet -p firstlight
    cargo build --release --locked --quiet -p transcode --example bench_convert
    exec "$(judges_venv)" scripts/bench/convert.py "$@" ;;
  audit)
    cargo build --release --locked --quiet -p firstlight
    exec "$(judges_venv)" scripts/bench/audit.py "$@" ;;
  migrate)
    cargo build --release --locked --quiet -p firstlight
    exec "$(judges_venv)" scripts/bench/migrate.py "$@" ;;
  scale)
    cargo build --release --locked --quiet -p firstlight
    cargo build --release --locked --quiet -p store --features contract --example claims
    exec "$(judges_venv)" scripts/bench/scale.py "$@" ;;
  server)
    cargo build --release --locked --quiet -p firstlight
    exec "$(judges_venv)" scripts/bench/server.py "$@" ;;
  doors)
    cargo build --release --locked --quiet -p firstlight
    exec "$(judges_venv)" scripts/bench/doors.py "$@" ;;
  codec)
    "$(judges_venv)" scripts/bench/codec.py "$@"
    cargo run --release --locked --quiet -p htj2k --features rayon --example threads ;;
  viewer)
    cargo build --release --locked --quiet -p firstlight
    build_web
    fetch_viewer
    PYTHON=$(judges_venv) exec node web/bench/run.mjs "$@" ;;
  policy)
    cargo build --release --locked --quiet -p firstlight
    exec "${CARGO_TARGET_DIR:-target}/release/firstlight" policy compare "${1:-${FIRSTLIGHT_SHARED:-../shared}/data/open}" --sample 100000 ;;
  *) die "no benchmark is called $what" "audit, codec, convert, doors, migrate, scale, server, viewer or policy" ;;
esac
