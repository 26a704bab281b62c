"""The account of a destination: what became of each file is the same everywhere, is proven, and is found again."""
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess

import pydicom
import pytest

from common import BINARY, firstlight, make_image, tree


def state(out, name):
    return out / ".firstlight" / name


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def run(command, source, out, *flags):
    """Converts or migrates; the exit code, and the last record of each file by its name."""
    flags = [*flags, "--sample", 0] if command == "migrate" else flags
    done = firstlight(command, source, out, *flags)
    assert "panicked" not in done.stderr, done.stderr
    name = "converted" if command == "convert" else "migration"
    log = lines(state(out, f"{name}.jsonl")) if state(out, f"{name}.jsonl").exists() else []
    return done, {os.path.basename(line["source"]): line for line in log}


@pytest.fixture
def mixed(tmp_path):
    """An image, a report without pixels, one cut in its header, one whose pixels are a third, one that is DICOM by its name alone, and text."""
    folder = tmp_path / "in"
    image = make_image(folder / "image.dcm", seed=1, BurnedInAnnotation="NO")
    report = pydicom.dcmread(make_image(folder / "report.dcm", seed=2, BurnedInAnnotation="NO"))
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(report, keyword)
    report.save_as(folder / "report.dcm")
    (folder / "cut").write_bytes(image.read_bytes()[:300])
    make_image(folder / "third.dcm", seed=3, Rows=192, BurnedInAnnotation="NO")
    (folder / "named.dcm").write_bytes(b"no data set at all")
    (folder / "notes.txt").write_text("nothing but words")
    return folder


OUTCOMES = {"image.dcm": "converted", "report.dcm": "kept", "cut": "unreadable", "third.dcm": "kept", "named.dcm": "unreadable"}


@pytest.mark.parametrize("command", ["convert", "migrate"])
def test_what_cannot_be_read_is_kept_in_its_place_and_named(command, mixed, tmp_path):
    out = tmp_path / "out"
    before = tree(mixed)
    done, log = run(command, mixed, out)
    assert done.returncode == 1, done.stderr
    assert {name: line["outcome"] for name, line in log.items() if line["outcome"] != "skipped"} == OUTCOMES
    written = tree(out)
    assert set(written) == set(OUTCOMES)
    for name, outcome in OUTCOMES.items():
        if outcome != "converted":
            assert written[name] == before[name] and log[name]["reason"] and log[name]["source_sha256"] == sha256(before[name])
        if outcome == "unreadable":
            assert f"unreadable: {mixed / name}: " in done.stderr and log[name]["destination"] == str(out / name)
    assert "2 unreadable" in done.stdout and f"kept: {mixed / 'third.dcm'}: " in done.stderr
    # Each has evidence, and each is its own way back.
    evidence = {line["file"]: line for line in lines(state(out, "evidence.jsonl"))}
    assert {name: line["outcome"] for name, line in evidence.items()} == OUTCOMES
    assert all(line["file_sha256"] == sha256(written[name]) and line["source"] == str(mixed / name) for name, line in evidence.items())
    for name in OUTCOMES:
        back = tmp_path / f"{name}.back"
        restored = firstlight("restore", out / name, "-o", back)
        assert restored.returncode == 0 and back.read_bytes() == before[name], restored.stderr
        assert ("it is its own way back" in restored.stderr) == (OUTCOMES[name] != "converted")
    listed = firstlight("quarantine", "list", "--data", out, "--json")
    assert listed.returncode == 1 and {json.loads(line)["place"] for line in listed.stdout.splitlines()} == {"cut", "named.dcm"}
    # Once more: the same, and nothing new.
    again, _ = run(command, mixed, out)
    assert again.returncode == 1 and tree(out) == written
    assert len(lines(state(out, "evidence.jsonl"))) == len(OUTCOMES)
    assert tree(mixed) == before


def test_the_study_layout_has_a_place_for_what_cannot_be_read(mixed, tmp_path):
    done, log = run("convert", mixed, tmp_path / "out", "--layout", "study")
    assert done.returncode == 1
    for name in ("cut", "named.dcm"):
        data = (mixed / name).read_bytes()
        assert log[name]["destination"] == str(tmp_path / "out" / "unreadable" / f"{sha256(data)[:16]}.dcm")
        assert (tmp_path / "out" / "unreadable" / f"{sha256(data)[:16]}.dcm").read_bytes() == data


