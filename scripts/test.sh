#!/usr/bin/env bash
# Everything that is checked. Without arguments all steps, else those named; the steps are in test.py.
. "$(dirname "$0")/lib.sh"

"$ROOT/scripts/setup.sh" build
have python3 || packages python3=python3
exec python3 scripts/test.py "$@"
