# Helpers of the scripts here; sourced, never run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
CACHE=$ROOT/.cache
mkdir -p "$CACHE"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; [ -z "${2:-}" ] || say "hint: $2"; exit 2; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo "$@"; else
    die "installing $* needs root" "install the packages by hand, or run this as root or with sudo"
  fi
}

# retry TIMES COMMAND...: registries and mirrors have bad moments.
retry() {
  local times=$1 n; shift
  for n in $(seq "$times"); do
    "$@" && return 0
    [ "$n" = "$times" ] || { say "try $n of $times failed, again in $((n * 5)) s: $*"; sleep $((n * 5)); }
  done
  return 1
}

# packages COMMAND=PACKAGE...: installs the Debian package of each command that is not there.
packages() {
  local want=() pair
  for pair in "$@"; do have "${pair%%=*}" || want+=("${pair#*=}"); done
  [ ${#want[@]} -gt 0 ] || return 0
  have apt-get || die "missing: ${want[*]}" "install them with this system's package manager"
  say "installing ${want[*]}"
  retry 4 as_root apt-get -qq -o Acquire::Retries=3 update >&2 || say "apt-get update failed; trying with the lists that are there"
  retry 3 as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${want[@]}" >"$CACHE/apt.log" 2>&1 ||
    { tail -n 20 "$CACHE/apt.log" >&2; die "cannot install ${want[*]}" "the whole log is in $CACHE/apt.log"; }
}

# The newest Python that the judges have wheels for.
judge_python() {
  local version found
  for version in 3.13 3.12 3.11; do
    for found in "$(command -v "python$version" || true)" "$HOME"/.pyenv/versions/"$version".*/bin/"python$version"; do
      # A shim may answer for a version that is not switched on.
      if [ -x "$found" ] && "$found" -c 'import venv, ensurepip' 2>/dev/null; then echo "$found"; return; fi
    done
  done
  die "no Python 3.11 to 3.13 with venv was found" "install python3 and python3-venv"
}

# judges_venv: a virtual environment with the independent decoders; prints its python.
judges_venv() {
  local python venv stamp
  python=$(judge_python)
  venv=$CACHE/judges-$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  stamp=$(sha256sum <tests/requirements.txt | cut -c1-16)
  if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$stamp" ]; then
    say "installing the independent decoders for $("$python" --version) in $venv"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    retry 3 "$venv/bin/python" -m pip --disable-pip-version-check -q install -r tests/requirements.txt >&2
    echo "$stamp" >"$venv/.stamp"
  fi
  echo "$venv/bin/python"
}

# stamp PATH...: changes with what git tracks there.
stamp() { (git ls-files -s "$@" 2>/dev/null; git diff HEAD -- "$@" 2>/dev/null) | sha256sum | cut -c1-16; }

# The codec for browsers, built once per change of its sources.
build_wasm() {
  local stamp
  stamp=$(stamp crates/htj2k scripts/wasm.sh)
  if [ "$(cat "$CACHE/wasm/.stamp" 2>/dev/null)" = "$stamp" ] && [ -f "$CACHE/wasm/htj2k-scalar.wasm" ]; then return; fi
  say "building the codec for browsers"
  "$ROOT/scripts/wasm.sh" >&2
  echo "$stamp" >"$CACHE/wasm/.stamp"
}

# The web side: packages from the npm registry, built once per change of its sources.
build_web() {
  local stamp
  build_wasm
  stamp=$(stamp web)-$(cat "$CACHE/wasm/.stamp")
  if [ "$(cat web/dist/.stamp 2>/dev/null)" = "$stamp" ] && [ -d web/node_modules ]; then return; fi
  say "building the web side"
  (cd web && retry 3 npm ci --no-audit --no-fund --loglevel=error >&2 && npm run --silent build >&2)
  echo "$stamp" >web/dist/.stamp
}

# Stock OHIF from the npm registry.
fetch_viewer() { (cd web && retry 3 npm run --silent fetch-viewer >&2); }
