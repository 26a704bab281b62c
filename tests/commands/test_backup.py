"""A restore drill: an archive is backed up while it is served, its index is lost, and all of it comes back, byte for byte."""
import os
import random
import subprocess
import time

import pytest
import requests

from common import BINARY, firstlight, make_image
from served import Served

COUNT = 24
KILLS = int(os.environ.get("FIRSTLIGHT_BACKUP_KILLS", 4))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """UID -> path of images of four studies; every third is large enough to be HTJ2K."""
    folder = tmp_path_factory.mktemp("images")
    paths = {}
    for n in range(COUNT):
        columns = 1100 if n % 3 == 0 else 70
        path = make_image(folder / f"{n}.dcm", rows=40, columns=columns, seed=n, StudyInstanceUID=f"2.25.7{n % 4}", SeriesInstanceUID=f"2.25.8{n % 4}",
                          PatientName=f"Patient^Nr{n % 4}", PatientID=f"P{n % 4}", StudyDate=f"2026010{n % 4 + 1}", SeriesNumber=1)
        paths[f"2.25.{10**20 + n}"] = path
    return paths


def serve(folder, data, images):
    """A server of an archive that has all images, and nothing that waits."""
    (folder / "nothing").mkdir(exist_ok=True)
    (folder / "data").unlink(missing_ok=True)
    (folder / "data").symlink_to(data)
    server = Served(folder, next(iter(images.values())).parent)
    since = time.monotonic()
    while "firstlight_instances_pending 0\n" not in (told := requests.get(server.root + "/metrics", timeout=60).text) or f"firstlight_instances {COUNT}\n" not in told:
        assert time.monotonic() < since + 120, told
        time.sleep(0.1)
    return server


def searches(server):
    found = []
    for path in ("/studies?includefield=all", "/studies?PatientName=*Nr2*", "/series?includefield=all", "/instances?includefield=all&limit=1000"):
        for row in requests.get(server.dicomweb + path, timeout=60).json():
            row = {tag: value for tag, value in row.items() if tag != "00081190"}
            found.append(str(row))
    return found


def all_come_back(data, images, folder):
    for uid, path in images.items():
        done = firstlight("restore", uid, "--data", data, "-o", folder / "back.dcm", "--force")
        assert done.returncode == 0, done.stderr
        assert (folder / "back.dcm").read_bytes() == path.read_bytes(), uid
    done = firstlight("scrub", "--data", data)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_restore_drill(tmp_path, images):
    data, backup = tmp_path / "archive", tmp_path / "backup"
    data.mkdir()
    server = serve(tmp_path, data, images)
    try:
        before = searches(server)
        done = firstlight("backup", backup, "--data", data)
        assert done.returncode == 0 and " 0 there before" in done.stderr, done.stderr
        again = firstlight("backup", backup, "--data", data)
        assert again.returncode == 0 and "0 objects copied" in again.stderr, again.stderr
    finally:
        server.stop()
    # The index is lost: it is made again from the objects.
    for path in data.glob("index.sqlite*"):
        path.unlink()
    done = firstlight("rebuild-index", "--data", data)
    assert done.returncode == 0 and f"{COUNT} instances listed" in done.stdout, done.stdout + done.stderr
    assert "nothing lists" not in done.stdout
    all_come_back(data, images, tmp_path)
    # All is lost: the backup takes its place.
    (backup / "index.backup").rename(backup / "index.sqlite")
    all_come_back(backup, images, tmp_path)
    for place in (data, backup):
        server = serve(tmp_path, place, images)
        try:
            assert searches(server) == before, place
        finally:
            server.stop()


def test_a_killed_backup_leaves_the_one_before_or_this_one(tmp_path, images):
    data, backup, moment = tmp_path / "archive", tmp_path / "backup", random.Random(3)
    first, rest = list(images.values())[:8], list(images.values())[8:]
    assert firstlight("import", *first, "--data", data).returncode == 0
    assert firstlight("backup", backup, "--data", data, "-q").returncode == 0
    assert firstlight("import", *rest, "--data", data).returncode == 0
    for _ in range(KILLS):
        process = subprocess.Popen([BINARY, "backup", backup, "--data", data], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moment.uniform(0.005, 0.06))
        process.kill()
        process.wait()
        copy = tmp_path / "copy"
        subprocess.run(["rm", "-rf", copy], check=True)
        subprocess.run(["cp", "-a", backup, copy], check=True)
        (copy / "index.backup").rename(copy / "index.sqlite")
        done = firstlight("scrub", "--data", copy)
        assert done.returncode == 0, done.stdout + done.stderr
    assert firstlight("backup", backup, "--data", data, "-q").returncode == 0
    (backup / "index.backup").rename(backup / "index.sqlite")
    all_come_back(backup, images, tmp_path)


def test_words(tmp_path, images):
    data = tmp_path / "archive"
    assert firstlight("import", *list(images.values())[:2], "--data", data).returncode == 0
    for words, said in [
        (("backup", data, "--data", data), "is no backup, and not empty"),
        (("backup", tmp_path / "b", "--data", tmp_path / "none"), "holds no archive"),
        (("rebuild-index", "--data", data), "move it away first"),
        (("rebuild-index", "--data", tmp_path / "none"), "is not there"),
    ]:
        done = firstlight(*words)
        assert done.returncode == 2 and said in done.stderr, done.stderr
