"""Faults that users of other DICOM software reported, asked of Firstlight: one test a row of the two manifests in tests/reports.

Each row says what is wrong with its file, what to do with it and what is right; its check stands here under its path. A row without a
check fails. Where a row allows two answers, either passes.
"""
import csv
import hashlib
import io
import json
import pathlib
import re
import shutil
import subprocess
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile

import imagecodecs
import numpy as np
import pydicom
import pydicom.fileset
import pytest

from common import BINARY, firstlight
from served import Served

REPORTS = pathlib.Path(__file__).resolve().parent.parent / "reports"
EXPLICIT, JPEG_LS = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80"
SAMPLES = f"application/octet-stream; transfer-syntax={EXPLICIT}"
CHECKS = {}


def rows(name, key):
    with open(REPORTS / name, newline="") as lines:
        return [pytest.param(row["path"], id=f"{row['path']} ({row[key]})") for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]


def check(*paths):
    def keep(function):
        CHECKS.update(dict.fromkeys(paths, function))
        return function

    return keep


@pytest.mark.parametrize("path", rows("MANIFEST.tsv", "origin") + rows("MANIFEST-cv.tsv", "what it is"))
def test_report(path, request, tmp_path):
    assert path in CHECKS, "no check was written for this row"
    wanted = CHECKS[path].__code__.co_varnames[: CHECKS[path].__code__.co_argcount]
    given = {"path": REPORTS / path, "tmp": tmp_path}
    CHECKS[path](**{name: given[name] if name in given else request.getfixturevalue(name) for name in wanted})


