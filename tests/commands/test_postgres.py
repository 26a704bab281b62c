"""An index in PostgreSQL: whole commands over it, the database restarted and killed beneath them."""
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pydicom
import pytest

import postgres
from common import BINARY, firstlight, make_image
from served import Served

if postgres.programs() is None:
    pytest.skip("PostgreSQL is not there: scripts/setup.sh test installs it", allow_module_level=True)

PLAIN = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"


@pytest.fixture(scope="module")
def database():
    server = postgres.Server()
    yield server
    server.stop()


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for seed in range(1, 9):
        make_image(folder / f"{seed}.dcm", rows=200 + seed, columns=100, seed=seed, PatientName=f"Test^{'abcdefgh'[seed - 1]}")
    return folder


class Over(Served):
    """A server whose index is in the database."""

    def __init__(self, folder, images, environment, *flags):
        old = dict(os.environ)
        os.environ.clear()
        os.environ.update(environment)
        try:
            super().__init__(folder, images, *flags)
        finally:
            os.environ.clear()
            os.environ.update(old)

    def get(self, path, accept="application/dicom+json"):
        request = urllib.request.Request(f"{self.dicomweb}/{path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def found(self, path):
        return json.loads(self.get(path) or b"[]")

    def converted(self, instances):
        """Until so many instances are there, none as it came."""
        found = []
        for _ in range(600):
            found = self.found("instances?includefield=AvailableTransferSyntaxUID")
            syntaxes = [entry.get("00083002", {}).get("Value", [None])[0] for entry in found]
            if len(found) == instances and "1.2.840.10008.1.2.1" not in syntaxes:
                return
            time.sleep(0.1)
        raise AssertionError(f"{len(found)} of {instances}: {self.talk()}")


def where(image):
    return f"studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}/instances/{image.SOPInstanceUID}"


def frames_are_right(server, images):
    for path in images.glob("*.dcm"):
        image = pydicom.dcmread(path)
        assert server.get(f"{where(image)}/frames/1", PLAIN)[: len(image.PixelData)] == image.PixelData, path


def test_serve_with_an_index_in_postgresql(tmp_path, database, images):
    """Import, conversion, search, frames, metadata; a restart of the database beneath; every other command after it."""
    address, environment = database.database("serve"), database.environment()
    server = Over(tmp_path, images, environment, "--index", address)
    server.converted(8)
    frames_are_right(server, images)
    assert len(server.found("studies?PatientName=test%5Eabc*")) == 0 and len(server.found("instances?limit=3")) == 3
    assert len(server.found("studies?PatientName=*est*")) == 1
    database.restart()
    frames_are_right(server, images)
    study = pydicom.dcmread(images / "1.dcm").StudyInstanceUID
    assert len(server.found(f"studies/{study}/metadata")) == 8
    more = make_image(tmp_path / "more" / "9.dcm", rows=90, columns=90, seed=9)
    database.restart()
    stored = firstlight("import", more, "--data", tmp_path / "data", env=environment)
    assert stored.returncode == 0, stored
    server.converted(9)
    server.stop()
    data = tmp_path / "data"
    assert (data / "index-at").read_text().strip() == address and not (data / "index.sqlite").exists()
    assert postgres.PASSWORD not in server.talk()

    # The archive knows where its index is.
    for command in (["scrub"], ["evidence", "--json"], ["quarantine", "list"], ["report", "-o", tmp_path / "report.html"]):
        done = firstlight(*command, "--data", data, env=environment)
        assert done.returncode == 0, done
    audited = firstlight("audit", images, data, env=environment)
    assert audited.returncode == 0, audited
    image, out = next(images.glob("*.dcm")), tmp_path / "out.dcm"
    sop = pydicom.dcmread(image, stop_before_pixels=True).SOPInstanceUID
    back = firstlight("restore", sop, "--data", data, "--output", out, env=environment)
    assert back.returncode == 0 and out.read_bytes() == image.read_bytes(), back
    again = Over(tmp_path, images, environment)
    frames_are_right(again, images)
    again.stop()
    # What is changed behind the index's back is found.
    database.ask("serve", "SET session_replication_role = replica; UPDATE firstlight.instances SET number = number + 1 WHERE id = 3")
    scrubbed = firstlight("scrub", "--data", data, env=environment)
    assert scrubbed.returncode != 0 and "instances 3" in scrubbed.stdout + scrubbed.stderr, scrubbed


def test_a_lost_index_is_made_anew(tmp_path, database):
    """The tables are gone; from the objects alone all is listed, found, converted and restored as before. Tables that are there are left alone."""
    address, environment, data, images = database.database("anew"), database.environment(), tmp_path / "data", tmp_path / "images"
    for seed in range(1, 9):
        # The order in which they came is lost: that of the answers is by date.
        make_image(images / f"{seed}.dcm", rows=200 + seed, columns=100, seed=seed, StudyInstanceUID=f"2.25.9{seed}", SeriesInstanceUID=f"2.25.8{seed}",
                   StudyDate=f"2026010{seed}", PatientName=f"Test^{'abcdefgh'[seed - 1]}")
    server = Over(tmp_path, images, environment, "--index", address)
    server.converted(8)
    paths = ("studies?includefield=all", "series?includefield=all", "instances?includefield=all", "studies?PatientName=*est*")
    plain = lambda found: [{tag: value for tag, value in row.items() if tag != "00081190"} for row in found]
    before = [plain(server.found(path)) for path in paths]
    server.stop()
    rebuild = ("rebuild-index", "--data", data)
    refused = firstlight(*rebuild, env=environment)
    assert refused.returncode == 2 and "is not empty" in refused.stderr, refused
    database.ask("anew", "DROP SCHEMA firstlight CASCADE")
    # One that was begun and lost with its tables too.
    process = subprocess.Popen([BINARY, *map(str, rebuild)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    process.kill()
    process.wait()
    database.ask("anew", "DROP SCHEMA IF EXISTS firstlight CASCADE")
    done = firstlight(*rebuild, env=environment)
    assert done.returncode == 0 and "8 instances listed" in done.stdout and "nothing lists" not in done.stdout, done
    for path in images.glob("*.dcm"):
        sop, out = pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID, tmp_path / "out.dcm"
        back = firstlight("restore", sop, "--data", data, "--output", out, "--force", env=environment)
        assert back.returncode == 0 and out.read_bytes() == path.read_bytes(), back
    scrubbed = firstlight("scrub", "--data", data, env=environment)
    assert scrubbed.returncode == 0, scrubbed
    (tmp_path / "nothing").mkdir()
    server = Over(tmp_path, tmp_path / "nothing", environment)
    assert [plain(server.found(path)) for path in paths] == before
    frames_are_right(server, images)
    server.stop()


def test_the_database_is_killed_and_comes_back(tmp_path, database):
    """At several moments of an import; what was acknowledged is whole, and the import goes on."""
    images, data = tmp_path / "images", tmp_path / "data"
    for seed in range(1, 121):
        make_image(images / f"{seed}.dcm", rows=60, columns=60, seed=seed)
    address, environment = database.database("killed"), database.environment()
    command = [BINARY, "import", images, "--data", data, "--index", address, "--jobs", "2", "--quiet"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    for _ in range(2):
        time.sleep(0.4)
        database.kill()
        database.start()
    talk = process.communicate(timeout=120)[1]
    # It waited, or said what was in the way: the same command goes on.
    if process.returncode:
        assert b"does not answer" in talk, talk
        assert subprocess.run(command, env=environment).returncode == 0
    count = "SELECT (SELECT count(*) FROM firstlight.instances), (SELECT value FROM firstlight.totals WHERE name = 'instances')"
    assert database.ask("killed", count) == "120|120"
    scrubbed = firstlight("scrub", "--data", data, env=environment)
    assert scrubbed.returncode == 0, scrubbed


def test_what_a_killed_server_acknowledged_is_whole(tmp_path, database):
    images, environment = tmp_path / "images", database.environment()
    for seed in range(1, 61):
        make_image(images / f"{seed}.dcm", rows=120, columns=120, seed=seed)
    address, killed = database.database("kill9"), 0
    for moment in (5, 30, 55):
        server = Over(tmp_path, images, environment, "--index", address)
        for _ in range(600):
            if int(database.ask("kill9", "SELECT count(*) FROM firstlight.instances")) >= moment:
                break
            time.sleep(0.02)
        killed += server.process.poll() is None
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        whole = firstlight("scrub", "--data", tmp_path / "data", env=environment)
        assert whole.returncode == 0, whole
    assert killed == 3
    server = Over(tmp_path, images, environment)
    server.converted(60)
    server.stop()
    left = database.ask("kill9", "SELECT count(*) FROM firstlight.jobs WHERE state < 2")
    assert left == "0" and firstlight("scrub", "--data", tmp_path / "data", env=environment).returncode == 0


class Worker:
    """`firstlight work` with a folder of its own."""

    def __init__(self, folder, environment, *flags):
        folder.mkdir()
        self.log = open(folder / "work.log", "w+")
        command = [BINARY, "work", "--data", folder / "data", "--jobs", "2", *flags]
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)

    def end(self, how=signal.SIGINT):
        """Ends it; returns its log."""
        self.process.send_signal(how)
        assert self.process.wait(timeout=60) in (0, 130, -signal.SIGKILL)
        self.log.seek(0)
        talk = self.log.read()
        assert "panicked" not in talk, talk
        return talk


def test_nodes_and_workers_share_the_work(tmp_path, database):
    """Two servers that convert nothing, three workers of which one is killed: each instance is converted once, whoever is asked has it."""
    pytest.importorskip("boto3", reason="moto and boto3 are not there: pip install -r tests/requirements.txt")
    pytest.importorskip("moto", reason="moto is not there: pip install -r tests/requirements.txt")
    from s3 import BUCKET, Store

    store = Store(tmp_path)
    try:
        images = tmp_path / "images"
        for seed in range(1, 41):
            make_image(images / f"{seed}.dcm", rows=400, columns=400, seed=seed)
        none = tmp_path / "none"
        none.mkdir()
        environment = store.environment(**database.environment())
        places = ("--index", database.database("many"), "--objects", f"s3://{BUCKET}/many")
        folders = [tmp_path / name for name in ("first", "second")]
        for folder in folders:
            folder.mkdir()
        first = Over(folders[0], images, environment, *places, "--no-convert")
        # The index knows where the objects are.
        second = Over(folders[1], none, environment, *places[:2], "--no-convert")
        workers = [Worker(tmp_path / f"worker{n}", environment, *places[:2]) for n in range(3)]
        done = "SELECT count(*) FROM firstlight.jobs WHERE state = 2"
        for _ in range(600):
            if int(database.ask("many", done)) >= 5:
                break
            time.sleep(0.05)
        workers[0].end(signal.SIGKILL)
        # What the killed one had leased waits for the end of its lease; the test does not.
        database.ask("many", "UPDATE firstlight.jobs SET until = 0 WHERE state = 1")
        for server in (first, second):
            server.converted(40)
            frames_are_right(server, images)
        talk = [worker.end() for worker in workers[1:]]
        assert all("conversion: " in one for one in talk), talk
        twice = "SELECT count(*), count(DISTINCT instance) FROM firstlight.evidence"
        assert database.ask("many", twice) == "40|40"
        kept = "SELECT (SELECT count(*) FROM firstlight.objects), (SELECT sum(value) FROM firstlight.totals WHERE name ~ '^objects')"
        assert database.ask("many", kept) == "80|80" and len(store.objects("many/objects/")) >= 80
        for server in (first, second):
            server.stop()
        scrubbed = firstlight("scrub", "--data", folders[1] / "data", env=environment)
        assert scrubbed.returncode == 0, scrubbed
    finally:
        store.stop()


def test_an_archive_keeps_to_its_index(tmp_path, database, images):
    """Elsewhere, or in its folder, it is not looked for; nothing is begun twice."""
    environment = database.environment()
    one, other = database.database("one"), database.database("other")
    assert firstlight("import", images, "--data", tmp_path / "far", "--index", one, env=environment).returncode == 0
    moved = firstlight("import", images, "--data", tmp_path / "far", "--index", other, env=environment)
    assert moved.returncode != 0 and f"its index is at {one}, not at {other}" in moved.stderr, moved
    assert firstlight("import", images, "--data", tmp_path / "near", env=environment).returncode == 0
    left = firstlight("import", images, "--data", tmp_path / "near", "--index", other, env=environment)
    assert left.returncode != 0 and "index.sqlite, not at" in left.stderr, left
    # Another folder has none of the objects that the index knows.
    second = firstlight("import", images, "--data", tmp_path / "second", "--index", one, env=environment)
    assert second.returncode != 0 and "the objects of this index are at" in second.stderr, second
    assert database.ask("other", "SELECT to_regnamespace('firstlight') IS NULL") == "t"


@pytest.mark.parametrize("wrong, words", [
    ({"address": "postgres://firstlight:secret-word@127.0.0.1/a"}, "holds a password"),
    ({"address": "postgres://firstlight@127.0.0.1/a?password=secret-word"}, "holds a password"),
    ({"address": "postgres:firstlight@127.0.0.1/a"}, "written postgres://user@host/database"),
    ({"address": "postgres://firstlight@127.0.0.1:1/a"}, "cannot be reached"),
    ({"name": "nobody_made_this"}, "no such database"),
    ({"FIRSTLIGHT_INDEX_PASSWORD": "secret-word"}, "does not let this user in"),
    ({"FIRSTLIGHT_INDEX_PASSWORD": "", "FIRSTLIGHT_INDEX_PASSWORD_FILE": "/nowhere/password"}, "cannot be read"),
    ({"FIRSTLIGHT_INDEX_PASSWORD": ""}, "asks for a password"),
    ({"query": "?sslmode=require"}, "cannot be"),
])
def test_what_is_wrong_with_the_database_is_one_line(tmp_path, database, images, wrong, words):
    address = wrong.get("address", f"postgres://firstlight@127.0.0.1:{database.port}/{wrong.get('name', 'postgres')}{wrong.get('query', '')}")
    environment = database.environment(**{name: value for name, value in wrong.items() if name.isupper()})
    done = firstlight("import", images, "--data", tmp_path / "data", "--index", address, env=environment)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and words in lines[0] and len(lines) <= 2, done
    assert "secret-word" not in done.stdout + done.stderr and postgres.PASSWORD not in done.stdout + done.stderr
    assert not (tmp_path / "data" / "index-at").exists()


def test_the_password_comes_from_a_file_and_the_line_is_encrypted(tmp_path, database, images):
    """With a certificate of an authority of our own; who does not know the authority is not let through."""
    password, place = tmp_path / "password", database.folder
    password.write_text(postgres.PASSWORD + "\n")
    for name, subject, signed in (("ca", "/CN=authority", []), ("server", "/CN=localhost", ["-CA", place / "ca.crt", "-CAkey", place / "ca.key"])):
        kind = "CA:TRUE" if name == "ca" else "CA:FALSE"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", subject,
                   "-keyout", place / f"{name}.key", "-out", place / f"{name}.crt", "-addext", f"basicConstraints=critical,{kind}",
                   "-addext", "subjectAltName=DNS:localhost", *signed]
        subprocess.run(command, check=True, capture_output=True)
    (place / "server.key").chmod(0o600)
    if database.owner:
        for name in ("server.key", "server.crt"):
            os.chown(place / name, database.owner.pw_uid, database.owner.pw_gid)
    for setting in ("ssl = on", f"ssl_cert_file = '{place}/server.crt'", f"ssl_key_file = '{place}/server.key'"):
        database.ask("postgres", f"ALTER SYSTEM SET {setting}")
    database.ask("postgres", "SELECT pg_reload_conf()")
    address = database.database("tls").replace("127.0.0.1", "localhost")
    environment = database.environment(FIRSTLIGHT_INDEX_PASSWORD="", FIRSTLIGHT_INDEX_PASSWORD_FILE=str(password))
    unknown = firstlight("import", images, "--data", tmp_path / "data", "--index", f"{address}?sslmode=require", env=environment)
    assert unknown.returncode != 0 and "cannot be reached" in unknown.stderr, unknown
    known = f"{address}?sslmode=require&sslrootcert={place}/ca.crt"
    server = Over(tmp_path, images, environment, "--index", known)
    server.converted(8)
    encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.datname = 'tls' AND starts_with(a.application_name, 'firstlight')"
    assert database.ask("tls", encrypted) == "t"
    server.stop()
