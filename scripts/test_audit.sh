#!/usr/bin/env bash
# The audit of many faults: the full numbers of what `make test` does a part of.
. "$(dirname "$0")/lib.sh"

cargo build --locked --quiet -p firstlight
export FIRSTLIGHT_BIN="${CARGO_TARGET_DIR:-target}/debug/firstlight"
export FIRSTLIGHT_FAULTS=1000 FIRSTLIGHT_AUDIT_KILLS=20
exec "$(judges_venv)" -m pytest -q -s tests/commands/test_audit.py "$@"
