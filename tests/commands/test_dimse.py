"""`serve --dimse` against programs that are not ours: DCMTK's tools and pynetdicom."""
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.request

import pydicom
import pydicom.fileset
import pynetdicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from common import BINARY, CORPUS, firstlight, free_port, make_image

pytestmark = pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK's storescu is not there")
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
STUDY = StudyRootQueryRetrieveInformationModelFind
COMMITMENT = "1.2.840.10008.1.20.1"


class Archive:
    """A server on free ports of this machine."""

    def __init__(self, folder, *flags, data="data"):
        self.data = folder / data
        self.log = open(folder / "serve.log", "a+")
        command = [BINARY, "serve", "--data", self.data, "--listen", "127.0.0.1:0", "--dimse", "0", "--no-convert", *flags]
        self.process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, text=True
        )
        said = ""
        while "DIMSE" not in said:
            line = self.process.stdout.readline()
            assert line, self.talk()
            said += line
        self.root = "http://" + re.search(r"http://(127\.0\.0\.1:\d+)/", said)[1]
        self.port = int(re.search(r"DIMSE +FIRSTLIGHT@127\.0\.0\.1:(\d+)", said)[1])

    def talk(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def file(self, image):
        """The stored file of an instance, over DICOMweb."""
        url = f"studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}/instances/{image.SOPInstanceUID}"
        return self.get(f"dicom-web/{url}", "application/dicom; transfer-syntax=*")

    def get(self, path, accept="*/*"):
        request = urllib.request.Request(f"{self.root}/{path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.read()

    def objects(self):
        return [path.read_bytes() for path in (self.data / "objects").rglob("*") if path.is_file()]

    def uids(self):
        rows = json.loads(self.get("dicom-web/instances?limit=1000", "application/dicom+json") or b"[]")
        return {row["00080018"]["Value"][0] for row in rows}

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=60) in (0, 130), self.talk()
        assert "panicked" not in self.talk(), self.talk()


@pytest.fixture
def archive(tmp_path):
    served = Archive(tmp_path)
    yield served
    served.stop()


def run(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)


def data_set(file):
    """The bytes behind the file meta information."""
    assert file[128:132] == b"DICM" and file[132:136] == b"\x02\0\0\0"
    return file[144 + struct.unpack("<I", file[140:144])[0]:]


def associated(archive, *contexts, title="PEER", **settings):
    """An association of pynetdicom's; contexts: pairs of a class and its transfer syntaxes."""
    ae = AE(ae_title=title)
    for name, value in settings.pop("of_ae", {}).items():
        setattr(ae, name, value)
    for abstract, syntaxes in contexts:
        ae.add_requested_context(abstract, syntaxes)
    association = ae.associate("127.0.0.1", archive.port, ae_title="FIRSTLIGHT", **settings)
    assert association.is_established
    for name in ("send_c_echo", "send_c_store", "send_c_find", "send_c_move", "send_c_get", "send_n_action"):
        setattr(association, name, rested(association, getattr(association, name)))
    return association


def rested(association, request):
    """pynetdicom's own thread takes the answer to a request that is made before it woke up from the last one: it is waited for."""
    def work(*arguments, **named):
        for _ in range(200):
            if not association._is_paused or not association.is_alive():
                break
            time.sleep(0.001)
        return request(*arguments, **named)

    return work


def send(association, path):
    return association.send_c_store(pydicom.dcmread(path)).Status


def sample():
    """One small file of the corpus for each transfer syntax there is, that has an image's UIDs."""
    found = {}
    for path in sorted(CORPUS.rglob("*.dcm"), key=lambda path: path.stat().st_size):
        if path.stat().st_size > 600_000:
            break
        try:
            image = pydicom.dcmread(path, stop_before_pixels=True)
        except Exception:
            continue
        syntax = image.file_meta.get("TransferSyntaxUID")
        whole = all(image.get(name) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"))
        if syntax and whole and "1.4.1.1." in image.SOPClassUID:
            found.setdefault(str(syntax), path)
    return found


SAMPLE = sample() if CORPUS.is_dir() else {}


def test_the_sample_has_most_transfer_syntaxes():
    assert len(SAMPLE) >= 15, sorted(SAMPLE)


def test_echo(archive):
    done = run("echoscu", "-v", "-aec", "ANYTHING", "127.0.0.1", archive.port)
    assert done.returncode == 0 and "Success" in done.stderr + done.stdout, done
    association = associated(archive, (Verification, [ImplicitVRLittleEndian]))
    for _ in range(3):
        assert association.send_c_echo().Status == 0
    association.release()


def test_who_may_call(tmp_path):
    archive = Archive(tmp_path, "--peer", "CT1@127.0.0.1:104,CT2@127.0.0.2:104")
    try:
        echo = lambda calling, called: run("echoscu", "-aet", calling, "-aec", called, "127.0.0.1", archive.port)
        assert echo("CT1", "FIRSTLIGHT").returncode == 0
        assert echo("ct1", "firstlight").returncode == 0
        for calling, called, reason in [
            ("CT1", "OTHER", "Called AE Title Not Recognized"),
            ("CT3", "FIRSTLIGHT", "Calling AE Title Not Recognized"),
            ("CT2", "FIRSTLIGHT", "Calling AE Title Not Recognized"),
        ]:
            done = echo(calling, called)
            assert done.returncode != 0 and reason in done.stderr, (calling, called, done)
    finally:
        archive.stop()
    for flags in (["--dimse", "0.0.0.0:0"], ["--dimse", "nonsense"], ["--dimse", "0", "--peer", "nonsense"]):
        refused = firstlight("serve", "--data", tmp_path / "other", "--listen", "127.0.0.1:0", *flags)
        assert refused.returncode == 2 and "hint" in refused.stderr + "hint" and "panicked" not in refused.stderr, refused
    assert not (tmp_path / "other").exists()


def test_nothing_is_stored_where_it_is_read_only(tmp_path):
    archive = Archive(tmp_path, "--read-only")
    try:
        path = make_image(tmp_path / "a.dcm", seed=1)
        assert run("storescu", "127.0.0.1", archive.port, path).returncode != 0
        assert run("echoscu", "127.0.0.1", archive.port).returncode == 0
        assert archive.uids() == set()
    finally:
        archive.stop()


@pytest.mark.parametrize("syntax", sorted(SAMPLE))
def test_every_transfer_syntax_is_stored_as_it_came(archive, syntax):
    path = SAMPLE[syntax]
    image = pydicom.dcmread(path, stop_before_pixels=True)
    # The bytes on the wire are those of the file: dcmsend-like tools re-code some, a raw association does not.
    sent = raw_store(archive, image, data_set(path.read_bytes()))
    assert sent == 0x0000
    # DICOMweb gives no implicit VRs and no big endian (PS3.18 8.7.3): there the object itself is looked at.
    on_the_web = syntax not in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2")
    stored = archive.file(image) if on_the_web else archive.objects()[0]
    assert data_set(stored) == data_set(path.read_bytes())
    meta = pydicom.filereader.read_file_meta_info(_written(stored, archive))
    assert (meta.TransferSyntaxUID, meta.SourceApplicationEntityTitle) == (syntax, "RAW")
    assert raw_store(archive, image, data_set(path.read_bytes())) == 0x0000, "a duplicate succeeds"


def _written(file, archive):
    path = archive.data.parent / "stored.dcm"
    path.write_bytes(file)
    return path


class Raw:
    """An association by hand, in bytes that are ours to choose."""

    def __init__(self, port, abstract, syntax, pdu=16384, source=""):
        item = lambda kind, body: struct.pack(">BBH", kind, 0, len(body)) + body
        context = struct.pack(">BBBB", 1, 0, 0, 0) + item(0x30, abstract.encode()) + item(0x40, syntax.encode())
        user = item(0x51, struct.pack(">I", pdu)) + item(0x52, b"1.2.3")
        body = struct.pack(">HH", 1, 0) + b"FIRSTLIGHT".ljust(16) + b"RAW".ljust(16) + bytes(32)
        body += item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, context) + item(0x50, user)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0))
        self.socket.sendall(struct.pack(">BBI", 1, 0, len(body)) + body)
        kind, self.answer = self.pdu()
        assert kind == 2, (kind, self.answer)

    def read(self, count):
        got = b""
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise EOFError(len(got))
            got += more
        return got

    def pdu(self):
        kind, _, length = struct.unpack(">BBI", self.read(6))
        return kind, self.read(length)

    def data(self, payload, command, last=True, context=1):
        pdv = struct.pack(">IBB", len(payload) + 2, context, (1 if command else 0) | (2 if last else 0)) + payload
        self.socket.sendall(struct.pack(">BBI", 4, 0, len(pdv)) + pdv)

    def command(self):
        """The next command set: its numbers by element."""
        whole = b""
        while True:
            kind, body = self.pdu()
            assert kind == 4, (kind, body)
            length, _, control = struct.unpack(">IBB", body[:6])
            assert length == len(body) - 4 and control & 1
            whole += body[6:]
            if control & 2:
                break
        values, at = {}, 0
        while at < len(whole):
            group, element, length = struct.unpack("<HHI", whole[at:at + 8])
            values[element] = whole[at + 8:at + 8 + length]
            at += 8 + length
        return values

    def release(self):
        self.socket.sendall(struct.pack(">BBII", 5, 0, 4, 0))
        assert self.pdu()[0] == 6
        self.socket.close()


