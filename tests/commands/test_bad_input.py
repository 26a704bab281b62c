"""Bad input and a bad environment: one clear line each, nothing half-written, and the rest of the batch goes on."""
import json
import os
import resource
import signal
import struct
import subprocess

import pydicom
import pytest

from common import BINARY, firstlight, make_image, tree


@pytest.fixture
def batch(tmp_path):
    """A folder with two good images around what a test adds."""
    make_image(tmp_path / "in" / "a-good.dcm", seed=1)
    make_image(tmp_path / "in" / "z-good.dcm", seed=2)
    return tmp_path / "in"


def convert(batch, *flags, **options):
    out = batch.parent / "out"
    report = batch.parent / "report.jsonl"
    done = firstlight("convert", batch, out, "--report", report, *flags, **options)
    lines = {os.path.relpath(line["source"], batch): line for line in map(json.loads, report.read_text().splitlines())}
    return done, lines, out


def one_line(done, kind, name):
    """The one line about a file, followed by its hint."""
    lines = done.stderr.splitlines()
    about = [n for n, line in enumerate(lines) if name in line]
    assert len(about) == 1 and lines[about[0]].startswith(f"{kind}: "), done.stderr
    assert lines[about[0] + 1].startswith("  hint: "), done.stderr
    assert "panicked" not in done.stderr
    return lines[about[0]]


def kept_in_its_place(lines, out, batch, name, outcome="unreadable"):
    assert lines[name]["outcome"] == outcome and lines[name]["destination"] == str(out / name) and lines[name]["reason"]
    assert (out / name).read_bytes() == (batch / name).read_bytes()


def rest_went_on(lines, out, bad=None):
    assert lines["a-good.dcm"]["outcome"] == lines["z-good.dcm"]["outcome"] == "converted"
    written = tree(out)
    assert {"a-good.dcm", "z-good.dcm"} <= set(written) and bad not in written
    assert not list((out / ".firstlight").glob("tmp/*"))


def stays_as_it_came(done, lines, out, name, why):
    """Kept byte for byte, with the one line that says why."""
    assert done.returncode == 0 and lines[name]["outcome"] == "kept" and why in lines[name]["reason"], done.stderr
    assert done.stderr.startswith("kept: ") and why in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert tree(out)[name] == (out.parent / "in" / name).read_bytes()


def test_truncated_file(batch):
    """The header is there, the pixels are not: kept as it came."""
    whole = (batch / "a-good.dcm").read_bytes()
    (batch / "m-cut.dcm").write_bytes(whole[: len(whole) // 2])
    done, lines, out = convert(batch)
    stays_as_it_came(done, lines, out, "m-cut.dcm", "truncated: element (7FE0,0010)")
    rest_went_on(lines, out)


def test_file_truncated_in_its_header(batch):
    whole = (batch / "a-good.dcm").read_bytes()
    (batch / "m-cut.dcm").write_bytes(whole[: whole.index(struct.pack("<HH", 0x0028, 0x0010)) + 9])
    done, lines, out = convert(batch)
    assert done.returncode == 1
    assert "truncated" in one_line(done, "unreadable", "m-cut.dcm")
    kept_in_its_place(lines, out, batch, "m-cut.dcm")
    rest_went_on(lines, out)


def test_text_file(batch):
    (batch / "m-notes.txt").write_text("Nothing but words.\n")
    done, lines, out = convert(batch)
    assert done.returncode == 0 and "m-notes.txt" not in done.stderr
    assert lines["m-notes.txt"]["outcome"] == "skipped"
    assert "1 skipped" in done.stdout
    rest_went_on(lines, out, "m-notes.txt")


@pytest.mark.parametrize("length", [0x7FFFFFF0, 0xFFFFFFFE])
def test_forged_length(batch, length):
    """Pixel Data that claims more bytes than there are."""
    data = (batch / "a-good.dcm").read_bytes()
    at = data.rindex(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 64 * 64 * 2))
    (batch / "m-forged.dcm").write_bytes(data[: at + 8] + struct.pack("<I", length) + data[at + 12 :])
    done, lines, out = convert(batch)
    stays_as_it_came(done, lines, out, "m-forged.dcm", "truncated: element (7FE0,0010)")
    rest_went_on(lines, out)


def test_forged_length_of_an_attribute(batch):
    data = (batch / "a-good.dcm").read_bytes()
    at = data.index(struct.pack("<HH2s", 0x0010, 0x0010, b"PN"))
    (batch / "m-forged.dcm").write_bytes(data[: at + 6] + b"\xfe\xff" + data[at + 8 :])
    done, lines, out = convert(batch)
    assert done.returncode == 1
    one_line(done, "unreadable", "m-forged.dcm")
    kept_in_its_place(lines, out, batch, "m-forged.dcm")
    rest_went_on(lines, out)


def test_huge_image_with_100_bytes(batch):
    """65535 x 65535 with 100 bytes of data: kept before memory is taken for it."""
    make_image(batch / "m-huge.dcm", seed=3, Rows=65535, Columns=65535, PixelData=b"\0" * 100)
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))  # noqa: E731
    done, lines, out = convert(batch, preexec_fn=limit)
    stays_as_it_came(done, lines, out, "m-huge.dcm", "truncated: pixel data of 65535 x 65535")
    rest_went_on(lines, out)