def test_what_may_tell_of_a_person_is_named_and_not_written(mixed, tmp_path):
    out = tmp_path / "out"
    done, _ = run("convert", mixed, out, "--deidentify", "basic", "--key", tmp_path / "key", "--make-key")
    assert done.returncode == 1
    records = lines(state(out, "converted.jsonl"))
    unreadable = [line for line in records if line["outcome"] == "unreadable"]
    assert len(unreadable) >= 2 and all(line["destination"] is None for line in unreadable)
    assert "cut" not in tree(out) and "named.dcm" not in tree(out)
    assert f"unreadable: {mixed / 'cut'}: " in done.stderr
    text = state(out, "evidence.jsonl").read_text() + state(out, "converted.jsonl").read_text()
    assert str(mixed) not in text and not any(sha256(data) in text for data in tree(mixed).values())
    for entry in lines(state(out, "evidence.jsonl")):
        assert entry["deidentified"] and entry["file_sha256"] == sha256((out / entry["file"]).read_bytes())
    [converted] = [entry["file"] for entry in lines(state(out, "evidence.jsonl")) if entry["outcome"] == "converted"]
    restored = firstlight("restore", out / converted)
    assert restored.returncode == 1 and "on purpose: it was de-identified" in restored.stderr
    assert firstlight("evidence", out).returncode == 0


def test_an_archive_keeps_it_under_its_hash(mixed, tmp_path):
    protocol = pydicom.dcmread(mixed / "report.dcm")
    del protocol.StudyInstanceUID
    protocol.SOPInstanceUID = protocol.file_meta.MediaStorageSOPInstanceUID = "2.25.77"
    protocol.save_as(mixed / "protocol.dcm")
    folder, _ = run("migrate", mixed, tmp_path / "folder")
    data = tmp_path / "data"
    done = firstlight("migrate", mixed, data, "--archive", "--sample", 0)
    assert done.returncode == folder.returncode == 1, done.stderr
    outcomes = lambda out: {os.path.basename(line["source"]): line["outcome"] for line in lines(state(out, "migration.jsonl"))}  # noqa: E731
    assert outcomes(data) == outcomes(tmp_path / "folder") == OUTCOMES | {"protocol.dcm": "kept", "notes.txt": "skipped"}
    listed = firstlight("quarantine", "list", "--data", data, "--json")
    assert listed.returncode == 1
    found = {os.path.basename(entry["source"]): entry for entry in map(json.loads, listed.stdout.splitlines())}
    assert {name: entry["kind"] for name, entry in found.items()} == {"cut": "unreadable", "named.dcm": "unreadable", "protocol.dcm": "kept"}
    for name, entry in found.items():
        assert (data / entry["place"]).read_bytes() == (mixed / name).read_bytes() and entry["reason"]
    scrub = firstlight("scrub", "--data", data, "--now")
    assert scrub.returncode == 0, scrub.stdout + scrub.stderr
    wound = data / found["cut"]["place"]
    wound.chmod(0o644)
    wound.write_bytes(b"x" + wound.read_bytes()[1:])
    scrub = firstlight("scrub", "--data", data, "--now")
    assert scrub.returncode == 1 and found["cut"]["name"] in scrub.stdout
    # The same object once more heals it.
    assert firstlight("import", mixed, "--data", data).returncode == 1
    assert wound.read_bytes() == (mixed / "cut").read_bytes()
    assert firstlight("scrub", "--data", data, "--now").returncode == 0
    page = tmp_path / "page.html"
    assert firstlight("report", "--data", data, "-o", page).returncode == 0
    assert "cut" in page.read_text() and "named.dcm" in page.read_text() and "migration.jsonl" in page.read_text()


@pytest.mark.parametrize("which", ["received", "converted"])
def test_importing_the_original_again_heals_what_the_scrubber_found(which, tmp_path):
    source, data = tmp_path / "in", tmp_path / "data"
    make_image(source / "image.dcm", seed=1)
    assert firstlight("migrate", source, data, "--archive", "--sample", 0).returncode == 0
    index = sqlite3.connect(f"file:{data}/index.sqlite?mode=ro", uri=True)
    [(key,)] = index.execute("SELECT lower(hex(key)) FROM objects WHERE role = ?", [0 if which == "received" else 1])
    index.close()
    wound = data / "objects" / key[:2] / key[2:]
    whole = wound.read_bytes()
    wound.chmod(0o644)
    wound.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert firstlight("scrub", "--data", data, "--now").returncode == 1
    done = firstlight("migrate", source, data, "--archive", "--sample", 0, "--rescan")
    assert done.returncode == 0, done.stderr
    assert wound.read_bytes() == whole
    scrub = firstlight("scrub", "--data", data, "--now")
    assert scrub.returncode == 0, scrub.stdout


