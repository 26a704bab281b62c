"""An archive on its way: from a file and a disk to PostgreSQL and S3 and back, killed between, while it is served; nothing of it changes."""
import hashlib
import os
import random
import shutil
import subprocess
import time

import pytest
import requests

import postgres
from common import BINARY, firstlight, make_image
from served import Served

boto3 = pytest.importorskip("boto3", reason="moto and boto3 are not there: pip install -r tests/requirements.txt")
pytest.importorskip("moto", reason="moto is not there: pip install -r tests/requirements.txt")

from s3 import BUCKET, Store

if postgres.programs() is None:
    pytest.skip("PostgreSQL is not there: scripts/setup.sh test installs it", allow_module_level=True)

COUNT = 20
KILLS = int(os.environ.get("FIRSTLIGHT_MOVE_KILLS", 5))


@pytest.fixture(scope="module")
def database():
    server = postgres.Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    yield store
    store.stop()


@pytest.fixture(scope="module")
def environment(database, store):
    """What reaches both."""
    return store.environment(**{name: value for name, value in database.environment().items() if name == "FIRSTLIGHT_INDEX_PASSWORD"})


def image(folder, n):
    return make_image(folder / f"{n}.dcm", rows=40, columns=1100 if n % 3 == 0 else 70, seed=n, StudyInstanceUID=f"2.25.7{n % 4}", SeriesInstanceUID=f"2.25.8{n % 4}",
                      PatientName=f"Patient^Nr{n % 4}", PatientID=f"P{n % 4}", StudyDate=f"2026010{n % 4 + 1}", SeriesNumber=1)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """SOP Instance UID -> path."""
    folder = tmp_path_factory.mktemp("images")
    return {f"2.25.{10**20 + n}": image(folder, n) for n in range(COUNT)}


