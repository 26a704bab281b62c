"""Deleting: over HTTP and by command, beside a server; back within the grace time, and after it no byte is left in the store."""
import io
import os
import random
import subprocess
import threading
import time

import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient

from common import BINARY, firstlight, make_image
from served import Served

KILLS = int(os.environ.get("FIRSTLIGHT_DELETE_KILLS", 4))
STUDIES = 3


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """UID -> path of 12 small images of three studies, each with its own words."""
    folder = tmp_path_factory.mktemp("images")
    paths = {}
    for n in range(12):
        study = n % STUDIES
        path = make_image(folder / f"{n}.dcm", rows=60, columns=60 + n, seed=n, StudyInstanceUID=f"2.25.7{study}",
                          SeriesInstanceUID=f"2.25.8{study}", PatientName=f"Unforgettable^Patient{study}", ImageComments=f"said of {n:02}")
        paths[f"2.25.{10**20 + n}"] = path
    return paths


@pytest.fixture
def server(tmp_path, images):
    server = Served(tmp_path, next(iter(images.values())).parent)
    server.data = tmp_path / "data"
    wait(lambda: "firstlight_instances 12\n" in (told := metrics(server)) and "firstlight_instances_pending 0\n" in told)
    yield server
    server.stop()


def wait(done):
    since = time.monotonic()
    while not done():
        assert time.monotonic() < since + 120, "it does not come"
        time.sleep(0.1)


def metrics(server):
    return requests.get(server.root + "/metrics", timeout=60).text


def path_of(uid):
    study = (int(uid[5:]) - 10**20) % STUDIES
    return f"/studies/2.25.7{study}/series/2.25.8{study}/instances/{uid}"


def retrieve(server, uid):
    reply = requests.get(server.dicomweb + path_of(uid), headers={"Accept": "application/dicom; transfer-syntax=*"}, timeout=60)
    return reply.content if reply.status_code == 200 else reply.status_code


def restored(server, uid, images):
    """What was received, given back, is what came in."""
    out = server.data.parent / f"{uid}.dcm"
    done = firstlight("restore", uid, "--data", server.data, "-o", out, "--force")
    assert done.returncode == 0, done.stderr
    return out.read_bytes() == images[uid].read_bytes()