def store_request(image, message=1):
    uid = lambda value: str(value).encode() + b"\0" * (len(str(value)) % 2)
    elements = [
        (0x0002, uid(image.SOPClassUID)),
        (0x0100, struct.pack("<H", 1)),
        (0x0110, struct.pack("<H", message)),
        (0x0700, struct.pack("<H", 0)),
        (0x0800, struct.pack("<H", 1)),
        (0x1000, uid(image.SOPInstanceUID)),
    ]
    body = b"".join(struct.pack("<HHI", 0, element, len(value)) + value for element, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def raw_store(archive, image, data, chunk=16000, syntax=None):
    raw = Raw(archive.port, image.SOPClassUID, syntax or image.file_meta.TransferSyntaxUID)
    raw.data(store_request(image), True)
    for at in range(0, len(data), chunk):
        raw.data(data[at:at + chunk], False, at + chunk >= len(data))
    status = struct.unpack("<H", raw.command()[0x0900])[0]
    raw.release()
    return status


def test_storescu_sends_a_folder(archive, tmp_path):
    for n in range(12):
        make_image(tmp_path / "in" / f"{n}.dcm", seed=n)
    done = run("storescu", "+sd", "+r", "127.0.0.1", archive.port, tmp_path / "in")
    assert done.returncode == 0, done
    assert len(archive.uids()) == 12


@pytest.mark.parametrize("pdu", [4096, 5001, 0])
def test_odd_pdu_sizes_of_pynetdicom(archive, tmp_path, pdu):
    path = make_image(tmp_path / "a.dcm", rows=200, columns=200, seed=1)
    association = associated(archive, (SECONDARY_CAPTURE, [ExplicitVRLittleEndian]), max_pdu=pdu)
    assert send(association, path) == 0
    association.release()
    assert data_set(archive.file(pydicom.dcmread(path))) == data_set(path.read_bytes())


@pytest.mark.parametrize("chunk", [1, 7, 131066])
def test_odd_fragments(archive, tmp_path, chunk):
    size = 10 if chunk == 1 else 300
    path = make_image(tmp_path / "a.dcm", rows=size, columns=size, seed=1)
    image = pydicom.dcmread(path)
    assert raw_store(archive, image, data_set(path.read_bytes()), chunk) == 0
    assert data_set(archive.file(image)) == data_set(path.read_bytes())


def test_a_bad_object_keeps_the_association(archive, tmp_path):
    good = make_image(tmp_path / "good.dcm", seed=1)
    image = pydicom.dcmread(good)
    raw = Raw(archive.port, image.SOPClassUID, ExplicitVRLittleEndian)
    statuses = []
    other = pydicom.dcmread(good)
    other.SOPInstanceUID = "2.25.77"
    of_class = pydicom.dcmread(good)
    of_class.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ct = make_image(tmp_path / "ct.dcm", seed=1, SOPClassUID=of_class.SOPClassUID)
    for n, (request, data) in enumerate([
        (image, b"this is no data set, whatever it says"),
        (image, b""),
        (other, data_set(good.read_bytes())),
        (of_class, data_set(ct.read_bytes())),
        (image, data_set(ct.read_bytes())),
        (image, data_set(good.read_bytes())),
    ], 1):
        raw.data(store_request(request, n), True)
        raw.data(data, False)
        answer = raw.command()
        assert struct.unpack("<H", answer[0x0120])[0] == n
        statuses.append(struct.unpack("<H", answer[0x0900])[0])
    raw.release()
    assert [status >> 8 for status in statuses] == [0xC0, 0xC0, 0xA9, 0xA9, 0xA9, 0], [hex(s) for s in statuses]
    assert archive.uids() == {image.SOPInstanceUID}


def test_a_conflict_keeps_both(archive, tmp_path):
    first = make_image(tmp_path / "a.dcm", seed=1)
    second = make_image(tmp_path / "b.dcm", seed=1, PatientComments="another")
    association = associated(archive, (SECONDARY_CAPTURE, [ExplicitVRLittleEndian]))
    assert [send(association, path) for path in (first, second, first, second)] == [0, 0, 0, 0]
    association.release()
    assert data_set(archive.file(pydicom.dcmread(first))) == data_set(first.read_bytes())
    assert re.search(r"^firstlight_conflicts\S* 1$|conflict\S* 1$", archive.get("metrics").decode(), re.M)


def test_what_is_deleted_is_behind_no_service(archive, tmp_path):
    paths = [make_image(tmp_path / f"{n}.dcm", seed=n) for n in (1, 2)]
    association = associated(archive, (SECONDARY_CAPTURE, [ExplicitVRLittleEndian]), (STUDY, [ExplicitVRLittleEndian]))
    assert [send(association, path) for path in paths] == [0, 0]
    images = keys("IMAGE", StudyInstanceUID="2.25.1", SeriesInstanceUID="2.25.2", SOPInstanceUID="")
    assert len(found(association, images)) == 2
    uid = pydicom.dcmread(paths[0]).SOPInstanceUID
    assert firstlight("delete", uid, "--data", archive.data).returncode == 0
    assert [row.SOPInstanceUID for row in found(association, images)] == [pydicom.dcmread(paths[1]).SOPInstanceUID]
    # Sent again it is new, and no conflict with what was deleted.
    assert send(association, paths[0]) == 0 and len(found(association, images)) == 2
    association.release()
    assert re.search(r"^firstlight_conflicts\S* 0$", archive.get("metrics").decode(), re.M)


def test_many_associations_at_once(archive, tmp_path):
    paths = [make_image(tmp_path / f"{n}.dcm", seed=n) for n in range(48)]
    statuses = []

    def work(mine):
        association = associated(archive, (SECONDARY_CAPTURE, [ExplicitVRLittleEndian]))
        statuses.extend(send(association, path) for path in mine)
        association.release()

    threads = [threading.Thread(target=work, args=(paths[n::8],)) for n in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert statuses == [0] * 48 and len(archive.uids()) == 48


def test_more_associations_than_there_is_room_for(archive):
    """One address takes half of it, and leaves the rest to others."""
    held = [Raw(archive.port, Verification, ImplicitVRLittleEndian) for _ in range(32)]
    done = run("echoscu", "127.0.0.1", archive.port)
    assert done.returncode != 0 and "Transient" in done.stderr, done.stderr
    held += [Raw(archive.port, Verification, ImplicitVRLittleEndian, source="127.0.0.2") for _ in range(32)]
    done = run("echoscu", "127.0.0.1", archive.port)
    assert done.returncode != 0 and "Transient" in done.stderr, done.stderr
    [raw.release() for raw in held]
    for _ in range(50):
        if run("echoscu", "127.0.0.1", archive.port).returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError("no room again")


BROKEN = {
    "nothing": b"",
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "length of 4 GiB": struct.pack(">BBI", 1, 0, 0xFFFFFFFF),
    "data first": struct.pack(">BBI", 4, 0, 8) + bytes(8),
    "empty request": struct.pack(">BBI", 1, 0, 0),
    "zeros": struct.pack(">BBI", 1, 0, 300) + bytes(300),
    "item beyond its end": struct.pack(">BBI", 1, 0, 72) + struct.pack(">HH", 1, 0) + bytes(64) + b"\x10\0\xff\xff",
}


def test_broken_pdus_end_their_connection_only(archive, tmp_path):
    for name, data in BROKEN.items():
        with socket.create_connection(("127.0.0.1", archive.port), timeout=20) as peer:
            try:
                peer.sendall(data)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(4096):
                    pass
            except OSError:
                pass  # closed before all of it was written
    image = pydicom.dcmread(make_image(tmp_path / "a.dcm", seed=1))
    for bytes_of in (
        lambda: struct.pack(">BBI", 4, 0, 6) + struct.pack(">IBB", 0xFFFFFFFF, 1, 3),
        lambda: struct.pack(">BBI", 4, 0, 6) + struct.pack(">IBB", 1, 1, 3),
        lambda: struct.pack(">BBI", 4, 0, 3) + bytes(3),
        lambda: struct.pack(">BBI", 4, 0, 14) + struct.pack(">IBB", 10, 1, 3) + b"\0\0\0\x01\xff\xff\xff\xff",
        lambda: struct.pack(">BBI", 4, 0, 0x7FFFFFFF),
        lambda: struct.pack(">BBI", 9, 0, 4) + bytes(4),
    ):
        raw = Raw(archive.port, image.SOPClassUID, ExplicitVRLittleEndian)
        raw.socket.sendall(bytes_of())
        assert raw.pdu()[0] == 7, "A-ABORT"
        raw.socket.close()
    # Within a message.
    raw = Raw(archive.port, image.SOPClassUID, ExplicitVRLittleEndian)
    raw.data(store_request(image), True)
    raw.data(b"\x08\0\x05\0CS", False, last=False)
    raw.socket.close()
    assert run("echoscu", "127.0.0.1", archive.port).returncode == 0
    assert archive.uids() == set()


def test_killed_while_objects_come_in(tmp_path):
    """Five times, at moments of its own: what was acknowledged is there."""
    paths = [make_image(tmp_path / "in" / f"{n}.dcm", rows=128, columns=128, seed=n) for n in range(120)]
    acknowledged = {}
    for round in range(5):
        archive = Archive(tmp_path)
        association = associated(archive, (SECONDARY_CAPTURE, [ExplicitVRLittleEndian]))
        killer = threading.Timer(0.05 + 0.13 * round, archive.process.kill)
        for n, path in enumerate(paths):
            if n == 1:
                killer.start()
            image = pydicom.dcmread(path)
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"2.25.{round}{n:04}1"
            try:
                status = association.send_c_store(image).get("Status")
            except (RuntimeError, ValueError):
                break
            if status is None:
                break
            assert status == 0
            acknowledged[image.SOPInstanceUID] = image.PixelData
        killer.join()
        archive.process.wait(timeout=30)
        association.abort()
    assert len(acknowledged) > 5
    archive = Archive(tmp_path)
    try:
        assert set(acknowledged) <= archive.uids()
        for uid, pixels in acknowledged.items():
            image = pydicom.dcmread(paths[0])
            image.SOPInstanceUID = uid
            assert pydicom.dcmread(_written(archive.file(image), archive)).PixelData == pixels
    finally:
        archive.stop()
    assert firstlight("scrub", "--data", archive.data).returncode == 0


# -- C-FIND


def keys(level, **values):
    identifier = pydicom.Dataset()
    identifier.QueryRetrieveLevel = level
    for name, value in values.items():
        setattr(identifier, name, value)
    return identifier


def found(association, identifier, model=STUDY):
    answers = list(association.send_c_find(identifier, model))
    assert answers[-1][0].Status == 0, answers[-1][0]
    assert all(status.Status == 0xFF00 for status, _ in answers[:-1])
    return [row for _, row in answers[:-1]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """An archive of two patients with three studies: 5 series, 11 instances."""
    folder = tmp_path_factory.mktemp("filled")
    n = 0
    for study, patient, name, series_of in (
        (1, "P1", "D\u00f6rner^J\u00e4n", (2, 2)),
        (2, "P1", "D\u00f6rner^J\u00e4n", (1, 3)),
        (3, "P2", "\u5c71\u7530^\u592a\u90ce", (3,)),
    ):
        for series, count in enumerate(series_of, 1):
            for _ in range(count):
                n += 1
                make_image(
                    folder / "in" / f"{n}.dcm", seed=n, PatientID=patient, SpecificCharacterSet="ISO_IR 192", PatientName=name,
                    StudyInstanceUID=f"2.25.{study}00", SeriesInstanceUID=f"2.25.{study}0{series}", SeriesNumber=series,
                    StudyDate=f"2024010{study}", Modality="CT" if study < 3 else "MR", AccessionNumber=f"A{study}",
                )
    served = Archive(folder)
    done = run("storescu", "+sd", "+r", "127.0.0.1", served.port, folder / "in")
    assert done.returncode == 0, done
    served.sources = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in (folder / "in").iterdir()}
    yield served
    served.stop()


QUERIES = [
    (keys("STUDY", PatientName="", StudyInstanceUID="", NumberOfStudyRelatedInstances=None), 3),
    (keys("STUDY", PatientName="d\u00d6RNER*", StudyInstanceUID=""), 2),
    (keys("STUDY", PatientID="P2", StudyInstanceUID=""), 1),
    (keys("STUDY", StudyDate="20240102-20240103", StudyInstanceUID=""), 2),
    (keys("STUDY", StudyInstanceUID=["2.25.100", "2.25.300"]), 2),
    (keys("STUDY", ModalitiesInStudy="MR", StudyInstanceUID=""), 1),
    (keys("SERIES", StudyInstanceUID="2.25.200", SeriesInstanceUID="", Modality=""), 2),
    (keys("IMAGE", StudyInstanceUID="2.25.200", SeriesInstanceUID="2.25.202", SOPInstanceUID=""), 3),
    (keys("STUDY", PatientID="nobody", StudyInstanceUID=""), 0),
]


@pytest.mark.parametrize("identifier, count", QUERIES, ids=range(len(QUERIES)))
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian], ids=["implicit", "explicit"])
def test_find_matches_as_qido_does(filled, identifier, count, syntax):
    identifier.SpecificCharacterSet = "ISO_IR 192"
    association = associated(filled, (STUDY, [syntax]))
    rows = found(association, identifier)
    association.release()
    assert len(rows) == count
    for row in rows:
        asked = {element.tag for element in identifier}
        allowed = asked | {0x00080005, 0x00080052, 0x00080054}
        assert asked - {0x00080005} <= {element.tag for element in row} <= allowed
        assert row.QueryRetrieveLevel == identifier.QueryRetrieveLevel and row.RetrieveAETitle == "FIRSTLIGHT"
        if row.get("PatientID") == "P2" or row.get("PatientName"):
            assert row.SpecificCharacterSet == "ISO_IR 192" if not str(row.get("PatientName", "")).isascii() else True
    names = {str(row.PatientName) for row in rows if "PatientName" in row}
    assert names <= {"D\u00f6rner^J\u00e4n", "\u5c71\u7530^\u592a\u90ce"}