@pytest.fixture(scope="module")
def made(tmp_path_factory, images):
    """An archive with all of them converted, one of them deleted, one study held, a key of a program, and what can't be served."""
    data = tmp_path_factory.mktemp("made") / "archive"
    strange = data.parent / "strange.dcm"
    strange.write_bytes(next(iter(images.values())).read_bytes()[:400])
    assert firstlight("import", *images.values(), strange, "--data", data).returncode in (0, 1)
    assert firstlight("rebuild-index", "--data", data).returncode == 2  # it has one
    worker = subprocess.Popen([BINARY, "serve", "--data", data, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)
    root = worker.stdout.readline().split("http://")[1].split("/")[0]
    for _ in range(600):
        if "firstlight_instances_pending 0\n" in requests.get(f"http://{root}/metrics", timeout=60).text:
            break
        time.sleep(0.1)
    worker.terminate()
    worker.wait()
    for command in (("delete", "2.25.71", "--data", data), ("hold", "2.25.72", "--reason", "a trial", "--data", data)):
        done = firstlight(*command)
        assert done.returncode == 0, done.stderr
    return data


def copy_of(made, folder):
    shutil.copytree(made, folder / "archive")
    return folder / "archive"


class Over(Served):
    """A server with what its engines need."""

    def __init__(self, folder, images, environment, *flags):
        old = dict(os.environ)
        os.environ.clear()
        os.environ.update(environment)
        try:
            super().__init__(folder, images, *flags)
        finally:
            os.environ.clear()
            os.environ.update(old)


def serve(tmp_path, data, environment):
    (tmp_path / "nothing").mkdir(exist_ok=True)
    (tmp_path / "data").unlink(missing_ok=True)
    (tmp_path / "data").symlink_to(data)
    return Over(tmp_path, tmp_path / "nothing", environment)


def searches(server):
    found = []
    for path in ("/studies?includefield=all", "/studies?PatientName=*Nr2*", "/series?includefield=all", "/instances?includefield=all&limit=1000"):
        rows = requests.get(server.dicomweb + path, timeout=60).json()
        assert rows, path
        found.append([{tag: value for tag, value in row.items() if tag != "00081190"} for row in rows])
    return found


def stored(server):
    """What is handed out of every instance, by its hash, as it is stored and as it came."""
    found = {}
    for row in requests.get(server.dicomweb + "/instances?limit=1000", timeout=60).json():
        study, series, sop = (row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
        answer = requests.get(f"{server.dicomweb}/studies/{study}/series/{series}/instances/{sop}", headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}, timeout=60)
        assert answer.status_code == 200, answer.text
        boundary = answer.content.split(b"\r\n", 1)[0]
        found[sop] = hashlib.sha256(answer.content.replace(boundary, b"")).hexdigest()
    return found


def answers(tmp_path, data, environment):
    server = serve(tmp_path, data, environment)
    try:
        return searches(server), stored(server)
    finally:
        server.stop()


def is_whole(tmp_path, data, images, environment):
    done = firstlight("scrub", "--data", data, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    for uid, path in images.items():
        if path.stem.isdigit() and int(path.stem) % 4 == 1:
            continue  # deleted
        done = firstlight("restore", uid, "--data", data, "-o", tmp_path / "back.dcm", "--force", env=environment)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "back.dcm").read_bytes() == path.read_bytes(), uid


def moved(*arguments, environment):
    done = firstlight("move", *arguments, env=environment)
    assert done.returncode == 0 and done.stdout.startswith("moved: "), done.stdout + done.stderr
    return done.stdout


def test_there_and_back(tmp_path, made, images, database, store, environment):
    """A file and a disk -> PostgreSQL and S3 -> a file and a disk: the same answers and the same bytes, from each."""
    data, far, back = copy_of(made, tmp_path), tmp_path / "far", tmp_path / "back"
    before = {path: path.read_bytes() for path in (data / "objects").rglob("*") if path.is_file()}
    expected = answers(tmp_path, data, environment)
    address, objects = database.database("there"), f"s3://{BUCKET}/there"
    plan = firstlight("move", far, "--data", data, "--to-index", address, "--to-objects", objects, "--dry-run", env=environment)
    assert plan.returncode == 0 and f"would move {len(before)} objects" in plan.stdout and not far.exists(), plan
    said = moved(far, "--data", data, "--to-index", address, "--to-objects", objects, environment=environment)
    assert f"{len(before)} objects copied" in said and "rows compared" in said, said
    assert not (far / "objects").exists() and len(store.objects("there/")) == len(before)
    assert answers(tmp_path, far, environment) == expected
    is_whole(tmp_path, far, images, environment)
    # What was deleted can still come back.
    again = firstlight("move", far, "--data", data, "--to-index", address, "--to-objects", objects, env=environment)
    assert again.returncode == 0 and "was moved" in again.stdout, again
    moved(back, "--data", far, environment=environment)
    assert answers(tmp_path, back, environment) == expected
    is_whole(tmp_path, back, images, environment)
    assert {path.relative_to(back): path.read_bytes() for path in (back / "objects").rglob("*") if path.is_file()} == {
        path.relative_to(data): content for path, content in before.items()}
    assert firstlight("delete", "--undo", "2.25.71", "--data", back).returncode == 0
    assert "held" in (done := firstlight("delete", "2.25.72", "--data", back)).stderr and done.returncode != 0, done
    # The old one was only read.
    assert {path: path.read_bytes() for path in (data / "objects").rglob("*") if path.is_file()} == before
    assert answers(tmp_path, data, environment) == expected


@pytest.mark.parametrize("index, objects", [(True, False), (False, True), (False, False)])
def test_any_pair(tmp_path, made, images, database, store, environment, index, objects):
    data, to = copy_of(made, tmp_path), tmp_path / "to"
    flags = ["--to-index", database.database(f"pair{int(objects)}")] if index else []
    flags += ["--to-objects", f"s3://{BUCKET}/pair{int(index)}"] if objects else []
    expected = answers(tmp_path, data, environment)
    moved(to, "--data", data, *flags, environment=environment)
    assert answers(tmp_path, to, environment) == expected
    is_whole(tmp_path, to, images, environment)


@pytest.mark.parametrize("far", [True, False])
def test_killed(tmp_path, made, images, database, store, environment, far):
    """At any moment: the same command goes on, and nobody opens the new place before."""
    data, to, moment = copy_of(made, tmp_path), tmp_path / "to", random.Random(7)
    flags = ["--to-index", database.database("killed"), "--to-objects", f"s3://{BUCKET}/killed"] if far else []
    began = time.monotonic()
    moved(tmp_path / "once", "--data", data, environment=environment)
    longest = (time.monotonic() - began) * (4 if far else 1)
    for _ in range(KILLS):
        process = subprocess.Popen([BINARY, "move", to, "--data", data, *flags], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        time.sleep(moment.uniform(0.05, longest))
        process.kill()
        process.wait()
        if (to / "moving").exists():
            done = firstlight("scrub", "--data", to, env=environment)
            assert done.returncode == 2 and "is being moved" in done.stderr and "hint" in done.stderr, done
    done = firstlight("move", to, "--data", data, *flags, env=environment)
    assert done.returncode == 0, done
    expected = answers(tmp_path, data, environment)
    assert answers(tmp_path, to, environment) == expected
    is_whole(tmp_path, to, images, environment)


def test_while_it_is_served(tmp_path, made, images, database, store, environment):
    """Most of it goes while the archive is in use; the last run takes what came, changed and went since."""
    data, to = copy_of(made, tmp_path), tmp_path / "to"
    flags = ["--data", data, "--to-index", database.database("served"), "--to-objects", f"s3://{BUCKET}/served"]
    server = serve(tmp_path, data, environment)
    try:
        for _ in range(2):
            done = firstlight("move", to, *flags, env=environment)
            assert done.returncode == 1 and "is in use" in done.stderr and "takes what came since" in done.stderr, done
        assert "0 objects copied" in done.stderr, done
        more = image(tmp_path / "more", 42)
        assert firstlight("import", more, "--data", data).returncode == 0
        assert firstlight("delete", "2.25.70", "--data", data, "--grace", "0m").returncode == 0
        done = firstlight("delete", "--undo", "2.25.71", "--data", data)
        assert done.returncode == 0, done
        for _ in range(600):
            if "firstlight_instances_pending 0\n" in requests.get(server.root + "/metrics", timeout=60).text:
                break
            time.sleep(0.1)
    finally:
        server.stop()
    done = firstlight("delete", "--purge", "--data", data)
    assert done.returncode == 0, done
    said = moved(to, *flags, environment=environment)
    assert " there before" in said and " 0 there before" not in said, said
    expected = answers(tmp_path, data, environment)
    assert answers(tmp_path, to, environment) == expected
    assert "2.25." + str(10**20 + 42) in expected[1]
    # What was deleted for good is not in the new place either.
    names = {path.parent.name + path.name for path in (data / "objects").rglob("*") if path.is_file()}
    assert {key.split("/", 1)[1].replace("/", "")[-64:] for key in store.objects("served/")} == names
    done = firstlight("scrub", "--data", to, env=environment)
    assert done.returncode == 0, done


def test_what_is_in_the_way(tmp_path, made, database, store, environment):
    """Nothing is mixed with what somebody else has, and what is not whole is not moved."""
    data, other = copy_of(made, tmp_path), tmp_path / "other"
    taken, address, prefix = tmp_path / "taken", database.database("taken"), f"s3://{BUCKET}/taken"
    moved(taken, "--data", data, "--to-index", address, "--to-objects", prefix, environment=environment)
    full = tmp_path / "full"
    full.mkdir()
    (full / "letter.txt").write_text("mine")
    for arguments, said in [
        ((full,), "is not empty"),
        ((data,), "is not empty"),
        ((other, "--to-index", address), "has an archive of its own"),
        ((other, "--to-objects", prefix), "has objects of its own"),
        ((other, "--to-index", "postgres://ann:secret@h/one"), "holds a password"),
        ((other, "--to-objects", "nowhere"), "is no address of objects"),
    ]:
        done = firstlight("move", *arguments, "--data", data, env=environment)
        assert done.returncode == 2 and said in done.stderr and "hint:" in done.stderr, done
        assert "secret" not in done.stderr
    assert (full / "letter.txt").read_text() == "mine" and len(list(full.iterdir())) <= 2
    # An object is damaged: the rest goes, and the new place stays closed until it is mended.
    victim = next(path for path in sorted((data / "objects").rglob("*")) if path.is_file())
    sound = victim.read_bytes()
    victim.chmod(0o600)
    victim.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    done = firstlight("move", other, "--data", data, env=environment)
    assert done.returncode == 1 and "its bytes are not what was stored" in done.stderr, done
    assert firstlight("scrub", "--data", other).returncode == 2
    victim.write_bytes(sound)
    done = moved(other, "--data", data, environment=environment)
    assert "1 object copied" in done, done
    # Another archive does not go where this one went.
    second = tmp_path / "second"
    shutil.copytree(data, second)
    done = firstlight("move", other, "--data", second, env=environment)
    assert done.returncode == 2 and "is not empty" in done.stderr, done