def delete(server, *words):
    return firstlight("delete", *words, "--data", server.data)


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def traces(server, uid):
    """Runs of bytes by which what is stored of an instance would be known: of each of its objects, of its words, of its UID."""
    found = [uid.encode(), f"said of {int(uid[5:]) - 10**20:02}".encode()]
    objects = [path.read_bytes() for path in files(server.data / "objects")]
    for data in objects:
        if uid.encode() in data:
            found += [data[at : at + 48] for at in range(len(data) // 2, len(data) - 48, 500)]
    assert len(found) > 10
    return found


def holding(folder, runs):
    contents = [(path, path.read_bytes()) for path in files(folder)]
    return [path.name for path, data in contents if any(run in data for run in runs)]


def open_files(process):
    """Files that the server has open and that have no name any more."""
    links = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")]
    return [link for link in links if "/objects/" in link and link.endswith("(deleted)")]


def test_a_dicomweb_client_deletes(server, images):
    client = DICOMwebClient(server.dicomweb)
    uids = list(images)
    client.delete_instance("2.25.70", "2.25.80", uids[0])
    client.delete_series("2.25.71", "2.25.81")
    client.delete_study("2.25.72")
    left = {row["00080018"]["Value"][0] for row in client.search_for_instances()}
    assert left == {uids[3], uids[6], uids[9]}
    assert [row["0020000D"]["Value"][0] for row in client.search_for_studies()] == ["2.25.70"]
    for uid in uids:
        found = retrieve(server, uid)
        assert (found != 404) == (uid in left)
    with pytest.raises(requests.HTTPError) as refused:
        client.delete_study("2.25.72")
    assert refused.value.response.status_code == 404
    assert "firstlight_deleted_instances_total 9\n" in metrics(server)
    # All of it comes back, while it is served.
    listed = delete(server, "--list").stdout.splitlines()
    assert len(listed) == 3 and "study 2.25.72: 4 instances" in listed[2]
    done = delete(server, "--undo", uids[0], "2.25.81", listed[2].split()[0])
    assert done.returncode == 0 and done.stdout.count("back") == 3, done.stderr
    assert all(restored(server, uid, images) for uid in uids)
    assert len(client.search_for_instances()) == 12 and delete(server, "--list").stdout == ""


def test_after_its_time_no_byte_is_left(server, images):
    uids = list(images)
    gone, neighbour = uids[1], uids[4]
    # The server has seen it, drawn it and keeps its files open.
    for below in ("/rendered", "/frames/1", "/metadata", "/thumbnail"):
        assert requests.get(server.dicomweb + path_of(gone) + below, timeout=60).status_code == 200
    series = server.dicomweb + "/studies/2.25.71/series/2.25.81/metadata"
    assert requests.get(series, timeout=60).status_code == 200
    before, runs = retrieve(server, neighbour), traces(server, gone)
    assert len(holding(server.data, runs)) >= 3
    done = delete(server, gone, "--grace", "0m", "--purge")
    assert done.returncode == 0 and f"gone  instance {gone}" in done.stdout, done.stderr
    assert retrieve(server, gone) == 404 and retrieve(server, neighbour) == before
    wait(lambda: not open_files(server.process))
    assert holding(server.data, runs) == []
    assert len(requests.get(series, timeout=60).json()) == 3
    assert all(restored(server, uid, images) for uid in uids if uid != gone)
    assert delete(server, "--undo", gone).returncode == 1
    assert firstlight("scrub", "--data", server.data).returncode == 0
    # It may come once more, and is new.
    stored = requests.post(server.dicomweb + "/studies", data=images[gone].read_bytes(), headers={"Content-Type": "application/dicom"}, timeout=60)
    assert stored.status_code == 200 and restored(server, gone, images)


def test_what_is_held_stays(server, images):
    uids = list(images)
    done = firstlight("hold", "2.25.70", "--reason", "a trial", "--data", server.data)
    assert done.returncode == 0, done.stderr
    listed = firstlight("hold", "--data", server.data).stdout
    assert listed.startswith("2.25.70") and "a trial" in listed
    assert requests.delete(server.dicomweb + "/studies/2.25.70", timeout=60).status_code == 409
    done = delete(server, uids[0], uids[1])
    assert done.returncode == 1 and "its study is held" in done.stderr and f"deleted  instance {uids[1]}" in done.stdout
    assert firstlight("hold", "--release", "2.25.70", "--data", server.data).returncode == 0
    assert firstlight("hold", "--release", "2.25.70", "--data", server.data).returncode == 1
    assert requests.delete(server.dicomweb + "/studies/2.25.70", timeout=60).status_code == 204
    assert delete(server, "2.25.999").returncode == 1


def test_a_killed_purge_is_ended_by_the_next(tmp_path, images):
    place, random_moment = tmp_path / "archive", random.Random(7)
    for kill in range(KILLS):
        data = place / str(kill)
        done = firstlight("import", *images.values(), "--data", data)
        assert done.returncode == 0, done.stderr
        words = [BINARY, "delete", "2.25.70", "2.25.71", "--grace", "0m", "--purge", "--data", data]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        time.sleep(random_moment.uniform(0.01, 0.15))
        process.kill()
        process.wait()
        done = firstlight("delete", "--purge", "--data", data)
        assert done.returncode == 0, done.stderr
        assert firstlight("delete", "--list", "--data", data).stdout == ""
        assert firstlight("scrub", "--data", data).returncode == 0
        kept = {uid: path.read_bytes() for uid, path in images.items() if firstlight("restore", uid, "--data", data).returncode == 0}
        # What is there is whole, and nothing else is left; of a study all goes, or nothing.
        assert sorted(path.read_bytes() for path in files(data / "objects")) == sorted(kept.values())
        assert len(kept) in (4, 8, 12)


def test_a_killed_server_keeps_what_it_said(tmp_path, images):
    assert firstlight("import", *images.values(), "--data", tmp_path / "data").returncode == 0
    (tmp_path / "nothing").mkdir()
    moment, told = random.Random(5), 0
    for kill in range(KILLS):
        server, deleted, either = Served(tmp_path, tmp_path / "nothing", "--grace", "0m"), set(), set()
        timer = threading.Timer(moment.uniform(0.02, 0.3), server.process.kill)
        timer.start()
        for uid in moment.sample(sorted(images), len(images)):
            try:
                reply = requests.delete(server.dicomweb + path_of(uid), timeout=60)
            except requests.RequestException:
                either.add(uid)
                break
            assert reply.status_code == 204, reply.text
            deleted.add(uid)
        timer.join()
        server.process.kill()
        server.process.wait()
        told += len(deleted)
        # The next one goes on with what was begun.
        server = Served(tmp_path, tmp_path / "nothing")
        for uid, path in images.items():
            gone = retrieve(server, uid) == 404
            assert gone or uid not in deleted, (kill, uid)
            assert restored_by(server, uid, path) or gone and uid in deleted | either, (kill, uid)
        wait(lambda: delete_list(tmp_path / "data") == "")
        for uid in deleted | either:
            stored = requests.post(server.dicomweb + "/studies", data=images[uid].read_bytes(), headers={"Content-Type": "application/dicom"}, timeout=60)
            assert stored.status_code == 200, stored.text
        server.stop()
    assert firstlight("scrub", "--data", tmp_path / "data").returncode == 0
    assert told > 0


def restored_by(server, uid, path):
    """It is there, whatever it was converted to by now: its pixels are what came in."""
    headers = {"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}
    reply = requests.get(server.dicomweb + path_of(uid), headers=headers, timeout=60)
    return reply.status_code == 200 and pydicom.dcmread(io.BytesIO(reply.content)).PixelData == pydicom.dcmread(path).PixelData


def delete_list(data):
    return firstlight("delete", "--list", "--data", data).stdout


def test_words(tmp_path, images):
    assert firstlight("import", *images.values(), "--data", tmp_path / "data").returncode == 0
    for words, code, said in [
        (("delete", "--data", tmp_path / "data"), 2, "nothing was named to be deleted"),
        (("delete", "2.25.70", "--grace", "soon", "--data", tmp_path / "data"), 2, "\"soon\" is no time"),
        (("delete", "2.25.70", "--data", tmp_path / "none"), 2, "holds no archive"),
        (("hold", "no-uid", "--data", tmp_path / "data"), 1, "is no UID"),
    ]:
        done = firstlight(*words)
        assert done.returncode == code and said in done.stderr, done.stderr
