"""`firstlight audit`: what is changed, missing, added or renamed in a destination is named; nothing else is."""
import json
import os
import random
import shutil
import subprocess
import urllib.parse

import pytest

from common import BINARY, CORPUS, firstlight, make_image
from migrating import instances

FAULTS = int(os.environ.get("FIRSTLIGHT_FAULTS", 100))
KILLS = int(os.environ.get("FIRSTLIGHT_AUDIT_KILLS", 4))
LOGS = {"convert": "converted.jsonl", "migrate": "migration.jsonl"}


def audit(*arguments):
    """Exit code, findings, summary."""
    done = firstlight("audit", "--json", "-q", *arguments)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode in (0, 1) and lines and lines[-1]["kind"] == "summary", done.stderr
    return done.returncode, lines[:-1], lines[-1]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Some 40 small files of the corpus, one that can't be read, one that is not DICOM, one whose name is no UTF-8."""
    folder = tmp_path_factory.mktemp("audit") / "in"
    small = sorted(path for path in CORPUS.rglob("*.dcm") if path.stat().st_size < 60_000 and "DICOMDIR" not in path.name)
    if not small:
        pytest.skip("the corpus is not there")
    for path in small[:: len(small) // 40]:
        to = folder / path.parent.name / path.name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
    # A data set that ends within its first element.
    (folder / "cut.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\0\x10\0UI\x20\0" + b"1.2.840")
    (folder / "notes.txt").write_text("not DICOM")
    make_image(folder / "image.dcm", seed=7)
    os.rename(folder / "image.dcm", os.fsencode(folder) + b"/M\xfcller.dcm")
    return folder


@pytest.fixture(scope="module", params=["convert", "migrate"])
def whole(request, sources, tmp_path_factory):
    """A destination that nothing is wrong with, and the name of its records."""
    out = tmp_path_factory.mktemp("whole") / "out"
    done = firstlight(request.param, *(["--sample", 0] if request.param == "migrate" else []), "-q", sources, out)
    assert done.returncode == 1, done.stderr
    return out, LOGS[request.param]


def files(out):
    return sorted(path for path in out.rglob("*") if path.is_file() and ".firstlight" not in path.parts)


def entries(out):
    """The evidence, by file."""
    lines = [json.loads(line) for line in (out / ".firstlight" / "evidence.jsonl").read_text().splitlines()]
    return {line["file"]: line for line in lines}


def test_all_is_well_and_every_source_is_accounted_for(whole, sources):
    out, _ = whole
    everything = [path for path in sources.rglob("*") if path.is_file()]
    told = entries(out)
    outcomes = [entry["outcome"] for entry in told.values()]
    for arguments in ([sources, out], [out]):
        code, findings, summary = audit(*arguments)
        assert (code, findings) == (0, []), findings
        assert summary["well"] and summary["sources_read"] == (len(arguments) == 2)
        for outcome in ("converted", "kept", "unreadable"):
            assert summary[outcome] == outcomes.count(outcome) > 0, outcome
        assert summary["missing"] == summary["failed"] == summary["not_as_written"] == 0
        assert summary["no_way_back"] == sum(e["outcome"] == "converted" and "residue" not in e for e in told.values()) > 0
        assert sum(summary["unreadable_reasons"].values()) == summary["unreadable"]
    code, _, summary = audit(sources, out)
    assert summary["sources"] == len(everything) and summary["skipped"] >= 1
    counted = ("converted", "kept", "unreadable", "skipped")
    assert sum(summary[name] for name in counted) == summary["sources"]
    assert summary["bytes_read"] >= sum(path.stat().st_size for path in files(out))
    # For people, the same.
    shown = firstlight("audit", "-q", sources, out)
    assert shown.returncode == 0 and "all is as it was written" in shown.stdout
    head = next(head for head in summary["heads"] if head["file"].endswith("evidence.jsonl"))
    assert head["head"] in shown.stdout


def test_a_signed_head_is_found_again(whole, sources, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(whole[0], out)
    _, _, before = audit(out)
    head = next(head["head"] for head in before["heads"] if head["file"].endswith("evidence.jsonl"))
    make_image(tmp_path / "more" / "new.dcm", seed=99)
    command = "convert" if whole[1] == LOGS["convert"] else "migrate"
    assert firstlight(command, "-q", tmp_path / "more", out).returncode == 0
    code, findings, after = audit("--head", head, out)
    assert (code, findings) == (0, []) and all(h["head"] != head for h in after["heads"])
    code, findings, _ = audit("--head", "0" * 63 + "1", out)
    assert code == 1 and [f["kind"] for f in findings] == ["record"]
    assert firstlight("audit", "--head", "xyz", out).returncode == 2


def flip(path, rng):
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


class Faults:
    """Seeded faults of a destination; each touches files that no other did."""

    def __init__(self, out, log, seed):
        self.out, self.rng = out, random.Random(seed)
        self.state = out / ".firstlight"
        told = entries(out)
        named = [path for path in files(out) if os.fsencode(path).isascii()]
        of = lambda outcome: [p for p in named if told[str(p.relative_to(out))]["outcome"] == outcome]
        self.converted, self.kept = of("converted"), of("kept")
        self.residues = sorted((self.state / "residue").rglob("*.residue"))
        self.logs = [self.state / "evidence.jsonl", self.state / log]
        self.used = set()
        self.made = 0
        for all in (self.converted, self.kept, self.residues):
            self.rng.shuffle(all)

    def one(self, group):
        """The next of these that is untouched, or none."""
        left = [path for path in group if path not in self.used]
        if left:
            self.used.add(left[0])
            return left[0]

    def fault(self, kind):
        """Makes one; who must be named, each by these kinds: nothing when there is no file left for it."""
        self.made += 1
        if kind == "added":
            path = self.rng.choice(files(self.out)).parent / f"added-{self.made}.dcm"
            path.write_bytes(self.rng.randbytes(300))
            return [(path, {"added"})]
        if kind == "added-copy":
            path = self.out / f"copy-{self.made}.dcm"
            shutil.copyfile(files(self.out)[0], path)
            return [(path, {"added"})]
        if kind == "added-residue":
            path = self.state / "residue" / f"stray-{self.made}.residue"
            path.write_bytes(self.rng.randbytes(30))
            return [(path, {"added"})]
        if kind in ("flip-evidence", "flip-records", "cut-line", "swap-lines"):
            return self.line_fault(kind)
        group = {"converted": self.converted, "kept": self.kept, "residue": self.residues}[kind.split("-")[1]]
        path = self.one(group)
        if path is None:
            return None
        match kind.split("-")[0]:
            case "flip":
                flip(path, self.rng)
                return [(path, {"changed"})]
            case "cut":
                path.write_bytes(path.read_bytes()[: self.rng.randrange(path.stat().st_size)])
                return [(path, {"changed"})]
            case "missing":
                path.unlink()
                return [(path, {"missing"})]
            case "renamed":
                to = path.with_name(f"renamed-{self.made}{path.suffix}")
                path.rename(to)
                return [(path, {"renamed"}), (to, {"renamed"})]

    def line_fault(self, kind):
        log = self.logs[kind == "flip-records"] if kind.startswith("flip") else self.rng.choice(self.logs)
        if log in self.used:
            return None
        self.used.add(log)
        lines = log.read_bytes().splitlines(keepends=True)
        n = self.rng.randrange(len(lines) - 2)
        match kind:
            case "cut-line":
                del lines[n]
            case "swap-lines":
                lines[n], lines[n + 1] = lines[n + 1], lines[n]
            case _:
                line = bytearray(lines[n])
                line[self.rng.randrange(len(line))] ^= 1 << self.rng.randrange(8)
                lines[n] = bytes(line)
        log.write_bytes(b"".join(lines))
        return [(log, {"record"})]


KINDS = [
    "flip-converted",
    "flip-kept",
    "flip-residue",
    "flip-evidence",
    "flip-records",
    "missing-converted",
    "missing-kept",
    "missing-residue",
    "added",
    "added-copy",
    "added-residue",
    "renamed-converted",
    "renamed-kept",
    "renamed-residue",
    "cut-converted",
    "cut-kept",
    "cut-residue",
    "cut-line",
    "swap-lines",
]


def named(findings):
    """Every path of the findings, with the kinds it is named by."""
    paths = {}
    for finding in findings:
        for key in ("path", "to"):
            if key in finding:
                # A path that is no UTF-8 is told in full beside its text.
                encoded = finding.get(f"{key}_bytes")
                path = os.fsdecode(urllib.parse.unquote_to_bytes(encoded)) if encoded else finding[key]
                paths.setdefault(path, set()).add(finding["kind"])
    return paths


def unnamed(wanted, findings):
    paths = named(findings)
    return [(str(path), kinds) for path, kinds in wanted if not paths.get(str(path), set()) & kinds]


def test_every_seeded_fault_alone_is_named(whole, tmp_path):
    out, log = whole
    found = 0
    for n in range(FAULTS // 2):
        copy = tmp_path / f"out-{n}"
        shutil.copytree(out, copy)
        kind = KINDS[n % len(KINDS)]
        wanted = Faults(copy, log, seed=n).fault(kind)
        assert wanted, kind
        code, findings, _ = audit(copy)
        assert code == 1 and not unnamed(wanted, findings), (n, kind, wanted, findings)
        # Nothing else is called changed, added or renamed.
        if not kind.startswith(("cut-line", "swap-lines", "flip-evidence", "flip-records")):
            assert set(named(findings)) == {str(path) for path, _ in wanted}, (n, kind, findings)
        found += 1
        shutil.rmtree(copy)
    print(f"bar audit-faults-{log.split('.')[0]} {found} >= {FAULTS // 2} {'ok' if found >= FAULTS // 2 else 'short'}")
    assert found == FAULTS // 2


def test_many_faults_together_are_all_named(whole, tmp_path):
    out, log = whole
    for seed in range(3):
        copy = tmp_path / f"out-{seed}"
        shutil.copytree(out, copy)
        faults, wanted = Faults(copy, log, seed=1000 + seed), []
        for kind in KINDS * 2:
            # What is cut away must not be what tells of another fault: lines are another test's.
            if kind not in ("cut-line", "swap-lines", "flip-evidence"):
                wanted += faults.fault(kind) or []
        assert len(wanted) >= 25
        code, findings, _ = audit(copy)
        assert code == 1 and not unnamed(wanted, findings), findings


def test_whole_files_of_lines_that_are_gone_are_named(whole, tmp_path):
    out, log = whole
    for name in ("evidence.jsonl", log):
        copy = tmp_path / name
        shutil.copytree(out, copy)
        (copy / ".firstlight" / name).unlink()
        code, findings, _ = audit(copy)
        paths = named(findings)
        there = [path for path in paths if path.startswith(str(copy / ".firstlight"))]
        assert code == 1 and any("missing" in paths[path] for path in there), findings
    copy = tmp_path / "settled"
    shutil.copytree(out, copy)
    mark = copy / ".firstlight" / "evidence.settled"
    mark.write_text("00000000000000000007\n")
    assert str(mark) in named(audit(copy)[1])


def test_a_journal_that_is_damaged_and_a_stranger_are_named(whole, tmp_path):
    copy = tmp_path / "out"
    shutil.copytree(whole[0], copy)
    state = copy / ".firstlight"
    (state / "notes").write_text("a stranger")
    wanted = [(state / "notes", {"added"})]
    journal = state / "migration.sqlite"
    if journal.exists():
        data = bytearray(journal.read_bytes())
        data[4096:8192] = bytes(4096)
        journal.write_bytes(data)
        wanted.append((journal, {"changed"}))
    code, findings, _ = audit(copy)
    assert code == 1 and not unnamed(wanted, findings) and len(findings) == len(wanted), findings


def test_nothing_is_written(whole, sources):
    times = lambda: {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in whole[0].rglob("*") if path.is_file()}
    before = times()
    assert audit(sources, whole[0])[:2] == (0, [])
    assert times() == before


def test_the_end_of_the_records_can_not_be_cut_off_unseen(whole, tmp_path):
    out, log = whole
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    path = copy / ".firstlight" / log
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))
    code, findings, _ = audit(copy)
    assert code == 1 and all(finding["kind"] == "record" for finding in findings) and findings


def test_sources_that_changed_are_judged_by_what_was_recorded(whole, sources, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    command = "convert" if whole[1] == LOGS["convert"] else "migrate"
    instances(source, 6)
    (source / "gone.dcm").write_bytes(next(source.rglob("*.dcm")).read_bytes())
    assert firstlight(command, "-q", source, out).returncode == 0
    assert audit(source, out)[:2] == (0, [])
    paths = sorted(source.rglob("0*.dcm"))
    flip(paths[0], random.Random(1))
    (source / "gone.dcm").unlink()
    paths[1].rename(source / "another name.dcm")
    code, findings, summary = audit(source, out)
    assert (code, findings) == (0, []) and summary["changed_sources"] == 1 and summary["gone_sources"] == 2
    assert summary["missing"] == 0
    # One that never came is missing.
    make_image(source / "late.dcm", seed=5)
    code, findings, summary = audit(source, out)
    assert code == 1 and [(f["kind"], f["path"]) for f in findings] == [("lost", str(source / "late.dcm"))]
    assert summary["missing"] == 1


def test_a_migration_that_was_killed_and_completed_is_no_alarm(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    instances(source, 240, rows=48, per_folder=60)
    (source / "cut.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\0\x10\0UI\x20\0" + b"1.2.840")
    rng, killed = random.Random(11), 0
    while killed < KILLS:
        command = [BINARY, "migrate", "--sample", "0", "-q", str(source), str(out)]
        run = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            run.wait(timeout=rng.uniform(0.02, 0.4))
            shutil.rmtree(out)
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            killed += 1
    assert firstlight("migrate", "--sample", 0, "-q", source, out).returncode == 1
    for arguments in ([out], [source, out]):
        code, findings, summary = audit(*arguments)
        assert (code, findings) == (0, []) and summary["converted"] + summary["kept"] == 240, findings
        assert summary["unreadable"] == 1
    print(f"bar audit-false-alarms 0 <= 0 ok ({KILLS} kills)")


def test_an_unfinished_migration_is_not_well(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    instances(source, 4)
    assert firstlight("migrate", "--plan", "-q", source, out).returncode == 0
    code, findings, summary = audit(source, out)
    assert code == 1 and summary["waiting"] == 4 and len(findings) == 4 and {f["kind"] for f in findings} == {"lost"}


@pytest.fixture(scope="module", params=["import", "migrate"])
def archive(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    source, data = folder / "in", folder / "data"
    instances(source, 5)
    (source / "cut.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\0\x10\0UI\x20\0" + b"1.2.840")
    (source / "notes.txt").write_text("not DICOM")
    arguments = ["import", source, "--data", data] if request.param == "import" else ["migrate", "--sample", 0, source, data, "--archive"]
    assert firstlight(*arguments, "-q").returncode == 1
    return source, data, request.param


def test_an_archive_is_audited_object_by_object(archive, tmp_path):
    source, whole, how = archive
    code, findings, summary = audit(source, "--data", whole)
    assert findings == [] and summary["unreadable"] == 1 and summary["skipped"] == 1
    if how == "import":
        # Stored, and nothing converted them yet.
        assert (code, summary["waiting"]) == (1, 5)
    else:
        assert (code, summary["converted"]) == (0, 5)
    for fault in ("flip", "missing", "added"):
        data = tmp_path / fault
        shutil.copytree(whole, data)
        path = sorted(p for p in (data / "objects").rglob("*") if p.is_file())[2]
        if fault == "flip":
            flip(path, random.Random(3))
        elif fault == "missing":
            path.unlink()
        else:
            path = path.parent / ("0" * len(path.name))
            path.write_bytes(b"nothing")
        code, findings, _ = audit(data)
        kind = {"flip": "changed"}.get(fault, fault)
        assert code == 1 and [(f["kind"], f["path"]) for f in findings] == [(kind, str(path))], findings


@pytest.mark.parametrize("command", ["convert", "migrate"])
def test_a_de_identified_destination_is_audited_without_its_sources(command, tmp_path):
    source, out, key = tmp_path / "MILLER JOHN", tmp_path / "out", tmp_path / "keys" / "k"
    key.parent.mkdir()
    for n in range(4):
        make_image(source / f"secret-{n}.dcm", seed=n, PatientName="MILLER^JOHN", PatientID="ID-4711", BurnedInAnnotation="NO")
    identity = ["--deidentify", "basic", "--key", key]
    more = ["--sample", 2] if command == "migrate" else []
    done = firstlight(command, *more, source, out, *identity, "--make-key")
    assert done.returncode == 0, done.stderr
    code, findings, summary = audit(out)
    assert (code, findings) == (0, []) and summary["converted"] == 4 and summary["deidentified"], summary
    assert firstlight("audit", source, out).returncode == 2
    # Nothing in the destination tells whose it is, or where it came from.
    for path in [out, *out.rglob("*")]:
        assert not any(word in str(path.relative_to(tmp_path)) for word in ("MILLER", "secret"))
        if path.is_file():
            data = path.read_bytes()
            assert not any(word in data for word in (b"MILLER", b"ID-4711", b"secret-", b"2.25.100000000000000000")), path
    # The same command goes on, and other kinds of command do not mix in.
    again = firstlight(command, *more, source, out, *identity)
    assert again.returncode == 0, again.stderr
    plain = firstlight(command, source, out)
    assert plain.returncode == 2 and "de-identified objects" in plain.stderr
    flip(next(out.rglob("*.dcm")), random.Random(2))
    assert audit(out)[0] == 1


def test_what_is_no_destination_is_refused(tmp_path):
    for arguments in ([], [tmp_path], [tmp_path / "gone"]):
        done = firstlight("audit", *arguments)
        assert done.returncode == 2 and "hint:" in done.stderr, done.stderr
