"""The log of `firstlight serve`: failures are told, and nobody's name, number or question is."""
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pydicom
import pytest
from dicomweb_client import DICOMwebClient

from common import BINARY, CORPUS, firstlight, make_image

TOKEN = "s3cret-t0ken-that-nobody-may-read"


class Server:
    """A server whose log is kept."""

    def __init__(self, folder, *arguments, **environment):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "serve.log"
        command = [BINARY, "serve", "--data", folder / "data", "--listen", "127.0.0.1:0", "--no-convert", *arguments]
        with open(self.path, "w") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True, env=os.environ | environment
            )
        self.root = re.search(r"http://127\.0\.0\.1:\d+", self.process.stdout.readline()).group(0)

    def get(self, path, **headers):
        request = urllib.request.Request(self.root + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=60) in (0, 130)
        return self.path.read_text()


def corpus():
    files = (path for path in sorted(CORPUS.rglob("*")) if path.is_file() and path.stat().st_size < 200_000)
    for path in files:
        try:
            yield path, pydicom.dcmread(path, stop_before_pixels=True, force=True)
        except Exception:  # What pydicom cannot read has no names that it could tell.
            yield path, pydicom.Dataset()


def words(dataset):
    """Names and numbers of the patient, as a log could have them."""
    for keyword in ("PatientName", "PatientID", "AccessionNumber", "OtherPatientIDs", "ReferringPhysicianName", "PatientBirthDate"):
        try:
            value = str(dataset.get(keyword, "") or "").strip()
        except Exception:
            continue
        for group in value.split("="):
            yield from (piece.strip() for piece in [group, *group.split("^")])


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not there")
def test_the_log_has_no_patient_in_it(tmp_path):
    secrets, folder = set(), tmp_path / "in"
    folder.mkdir()
    for n, (path, dataset) in enumerate(corpus()):
        # Paths are logged; those of the corpus have names of patients in them.
        (folder / f"{n}.dcm").write_bytes(path.read_bytes())
        secrets |= set(words(dataset))
    make_image(folder / "own.dcm", seed=7, PatientName="Quillfeather^Ottoline=金^吉洙", PatientID="QF-4711", AccessionNumber="ACC-0815")
    # Short ones are part of anything.
    secrets = {word for word in secrets if len(word) >= 5} | {"Quillfeather", "Ottoline", "金", "吉洙", "QF-4711", "ACC-0815"}
    assert len(secrets) > 100
    server = Server(tmp_path, "--import", folder, RUST_LOG="debug")
    client = DICOMwebClient(server.root + "/dicom-web")
    for _ in range(600):
        if "own.dcm" in server.path.read_text() or server.path.read_text().count("import:") > 1:
            break
        time.sleep(0.2)
    asked = []
    for word in sorted(secrets)[:: max(1, len(secrets) // 40)] + ["Quillfeather^*", "QF-4711"]:
        for name in ("PatientName", "PatientID", "AccessionNumber", "00100010"):
            asked.append(word)
            assert server.get(f"/dicom-web/studies?{name}={urllib.parse.quote(word)}", Authorization=f"Bearer {TOKEN}")[0] in (200, 400)
    assert client.search_for_studies(search_filters={"PatientID": "QF-4711"})
    for path in ("/dicom-web/patients/Quillfeather", "/dicom-web/studies/Quillfeather/series", "/Quillfeather.html", "/dicom-web/studies?limit=Quillfeather",
                 "/dicom-web/studies?Quillfeather=QF-4711", "/dicom-web/studies/1.2/metadata?token=" + TOKEN):
        server.get(path, Cookie=f"session={TOKEN}")
    for study in client.search_for_studies(limit=1000):
        uid = study["0020000D"]["Value"][0]
        for what in ("metadata", "thumbnail", "series", "instances"):
            server.get(f"/dicom-web/studies/{uid}/{what}")
    log = server.stop()
    assert log.count("answered") > 400, "requests are logged at this level"
    # A UID is what a log speaks of, and may hold any number.
    log = re.sub(r"[0-9]+(\.[0-9]+){3,}", "UID", log)
    # So may times, sizes and ids.
    lines = [re.sub(r"^\S+Z |id=\"[0-9a-f]{16}\"|ms=[0-9.e-]+|file=\S+", "", line) for line in log.splitlines()]
    told = {word: line for word in secrets | {TOKEN} for line in lines if re.search(r"(?<![\w])" + re.escape(word) + r"(?![\w])", line)}
    assert not told, dict(list(told.items())[:10])


def test_a_failure_is_one_line_with_the_id_that_the_client_has(tmp_path):
    make_image(tmp_path / "in" / "a.dcm", seed=1)
    (tmp_path / "in" / "b.dcm").write_bytes((tmp_path / "in" / "a.dcm").read_bytes()[:400])
    server = Server(tmp_path, "--import", tmp_path / "in", FIRSTLIGHT_LOG_FORMAT="json")
    uid = pydicom.dcmread(tmp_path / "in" / "a.dcm").SOPInstanceUID
    frames = f"/dicom-web/studies/2.25.1/series/2.25.2/instances/{uid}/frames/1"
    for _ in range(300):
        if server.get(frames)[0] == 200:
            break
        time.sleep(0.1)
    for stored in (tmp_path / "data" / "objects").rglob("*"):
        if stored.is_file():
            stored.unlink()
    instance = frames.removesuffix("/frames/1")
    status, headers, body = server.get(instance, Accept="application/dicom")
    if status == 200:  # The object was still open.
        server.stop()
        server = Server(tmp_path, FIRSTLIGHT_LOG_FORMAT="json")
        status, headers, body = server.get(instance, Accept="application/dicom")
    assert status >= 500
    told = headers["X-Request-Id"]
    assert told in body.decode()
    lines = [json.loads(line) for line in server.stop().splitlines()]
    failures = [line for line in lines if line["level"] == "ERROR" and line.get("span", {}).get("id") == told]
    assert len(failures) == 1, lines
    assert failures[0]["span"]["path"] == instance and failures[0].get("cause"), failures


def test_levels_and_formats(tmp_path):
    server = Server(tmp_path / "quiet", "--log", "off")
    server.get("/dicom-web/studies")
    assert server.stop() in ("", "stopping: what is under way is finished first; once more to end at once\n")
    server = Server(tmp_path / "own", RUST_LOG="debug")
    server.get("/dicom-web/studies")
    log = server.stop()
    assert " DEBUG " in log and "request{id=" in log
    assert not re.search(r" (hyper|h2|rusqlite|tokio|axum)\S*:", log), "libraries are silent"
    wrong = firstlight("serve", "--data", tmp_path / "d", "--log", "server=loud")
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: ") and "hint:" in wrong.stderr


def test_other_machines_are_let_in_only_when_it_is_said(tmp_path):
    refused = firstlight("serve", "--data", tmp_path / "d", "--listen", "0.0.0.0:0")
    assert refused.returncode == 2 and "--insecure" in refused.stderr and len(refused.stderr.splitlines()) == 2
    assert not (tmp_path / "d").exists()
    for how in ({"arguments": ["--insecure"]}, {"environment": {"FIRSTLIGHT_INSECURE": "true"}}, {"file": "insecure = true\n"}):
        folder = tmp_path / f"{len(how)}{next(iter(how))}"
        folder.mkdir()
        if "file" in how:
            (folder / "firstlight.toml").write_text(how["file"])
        command = [BINARY, "serve", "--data", folder / "d", "--listen", "0.0.0.0:0", *how.get("arguments", [])]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | how.get("environment", {}))
        talk = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) in (0, 130)
        assert any("insecure" in line and "everyone" in line for line in talk), talk


