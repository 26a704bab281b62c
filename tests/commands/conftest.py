import subprocess

import pytest

from common import check_binary


def pytest_configure(config):
    check_binary()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 400 kB; `mount -o remount,size=` gives it another size."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)
