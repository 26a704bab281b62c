"""Runs the checks step by step, counts what they ran, and closes with one line: "N passed, N failed".

A step is a command. Its output is shown as it comes and kept in .cache/test/STEP.log. Counts come from the runner's own
closing lines; a step without such lines counts as one check. A runner that ran nothing has failed.
"""
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / ".cache" / "test"
SHARED = pathlib.Path(os.environ.get("FIRSTLIGHT_SHARED", ROOT.parent / "shared"))

# name: (command, pattern of a closing line with named groups, or None for one check)
NEXTEST = r"Summary \[.*?\] +\d+(?:/\d+)? tests? run: (?P<passed>\d+) passed(?: \(.*?\))?(?:, (?P<failed>\d+) failed)?(?:, (?P<skipped>\d+) skipped)?"
LIBTEST = r"test result: \w+\. (?P<passed>\d+) passed; (?P<failed>\d+) failed; (?P<skipped>\d+) ignored"
PYTEST = r"^(?=.* in [\d.]+s)=*\s?(?:(?P<failed>\d+) failed,? ?)?(?:(?P<passed>\d+) passed,? ?)?(?:(?P<skipped>\d+) skipped,? ?)?(?:.*?(?P<errors>\d+) errors?)?"
VITEST = r"^ *Tests +(?:(?P<failed>\d+) failed \| )?(?P<passed>\d+) passed(?: \| (?P<skipped>\d+) skipped)?"
PLAIN = r"^(?:\w+: )?(?P<passed>\d+) passed, (?P<failed>\d+) failed(?:, (?P<skipped>\d+) skipped)?$"


# Steps that run only where they are named: the others hold samples of them.
ON_DEMAND = {"pairs", "sweep-all", "studies-all", "mutants-all"}


def steps():
    nextest = subprocess.run(["cargo", "nextest", "--version"], capture_output=True).returncode == 0
    rust = "cargo nextest run --workspace --locked --no-fail-fast" if nextest else "cargo test --workspace --locked --no-fail-fast --lib --bins --tests"
    python = "$(. scripts/lib.sh; judges_venv)"
    return {
        "format": ("cargo fmt --all --check", None),
        "house": ("python3 scripts/house.py", None),
        "licences": ("python3 scripts/licences.py", None),
        "lints": ("cargo clippy --workspace --all-targets --locked --quiet -- -D warnings", None),
        "docs": ("RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet", None),
        "rust": (rust, NEXTEST if nextest else LIBTEST),
        "doctests": ("cargo test --workspace --locked --doc --no-fail-fast", LIBTEST),
        "threads": ("cargo test --locked -p htj2k --features rayon --test region", LIBTEST),
        "setup": ("scripts/setup.sh test", None),
        "commands": (f". scripts/lib.sh; build_web; {python} -m pytest -q tests/commands", PYTEST),
        "sweep": (f"{python} tests/sweep/sweep.py --sample 12", PLAIN),
        "sweep-all": (f"cargo build --locked --quiet -p firstlight && {python} tests/sweep/sweep.py", PLAIN),
        "mutants-all": (f"FIRSTLIGHT_MUTANTS=3000 {python} -m pytest -q tests/commands/test_mutated.py", PYTEST),
        "judges": (f"{python} -m pytest -q -n 2 --dist worksteal tests/judges", PYTEST),
        "pairs": (f"cargo build --locked --quiet -p firstlight && FIRSTLIGHT_PAIRS=all {python} -m pytest -q -n 2 --dist worksteal tests/judges/test_pairs.py", PYTEST),
        "htj2k": (f"cargo build --locked --quiet -p htj2k --example htj2k && {python} -W ignore tests/judges/htj2k_interop.py --binary $HTJ2K_BIN", PLAIN),
        "fuzz": ("NICE=0 scripts/fuzz.sh 15", PLAIN),
        "web": (". scripts/lib.sh; build_web; cd web && npm test", VITEST),
        "packages": (". scripts/lib.sh; build_web; cd web && node tests/packages/run.mjs", PLAIN),
        "cornerstone": (". scripts/lib.sh; build_web; cd web && node tests/cornerstone/run.mjs", PLAIN),
        "browser": (". scripts/lib.sh; build_web; fetch_viewer; cd web && npm run --silent test:browser", PLAIN),
        "dist": (f"packed=$(scripts/dist/dist.sh --binary $FIRSTLIGHT_BIN --out .cache/test/dist) && FIRSTLIGHT_DIST=$(realpath $packed) {python} -m pytest -q tests/dist", PYTEST),
        "studies": (". scripts/lib.sh; build_web; fetch_viewer; cd web && node tests/browser/studies.mjs --sample 12", PLAIN),
        "studies-all": (". scripts/lib.sh; build_web; fetch_viewer; cd web && node tests/browser/studies.mjs", PLAIN),
        "wasm": ("scripts/wasm.sh --test", PLAIN),
    }


