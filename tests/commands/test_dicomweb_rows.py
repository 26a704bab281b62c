"""What PS3.18 and RFC 9110 ask of a DICOMweb origin server, one row for each: asked with curl's kind of client, on images made here.

A row of `EXCEPTIONS` is one that is answered otherwise on purpose; the conformance statement has the reasons. A larger table may be named in
FIRSTLIGHT_DICOMWEB_TABLE (a program that takes the address and prints its totals last); its count of yes may not fall below FEWEST.
"""
import ast
import http.client
import io
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import zipfile

import pydicom
import pytest

from common import CORPUS, make_image
from served import Served

TABLE = os.environ.get("FIRSTLIGHT_DICOMWEB_TABLE")
FEWEST = 217

STUDY, SERIES = "/studies/2.25.1", "/studies/2.25.1/series/2.25.2"
ONE, COLOUR, MANY = (f"{SERIES}/instances/2.25.{10**20 + n}" for n in (1, 2, 3))
LITTLE, JPEG_LS, HTJ2K, BASELINE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.50"
XML = 'multipart/related; type="application/dicom+xml"'
WADO = f"?requestType=WADO&studyUID=2.25.1&seriesUID=2.25.2&objectUID=2.25.{10**20 + 1}"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    make_image(folder / "in" / "one.dcm", rows=120, columns=160, seed=1, PixelSpacing=[0.5, 0.5], ImageType=["ORIGINAL", "PRIMARY"], KVP="120")
    make_image(folder / "in" / "colour.dcm", rows=40, columns=60, seed=2, bits=8, samples=3)
    make_image(folder / "in" / "many.dcm", rows=32, columns=32, seed=3, NumberOfFrames=1)
    many = pydicom.dcmread(folder / "in" / "many.dcm")
    many.NumberOfFrames, many.PixelData, many.FrameTime = 4, many.PixelData * 4, "100"
    many.save_as(folder / "in" / "many.dcm")
    server = Served(folder, folder / "in")
    for _ in range(600):
        if JPEG_LS in ask(server, ONE + "/levels").body.decode("utf-8", "replace"):
            break
        time.sleep(0.1)
    yield server
    server.stop()


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(server.host, timeout=60)
    path = path if path.startswith("/wado") else "/dicom-web" + path
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.body = answer.read()
    connection.close()
    return answer


