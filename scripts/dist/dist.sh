#!/usr/bin/env bash
# Packs a release: the program, the viewer with OHIF, unit file, manual pages, bill of materials, checksums.
#
#   scripts/dist/dist.sh [--binary FILE] [--out DIR]
#
# --binary packs a program that is there instead of building one. Same sources, same bytes: names are sorted, times are those of the commit.
. "$(dirname "$0")/../lib.sh"

binary='' out=$ROOT/dist
while [ $# -gt 0 ]; do
  case $1 in
    --binary) binary=$(realpath "$2"); shift 2 ;;
    --out) out=$2; shift 2 ;;
    *) die "no flag is called $1" "scripts/dist/dist.sh [--binary FILE] [--out DIR]" ;;
  esac
done
if [ -z "$binary" ]; then
  say "building firstlight"
  cargo build --release --locked --quiet -p firstlight
  binary=$ROOT/target/release/firstlight
fi
build_web
fetch_viewer

version=$("$binary" --version | cut -d' ' -f2)
name=firstlight-$version-$(uname -m)-linux
made=$out/$name
rm -rf "$made"
mkdir -p "$made"/{bin,lib,share/firstlight,share/man/man1,share/doc/firstlight}
strip -o "$made/bin/firstlight" "$binary"
cp -R "$CACHE/viewer" "$made/share/firstlight/viewer"
cp -R web/dist "$made/share/firstlight/web"
rm -f "$made/share/firstlight/web/.stamp"
"$binary" manual "$made/share/man/man1"
cp README.md CHANGELOG.md SECURITY.md LICENSE-* "$made/share/doc/firstlight/"
cp -R docs "$made/share/doc/firstlight/docs"
python3 scripts/dist/sbom.py "$version" >"$made/share/doc/firstlight/sbom.cdx.json"
cp scripts/dist/firstlight.service scripts/dist/firstlight.toml "$made/lib/"
cp scripts/dist/install.sh "$made/install.sh"
(cd "$made" && find . -type f ! -name SHA256SUMS -print0 | LC_ALL=C sort -z | xargs -0 sha256sum >SHA256SUMS)

time=$(git log -1 --format=%ct 2>/dev/null || echo 0)
tar -C "$out" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" -cf - "$name" | gzip -n -6 >"$out/$name.tar.gz"
(cd "$out" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
rm -rf "$made"
echo "$out/$name.tar.gz"
