#!/usr/bin/env bash
# Builds, converts and serves: sample images, or the folder that is named. PORT chooses another port than 8042.
. "$(dirname "$0")/lib.sh"

"$ROOT/scripts/setup.sh" build start
say "building firstlight"
cargo build --release --locked --quiet -p firstlight
build_web
fetch_viewer

if [ -n "${1:-}" ]; then
  [ -e "$1" ] || die "$1 is not there" "make start DICOM=/a/folder"
  images=$1
  data=${DATA:-$CACHE/archives/$(realpath "$1" | sha256sum | cut -c1-12)}
else
  images=$("$ROOT/scripts/samples.sh")
  data=${DATA:-$CACHE/archives/samples}
fi
mkdir -p "$data"
exec target/release/firstlight serve --data "$data" --import "$images" --listen "127.0.0.1:${PORT:-8042}" \
  --viewer "$CACHE/viewer" --web web/dist
