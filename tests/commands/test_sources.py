"""Sources of every form: packed files, names of any bytes, DICOMDIRs; none of them is ever written to, whatever is forgotten."""
import bz2
import gzip
import hashlib
import io
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import zipfile

import pydicom
import pytest

from common import BINARY, ROOT, SHARED, firstlight, make_image, tree

REPORTS = next((p for p in (ROOT / "tests" / "reports", SHARED / "data" / "reports") if p.exists()), None)
COMMANDS = ("convert", "migrate")


def report(name):
    if REPORTS is None:
        pytest.skip("the inputs of public reports are not there")
    return REPORTS / name


def take(command, *arguments, **options):
    extra = ["--sample", "0"] if command == "migrate" else []
    return firstlight(command, *arguments, *extra, **options)


def names(folder):
    """Every file below a folder, as bytes."""
    root = os.fsencode(folder)
    found = []
    for where, folders, files in os.walk(root):
        folders[:] = [folder for folder in folders if folder != b".firstlight"]
        found += [os.path.relpath(os.path.join(where, file), root) for file in files]
    return sorted(found)


def whole(folder):
    """Names, kinds, times and bytes of everything below a folder, what is remembered beside it too."""
    seen = {}
    for path in sorted([folder, *folder.rglob("*")]):
        meta = path.lstat()
        data = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        seen[os.fsencode(path)] = (meta.st_mode, meta.st_mtime_ns, meta.st_ino, data)
    return seen


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for n, name in enumerate(["a/1.dcm", "a/2.dcm", "b/3.dcm"]):
        make_image(folder / name, seed=n)
    return folder


def tar_of(folder):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as pack:
        for path in sorted(folder.rglob("*.dcm")):
            pack.add(path, str(path.relative_to(folder)))
    return out.getvalue()


def zstd(data):
    if not shutil.which("zstd"):
        pytest.skip("zstd is not installed")
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


PACKINGS = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress, "zst": zstd}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("packing", ["plain", *PACKINGS])
@pytest.mark.parametrize("name", ["x.tar", "backup.1"])
def test_tar_files_are_read_by_their_bytes(tmp_path, images, command, packing, name):
    pack = tmp_path / "in" / name
    pack.parent.mkdir()
    pack.write_bytes(PACKINGS.get(packing, bytes)(tar_of(images)))
    assert take(command, images, tmp_path / "plain").returncode == 0
    for source, out in ((pack, tmp_path / "out"), (pack.parent, tmp_path / "out2")):
        done = take(command, source, out)
        assert done.returncode == 0, done.stderr
        again = take(command, source, out)
        assert again.returncode == 0, again.stderr
    assert tree(tmp_path / "out") == tree(tmp_path / "plain")
    assert tree(tmp_path / "out2") == {f"{name}/{at}": data for at, data in tree(tmp_path / "plain").items()}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("packing", PACKINGS)
def test_one_instance_compressed_alone(tmp_path, images, command, packing):
    pack = tmp_path / f"1.dcm.{packing}"
    pack.write_bytes(PACKINGS[packing]((images / "a" / "1.dcm").read_bytes()))
    out = tmp_path / "out"
    done = take(command, pack, out)
    assert done.returncode == 0, done.stderr
    assert list(tree(out)) == ["1.dcm"]
    pydicom.dcmread(out / "1.dcm")
    # A log that was compressed is no instance.
    other = tmp_path / "logs"
    other.mkdir()
    (other / f"x.log.{packing}").write_bytes(PACKINGS[packing](b"a line of a log\n" * 10000))
    done = take(command, other, tmp_path / "none")
    assert done.returncode == 0 and "1 skipped (not DICOM)" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_files(tmp_path, images, command, method):
    pack, out = tmp_path / "x", tmp_path / "out"
    with zipfile.ZipFile(pack, "w", method) as archive:
        for path in images.rglob("*.dcm"):
            archive.write(path, path.relative_to(images))
    done = take(command, pack, out)
    assert done.returncode == 0, done.stderr
    assert set(tree(out)) == {"a/1.dcm", "a/2.dcm", "b/3.dcm"}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("packing", ["plain", "gz", "zip"])
