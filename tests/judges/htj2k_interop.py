#!/usr/bin/env python3
"""Our HTJ2K codestreams read by OpenJPH and OpenJPEG, theirs read by us: every sample must be the same.

    htj2k_interop.py [--binary PATH] [--corpus DIR] [--only synthetic|corpus] [--frames N]

The binary is `cargo build -p htj2k --example htj2k`. The corpus is `data/open` of the shared folder; the first N
frames of each file are used. One line per kind of check, one per difference; exit 1 if there was any.
"""

import argparse
import collections
import os
import pathlib
import subprocess
import sys
import tempfile

import imagecodecs
import numpy
import openjpeg

HERE = pathlib.Path(__file__).resolve().parents[2]


class Judge:
    def __init__(self, binary):
        self.binary = binary
        self.folder = tempfile.TemporaryDirectory(prefix="htj2k-interop-")
        self.counts = collections.Counter()
        self.bad = []

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def check(self, kind, what, got, expected):
        """Counts one comparison."""
        self.counts[kind] += 1
        if isinstance(got, Exception):
            self.bad.append(f"{kind}: {what}: {got}")
            return
        same = got.shape == expected.shape and numpy.array_equal(got.astype(numpy.int64), expected.astype(numpy.int64))
        if not same:
            self.bad.append(f"{kind}: {what}: {got.shape} {got.dtype} differs from {expected.shape} {expected.dtype}")

    def ours_encode(self, image, bits, **settings):
        """Our codestream of an image, or the error."""
        height, width = image.shape[:2]
        components = 1 if image.ndim == 2 else image.shape[2]
        image.tofile(self.path("in.raw"))
        settings = dict(
            width=width, height=height, components=components, bits=bits,
            signed=int(image.dtype.kind == "i"), **settings,
        )
        args = [f"{k}={v}" for k, v in settings.items()]
        run = subprocess.run(
            [self.binary, "encode", self.path("in.raw"), self.path("out.j2c"), *args], capture_output=True, text=True
        )
        if run.returncode:
            return RuntimeError(run.stderr.strip())
        return pathlib.Path(self.path("out.j2c")).read_bytes()

    def ours_decode(self, stream, dtype, level=0):
        """Our samples of a codestream, or the error."""
        pathlib.Path(self.path("in.j2c")).write_bytes(stream)
        run = subprocess.run(
            [self.binary, "decode", self.path("in.j2c"), self.path("out.raw"), f"level={level}"],
            capture_output=True, text=True,
        )
        if run.returncode:
            return RuntimeError(run.stderr.strip())
        width, height, components = map(int, run.stdout.split()[:3])
        shape = (height, width) if components == 1 else (height, width, components)
        return numpy.fromfile(self.path("out.raw"), dtype=dtype).reshape(shape)

    def both_ways(self, what, image, bits, levels=(0,), **settings):
        """Ours to OpenJPH and OpenJPEG, OpenJPH's to us."""
        stream = self.ours_encode(image, bits, **settings)
        if isinstance(stream, Exception):
            self.check("ours encodes", what, stream, image)
        else:
            self.check("ours by ours", what, self.ours_decode(stream, image.dtype), image)
            self.check("ours by OpenJPH", what, attempt(openjph_decode, stream), image)
            # OpenJPEG holds no more bit-planes.
            if bits + (image.ndim == 3) <= 27:
                self.check("ours by OpenJPEG", what, attempt(openjpeg_decode, stream, image), image)
            for level in levels[1:]:
                if level > decompositions(stream):
                    self.check("a level that is not there", f"{what} level {level}", numpy.array(self.both_refuse(stream, image, level)), numpy.array(True))
                    continue
                theirs = attempt(openjph_decode, stream, level)
                ours = self.ours_decode(stream, image.dtype, level)
                if isinstance(theirs, Exception) or isinstance(ours, Exception):
                    self.check("levels of ours", f"{what} level {level}", theirs if isinstance(theirs, Exception) else ours, image)
                else:
                    # OpenJPH does not clamp a coarse level that overshoots the range: compare what is inside.
                    low = -(1 << (bits - 1)) if image.dtype.kind == "i" else 0
                    inside = (ours > low) & (ours < low + (1 << bits) - 1)
                    self.check("levels of ours", f"{what} level {level}", ours * inside, theirs * inside)
        for options in ({}, {"prog_order": "RPCL", "tlm": True, "tilepart": True}):
            theirs = attempt(openjph_encode, image, bits, options)
            if isinstance(theirs, Exception):
                self.counts["OpenJPH refuses"] += 1
                continue
            self.check("OpenJPH's by ours", f"{what} {options}", self.ours_decode(theirs, image.dtype), image)


    def both_refuse(self, stream, image, level):
        return all(isinstance(got, Exception) for got in (attempt(openjph_decode, stream, level), self.ours_decode(stream, image.dtype, level)))