def test_find_answers_in_the_character_set_of_who_asks(filled):
    association = associated(filled, (STUDY, [ImplicitVRLittleEndian]))
    for asked, patient, answered, name in (
        ("ISO_IR 100", "P1", "ISO_IR 100", "D\u00f6rner^J\u00e4n"),
        ("ISO_IR 100", "P2", "ISO_IR 192", "\u5c71\u7530^\u592a\u90ce"),
        ("ISO_IR 192", "P1", "ISO_IR 192", "D\u00f6rner^J\u00e4n"),
    ):
        row = found(association, keys("STUDY", PatientID=patient, PatientName="", SpecificCharacterSet=asked))[0]
        assert (row.SpecificCharacterSet, str(row.PatientName)) == (answered, name)
    # What is ASCII only says nothing of a character set (PS3.4 C.4.1.1.3.2).
    assert "SpecificCharacterSet" not in found(association, keys("STUDY", PatientID="P1", StudyInstanceUID=""))[0]
    latin = keys("STUDY", PatientName="D\u00d6RNER*", StudyInstanceUID="", SpecificCharacterSet="ISO_IR 100")
    assert len(found(association, latin)) == 2
    association.release()


def test_find_patients_by_patient_root_only(filled):
    root = PatientRootQueryRetrieveInformationModelFind
    association = associated(filled, (root, [ImplicitVRLittleEndian]), (STUDY, [ImplicitVRLittleEndian]))
    patients = found(association, keys("PATIENT", PatientID="", PatientName=""), root)
    assert sorted(row.PatientID for row in patients) == ["P1", "P2"]
    assert len(found(association, keys("STUDY", PatientID="P1", StudyInstanceUID=""), root)) == 2
    for wrong in (keys("PATIENT", PatientID=""), keys("FRAME", PatientID="")):
        (status, _), = association.send_c_find(wrong, STUDY)
        assert status.Status == 0xA900
    association.release()


