"""Storing over HTTP: what is acknowledged is there byte for byte, whoever sends, however many, whatever happens."""
import concurrent.futures
import io
import json
import os
import random
import shutil
import socket
import subprocess
import time
from xml.etree import ElementTree

import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient

import power_cut
from common import make_image
from served import Served

KILLS = int(os.environ.get("FIRSTLIGHT_STORE_KILLS", 4))
BOUNDARY = "a-boundary-of-the-tests"
MULTIPART = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'}
STORED, FAILED, OTHER = "00081199", "00081198", "0008119A"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """UID -> bytes of 40 small images."""
    folder = tmp_path_factory.mktemp("images")
    paths = [make_image(folder / f"{n}.dcm", rows=40, columns=40 + n, seed=n) for n in range(40)]
    return {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): path.read_bytes() for path in paths}


@pytest.fixture
def server(tmp_path):
    server = Store(tmp_path)
    yield server
    server.stop()


class Store(Served):
    """A server that has nothing at first."""

    def __init__(self, folder, *flags):
        nothing = folder / "nothing"
        nothing.mkdir(exist_ok=True)
        super().__init__(folder, nothing, "--no-convert", *flags)


def body(files):
    for data in files:
        yield f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + data + b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()


def store(server, files, chunked=False, study=""):
    data = body(files) if chunked else b"".join(body(files))
    return requests.post(f"{server.dicomweb}/studies{study}", data=data, headers=MULTIPART, timeout=60)


def uids(reply, sequence=STORED):
    return [item["00081155"]["Value"][0] for item in reply.json().get(sequence, {"Value": []})["Value"]]


def retrieve(server, uid):
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    reply = requests.get(f"{server.dicomweb}/studies/2.25.1/series/2.25.2/instances/{uid}", headers=accept, timeout=60)
    return reply.content if reply.status_code == 200 else reply.status_code


def listed(server):
    found = requests.get(f"{server.dicomweb}/studies/2.25.1/series/2.25.2/instances?limit=1000", timeout=60)
    return sorted(row["00080018"]["Value"][0] for row in found.json())


@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_acknowledged_comes_back(server, images, chunked):
    reply = store(server, images.values(), chunked)
    assert reply.status_code == 200 and uids(reply) == list(images)
    assert all(retrieve(server, uid) == data for uid, data in images.items())
    assert listed(server) == sorted(images)


def test_a_dicomweb_client_stores(server, tmp_path):
    client = DICOMwebClient(server.dicomweb, chunk_size=5000)
    paths = [make_image(tmp_path / "sent" / f"{n}.dcm", seed=n, PatientName="Müller^Ödön", SpecificCharacterSet="ISO_IR 100") for n in range(5)]
    answer = client.store_instances([pydicom.dcmread(path) for path in paths], study_instance_uid="2.25.1")
    stored = [str(item.ReferencedSOPInstanceUID) for item in answer.ReferencedSOPSequence]
    assert stored == [str(pydicom.dcmread(path).SOPInstanceUID) for path in paths] and "FailedSOPSequence" not in answer
    assert answer.RetrieveURL == f"{server.dicomweb}/studies/2.25.1"
    for item, path in zip(answer.ReferencedSOPSequence, paths):
        got = client.retrieve_instance("2.25.1", "2.25.2", item.ReferencedSOPInstanceUID, media_types=(("application/dicom", "*"),))
        assert got == pydicom.dcmread(path)
        assert requests.get(item.RetrieveURL, headers={"Accept": "application/dicom"}, timeout=60).status_code == 200


@pytest.mark.skipif(not shutil.which("dcmdump"), reason="no DCMTK")
def test_dcmtk_reads_what_comes_back(server, images, tmp_path):
    store(server, images.values())
    for uid in list(images)[:3]:
        (tmp_path / "got.dcm").write_bytes(retrieve(server, uid))
        dumped = subprocess.run(["dcmdump", "-q", tmp_path / "got.dcm"], capture_output=True, text=True)
        assert dumped.returncode == 0 and f"[{uid}]" in dumped.stdout, dumped.stderr


@pytest.mark.parametrize("kind", ["json", "xml"])
def test_metadata_and_bulk_data_as_pydicom_writes_them(server, tmp_path, kind):
    """What goes in as DICOM JSON or XML comes back as the data set it was made of."""
    item = pydicom.Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.7"
    others = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Müller^Ödön=山田^太郎", "PixelSpacing": [0.1, 0.3333333], "ReferencedImageSequence": [item]}
    path = make_image(tmp_path / "sent.dcm", rows=30, columns=31, seed=5, FrameOfReferenceUID="2.25.8", SmallestImagePixelValue=0, **others)
    image = pydicom.dcmread(path)
    metadata = image.to_json_dict()
    pixels = bytes(image.PixelData)
    metadata["7FE00010"] = {"vr": "OW", "BulkDataURI": "pixels"}
    text = json.dumps([metadata]) if kind == "json" else native_model(metadata)
    body = f"--b\r\nContent-Type: application/dicom+{kind}\r\n\r\n{text}\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Location: pixels\r\n\r\n".encode() + pixels + b"\r\n--b--\r\n"
    reply = requests.post(f"{server.dicomweb}/studies/2.25.1", data=body, headers={"Content-Type": f'multipart/related; type="application/dicom+{kind}"; boundary=b'}, timeout=60)
    assert reply.status_code == 200, reply.text
    (tmp_path / "got.dcm").write_bytes(retrieve(server, image.SOPInstanceUID))
    got = pydicom.dcmread(tmp_path / "got.dcm")
    assert got == image and got.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    if shutil.which("dcmdump"):
        assert subprocess.run(["dcmdump", "-q", tmp_path / "got.dcm"], capture_output=True).returncode == 0


