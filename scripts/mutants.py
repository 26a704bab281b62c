"""Would the tests notice? Runs the codec's tests on every mutant of the block coder and the packet code.

    mutants.py list.json OUT [--every N] [--names REGEX] [--minutes M] [--again]

One program holds all mutants (crates/htj2k/mutants), so that a mutant costs a run of the tests and no build. What did not
compile is told from what was built by the compiler's own messages; mutants of constants, which the compiler computes, are
listed as such and are for `cargo mutants` itself. OUT/outcomes.tsv grows as mutants are run; those in it are not run again.
"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import re
import resource
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Every mutant goes through the first stage; what it misses goes on to the next. A suite with the names of its tests, quick first: what
# fails ends the run. Names that begin with ! are left out.
STAGES = {
    "first": [
        ("flat", []),
        ("--lib", ["!survive", "!never_panic", "!wavelet", "!words_give", "!stripes", "!wide_coefficients"]),
        ("found", []),
        ("round_trip", ["level_checksums", "extreme_samples"]),
        ("simd", ["made_images"]),
    ],
    "second": [
        ("--lib", ["words_give", "stripes"]),
        ("progressive", ["real_streams"]),
        ("streams", ["wg04", "a_complete_level", "a_length", "markers_around", "headers_a", "limit_of_work"]),
        ("region", []),
    ],
    "third": [("--lib", ["wide_coefficients", "extreme_magnitudes", "lone_samples", "empty_parts"]), ("conformance", ["tolerance"])],
    "fourth": [
        ("--lib", ["every_size_and_depth"]),
        ("round_trip", ["irreversible", "every_size", "every_depth", "many_components"]),
    ],
    "fifth": [
        ("simd", ["conformance_streams"]),
        ("--lib", ["never_panic"]),
        ("streams", ["damaged", "truncation"]),
        ("conformance", ["every_level"]),
    ],
    "last": [("progressive", ["every_level"]), ("round_trip", ["every_layout"])],
}


def instrument(listed, tree, target, left_out):
    """A copy of the codec with the mutants in it; the numbers that were built in, by place. What stays the same is not written again."""
    fresh = tree / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(ROOT / "crates" / "htj2k", fresh / "crates" / "htj2k", ignore=shutil.ignore_patterns("mutants", "wasm", "target"))
    tool = [str(target / "release" / "htj2k-mutants"), str(listed), str(fresh), *map(str, left_out)]
    places = {}
    for line in subprocess.run(tool, check=True, text=True, capture_output=True).stdout.splitlines():
        number, file, line = line.split("\t")
        places.setdefault((file, int(line)), []).append(int(number))
    for file in (f for f in fresh.rglob("*") if f.is_file()):
        place = tree / file.relative_to(fresh)
        if not place.exists() or place.read_bytes() != file.read_bytes():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    return places


def workspace(tree):
    """A workspace of the codec alone."""
    tree.mkdir(parents=True, exist_ok=True)
    manifest = (ROOT / "Cargo.toml").read_text()
    manifest = re.sub(r'members = .*', 'members = ["crates/htj2k"]', manifest)
    manifest = re.sub(r"\[profile.dev.package.htj2k\]\nopt-level = 3", "", manifest)
    # Faults that the compiler could tell beforehand are what mutants are made of.
    (tree / "Cargo.toml").write_text(manifest.split("[profile.dev.package")[0].replace("opt-level = 1", "opt-level = 2"))
    shutil.copy(ROOT / "Cargo.lock", tree)


def build(tree, target):
    """The test programs by suite, or the places that do not compile."""
    env = dict(os.environ, CARGO_TARGET_DIR=str(target / "tests"), RUSTFLAGS="--cap-lints warn -Aarithmetic_overflow -Aunconditional_panic -Awarnings")
    command = ["cargo", "test", "--offline", "-p", "htj2k", "--no-run", "--message-format", "json", "--lib", "--tests"]
    done = subprocess.run(command, cwd=tree, env=env, text=True, capture_output=True)
    programs, wrong = {}, set()
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and message["executable"]:
            kind = message["target"]
            programs["--lib" if "lib" in kind["kind"] else kind["name"]] = message["executable"]
        elif message["reason"] == "compiler-message" and message["message"]["level"] == "error":
            for span in spans(message["message"]):
                wrong.add(span)
    if done.returncode and not wrong:
        sys.exit(done.stderr[-3000:])
    return programs, wrong


def spans(message):
    for span in message["spans"]:
        if span["is_primary"]:
            yield span["file_name"], span["line_start"], span["line_end"]
    for child in message["children"]:
        yield from spans(child)


def build_all(listed, tree, target):
    """Builds without what does not compile; the programs, the numbers in them, and the numbers that do not compile."""
    known = tree / "left-out.json"
    key = hashlib.sha256(listed.read_bytes()).hexdigest()
    left_out = set(json.loads(known.read_text()).get(key, [])) if known.exists() else set()
    while True:
        places = instrument(listed, tree, target, left_out)
        programs, wrong = build(tree, target)
        if not wrong:
            return programs, {n for numbers in places.values() for n in numbers}, left_out
        new = {n for file, first, last in wrong for line in range(first, last + 1) for n in places.get((file, line), [])}
        if not new:
            sys.exit(f"does not compile, but not for a mutant: {sorted(wrong)[:5]}")
        left_out |= new
        known.write_text(json.dumps({key: sorted(left_out)}))
        print(f"{len(left_out)} mutants do not compile", flush=True)


def limits(seconds):
    def apply():
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return apply


def command(programs, suite, tests):
    if suite not in programs:
        sys.exit(f"no test is called {suite}")
    named = [word for test in tests for word in (["--skip", test[1:]] if test[0] == "!" else [test])]
    return [programs[suite], "--test-threads=1", *named]


def try_one(programs, stage, number, seconds):
    """The suite that noticed, or None; with what it said."""
    env = dict(os.environ, MUTANT=str(number), CARGO_MANIFEST_DIR=str(ROOT / "crates" / "htj2k"))
    for (suite, tests), most in zip(STAGES[stage], seconds):
        done = subprocess.run(command(programs, suite, tests), env=env, preexec_fn=limits(most), stdin=subprocess.DEVNULL,
                              text=True, errors="replace", capture_output=True, cwd=ROOT / "crates" / "htj2k")
        if done.returncode:
            said = "took too long" if done.returncode in (-24, -9) else (done.stderr.strip().splitlines() or ["?"])[0]
            return suite, said[:150]
    return None


def baseline(programs, stage):
    """CPU seconds that each run of a stage may take: several times what it takes unchanged."""
    seconds = []
    for suite, tests in STAGES[stage]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        env = dict(os.environ, MUTANT="0", CARGO_MANIFEST_DIR=str(ROOT / "crates" / "htj2k"))
        done = subprocess.run(command(programs, suite, tests), env=env, cwd=ROOT / "crates" / "htj2k", capture_output=True, text=True)
        if done.returncode or " 0 passed" in done.stdout:
            sys.exit(f"{suite} fails without a mutant, or has no such test:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seconds.append(int(4 * spent) + 2)
        print(f"unchanged, {suite} {' '.join(tests)}: {spent:.1f} CPU seconds", flush=True)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--names", default="", help="only those whose name matches")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--again", action="store_true", help="run those that survived again, the slowest tests too")
    args = parser.parse_args()
    names = [mutant["name"] for mutant in json.loads(args.list.read_text())]
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute() / "mutants"
    tree = args.out.absolute() / "tree"
    tool = ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", "crates/htj2k/mutants/Cargo.toml"]
    subprocess.run(tool, check=True, cwd=ROOT, env=dict(os.environ, CARGO_TARGET_DIR=str(target)))
    workspace(tree)
    programs, built, unviable = build_all(args.list.absolute(), tree, target)
    print(f"{len(names)} mutants: {len(built)} built, {len(unviable)} do not compile, {len(names) - len(built) - len(unviable)} not built in (most in constants)", flush=True)
    stages = list(STAGES) if args.again else list(STAGES)[:-1]
    log = args.out / "outcomes.tsv"
    known = {}
    if log.exists():
        known = {row[0]: row[1:3] for row in (line.split("\t") for line in log.read_text().splitlines())}
    if args.again:
        known = {name: row for name, row in known.items() if row[0] != "missed"}
    order = [n for n in sorted(built) if re.search(args.names, names[n - 1])]
    random.Random(1).shuffle(order)
    end = time.monotonic() + 60 * args.minutes
    with log.open("a") as out:
        for number in sorted(unviable):
            if names[number - 1] not in known:
                out.write(f"{names[number - 1]}\tdoes not compile\t\n")
        for number in range(1, len(names) + 1):
            if number not in built and number not in unviable and names[number - 1] not in known:
                out.write(f"{names[number - 1]}\tnot built in\t\n")
        for done, stage in enumerate(stages):
            # What a mutant's row says when it is to go through this stage.
            before = ["missed", stages[done - 1]] if done else None
            if any(known.get(names[n - 1]) == before for n in order):
                seconds = baseline(programs, stage)
            for number in order:
                name = names[number - 1]
                if known.get(name) != before:
                    continue
                if time.monotonic() > end:
                    return report(log)
                noticed = try_one(programs, stage, number, seconds)
                known[name] = ["caught", ": ".join(noticed)] if noticed else ["missed", stage]
                out.write("\t".join([name, *known[name]]) + "\n")
                out.flush()
    return report(log)


def report(log):
    last = {row[0]: row[1] for row in (line.split("\t") for line in log.read_text().splitlines())}
    for outcome in ("caught", "missed", "does not compile", "not built in"):
        print(f"{outcome}: {sum(v == outcome for v in last.values())}")
    for name, outcome in sorted(last.items()):
        if outcome == "missed":
            print("MISSED", name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
