#!/usr/bin/env python3
"""A CT series of 500 slices made from one of fewer: more_slices.py SOURCE DESTINATION

Slices between two slices are their mean by distance, with the source's own noise added again (the difference of neighbouring
pixels, seeded), so that the bytes that a codec makes of them are about those of real slices. UIDs follow from the numbers alone.
"""

import pathlib
import sys

import numpy
import pydicom
from pydicom.uid import ExplicitVRLittleEndian

COUNT = 500
ROOT = "2.25.4715"


def main(source, destination):
    slices = sorted((pydicom.dcmread(path) for path in source.rglob("*") if path.is_file()), key=lambda each: float(each.ImagePositionPatient[2]))
    pixels = [each.pixel_array.astype(numpy.float32) for each in slices]
    heights = [float(each.ImagePositionPatient[2]) for each in slices]
    random = numpy.random.default_rng(4715)
    destination.mkdir(parents=True, exist_ok=True)
    spacing = (heights[-1] - heights[0]) / (COUNT - 1)
    for number in range(COUNT):
        at = number * (len(slices) - 1) / (COUNT - 1)
        low = min(int(at), len(slices) - 2)
        share = at - low
        mixed = pixels[low] * (1 - share) + pixels[low + 1] * share
        # The mean of two has less noise than either: what is missing is given back.
        lost = 1 - numpy.sqrt((1 - share) ** 2 + share**2)
        grain = pixels[low] - numpy.roll(pixels[low], 1, axis=1)
        mixed += lost * numpy.clip(grain, -40, 40) * random.choice((-1, 1), size=mixed.shape)
        dataset = slices[low].copy()
        info = numpy.iinfo(slices[low].pixel_array.dtype)
        dataset.PixelData = numpy.clip(numpy.rint(mixed), info.min, info.max).astype(slices[low].pixel_array.dtype).tobytes()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset["PixelData"].is_undefined_length = False
        dataset["PixelData"].VR = "OW"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2"
        dataset.FrameOfReferenceUID = f"{ROOT}.3"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.4.{number + 1}"
        dataset.InstanceNumber = number + 1
        x, y, _ = dataset.ImagePositionPatient
        height = heights[0] + number * spacing
        dataset.ImagePositionPatient = [x, y, round(height, 4)]
        dataset.SliceLocation = round(height, 4)
        dataset.SliceThickness = round(spacing, 4)
        if "SpacingBetweenSlices" in dataset:
            dataset.SpacingBetweenSlices = round(spacing, 4)
        dataset.PatientID, dataset.PatientName = "MORE-SLICES", "Slices^More"
        dataset.save_as(destination / f"{number + 1:03}.dcm", enforce_file_format=True)
    (destination / "done").touch()
    print(f"{COUNT} slices of {len(slices)} in {destination}", file=sys.stderr)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
