"""CPU time of `firstlight convert` per instance: the whole process, verification, way back and syncing to disk included.

    convert.py [FOLDER...]      without folders: classes of the corpus beside the checkout, and the bars

Each class is converted with one thread, ROUNDS times into an empty folder; the median counts. A ratio is the median of the ratios of
2 ROUNDS + 1 rounds, in which the two sides take turns: what slows a whole round down does not change its ratio. A second decoder looks at
1 % of the frames, as it does once the first 1,000 of a class were right; what it costs to show it every frame is told by itself.
"""
import collections
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CORPUS = pathlib.Path(os.environ.get("FIRSTLIGHT_SHARED", ROOT.parent / "shared")) / "data" / "open"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
ROUNDS = int(os.environ.get("ROUNDS", 5))
# A file, not a folder, is converted in twelve copies.
CLASSES = [
    ("ct", "CT 512 x 512, native", "ct/ge-hispeed-tilt"),
    ("", "CT 512 x 512, JPEG-LS", "ct/nlst-149872"),
    ("", "MR 256 x 256, native", "mr/sag-anon"),
    ("mammogram", "mammogram 3062 x 2394, made native", "mg/fo-dicom__GH133.dcm"),
    ("", "mammograms, RLE and JPEG lossless", "mg"),
    ("slide", "slide tiles 256 x 256 RGB, native", "wsi/google/raw.dicom"),
    ("cine", "cine 320 x 240 colour, made native", "cine/pydicom__examples_ybr_color.dcm"),
    ("", "enhanced multi-frame, native", "enhanced"),
]
# Slides and cine are to cost no more a megabyte than a CT that meets its goal.
CT_GOAL, CT_MEGABYTES = 8, 0.524
bars = []
# What is written stays until the end: a file system that has just deleted many files is slow to make new ones (ext4 looks for an inode that
# was not in use a few seconds ago).
SCRATCH = tempfile.TemporaryDirectory()


def spent(command, cores=None):
    """CPU and wall milliseconds of a command, held on these cores."""
    hold = cores and (lambda: os.sched_setaffinity(0, cores))
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, preexec_fn=hold)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode > 1:
        sys.exit(done.stderr)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000, wall * 1000


def once(source, policy, cores=None, second_opinion="0, 1%"):
    """CPU and wall milliseconds of one run, the report's lines of what was converted, and the folder of it."""
    folder = tempfile.mkdtemp(dir=SCRATCH.name)
    jobs = len(cores) if cores else 1
    command = [TARGET / "firstlight", "convert", source, f"{folder}/out", "--jobs", jobs, "--quiet", "--policy", policy,
               "--second-opinion", second_opinion]
    times = spent([*command, "--report", f"{folder}/report"], cores)
    lines = [json.loads(line) for line in pathlib.Path(folder, "report").read_text().splitlines()]
    return *times, [line for line in lines if line.get("outcome") == "converted"], pathlib.Path(folder, "out")


def sums(lines, key):
    return sum(line[key] for line in lines)


def copies(file, folder, native):
    """Twelve copies of a file, so that the start of the process counts as little as among many; `native`: with pixels uncompressed."""
    import pydicom

    dataset = pydicom.dcmread(file)
    if native:
        dataset.decompress(as_rgb=True)
        # What is lossy already would be kept.
        for name in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            dataset.pop(name, None)
    for n in range(12):
        dataset.save_as(pathlib.Path(folder, f"{n}.dcm"))
    return pathlib.Path(folder)


def times(folder, n):
    """A folder with so many copies of this one."""
    many = tempfile.mkdtemp(dir=SCRATCH.name)
    for copy in range(n):
        shutil.copytree(folder, pathlib.Path(many, str(copy)))
    return many