def test_huge_encapsulated_image(batch):
    """The same in a compressed stream of nothing: no codec is let near it, the file is stored as it came, and a line says so."""
    path = make_image(batch / "m-huge.dcm", seed=3, Rows=65535, Columns=65535)
    image = pydicom.dcmread(path)
    image.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
    image.PixelData = pydicom.encaps.encapsulate([struct.pack("<16I", 2, 64, 82, *[0] * 13) + b"\0" * 36])
    image["PixelData"].VR = "OB"
    image.save_as(path)
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))  # noqa: E731
    done, lines, out = convert(batch, preexec_fn=limit)
    assert done.returncode == 0
    assert done.stderr.startswith("kept: ") and "m-huge.dcm: " in done.stderr and done.stderr.count("\n") == 1
    assert tree(out)["m-huge.dcm"] == path.read_bytes()
    rest_went_on(lines, out)


def test_unreadable_links(batch):
    """A link that leads nowhere and one that leads to itself; rights do not stop root, these do."""
    (batch / "m-nowhere").symlink_to(batch / "not-there")
    (batch / "n-loop").symlink_to(batch / "n-loop")
    done, lines, out = convert(batch)
    assert done.returncode == 2
    one_line(done, "cannot read", "m-nowhere")
    one_line(done, "cannot read", "n-loop")
    rest_went_on(lines, out)


def test_unreadable_folder(batch):
    """A folder without the right to read it, walked as an ordinary user."""
    closed = batch / "closed"
    make_image(closed / "x.dcm", seed=4)
    closed.chmod(0)
    options = {}
    if os.geteuid() == 0:
        nobody = 65534
        for folder in [batch.parent, *batch.parent.parents]:
            if folder.owner() == "root" and str(folder).startswith("/tmp/"):
                folder.chmod(folder.stat().st_mode | 0o755)
        for path in [batch.parent, *batch.parent.rglob("*")]:
            os.chown(path, nobody, nobody, follow_symlinks=False)
        options = {"user": nobody, "group": nobody, "extra_groups": []}
        if subprocess.run(["test", "-x", BINARY], **options).returncode:
            pytest.skip(f"the user nobody cannot reach {BINARY}")
    done, lines, out = convert(batch, **options)
    closed.chmod(0o755)
    assert done.returncode == 2
    assert "permission denied" in one_line(done, "cannot read", "closed")
    rest_went_on(lines, out)


def test_links_to_folders_end(batch):
    """A link to the folder above: each folder is walked once, and the line says so."""
    (batch / "again").symlink_to(batch)
    done, lines, out = convert(batch)
    assert done.returncode == 0
    assert "note: " in done.stderr and "walked already" in done.stderr
    rest_went_on(lines, out)


def test_destination_inside_source(batch):
    """A source is never written to, also not below it."""
    done = firstlight("convert", batch, batch / "converted")
    assert done.returncode == 2 and "sources are never written to" in done.stderr
    assert set(tree(batch)) == {"a-good.dcm", "z-good.dcm"} and not (batch / "converted").exists()


def test_limit_on_file_size(batch):
    """A destination that takes no big file: that file fails, the others go on."""
    make_image(batch / "m-big.dcm", rows=900, columns=900, seed=5)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done, lines, out = convert(batch, preexec_fn=limit)
    assert done.returncode == 2
    one_line(done, "failed", "m-big.dcm")
    assert lines["m-big.dcm"]["outcome"] == "failed"
    rest_went_on(lines, out, "m-big.dcm")


def test_full_disk(batch, small_disk):
    """A disk of 400 kB: what does not fit fails with one line, nothing half-written stays, and room makes it whole."""
    make_image(batch / "m-big.dcm", rows=999, columns=999, seed=5)
    out = small_disk / "out"
    done = firstlight("convert", batch, out, "--jobs", 1)
    assert done.returncode == 2
    assert "no space left" in one_line(done, "failed", "m-big.dcm")
    assert set(tree(out)) == {"a-good.dcm", "z-good.dcm"}
    assert not list((out / ".firstlight").glob("tmp/*"))
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    again = firstlight("convert", batch, out)
    assert again.returncode == 0 and "2 of them done before" in again.stdout
    assert set(tree(out)) == {"a-good.dcm", "m-big.dcm", "z-good.dcm"}


def test_colliding_sources_write_nothing(tmp_path):
    make_image(tmp_path / "one" / "x.dcm", seed=1)
    make_image(tmp_path / "two" / "x.dcm", seed=2)
    done = firstlight("convert", tmp_path / "one", tmp_path / "two", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "would both become" in done.stderr and "hint: " in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_source_is_never_written_to(tmp_path):
    make_image(tmp_path / "all" / "x.dcm", seed=1)
    before = tree(tmp_path)
    for destination in (tmp_path / "all", tmp_path / "all" / "."):
        done = firstlight("convert", tmp_path / "all", destination)
        assert done.returncode == 2 and "sources are never written to" in done.stderr
    done = firstlight("convert", tmp_path / "all" / "x.dcm", tmp_path / "all")
    assert done.returncode == 2 and "sources are never written to" in done.stderr
    assert tree(tmp_path) == before


def test_a_file_of_the_user_is_not_replaced(batch):
    out = batch.parent / "out"
    out.mkdir()
    (out / "a-good.dcm").write_text("my own file")
    done, lines, out = convert(batch)
    assert done.returncode == 2
    assert (out / "a-good.dcm").read_text() == "my own file"
    assert lines["a-good.dcm"]["outcome"] == "failed" and lines["z-good.dcm"]["outcome"] == "converted"
