#!/usr/bin/env bash
# Installs what the named parts need and the machine lacks: build, start, judges, test.
. "$(dirname "$0")/lib.sh"

for part in "$@"; do
  case $part in
    build) packages g++=g++ cmake=cmake make=make pkg-config=pkg-config
           have cargo || die "cargo is not there" "install Rust 1.95 or newer (rustup, or your system's packages)" ;;
    start) packages npm=npm curl=curl tar=tar
           have python3 || packages python3=python3
           python3 -m pip --version >/dev/null 2>&1 || packages pip3=python3-pip ;;
    judges) have python3 || packages python3=python3
           python3 -c 'import venv, ensurepip' 2>/dev/null || packages python3-no-venv=python3-venv
           packages curl=curl djxl=libjxl-tools
           judges_venv >/dev/null ;;
    test) packages npm=npm chromium=chromium curl=curl dcmdump=dcmtk firefox-esr=firefox-esr strace=strace openssl=openssl ps=procps
          # Its server is in no folder of commands.
          ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || packages initdb=postgresql
          "$0" judges ;;
    *) die "no part is called $part" "parts: build start judges test" ;;
  esac
done
