#!/bin/sh
# Installs Firstlight from the folder this file is in: nothing is fetched and nothing is compiled.
#
#   ./install.sh [--prefix /usr/local] [--service]
#
# --service: also a user `firstlight`, /srv/firstlight, /etc/firstlight.toml (kept when it is there) and the unit of systemd.
# DESTDIR is honoured, as packagers expect.
set -eu

die() { echo "error: $1" >&2; echo "hint: $2" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
prefix=/usr/local service=no
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) [ $# -ge 2 ] || die "--prefix needs a folder" "./install.sh --prefix /usr/local"
              prefix=$2; shift 2 ;;
    --service) service=yes; shift ;;
    *) die "no flag is called $1" "./install.sh [--prefix /usr/local] [--service]" ;;
  esac
done
case $prefix in /*) ;; *) die "--prefix $prefix is no absolute path" "say it from / on" ;; esac

(cd "$here" && sha256sum --quiet -c SHA256SUMS) || die "a file is not as it was packed" "unpack the archive again; its own checksum stands beside it"

to=${DESTDIR:-}$prefix
mkdir -p "$to/bin" "$to/share/man/man1" "$to/share/doc/firstlight" || die "cannot write below $to" "run it as root, or choose another --prefix"
# The program gets its name when it is whole: one that runs is not disturbed.
cp "$here/bin/firstlight" "$to/bin/.firstlight.new"
mv "$to/bin/.firstlight.new" "$to/bin/firstlight"
# Pages are swapped as a whole, so that files of an older version do not stay among the new ones.
rm -rf "$to/share/firstlight.new"
cp -R -p "$here/share/firstlight" "$to/share/firstlight.new"
rm -rf "$to/share/firstlight"
mv "$to/share/firstlight.new" "$to/share/firstlight"
cp "$here"/share/man/man1/* "$to/share/man/man1/"
cp -R "$here"/share/doc/firstlight/. "$to/share/doc/firstlight/"
echo "installed $("$here/bin/firstlight" --version) in $prefix"

if [ $service = yes ]; then
  etc=${DESTDIR:-}/etc
  mkdir -p "$etc/systemd/system" "${DESTDIR:-}/srv/firstlight"
  sed "s#@PREFIX@#$prefix#" "$here/lib/firstlight.service" >"$etc/systemd/system/firstlight.service"
  [ -e "$etc/firstlight.toml" ] || cp "$here/lib/firstlight.toml" "$etc/firstlight.toml"
  if [ -z "${DESTDIR:-}" ]; then
    id firstlight >/dev/null 2>&1 || useradd --system --home-dir /srv/firstlight --shell /usr/sbin/nologin firstlight
    chown firstlight: /srv/firstlight
    chmod 700 /srv/firstlight
    ! command -v systemctl >/dev/null || systemctl daemon-reload || true
  fi
  echo "next: systemctl enable --now firstlight"
else
  echo "next: firstlight serve --data DIR"
fi