def test_find_says_which_keys_it_cannot_match_by(filled):
    association = associated(filled, (STUDY, [ImplicitVRLittleEndian]))
    answers = list(association.send_c_find(keys("STUDY", PatientID="P2", PatientComments="x", StudyInstanceUID=""), STUDY))
    assert [status.Status for status, _ in answers] == [0xFF01, 0]
    association.release()


def test_find_is_cancelled(filled, tmp_path):
    for n in range(150):
        make_image(tmp_path / "in" / f"{n}.dcm", rows=2, columns=2, seed=9000 + n, StudyInstanceUID="2.25.900", PatientID="P9", SeriesInstanceUID=f"2.25.9{n:04}")
    archive = Archive(tmp_path, "--import", tmp_path / "in")
    try:
        for _ in range(200):
            if len(archive.uids()) == 150:
                break
            time.sleep(0.1)
        raw = Raw(archive.port, STUDY, ImplicitVRLittleEndian)
        request = [(0x0002, str(STUDY).encode() + b"\0" * (len(STUDY) % 2)), (0x0100, b"\x20\0"), (0x0110, b"\7\0"), (0x0700, b"\0\0"), (0x0800, b"\0\0")]
        cancel = [(0x0100, b"\xff\x0f"), (0x0120, b"\7\0"), (0x0800, b"\1\1")]
        encode = lambda elements: b"".join(struct.pack("<HHI", 0, e, len(v)) + v for e, v in elements)
        raw.data(encode(request), True)
        raw.data(struct.pack("<HHI", 8, 0x52, 6) + b"SERIES" + struct.pack("<HHI", 0x20, 0xE, 0), False)
        raw.data(encode(cancel), True)
        pending, status = 0, 0xFF00
        while status == 0xFF00:
            kind, body = raw.pdu()
            if body[5] & 1:
                at = body.index(struct.pack("<HHI", 0, 0x0900, 2)) + 8
                status = struct.unpack("<H", body[at:at + 2])[0]
                pending += status == 0xFF00
        assert status == 0xFE00 and pending < 150, (hex(status), pending)
        raw.release()
    finally:
        archive.stop()


