"""`firstlight restore` from an archive, and what was received let go by `serve` on request."""
import pathlib
import re
import signal
import subprocess
import time

import pydicom
import pytest

from common import BINARY, firstlight, make_image


def serve(data, *arguments):
    command = [BINARY, "serve", "--data", data, "--listen", "127.0.0.1:0", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)


def stop(process):
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=30)
    assert process.returncode in (0, 130) and "panicked" not in talk, talk
    return talk


def wait_for(what, done):
    for _ in range(300):
        if done():
            return
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within 30 s")


def objects(data):
    return [path for path in (data / "objects").rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for seed, name in enumerate(["one.dcm", "two.dcm", "three.dcm"]):
        make_image(folder / name, rows=200 + seed, columns=150, seed=seed)
    return {str(pydicom.dcmread(path).SOPInstanceUID): path.read_bytes() for path in folder.iterdir()}, folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory, images):
    """An archive whose three images are converted; nothing was released."""
    data = tmp_path_factory.mktemp("archive") / "data"
    running = serve(data, "--import", images[1])
    wait_for("conversion", lambda: len(objects(data)) == 6)
    time.sleep(1)  # the last pointer is swapped after its object is there
    stop(running)
    return data


def check(data, images, folder):
    for uid, received in images.items():
        done = firstlight("restore", uid, "--data", data, "-o", folder / "one.dcm", "--force")
        assert done.returncode == 0, done.stderr
        assert (folder / "one.dcm").read_bytes() == received
    done = firstlight("restore", "2.25.1", "--data", data, "-o", folder / "study")
    assert done.returncode == 0, done.stderr
    restored = sorted(path.read_bytes() for path in (folder / "study").rglob("*.dcm"))
    assert restored == sorted(images.values())
    names = [str(path.relative_to(folder / "study")) for path in (folder / "study").rglob("*.dcm")]
    assert all(re.fullmatch(r"[0-9a-f]{16}/[0-9a-f]{16}\.dcm", name) for name in names), "a name made of a DICOM value"


def test_by_uid_while_what_was_received_is_there_and_after_it_went(archive, images, tmp_path):
    received = images[0]
    (tmp_path / "before").mkdir()
    check(archive, received, tmp_path / "before")
    running = serve(archive, "--release-received-after", "0m")
    wait_for("release", lambda: len(objects(archive)) == 3)
    assert "released: 3 received objects" in stop(running)
    (tmp_path / "after").mkdir()
    check(archive, received, tmp_path / "after")


def test_unknown_uids_and_wrong_times_are_said(archive, tmp_path):
    done = firstlight("restore", "2.25.999", "--data", archive, "-o", tmp_path / "x")
    assert done.returncode == 1 and "no instance, series or study 2.25.999" in done.stderr
    done = firstlight("serve", "--data", tmp_path / "data", "--release-received-after", "soon")
    assert done.returncode == 2 and "30d" in done.stderr
    assert list(pathlib.Path(tmp_path).iterdir()) == []