def table(classes):
    """Converts every class; gives milliseconds an instance and a megabyte by (key, policy)."""
    figures = {}
    print(f"{'images':<36} {'policy':<10} {'converted':>9} {'ms/instance':>11} {'ms/frame':>9} {'ms/MB':>7} {'size':>5}")
    for key, name, source in classes:
        if not source.exists():
            print(f"{name:<36} not here: {source}")
            continue
        folder = tempfile.mkdtemp(dir=SCRATCH.name)
        source = copies(source, folder, "made native" in name) if source.is_file() else source
        for policy in ("default", "htj2k-all"):
            runs = [once(source, policy) for _ in range(ROUNDS)]
            cpu, lines = statistics.median(run[0] for run in runs), runs[0][2]
            if not lines:
                print(f"{name:<36} {policy:<10} {0:>9}")
                continue
            each, megabyte = cpu / len(lines), cpu * 1e6 / sums(lines, "bytes_in")
            size = sums(lines, "bytes_out") / sums(lines, "bytes_in")
            frame = cpu / sums(lines, "frames")
            print(f"{name:<36} {policy:<10} {len(lines):>9} {each:>11.1f} {frame:>9.2f} {megabyte:>7.1f} {size:>5.2f}", flush=True)
            figures[key, policy] = each, megabyte
    return figures


def alone(folder):
    """What CharLS takes by itself, and what verification and the proof of the way back take of a conversion, CPU ms an instance."""
    run = subprocess.run([TARGET / "examples" / "bench_convert", folder], capture_output=True, text=True, check=True)
    return {key: float(value) for key, value in (line.split() for line in run.stdout.splitlines())}


def dcmtk(folder):
    """dcmcjpls over the same files, which neither verifies nor syncs."""
    if not shutil.which("dcmcjpls"):
        return None
    files = sorted(f for f in folder.iterdir() if f.is_file())
    out = tempfile.mkdtemp(dir=SCRATCH.name)
    return sum(spent(["dcmcjpls", file, f"{out}/{n}.dcm"])[0] for n, file in enumerate(files)) / len(files)


