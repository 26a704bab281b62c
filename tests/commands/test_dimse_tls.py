"""DIMSE over TLS against programs that are not ours: DCMTK's tools, pynetdicom and `openssl s_client`."""
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from common import BINARY, firstlight, free_port, make_image

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def openssl(*words, **named):
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, timeout=60, **named)


pytestmark = [
    pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK's storescu is not there"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not there"),
    pytest.mark.skipif(
        shutil.which("echoscu") is not None and b"+tls" not in subprocess.run(["echoscu", "--help"], capture_output=True).stdout,
        reason="DCMTK was built without OpenSSL",
    ),
]


class Certificates:
    """An authority and what it signs, in PEM."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.ca, self.ca_key = folder / "ca.pem", folder / "ca.key"
        made = openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=Test CA", "-keyout", self.ca_key, "-out", self.ca,
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )
        assert made.returncode == 0, made

    def signed(self, name, where="IP:127.0.0.1,DNS:localhost"):
        """A certificate for an address, and its key."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        extensions = self.folder / f"{name}.ext"
        more = "basicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        extensions.write_text(f"subjectAltName={where}\n{more}")
        request = openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", self.folder / "req.pem")
        assert request.returncode == 0, request
        made = openssl(
            "x509", "-req", "-days", 2, "-in", self.folder / "req.pem", "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial",
            "-extfile", extensions, "-out", certificate,
        )
        assert made.returncode == 0, made
        return certificate, key


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    certificates = Certificates(tmp_path_factory.mktemp("tls") / "ca")
    certificates.server = certificates.signed("server")
    certificates.modality = certificates.signed("modality")
    certificates.elsewhere = certificates.signed("elsewhere", "IP:10.0.0.1,DNS:ct9.example.org")
    certificates.strangers = Certificates(certificates.folder / "strangers").signed("stranger")
    return certificates


