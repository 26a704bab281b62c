"""Rendered images against pydicom's Modality, VOI and palette transformations, of the corpus and of images made for it."""
import struct

import imagecodecs
import time

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, apply_windowing

from common import CORPUS, make_image
from served import Served
from test_serve import curl

PALETTES = [
    "pydicom/dicom-test-files__gdcm-US-ALOKA-16.dcm",
    "pydicom/dicom-test-files__gdcm-US-ALOKA-16_big.dcm",
    "pydicom/dicom-test-files__OBXXXX1A.dcm",
    "colour-pattern/cornerstone3D__TestPattern_Palette_16.dcm",
]
TABLES = ["pydicom/dicom-test-files__mlut_18.dcm", "pydicom/dicom-test-files__vlut_04.dcm"]


@pytest.fixture
def shown(tmp_path):
    """Renders a file: serves it and gives the samples of its first frame."""
    servers = []

    def render(path):
        folder = tmp_path / str(len(servers))
        folder.mkdir()
        servers.append(Served(folder, path))
        image = pydicom.dcmread(path, stop_before_pixels=True)
        frame = f"studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}/instances/{image.SOPInstanceUID}/frames/1"
        for _ in range(100):
            # Until it is imported.
            reply = curl(f"{servers[-1].dicomweb}/{frame}/rendered", accept="image/png")
            if reply.status == 200:
                break
            time.sleep(0.2)
        assert reply.status == 200, reply.body
        return imagecodecs.png_decode(reply.body)

    yield render
    for server in servers:
        server.stop()


def corpus(name):
    path = CORPUS / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def eight(colours):
    """Palette entries as they are shown: the high byte of 16 bits."""
    return colours >> 8 if colours.max() > 255 else colours


@pytest.mark.parametrize("name", PALETTES)
def test_palettes(shown, name):
    path = corpus(name)
    image = pydicom.dcmread(path)
    expected = eight(apply_color_lut(pydicom.pixels.pixel_array(image, index=0), image))
    got = shown(path)
    assert got.shape == expected.shape
    assert np.array_equal(got, expected), f"{np.abs(got.astype(int) - expected).max()}"


@pytest.mark.parametrize("name", TABLES)
def test_modality_and_voi_tables(shown, name):
    path = corpus(name)
    image = pydicom.dcmread(path)
    values = apply_modality_lut(image.pixel_array, image)
    if "WindowWidth" in image:
        bits = image.ModalityLUTSequence[0].LUTDescriptor[2] if "ModalityLUTSequence" in image else image.BitsStored
        expected = apply_windowing(values, image) / (2**bits - 1) * 255
    elif "VOILUTSequence" in image:
        expected = apply_voi_lut(values, image) / (2 ** image.VOILUTSequence[0].LUTDescriptor[2] - 1) * 255
    else:
        expected = (values - values.min()) / (values.max() - values.min()) * 255
    assert np.abs(shown(path) - expected).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
def test_segmented_palettes(shown, tmp_path, bits):
    top = (1 << bits) - 1
    code = "B" if bits == 8 else "H"
    red = [0, 2, 0, top // 3, 1, 60, top, 0, 1, 7, 1, 193, 0]
    green = [0, 1, top, 1, 100, 0, 1, 155, top // 2]
    blue = [0, 1, 0, 1, 255, top]
    attributes = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, segments in (("Red", red), ("Green", green), ("Blue", blue)):
        data = struct.pack(f"<{len(segments)}{code}", *segments)
        attributes[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        attributes[f"Segmented{name}PaletteColorLookupTableData"] = data + b"\0" * (len(data) % 2)
    ramp = bytes(range(256))
    path = make_image(tmp_path / "in" / "segmented.dcm", 16, 16, bits=8, PixelData=ramp, **attributes)
    image = pydicom.dcmread(path)
    expected = eight(apply_color_lut(image.pixel_array, image))
    assert np.array_equal(shown(path), expected)