# path, Accept, status, how Content-Type begins
FORMS = [
    ("/studies", None, 200, "application/dicom+json"),
    ("/studies", "application/json", 200, "application/dicom+json"),
    ("/series", XML, 200, "multipart/related; type=\"application/dicom+xml\""),
    ("/instances", "text/html", 406, ""),
    (STUDY + "/metadata", XML, 200, "multipart/related; type=\"application/dicom+xml\""),
    (ONE + "/metadata", "image/png", 406, ""),
    (STUDY, 'multipart/related; type="application/dicom"', 200, "multipart/related; type=\"application/dicom\""),
    (SERIES, "application/zip", 200, "application/zip"),
    (ONE, "application/dicom", 200, "application/dicom"),
    (ONE, f"application/dicom; transfer-syntax={JPEG_LS}", 200, f"application/dicom;transfer-syntax={JPEG_LS}"),
    (ONE, f"application/dicom; transfer-syntax={HTJ2K}", 200, f"application/dicom;transfer-syntax={HTJ2K}"),
    (ONE, f"application/dicom; transfer-syntax={LITTLE}", 200, f"application/dicom;transfer-syntax={LITTLE}"),
    (ONE, "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90", 406, ""),
    (ONE, "text/html", 406, ""),
    (ONE + "/frames/1", "image/jls", 200, f"image/jls;transfer-syntax={JPEG_LS}"),
    (ONE + "/frames/1", "image/jphc;q=0.5, text/html", 200, f"image/jphc;transfer-syntax={HTJ2K}"),
    (ONE + "/frames/1", f'application/octet-stream; transfer-syntax="{LITTLE}"', 200, f"application/octet-stream;transfer-syntax={LITTLE}"),
    (ONE + "/frames/1", "image/jp2", 406, ""),
    (ONE + "/frames/1", "text/html", 406, ""),
    (ONE + "/frames/1", "undefined", 200, "multipart/related"),
    (ONE + "/frames/1", "image/jls, application/octet-stream; transfer-syntax=*", 200, f"image/jls;transfer-syntax={JPEG_LS}"),
    (COLOUR + "/frames/1", f"image/jpeg; transfer-syntax={BASELINE}", 200, f"image/jpeg;transfer-syntax={BASELINE}"),
    (COLOUR + "/frames/1", "image/jpeg", 406, ""),
    (MANY + "/frames/1,3", "multipart/related; type=application/octet-stream; transfer-syntax=*", 200, "multipart/related"),
    (MANY + "/frames/5", "*/*", 404, ""),
    (STUDY + "/pixeldata", "*/*", 200, "multipart/related"),
    (ONE + "/pixeldata", "*/*", 200, "multipart/related"),
    (STUDY + "/bulkdata", "*/*", 200, "multipart/related"),
    (ONE + "/bulkdata/7FE00010", "application/octet-stream", 200, "application/octet-stream"),
    (STUDY + "/rendered", "image/jpeg", 200, "multipart/related; type=\"image/jpeg\""),
    (SERIES + "/rendered", "image/png", 200, "multipart/related; type=\"image/png\""),
    (ONE + "/rendered", None, 200, "image/jpeg"),
    (ONE + "/rendered", "image/gif", 200, "image/gif"),
    (ONE + "/rendered", "image/jxl", 200, "image/jxl"),
    (ONE + "/rendered", "text/html", 406, ""),
    (MANY + "/rendered", "image/gif", 200, "image/gif"),
    (MANY + "/frames/1,2/rendered", "multipart/related; type=image/jpeg", 200, "multipart/related; type=\"image/jpeg\""),
    (ONE + "/rendered?viewport=50,50,10,10,-40,40", "image/png", 200, "image/png"),
    (ONE + "/rendered?viewport=50,50,900,0,4,4", "image/png", 400, ""),
    (ONE + "/rendered?window=40,0,linear", "image/png", 400, ""),
    (ONE + "/rendered?annotation=patient,technique", "image/png", 200, "image/png"),
    (COLOUR + "/rendered?iccprofile=displayp3", "image/png", 200, "image/png"),
    (ONE + "/rendered?iccprofile=nonsense", "image/png", 400, ""),
    (STUDY + "/thumbnail", "image/jpeg", 200, "image/jpeg"),
    (MANY + "/frames/2/thumbnail", "image/jpeg", 200, "image/jpeg"),
    ("/wado" + WADO, None, 200, "image/jpeg"),
    ("/wado" + WADO + "&contentType=application/dicom", None, 200, f"application/dicom;transfer-syntax={LITTLE}"),
    ("/wado" + WADO + "&rows=30&region=0,0,0.5,0.5&contentType=image/png", None, 200, "image/png"),
    (WADO, None, 200, "image/jpeg"),
    ("/", "application/vnd.sun.wadl+xml", 200, "application/vnd.sun.wadl+xml"),
    ("/capabilities", "application/json", 200, "application/json"),
    (ONE + "?level=2", "application/dicom", 200, f"application/dicom;transfer-syntax={LITTLE}"),
    (SERIES + "?level=1", "application/zip", 200, "application/zip"),
    ("/studies/1.2.3/metadata", None, 404, ""),
    ("/studies/not-a-uid", None, 400, ""),
]

# What is answered otherwise than the standard's default, and what it says instead.
EXCEPTIONS = [
    ("frames without Accept are as stored, not Explicit VR Little Endian", ONE + "/frames/1", None, f"transfer-syntax={JPEG_LS}"),
    ("instances without a named syntax are as stored", ONE, "application/dicom", f"transfer-syntax={JPEG_LS}"),
]


@pytest.mark.parametrize(("path", "accept", "status", "kind"), FORMS)
def test_a_form_is_given_or_refused(server, path, accept, status, kind):
    answer = ask(server, path, **({"Accept": accept} if accept else {}))
    told = answer.getheader("Content-Type") or ""
    assert answer.status == status, answer.body[:200]
    assert not kind or told.startswith(kind), told
    if status == 200 and told == "image/gif":
        assert answer.body[:6] == b"GIF89a"