class Secured:
    """A server that answers DIMSE over TLS, and without."""

    def __init__(self, folder, known, *flags, plain=True):
        self.data = folder / "data"
        self.log = open(folder / "serve.log", "a+")
        command = [BINARY, "serve", "--data", self.data, "--listen", "127.0.0.1:0", "--no-convert", "--dimse-tls", "0"]
        command += ["--tls", *known.server, *(["--dimse", "0"] if plain else []), *flags]
        self.process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, text=True
        )
        said, wanted = "", 2 if plain else 1
        while said.count("DIMSE ") < wanted:
            line = self.process.stdout.readline()
            assert line, self.talk()
            said += line
        ports = dict((tls, int(port)) for port, tls in re.findall(r"DIMSE +FIRSTLIGHT@127\.0\.0\.1:(\d+)(/tls)?", said))
        self.port, self.plain = ports["/tls"], ports.get("")

    def talk(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def said(self, words):
        """Waits for a line of the log."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if words in self.talk():
                return True
            time.sleep(0.05)
        return False

    def objects(self):
        return [path for path in (self.data / "objects").rglob("*") if path.is_file()]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=60) in (0, 130), self.talk()
        assert "panicked" not in self.talk(), self.talk()


@pytest.fixture
def serve(tmp_path, known):
    running = []

    def start(*flags, **named):
        running.append(Secured(tmp_path, known, *flags, **named))
        return running[-1]

    yield start
    for server in running:
        server.stop()


def run(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def secured(tool, known, own, port, *words, called="FIRSTLIGHT", calling="CT1", profile="+py"):
    """A tool of DCMTK's over TLS: `own` is its certificate and key, or None."""
    tls = ["+tls", own[1], own[0]] if own else ["+tla"]
    return run(tool, *tls, "+cf", known.ca, profile, "-aet", calling, "-aec", called, "127.0.0.1", port, *words)


@pytest.mark.parametrize("profile", ["+py", "+px", "+pz"])
def test_dcmtk_calls_over_tls(serve, known, tmp_path, profile):
    server = serve()
    for own in (None, known.modality):
        done = secured("echoscu", known, own, server.port, profile=profile)
        assert done.returncode == 0, (done, server.talk())
    images = [make_image(tmp_path / "in" / f"{n}.dcm", rows=300, columns=300, seed=n) for n in range(3)]
    done = secured("storescu", known, None, server.port, *images, profile=profile)
    assert done.returncode == 0 and len(server.objects()) == 3, (done, server.talk())
    done = secured("findscu", known, None, server.port, "-S", "-k", "QueryRetrieveLevel=IMAGE", "-k", "StudyInstanceUID=2.25.1", "-k", "SeriesInstanceUID=2.25.2", "-k", "SOPInstanceUID", profile=profile)
    assert done.returncode == 0 and (done.stdout + done.stderr).count("SOPInstanceUID") >= 3, done


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_agrees_on_forward_secrecy(serve, known, version):
    server = serve(plain=False)
    done = openssl("s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", known.ca, "-verify_return_error", version, "-brief", input=b"")
    said = (done.stdout + done.stderr).decode()
    assert "Verification: OK" in said and "CONNECTION ESTABLISHED" in said, said
    assert re.search(r"Ciphersuite: (ECDHE-|TLS_)\S*(GCM|CHACHA20|POLY1305)", said), said


@pytest.mark.parametrize("wrong", [["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"]], ids=["TLS 1.1", "no forward secrecy"])
def test_what_bcp_195_forbids_is_refused(serve, known, wrong):
    server = serve()
    done = openssl("s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", known.ca, "-brief", *wrong, input=b"")
    assert b"CONNECTION ESTABLISHED" not in done.stdout + done.stderr, done
    assert server.said("TLS: "), server.talk()
    assert secured("echoscu", known, None, server.port).returncode == 0


def test_who_speaks_plainly_on_the_port_for_tls_is_told_at_once(serve, known):
    server = serve()
    began = time.monotonic()
    done = run("echoscu", "127.0.0.1", server.port)
    assert done.returncode != 0 and time.monotonic() - began < 25, "no hang"
    assert server.said("the other side speaks no TLS, and this line is with TLS"), server.talk()
    done = secured("echoscu", known, None, server.plain)
    assert done.returncode != 0 and time.monotonic() - began < 50, "no hang"
    assert server.said("the other side speaks TLS, and this line is without"), server.talk()
    # Who says nothing takes one slot, and others go on.
    with socket.create_connection(("127.0.0.1", server.port)) as silent:
        silent.sendall(b"\x16\x03")
        assert secured("echoscu", known, None, server.port).returncode == 0
    assert run("echoscu", "127.0.0.1", server.plain).returncode == 0


def test_callers_show_a_certificate_of_the_machine_of_their_peer(serve, known):
    server = serve("--dimse-ca", known.ca, "--peer", "CT1@127.0.0.1:104/tls,CT2@127.0.0.1:104")
    echo = lambda own, **named: secured("echoscu", known, own, server.port, **named)
    assert echo(known.modality).returncode == 0, server.talk()
    assert echo(None).returncode != 0 and server.said("shows no certificate"), server.talk()
    assert echo(known.strangers).returncode != 0
    assert echo(known.elsewhere).returncode != 0 and server.said("not made out for the machine of this peer"), server.talk()
    assert echo(known.modality, calling="CT3").returncode != 0 and server.said("no peer of this title is there")
    # One that is marked so calls with TLS and not without; another may do both.
    plain = lambda calling: run("echoscu", "-aet", calling, "-aec", "FIRSTLIGHT", "127.0.0.1", server.plain).returncode
    assert plain("CT1") != 0 and server.said("this peer has to call with TLS"), server.talk()
    assert plain("CT2") == 0 and echo(known.modality, calling="CT2").returncode == 0


@pytest.mark.parametrize("asked, expected", [
    ("signed", {"none": False, "elsewhere": True, "stranger": False}),
    ("optional", {"none": True, "elsewhere": True, "stranger": False}),
])
def test_less_may_be_asked_of_callers(serve, known, asked, expected):
    server = serve("--dimse-ca", known.ca, "--dimse-certificates", asked, "--peer", "CT1@127.0.0.1:104/tls")
    for name, own in (("none", None), ("elsewhere", known.elsewhere), ("stranger", known.strangers)):
        assert (secured("echoscu", known, own, server.port).returncode == 0) == expected[name], (name, server.talk())


def test_a_changed_certificate_is_shown(serve, known, tmp_path):
    own = Certificates(tmp_path / "own")
    names = own.signed("first")
    mixed = type("Known", (), {"server": names})
    server = Secured(tmp_path, mixed)
    try:
        subject = lambda: ssl.get_server_certificate(("127.0.0.1", server.port))
        first = subject()
        certificate, key = own.signed("second")
        names[1].write_bytes(key.read_bytes())
        names[0].write_bytes(certificate.read_bytes())
        until = time.monotonic() + 40
        while subject() == first:
            assert time.monotonic() < until, server.talk()
            time.sleep(0.2)
    finally:
        server.stop()


class SecuredPeer:
    """A PACS of pynetdicom's that takes and gives images over TLS; callers show a certificate if `asks`."""

    def __init__(self, known, own, asks=True):
        self.got, self.shown = [], []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own[0], own[1])
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(known.ca)
        ae = AE(ae_title="PACS")
        for abstract in (SECONDARY_CAPTURE, Verification):
            ae.add_supported_context(abstract, [ImplicitVRLittleEndian, ExplicitVRLittleEndian], scu_role=True, scp_role=True)
        for model in (StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet):
            ae.add_supported_context(model)
        self.images = []

        def stored(event):
            self.got.append(str(event.request.AffectedSOPInstanceUID))
            return 0

        def found(event):
            for image in self.images:
                row = pydicom.Dataset()
                row.QueryRetrieveLevel = event.identifier.QueryRetrieveLevel
                for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
                    setattr(row, name, image.get(name))
                yield 0xFF00, row

        def fetched(event):
            yield len(self.images)
            for image in self.images:
                yield 0xFF00, image

        self.port = free_port()
        handlers = [(evt.EVT_C_STORE, stored), (evt.EVT_C_FIND, found), (evt.EVT_C_GET, fetched)]
        self.server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers, ssl_context=context)

    def stop(self):
        self.server.shutdown()