def native_model(attributes):
    """DICOM JSON as the Native DICOM Model."""
    root = ElementTree.Element("NativeDicomModel", xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM")

    def fill(parent, attributes):
        for tag, attribute in attributes.items():
            element = ElementTree.SubElement(parent, "DicomAttribute", tag=tag, vr=attribute["vr"])
            if "BulkDataURI" in attribute:
                ElementTree.SubElement(element, "BulkData", uri=attribute["BulkDataURI"])
            for number, value in enumerate(attribute.get("Value", []), 1):
                if attribute["vr"] == "SQ":
                    fill(ElementTree.SubElement(element, "Item", number=str(number)), value)
                elif attribute["vr"] == "PN":
                    name = ElementTree.SubElement(element, "PersonName", number=str(number))
                    for group, text in value.items():
                        components = ElementTree.SubElement(name, group)
                        for component, part in zip(("FamilyName", "GivenName"), text.split("^")):
                            ElementTree.SubElement(components, component).text = part
                elif value is not None:
                    ElementTree.SubElement(element, "Value", number=str(number)).text = str(value)

    fill(root, attributes)
    return ElementTree.tostring(root, encoding="unicode")


@pytest.mark.parametrize("writers", [4, 64])
def test_many_writers_lose_nothing_and_double_nothing(server, images, writers):
    common = list(images)[0]
    portions = [[images[common], *list(images.values())[n % 4 :: 4]] for n in range(writers)]
    with concurrent.futures.ThreadPoolExecutor(writers) as pool:
        replies = list(pool.map(lambda files: store(server, files), portions))
    assert [reply.status_code for reply in replies] == [200] * writers
    assert listed(server) == sorted(images)
    assert all(retrieve(server, uid) == data for uid, data in images.items())
    status = requests.get(f"{server.root}/status.json", timeout=60).json()
    assert (status["instances"], status["conflicts"]) == (len(images), 0)


def test_other_bytes_under_the_same_uids_lose_neither(server, images, tmp_path):
    uid, first = next(iter(images.items()))
    other = make_image(tmp_path / "other.dcm", rows=8, columns=8, SOPInstanceUID=uid).read_bytes()
    assert store(server, [first]).status_code == 200
    reply = store(server, [other])
    assert (reply.status_code, uids(reply, FAILED)) == (409, [uid])
    assert reply.json()[FAILED]["Value"][0]["00081197"]["Value"] == [0x0111]
    assert retrieve(server, uid) == first
    kept = [path.read_bytes() for path in (tmp_path / "data" / "objects").rglob("*") if path.is_file()]
    assert first in kept and other in kept


def test_kill_9_while_storing(tmp_path, images):
    """After each kill every acknowledged object is there, and what is there is whole."""
    random.seed(13)
    acknowledged = set()
    for kill in range(KILLS):
        server = Store(tmp_path)
        deadline = time.monotonic() + random.uniform(0.05, 0.6)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            def send(n):
                while server.process.poll() is None:
                    files = dict(random.sample(sorted(images.items()), 5))
                    try:
                        reply = store(server, files.values())
                    except requests.RequestException:
                        return set()
                    assert reply.status_code == 200
                    acknowledged.update(uids(reply))
                return set()
            senders = [pool.submit(send, n) for n in range(4)]
            time.sleep(max(0, deadline - time.monotonic()))
            server.process.kill()
            server.process.wait()
            for sender in senders:
                sender.result()
        again = Store(tmp_path)
        found = listed(again) if acknowledged else []
        assert acknowledged <= set(found), f"kill {kill}: acknowledged and lost"
        assert all(retrieve(again, uid) == images[uid] for uid in found)
        again.stop()
    assert acknowledged, "no kill was late enough to have something to lose"


def test_a_client_that_goes_leaves_nothing_half(server, images, tmp_path):
    whole = b"".join(body(list(images.values())[:4]))
    head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: {MULTIPART['Content-Type']}\r\nContent-Length: {len(whole)}\r\n\r\n"
    for cut in (0, 100, len(whole) // 3, len(whole) - 100):
        with socket.create_connection(server.host.split(":")) as connection:
            connection.sendall(head.encode() + whole[:cut])
    assert store(server, list(images.values())[:4]).status_code == 200
    for uid in listed(server):
        assert retrieve(server, uid) == images[uid]
    for _ in range(100):
        left = [path for path in (tmp_path / "data" / "spool").rglob("*") if path.is_file() and path.name not in ("lock", "place")]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"left in the spool: {left}")


def test_a_full_disk_is_told_and_loses_nothing(small_disk, tmp_path, images):
    subprocess.run(["mount", "-o", "remount,size=1500k", small_disk], check=True)
    server = Store(small_disk)
    try:
        (small_disk / "ballast").write_bytes(b"\0" * 300_000)
        large = make_image(tmp_path / "large.dcm", rows=1000, columns=1000, seed=99).read_bytes()
        first = list(images.values())[0]
        assert store(server, [first]).status_code == 200
        announced = store(server, [large])
        assert announced.status_code == 413, "a body that is announced and does not fit"
        reply = store(server, [large], chunked=True)
        assert reply.status_code == 507
        assert [item["00081197"]["Value"] for item in reply.json()[OTHER]["Value"]] == [[0xA700]]
        mixed = store(server, [large, list(images.values())[1]], chunked=True)
        assert (mixed.status_code, uids(mixed)) == (202, [list(images)[1]])
        subprocess.run(["mount", "-o", "remount,size=20m", small_disk], check=True)
        assert store(server, [large], chunked=True).status_code == 200
        stored = listed(server)
        assert len(stored) == 3 and retrieve(server, next(iter(images))) == first
    finally:
        server.stop()


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace")
def test_the_storage_is_waited_for_before_the_answer(tmp_path, images):
    server = Store(tmp_path)
    log = tmp_path / "calls"
    names = "fsync,fdatasync,renameat,rename,renameat2,sendto,write,writev,sendmsg"
    tracer = subprocess.Popen(["strace", "-f", "-q", "-s", "40", "-e", f"trace={names}", "-o", log, "-p", str(server.process.pid)], stderr=subprocess.PIPE)
    try:
        time.sleep(1)
        if tracer.poll() is not None:
            pytest.skip(f"cannot trace: {tracer.stderr.read().decode().strip()}")
        assert store(server, list(images.values())[:1]).status_code == 200
    finally:
        server.stop()
        tracer.wait(timeout=60)
    calls = log.read_text().splitlines()
    answer = next(n for n, call in enumerate(calls) if "HTTP/1.1 200" in call)
    renamed = next(n for n, call in enumerate(calls) if " rename" in call)
    syncs = [n for n, call in enumerate(calls[:answer]) if "fsync(" in call or "fdatasync(" in call]
    assert any(n < renamed for n in syncs), "the bytes before their name"
    assert sum(n > renamed for n in syncs) >= 2, "the name and the index before the answer"


def test_who_may_store(tmp_path, images):
    first = list(images.values())[:1]
    server = Store(tmp_path, "--read-only")
    try:
        reply = store(server, first)
        assert (reply.status_code, reply.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    finally:
        server.stop()


def test_what_is_stored_is_converted(tmp_path, images):
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    server = Served(tmp_path, nothing)
    try:
        assert store(server, list(images.values())[:3]).status_code == 200
        for _ in range(300):
            status = requests.get(f"{server.root}/status.json", timeout=60).json()
            if status["converted"] == 3:
                break
            time.sleep(0.1)
        assert (status["instances"], status["converted"], status["failed"]) == (3, 3, 0)
        uid = next(iter(images))
        accept = {"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}
        got = requests.get(f"{server.dicomweb}/studies/2.25.1/series/2.25.2/instances/{uid}", headers=accept, timeout=60)
        assert pydicom.dcmread(io.BytesIO(got.content)).PixelData == pydicom.dcmread(io.BytesIO(images[uid])).PixelData
    finally:
        server.stop()


@pytest.mark.parametrize("forget", [None, "files"])
def test_power_cuts_lose_nothing_that_was_acknowledged(tmp_path, images, monkeypatch, forget):
    """With all that was not synced lost. Were the program to forget its syncs, these cuts would find it."""
    library = power_cut.build(tmp_path)
    log = tmp_path / "log"
    data = tmp_path / "data"
    with monkeypatch.context() as patch:
        for name, value in power_cut.environment(library, data, log, forget).items():
            patch.setenv(name, value)
        server = Store(tmp_path)
    acknowledged = []
    names = list(images)
    for n in range(0, 12, 3):
        reply = store(server, [images[uid] for uid in names[n : n + 3]])
        acknowledged.append((log.stat().st_size, uids(reply)))
    server.process.kill()
    server.process.wait()
    lost = []
    for size, _ in acknowledged:
        (tmp_path / "so-far").write_bytes(log.read_bytes()[:size])
        disk = power_cut.Disk(data)
        for step in power_cut.read(tmp_path / "so-far"):
            disk.play(step)
        disk.cut(data, False, False, lambda: False)
        again = Store(tmp_path)
        lost += [uid for moment, uids in acknowledged if moment <= size for uid in uids if retrieve(again, uid) != images[uid]]
        again.process.kill()
        again.process.wait()
    assert bool(lost) == bool(forget), lost
