"""What all tests share: the binary, the corpus, and images made for the purpose."""
import os
import pathlib
import random
import socket
import subprocess
import sys

import numpy as np
import pydicom

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = pathlib.Path(os.environ.get("FIRSTLIGHT_SHARED", ROOT.parent / "shared"))
CORPUS = SHARED / "data" / "open"
BINARY = pathlib.Path(os.environ.get("FIRSTLIGHT_BIN", ROOT / "target" / "debug" / "firstlight"))


def firstlight(*arguments, **options):
    """Runs the command and returns what it printed and its exit code."""
    options = {"capture_output": True, "text": True, "timeout": 600, "stdin": subprocess.DEVNULL} | options
    return subprocess.run([BINARY, *map(str, arguments)], **options)


def check_binary():
    if not BINARY.exists():
        sys.exit(f"error: {BINARY} is not there\nhint: cargo build -p firstlight, or name another in FIRSTLIGHT_BIN")


def make_image(path, rows=64, columns=64, seed=0, bits=16, samples=1, **attributes):
    """Writes a small Secondary Capture image of noise over a ramp; `attributes` are set by keyword."""
    rng = np.random.default_rng(seed)
    shape = (rows, columns) if samples == 1 else (rows, columns, samples)
    ramp = np.add.outer(np.arange(rows), np.arange(columns)).reshape(shape[:2] + (1,) * (len(shape) - 2))
    pixels = ((ramp + rng.integers(0, 32, shape)) & ((1 << min(bits, 12)) - 1)).astype("<u2" if bits > 8 else "u1")
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = f"2.25.{10**20 + seed}"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    image = pydicom.dataset.Dataset()
    image.file_meta = meta
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID = "2.25.1", "2.25.2"
    image.PatientName, image.PatientID, image.Modality, image.InstanceNumber = "Test^Image", "T1", "OT", seed
    image.Rows, image.Columns, image.SamplesPerPixel = rows, columns, samples
    image.PhotometricInterpretation = "MONOCHROME2" if samples == 1 else "RGB"
    if samples > 1:
        image.PlanarConfiguration = 0
    image.BitsAllocated, image.BitsStored, image.HighBit = (16, 12, 11) if bits > 8 else (8, 8, 7)
    image.PixelRepresentation = 0
    image.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
    return path


def tree(folder):
    """Every file below a folder with its bytes, what the command remembers left out."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".firstlight" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def free_port():
    """A port that nobody listens on: below those that the system gives to whoever connects, or one of them may have it a moment later."""
    for port in random.sample(range(15000, 30000), 200):
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise OSError("no port is free")
