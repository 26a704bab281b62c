#!/usr/bin/env bash
# Real, public sample images out of the PyPI packages pydicom and pydicom-data; prints their folder.
. "$(dirname "$0")/lib.sh"
"$ROOT/scripts/setup.sh" start

SAMPLES=$CACHE/samples
if [ ! -f "$SAMPLES.complete" ]; then
  say "fetching sample images"
  fetched=$CACHE/sample-packages
  retry 3 python3 -m pip --disable-pip-version-check -q download --no-deps -d "$fetched" pydicom==3.0.2 pydicom-data==1.0.0 >&2
  rm -rf "$SAMPLES" "$SAMPLES.complete"
  python3 scripts/unpack_samples.py "$fetched" "$SAMPLES" >&2
  touch "$SAMPLES.complete"
fi
echo "$SAMPLES"