def test_a_name_that_is_there_more_than_once_hides_nothing(tmp_path, images, command, packing):
    first, other = (images / "a" / "1.dcm").read_bytes(), (images / "b" / "3.dcm").read_bytes()
    entries = [("a/1.dcm", first), ("a/1.dcm", other), ("./a/1.dcm", first), ("b/3.dcm", other)]
    made = io.BytesIO()
    if packing == "zip":
        with zipfile.ZipFile(made, "w") as archive:
            for name, data in entries:
                archive.writestr(zipfile.ZipInfo(name), data)
    else:
        with tarfile.open(fileobj=made, mode="w") as pack:
            for name, data in entries:
                header = tarfile.TarInfo(name)
                header.size = len(data)
                pack.addfile(header, io.BytesIO(data))
    pack, out = tmp_path / "x", tmp_path / "out"
    pack.write_bytes(PACKINGS["gz"](made.getvalue()) if packing == "gz" else made.getvalue())
    for _ in range(2):
        done = take(command, pack, out)
        assert done.returncode == 0, done.stderr
    assert set(tree(out)) == {"a/1.dcm", "a/1~2.dcm", "a/1~3.dcm", "b/3.dcm"}
    uids = sorted(pydicom.dcmread(out / path, stop_before_pixels=True).SOPInstanceUID for path in tree(out))
    assert uids == sorted(pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True).SOPInstanceUID for _, data in entries)