def test_the_limit_of_open_files_is_raised(tmp_path):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    low = min(256, hard)
    command = [BINARY, "serve", "--data", tmp_path / "d", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    )
    process.stdout.readline()
    limits = pathlib.Path(f"/proc/{process.pid}/limits").read_text()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)
    soft, found = re.search(r"Max open files\s+(\S+)\s+(\S+)", limits).groups()
    assert soft == found


@pytest.mark.parametrize("wanted, expected", [
    ("김^?수", {"R-kim1", "R-kim2"}),
    ("김^영?", {"R-kim1", "R-kim3"}),
    ("김*", {"R-kim1", "R-kim2", "R-kim3"}),
    ("LEE^*", {"R-lee1", "R-lee2", "R-lee3"}),
    ("LEE^", {"R-lee1", "R-lee2"}),
])
def test_names_by_a_client(names, wanted, expected):
    found = names.search_for_studies(search_filters={"PatientName": wanted}, fields=["PatientID"])
    assert {study["00100020"]["Value"][0] for study in found} == expected


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    here = pathlib.Path(__file__).resolve().parent.parent / "reports" / "qido"
    reports = here if here.exists() else CORPUS.parent / "reports" / "qido"
    if not reports.exists():
        pytest.skip("the reports are not there")
    imported = firstlight("import", reports, "--data", folder / "data", "-q")
    assert imported.returncode == 0, imported.stderr
    server = Server(folder)
    yield DICOMwebClient(server.root + "/dicom-web")
    server.stop()