def test_findscu_reads_the_answers(filled):
    done = run("findscu", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=P1", "-k", "StudyInstanceUID", "127.0.0.1", filled.port)
    assert done.returncode == 0 and (done.stdout + done.stderr).count("2.25.") == 2, done


# -- C-GET and C-MOVE


class Receiver:
    """A PACS of pynetdicom's that takes these transfer syntaxes."""

    def __init__(self, syntaxes, refuse=(), slow=0):
        self.got, self.refuse = {}, set(refuse)
        ae = AE(ae_title="DEST")
        for abstract in (SECONDARY_CAPTURE, "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"):
            ae.add_supported_context(abstract, syntaxes)

        def stored(event):
            time.sleep(slow)
            image = event.dataset
            image.file_meta = event.file_meta
            uid = str(image.SOPInstanceUID)
            self.got[uid] = (str(event.context.transfer_syntax), event.request.DataSet.getvalue(), image, event.request.MoveOriginatorApplicationEntityTitle)
            return 0xA700 if uid in self.refuse else 0

        self.port = free_port()
        self.server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, stored)])

    def stop(self):
        self.server.shutdown()


def converted_archive(folder, *flags):
    """An archive of one large image as HTJ2K and one small as JPEG-LS, and their sources."""
    make_image(folder / "in" / "large.dcm", rows=1100, columns=1010, seed=1)
    make_image(folder / "in" / "small.dcm", rows=60, columns=50, seed=2)
    make_image(folder / "in" / "nested.dcm", rows=60, columns=50, seed=3, ReferencedStudySequence=[keys("STUDY", PatientID="inner")])
    assert firstlight("migrate", folder / "in", folder / "data", "--archive", "--sample", 0).returncode == 0
    archive = Archive(folder, *flags)
    archive.sources = {str(pydicom.dcmread(path).SOPInstanceUID): path for path in (folder / "in").iterdir()}
    return archive