def test_send_and_pull_over_tls(known, tmp_path):
    peer = SecuredPeer(known, known.server)
    try:
        images = [make_image(tmp_path / "in" / f"{n}.dcm", rows=200, columns=200, seed=n) for n in range(3)]
        at, own = f"PACS@127.0.0.1:{peer.port}/tls", ",".join(map(str, known.modality))
        done = firstlight("send", tmp_path / "in", at, "--dimse-ca", known.ca, "--tls", own)
        assert done.returncode == 0 and len(peer.got) == 3, done
        peer.images = [pydicom.dcmread(path) for path in images]
        done = firstlight("pull", at, "--study", "2.25.1", "--data", tmp_path / "data", "--dimse-ca", known.ca, "--tls", own)
        assert done.returncode == 0 and "3 of 3 instances" in done.stdout, done
        for flags, said in (
            (["--dimse-ca", known.ca], ""),  # it asks for a certificate, and there is none
            (["--dimse-ca", known.elsewhere[0], "--tls", own], "certificate"),
            ([], "certificate"),
        ):
            done = firstlight("send", tmp_path / "in", at, "--retries", 0, *flags)
            assert done.returncode == 2 and said in done.stderr and "panicked" not in done.stderr, (flags, done)
        # Without /tls to a port with it.
        done = firstlight("send", tmp_path / "in", f"PACS@127.0.0.1:{peer.port}", "--retries", 0)
        assert done.returncode == 2 and "panicked" not in done.stderr, done
        assert len(peer.got) == 3
    finally:
        peer.stop()