def environment():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    env = dict(os.environ, FIRSTLIGHT_SHARED=str(SHARED), FIRSTLIGHT_BIN=str(target / "debug" / "firstlight"), HTJ2K_BIN=str(target / "debug" / "examples" / "htj2k"))
    env.setdefault("CARGO_TERM_COLOR", "never")
    if (table := SHARED / "judges" / "http" / "dicomweb_table.py").is_file():
        env.setdefault("FIRSTLIGHT_DICOMWEB_TABLE", str(table))
    env.update(NO_COLOR="1", INSTA_UPDATE="no", CI="true")
    return env


def run(name, command):
    """Runs a step, shows and keeps its output; returns exit code, output and seconds."""
    print(f"\n== {name}: {command}", flush=True)
    started, output = time.monotonic(), []
    skipped = LOGS / f"{name}.skipped"
    skipped.unlink(missing_ok=True)
    with open(LOGS / f"{name}.log", "w") as log:
        step = subprocess.Popen(["bash", "-euo", "pipefail", "-c", command], cwd=ROOT, env=dict(environment(), FIRSTLIGHT_SKIPPED=str(skipped)), text=True, errors="replace",
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        for line in step.stdout:
            print(line, end="", flush=True)
            log.write(line)
            output.append(line)
    return step.wait(), "".join(output), time.monotonic() - started


def not_run(name):
    """Tests in Rust that ended well because what they need is not there: each has left its name."""
    skipped = LOGS / f"{name}.skipped"
    return len(set(skipped.read_text().splitlines())) if skipped.is_file() else 0


def count(code, output, pattern, not_run=0):
    """Passed, failed and skipped of a step, of which `not_run` say that they passed. It never comes out green when the command did not."""
    if pattern is None:
        return (1, 0, 0) if code == 0 else (0, 1, 0)
    output = re.sub(r"\x1b\[[0-9;]*m", "", output)
    totals = {"passed": 0, "failed": 0, "skipped": 0, "errors": 0}
    for match in re.finditer(pattern, output, re.M):
        for key, value in match.groupdict().items():
            totals[key] += int(value or 0)
    passed, failed = totals["passed"] - not_run, totals["failed"] + totals["errors"]
    totals["skipped"] += not_run
    if failed == 0 and (code != 0 or passed + totals["skipped"] == 0):
        failed = 1
    return passed, failed, totals["skipped"]


def main(wanted):
    LOGS.mkdir(parents=True, exist_ok=True)
    known = steps()
    unknown = [name for name in wanted if name not in known]
    if unknown:
        sys.exit(f"error: no step is called {unknown[0]}\nhint: steps are {' '.join(known)}")
    if not (SHARED / "data" / "open").is_dir():
        print(f"no corpus at {SHARED}/data/open: the checks that need it are skipped and counted so")
    rows, total = [], [0, 0, 0]
    for name in wanted or [name for name in known if name not in ON_DEMAND]:
        code, output, seconds = run(name, known[name][0])
        counts = count(code, output, known[name][1], not_run(name))
        rows.append((name, counts, seconds))
        total = [a + b for a, b in zip(total, counts)]
    print(f"\n{'step':<10} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for name, counts, seconds in rows:
        print(f"{name:<10} {counts[0]:>7} {counts[1]:>7} {counts[2]:>8} {seconds:>8.0f}")
    print(f"{'all':<10} {'':>7} {'':>7} {'':>8} {sum(row[2] for row in rows):>8.0f}\n")
    print(f"{total[0]} passed, {total[1]} failed" + (f", {total[2]} skipped" if total[2] else ""), flush=True)
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