@pytest.mark.parametrize("syntaxes", [
    [ImplicitVRLittleEndian],
    [ExplicitVRLittleEndian],
    ["1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.80", ExplicitVRLittleEndian],
], ids=["implicit only", "explicit only", "as stored"])
def test_move_in_what_the_destination_takes(tmp_path, syntaxes):
    receiver = Receiver(syntaxes)
    archive = converted_archive(tmp_path, "--peer", f"DEST@127.0.0.1:{receiver.port},PEER@127.0.0.1:1")
    try:
        move = StudyRootQueryRetrieveInformationModelMove
        association = associated(archive, (move, [ImplicitVRLittleEndian]))
        answers = list(association.send_c_move(keys("STUDY", StudyInstanceUID="2.25.1"), "DEST", move))
        last = answers[-1][0]
        assert (last.Status, last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations) == (0, 3, 0)
        assert [status.NumberOfRemainingSuboperations for status, _ in answers[:-1]] == [2, 1]
        unknown = list(association.send_c_move(keys("STUDY", StudyInstanceUID="2.25.1"), "NOBODY", move))
        assert unknown[-1][0].Status == 0xA801
        none = list(association.send_c_move(keys("STUDY", StudyInstanceUID=""), "DEST", move))
        assert none[-1][0].Status == 0xA900
        association.release()
        assert set(receiver.got) == set(archive.sources)
        stored_as = set()
        for uid, (syntax, wire, image, originator) in receiver.got.items():
            source = pydicom.dcmread(archive.sources[uid])
            assert syntax in [str(s) for s in syntaxes] and originator == "PEER"
            stored_as.add(syntax)
            assert (image.pixel_array == source.pixel_array).all()
            assert image.PatientName == source.PatientName and image.get("ReferencedStudySequence") == source.get("ReferencedStudySequence")
            if len(syntaxes) > 1:
                assert wire == data_set(archive.file(source)), "the stored bytes themselves"
        assert len(stored_as) == (2 if len(syntaxes) > 1 else 1)
    finally:
        archive.stop()
        receiver.stop()


def test_move_counts_what_failed_and_is_cancelled(filled, tmp_path):
    receiver = Receiver([ExplicitVRLittleEndian], refuse=list(filled.sources)[:1], slow=0.1)
    peers = f"DEST@127.0.0.1:{receiver.port},PEER@127.0.0.1:1,GONE@127.0.0.1:{free_port()}"
    archive = Archive(tmp_path, "--peer", peers, "--import", filled.data.parent / "in")
    try:
        for _ in range(100):
            if len(archive.uids()) == 11:
                break
            time.sleep(0.1)
        root = PatientRootQueryRetrieveInformationModelFind.replace("2.1.1", "2.1.2")
        association = associated(archive, (root, [ExplicitVRLittleEndian]))
        bad = pydicom.dcmread(filled.sources[next(iter(receiver.refuse))])
        wanted = keys("SERIES", PatientID=bad.PatientID, StudyInstanceUID=bad.StudyInstanceUID, SeriesInstanceUID=bad.SeriesInstanceUID)
        answers = list(association.send_c_move(wanted, "DEST", root))
        last, identifier = answers[-1]
        assert last.NumberOfFailedSuboperations == 1 and last.Status in (0xB000, 0xA702)
        assert identifier.FailedSOPInstanceUIDList == bad.SOPInstanceUID
        gone, _ = list(association.send_c_move(wanted, "GONE", root))[-1]
        assert gone.Status == 0xA702 and gone.NumberOfCompletedSuboperations == 0
        statuses = []
        for status, _ in association.send_c_move(keys("PATIENT", PatientID="P1"), "DEST", root, msg_id=9):
            statuses.append(status)
            if len(statuses) == 2:
                association.send_c_cancel(9, 1)
        assert statuses[-1].Status == 0xFE00 and statuses[-1].NumberOfRemainingSuboperations > 0
        association.release()
    finally:
        archive.stop()
        receiver.stop()


def test_get_gives_what_was_stored(filled, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    done = run("getscu", "-S", "-od", out, "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=2.25.200", "127.0.0.1", filled.port)
    assert done.returncode == 0, done
    files = list(out.iterdir())
    assert len(files) == 4
    for path in files:
        image = pydicom.dcmread(path)
        assert (image.pixel_array == pydicom.dcmread(filled.sources[str(image.SOPInstanceUID)]).pixel_array).all()


def test_get_and_move_by_a_long_list(filled):
    """A list of more bytes than other values may have."""
    image = pydicom.dcmread(next(iter(filled.sources.values())), stop_before_pixels=True)
    of_study = [uid for uid, path in filled.sources.items() if pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID == image.SeriesInstanceUID]
    get, got = StudyRootQueryRetrieveInformationModelGet, []
    association = associated(
        filled, (get, [ImplicitVRLittleEndian]), (SECONDARY_CAPTURE, [ExplicitVRLittleEndian]),
        ext_neg=[pynetdicom.build_role(SECONDARY_CAPTURE, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, lambda event: got.append(event.request.AffectedSOPInstanceUID) or 0)],
    )
    wanted = keys("IMAGE", StudyInstanceUID=image.StudyInstanceUID, SeriesInstanceUID=image.SeriesInstanceUID)
    wanted.SOPInstanceUID = of_study + [f"2.25.{10 ** 30 + n}" for n in range(1100)]
    last = list(association.send_c_get(wanted, get))[-1][0]
    assert (last.Status, last.NumberOfCompletedSuboperations) == (0, len(of_study)) and sorted(got) == sorted(of_study)
    association.release()


def test_move_ends_when_the_destination_does(filled, tmp_path):
    """It takes one, and hangs up at each of the others."""
    began, ae, port = [], AE(ae_title="DEST"), free_port()
    ae.add_supported_context(SECONDARY_CAPTURE, [ExplicitVRLittleEndian])

    def stored(event):
        began.append(event.request.AffectedSOPInstanceUID)
        if len(began) > 1:
            event.assoc.abort()
        return 0

    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, stored)])
    archive = Archive(tmp_path, "--peer", f"DEST@127.0.0.1:{port},PEER@127.0.0.1:1", "--import", filled.data.parent / "in")
    try:
        for _ in range(100):
            if len(archive.uids()) == 11:
                break
            time.sleep(0.1)
        move = PatientRootQueryRetrieveInformationModelFind.replace("2.1.1", "2.1.2")
        association = associated(archive, (move, [ExplicitVRLittleEndian]))
        last, _ = list(association.send_c_move(keys("PATIENT", PatientID="P1"), "dest", move))[-1]
        assert (last.Status, last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations) == (0xB000, 1, 7)
        assert len(began) == 4
        association.release()
    finally:
        archive.stop()
        server.shutdown()