@pytest.mark.parametrize(("what", "path", "accept", "told"), EXCEPTIONS)
def test_an_exception_is_as_the_statement_says(server, what, path, accept, told):
    answer = ask(server, path, **({"Accept": accept} if accept else {}))
    assert answer.status == 200 and told.encode() in answer.getheader("Content-Type").encode() + answer.body[:300], what


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate"])
def test_metadata_is_compressed_as_it_is_taken(server, coding):
    answer = ask(server, SERIES + "/metadata", Accept_Encoding=coding)
    assert answer.getheader("Content-Encoding") == coding and answer.getheader("ETag").endswith(f'-{coding}"')


@pytest.mark.parametrize("path", ["/studies", ONE + "/metadata", ONE + "/rendered", ONE + "/frames/1", ONE, "/studies?limit=1"])
def test_what_is_held_is_not_sent_again(server, path):
    first = ask(server, path)
    again = ask(server, path, If_None_Match=first.getheader("ETag"))
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/studies/1.2.3.999", "/studies/1.2.3.999/series/1.2", "/studies/1.2.3.999/series/1.2/instances/1.3"])
def test_what_is_not_there_is_not_deleted(server, path):
    assert ask(server, path, method="DELETE").status == 404
    assert "DELETE" in ask(server, path, method="OPTIONS").getheader("Allow")


@pytest.mark.parametrize("path", ["/", "/studies", ONE, ONE + "/rendered"])
def test_options_tell_what_may_be_asked(server, path):
    answer = ask(server, path, method="OPTIONS")
    assert answer.status == 200 and "GET" in answer.getheader("Allow") and b"<resources base=" in answer.body


def test_a_zip_is_read_by_python(server):
    files = zipfile.ZipFile(io.BytesIO(ask(server, STUDY, Accept="application/zip").body))
    assert files.testzip() is None and len(files.namelist()) == 3
    for name in files.namelist():
        assert pydicom.dcmread(io.BytesIO(files.read(name))).SOPInstanceUID in name


def test_a_reduced_image_is_whole_and_says_what_it_is(server):
    reduced = pydicom.dcmread(io.BytesIO(ask(server, ONE + "?level=2", Accept="application/dicom").body))
    assert (reduced.Rows, reduced.Columns, reduced.pixel_array.shape) == (30, 40, (30, 40))
    assert list(reduced.PixelSpacing) == [2, 2] and reduced.ImageType[0] == "DERIVED" and reduced.ImageType[-1] == "RESAMPLED"
    assert reduced.SourceImageSequence[0].ReferencedSOPInstanceUID == f"2.25.{10**20 + 1}" != reduced.SOPInstanceUID


def test_the_description_holds_what_there_is(server):
    connection = http.client.HTTPConnection(server.host, timeout=60)
    connection.request("GET", "/openapi.json")
    described = json.loads(connection.getresponse().read())
    assert described["openapi"].startswith("3.1")
    for path in {urllib.parse.urlsplit(row[0]).path for row in FORMS} - {"/wado", ""}:
        parts = path.replace("2.25.1", "{study}", 1).split("/")
        assert any(len(known.split("/")) == len(parts) + 1 for known in described["paths"]), path


def settled(server):
    """Waits until everything is imported and nothing waits for conversion: what the table asks for is there."""
    before, since = None, time.monotonic()
    while time.monotonic() < since + 600:
        with urllib.request.urlopen(server.root + "/metrics", timeout=60) as reply:
            now = [line for line in reply.read().decode().splitlines() if line.startswith(("firstlight_instances ", "firstlight_instances_pending "))]
        if now and now == before and any(line == "firstlight_instances_pending 0" for line in now):
            return
        before = now
        time.sleep(3)
    raise AssertionError(f"not settled: {before}")


def test_the_table_of_others(tmp_path):
    if not TABLE or not pathlib.Path(TABLE).is_file() or not CORPUS.is_dir():
        pytest.skip("no table is named in FIRSTLIGHT_DICOMWEB_TABLE, or there is no corpus: its count is not held here")
    server = Served(tmp_path, CORPUS)
    try:
        settled(server)
        done = subprocess.run([sys.executable, TABLE, server.root], capture_output=True, text=True, timeout=600)
        totals = ast.literal_eval(done.stdout.strip().splitlines()[-1])
        assert totals["yes"] >= FEWEST, totals
    finally:
        server.stop()
