"""Ctrl-C and kill -9 in the middle: nothing half-written, and the same command goes on to the same result."""
import os
import random
import signal
import subprocess
import time

import pydicom
import pytest

from common import BINARY, firstlight, make_image, tree

IMAGES = 24


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images") / "in"
    for n in range(IMAGES):
        make_image(folder / f"series-{n % 3}" / f"{n:02}.dcm", rows=1100, columns=1100, seed=n)
    return folder


@pytest.fixture(scope="module")
def undisturbed(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    started = time.monotonic()
    done = firstlight("convert", images, out)
    assert done.returncode == 0, done.stderr
    return tree(out), time.monotonic() - started


def start(images, out):
    return subprocess.Popen([BINARY, "convert", images, out], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_files(out, number):
    """Until some files are there, so that the signal comes in the middle."""
    for _ in range(3000):
        if len(list(out.rglob("series-*/*.dcm"))) >= number:
            return
        time.sleep(0.005)
    raise AssertionError("nothing was written in 15 s")


def whole_files_only(out, result):
    for name, data in tree(out).items():
        assert result[name] == data, f"{name} is not whole"


def test_ctrl_c(images, undisturbed, tmp_path):
    result, _ = undisturbed
    out = tmp_path / "out"
    run = start(images, out)
    wait_for_files(out, 2)
    run.send_signal(signal.SIGINT)
    stdout, stderr = run.communicate(timeout=60)
    assert run.returncode == 130, stderr
    assert "stopping: " in stderr and "stopped: " in stderr and "goes on from here" in stderr
    assert 2 <= len(tree(out)) < IMAGES
    assert not (out / ".firstlight" / "tmp").exists()
    whole_files_only(out, result)
    again = firstlight("convert", images, out)
    assert again.returncode == 0 and "of them done before" in again.stdout
    assert tree(out) == result


def test_kill_9_at_random_moments(images, undisturbed, tmp_path):
    result, seconds = undisturbed
    out = tmp_path / "out"
    random.seed(7)
    killed = 0
    for _ in range(8):
        run = start(images, out)
        try:
            run.communicate(timeout=random.uniform(0.05, 0.4) * seconds)
        except subprocess.TimeoutExpired:
            run.kill()
            run.communicate()
            killed += 1
        whole_files_only(out, result)
    assert killed >= 3
    done = firstlight("convert", images, out)
    assert done.returncode == 0, done.stderr
    assert tree(out) == result
    assert not (out / ".firstlight" / "tmp").exists()


def test_two_runs_do_not_share_a_destination(images, tmp_path):
    out = tmp_path / "out"
    first = start(images, out)
    wait_for_files(out, 1)
    # Held, so that it can't end while the second one waits a moment for the lock.
    first.send_signal(signal.SIGSTOP)
    second = firstlight("convert", images, out)
    first.send_signal(signal.SIGCONT)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert second.returncode == 2 and "another run is writing to" in second.stderr


def test_a_changed_source_is_done_again(images, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    make_image(source / "x.dcm", seed=1)
    assert firstlight("convert", source, out).returncode == 0
    before = tree(out)
    make_image(source / "x.dcm", seed=2)
    done = firstlight("convert", source, out)
    assert done.returncode == 0 and "done before" not in done.stdout
    assert tree(out) != before
    done = firstlight("convert", source, out, "--policy", "htj2k-all")
    assert done.returncode == 0 and "done before" not in done.stdout
    assert pydicom.dcmread(out / "x.dcm").file_meta.TransferSyntaxUID.endswith(".4.202")
