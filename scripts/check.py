"""The short answer after a change: format, the house, lints, unit and crate tests without the corpus.

The same steps and counts as scripts/test.py. The closing line says how long it took, on the clock and of CPU time, and whether the
target was cold: what has to be built is most of it.
"""
import os
import resource
import sys
import tempfile
import time

import test as everything

NEXTEST = "cargo nextest run --workspace --locked --no-fail-fast --status-level fail"
LIBTEST = "cargo test --workspace --locked --no-fail-fast --lib --bins --tests"


def steps():
    known = everything.steps()
    nextest = known["rust"][1] is everything.NEXTEST
    chosen = {name: known[name] for name in ("format", "house", "lints")}
    return chosen | {"check": (NEXTEST if nextest else LIBTEST, known["rust"][1])}


def main():
    target = os.environ.get("CARGO_TARGET_DIR", everything.ROOT / "target")
    cold = not os.path.isdir(os.path.join(target, "debug", ".fingerprint"))
    everything.LOGS.mkdir(parents=True, exist_ok=True)
    began, rows, total = time.monotonic(), [], [0, 0, 0]
    with tempfile.TemporaryDirectory() as nowhere:
        everything.SHARED = nowhere
        for name, (command, pattern) in steps().items():
            code, output, seconds = everything.run(name, command)
            counts = everything.count(code, output, pattern, everything.not_run(name))
            rows.append((name, counts, seconds))
            total = [a + b for a, b in zip(total, counts)]
    print(f"\n{'step':<10} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for name, counts, seconds in rows:
        print(f"{name:<10} {counts[0]:>7} {counts[1]:>7} {counts[2]:>8} {seconds:>8.0f}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = f"{time.monotonic() - began:.0f} s, {used.ru_utime + used.ru_stime:.0f} CPU-s, {'cold' if cold else 'warm'} target"
    print(f"\n{total[0]} passed, {total[1]} failed, {total[2]} skipped: {took}", flush=True)
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
