"""`firstlight serve` attacked by raw sockets: every case has the answers it may have, one request has one answer, and the server lives on.

What each kind of attack does to it, and why: docs/assurance/attacks.md.
"""
import json
import re
import socket
import time
import urllib.request

import pytest

from common import make_image
from served import Served

REFUSED = {400, 403, 404, 405, 406, 408, 411, 413, 414, 416, 417, 421, 431, 501, 505}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked")
    images = folder / "images"
    images.mkdir()
    for n in range(3):
        make_image(images / f"{n}.dcm", rows=64, columns=64, seed=n)
    server = Served(folder, images, "--connections", "60")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def frame(server):
    value = lambda row, tag: row[tag]["Value"][0]
    for _ in range(300):
        rows = json.loads(get(server, "/dicom-web/instances"))
        if len(rows) == 3:
            row = rows[0]
            return f"/dicom-web/studies/{value(row, '0020000D')}/series/{value(row, '0020000E')}/instances/{value(row, '00080018')}/frames/1"
        time.sleep(0.1)
    raise AssertionError("nothing was imported")


def get(server, path):
    with urllib.request.urlopen(server.root + path, timeout=60) as answer:
        return answer.read()


def connect(server, wait=20):
    host, port = server.host.split(":")
    return socket.create_connection((host, int(port)), timeout=wait)


def raw(server, data, wait=4):
    """Sends bytes, and returns the statuses of all answers and all that came until it was closed, or nothing came for so long."""
    data = data if isinstance(data, bytes) else data.encode("latin-1")
    out = b""
    with connect(server, wait) as stream:
        try:
            stream.sendall(data)
            while got := stream.recv(65536):
                out += got
        except (ConnectionError, TimeoutError):
            pass  # it was closed in the middle, or waits for the rest, as it may
    return [int(line[9:12]) for line in re.findall(rb"^HTTP/1\.[01] \d\d\d", out, re.M)], out


def request(server, target="/healthz", head="", method="GET", version="HTTP/1.1"):
    return f"{method} {target} {version}\r\nHost: {server.host}\r\n{head}Connection: close\r\n\r\n"


NAMES = {
    "another": ("Host: evil.example\r\n", 403),
    "a longer one": ("Host: localhost.evil.example\r\n", 403),
    "one that is bound anew": ("Host: 127.0.0.1.nip.io:8042\r\n", 403),
    "any address": ("Host: 0.0.0.0\r\n", 403),
    "another address": ("Host: 10.0.0.1\r\n", 403),
    "with a user": ("Host: evil@localhost\r\n", 403),
    "none": ("", 400),
    "two": ("Host: localhost\r\nHost: evil.example\r\n", 400),
    "an empty one": ("Host:\r\n", 400),
    "forwarded": ("Host: localhost\r\nX-Forwarded-Host: evil.example\r\n", 200),
    "a page elsewhere": ("Host: localhost\r\nOrigin: http://evil.example\r\n", 403),
    "a page of nobody": ("Host: localhost\r\nOrigin: null\r\n", 403),
    "a page on another port": ("Host: localhost\r\nOrigin: http://localhost:1\r\n", 403),
}


@pytest.mark.parametrize("name", NAMES)
def test_names(server, frame, name):
    head, expected = NAMES[name]
    statuses, out = raw(server, f"GET /dicom-web/studies HTTP/1.1\r\n{head}Connection: close\r\n\r\n")
    assert statuses == [expected]
    assert b"evil.example" not in out


PATHS = [
    "/../../../../etc/passwd", "/viewer/../../../../etc/passwd", "/viewer/%2e%2e/%2e%2e/etc/passwd", "/viewer/..%2f..%2f..%2fetc%2fpasswd",
    "/viewer/%252e%252e%252fetc%252fpasswd", "/viewer/..\\..\\etc\\passwd", "/viewer//etc/passwd", "/viewer/%00", "/index.html%00.png",
    "/%2e%2e/%2e%2e/index.sqlite", "/dicom-web/../index.sqlite", "FRAME/../../bulkdata/..%2f..%2f..%2findex.sqlite", "/dicom-web/studies/%zz",
    "/dicom-web/studies/%ff%fe", "/dicom-web/studies/1.2.3%0d%0aSet-Cookie:x=1", "/dicom-web//studies", "//evil.example/x",
]


@pytest.mark.parametrize("path", PATHS)
def test_paths(server, frame, path):
    statuses, out = raw(server, request(server, path.replace("FRAME", frame)))
    assert len(statuses) == 1 and statuses[0] in REFUSED, statuses
    assert b"root:" not in out and b"SQLite" not in out and b"\r\nSet-Cookie" not in out


@pytest.mark.parametrize("query", ["PatientName=%", "PatientName=%c0%af", "x%0d%0aSet-Cookie:%20a=b", "offset=9223372036854775807", "PatientName=" + "*a" * 2000, "StudyInstanceUID=" + ",".join(map(str, range(3000)))])
def test_queries(server, frame, query):
    statuses, out = raw(server, request(server, f"/dicom-web/studies?{query}"))
    assert len(statuses) == 1 and statuses[0] in REFUSED | {200, 204}, statuses
    assert b"\r\nSet-Cookie" not in out