def test_a_certificate_for_another_machine_is_not_believed(known, tmp_path):
    peer = SecuredPeer(known, known.elsewhere, asks=False)
    try:
        image = make_image(tmp_path / "a.dcm", seed=1)
        done = firstlight("send", image, f"PACS@127.0.0.1:{peer.port}/tls", "--dimse-ca", known.ca, "--retries", 0)
        assert done.returncode == 2 and "certificate" in done.stderr and not peer.got, done
    finally:
        peer.stop()


def test_dcmtk_is_sent_to_over_tls(known, tmp_path):
    """storescp takes the objects of a C-MOVE, and shows and is shown certificates."""
    port, out = free_port(), tmp_path / "out"
    out.mkdir()
    receiver = subprocess.Popen(
        ["storescp", "+tls", known.server[1], known.server[0], "+cf", known.ca, "-aet", "DEST", "-od", out, str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )
    server = Secured(tmp_path, known, "--dimse-ca", known.ca, "--peer", f"DEST@127.0.0.1:{port}/tls,CT1@127.0.0.1:104/tls", plain=False)
    try:
        for n in range(3):
            make_image(tmp_path / "in" / f"{n}.dcm", seed=n)
        done = secured("storescu", known, known.modality, server.port, "+sd", tmp_path / "in")
        assert done.returncode == 0, (done, server.talk())
        # DCMTK's movescu has no TLS.
        context = ssl.create_default_context(cafile=known.ca)
        context.load_cert_chain(*known.modality)
        ae = AE(ae_title="CT1")
        ae.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
        association = ae.associate("127.0.0.1", server.port, ae_title="FIRSTLIGHT", tls_args=(context, "127.0.0.1"))
        assert association.is_established
        keys = pydicom.Dataset()
        keys.QueryRetrieveLevel, keys.StudyInstanceUID = "STUDY", "2.25.1"
        last = list(association.send_c_move(keys, "DEST", StudyRootQueryRetrieveInformationModelMove))[-1][0]
        assert last.Status == 0 and last.NumberOfCompletedSuboperations == 3, (last, server.talk())
        association.release()
        assert len(list(out.iterdir())) == 3, server.talk()
    finally:
        receiver.terminate()
        receiver.wait(timeout=30)
        server.stop()


def test_settings_that_do_not_go_together(tmp_path, known):
    base = ["serve", "--data", tmp_path / "other", "--listen", "127.0.0.1:0"]
    for flags in (
        ["--dimse-tls", "0"],
        ["--dimse-tls", "0", "--tls", *known.server, "--dimse-certificates", "signed"],
        ["--dimse", "0", "--dimse-certificates", "signed"],
        ["--dimse-tls", "nonsense", "--tls", *known.server],
        ["--dimse-tls", "0", "--tls", *known.server, "--dimse-ca", tmp_path / "nowhere.pem"],
        ["--dimse-tls", "0.0.0.0:0", "--tls", *known.server],
    ):
        refused = firstlight(*base, *flags)
        assert refused.returncode == 2 and "hint" in refused.stderr and "panicked" not in refused.stderr, (flags, refused)


def test_many_large_objects_at_once(serve, known, tmp_path):
    """Several records of TLS a PDU, several associations, both directions."""
    server = serve()
    images = [make_image(tmp_path / "in" / f"{n}.dcm", rows=700, columns=700, seed=n) for n in range(8)]
    context = ssl.create_default_context(cafile=known.ca)
    statuses = []

    def work(mine):
        ae = AE(ae_title="CT1")
        ae.add_requested_context(SECONDARY_CAPTURE, ExplicitVRLittleEndian)
        association = ae.associate("127.0.0.1", server.port, ae_title="FIRSTLIGHT", tls_args=(context, "127.0.0.1"), max_pdu=0)
        statuses.extend(association.send_c_store(pydicom.dcmread(path)).Status for path in mine)
        association.release()

    threads = [threading.Thread(target=work, args=(images[n::4],)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert statuses == [0] * 8 and len(server.objects()) == 8, server.talk()
