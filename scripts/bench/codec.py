"""Speed and size of the codec beside OpenJPH, on the corpus: `make bench-codec`.

One thread on each side, in-process, no file I/O while the clock runs, CPU time. For each image the two sides take turns, round by
round, in the order of the round's parity; a round lasts `--seconds` a side. A speed is the median of its rounds, a ratio the median of the
rounds' own ratios: what slows a whole round down does not change its ratio. Each side decodes what it is given into a buffer that exists already, and both write the same
stream: lossless, RPCL, TLM, a tile-part per resolution, 64 x 64 blocks, the same number of decompositions. Each side's stream is
decoded by the other and compared before anything is timed.

It tells the processor, the load, the SIMD level that our codec chose there and the version of OpenJPH. Where the machine has several levels, a second
table holds them against each other in the same way, again in turns.

usage: codec.py [--rounds N] [--seconds S] [--only WORD] [--levels]     (--levels: the second table alone)
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import imagecodecs
import numpy as np
import pydicom
from pydicom.pixels import get_decoder

warnings.filterwarnings("ignore")
ROOT = pathlib.Path(__file__).resolve().parents[2]
OPEN = pathlib.Path(os.environ.get("FIRSTLIGHT_SHARED", ROOT.parent / "shared")) / "data/open"

# class -> files; the first frame of each counts.
IMAGES = {
    "CT": ["ct/nlst-149872/*", "ct/ge-hispeed-tilt/*", "wg04/CT1/*"],
    "MR": ["mr/sag-anon/*", "mr/prostatex-t2/*", "wg04/MR1/*", "wg04/MR3/*"],
    "CR/DX": ["xr/*"],
    "MG": ["mg/*"],
    "US": ["cine/*US*", "cine/*us*", "wg04/US1/*"],
    "slide": ["wsi/*/*", "wg04/VL1/*", "wg04/VL2/*"],
}
PER_PATTERN = {"CT": 2, "MR": 2, "CR/DX": 6, "MG": 2, "US": 2, "slide": 3}
GOALS = {"encode": (1.6, 1.1), "decode": (1.3, 1.0)}


class Ours:
    """The example program that holds our codec, asked line by line."""

    def __init__(self):
        target = subprocess.run(
            ["cargo", "build", "--release", "--locked", "--quiet", "-p", "htj2k", "--example", "bench_codec", "--message-format=json"],
            cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        exe = next(m["executable"] for m in map(json.loads, target.splitlines()) if m.get("executable"))
        self.process = subprocess.Popen([exe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write("\t".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().strip()
        if not line:
            sys.exit(f"codec: our side stopped at {words}")
        return line

    def timed(self, verb, n, *more):
        """(seconds for one, bytes of the stream)"""
        nanoseconds, size = self.ask(verb, n, *more).split("\t")
        return int(nanoseconds) / 1e9 / n, int(size)


def processor():
    """Its name as it calls itself, family and model (x86) or part (Arm), and which vector instructions it has."""
    facts = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    name = facts.get("model name") or f"Arm implementer {facts.get('CPU implementer', '?')} part {facts.get('CPU part', '?')}"
    numbers = f"family {facts['cpu family']} model {facts['model']}" if "cpu family" in facts else ""
    has = set((facts.get("flags") or facts.get("Features") or "").split())
    shown = [flag for flag in ("sse2", "avx2", "bmi2", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "asimd", "sve") if flag in has]
    return ", ".join(filter(None, [name, numbers, f"{len(os.sched_getaffinity(0))} processors", " ".join(shown)]))


def first_frame(path):
    """The first frame as (array, bits, signed), or None where it has no pixels that this comparison can use."""
    data_set = pydicom.dcmread(path, force=True)
    if "PixelData" not in data_set or "TransferSyntaxUID" not in getattr(data_set, "file_meta", {}):
        return None
    if data_set.get("LossyImageCompression") == "01" or path.name.endswith(("J2KI", "JLSN", "JPLY")):
        return None
    try:
        array, _ = get_decoder(data_set.file_meta.TransferSyntaxUID).as_array(data_set, raw=True, index=0)
    except Exception:
        return None
    signed = bool(data_set.PixelRepresentation)
    bits = 8 if array.dtype.itemsize == 1 else int(data_set.BitsStored)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if array.dtype.itemsize == 2 and (int(array.min()) < low or int(array.max()) > high):
        bits = 16
    return (np.ascontiguousarray(array), bits, signed) if array.dtype.itemsize <= 2 and array.ndim in (2, 3) else None


def images(only):
    """One row an image: (class, name, array, bits, signed), no pixels twice."""
    seen = set()
    for kind, patterns in IMAGES.items():
        for pattern in patterns:
            taken = 0
            for path in sorted(OPEN.glob(pattern)):
                name = str(path.relative_to(OPEN))
                if taken >= PER_PATTERN[kind] or not path.is_file() or (only and only not in name and only != kind):
                    continue
                frame = first_frame(path)
                if frame is None or frame[0].shape[0] * frame[0].shape[1] < 128 * 128:
                    continue
                key = hash(frame[0].tobytes())
                if key in seen:
                    continue
                seen.add(key)
                taken += 1
                yield kind, name, *frame


def decompositions(rows, columns):
    """As the default stream: 5, and more until a side of the base is 64 or less."""
    n, side = 5, min(rows, columns)
    while math.ceil(side / 2**n) > 64:
        n += 1
    return n


def peer_encode(array, bits, levels):
    return imagecodecs.htj2k_encode(array, reversible=True, resolutions=levels, tlm=True, tilepart=1, prog_order="RPCL",
                                    bitspersample=bits, rgb=array.ndim == 3)


def timed(call, n):
    start = time.process_time()
    for _ in range(n):
        call()
    return (time.process_time() - start) / n


def prepare(ours, name, array, bits, signed, levels):
    """Loads an image on our side, and shows that each side reads the other's stream; gives OpenJPH's stream, our size, and the time of our encoding."""
    rows, columns = array.shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        raw, stream = f"{folder}/raw", f"{folder}/stream"
        array.tofile(raw)
        ours.ask("load", raw, columns, rows, array.shape[2] if array.ndim == 3 else 1, bits, int(signed))
        once, size = ours.timed("encode", 1)
        ours.timed("decode", 1)
        ours.ask("save", stream)
        theirs = bytes(peer_encode(array, bits, levels))
        for side, bytes_ in (("ours", pathlib.Path(stream).read_bytes()), ("OpenJPH's", theirs)):
            if not np.array_equal(imagecodecs.htj2k_decode(bytes_), array):
                sys.exit(f"codec: {name}: OpenJPH does not read {side} stream back")
    return theirs, size, once


def compare(ours, name, array, bits, signed, options):
    """Of one image: {what: median seconds}, {what: median of the rounds' ratios}, both sizes."""
    levels = decompositions(*array.shape[:2])
    theirs, our_size, once = prepare(ours, name, array, bits, signed, levels)
    n = max(1, round(options.seconds / max(once, 1e-5)))
    room = np.empty_like(array)
    calls = {
        "encode": lambda: ours.timed("encode", n)[0],
        "peer encode": lambda: timed(lambda: peer_encode(array, bits, levels), n),
        "decode": lambda: ours.timed("decode", n)[0],
        "peer decode": lambda: timed(lambda: imagecodecs.htj2k_decode(theirs, out=room), n),
        "incremental": lambda: ours.timed("incremental", n)[0],
        "level": lambda: ours.timed("level", n, 3)[0],
    }
    ratios = {"encode": ("peer encode", "encode"), "decode": ("peer decode", "decode"), "incremental": ("incremental", "decode"), "level": ("level", "decode")}
    rounds = []
    for number in range(options.rounds + 1):
        order = list(calls) if number % 2 else list(reversed(calls))
        rounds.append({what: calls[what]() for what in order})
    # The first round warms up.
    rounds = rounds[1:]
    seconds = {what: statistics.median(r[what] for r in rounds) for what in calls}
    return seconds, {what: statistics.median(r[a] / r[b] for r in rounds) for what, (a, b) in ratios.items()}, our_size, len(theirs)


def compare_levels(ours, name, array, bits, signed, levels, options):
    """Of one image and each level: (median MB/s of encoding, of decoding, medians of the rounds' ratios to the first level)."""
    _, _, once = prepare(ours, name, array, bits, signed, decompositions(*array.shape[:2]))
    n = max(1, round(options.seconds / max(once, 1e-5)))

    def both(level):
        ours.ask("simd", level)
        # What it has at hand for its work is made in the first.
        ours.timed("encode", 1), ours.timed("decode", 1)
        return ours.timed("encode", n)[0], ours.timed("decode", n)[0]

    rounds = [{level: both(level) for level in (levels if number % 2 else reversed(levels))} for number in range(options.rounds + 1)][1:]
    speed = lambda level, verb: array.nbytes / statistics.median(r[level][verb] for r in rounds) / 1e6
    ratio = lambda level, verb: statistics.median(r[levels[0]][verb] / r[level][verb] for r in rounds)
    return {level: (speed(level, 0), speed(level, 1), ratio(level, 0), ratio(level, 1)) for level in levels}


def levels_table(ours, levels, options):
    """Every level of this machine beside the one that is chosen here, but for the plain oracle."""
    levels = [level for level in levels if level != "Scalar"]
    if len(levels) < 2:
        print(f"\nthis machine has one fast level, {levels[0]}: nothing to hold it against")
        return
    print(f"\nSIMD levels, in turns, MB/s to encode and decode; ratio = of the level's speed to {levels[0]}'s, by rounds")
    head = f"{'class':6} {'image':52}" + "".join(f"  {level + ' enc':>11} {'dec':>5}" for level in levels)
    head += "".join(f"  {level + ' enc':>11} {'dec':>5}" for level in (f"{level}/" for level in levels[1:]))
    print(head + "\n" + "-" * len(head))
    ratios = {level: ([], []) for level in levels[1:]}
    for kind, name, array, bits, signed in images(options.only):
        of = compare_levels(ours, name, array, bits, signed, levels, options)
        row = f"{kind:6} {name[-52:]:52}" + "".join(f"  {of[level][0]:11.0f} {of[level][1]:5.0f}" for level in levels)
        print(row + "".join(f"  {of[level][2]:11.2f} {of[level][3]:5.2f}" for level in levels[1:]), flush=True)
        for level, (encode, decode) in ratios.items():
            encode.append(of[level][2])
            decode.append(of[level][3])
    print("-" * len(head))
    for level, (encode, decode) in ratios.items():
        print(f"{level} to {levels[0]}, geometric means: encode {geometric_mean(encode):.3f}, decode {geometric_mean(decode):.3f}")


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def bar(name, value, sense, goal):
    met = value >= goal if sense == ">=" else value <= goal
    print(f"bar {name} {value:.3f} {sense} {goal} {'ok' if met else 'short'}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.06)
    parser.add_argument("--only", help="a class, or part of a file's name")
    parser.add_argument("--levels", action="store_true", help="hold the SIMD levels of this machine against each other, and nothing else")
    options = parser.parse_args()
    if not OPEN.is_dir():
        sys.exit("codec: the corpus is not here: nothing to measure")
    ours = Ours()
    levels = ours.ask("simd").split("\t")
    print(f"processor: {processor()}; load of the last minute {os.getloadavg()[0]:.1f}\n"
          f"our SIMD level: {levels[0]}; also here: {', '.join(levels[1:])}")
    if options.levels:
        levels_table(ours, levels, options)
        return
    peer = next(w for w in imagecodecs.version().split(", ") if w.startswith("openjph"))
    print(f"peer: OpenJPH, {peer}, as imagecodecs {imagecodecs.__version__} has it; one thread, CPU time, "
          f"medians of {options.rounds} rounds; MB/s of samples; ratio = ours / OpenJPH's, by rounds, higher is better;\n"
          "incr: all levels one after another as the bytes arrive, lev 3: the image at an eighth, both in full decodes")
    head = f"{'class':6} {'image':52} {'size':>11} {'bits':>4}  {'enc':>6} {'peer':>6} {'ratio':>6}  {'dec':>6} {'peer':>6} {'ratio':>6}  {'bytes':>8} {'incr':>5} {'lev 3':>6}"
    print(head + "\n" + "-" * len(head))
    ratios, sizes, incremental, coarse = {"encode": [], "decode": []}, [], [], []
    for kind, name, array, bits, signed in images(options.only):
        seconds, parts, our_size, peer_size = compare(ours, name, array, bits, signed, options)
        size = "x".join(map(str, array.shape[1::-1])) + ("x3" if array.ndim == 3 else "")
        row = f"{kind:6} {name[-52:]:52} {size:>11} {bits:3}{'s' if signed else 'u'} "
        for verb in ratios:
            ratios[verb].append(parts[verb])
            row += f" {array.nbytes / seconds[verb] / 1e6:6.0f} {array.nbytes / seconds['peer ' + verb] / 1e6:6.0f} {parts[verb]:6.2f} "
        sizes.append(our_size / peer_size)
        incremental.append(parts["incremental"])
        if min(array.shape[:2]) > 2000:
            coarse.append(parts["level"])
        print(f"{row} {100 * (our_size / peer_size - 1):+7.3f}% {parts['incremental']:5.2f} {100 * parts['level']:5.1f}%", flush=True)
    print("-" * len(head))
    levels_table(ours, levels, options)
    print(f"load of the last minute {os.getloadavg()[0]:.1f}")
    for verb, (goal, floor) in GOALS.items():
        bar(f"codec-{verb}-geometric-mean", geometric_mean(ratios[verb]), ">=", goal)
        bar(f"codec-{verb}-lowest-image", min(ratios[verb]), ">=", floor)
    bar("codec-size-ratio", geometric_mean(sizes), "<=", 1.001)
    bar("codec-incremental-geometric-mean", geometric_mean(incremental), "<=", 1.15)
    bar("codec-level-3-of-a-large-image", max(coarse, default=math.nan), "<=", 0.05)


if __name__ == "__main__":
    main()
