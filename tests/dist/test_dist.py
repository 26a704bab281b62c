"""What `make dist` packs, installed as a user would and started in a root where nothing else is: no compiler, no npm, no Python.

FIRSTLIGHT_DIST names the packed archive.
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tarfile
import urllib.request

import pytest

from common import make_image

PACKED = pathlib.Path(os.environ["FIRSTLIGHT_DIST"])


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(PACKED) as packed:
        packed.extractall(folder, filter="data")
    (made,) = folder.iterdir()
    return made


def install(unpacked, destination, *flags):
    return subprocess.run([unpacked / "install.sh", *flags], env={"PATH": "/usr/bin:/bin", "DESTDIR": str(destination)}, capture_output=True, text=True)


@pytest.fixture(scope="module")
def root(unpacked, tmp_path_factory):
    """An empty root with what was installed, the C library, an image, and `/proc`, by which a program knows where it is."""
    root = tmp_path_factory.mktemp("root")
    done = install(unpacked, root, "--prefix", "/usr/local")
    assert done.returncode == 0, done.stderr
    linked = subprocess.check_output(["ldd", root / "usr/local/bin/firstlight"], text=True)
    for library in re.findall(r"(/\S+)", linked):
        (root / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library.lstrip("/"))
    make_image(root / "images/one.dcm", rows=300, columns=200, seed=1)
    (root / "proc").mkdir()
    (root / "tmp").mkdir()
    mounted = subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot make a root with /proc: {mounted.stderr.strip()}")
    yield root
    subprocess.run(["umount", "-l", root / "proc"], check=True)


def in_root(root, *command, **options):
    return subprocess.Popen(["chroot", root, *command], env={"PATH": "/usr/sbin:/usr/bin:/usr/local/bin"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, **options)


def test_it_serves_from_an_empty_root(root):
    server = in_root(root, "firstlight", "serve", "--data", "/data", "--import", "/images", "--listen", "127.0.0.1:0")
    try:
        address = re.search(r"http://\S+?:\d+", server.stdout.readline()).group()

        def get(path, **headers):
            with urllib.request.urlopen(urllib.request.Request(address + path, headers=headers), timeout=60) as reply:
                return reply, reply.read()

        assert b"Firstlight" in get("/")[1]
        _, page = get("/viewer/viewer?StudyInstanceUIDs=2.25.1")
        assert b"<title>" in page and b"first-light" in page
        script = re.search(rb'src="(/viewer/\S+?\.js)"', page).group(1).decode()
        reply, packed = get(script, **{"Accept-Encoding": "br"})
        assert reply.headers["content-encoding"] == "br", "what was compressed for the archive is what goes out"
        assert len(get(script)[1]) > len(packed)
        assert json.loads(get("/dicom-web/studies", Accept="application/dicom+json")[1])
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) in (0, 130)


def test_it_converts_from_an_empty_root(root):
    converting = in_root(root, "firstlight", "convert", "/images", "/converted")
    assert converting.wait(timeout=60) == 0
    assert (root / "converted/one.dcm").is_file()


def test_installed_again_it_replaces_the_program_and_the_pages(unpacked, tmp_path):
    for _ in range(2):
        done = install(unpacked, tmp_path, "--prefix", "/opt/firstlight", "--service")
        assert done.returncode == 0, done.stderr
        (tmp_path / "etc/firstlight.toml").write_text("data = '/mine'\n")
        (tmp_path / "opt/firstlight/share/firstlight/viewer/older.js").write_text("")
    install(unpacked, tmp_path, "--prefix", "/opt/firstlight", "--service")
    assert not (tmp_path / "opt/firstlight/share/firstlight/viewer/older.js").exists()
    assert (tmp_path / "etc/firstlight.toml").read_text() == "data = '/mine'\n", "settings of the user are kept"
    unit = (tmp_path / "etc/systemd/system/firstlight.service").read_text()
    assert "ExecStart=/opt/firstlight/bin/firstlight serve" in unit and "@" not in unit
    assert (tmp_path / "opt/firstlight/share/man/man1/firstlight-convert.1").is_file()


def test_a_damaged_file_is_not_installed(unpacked, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(unpacked, damaged)
    with open(damaged / "bin/firstlight", "r+b") as program:
        program.seek(4096)
        program.write(b"x")
    done = install(damaged, tmp_path / "to")
    assert done.returncode == 2 and "not as it was packed" in done.stderr and "hint:" in done.stderr
    assert not (tmp_path / "to/usr").exists()


def test_a_wrong_flag_is_named(unpacked):
    done = install(unpacked, "", "--prefx", "/opt")
    assert done.returncode == 2 and "--prefx" in done.stderr and "hint:" in done.stderr


def test_the_checksum_beside_it_is_its_own():
    digest, name = (PACKED.parent / (PACKED.name + ".sha256")).read_text().split()
    assert name == PACKED.name and digest == hashlib.sha256(PACKED.read_bytes()).hexdigest()


def test_manual_pages_are_pages(unpacked):
    pages = sorted((unpacked / "share/man/man1").iterdir())
    assert len(pages) > 10
    for page in pages:
        text = page.read_text()
        assert ".TH" in text and ".SH NAME" in text, page.name


def test_the_bill_of_materials_is_one(unpacked):
    """By the schema of CycloneDX, and with what the program is known to be made of."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (unpacked / "share/doc/firstlight/sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(text) is None
    names = {part["name"] for part in json.loads(text)["components"]}
    assert {"rusqlite", "axum", "htj2k", "@ohif/app"} <= names
    assert "proptest" not in names, "tools of tests are no part of the program"