@pytest.mark.parametrize("command", ["convert", "migrate"])
def test_a_folder_is_looked_at_as_a_whole_and_in_part(command, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    for n in range(4):
        make_image(source / f"{n % 2}" / f"{n}.dcm", seed=n)
    assert run(command, source, out)[0].returncode == 0
    whole = firstlight("evidence", out)
    assert whole.returncode == 0 and "4 instances proven" in whole.stderr
    part = firstlight("evidence", out / "0")
    assert part.returncode == 0 and "2 instances proven" in part.stderr
    target = out / "0" / "2.dcm"
    data = target.read_bytes()
    target.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    for asked, proven in ((out, 3), (out / "0", 1), (target, 0)):
        said = firstlight("evidence", asked)
        assert said.returncode == 1 and said.stdout.count("NOT WHAT WAS PROVEN") == 1, said.stdout
        assert f"{proven} instance" in said.stderr and "1 instance NOT what was proven" in said.stderr
    assert firstlight("evidence", out / "1").returncode == 0
    target.unlink()
    said = firstlight("evidence", out)
    assert said.returncode == 1 and "1 NOT THERE" in said.stderr
    page = tmp_path / "page.html"
    assert firstlight("report", out, "-o", page).returncode == 0
    assert "evidence.jsonl" in page.read_text()


def test_no_way_back_is_said_after_migrate(tmp_path):
    """Compressed otherwise: the bytes of the source can't be had again."""
    source, out = tmp_path / "in", tmp_path / "out"
    path = make_image(source / "image.dcm", seed=1)
    image = pydicom.dcmread(path)
    image.compress(pydicom.uid.RLELossless)
    image.save_as(path)
    done, log = run("migrate", source, out)
    assert done.returncode == 0 and log["image.dcm"]["outcome"] == "converted", done.stderr
    if "no_way_back" not in log["image.dcm"]:
        pytest.skip("it has a way back")
    said = firstlight("restore", out / "image.dcm")
    assert said.returncode == 1 and f"no way back: {log['image.dcm']['no_way_back']}" in said.stderr and str(path) in said.stderr


def chain(path, head="0" * 64):
    """The chain of a file, as the guide says how it is made; the head at its end."""
    for line in path.read_bytes().splitlines():
        body, found = line[: -len(b'","chain":""}') - 64], json.loads(line)["chain"]
        body, sum_ = body[: -len(b',"sum":"') - 32], body[-32:].decode()
        assert hashlib.sha256(body).hexdigest()[:32] == sum_
        head = json.loads(line).get("after", head)
        head = hashlib.sha256(head.encode() + body).hexdigest()
        assert head == found
    return head


@pytest.mark.parametrize("command", ["convert", "migrate"])
def test_the_head_of_each_chain_stands_on_the_page(command, tmp_path):
    source, out, page = tmp_path / "in", tmp_path / "out", tmp_path / "page.html"
    for n in range(6):
        make_image(source / f"{n}.dcm", seed=n)
    assert run(command, source, out)[0].returncode == 0
    make_image(source / "later.dcm", seed=9)
    assert run(command, source, out)[0].returncode == 0
    log = state(out, "converted.jsonl" if command == "convert" else "migration.jsonl")
    assert firstlight("report", out, "-o", page).returncode == 0
    text = page.read_text()
    for path in (log, state(out, "evidence.jsonl")):
        assert chain(path) in text
    assert "All is well" in text
    for damage, line in ((lambda t: t.replace(b'"bytes_in":', b'"bytes_is":', 1), 1), (lambda t: t[t.index(b"\n") + 1 :], 1), (lambda t: b"\n".join((t.split(b"\n")[i] for i in (0, 2, 1, 3, 4, 5, 6, 7))), 2)):
        for path in (log, state(out, "evidence.jsonl")):
            whole = path.read_bytes()
            path.write_bytes(damage(whole))
            assert path.read_bytes() != whole
            assert firstlight("report", out, "-o", page).returncode == 0
            assert f"line {line} of {path}" in page.read_text() and "Needs a look" in page.read_text()
            path.write_bytes(whole)


def test_a_rotated_log_goes_on_from_the_head_of_the_one_before(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    make_image(source / "1.dcm", seed=1)
    assert run("migrate", source, out)[0].returncode == 0
    log = state(out, "migration.jsonl")
    first = chain(log)
    log.rename(state(out, "migration.jsonl.1"))
    make_image(source / "2.dcm", seed=2)
    assert run("migrate", source, out)[0].returncode == 0
    assert lines(log)[0]["after"] == first and len(lines(log)) == 1
    chain(log)
    page = tmp_path / "page.html"
    assert firstlight("report", out, "-o", page).returncode == 0
    assert "All is well" in page.read_text() and "migration.jsonl.1" in page.read_text()
    assert "of 2 instances" in page.read_text()
    # Copied and emptied.
    second = chain(log)
    shutil.copy(log, tmp_path / "copy")
    log.write_bytes(b"")
    make_image(source / "3.dcm", seed=3)
    assert run("migrate", source, out)[0].returncode == 0
    assert [line["after"] for line in lines(log)] == [second]


def test_a_destination_of_an_earlier_version_goes_on(tmp_path):
    """Records and evidence without a chain are read, and the first line that has one stands for them."""
    source, out, page = tmp_path / "in", tmp_path / "out", tmp_path / "page.html"
    make_image(source / "1.dcm", seed=1)
    (source / "old.dcm").write_bytes(b"unreadable")
    assert run("convert", source, out)[0].returncode == 1
    records = [{key: value for key, value in line.items() if key not in ("sum", "chain")} for line in lines(state(out, "converted.jsonl"))]
    for record in records:
        if record["outcome"] == "unreadable":
            record.update(outcome="refused", destination=None, bytes_out=None)
    state(out, "converted.jsonl").write_text("".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records))
    (out / "old.dcm").unlink()
    old = []
    for line in lines(state(out, "evidence.jsonl")):
        if "frames" in line:
            body = json.dumps({k: v for k, v in line.items() if k not in ("sum", "chain", "source", "outcome", "residue")}, separators=(",", ":"))[:-1]
            old.append(f'{body},"sum":"{sha256(body.encode())[:32]}"}}\n')
    state(out, "evidence.jsonl").write_text("".join(old))
    state(out, "evidence.settled").unlink()
    assert firstlight("evidence", out).returncode == 0
    make_image(source / "2.dcm", seed=2)
    done, log = run("convert", source, out)
    assert done.returncode == 1 and "1 of them done before" in done.stdout, done.stdout
    assert log["old.dcm"]["outcome"] == "unreadable" and (out / "old.dcm").read_bytes() == b"unreadable"
    assert firstlight("report", out, "-o", page).returncode == 0
    assert "of an earlier version" in page.read_text() and "wrong line" not in page.read_text()
    assert firstlight("evidence", out).returncode == 0


def test_a_torn_line_of_a_killed_run_is_no_fault(tmp_path):
    source, out, page = tmp_path / "in", tmp_path / "out", tmp_path / "page.html"
    make_image(source / "1.dcm", seed=1)
    assert run("convert", source, out)[0].returncode == 0
    for name in ("converted.jsonl", "evidence.jsonl"):
        with open(state(out, name), "ab") as file:
            file.write(b'{"source":"/half of a li')
    for _ in range(2):
        assert firstlight("report", out, "-o", page).returncode == 0
        assert "All is well" in page.read_text()
        make_image(source / "2.dcm", seed=2)
        assert run("convert", source, out)[0].returncode == 0
    chain(state(out, "converted.jsonl"))
    chain(state(out, "evidence.jsonl"))


def test_names_that_are_not_text_are_found_again(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    names = [b"M\xfcller.dcm", b"M\xe4ller.dcm", b"n" * 251 + b".dcm"[:4], b"\x83e\x83X\x83g.dcm", b"d\xfcr/" + b"l" * 251]
    for n, name in enumerate(names):
        made = make_image(tmp_path / "made.dcm", seed=n)
        path = os.path.join(os.fsencode(source), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.move(made, path)
    for name, command in (("out", "convert"), ("moved", "migrate")):
        out = tmp_path / name
        done, _ = run(command, source, out)
        assert done.returncode == 0 and f"{len(names)} converted" in done.stdout, done.stderr
        again, _ = run(command, source, out)
        assert again.returncode == 0 and ("done before" in again.stdout), again.stdout
        for file in names:
            for command in (["evidence"], ["restore", "-o", tmp_path / "back", "-f"]):
                said = subprocess.run([BINARY, *command, os.path.join(os.fsencode(out), file)], capture_output=True)
                assert said.returncode == 0, (file, said.stderr)
            assert (tmp_path / "back").read_bytes() == open(os.path.join(os.fsencode(source), file), "rb").read()
    # An unreadable file of such a name, in a folder and in an archive.
    with open(os.path.join(os.fsencode(source), b"\xff.dcm"), "wb") as file:
        file.write(b"nothing")
    assert run("convert", source, tmp_path / "out")[0].returncode == 1
    assert open(os.fsencode(tmp_path / "out") + b"/\xff.dcm", "rb").read() == b"nothing"
    assert firstlight("import", source, "--data", tmp_path / "data").returncode == 1
    [entry] = map(json.loads, firstlight("quarantine", "list", "--data", tmp_path / "data", "--json").stdout.splitlines())
    assert entry["source_bytes"].endswith("/%FF.dcm")


def test_a_folder_of_files_is_not_scrubbed_but_audited(tmp_path):
    make_image(tmp_path / "in" / "1.dcm", seed=1)
    assert run("convert", tmp_path / "in", tmp_path / "out")[0].returncode == 0
    done = firstlight("scrub", "--data", tmp_path / "out")
    assert done.returncode == 2 and "firstlight audit" in done.stderr
    done = firstlight("scrub")
    assert done.returncode == 2 and "a folder that convert" not in done.stderr