NAMED = {
    "a.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(64), "7z"),
    "a.rar": (b"Rar!\x1a\x07\x01\x00" + bytes(64), "rar"),
    "a.z01": (b"PK\x07\x08PK\x03\x04" + bytes(64), "split zip"),
    "b.z02": (bytes(range(200)), "split archive"),
    "a.zip.002": (bytes(range(200)), "split archive"),
    "a.tar.gz.ab": (bytes(range(200)), "split archive"),
    "a.tar.lz": (b"LZIP\x01" + bytes(64), "lzip"),
    "cd": (bytes(0x8001) + b"CD001\x01" + bytes(64), "ISO 9660"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", NAMED)
def test_what_is_not_read_is_named(tmp_path, images, command, name):
    data, form = NAMED[name]
    (images / name).write_bytes(data)
    done = take(command, images, tmp_path / "out")
    assert done.returncode == 2
    line = next(line for line in done.stderr.splitlines() if line.startswith("refused: "))
    assert name in line and form in line
    assert set(tree(tmp_path / "out")) == {"a/1.dcm", "a/2.dcm", "b/3.dcm"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_packed_file_in_a_packed_file_is_named(tmp_path, images, command):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.write(images / "a" / "1.dcm", "1.dcm")
    with tarfile.open(tmp_path / "x.tar", "w") as pack:
        info = tarfile.TarInfo("inner.zip")
        info.size = len(inner.getvalue())
        pack.addfile(info, io.BytesIO(inner.getvalue()))
        pack.add(images / "b" / "3.dcm", "3.dcm")
    done = take(command, tmp_path / "x.tar", tmp_path / "out")
    assert done.returncode == 2 and "inner.zip" in done.stderr and "a zip file within a packed file" in done.stderr
    assert list(tree(tmp_path / "out")) == ["3.dcm"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", ["zip", "streamed.zip", "tar", "tar.gz"])
def test_cut_short_what_is_before_the_cut_is_taken(tmp_path, images, command, form):
    pack, files = tmp_path / f"x.{form}", sorted(images.rglob("*.dcm"))
    if form.endswith("zip"):
        out = io.BytesIO()
        if form.startswith("streamed"):
            # What can't be sought has its sizes behind the bytes.
            class Stream(io.RawIOBase):
                def __init__(self):
                    self.bytes = b""

                def writable(self):
                    return True

                def write(self, data):
                    self.bytes += bytes(data)
                    return len(data)

            out = Stream()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in files:
                archive.writestr(str(path.relative_to(images)), path.read_bytes())
        data = out.bytes if form.startswith("streamed") else out.getvalue()
        data = data[: data.rindex(b"PK\x03\x04") + 200]
    else:
        last = tar_of(images).rindex(b"b/3.dcm")
        data = tar_of(images)[: last + 1024]
        data = gzip.compress(data)[:-8] if form == "tar.gz" else data
    pack.write_bytes(data)
    done = take(command, pack, tmp_path / "out")
    assert done.returncode == 2
    assert re.search(r"cannot read: .*x\." + form.replace(".", r"\."), done.stderr), done.stderr
    assert set(tree(tmp_path / "out")) == {"a/1.dcm", "a/2.dcm"}
    taken = re.search(r"(\d+) entr(?:y was|ies were) before that place taken|; (\d+) entr(?:y was|ies were)", done.stderr)
    assert taken, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", ["tar", "zip"])
def test_names_and_kinds_of_entries_do_no_harm(tmp_path, images, command, form):
    data, pack, out = (images / "a" / "1.dcm").read_bytes(), tmp_path / f"x.{form}", tmp_path / "out"
    climbing = ["../climbed.dcm", "/absolute.dcm", "a/../../climbed.dcm", "..\\climbed.dcm"]
    if form == "zip":
        with zipfile.ZipFile(pack, "w") as archive:
            for name in [*climbing, "fine.dcm"]:
                archive.writestr(name, data)
            link = zipfile.ZipInfo("link")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
    else:
        with tarfile.open(pack, "w") as archive:
            for name in [*climbing, "fine.dcm"]:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
                info = tarfile.TarInfo(f"kind-{kind.decode()}")
                info.type, info.linkname = kind, "/etc/passwd"
                archive.addfile(info)
    before = set(names(tmp_path))
    done = take(command, pack, out)
    assert done.returncode == 2 and done.stderr.count("leads out of it") == len(climbing), done.stderr
    assert list(tree(out)) == ["fine.dcm"] and not (out / "link").exists()
    assert {name for name in names(tmp_path) if not name.startswith(b"out")} == before


@pytest.mark.parametrize("command", COMMANDS)
def test_names_of_any_bytes(tmp_path, command):
    """CTK #404, dcm2niix #425, Slicer #3999"""
    done = take(command, report("names/latin1_pair.tar"), tmp_path / "pair")
    assert done.returncode == 0, done.stderr
    assert "2 converted" in done.stdout and len(names(tmp_path / "pair")) == 2
    subprocess.run(["tar", "xf", report("names/not_utf8.tar"), "-C", tmp_path], check=True)
    packed = take(command, report("names/not_utf8.tar"), tmp_path / "packed")
    assert packed.returncode == 0, packed.stderr
    with tarfile.open(report("names/not_utf8.tar"), encoding="latin-1") as pack:
        wanted = sorted(entry.name.encode("latin-1") for entry in pack if entry.isfile())
    assert names(tmp_path / "packed") == wanted and len(wanted) == 5


def medium(tmp_path, rename=str):
    """A file set that pydicom writes, with its names changed by `rename`."""
    from pydicom.fileset import FileSet

    files = FileSet()
    for n in range(5):
        files.add(make_image(tmp_path / f"{n}.dcm", seed=n, StudyID="1", SeriesNumber=1, StudyDate="20260101", StudyTime="1200", AccessionNumber=""))
    folder = tmp_path / "medium"
    files.write(folder)
    for path in sorted((p for p in folder.rglob("*") if p.name != "DICOMDIR"), key=lambda p: -len(p.parts)):
        path.rename(path.with_name(rename(path.name) if path.is_file() else path.name.lower()))
    return folder


def truthful(dicomdir):
    """Every record of a DICOMDIR says what its file is; pydicom walks it by its offsets, and DCMTK reads it."""
    from pydicom.fileset import FileSet

    directory = pydicom.dcmread(dicomdir)
    images = [record for record in directory.DirectoryRecordSequence if "ReferencedFileID" in record]
    assert images
    for record in images:
        parts = record.ReferencedFileID
        path = dicomdir.parent.joinpath(*([parts] if isinstance(parts, str) else parts))
        if path.exists():
            file = pydicom.dcmread(path)
            assert record.ReferencedTransferSyntaxUIDInFile == file.file_meta.TransferSyntaxUID
            assert record.ReferencedSOPInstanceUIDInFile == file.SOPInstanceUID
    if all(dicomdir.parent.joinpath(*([r.ReferencedFileID] if isinstance(r.ReferencedFileID, str) else r.ReferencedFileID)).exists() for r in images):
        assert len(list(FileSet(dicomdir))) == len(images)
    if shutil.which("dcmdump"):
        dumped = subprocess.run(["dcmdump", "-q", dicomdir], capture_output=True, text=True)
        assert dumped.returncode == 0, dumped.stderr
    return len(images)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("what", ["DICOMDIR", ""])
def test_a_dicomdir_tells_the_truth_about_what_was_written(tmp_path, command, what):
    """kin of DICOMcloud #22"""
    source, out = medium(tmp_path), tmp_path / "out"
    done = take(command, source / what, out)
    assert done.returncode == 0, done.stderr
    directory = out / "DICOMDIR"
    assert directory.read_bytes() != (source / "DICOMDIR").read_bytes()
    offsets = pydicom.dcmread(directory)
    assert all(record.ReferencedTransferSyntaxUIDInFile != "1.2.840.10008.1.2.1" for record in offsets.DirectoryRecordSequence if "ReferencedFileID" in record)
    again = take(command, source / what, out)
    assert again.returncode == 0, again.stderr
    back = tmp_path / "back"
    restored = firstlight("restore", directory, "-o", back)
    assert restored.returncode == 0, restored.stderr
    assert back.read_bytes() == (source / "DICOMDIR").read_bytes()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["dicomdir/cd_of_three.tar", "convert/cv-fileset.zip"])
@pytest.mark.parametrize("unpacked", [True, False])
def test_dicomdirs_of_public_reports(tmp_path, command, name, unpacked):
    pack = report(name)
    source = pack
    if unpacked:
        source = tmp_path / "in"
        shutil.unpack_archive(pack, source)
    done = take(command, source, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    directories = list((tmp_path / "out").rglob("DICOMDIR"))
    assert directories and all(truthful(path) == 3 for path in directories)


@pytest.mark.parametrize("command", COMMANDS)
def test_names_as_iso_9660_shows_them(tmp_path, command):
    source, out = medium(tmp_path, rename=lambda name: f"{name}.;1"), tmp_path / "out"
    done = take(command, source / "DICOMDIR", out)
    assert done.returncode == 0, done.stderr
    assert len(tree(out)) == 6
    syntaxes = {record.ReferencedTransferSyntaxUIDInFile for record in pydicom.dcmread(out / "DICOMDIR").DirectoryRecordSequence if "ReferencedFileID" in record}
    assert "1.2.840.10008.1.2.1" not in syntaxes


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("above", [0, 1, 2])
def test_what_a_dicomdir_in_a_walked_folder_names_is_dicom(tmp_path, command, above):
    """Its first bytes say nothing, and its name neither: it is kept as unreadable, and not skipped."""
    disc = medium(tmp_path)
    source, out = tmp_path / "discs" / "one", tmp_path / "out"
    source.parent.mkdir()
    disc.rename(source)
    broken = sorted(path for path in source.rglob("*") if path.is_file() and path.name != "DICOMDIR")[0]
    broken.write_bytes(b"not what it was" * 100)
    (source / "README").write_bytes(b"text " * 100)
    walked = [source, source.parent, tmp_path / "all"][above]
    if above == 2:
        walked.mkdir()
        source.parent.rename(walked / "discs")
        broken = walked / broken.relative_to(tmp_path)
    done = take(command, walked, out)
    assert done.returncode == 1 and "unreadable" in done.stdout, done.stdout + done.stderr
    assert (out / broken.relative_to(walked)).read_bytes() == broken.read_bytes()
    assert "1 skipped (not DICOM)" in done.stdout, done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_dicomdir_whose_files_lie_elsewhere_is_left_out_and_said(tmp_path, command):
    source, out = medium(tmp_path), tmp_path / "out"
    done = take(command, source, out, "--layout", "study")
    assert done.returncode == 0 and "left out: " in done.stderr and "DICOMDIR" in done.stderr
    assert not list(out.rglob("DICOMDIR")) and len(tree(out)) == 5


FORGOTTEN = [
    ("convert", "{source}"),
    ("migrate", "{source}"),
    ("convert", "{source}", "{source}"),
    ("migrate", "{source}", "{link}"),
    ("convert", "{link}", "{source}/."),
    ("convert", "{source}", "{source}/new"),
    ("migrate", "{source}", "{source}/a/new/deep"),
    ("migrate", "{link}", "{source}/new", "--archive"),
    ("convert", "{source}/a", "{source}"),
    ("migrate", "{source}/a", "{source}", "--archive"),
    ("convert", "{source}/a/1.dcm", "{source}/a"),
    ("migrate", "{source}/a/1.dcm", "{source}/a"),
    ("convert", "{source}/DICOMDIR", "{source}/out"),
    ("convert", "{empty}", "{source}"),
    ("migrate", "{empty}", "{source}"),
    ("migrate", "{used}", "{source}"),
    ("convert", "{used}", "{source}"),
    ("convert", "{other}", "{source}"),
    ("import", "{source}"),
    ("import", "{source}", "--data", "{source}"),
    ("import", "{source}", "--data", "{source}/archive"),
    ("import", "{other}", "--data", "{source}"),
    ("import", "{source}/a", "--data", "{link}"),
    ("serve", "--data", "{source}"),
    ("serve", "--import", "{source}", "--data", "{link}"),
    ("serve", "--import", "{source}", "--data", "{source}/archive"),
    ("serve", "--import", "{other}", "--data", "{source}"),
    ("convert", "{source}", "{source}", "--dry-run"),
    ("migrate", "{source}", "{source}/new", "--plan"),
    ("migrate", "--pause", "{source}"),
    ("migrate", "--adjust", "{source}", "--jobs", "1"),
    ("migrate", "--status", "{source}"),
    ("convert", "{other}", "{empty}/new", "--report", "{source}/a/1.dcm"),
    ("report", "{used}", "-o", "{source}/a/1.dcm"),
    ("restore", "{used}/3.dcm", "-o", "{source}/a/1.dcm"),
]


@pytest.mark.parametrize("words", FORGOTTEN, ids=" ".join)
def test_a_source_is_never_written_to_whatever_was_forgotten(tmp_path, words):
    places = {name: tmp_path / name for name in ("source", "link", "empty", "used", "other")}
    for n, name in enumerate(["a/1.dcm", "b/2.dcm"]):
        make_image(places["source"] / name, seed=n)
    (places["source"] / "DICOMDIR").write_bytes((medium(tmp_path / "m") / "DICOMDIR").read_bytes())
    make_image(places["other"] / "3.dcm", seed=3)
    places["empty"].mkdir()
    assert firstlight("convert", places["other"], places["used"]).returncode == 0
    places["link"].symlink_to(places["source"])
    before = whole(places["source"])
    command = [word.format(**places) for word in words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLIGHT_")}
    listen = ["--listen", "127.0.0.1:0"] if words[0] == "serve" else []
    done = firstlight(*command, *listen, cwd=places["empty"], env=environment, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("error: "), (done.returncode, done.stdout, done.stderr)
    assert "panicked" not in done.stderr and "hint: " in done.stderr or "Usage" in done.stderr
    assert whole(places["source"]) == before


def test_a_link_to_the_root_of_the_source_is_walked_once(tmp_path, images):
    (images / "b" / "again").symlink_to(images)
    for command in COMMANDS:
        done = take(command, images, tmp_path / command)
        assert done.returncode == 0 and "walked already" in done.stderr
        assert "3 converted" in done.stdout and len(tree(tmp_path / command)) == 3


def test_serve_imports_packed_files(tmp_path, images):
    (tmp_path / "x.1").write_bytes(lzma.compress(tar_of(images)))
    process = subprocess.Popen([BINARY, "serve", "--data", tmp_path / "data", "--import", tmp_path / "x.1", "--listen", "127.0.0.1:0"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if "import: 3 of 3" in line:
                break
        assert "3 stored" in line
    finally:
        process.terminate()
        process.wait(timeout=60)