def two_cores(folder):
    """How many times as fast two threads on two cores are as one on one, by the wall clock, pair by pair."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    return statistics.median(once(folder, "htj2k-all", cores[:1])[1] / once(folder, "htj2k-all", cores)[1] for _ in range(2 * ROUNDS + 1))


def panel(folder):
    """Which decoders saw the frames of a conversion, by the evidence of it: a sentence."""
    seen = collections.Counter()
    for line in pathlib.Path(folder, ".firstlight", "evidence.jsonl").read_text().splitlines():
        entry = json.loads(line)
        for frame in entry.get("evidence", entry).get("frames", []):
            opinion = frame["opinion"]
            seen[opinion["agreed"] if isinstance(opinion, dict) and "agreed" in opinion else "none"] += 1
    return "; ".join(f"{n} of {seen.total()} frames seen by {who}" for who, n in seen.most_common())


def second_opinions(many):
    """Conversions of which a second decoder sees every frame, beside those of which it sees 1 %, round by round. Gives ratios by key."""
    every = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH.name), "jpeg-xl.toml")
    every.write_text('[[rule]]\nname = "all"\nthen = { transfer_syntax = "jpeg-xl-lossless" }\n')
    mammogram = copies(CORPUS / "mg/fo-dicom__GH133.dcm", tempfile.mkdtemp(dir=SCRATCH.name), True)
    slides = copies(CORPUS / "wsi/google/raw.dicom", tempfile.mkdtemp(dir=SCRATCH.name), False)
    classes = [
        ("jpegls", "CT 512 x 512 to JPEG-LS", many, "default"),
        ("htj2k", "CT 512 x 512 to HTJ2K", many, "htj2k-all"),
        ("htj2k", "mammogram 3062 x 2394 to HTJ2K", mammogram, "htj2k-all"),
        ("htj2k", "slide tiles 256 x 256 RGB to HTJ2K", slides, "htj2k-all"),
        ("jpegxl", "CT 512 x 512 to JPEG XL, lossless", many, every),
    ]
    ratios = {}
    print(f"\na second decoder for every frame, beside 1 %, in turns, {2 * ROUNDS + 1} rounds, CPU ms an instance:")
    print(f"  {'images':<36} {'1 %':>7} {'all':>7} {'ratio':>6}   by rounds")
    for key, name, folder, policy in classes:
        rounds = []
        for number in range(2 * ROUNDS + 1):
            sides = ("0, 1%", "all") if number % 2 else ("all", "0, 1%")
            runs = {side: once(folder, policy, second_opinion=side) for side in sides}
            rounds.append([runs[side][0] / len(runs[side][2]) for side in ("0, 1%", "all")])
        few, all_ = (statistics.median(side) for side in zip(*rounds))
        each = sorted(b / a for a, b in rounds)
        ratios.setdefault(key, []).append(statistics.median(each))
        print(f"  {name:<36} {few:>7.1f} {all_:>7.1f} {ratios[key][-1]:>6.2f}   from {each[0]:.2f} to {each[-1]:.2f}")
        print(f"    {panel(runs['all'][3])}", flush=True)
    return ratios


def bar(name, value, sign, goal):
    ok = value <= goal if sign == "<=" else value >= goal
    bars.append(f"bar {name} {value:.2f} {sign} {goal:g} {'ok' if ok else 'short'}")


def main(folders):
    if folders:
        table([("", folder, pathlib.Path(folder)) for folder in folders])
        return
    ct = CORPUS / "ct" / "ge-hispeed-tilt"
    if not ct.is_dir():
        sys.exit(f"error: no corpus at {CORPUS}\nhint: name folders of your own, or set FIRSTLIGHT_SHARED")
    figures = table([(key, name, CORPUS / path) for key, name, path in CLASSES])
    # Several of each, so that the start of the process counts as little as among many.
    many, lots = times(ct, 6), times(ct, 24)
    instances = len(once(many, "default")[2])
    each = lambda policy: once(many, policy)[0] / instances
    rounds = [(each("default"), alone(ct), each("htj2k-all")) for _ in range(2 * ROUNDS + 1)]
    peer = [dcmtk(ct) for _ in range(ROUNDS)]
    seen = second_opinions(many)
    few, faster = two_cores(many), two_cores(lots)
    middle = statistics.median
    ratios = sorted(ours / a["charls-ms"] for ours, a, _ in rounds)
    print(f"\nCT to JPEG-LS, in turns, {len(rounds)} rounds, CPU ms an instance:")
    print(f"  firstlight convert                 {middle(ours for ours, *_ in rounds):6.1f}")
    print(f"  CharLS alone, encode and decode    {middle(a['charls-ms'] for _, a, _ in rounds):6.1f}")
    print(f"  ratio by rounds: median {middle(ratios):.2f}, from {ratios[0]:.2f} to {ratios[-1]:.2f}")
    if peer[0] is not None:
        print(f"  dcmcjpls (DCMTK), not verified     {middle(peer):6.1f}")
    print("\nof the CPU time of a CT, verification (read back, decode again, compare, a second decoder for 1 %) and the proof of the way back:")
    for policy, whole in (("default", 0), ("htj2k-all", 2)):
        part = middle(a[f"{policy}-verifying-ms"] for _, a, _ in rounds)
        all_of_it = middle(round[whole] for round in rounds)
        print(f"  {policy:<10} {part:5.1f} of {all_of_it:5.1f} ms: {100 * part / all_of_it:.0f} %")
    figure = lambda key, n: figures.get((key, "htj2k-all"), (float("nan"),) * 2)[n]
    per_mb, goal = figure("ct", 1), CT_GOAL / CT_MEGABYTES
    print("\nCPU ms a megabyte, the goal of a CT beside what the CT above takes:")
    for key in ("slide", "cine"):
        each = figure(key, 1)
        print(f"  {key:<5} {each:5.1f}: {each / goal:.2f} of the goal of {goal:.2f}, {each / per_mb:.2f} of the {per_mb:.2f} above")
    print("\ntwo threads on two cores, CT to HTJ2K, times as fast as one on one, by the wall clock:")
    print(f"  {instances} instances: {few:.2f}, of which start and last sync are a larger part; {4 * instances}: {faster:.2f}")
    bar("convert-ct-to-htj2k-ms", figure("ct", 0), "<=", 8)
    bar("convert-ct-to-jpeg-ls-per-charls", middle(ratios), "<=", 1.25)
    bar("convert-mammogram-to-htj2k-ms", figure("mammogram", 0), "<=", 110)
    bar("convert-slide-ms-per-mb", figure("slide", 1), "<=", round(goal, 2))
    bar("convert-cine-ms-per-mb", figure("cine", 1), "<=", round(goal, 2))
    bar("convert-two-cores", faster, ">=", 1.8)
    bar("second-opinion-jpegls", max(seen["jpegls"]), "<=", 1.8)
    bar("second-opinion-htj2k", max(seen["htj2k"]), "<=", 2.0)
    print(*bars, sep="\n")


main(sys.argv[1:])
