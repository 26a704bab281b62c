"""JPEG XL that firstlight writes, judged by libjxl: the same samples, and every JPEG back byte for byte."""
import collections
import csv
import json
import pathlib
import shutil
import subprocess

import imagecodecs
import pydicom
import pytest
from pydicom.encaps import generate_frames

from common import CORPUS, firstlight
from test_corpus import errors_of, readable

LOSSLESS, RECOMPRESSION, BASELINE = "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.50"
LARGEST = 400_000  # bytes of a file taken here; the larger ones cost minutes and show nothing new
EACH = 6
KINDS = {
    "signed": lambda row: row["signed"] == "1",
    "12 bits": lambda row: row["bits_stored"] == "12",
    "16 bits": lambda row: row["bits_stored"] == "16" and row["signed"] == "0",
    "8 bits": lambda row: row["bits_stored"] == "8" and row["samples"] == "1",
    "RGB": lambda row: row["photometric"] == "RGB" and row["transfer_syntax_uid"] != BASELINE,
    "RGB of 16 bits": lambda row: row["photometric"] == "RGB" and row["bits_allocated"] == "16",
    "palette": lambda row: row["photometric"] == "PALETTE COLOR",
}


def table(name):
    with open(CORPUS / name, newline="") as lines:
        return {row["path"]: row for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)}


def convert(paths, folder, target):
    """The lines of the report, by path in the corpus."""
    rules = folder / "policy.toml"
    rules.write_text(f'[[rule]]\nname = "all"\nthen = {{ transfer_syntax = "{target}" }}\n')
    report = folder / "report.jsonl"
    sources = [CORPUS / path for path in paths]
    done = firstlight("convert", *sources, folder / "out", "--policy", rules, "--report", report)
    assert done.returncode == 0 and "panicked" not in done.stderr, done.stderr
    lines = map(json.loads, report.read_text().splitlines())
    return {str(pathlib.Path(line["source"]).relative_to(CORPUS.absolute())): line for line in lines}


def frames_of(path):
    dataset = pydicom.dcmread(path)
    return list(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", 1) or 1)))


def unique_names(paths):
    """Files of the same name would collide in the destination."""
    return list({pathlib.Path(path).name: path for path in paths}.values())


@pytest.fixture(scope="module")
def corpus():
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus at {CORPUS}")
    return table("MANIFEST.tsv"), table("REFERENCE.tsv")


@pytest.fixture(scope="module")
def djxl():
    tool = shutil.which("djxl")
    assert tool, "djxl is not there: scripts/setup.sh judges"
    return tool


@pytest.mark.parametrize("kind", KINDS)
def test_lossless_is_the_reference(kind, corpus, judge, tmp_path, capsys):
    """libjxl decodes to the hash that independent decoders gave for the source."""
    manifest, reference = corpus
    fits = lambda path: KINDS[kind](manifest[path]) and reference.get(path, {}).get("status") == "AGREE" and int(manifest[path]["bytes"]) < LARGEST
    report = convert(unique_names(path for path in manifest if fits(path)), tmp_path, "jpeg-xl-lossless")
    converted = sorted(path for path, line in report.items() if line["outcome"] == "converted")[:EACH]
    assert converted, collections.Counter(line["reason"] for line in report.values())
    for path in converted:
        target = report[path]["destination"]
        _, decoded = judge.decoders(target)
        assert decoded and {judge.sha(pixels) if not isinstance(pixels, str) else pixels for pixels in decoded.values()} == {reference[path]["pixels_sha256"]}, path
        judge.same(str(CORPUS / path), target)
        found = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("PIXELS same")]
        assert not [line for line in found if "OW" not in line], (path, found)
        header = pydicom.dcmread(target)
        assert header.file_meta.TransferSyntaxUID == LOSSLESS
        new = errors_of(target) - errors_of(readable(CORPUS / path, tmp_path))
        assert not new, (path, new)


def test_every_jpeg_is_rebuilt_by_libjxl(corpus, djxl, tmp_path):
    """Of each frame that became JPEG XL, libjxl (the command and the library) makes the JPEG that was there, byte for byte."""
    manifest, _ = corpus
    small = [path for path, row in manifest.items() if row["transfer_syntax_uid"] == BASELINE and int(row["bytes"]) < LARGEST]
    report = convert(unique_names(small), tmp_path, "jpeg-xl-recompression")
    kept = collections.Counter(line["reason"].split(":")[0] for line in report.values() if line["outcome"] == "kept")
    assert not set(kept) - {"JPEG XL is not smaller", "the marks in the JPEG do not tell its colours"}, kept
    rebuilt = 0
    for path, line in report.items():
        if line["outcome"] != "converted":
            continue
        target = line["destination"]
        assert line["transfer_syntax"] == RECOMPRESSION
        before, after = frames_of(CORPUS / path), frames_of(target)
        assert len(before) == len(after)
        for jpeg, stream in zip(before, after):
            (tmp_path / "frame.jxl").write_bytes(stream)
            subprocess.run([djxl, tmp_path / "frame.jxl", tmp_path / "frame.jpg"], check=True, capture_output=True)
            assert (tmp_path / "frame.jpg").read_bytes() == jpeg, f"{path}: djxl"
            assert imagecodecs.jpegxl_decode_jpeg(stream) == jpeg, f"{path}: libjxl"
            rebuilt += 1
        unchanged(CORPUS / path, target)
        new = errors_of(target) - errors_of(CORPUS / path)
        assert not new, (path, new)
    print(f"{rebuilt} JPEG frames rebuilt, kept: {dict(kept)}")
    assert rebuilt > 30


def unchanged(source, target):
    """Everything but the pixels is what it was: UID, photometric interpretation, what is lossy."""
    before, after = pydicom.dcmread(source), pydicom.dcmread(target)
    drop = {"PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"} | ({"PlanarConfiguration"} if before.SamplesPerPixel == 1 else set())
    values = lambda header: {element.tag: element.value for element in header if element.keyword not in drop and element.tag.element != 0}
    assert values(before) == values(after), source
