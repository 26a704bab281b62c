"""Migrations of many and of large instances: is the rate flat, is memory bounded?

    migrate.py [--instances N] [--files N] [--gigabytes N] [--on FOLDER] [--plot FILE]

N generated instances are migrated and the rate is taken for each tenth of them; a folder of so many small files (hard links) is
migrated, and one RLE multi-frame object of so many gigabytes without an offset table. 0 leaves a part out. Each bar closes with
`bar NAME VALUE >=|<= GOAL ok|short`; --plot draws memory over time as SVG.
"""
import argparse
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "commands")]
import common  # noqa: E402
from migrating import instances  # noqa: E402

GOAL = 300
PLOTS = []
BINARY = pathlib.Path(os.environ.get("FIRSTLIGHT_BIN", ROOT / "target" / "release" / "firstlight"))


def bar(name, value, sign, goal):
    ok = value >= goal if sign == ">=" else value <= goal
    print(f"bar {name} {value:.4g} {sign} {goal} {'ok' if ok else 'short'}", flush=True)
    return ok


def resident(pid):
    """Megabytes of memory now, and the most so far."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    field = lambda name: next((int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith(name)), 0)  # noqa: E731
    return field("VmRSS:"), field("VmHWM:")


def migrate(source, out, number=None):
    """Runs a migration; returns seconds, the most megabytes, memory over time, when the first and each tenth of `number` was done."""
    command = [BINARY, "migrate", "--sample", "0", "--quiet", str(source), str(out)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    started, most, plot, tenths = time.monotonic(), 0.0, [], []
    talk = []
    reader = threading.Thread(target=lambda: talk.append(process.communicate()))
    reader.start()
    log, lines, at = out / ".firstlight" / "migration.jsonl", 0, 0
    while reader.is_alive():
        time.sleep(0.1)
        memory = resident(process.pid)
        if memory:
            most = max(most, memory[1])
            plot.append((time.monotonic() - started, memory[0]))
        if number and log.exists():
            with open(log, "rb") as file:
                file.seek(at)
                more = file.read()
            at += len(more)
            lines += more.count(b"\n")
            if lines and not tenths:
                tenths.append((time.monotonic() - started, lines))
            while tenths and len(tenths) <= 10 and lines * 10 >= number * len(tenths):
                tenths.append((time.monotonic() - started, lines))
    reader.join()
    if process.returncode:
        sys.exit(talk[0][1])
    return time.monotonic() - started, most, plot, tenths


def flat(folder, number):
    print(f"\n{number} generated instances")
    instances(folder / "in", number, rows=64)
    seconds, most, plot, tenths = migrate(folder / "in", folder / "out", number)
    began, rates = tenths[0], []
    for n, (at, lines) in enumerate(tenths[1:]):
        rates.append((lines - began[1]) / max(at - began[0], 1e-3))
        print(f"  tenth {n + 1:2}: {rates[-1]:8.0f} instances/s")
        began = (at, lines)
    curve(f"{number:,} instances of 8 KB", plot)
    print(f"  {seconds:.0f} s, {most:.0f} MB")
    middle = sorted(rates)[len(rates) // 2]
    return bar("migrate-rate-last-tenth-to-median", rates[-1] / middle, ">=", 0.8) & bar("migrate-rss-mb", most, "<=", GOAL)


def many(folder, number):
    print(f"\na folder of {number} small files")
    instances(folder / "in", number, rows=16, per_folder=10_000, links=50_000)
    # All in one folder is the hardest for a walk: half of them are.
    flat_folder = folder / "in" / "flat"
    flat_folder.mkdir()
    for n, path in enumerate(sorted((folder / "in").glob("0*/*.dcm"))[: number // 2]):
        os.rename(path, flat_folder / f"{n:08}.dcm")
    seconds, most, plot, _ = migrate(folder / "in", folder / "out")
    curve(f"{number:,} small files", plot)
    print(f"  {seconds:.0f} s")
    return bar("migrate-rss-many-files-mb", most, "<=", GOAL)


def large(folder, gigabytes):
    path = folder / "in" / "large.dcm"
    path.parent.mkdir()
    frames = write_rle(path, gigabytes * 10**9)
    print(f"\none RLE object of {path.stat().st_size / 1e9:.2f} GB, {frames} frames, undefined length, no offset table")
    seconds, most, plot, _ = migrate(folder / "in", folder / "out")
    curve(f"one object of {path.stat().st_size / 1e9:.1f} GB", plot)
    written = folder / "out" / "large.dcm"
    print(f"  {seconds:.0f} s, {written.stat().st_size / 1e9:.2f} GB written")
    good = bar("migrate-large-object-frames-proven", proven(folder / "out", written, frames), ">=", frames)
    if gigabytes > 4:
        good &= bar("migrate-large-object-written-gb", written.stat().st_size / 1e9, ">=", 4)
    return good & bar("migrate-rss-large-object-mb", most, "<=", GOAL)


def proven(out, written, frames):
    """How many frames the evidence proves to be the same before and after; beyond 4 GB the offset table must name all of them too."""
    import pydicom

    lines = (out / ".firstlight" / "evidence.jsonl").read_text().splitlines()
    proofs = [json.loads(line)["frames"] for line in lines]
    image = pydicom.dcmread(written, stop_before_pixels=True)
    if len(proofs) != 1 or written.stat().st_size > 4e9 and len(image.get("ExtendedOffsetTable", b"")) != 8 * frames:
        return 0
    return sum(frame["sha256_before"] == frame["sha256_after"] for frame in proofs[0])


def write_rle(path, size):
    import numpy as np
    import pydicom
    from pydicom.pixels import get_encoder

    rows = 1024
    rng = np.random.default_rng(1)
    encode = get_encoder(pydicom.uid.RLELossless)
    frames = []
    for _ in range(8):
        pixels = (np.add.outer(np.arange(rows), np.arange(rows)) + rng.integers(0, 64, (rows, rows))).astype("<u2") & 0xFFF
        keys = {"rows": rows, "columns": rows, "samples_per_pixel": 1, "bits_allocated": 16, "bits_stored": 12, "pixel_representation": 0,
                "photometric_interpretation": "MONOCHROME2", "number_of_frames": 1}
        frames.append(encode.encode(pixels, index=None, encoding_plugin="pydicom", **keys))
    number = int(-(-size // len(frames[0])))
    head = common.make_image(path, rows=16, columns=16, seed=1)
    image = pydicom.dcmread(head)
    image.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
    image.Rows = image.Columns = rows
    image.NumberOfFrames = number
    del image.PixelData
    image.save_as(path)
    with open(path, "ab") as out:
        out.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0))
        for n in range(number):
            frame = frames[n % len(frames)]
            frame += b"\0" * (len(frame) % 2)
            out.write(struct.pack("<HHI", 0xFFFE, 0xE000, len(frame)) + frame)
        out.write(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
    return number


def curve(name, plot):
    """Memory over time in twenty steps, and kept for the picture."""
    step = max(len(plot) // 20, 1)
    print("  MB over time: " + " ".join(f"{most:.0f}" for most in (max(mb for _, mb in plot[n : n + step]) for n in range(0, len(plot), step))))
    PLOTS.append((name, plot))


def picture(path):
    """One panel for each migration: resident memory over its time, and the goal."""
    width, high, left, top, gap = 250, 150, 46, 34, 34
    y = lambda mb: top + high - mb / (GOAL * 1.1) * high  # noqa: E731
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + len(PLOTS) * (width + gap)} {top + high + 44}" font-family="sans-serif" font-size="12">',
           '<title>Resident memory of migrations over time</title><rect width="100%" height="100%" fill="#fff"/>']
    for mb in (0, 100, 200, GOAL):
        svg.append(f'<text x="{left - 8}" y="{y(mb) + 4:.1f}" text-anchor="end" fill="#555">{mb}</text>')
    svg.append(f'<text x="{left - 8}" y="{top - 14}" text-anchor="end" fill="#555">MB</text>')
    for n, (name, plot) in enumerate(PLOTS):
        x0, end = left + n * (width + gap), plot[-1][0]
        # The most of each pixel's time.
        most = {}
        for at, mb in plot:
            pixel = round(at / end * width)
            most[pixel] = max(most.get(pixel, 0), mb)
        line = " ".join(f"{x0 + x},{y(mb):.1f}" for x, mb in sorted(most.items()))
        svg += [f'<text x="{x0}" y="{top - 14}" fill="#222">{name}</text>',
                f'<path d="M{x0} {top}V{top + high}H{x0 + width}" fill="none" stroke="#999"/>',
                f'<path d="M{x0} {y(GOAL):.1f}h{width}" stroke="#b3541e" stroke-dasharray="5 4"/>',
                f'<polyline points="{line}" fill="none" stroke="#1f6f8b" stroke-width="1.5"/>',
                f'<text x="{x0}" y="{top + high + 16}" fill="#555">0</text>',
                f'<text x="{x0 + width}" y="{top + high + 16}" text-anchor="end" fill="#555">{end:.0f} s</text>']
    pathlib.Path(path).write_text("\n".join(svg + ["</svg>", ""]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--instances", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--gigabytes", type=float, default=5.6)
    parser.add_argument("--on", default=None, help="folder for the files")
    parser.add_argument("--plot", default=None, help="SVG of memory over time")
    set_ = parser.parse_args()
    good = True
    for what, number in ((flat, set_.instances), (large, set_.gigabytes), (many, set_.files)):
        if number:
            folder = pathlib.Path(tempfile.mkdtemp(prefix="migrate-", dir=set_.on))
            try:
                good &= what(folder, number if what is large else int(number))
            finally:
                shutil.rmtree(folder)
            if set_.plot:
                picture(set_.plot)
    return 0 if good else 1


sys.exit(main())
