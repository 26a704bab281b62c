"""CPU time of `firstlight convert` per instance: the whole process, verification and syncing to disk included.

    convert.py [FOLDER...]      without folders: classes of the corpus beside the checkout

Each class is converted with one thread, ROUNDS times into an empty folder; the median counts.
"""
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CORPUS = pathlib.Path(os.environ.get("FIRSTLIGHT_SHARED", ROOT.parent / "shared")) / "data" / "open"
BINARY = ROOT / "target" / "release" / "firstlight"
ROUNDS = 5
CLASSES = [
    ("CT 512 x 512, native", "ct/ge-hispeed-tilt"),
    ("CT 512 x 512, JPEG-LS", "ct/nlst-149872"),
    ("MR 256 x 256, native", "mr/sag-anon"),
    ("mammogram 3062 x 2394, RLE and JPEG lossless", "mg"),
    ("enhanced multi-frame, native", "enhanced"),
]


def once(source, policy):
    """CPU milliseconds, bytes written and instances converted of one run."""
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [BINARY, "convert", source, f"{folder}/out", "--jobs", "1", "--quiet", "--policy", policy, "--report", f"{folder}/report"]
        done = subprocess.run(command, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode > 1:
            sys.exit(done.stderr)
        lines = pathlib.Path(folder, "report").read_text().splitlines()
        converted = [line for line in map(__import__("json").loads, lines) if line["outcome"] == "converted"]
        cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000
        return cpu, sum(line["bytes_in"] for line in converted), sum(line["bytes_out"] for line in converted), len(converted), sum(line["frames"] for line in converted)


def main(folders):
    classes = [(folder, pathlib.Path(folder)) for folder in folders] or [(name, CORPUS / path) for name, path in CLASSES]
    print("| images | policy | converted | CPU ms an instance | CPU ms a frame | size after / before |\n|---|---|---|---|---|---|")
    for name, source in classes:
        if not source.exists():
            print(f"| {name} | | not here: {source} | | | |")
            continue
        for policy in ("default", "htj2k-all"):
            runs = [once(source, policy) for _ in range(ROUNDS)]
            cpu, (_, before, after, count, frames) = statistics.median(run[0] for run in runs), runs[0]
            if count:
                print(f"| {name} | {policy} | {count} | {cpu / count:.1f} | {cpu / frames:.2f} | {after / before:.2f} |", flush=True)
            else:
                print(f"| {name} | {policy} | 0 | | | |", flush=True)


main(sys.argv[1:])