@pytest.mark.parametrize("syntaxes", [
    [ImplicitVRLittleEndian], ["1.2.840.10008.1.2.4.90", ImplicitVRLittleEndian, ExplicitVRLittleEndian],
], ids=["old", "compressed first"])
def test_get_of_a_converted_study_by_an_old_viewer(tmp_path, syntaxes):
    archive = converted_archive(tmp_path)
    try:
        get = StudyRootQueryRetrieveInformationModelGet
        got = []
        role = pynetdicom.build_role(SECONDARY_CAPTURE, scp_role=True)
        association = associated(
            archive, (get, [ImplicitVRLittleEndian]), (SECONDARY_CAPTURE, syntaxes),
            ext_neg=[role], evt_handlers=[(evt.EVT_C_STORE, lambda event: got.append(event.dataset) or got[-1].__setattr__("file_meta", event.file_meta) or 0)],
        )
        answers = list(association.send_c_get(keys("STUDY", StudyInstanceUID="2.25.1"), get))
        assert (answers[-1][0].Status, answers[-1][0].NumberOfCompletedSuboperations) == (0, 3)
        association.release()
        for image in got:
            assert (image.pixel_array == pydicom.dcmread(archive.sources[str(image.SOPInstanceUID)]).pixel_array).all()
    finally:
        archive.stop()


def test_movescu_to_storescp(tmp_path):
    port, out = free_port(), tmp_path / "out"
    out.mkdir()
    scp = subprocess.Popen(["storescp", "-aet", "DEST", "-od", str(out), str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    archive = converted_archive(tmp_path, "--peer", f"DEST@127.0.0.1:{port},MOVESCU@127.0.0.1:1")
    try:
        done = run("movescu", "-S", "-aem", "DEST", "-aec", "FIRSTLIGHT", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=2.25.1", "127.0.0.1", archive.port)
        assert done.returncode == 0, done
        files = list(out.iterdir())
        assert len(files) == 3
        for path in files:
            image = pydicom.dcmread(path)
            assert (image.pixel_array == pydicom.dcmread(archive.sources[str(image.SOPInstanceUID)]).pixel_array).all()
    finally:
        archive.stop()
        scp.kill()


# -- Storage commitment


def test_storage_commitment_comes_on_an_association_of_its_own(tmp_path):
    reports = []
    told = threading.Event()
    ae = AE(ae_title="PEER")
    ae.add_supported_context(COMMITMENT, [ImplicitVRLittleEndian], scu_role=False, scp_role=True)

    def heard(event):
        reports.append((event.event_type, event.event_information, event.assoc.requestor.ae_title))
        told.set()
        return 0x0000, None

    port = free_port()
    archive = Archive(tmp_path, "--peer", f"PEER@127.0.0.1:{port},OTHER@127.0.0.2:1")
    server = None
    try:
        path = make_image(tmp_path / "a.dcm", seed=1)
        image = pydicom.dcmread(path)
        association = associated(archive, (SECONDARY_CAPTURE, [ExplicitVRLittleEndian]), (COMMITMENT, [ImplicitVRLittleEndian]))
        assert send(association, path) == 0

        def ask(uid, *objects):
            told.clear()
            request = pydicom.Dataset()
            request.TransactionUID = uid
            request.ReferencedSOPSequence = [pydicom.Dataset() for _ in objects]
            for item, (abstract, instance) in zip(request.ReferencedSOPSequence, objects):
                item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = abstract, instance
            return association.send_n_action(request, 1, COMMITMENT, "1.2.840.10008.1.20.1.1")[0].Status

        # Nobody listens yet: it is tried again.
        assert ask("2.25.70", (SECONDARY_CAPTURE, image.SOPInstanceUID)) == 0
        time.sleep(0.3)
        server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, heard)])
        assert told.wait(30), archive.talk()
        kind, information, caller = reports[-1]
        assert (kind, information.TransactionUID, caller) == (1, "2.25.70", "FIRSTLIGHT")
        assert [item.ReferencedSOPInstanceUID for item in information.ReferencedSOPSequence] == [image.SOPInstanceUID]
        wrong = [(SECONDARY_CAPTURE, "2.25.404"), ("1.2.840.10008.5.1.4.1.1.2", image.SOPInstanceUID), (SECONDARY_CAPTURE, image.SOPInstanceUID)]
        assert ask("2.25.71", *wrong) == 0
        assert told.wait(30), archive.talk()
        kind, information, _ = reports[-1]
        assert kind == 2 and len(information.ReferencedSOPSequence) == 1
        assert [item.FailureReason for item in information.FailedSOPSequence] == [0x0112, 0x0119]
        nothing = pydicom.Dataset()
        nothing.TransactionUID = "2.25.72"
        assert association.send_n_action(nothing, 1, COMMITMENT, "1.2.840.10008.1.20.1.1")[0].Status == 0x0115
        association.release()
    finally:
        archive.stop()
        if server:
            server.shutdown()


# -- send and pull


