"""Objects in S3: the suites of the store against one that runs, and whole commands over it."""
import hashlib
import json
import os
import signal
import subprocess
import time
import urllib.request

import pydicom
import pytest

from common import BINARY, ROOT, firstlight, make_image

boto3 = pytest.importorskip("boto3", reason="moto and boto3 are not there: pip install -r tests/requirements.txt")
pytest.importorskip("moto", reason="moto is not there: pip install -r tests/requirements.txt")

from s3 import BUCKET, SECRET, Store
from served import Served

PLAIN = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    yield store
    store.stop()


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for seed in range(1, 9):
        make_image(folder / f"{seed}.dcm", rows=300 + seed, columns=200, seed=seed)
    return folder


def test_the_suites_of_the_store(store):
    """Those of the crate, which need a store that runs."""
    environment = store.environment(FIRSTLIGHT_TEST_S3=store.address)
    command = ["cargo", "test", "--workspace", "--locked", "--lib", "--quiet", "--", "--ignored", "objects::s3::tests", "--test-threads", "4"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    ran = sum(int(line.split()[3]) for line in done.stdout.splitlines() if line.startswith("test result: ok."))
    assert done.returncode == 0 and ran >= 9, done.stdout + done.stderr


class Over(Served):
    """A server whose objects are in the store."""

    def __init__(self, folder, images, store, *flags, **more):
        old = dict(os.environ)
        os.environ.clear()
        os.environ.update(store.environment(**more))
        try:
            super().__init__(folder, images, *flags)
        finally:
            os.environ.clear()
            os.environ.update(old)

    def get(self, path, accept):
        request = urllib.request.Request(f"{self.dicomweb}/{path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def wait_for(self, instances, syntax=None):
        """Until so many instances are there, converted where a syntax is named."""
        found = []
        for _ in range(600):
            found = json.loads(self.get("instances?includefield=AvailableTransferSyntaxUID", "application/dicom+json") or b"[]")
            current = [entry.get("00083002", {}).get("Value", [None])[0] for entry in found]
            if len(found) == instances and (syntax is None or all(one in syntax for one in current)):
                return found
            time.sleep(0.1)
        raise AssertionError(f"{len(found)} of {instances}: {self.talk()}")


def frames_are_right(server, images):
    for path in images.glob("*.dcm"):
        image = pydicom.dcmread(path)
        where = f"studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}/instances/{image.SOPInstanceUID}/frames/1"
        assert server.get(where, PLAIN)[: len(image.PixelData)] == image.PixelData, path


def test_serve_with_objects_in_s3(tmp_path, store, images):
    """Import, conversion, frames, a restart, and a scrub that finds what was damaged in the bucket."""
    place = f"s3://{BUCKET}/serve"
    server = Over(tmp_path, images, store, "--objects", place)
    server.wait_for(8)
    frames_are_right(server, images)
    for _ in range(600):
        # What was received, and what was made of it.
        if len(store.objects("serve/objects/")) == 16:
            break
        time.sleep(0.1)
    server.stop()
    data, kept = tmp_path / "data", store.objects("serve/objects/")
    assert len(kept) == 16 and not store.objects("serve/probe/")
    for key, size in kept.items():
        body = store.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        assert (len(body), key) == (size, f"serve/objects/{key.split('/')[-1][:2]}/{hashlib.sha256(body).hexdigest()}")
    assert not (data / "objects").exists()

    # The archive knows where they are; what is near already needs no store.
    again = Over(tmp_path, images, store)
    frames_are_right(again, images)
    again.stop()
    assert firstlight("scrub", "--data", data, env=store.environment()).returncode == 0
    audited = firstlight("audit", images, data, env=store.environment())
    assert audited.returncode == 0, audited
    spoiled = sorted(kept)[3]
    store.client.put_object(Bucket=BUCKET, Key=spoiled, Body=b"\0" * kept[spoiled])
    scrubbed = firstlight("scrub", "--data", data, env=store.environment())
    assert scrubbed.returncode != 0 and spoiled.split("/")[-1] in scrubbed.stdout + scrubbed.stderr, scrubbed


def test_an_archive_keeps_to_its_objects(tmp_path, store, images):
    """Elsewhere, or on the local disk, they are not looked for; nothing is begun twice."""
    environment = store.environment()
    done = firstlight("import", images, "--data", tmp_path / "far", "--objects", f"s3://{BUCKET}/one", env=environment)
    assert done.returncode == 0, done
    other = firstlight("import", images, "--data", tmp_path / "far", "--objects", f"s3://{BUCKET}/other", env=environment)
    assert other.returncode != 0 and f"its objects are at s3://{BUCKET}/one" in other.stderr, other
    assert firstlight("import", images, "--data", tmp_path / "near", env=environment).returncode == 0
    moved = firstlight("import", images, "--data", tmp_path / "near", "--objects", f"s3://{BUCKET}/other", env=environment)
    assert moved.returncode != 0 and "its objects are at" in moved.stderr, moved
    assert not store.objects("other/")
    # What came in can be had again as it came.
    image = next(images.glob("*.dcm"))
    sop = pydicom.dcmread(image, stop_before_pixels=True).SOPInstanceUID
    out = tmp_path / "out.dcm"
    back = firstlight("restore", sop, "--data", tmp_path / "far", "--output", out, env=environment)
    assert back.returncode == 0, back
    assert out.read_bytes() == image.read_bytes()


@pytest.mark.parametrize("wrong, words", [
    ({"FIRSTLIGHT_S3_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached"),
    ({"FIRSTLIGHT_S3_CREDENTIALS": "/nowhere/credentials"}, "cannot be read"),
    ({"bucket": "nobody-made-this"}, "no such bucket"),
    ({"address": "s3:/typo"}, "written s3://bucket/prefix"),
    ({"FIRSTLIGHT_S3_ENDPOINT": "http://s3.example.org"}, "cannot be"),
])
def test_what_is_wrong_with_the_store_is_one_line(tmp_path, store, images, wrong, words):
    place = wrong.get("address", f"s3://{wrong.get('bucket', BUCKET)}/x")
    environment = store.environment(**{name: value for name, value in wrong.items() if name.isupper()})
    done = firstlight("import", images, "--data", tmp_path / "data", "--objects", place, env=environment)
    lines = done.stderr.strip().splitlines()
    assert done.returncode != 0 and words in lines[0] and len(lines) <= 2, done
    assert SECRET not in done.stdout + done.stderr


def test_credentials_come_from_a_file_too(tmp_path, store, images):
    credentials = tmp_path / "credentials"
    credentials.write_text(f"[default]\naws_access_key_id = test\naws_secret_access_key = {SECRET}\n")
    environment = store.environment(FIRSTLIGHT_S3_CREDENTIALS=str(credentials))
    del environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    done = firstlight("import", images, "--data", tmp_path / "data", "--objects", f"s3://{BUCKET}/file", env=environment)
    assert done.returncode == 0 and len(store.objects("file/objects/")) == 8, done


def test_what_a_killed_import_acknowledged_is_whole(tmp_path, store):
    """Killed at several moments; each time what the index has is in the bucket, under its hash."""
    images, data = tmp_path / "images", tmp_path / "data"
    for seed in range(1, 61):
        make_image(images / f"{seed}.dcm", rows=100, columns=100, seed=seed)
    command = [BINARY, "import", images, "--data", data, "--objects", f"s3://{BUCKET}/killed", "--jobs", "2", "--quiet"]
    environment, killed = store.environment(), 0
    for moment in (5, 20, 40):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(store.objects("killed/objects/")) < moment:
            time.sleep(0.02)
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        whole = firstlight("scrub", "--data", data, env=environment)
        assert whole.returncode == 0, whole
    assert killed
    assert subprocess.run(command, env=environment).returncode == 0
    assert firstlight("scrub", "--data", data, env=environment).returncode == 0
    assert len(store.objects("killed/objects/")) == 60