def test_inputs_are_those_of_the_manifests():
    for name in ("MANIFEST.tsv", "MANIFEST-cv.tsv"):
        with open(REPORTS / name, newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                assert hashlib.sha256((REPORTS / row["path"]).read_bytes()).hexdigest() == row["sha256"], row["path"]


# ---------------------------------------------------------------------------------------------------------------- servers

class Archive(Served):
    """An archive of all reports, served."""

    def __init__(self, folder, *flags):
        images = folder / "images"
        for file in REPORTS.rglob("*.dcm"):
            (images / file.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, images / file.parent.name)
        super().__init__(folder, images, *flags)
        settled, before = 0, None
        for _ in range(600):
            status = self.get("/status.json").json()
            now = (status["instances"], 0 if "--no-convert" in flags else status["pending"])
            settled = settled + 1 if now == before and now[0] > 30 and now[1] == 0 else 0
            before = now
            if settled == 5:
                break
            time.sleep(0.2)
        assert settled == 5, f"not done in 2 minutes: {before} {self.talk()}"

    def get(self, path, accept="*/*"):
        url = path if path.startswith("http") else self.root + path
        request = urllib.request.Request(url, headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return Answer(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def find(self, level="studies", **query):
        return self.get(f"/dicom-web/{level}?" + urllib.parse.urlencode(query), "application/dicom+json").json()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        assert self.status in (200, 204), (self.status, self.body[:200])
        return json.loads(self.body) if self.body else []

    def image(self):
        assert self.status == 200, (self.status, self.body[:200])
        return imagecodecs.png_decode(self.body)

    def parts(self):
        """Bodies of a multipart answer."""
        boundary = re.search(r'boundary="?([^";]+)', self.headers["Content-Type"]).group(1).encode()
        return [part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for part in self.body.split(b"--" + boundary)[1:-1]]


@pytest.fixture(scope="module")
def converting(tmp_path_factory):
    archive = Archive(tmp_path_factory.mktemp("converting"))
    yield archive
    archive.stop()


@pytest.fixture(scope="module")
def storing(tmp_path_factory):
    """As `converting`, but what comes in stays as it is."""
    archive = Archive(tmp_path_factory.mktemp("storing"), "--no-convert")
    yield archive
    archive.stop()


@pytest.fixture(params=["converting", "storing"])
def both(request):
    return request.getfixturevalue(request.param)


def url_of(path, dataset=None):
    dataset = dataset if dataset is not None else pydicom.dcmread(path, force=True, stop_before_pixels=True)
    return f"/dicom-web/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}"


def each_archive(function):
    """The check is made of the archive that converts and of the one that does not."""
    def of_both(path, converting, storing):
        function(path, converting)
        function(path, storing)

    return of_both


def grey(image):
    return image if image.ndim == 2 else image[..., :3].mean(axis=-1)


# -------------------------------------------------------------------------------------------------------------- rendering

@check("render/palette_1088.dcm")
@each_archive
def palette(path, archive):
    for view in ("thumbnail", "rendered?viewport=256,256", "thumbnail?viewport=64,64", "rendered"):
        assert archive.get(f"{url_of(path)}/{view}", "image/png").image()[..., 1].max() <= 8, view


def ramp(image, expected, tolerance):
    row = grey(image)[image.shape[0] // 2]
    found = [int(row[round(at * (len(row) - 1))]) for at in (0, 0.25, 0.5, 0.75, 1)]
    assert np.abs(np.subtract(found, expected)).max() <= tolerance, found


@check("render/voilut_scrambled_1024.dcm")
@each_archive
def scrambled(path, archive):
    for view in ("thumbnail", "rendered"):
        ramp(archive.get(f"{url_of(path)}/{view}", "image/png").image(), [0, 64, 128, 191, 255], 3)


@check("render/padding_1020.dcm")
@each_archive
def padding(path, archive):
    def spread(image):
        image = grey(image)
        rows, columns = np.indices(image.shape)
        disc = np.hypot(rows / image.shape[0] - 0.5, columns / image.shape[1] - 0.5) < 0.3
        return np.percentile(image[disc], [5, 95])

    full, small = (spread(archive.get(f"{url_of(path)}/{view}", "image/png").image()) for view in ("rendered", "thumbnail"))
    assert np.abs(full - small).max() < 16 and small[1] - small[0] > 32, (full, small)


def whole_ramp(tolerance, expected=(0, 64, 128, 192, 255)):
    @each_archive
    def view(path, archive):
        ramp(archive.get(f"{url_of(path)}/rendered", "image/png").image(), expected, tolerance)

    return view


check("render/voilut_hu_implicit.dcm", "render/voilut_ss_for_unsigned.dcm")(whole_ramp(2))
check("render/voilut_16_stated_12_used.dcm")(whole_ramp(3))
check("render/pet_width_below_1.dcm")(whole_ramp(6, (0, 65, 128, 192, 255)))


@check("render/rtdose_u32_top_bit.dcm")
@each_archive
def dose(path, archive):
    image = grey(archive.get(f"{url_of(path)}/frames/1/rendered", "image/png").image())
    assert abs(int(image[24, 32]) - 255) <= 2 and image[0, 0] <= 2, (image[24, 32], image[0, 0])


@check("metadata/enhanced_groups_as_un.dcm")
@each_archive
def groups_as_un(path, archive):
    [metadata] = archive.get(url_of(path) + "/metadata", "application/dicom+json").json()
    per_frame, shared = metadata["52009230"], metadata["52009229"]
    assert per_frame["vr"] == shared["vr"] == "SQ" and len(per_frame["Value"]) == 2
    second = per_frame["Value"][1]["00289132"]["Value"][0]
    assert second["00281050"]["Value"] == [500] and second["00281051"]["Value"] == [1000]
    assert shared["Value"][0]["00289110"]["Value"][0]["00280030"]["Value"] == [0.7, 0.7]
    row = grey(archive.get(url_of(path) + "/frames/2/rendered", "image/png").image())
    row = row[row.shape[0] // 2]
    found = [int(row[round(at * (len(row) - 1))]) for at in (0, 0.25, 0.5, 0.75, 1)]
    assert found[0] <= 3 and min(found[1:]) >= 252, found


# ------------------------------------------------------------------------------------------------------- whole instances

def compare(ours, source):
    """Every element of the source, read by pydicom, is in what the server gave."""
    for element in source:
        if element.tag.is_private_creator or element.tag == 0x7FE00010 or element.tag.element == 0:
            continue
        assert element.tag in ours, element.tag
        theirs, mine = element.value, ours[element.tag].value
        if ours[element.tag].VR == "UN" and element.VR != "UN":
            mine = bytes(mine).rstrip(b"\0 ")
            theirs = "\\".join(map(str, theirs)) if isinstance(theirs, (list, pydicom.multival.MultiValue)) else str(theirs)
            assert mine.decode("latin-1") == theirs.rstrip(), element.tag
        elif element.VR == "SQ":
            for left, right in zip(mine, theirs, strict=True):
                compare(left, right)
        else:
            assert mine == theirs or str(mine).strip() == str(theirs).strip(), (element.tag, mine, theirs)


def part_10(answer):
    assert answer.status == 200, (answer.status, answer.body[:200])
    assert answer.body[128:132] == b"DICM", answer.body[:140]
    return pydicom.dcmread(io.BytesIO(answer.body))


@check("wado/long_comment_implicit.dcm", "wado/no_preamble_implicit.dcm", "wado/no_prefix_sr.dcm", "wado/blank_source_ae.dcm")
@each_archive
def whole(path, archive):
    source = pydicom.dcmread(path, force=True)
    got = part_10(archive.get(url_of(path), "application/dicom"))
    compare(got, source)
    explicit = part_10(archive.get(url_of(path), f"application/dicom; transfer-syntax={EXPLICIT}"))
    assert explicit.file_meta.TransferSyntaxUID == EXPLICIT
    compare(explicit, source)
    if "PixelData" in source:
        assert explicit.PixelData == source.PixelData


@check("wado/rtstruct_long_contour_implicit.dcm")
@each_archive
def contour(path, archive):
    got = part_10(archive.get(url_of(path), "application/dicom"))
    assert got.file_meta.TransferSyntaxUID == EXPLICIT
    value = got.ROIContourSequence[0].ContourSequence[0][0x30060050]
    text = bytes(value.value).decode() if value.VR == "UN" else "\\".join(map(str, value.value))
    assert text.count("\\") + 1 == 13800
    compare(got, pydicom.dcmread(path))


@check("wado/ct_beside_rtstruct.dcm")
@each_archive
def study(path, archive):
    url = url_of(path).split("/series/")[0]
    answer = archive.get(url, 'multipart/related; type="application/dicom"')
    assert answer.status == 200, answer.status
    found = {pydicom.dcmread(io.BytesIO(part)).SOPInstanceUID for part in answer.parts()}
    beside = path.with_name("rtstruct_long_contour_implicit.dcm")
    assert found == {pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in (path, beside)}


@check("wado/sr_observation_class.dcm")
@each_archive
def observation_class(path, archive):
    got = part_10(archive.get(url_of(path), "application/dicom"))
    value = got.ContentSequence[0][0x0040A170]
    assert value.VR in ("CS", "UN") and (value.value if value.VR == "CS" else bytes(value.value).decode().strip()) == "NAMED TYPE"
    [metadata] = archive.get(url_of(path) + "/metadata", "application/dicom+json").json()
    told = metadata["0040A730"]["Value"][0]["0040A170"]
    assert told["vr"] == "CS" and told["Value"] == ["NAMED TYPE"] or told["vr"] == "UN" and "InlineBinary" in told, told


@check("wado/grey_small.dcm")
def grey_small(path, converting):
    got = part_10(converting.get(url_of(path), f"application/dicom; transfer-syntax={EXPLICIT}"))
    assert got.file_meta.TransferSyntaxUID == EXPLICIT
    assert hashlib.sha256(got.PixelData).hexdigest() == "64f242cefddd60342420d65348541cd71c9ae418af3f90cdd447943066a3f804"
    stored = part_10(converting.get(url_of(path), "application/dicom; transfer-syntax=*"))
    assert stored.file_meta.TransferSyntaxUID == JPEG_LS


@check("bulk/pdf_odd.dcm", "bulk/cda_odd.dcm")
@each_archive
def document(path, archive):
    pdf = path.stem == "pdf_odd"
    kind, size = ("application/pdf", 1915) if pdf else ("text/xml", 1283)
    sha256 = "b6133ef3d158c83534f123dd9a03a8aba128d91afd5d22a811a5c5e921638a3b" if pdf else "be2d859dedc716e532f108eec268c9b246aafcc2f129c521f5216022cd1f427c"
    answer = archive.get(url_of(path) + "/bulkdata/00420011", kind)
    assert answer.status == 200 and len(answer.body) == size and hashlib.sha256(answer.body).hexdigest() == sha256
    assert answer.headers["Content-Type"].split(";")[0].lower() == kind
    if not pdf:
        assert answer.headers["Content-Disposition"].startswith("attachment"), "no page of ours"
    [metadata] = archive.get(url_of(path) + "/metadata", "application/dicom+json").json()
    uri = metadata["00420011"]["BulkDataURI"]
    assert uri.startswith(archive.root), uri
    assert archive.get(uri, kind).body == answer.body


@check("uid/uid_trailing_dot.dcm")
@each_archive
def trailing_dot(path, archive):
    found = archive.find(PatientID="R-uid_trailing_dot")
    for entry in found:
        url = entry["00081190"]["Value"][0]
        assert archive.get(url + "/metadata", "application/dicom+json").status == 200, url
        assert archive.get(url, "multipart/related; type=\"application/dicom\"").status == 200, url
        for instance in archive.get(url + "/instances", "application/dicom+json").json():
            url = instance["00081190"]["Value"][0]
            assert archive.get(url + "/frames/1", SAMPLES).status == 200, url
    if not found:
        assert path.name in archive.talk(), "refused without a word"


# ----------------------------------------------------------------------------------------------------------------- frames

def samples(archive, path, frame):
    answer = archive.get(f"{url_of(path)}/frames/{frame}", SAMPLES)
    return answer.body[: 30 * 33] if answer.status == 200 else answer.status


def converted_or_kept(path, tmp, expected):
    out = tmp / "out"
    done = firstlight("convert", path, out, "--report", tmp / "report.jsonl")
    [line] = [json.loads(line) for line in (tmp / "report.jsonl").read_text().splitlines()]
    assert done.returncode == 0 and line["outcome"] == expected, (done.returncode, line, done.stderr)
    written = pathlib.Path(line["destination"])
    assert written.is_file()
    if expected == "kept":
        assert written.read_bytes() == path.read_bytes() and line["reason"]
    return line


@check("frames/rle_last_fragment_empty.dcm", "frames/jpeg_first_fragment_empty.dcm")
def empty_fragment(path, converting, storing, tmp):
    whole = "cfbaedd9c454b3292a715f301a43f78a66d1257c2c01fc21457629670c1bcdd6"
    for archive in (converting, storing):
        frames = [samples(archive, path, n) for n in (1, 2, 3, 4)]
        assert all(isinstance(frame, bytes) for frame in frames), frames
        assert hashlib.sha256(b"".join(frames)).hexdigest() == whole
    assert converted_or_kept(path, tmp, "converted")["samples_sha256"] == whole


@check("frames/one_frame_missing.dcm", "frames/native_cut.dcm")
def missing_frame(path, converting, storing, tmp):
    for archive in (converting, storing):
        frames = [samples(archive, path, n) for n in (1, 2, 3, 4)]
        assert frames[3] == 404 and all(isinstance(frame, bytes) for frame in frames[:3]), frames
        assert hashlib.sha256(b"".join(frames[:3])).hexdigest() == "0a8cbaca143abc3e57da585f4cbb5b178d845e99ca4458a34dc546272a879441"
        assert archive.get(url_of(path) + "/rendered", "image/png").status == 200
    converted_or_kept(path, tmp, "kept")


@check("frames/number_of_frames_missing.dcm")
def uncounted(path, converting, storing, tmp):
    for archive in (converting, storing):
        assert hashlib.sha256(samples(archive, path, 1)).hexdigest() == "e218b201930927f7da92238c4834be3bef2266ab7469bc84d73c154b17d143eb"
        assert archive.get(url_of(path) + "/rendered", "image/png").status == 200
    converted_or_kept(path, tmp, "kept")


@check("frames/jpeg_under_explicit.dcm")
def contradiction(path, converting, storing, tmp):
    for archive in (converting, storing):
        for accept in (SAMPLES, "*/*", "image/jpeg", "multipart/related; type=application/octet-stream; transfer-syntax=*"):
            answer = archive.get(url_of(path) + "/frames/1", accept)
            assert answer.status in (200, 404, 406), (answer.status, accept)
    converted_or_kept(path, tmp, "kept")


@check("frames/native_under_jpeg.dcm")
def native_under_jpeg(path, converting, storing, tmp):
    for archive in (converting, storing):
        answer = archive.get(url_of(path) + "/frames/1", SAMPLES)
        assert answer.status == 200 and hashlib.sha256(answer.body).hexdigest() == "2eef2bb18c1a39dc12cb0c385c8efcd4491e70326778c9fb9c983351282b0e00"
        assert archive.get(url_of(path) + "/rendered", "image/png").status == 200
    converted_or_kept(path, tmp, "kept")


@check("convert/cv-rgb-one-third.dcm")
def one_third(path, converting, tmp):
    converted_or_kept(path, tmp, "kept")
    assert converting.get(url_of(path), "application/dicom; transfer-syntax=*").status == 200


@check("convert/cv-second-delimiter.dcm")
def second_delimiter(path, converting, tmp):
    converted_or_kept(path, tmp, "kept")
    assert converting.get(url_of(path) + "/frames/1", "image/jpeg").status == 200


@check("inflate/deflated_with_zlib_header.dcm")
def zlib_header(path, tmp):
    """Read, which is kinder, or refused by one line and kept in its place."""
    done = firstlight("convert", path, tmp / "out", "--report", tmp / "report.jsonl")
    [line] = [json.loads(line) for line in (tmp / "report.jsonl").read_text().splitlines()]
    assert (line["outcome"], done.returncode) in {("converted", 0), ("kept", 0), ("unreadable", 1)}, line
    assert pathlib.Path(line["destination"]).is_file()


# ------------------------------------------------------------------------------------------------------------------ names

def found(archive, name):
    return sorted(entry["00100020"]["Value"][0] for entry in archive.find(PatientName=name))


@check("qido/kim1.dcm", "qido/kim2.dcm", "qido/kim3.dcm")
@each_archive
def kim(path, archive):
    assert found(archive, "김^?수") == ["R-kim1", "R-kim2"]
    assert found(archive, "김^영?") == ["R-kim1", "R-kim3"]
    assert found(archive, "김*") == ["R-kim1", "R-kim2", "R-kim3"]


@check("qido/lee1.dcm", "qido/lee2.dcm", "qido/lee3.dcm", "qido/lee4.dcm")
@each_archive
def lee(path, archive):
    assert found(archive, "LEE^*") == ["R-lee1", "R-lee2", "R-lee3"]
    assert found(archive, "LEE^") == ["R-lee1", "R-lee2"]


def names_below(folder):
    folder = bytes(folder)
    return sorted(line[len(folder) + 1 :] for line in subprocess.run(["find", folder, "-type", "f", "-print0"], capture_output=True, check=True).stdout.split(b"\0") if line and b"/.firstlight/" not in line)


def unpacked(path, tmp):
    folder = tmp / "in"
    folder.mkdir()
    subprocess.run(["tar", "xf", path, "-C", folder], check=True)
    return folder


def all_converted(source, out, names, tmp):
    """Converted, found again by a second run, and each restored to the bytes of its source."""
    for command, out in (("convert", out), ("migrate", out.with_name("migrated"))):
        done = firstlight(command, source, out)
        assert done.returncode == 0, done.stderr
        assert names_below(out) == names, names_below(out)
        firstlight_again = firstlight(command, source, out, *(["--report", tmp / "again.jsonl"] if command == "convert" else []))
        assert firstlight_again.returncode == 0, firstlight_again.stderr
        if command == "convert":
            again = [json.loads(line) for line in (tmp / "again.jsonl").read_text().splitlines()]
            assert len(again) == len(names) and all(line["outcome"] == "converted" and line["unchanged"] for line in again)
        evidence = firstlight("evidence", "--data", out, "--json")
        assert evidence.returncode == 0 and len(evidence.stdout.splitlines()) == len(names), evidence.stderr
    return out.with_name("out")


@check("names/not_utf8.tar", "convert/cv-latin1-name.tar")
def not_utf8(path, tmp):
    source = unpacked(path, tmp)
    names = names_below(source)
    all_converted(source, tmp / "out", names, tmp)
    for out in (tmp / "out", tmp / "migrated"):
        for n, name in enumerate(names):
            back = tmp / f"{out.name}-{n}.dcm"
            done = subprocess.run([BINARY, "restore", bytes(out) + b"/" + name, "-o", back], capture_output=True)
            assert done.returncode == 0, done.stderr
            assert back.read_bytes() == open(bytes(source) + b"/" + name, "rb").read(), name


@check("names/latin1_pair.tar")
def latin1_pair(path, tmp):
    done = firstlight("migrate", path, tmp / "out")
    assert done.returncode == 0, done.stderr
    with tarfile.open(path, encoding="latin-1") as packed:
        names = sorted(member.name.encode("latin-1") for member in packed if member.isfile())
    assert [name.split(b"/", 1)[-1] if not name in names else name for name in names_below(tmp / "out")] == names


@check("convert/cv-folder.tar.xz")
def tar_xz(path, tmp):
    """Read, or refused by the name of its form: never passed over."""
    for command in ("convert", "migrate"):
        out = tmp / command
        done = firstlight(command, path, out)
        if done.returncode == 0:
            assert len(names_below(out)) == 1, command
        else:
            assert done.returncode == 2 and re.search(r"\bxz\b", done.stderr), done.stderr


@check("dicomdir/cd_of_three.tar", "convert/cv-fileset.zip")
def file_set(path, tmp):
    if path.suffix == ".zip":
        source = tmp / "in"
        with zipfile.ZipFile(path) as packed:
            packed.extractall(source)
    else:
        source = unpacked(path, tmp)
    for command in ("convert", "migrate"):
        out = tmp / command
        done = firstlight(command, source, out)
        assert done.returncode == 0, done.stderr
        index = out / "DICOMDIR"
        if not index.exists():
            assert "DICOMDIR" in done.stdout + done.stderr
            continue
        records = pydicom.dcmread(index).DirectoryRecordSequence
        files = [record for record in records if "ReferencedFileID" in record]
        assert len(files) == 3
        for record in files:
            name = record.ReferencedFileID
            file = out.joinpath(*([name] if isinstance(name, str) else name))
            assert pydicom.dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID == record.ReferencedTransferSyntaxUIDInFile
        assert len(pydicom.fileset.FileSet(pydicom.dcmread(index))) == 3, "its offsets lead to all records"
    done = firstlight("convert", source / "DICOMDIR", tmp / "by-index")
    assert done.returncode == 0, done.stderr
