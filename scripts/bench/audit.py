"""How fast `firstlight audit` reads: megabytes for each second of CPU time.

    audit.py [FOLDER]      without a folder: the corpus beside the checkout

The folder is converted into a tree by `firstlight convert` and taken into an archive by `firstlight import`; each is audited five
times. Bytes are those of the destination that the summary tells; CPU time is that of the whole process, start to end.
"""
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHARED = pathlib.Path(os.environ.get("FIRSTLIGHT_SHARED", ROOT.parent / "shared"))
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = pathlib.Path(os.environ.get("FIRSTLIGHT_BIN", TARGET / "release" / "firstlight"))
TIMES = 5


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def audit(destination):
    """Megabytes for each second of CPU time, and the bytes."""
    before = cpu()
    done = subprocess.run([BINARY, "audit", "--json", "-q", destination], capture_output=True, text=True)
    summary = json.loads(done.stdout.splitlines()[-1])
    assert not sum(summary["found"].values()), done.stdout[-2000:]
    return summary["bytes_read"] / (cpu() - before) / 1e6, summary["bytes_read"]


def main(folder):
    rates = {}
    print(f"{'destination':<12}{'bytes':>14}{'MB per CPU s':>15}{'least':>9}{'most':>9}")
    with tempfile.TemporaryDirectory(dir=TARGET) as place:
        tree, archive = pathlib.Path(place) / "tree", pathlib.Path(place) / "archive"
        talk = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([BINARY, "convert", "-q", "--second-opinion", "off", folder, tree], **talk)
        subprocess.run([BINARY, "import", "-q", folder, "--data", archive], **talk)
        for name, destination in [("tree", tree), ("archive", archive)]:
            audit(destination)
            found = [audit(destination) for _ in range(TIMES)]
            each = [rate for rate, _ in found]
            rates[name] = statistics.median(each)
            print(f"{name:<12}{found[0][1]:>14}{rates[name]:>15.0f}{min(each):>9.0f}{max(each):>9.0f}")
    for name, suffix in [("tree", ""), ("archive", "-archive")]:
        print(f"bar audit-speed{suffix} {rates[name]:.0f} >= 200 {'ok' if rates[name] >= 200 else 'short'}")


main(sys.argv[1] if len(sys.argv) > 1 else SHARED / "data" / "open")
