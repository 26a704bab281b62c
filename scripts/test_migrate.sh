#!/usr/bin/env bash
# Migrations through many disasters: the full numbers of what `make test` does a part of.
. "$(dirname "$0")/lib.sh"

cargo build --locked --quiet -p firstlight
export FIRSTLIGHT_BIN="${CARGO_TARGET_DIR:-target}/debug/firstlight"
export FIRSTLIGHT_KILLS=200 FIRSTLIGHT_FULL_DISKS=20 FIRSTLIGHT_POWER_CUTS=50
exec "$(judges_venv)" -m pytest -q -s tests/commands/test_migrate.py tests/commands/test_power_cut.py "$@"
