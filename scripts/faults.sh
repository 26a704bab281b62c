#!/usr/bin/env bash
# Faults of what stores, deletes and backs up: kill -9 at so many moments of each kind, and what was acknowledged after it; one line a kind.
. "$(dirname "$0")/lib.sh"

times="${1:-100}"
cargo build --locked --quiet -p firstlight
export FIRSTLIGHT_BIN="${CARGO_TARGET_DIR:-target}/debug/firstlight"
export FIRSTLIGHT_STORE_KILLS="$times" FIRSTLIGHT_DELETE_KILLS="$times" FIRSTLIGHT_BACKUP_KILLS="$times"
status=0
while read -r kind test; do
    if "$(judges_venv)" -m pytest -q "tests/commands/$test" >/tmp/faults.$$ 2>&1; then
        echo "faults $kind $times ok"
    else
        echo "faults $kind $times failed"
        cat /tmp/faults.$$
        status=1
    fi
done <<'KINDS'
store test_store.py::test_kill_9_while_storing
delete test_delete.py::test_a_killed_server_keeps_what_it_said
purge test_delete.py::test_a_killed_purge_is_ended_by_the_next
backup test_backup.py::test_a_killed_backup_leaves_the_one_before_or_this_one
KINDS
rm -f /tmp/faults.$$
exit $status
