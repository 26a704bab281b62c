"""`firstlight migrate` and `import`: kill -9 at random moments, full disks, every kind of source, pause and limits."""
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tarfile
import time
import zipfile

import pydicom
import pytest

from common import BINARY, firstlight, make_image, tree
from migrating import bar, instances, journal, lines, log, sources_of

KILLS = int(os.environ.get("FIRSTLIGHT_KILLS", 20))
FULL = int(os.environ.get("FIRSTLIGHT_FULL_DISKS", 4))


def migrate(*arguments, **options):
    return firstlight("migrate", "--sample", 0, *arguments, **options)


def start(*arguments):
    command = [BINARY, "migrate", "--sample", "0", *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images") / "in"
    instances(folder, 300, rows=48, per_folder=60)
    for n in range(8):
        make_image(folder / f"large-{n}.dcm", rows=1200, columns=1200, seed=n)
    (folder / "notes.txt").write_text("not DICOM")
    return folder


@pytest.fixture(scope="module")
def undisturbed(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    started = time.monotonic()
    done = migrate(images, out)
    assert done.returncode == 0, done.stderr
    return out, time.monotonic() - started


def same_lines(out, wanted):
    """The lines of another destination, with its name in the place of this one's."""
    text = json.dumps(lines(wanted)).replace(str(wanted), str(out))
    return json.loads(text)


@pytest.mark.parametrize("archive", [False, True], ids=["tree", "archive"])
def test_kill_9_at_random_moments(images, undisturbed, tmp_path, archive):
    wanted, seconds = undisturbed
    out, before, killed, ended = tmp_path / "out", sources_of(images), 0, 0
    flags = ["--archive"] if archive else []
    random.seed(5)
    kills, whole = KILLS // 2, tree(wanted)
    while killed < kills:
        run = start(images, out, *flags)
        try:
            run.communicate(timeout=random.uniform(0.02, 0.5) * seconds)
            # It came to its end before its moment: that end must be the right one, and the next begins anew.
            ended += 1
            assert run.returncode == 0 and ended <= 2 * kills
            same_end(out, wanted, archive)
            shutil.rmtree(out)
        except subprocess.TimeoutExpired:
            run.kill()
            run.communicate()
            killed += 1
        if not archive and out.exists():
            assert all(whole[name] == data for name, data in tree(out).items()), "a file is not whole"
    done = migrate(images, out, *flags)
    assert done.returncode == 0, done.stderr
    same_end(out, wanted, archive)
    assert sources_of(images) == before
    assert not (out / ".firstlight" / "migration-tmp").exists()
    print(f"{killed} kills in {ended + 1} migrations")
    bar("kills-resumed", archive, killed, kills)


def same_end(out, wanted, archive):
    """What a disturbed migration leaves is what an undisturbed one does."""
    assert journal(out) == journal(wanted)
    if not archive:
        assert tree(out) == tree(wanted) and lines(out) == same_lines(out, wanted)
        return
    found = lines(out)
    assert [(line["source"], line["outcome"]) for line in found] == [(line["source"], line["outcome"]) for line in lines(wanted)]
    objects = sum(1 for path in (out / "objects").rglob("*") if path.is_file())
    assert objects == sum(1 + (line["outcome"] == "converted") for line in found if line["outcome"] != "skipped")


@pytest.mark.parametrize("archive", [False, True], ids=["tree", "archive"])
def test_full_disks(images, undisturbed, small_disk, archive):
    """A disk that is full again and again, at random sizes: each run says so and ends, and with room it comes to the same end."""
    wanted, _ = undisturbed
    random.seed(9)
    need = sum(path.stat().st_size for path in wanted.rglob("*") if path.is_file()) * (3 if archive else 1)
    full = 0
    for n in range(max(FULL // 2, 1)):
        out = small_disk / "out"
        subprocess.run(["rm", "-rf", out], check=True)
        for size in sorted(random.uniform(0.05, 0.9) * need for _ in range(2)):
            subprocess.run(["mount", "-o", f"remount,size={int(size)}", small_disk], check=True)
            done = migrate(images, out, *(["--archive"] if archive else []))
            assert "panicked" not in done.stderr
            if done.returncode == 2:
                full += 1
                assert "full" in done.stderr or "no space" in done.stderr.lower(), done.stderr
                assert "hint: make room" in done.stderr, done.stderr
            if not archive and out.exists():
                whole = tree(wanted)
                assert all(whole[name] == data for name, data in tree(out).items()), "a file is not whole"
        subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
        done = migrate(images, out, *(["--archive"] if archive else []))
        assert done.returncode == 0, done.stderr
        assert journal(out) == journal(wanted)
        if not archive:
            assert tree(out) == tree(wanted) and lines(out) == same_lines(out, wanted)
    print(f"{full} full disks in {max(FULL // 2, 1)} migrations")
    bar("full-disks-resumed", archive, full, max(FULL // 2, 1))


def test_ctrl_c_goes_on(images, undisturbed, tmp_path):
    wanted, seconds = undisturbed
    out = tmp_path / "out"
    run = start(images, out, "--rate", "2MB")
    time.sleep(min(seconds, 2))
    run.send_signal(signal.SIGINT)
    _, stderr = run.communicate(timeout=60)
    assert run.returncode == 130 and "the same command goes on from here" in stderr, stderr
    assert migrate(images, out).returncode == 0
    assert tree(out) == tree(wanted) and lines(out) == same_lines(out, wanted)


def test_again_does_nothing_and_a_new_file_is_found(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    instances(source, 5)
    assert migrate(source, out).returncode == 0
    first = log(out)
    done = migrate(source, out)
    assert done.returncode == 0 and "nothing waits: 5 files done before" in done.stdout
    assert log(out) == first
    make_image(source / "new.dcm", seed=77)
    make_image(source / "00000" / "00000002.dcm", seed=78)
    assert migrate(source, out).returncode == 0
    assert [os.path.basename(line["source"]) for line in log(out)[5:]] in (["new.dcm", "00000002.dcm"], ["00000002.dcm", "new.dcm"])
    assert pydicom.dcmread(out / "00000" / "00000002.dcm").SOPInstanceUID.endswith("78")


def test_pause_stays_and_resume_goes_on(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    instances(source, 40)
    assert migrate("--plan", source, out).returncode == 0
    assert not tree(out), "a plan writes no image"
    assert firstlight("migrate", "--pause", out).returncode == 0
    run = start(source, out)
    time.sleep(1.5)
    assert run.poll() is None and not tree(out)
    run.kill()
    run.communicate()
    run = start(source, out)
    time.sleep(1)
    assert run.poll() is None and not tree(out), "a pause stays when the program ends"
    assert firstlight("migrate", "--resume", out).returncode == 0
    stdout, stderr = run.communicate(timeout=60)
    assert run.returncode == 0 and len(tree(out)) == 40, stderr
    status = firstlight("migrate", "--status", out)
    assert status.returncode == 0 and "40 of 40 files, 100.0 %" in status.stdout


def test_hours_and_rate_hold_and_change_while_it_runs(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    instances(source, 30, rows=64)
    hour = time.localtime().tm_hour
    run = start(source, out, "--hours", f"{(hour + 2) % 24:02}:00-{(hour + 3) % 24:02}:00")
    time.sleep(1.5)
    assert run.poll() is None and not tree(out), "it works outside of its hours"
    assert firstlight("migrate", "--adjust", out, "--hours", "00:00-24:00", "--rate", "50kB").returncode == 0
    started = time.monotonic()
    run.communicate(timeout=60)
    took = time.monotonic() - started
    assert run.returncode == 0 and len(tree(out)) == 30
    size = sum(len(data) for data in tree(source).values())
    assert took > 0.6 * size / 50_000, f"{size} bytes in {took:.1f} s is more than 50 kB/s"


def packs(tmp_path, files):
    """The files of a folder as zip, tar and tar.gz."""
    folder = tmp_path / "packed"
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as pack:
        for name, path in files.items():
            pack.write(path, name)
    for name, mode in (("b.tar", "w"), ("c.tar.gz", "w:gz")):
        with tarfile.open(folder / name, mode) as pack:
            for entry, path in files.items():
                pack.add(path, entry)
    return folder


def test_packed_files(tmp_path):
    paths = instances(tmp_path / "in", 12, per_folder=4)
    files = {str(path.relative_to(tmp_path / "in")): path for path in paths}
    packed, out = packs(tmp_path, files), tmp_path / "out"
    plain = tmp_path / "plain"
    assert migrate(tmp_path / "in", plain).returncode == 0
    done = migrate(packed, out)
    assert done.returncode == 0, done.stderr
    wanted = tree(plain)
    assert tree(out) == {f"{pack}/{name}": data for pack in ("a.zip", "b.tar", "c.tar.gz") for name, data in wanted.items()}
    assert len(lines(out)) == 36 and all("!" in line["source"] for line in lines(out))
    single = tmp_path / "single"
    assert migrate(packed / "a.zip", single).returncode == 0
    assert tree(single) == wanted


def test_bombs_and_names_that_climb(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    good = make_image(tmp_path / "good.dcm", seed=1).read_bytes()
    folder.mkdir()
    with zipfile.ZipFile(folder / "climb.zip", "w") as pack:
        for name in ("../../climbed.dcm", "/absolute.dcm", "fine.dcm"):
            pack.writestr(name, good)
    with tarfile.open(folder / "climb.tar", "w") as pack:
        for name in ("../climbed.dcm", "fine.dcm"):
            info = tarfile.TarInfo(name)
            info.size = len(good)
            pack.addfile(info, io.BytesIO(good))
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as pack:
        with pack.open("bomb.dcm", "w", force_zip64=True) as entry:
            for _ in range(1100):
                entry.write(bytes(1 << 20))
    cut = (folder / "climb.zip").read_bytes()
    (folder / "cut.zip").write_bytes(cut[: len(cut) // 2])
    done = migrate(folder, out)
    assert done.returncode == 2
    assert set(tree(out)) == {"climb.zip/fine.dcm", "climb.tar/fine.dcm"}
    assert not list(tmp_path.glob("climbed*")) and done.stderr.count("leads out of it") == 3
    assert "unpacks from" in done.stderr and "cut.zip" in done.stderr and "panicked" not in done.stderr


def test_dicomdir(tmp_path):
    from pydicom.fileset import FileSet

    media, out = tmp_path / "media", tmp_path / "out"
    files = FileSet()
    for n in range(3):
        files.add(make_image(tmp_path / f"{n}.dcm", seed=n, StudyID="1", SeriesNumber=1, StudyDate="20260101", StudyTime="1200", AccessionNumber=""))
    files.write(media)
    make_image(media / "not-named.dcm", seed=9)
    done = migrate(media / "DICOMDIR", out)
    assert done.returncode == 0, done.stderr
    assert len(tree(out)) == 4 and "not-named.dcm" not in tree(out)


class Server:
    """`firstlight serve` as the server that is migrated from."""

    def __init__(self, folder, images):
        command = [BINARY, "serve", "--data", folder / "data", "--import", images, "--listen", "127.0.0.1:0", "--no-convert"]
        self.log = open(folder / "serve.log", "w+")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, text=True)
        self.root = "http://" + re.search(r"http://(127\.0\.0\.1:\d+)/", self.process.stdout.readline()).group(1) + "/dicom-web"

    def wait_for(self, number):
        for _ in range(300):
            self.log.seek(0)
            if f"import: {number} of" in self.log.read():
                return
            time.sleep(0.1)
        raise AssertionError("the import did not end")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)


def test_from_another_server(tmp_path):
    images = tmp_path / "in"
    paths = instances(images, 250)
    server = Server(tmp_path, images)
    try:
        server.wait_for(250)
        out = tmp_path / "out"
        run = start(server.root, out, "--rate", "200kB")
        time.sleep(2)
        run.kill()
        run.communicate()
        done = migrate(server.root, out)
        assert done.returncode == 0, done.stderr
    finally:
        server.stop()
    found = lines(out)
    assert len(found) == 250 and {line["outcome"] for line in found} == {"converted"}
    plain = tmp_path / "plain"
    assert migrate(images, plain, "--layout", "study").returncode == 0
    assert tree(out) == tree(plain), "what a server hands out is what was stored in it"
    assert len(paths) == len(tree(out))


def test_a_server_that_is_not_there(tmp_path):
    done = migrate("http://127.0.0.1:9/dicom-web", tmp_path / "out")
    assert done.returncode == 2 and "cannot list http://127.0.0.1:9/dicom-web" in done.stderr and "hint: " in done.stderr


def test_import_then_the_backlog(tmp_path):
    images, data = tmp_path / "in", tmp_path / "data"
    instances(images, 20)
    done = firstlight("import", images, "--data", data)
    assert done.returncode == 0 and "20 stored" in done.stdout, done.stdout + done.stderr
    assert {line["outcome"] for line in lines(data, "import")} == {"kept"}
    again = firstlight("import", images, "--data", data)
    assert again.returncode == 0 and len(lines(data, "import")) == 20
    done = migrate("--order", "largest", data)
    assert done.returncode == 0, done.stderr
    assert {line["outcome"] for line in lines(data)} == {"converted"} and len(lines(data)) == 20


def test_order(tmp_path):
    source = tmp_path / "in"
    for n, rows in enumerate((40, 90, 20, 70)):
        make_image(source / f"{rows}.dcm", rows=rows, columns=rows, seed=n, StudyDate=f"20200{rows // 10}01")
    for order, names in (("largest", ["90", "70", "40", "20"]), ("newest", ["90", "70", "40", "20"])):
        out = tmp_path / order
        assert migrate(source, out, "--order", order, "--jobs", 1).returncode == 0
        assert [line["source"].rsplit("/", 1)[1][:2] for line in log(out)] == names


def test_the_plan_is_a_range_that_holds(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    instances(source, 60, rows=64)
    plan = firstlight("migrate", "--plan", source, out)
    assert plan.returncode == 0 and "converted to nowhere" in plan.stdout, plan.stdout
    size = lambda text: float(text.split()[0]) * {"B": 1, "kB": 1e3, "MB": 1e6}[text.split()[1]]  # noqa: E731
    low, high = re.search(r"saves (\S+ \S+) to (\S+ \S+) of", plan.stdout).groups()
    assert not tree(out) and not log(out) if (out / ".firstlight" / "migration.jsonl").exists() else not tree(out)
    assert migrate(source, out).returncode == 0
    saved = sum(line["bytes_in"] - line["bytes_out"] for line in log(out))
    assert 0.97 * size(low) <= saved <= 1.03 * size(high), (low, saved, high)


def test_what_is_wrong_is_said(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    instances(source, 2)
    before = sources_of(source)
    assert "is both source and destination" in migrate(source, source).stderr
    assert sources_of(source) == before, "something was written among the sources"
    assert migrate(tmp_path / "nowhere", out).returncode == 2
    assert migrate(source, out).returncode == 0
    other = migrate(source, out, "--policy", "htj2k-all")
    assert other.returncode == 2 and "under another policy" in other.stderr
    assert migrate(source, out, "--policy", "htj2k-all", "--rescan").returncode == 0
    assert all(pydicom.dcmread(out / name).file_meta.TransferSyntaxUID.endswith(".4.202") for name in tree(out))
    (tmp_path / "two" / "00000").mkdir(parents=True)
    make_image(tmp_path / "two" / "00000" / "00000000.dcm", seed=3)
    clash = migrate(source, tmp_path / "two", tmp_path / "both")
    assert clash.returncode == 2 and "would both become" in clash.stderr and not tree(tmp_path / "both")
    assert journal(out) == {1: 2}