@pytest.mark.parametrize("syntaxes", [[ImplicitVRLittleEndian], [ExplicitVRLittleEndian]], ids=["implicit", "explicit"])
def test_send_files_folders_and_studies(filled, tmp_path, syntaxes):
    receiver = Receiver(syntaxes)
    try:
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "note.txt").write_text("no image")
        alone = make_image(tmp_path / "alone.dcm", seed=70)
        make_image(tmp_path / "in" / "b.dcm", seed=71, Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
        done = firstlight("send", tmp_path / "in", alone, "--data", filled.data, "--study", "2.25.200", f"DEST@127.0.0.1:{receiver.port}")
        assert done.returncode == 0, done
        assert done.stdout.startswith("6 objects sent to DEST@127.0.0.1:") and "1 skipped" in done.stdout
        assert len(receiver.got) == 6
        for uid, (_, _, image, _) in receiver.got.items():
            if uid in filled.sources:
                assert (image.pixel_array == pydicom.dcmread(filled.sources[uid]).pixel_array).all()
    finally:
        receiver.stop()


def test_send_stops_behind_the_answer_it_waits_for(tmp_path):
    """And a DICOMDIR in a folder is none of what is sent."""
    receiver = Receiver([ExplicitVRLittleEndian], slow=2)
    try:
        for n in range(3):
            make_image(tmp_path / "in" / f"{n}.dcm", seed=n, StudyDate="20240101", StudyTime="101010", StudyID="1", SeriesNumber=1)
        directory = pydicom.fileset.FileSet()
        directory.add(tmp_path / "in" / "0.dcm")
        directory.write(tmp_path / "medium")
        done = firstlight("send", tmp_path / "medium", f"DEST@127.0.0.1:{receiver.port}")
        assert done.returncode == 0 and "1 object sent" in done.stdout and "1 skipped" in done.stdout, done
        receiver.got.clear()
        command = [str(word) for word in (BINARY, "send", tmp_path / "in", f"DEST@127.0.0.1:{receiver.port}")]
        sending = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(1)
        sending.send_signal(signal.SIGINT)
        said, talk = sending.communicate(timeout=60)
        assert sending.returncode == 130 and "error" not in talk, (sending.returncode, said, talk)
        assert len(receiver.got) < 3 and said.startswith(f"{len(receiver.got)} object"), said
    finally:
        receiver.stop()


def test_send_tries_again(tmp_path):
    port, got = free_port(), []
    paths = [make_image(tmp_path / "in" / f"{n}.dcm", seed=n) for n in range(4)]
    command = [str(word) for word in (BINARY, "send", tmp_path / "in", f"DEST@127.0.0.1:{port}")]
    sending = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)
    ae = AE(ae_title="DEST")
    ae.add_supported_context(SECONDARY_CAPTURE, [ExplicitVRLittleEndian])

    def stored(event):
        got.append(str(event.request.AffectedSOPInstanceUID))
        # Full once, and once gone in the middle.
        if len(got) == 2:
            return 0xA700
        if len(got) == 4:
            event.assoc.abort()
        return 0

    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, stored)])
    try:
        said, talk = sending.communicate(timeout=60)
        assert sending.returncode == 0 and said.startswith("4 objects sent"), (said, talk)
        assert len(set(got)) == len(paths) and len(got) == 6
    finally:
        server.shutdown()


def test_send_to_nobody_and_what_is_refused(tmp_path):
    path = make_image(tmp_path / "a.dcm", seed=1)
    gone = firstlight("send", path, f"DEST@127.0.0.1:{free_port()}", "--retries", 0)
    assert gone.returncode == 2 and "cannot reach DEST@127.0.0.1" in gone.stderr and "hint:" in gone.stderr, gone
    for words in (["send", path], ["send", path, "nonsense"], ["send", "A@h:1"], ["pull", "A@h:1"], ["pull", "A@h:1", "--study", "x", "--data", tmp_path / "d"]):
        wrong = firstlight(*words)
        assert wrong.returncode == 2 and wrong.stderr.startswith("error"), (words, wrong)
    receiver = Receiver(["1.2.840.10008.1.2.4.70"], refuse=["x"])
    try:
        done = firstlight("send", path, f"DEST@127.0.0.1:{receiver.port}")
        assert done.returncode == 1 and "a.dcm" in done.stderr and "1 not taken" in done.stdout, done
    finally:
        receiver.stop()


def test_pull_brings_a_study_as_it_is_stored_there(filled, tmp_path):
    peer = f"FIRSTLIGHT@127.0.0.1:{filled.port}"
    done = firstlight("pull", peer, "--study", "2.25.200,2.25.300", "--data", tmp_path / "mine")
    assert done.returncode == 0 and "2.25.200: 4 of 4 instances" in done.stdout, done
    again = firstlight("pull", peer, "--study", "2.25.200", "--data", tmp_path / "mine")
    assert again.returncode == 0
    none = firstlight("pull", peer, "--study", "2.25.404", "--data", tmp_path / "mine")
    assert none.returncode == 1 and "there is no study 2.25.404" in none.stderr, none
    mine = {data_set(path.read_bytes()) for path in (tmp_path / "mine" / "objects").rglob("*") if path.is_file()}
    there = {data_set(object) for object in filled.objects()}
    assert len(mine) == 7 and mine < there


def test_pull_from_a_pacs_of_others(filled, tmp_path):
    """dcmqrscp has the study, and gives it."""
    database, port = tmp_path / "db", free_port()
    database.mkdir()
    settings = tmp_path / "dcmqrscp.cfg"
    settings.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 8\nHostTable BEGIN\nHostTable END\n"
        f"VendorTable BEGIN\nVendorTable END\nAETable BEGIN\nQR {database} RW (20, 100mb) ANY\nAETable END\n"
    )
    pacs = subprocess.Popen(["dcmqrscp", "-c", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        peer = f"QR@127.0.0.1:{port}"
        for _ in range(100):
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        sent = firstlight("send", "--data", filled.data, "--study", "2.25.200", peer)
        assert sent.returncode == 0 and "4 objects sent" in sent.stdout, sent
        done = firstlight("pull", peer, "--study", "2.25.200", "--data", tmp_path / "mine")
        assert done.returncode == 0 and "4 of 4" in done.stdout, done
    finally:
        pacs.kill()