@pytest.mark.parametrize("size", [15_000, 70_000])
def test_long_targets(server, size):
    statuses, _ = raw(server, request(server, "/dicom-web/studies?PatientID=" + "a" * size))
    assert statuses in ([200], [400], [414], [431], []), statuses


SECOND = "GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
FRAMING = {
    "two lengths": "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "a list of lengths": "Content-Length: 0, 5\r\n\r\n",
    "a length below zero": "Content-Length: -1\r\n\r\n",
    "a signed length": "Content-Length: +0\r\n\r\n",
    "a length beyond 64 bits": "Content-Length: 18446744073709551616\r\n\r\n",
    "an unknown coding": "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded line": "X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n",
    "a CR in a value": "X-A: b\rc\r\n\r\n",
    "a NUL in a value": "X-A: b\0c\r\n\r\n",
}


@pytest.mark.parametrize("name", FRAMING)
def test_framing(server, name):
    """Whatever is doubtful is refused, and what follows is no second request."""
    statuses, _ = raw(server, f"GET /healthz HTTP/1.1\r\nHost: localhost\r\n{FRAMING[name]}{SECOND}")
    assert len(statuses) <= 1 and set(statuses) <= REFUSED, statuses


def test_chunks_win_over_a_length_and_the_connection_ends(server):
    """RFC 9112 6.3: the length means nothing then, and what follows is not read."""
    head = f"Content-Length: {len(SECOND)}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    statuses, _ = raw(server, f"GET /healthz HTTP/1.1\r\nHost: localhost\r\n{head}{SECOND}")
    assert len(statuses) == 1, statuses


def test_a_body_is_no_request(server):
    statuses, out = raw(server, f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(SECOND)}\r\nConnection: close\r\n\r\n{SECOND}")
    assert len(statuses) == 1 and b"studies" not in out


def test_three_requests_have_three_answers(server):
    once = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert raw(server, once * 2 + request(server))[0] == [200] * 3


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PRI", "get", "FOO", "PUT", "PATCH", "DELETE"])
def test_methods(server, method):
    statuses, _ = raw(server, request(server, "/dicom-web/studies", "Content-Length: 0\r\n", method))
    assert len(statuses) <= 1 and set(statuses) <= REFUSED, statuses


@pytest.mark.parametrize("data", [b"GET /healthz\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200, b"\0" * 5000, b"\r\n" * 3000])
def test_what_is_no_http(server, data):
    statuses, _ = raw(server, data)
    assert set(statuses) <= REFUSED, statuses


@pytest.mark.parametrize("head", ["X-A: " + "a" * 140_000 + "\r\n", "X-A: " + "a" * 1_000_000 + "\r\n", "".join(f"X-{n}: a\r\n" for n in range(2000))], ids=["140 KB", "1 MB", "2,000"])
def test_heads(server, head):
    statuses, _ = raw(server, request(server, head=head))
    assert len(statuses) <= 1 and set(statuses) <= REFUSED, statuses


@pytest.mark.parametrize("ranges", [",".join(f"{n}-{n}" for n in range(10_000)), ",".join(["0-"] * 10_000)], ids=["single bytes", "all of it"])
def test_many_ranges(server, frame, ranges):
    """Many ranges are no many times the work: the whole once, or nothing."""
    statuses, out = raw(server, request(server, frame, f"Range: bytes={ranges}\r\n"))
    assert statuses and statuses[0] in {200, 416, 431} and len(out) < 100_000


def test_long_conditions_and_types(server, frame):
    for head in ("Accept: " + ",".join(["image/x;q=0.1"] * 3800), "If-None-Match: " + ",".join(['"x"'] * 15_000)):
        statuses, _ = raw(server, request(server, frame, head + "\r\n"))
        assert len(statuses) == 1 and statuses[0] in REFUSED | {200}, statuses


def crowd(server, count, text):
    """Connections that say this and no more."""
    opened = []
    for _ in range(count):
        try:
            stream = connect(server)
            stream.sendall(text)
            opened.append(stream)
        except OSError:
            pass  # closed at once, as it may be
    return opened


@pytest.mark.parametrize("text", [b"", b"GET /healthz HTTP/1.1\r\nX-A: a", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], ids=["silent", "half a head", "idle", "half of HTTP/2"])
def test_a_crowd_is_no_outage(server, frame, text):
    opened = crowd(server, 400, text)
    for path in ("/healthz", "/readyz", "/dicom-web/studies", frame):
        assert raw(server, request(server, path))[0] == [200], path
    for stream in opened:
        stream.close()


def test_it_lives(server, frame):
    assert get(server, "/healthz") == b"ok\n"
    figures = get(server, "/metrics").decode()
    assert float(re.search(r"^firstlight_connections_displaced_total (\d+)", figures, re.M).group(1)) > 0
    assert 'status="500"' not in figures