def decompositions(stream):
    """How often the picture was halved: the first parameter of SPcod (T.800, table A.15). A tiny picture is halved less."""
    return stream[stream.index(b"\xff\x52") + 9]


def attempt(function, *args):
    try:
        return function(*args)
    except Exception as error:  # what a judge says is part of the result
        return error


def openjph_decode(stream, level=0):
    got = imagecodecs.htj2k_decode(stream, skipres=level, planar=False) if level else imagecodecs.htj2k_decode(stream, planar=False)
    return numpy.squeeze(got, axis=2) if got.ndim == 3 and got.shape[2] == 1 else got


def openjph_encode(image, bits, options):
    rgb = image.ndim == 3 and image.shape[2] == 3
    return imagecodecs.htj2k_encode(image, reversible=True, bitspersample=bits, rgb=rgb, planar=False, **options)


def openjpeg_decode(stream, image):
    # pylibjpeg's binding knows samples of up to 16 bits.
    got = imagecodecs.jpeg2k_decode(stream) if image.itemsize > 2 else openjpeg.decode(stream)
    return got.reshape(image.shape) if got.size == image.size else got


def picture(width, height, components, bits, signed, seed=1):
    random = numpy.random.default_rng(seed + 31 * width + height)
    y, x = numpy.mgrid[0:height, 0:width]
    top = (1 << bits) - 1
    smooth = (numpy.sin(x / 23.0) + numpy.cos(y / 17.0) + 2) / 4 * top
    planes = []
    for c in range(components):
        noise = random.normal(0, max(top / 64, 0.4), (height, width)) * ((x // 50 + y // 50 + c) % 3 > 0)
        extreme = numpy.where(random.random((height, width)) < 0.002, top, 0)
        planes.append(numpy.clip(smooth + noise + extreme, 0, top).astype(numpy.int64))
    image = planes[0] if components == 1 else numpy.stack(planes, axis=2)
    if signed:
        image = image - (1 << (bits - 1))
    kind = ("int" if signed else "uint") + ("8" if bits <= 8 else "16" if bits <= 16 else "32")
    return numpy.ascontiguousarray(image.astype(kind))


def synthetic(judge):
    for bits in range(1, 32):
        for signed in (False, True):
            for components in (1, 3):
                image = picture(130, 91, components, bits, signed)
                judge.both_ways(f"{bits} bits signed={signed} x{components}", image, bits, levels=(0, 1, 3))
    for width, height in ((1, 1), (1, 2), (2, 1), (3, 5), (1, 65), (64, 1), (17, 4099), (4099, 17), (65, 129), (333, 200)):
        for components in (1, 3):
            image = picture(width, height, components, 12, False)
            judge.both_ways(f"{width}x{height} x{components}", image, 12)
    for levels in range(0, 9):
        image = picture(300, 260, 1, 12, False)
        run(judge, f"{levels} levels", image, 12, {"levels": levels})
    image = picture(300, 260, 3, 8, False)
    for progression in ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL"):
        for extra in ({}, {"tile": "128x100"}, {"precinct": "7,6"}, {"plt": 1, "tlm": 0}, {"block": "32x32"}, {"block": "4x1024"}):
            run(judge, f"{progression} {extra}", image, 8, {"progression": progression, "parts": "one", **extra})
    for quality in (40, 60):
        lossy(judge, image, quality)


def run(judge, what, image, bits, settings):
    """Our encoder with settings, read by all."""
    stream = judge.ours_encode(image, bits, **settings)
    if isinstance(stream, Exception):
        judge.check("ours encodes", what, stream, image)
        return
    judge.check("ours by ours", what, judge.ours_decode(stream, image.dtype), image)
    judge.check("ours by OpenJPH", what, attempt(openjph_decode, stream), image)
    judge.check("ours by OpenJPEG", what, attempt(openjpeg_decode, stream, image), image)


def lossy(judge, image, quality):
    """Irreversible streams: ours and OpenJPEG's decoding may differ by rounding."""
    stream = judge.ours_encode(image, 8, quality=quality)
    ours = judge.ours_decode(stream, image.dtype).astype(int)
    theirs = openjpeg_decode(stream, image).astype(int)
    close = numpy.abs(ours - theirs).max() <= 1
    judge.check("lossy, ours and OpenJPEG", f"quality {quality}", numpy.array(close), numpy.array(True))


def corpus(judge, folder, frames):
    """Every image of the corpus that is stored in integers and can be read here."""
    import pydicom

    unread = 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in (".tsv", ".md", ".pgx", ".j2k", ".RAW"):
            continue
        try:
            dataset = pydicom.dcmread(path)
            if "PixelData" not in dataset:
                continue
            total = int(dataset.get("NumberOfFrames", 1) or 1)
            dataset.pixel_array_options(raw=True)
            dataset.pixel_array_options(index=0) if total > 1 and frames == 1 else None
            pixels = dataset.pixel_array
        except Exception:
            unread += 1
            continue
        samples = int(dataset.SamplesPerPixel)
        images = [pixels] if pixels.ndim == (2 if samples == 1 else 3) else list(pixels[:frames])
        for number, image in enumerate(images):
            if image.dtype.itemsize > 2 or image.dtype.kind not in "iu":
                continue
            bits = image.dtype.itemsize * 8
            judge.both_ways(f"{path.relative_to(folder)} frame {number}", numpy.ascontiguousarray(image, image.dtype.newbyteorder("=")), bits, levels=(0, 2))
    print(f"corpus: {unread} files that pydicom does not read were left out")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default=str(HERE / "target/debug/examples/htj2k"))
    shared = pathlib.Path(os.environ.get("FIRSTLIGHT_SHARED", HERE.parent / "shared"))
    parser.add_argument("--corpus", type=pathlib.Path, default=shared / "data/open")
    parser.add_argument("--only", choices=("synthetic", "corpus"))
    parser.add_argument("--frames", type=int, default=1)
    args = parser.parse_args()
    judge = Judge(args.binary)
    if args.only != "corpus":
        synthetic(judge)
    if args.only != "synthetic":
        if args.corpus.is_dir():
            corpus(judge, args.corpus, args.frames)
        else:
            print(f"SKIPPED: no corpus at {args.corpus}")
    for kind, count in sorted(judge.counts.items()):
        print(f"{kind}: {count}")
    for line in judge.bad:
        print("DIFFERENT", line)
    compared = sum(count for kind, count in judge.counts.items() if kind != "OpenJPH refuses")
    skipped = "" if args.corpus.is_dir() or args.only == "synthetic" else ", 1 skipped"
    print(f"{compared - len(judge.bad)} passed, {len(judge.bad)} failed{skipped}")
    return 1 if judge.bad else 0


if __name__ == "__main__":
    sys.exit(main())
