"""`firstlight serve` asked by curl and by a DICOMweb client: ranges, levels, guards, and what comes back pixel for pixel."""
import gzip
import json
import random
import subprocess
import time

import imagecodecs
import numpy as np
import pydicom
import pytest
from dicomweb_client import DICOMwebClient

from common import make_image
from served import Served

OHIF = "multipart/related; type=application/octet-stream; transfer-syntax=*"
SINGLE = "application/octet-stream; transfer-syntax=*"
RPCL, JPEG_LS = "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.80"


class Reply:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}


def curl(url, *arguments, accept=None):
    accept = ["-H", f"Accept: {accept}"] if accept else []
    done = subprocess.run(["curl", "-s", "-S", "-i", "--raw", "--http1.1", "--max-time", "30", *accept, *arguments, url], capture_output=True)
    assert done.returncode == 0, done.stderr
    return Reply(done.stdout)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    make_image(folder / "large.dcm", rows=1300, columns=1100, seed=1)
    make_image(folder / "small.dcm", rows=300, columns=200, seed=2)
    make_image(folder / "colour.dcm", rows=200, columns=300, seed=3, bits=8, samples=3)
    return {pydicom.dcmread(path).SOPInstanceUID: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def server(tmp_path_factory, sources):
    folder = tmp_path_factory.mktemp("served")
    server = Served(folder, next(iter(sources.values())).parent)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def levels(server, sources):
    """The answer of `levels`, once everything is converted."""
    for _ in range(300):
        reply = curl(f"{server.dicomweb}/studies/2.25.1/series/2.25.2/levels")
        if reply.status == 200:
            body = gzip.decompress(reply.body) if reply.headers.get("content-encoding") == "gzip" else reply.body
            instances = json.loads(body)["instances"]
            if len(instances) == len(sources) and all(i["transferSyntax"] in (RPCL, JPEG_LS) for i in instances.values()):
                return instances
        time.sleep(0.1)
    raise AssertionError(f"not converted in 30 s: {server.talk()}")


def instance_url(server, sop):
    return f"{server.dicomweb}/studies/2.25.1/series/2.25.2/instances/{sop}"


@pytest.fixture(scope="module")
def large(levels):
    return next(sop for sop, entry in levels.items() if entry["transferSyntax"] == RPCL and entry["frames"][0]["length"] > 10**5)


@pytest.mark.parametrize("accept", [OHIF, SINGLE])
def test_any_split_joins_to_the_whole(server, large, accept):
    url = instance_url(server, large) + "/frames/1"
    whole = curl(url, accept=accept)
    total = len(whole.body)
    assert whole.status == 200 and int(whole.headers["content-length"]) == total
    assert whole.headers["accept-ranges"] == "bytes" and "content-encoding" not in whole.headers
    assert ("multipart" in whole.headers["content-type"]) == (accept == OHIF)
    random.seed(5)
    for pieces in (1, 2, 2, 3, 5, 9):
        cuts = [0, *sorted(random.sample(range(1, total), pieces - 1)), total]
        joined = b""
        for first, end in zip(cuts, cuts[1:]):
            part = curl(url, "-H", f"Range: bytes={first}-{end - 1}", accept=accept)
            assert part.status == 206
            assert part.headers["content-range"] == f"bytes {first}-{end - 1}/{total}"
            assert part.headers["etag"] == whole.headers["etag"]
            joined += part.body
        assert joined == whole.body


@pytest.mark.parametrize("accept", [OHIF, SINGLE])
def test_open_suffix_and_oversized_ranges(server, large, accept):
    url = instance_url(server, large) + "/frames/1"
    whole = curl(url, accept=accept).body
    total = len(whole)
    for text, first, last in [(f"{total - 10}-", total - 10, total - 1), ("-10", total - 10, total - 1), (f"5-{total + 999}", 5, total - 1), ("0-0", 0, 0)]:
        part = curl(url, "-H", f"Range: bytes={text}", accept=accept)
        assert (part.status, part.headers["content-range"]) == (206, f"bytes {first}-{last}/{total}"), text
        assert part.body == whole[first : last + 1]


@pytest.mark.parametrize("accept", [OHIF, SINGLE])
def test_past_the_end_is_416_with_an_empty_body(server, large, accept):
    url = instance_url(server, large) + "/frames/1"
    total = len(curl(url, accept=accept).body)
    for first in (total, total + 1, 10**18):
        reply = curl(url, "-H", f"Range: bytes={first}-", accept=accept)
        assert reply.status == 416 and reply.body == b""
        assert reply.headers["content-range"] == f"bytes */{total}"


@pytest.mark.parametrize("accept", [OHIF, SINGLE])
def test_if_range(server, large, accept):
    url = instance_url(server, large) + "/frames/1"
    whole = curl(url, accept=accept)
    etag = whole.headers["etag"]
    assert etag.startswith('"')
    same = curl(url, "-H", "Range: bytes=0-99", "-H", f"If-Range: {etag}", accept=accept)
    assert same.status == 206 and same.body == whole.body[:100]
    other = curl(url, "-H", "Range: bytes=0-99", "-H", 'If-Range: "something-else"', accept=accept)
    assert other.status == 200 and other.body == whole.body
    assert curl(url, "-H", f"If-None-Match: {etag}", accept=accept).status == 304


def test_head_is_the_get_without_its_body(server, large):
    url = instance_url(server, large) + "/frames/1"
    get, head = curl(url, accept=OHIF), curl(url, "-I", accept=OHIF)
    assert head.status == 200 and head.body == b""
    assert {key: head.headers.get(key) for key in ("content-length", "etag", "content-type")} == {key: get.headers.get(key) for key in ("content-length", "etag", "content-type")}


def test_levels_address_the_multipart_body(server, levels, sources):
    """`bodyOffset` and `ends` cut the default body into prefixes that an independent decoder takes."""
    for sop, entry in levels.items():
        body = curl(instance_url(server, sop) + "/frames/1", accept=OHIF).body
        head, _, _ = body.partition(b"\r\n\r\n")
        assert body.startswith(b"--") and f"transfer-syntax={entry['transferSyntax']}".encode() in head
        frame = entry["frames"][0]
        stream = body[entry["bodyOffset"] :][: frame["length"]]
        if entry["transferSyntax"] != RPCL:
            assert frame["ends"] == [] and stream[:2] == b"\xff\xd8"
            continue
        assert stream[:2] == b"\xff\x4f" and stream[-2:] == b"\xff\xd9" and frame["ends"][-1] == frame["length"]
        for level, end in zip(range(len(frame["ends"]) - 1, -1, -1), frame["ends"]):
            prefix = imagecodecs.htj2k_decode(stream[:end], skipres=level, resilient=True)
            assert np.array_equal(prefix, imagecodecs.htj2k_decode(stream, skipres=level)), f"level {level}"
        assert np.array_equal(imagecodecs.htj2k_decode(stream), pydicom.dcmread(sources[sop]).pixel_array)


def test_a_dicomweb_client_finds_and_gets_everything(server, levels, sources):
    client = DICOMwebClient(server.dicomweb)
    assert [study["0020000D"]["Value"] for study in client.search_for_studies()] == [["2.25.1"]]
    assert len(client.search_for_instances("2.25.1", "2.25.2")) == len(sources)
    metadata = {entry["00080018"]["Value"][0]: entry for entry in client.retrieve_series_metadata("2.25.1", "2.25.2")}
    assert set(metadata) == set(sources)
    for sop, path in sources.items():
        source, got = pydicom.dcmread(path), client.retrieve_instance("2.25.1", "2.25.2", sop, media_types=(("application/dicom", "*"),))
        assert np.array_equal(got.pixel_array, source.pixel_array)
        assert got.PatientName == source.PatientName and "BulkDataURI" in metadata[sop]["7FE00010"]


def test_what_is_not_there_is_404_with_an_empty_body(server, levels, large):
    for path in (f"{instance_url(server, large)}/frames/2", instance_url(server, "2.25.404") + "/frames/1", f"{server.root}/nothing.js"):
        reply = curl(path, accept=OHIF)
        assert reply.status == 404, path
    assert curl(f"{instance_url(server, large)}/frames/2", accept=OHIF).body == b""


def test_host_and_origin_are_checked(server, levels, large):
    url = instance_url(server, large) + "/frames/1"
    assert curl(url, "-H", "Host: evil.example", accept=OHIF).status in (400, 403, 421)
    reply = curl(url, "-H", "Origin: https://evil.example", accept=OHIF)
    assert reply.status == 403 or "access-control-allow-origin" not in reply.headers
    assert curl(url, "-H", f"Origin: {server.root}", accept=OHIF).status == 200


def test_the_first_picture_is_told_in_one_answer(server, levels):
    study = f"{server.dicomweb}/studies/2.25.1"
    body = lambda url: json.loads(curl(url).body)
    answer = curl(f"{study}/first")
    first = json.loads(answer.body)
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    assert [first["study"]] == body(f"{server.dicomweb}/studies?StudyInstanceUID=2.25.1")
    assert first["series"] == body(f"{study}/series")
    picture = first["first"]
    instances = body(f"{study}/series/2.25.2/instances")
    assert (picture["series"], picture["instance"], picture["frame"]) == ("2.25.2", instances[0]["00080018"]["Value"][0], 1)
    assert [picture["metadata"]] == body(f"{instance_url(server, picture['instance'])}/metadata")
    assert picture["levels"] == levels[picture["instance"]], "these images have one frame"
    assert curl(f"{study}/first", "-H", f"If-None-Match: {answer.headers['etag']}").status == 304
    head = curl(f"{study}/first", "--head")
    assert (head.status, head.headers["content-length"]) == (200, str(len(answer.body)))
    for missing, sentence in (("studies/2.25.9/first", b"no such study"), ("studies/2.25.1/first?series=2.25.9", b"no such series")):
        reply = curl(f"{server.dicomweb}/{missing}")
        assert reply.status == 404 and reply.body.startswith(sentence)


def test_a_session_ends_with_the_server(tmp_path, sources):
    server = Served(tmp_path, next(iter(sources.values())).parent)
    session = json.loads(curl(f"{server.root}/session", "-X", "POST").body)["session"]
    listener = subprocess.Popen(["curl", "-s", "-S", "-N", f"{server.root}/session/{session}/events"], stdout=subprocess.PIPE, text=True)
    assert [listener.stdout.readline() for _ in range(2)] == ["id:2\n", "event:hello\n"]
    key = json.loads(listener.stdout.readline().removeprefix("data:"))["key"]
    pointer = json.dumps({"event": "pointer", "data": {"instance": "1.2", "frame": 1, "at": [1.5, 2.5]}})
    url = f"{server.root}/session/{session}/events"
    assert curl(url, "-H", f"Session-Participant: {key}", "-d", pointer).status == 204
    assert curl(url, "-H", "Session-Participant: x", "-d", pointer).status == 403
    assert [listener.stdout.readline() for _ in range(3)][1:] == ["id:3\n", "event:pointer\n"]
    server.stop()
    listener.communicate(timeout=30)
    assert listener.returncode == 0, "the answer was ended, not cut"


def test_health_and_metrics(server, levels):
    for path in ("healthz", "readyz", "metrics", "openapi.json"):
        assert curl(f"{server.root}/{path}").status == 200, path


def test_started_again_it_serves_the_same(tmp_path, sources):
    images = next(iter(sources.values())).parent
    first = Served(tmp_path, images)
    url = f"{first.dicomweb}/studies/2.25.1/series/2.25.2/instances"
    for _ in range(300):
        if len(json.loads(curl(url).body or b"[]") if curl(url).status == 200 else []) == len(sources):
            break
        time.sleep(0.1)
    first.process.kill()
    first.process.wait()
    again = Served(tmp_path, images)
    try:
        found = json.loads(curl(f"{again.dicomweb}/studies/2.25.1/series/2.25.2/instances").body)
        assert len(found) == len(sources)
    finally:
        again.stop()
