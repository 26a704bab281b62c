"""De-identification judged by pydicom: every attribute of the profile, nested and private ones, and the corpus."""
import collections
import csv
import functools
import hashlib
import hmac
import json
import pathlib
import re
import shutil
import subprocess
import sys

import pydicom
import pytest
from pydicom.datadict import DicomDictionary, dictionary_has_tag
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from common import CORPUS, ROOT, firstlight

PROFILE = ROOT / "crates/deidentify/src/profile.tsv"
CT = "1.2.840.10008.5.1.4.1.1.2"
TEXT = {"LO", "SH", "ST", "LT", "UT", "UC", "PN", "UR", "CS", "AE"}
BULK = {"OB", "OW", "OL", "OF", "OD", "OV", "UN"}


@functools.cache
def rows():
    """Tag and action of every single attribute of the table."""
    with open(PROFILE, newline="") as lines:
        cells = [line.rstrip("\n").split("\t") for line in lines]
    return {int(tag, 16): action for tag, action, *_ in cells if "x" not in tag}


class Markers:
    """Values that occur nowhere else, and the list of all that were given out."""

    def __init__(self, name):
        self.name, self.count, self.given = name, 0, []

    def value(self, vr):
        self.count += 1
        n = self.count
        if vr == "UI":
            marker = f"1.2.276.99.{int(hashlib.sha256(self.name.encode()).hexdigest()[:6], 16)}.7{n:05}"
        elif vr == "DA":
            marker = f"{1921 + n % 70}{n % 12 + 1:02}{n % 28 + 1:02}"
            return marker  # dates repeat: they are looked for by element
        elif vr == "DT":
            return f"1933{n % 12 + 1:02}{n % 28 + 1:02}{n % 24:02}5959.{n:06}"
        elif vr == "TM":
            return f"{n % 24:02}{n % 60:02}{n % 59:02}.{n:06}"
        elif vr in TEXT:
            marker = f"MK{self.name}{n:05}Q"[:16]
        elif vr in BULK:
            marker = f"MK{self.name}{n:05}QBYTES"
            marker += " " * (len(marker) % 2)
        else:
            return None
        self.given.append(marker.strip())
        return marker.encode() if vr in BULK else marker


def fill(dataset, tags, markers, depth):
    """Sets every attribute to a marker; sequences get one item with more of them."""
    for tag in tags:
        if tag >> 16 < 8 or not dictionary_has_tag(tag):
            continue
        vr = DicomDictionary[tag][0].split(" or ")[0]
        if vr == "SQ":
            item = Dataset()
            if depth:
                fill(item, sorted(tags)[:: max(1, len(tags) // 40)] + [0x00100010, 0x00080018, 0x00080050], markers, depth - 1)
                private(item, markers)
            dataset.add_new(tag, "SQ", Sequence([item]))
        elif (value := markers.value(vr)) is not None:
            dataset.add_new(tag, vr, value)
        elif vr in ("DS", "IS"):
            dataset.add_new(tag, vr, str(7_000_000 + tag % 999_983))


def private(dataset, markers):
    block = dataset.private_block(0x0029, f"MK{markers.name}CREATOR", create=True)
    markers.given.append(f"MK{markers.name}CREATOR")
    block.add_new(0x01, "LO", markers.value("LO"))
    block.add_new(0x02, "OB", markers.value("OB"))
    inner = Dataset()
    inner.PatientName = markers.value("PN")
    block.add_new(0x03, "SQ", Sequence([inner]))


def made(path, syntax, markers):
    """A CT image with every attribute of the table, groups 50xx and 60xx, a file meta and a preamble that tell."""
    image = Dataset()
    fill(image, [tag for tag in rows() if tag != 0x00420011], markers, 2)
    private(image, markers)
    image.add_new(0x50003000, "OW", markers.value("OW"))
    image.add_new(0x60003000, "OW", markers.value("OW"))
    image.add_new(0x60004000, "LT", markers.value("LT"))
    image.add_new(0x60000010, "US", 64)
    image.add_new(0x00100033, "LO", markers.value("LO"))
    image.add_new(0x00189999, "LO", markers.value("LO"))  # no element of the standard
    image.add_new(0xFFFCFFFC, "OB", markers.value("OB"))
    image.SOPClassUID, image.Modality, image.BurnedInAnnotation = CT, "CT", "NO"
    image.ImageType, image.SpecificCharacterSet = ["ORIGINAL", "PRIMARY", "AXIAL"], "ISO_IR 100"
    image.Rows = image.Columns = 64
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.add_new(0x7FE00010, "OW", b"".join((n % 4096).to_bytes(2, "big" if syntax == ExplicitVRBigEndian else "little") for n in range(4096)))
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = CT
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = syntax
    image.file_meta.SourceApplicationEntityTitle = markers.value("AE")
    image.file_meta.SendingApplicationEntityTitle = markers.value("AE")
    image.file_meta.PrivateInformationCreatorUID = markers.value("UI")
    image.file_meta.PrivateInformation = markers.value("OB")
    image.preamble = f"MK{markers.name}PREAMBLE".encode().ljust(128, b"\0")
    markers.given.append(f"MK{markers.name}PREAMBLE")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
    return image


def deidentify(tmp_path, sources, *options, profile="basic"):
    out = tmp_path / "out"
    key = tmp_path / "key"
    done = firstlight("convert", *sources, out, "--deidentify", profile, "--key", key, "--make-key", "--report", tmp_path / "report.jsonl", *options)
    report = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    return done, out, report


def written(out):
    return sorted(path for path in out.rglob("*.dcm") if ".firstlight" not in path.parts)


def everything(out):
    """Every byte that was written, and every name."""
    return {path.relative_to(out): path.read_bytes() if path.is_file() else b"" for path in out.rglob("*")}


def walk(dataset, path=""):
    for element in dataset:
        here = f"{path}/{element.tag}"
        yield here, element
        if element.VR == "SQ":
            for item in element.value:
                yield from walk(item, here)


@pytest.mark.parametrize("policy", ["default", "keep"])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian], ids=lambda s: s.name.split(" ")[0] + s.name[-8:-7])
def test_no_value_of_any_attribute_of_the_profile_is_left(tmp_path, syntax, policy):
    markers = Markers("ALL")
    source = made(tmp_path / "src" / "MKALLFOLDER" / "MKALLFILE.dcm", syntax, markers)
    markers.given += ["MKALLFOLDER", "MKALLFILE"]
    assert len(markers.given) > 700
    keep = tmp_path / "keep.toml"
    keep.write_text('[[rule]]\nname = "keep"\nwhen = {}\nthen = { keep = "asked" }\n')
    done, out, report = deidentify(tmp_path, [tmp_path / "src"], "--policy", keep if policy == "keep" else policy)
    assert done.returncode == 0, done.stderr
    (path,) = written(out)
    # All markers start alike: one look for the starts finds any of them.
    starts = {b"MKALL", next(m for m in markers.given if m.startswith("1.2.276.99."))[:-5].encode()}
    assert all(any(marker.encode().startswith(start) for start in starts) for marker in markers.given)
    assert all((tmp_path / "src/MKALLFOLDER/MKALLFILE.dcm").read_bytes().count(start) > 100 for start in starts) or "Deflated" in syntax.name
    for name, data in [*everything(out).items(), ("report", (tmp_path / "report.jsonl").read_bytes())]:
        assert not [start for start in starts if start in data or start in str(name).encode()], name
    assert (tmp_path / "key").read_text().strip() not in str(everything(out)) + (tmp_path / "report.jsonl").read_text()
    assert str(tmp_path / "src") not in (out / ".firstlight" / "converted.jsonl").read_text()

    image = pydicom.dcmread(path)
    assert path.read_bytes()[:128] == bytes(128)
    assert image.PatientIdentityRemoved == "YES" and image.LongitudinalTemporalInformationModified == "REMOVED"
    assert [item.CodeValue for item in image.DeidentificationMethodCodeSequence] == ["113100"]
    assert set(image.file_meta.keys()) <= {0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013}
    table = rows()
    for where, element in walk(image):
        assert element.tag.group % 2 == 0, where
        assert not 0x5000 <= element.tag.group <= 0x50FF and not 0x6000 <= element.tag.group <= 0x60FF, where
        action = table.get(int(element.tag))
        assert action != "X", f"{where} is to be removed"
        if action in ("Z", "X/Z") and element.tag not in (0x00100010, 0x00081110):
            assert not element.value, f"{where} is to be empty"
        if element.VR == "UI":
            values = element.value if element.VM > 1 else [element.value]
            assert all(re.match(r"2\.25\.\d+$|1\.2\.840\.10008\.", value) for value in values), where
        if element.VR in ("DA", "DT", "TM"):
            assert element.value in ("", "19000101", "19000101000000", "000000"), f"{where} has a date"
    # Every row of the table was in the source.
    there = {int(e.tag) for _, e in walk(source)}
    assert not [hex(t) for t in table if t >> 16 >= 8 and dictionary_has_tag(t) and DicomDictionary[t][0] != "AS" and t not in there and t != 0x00420011 and DicomDictionary[t][0] not in ("US", "FD", "FL", "SL", "UL", "AT")]
    judged = pydicom.dcmread(path).pixel_array
    assert judged.reshape(-1).tolist() == [n % 4096 for n in range(4096)]


def test_the_same_uid_becomes_the_same_new_uid_wherever_it_stands(tmp_path):
    markers = Markers("REF")
    one = made(tmp_path / "src" / "a.dcm", ExplicitVRLittleEndian, markers)
    other = pydicom.dcmread(tmp_path / "src" / "a.dcm")
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = "1.2.276.99.5"
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, one.SOPInstanceUID
    other.ReferencedImageSequence = [item]
    other.save_as(tmp_path / "src" / "b.dcm")
    done, out, _ = deidentify(tmp_path, [tmp_path / "src"])
    assert done.returncode == 0, done.stderr
    images = [pydicom.dcmread(path) for path in written(out)]
    assert len(images) == 2 and images[0].StudyInstanceUID == images[1].StudyInstanceUID
    refers = next(i for i in images if i.ReferencedImageSequence[0].get("ReferencedSOPInstanceUID") in {j.SOPInstanceUID for j in images})
    assert refers.ReferencedImageSequence[0].ReferencedSOPClassUID == CT
    assert all(i.PatientID == images[0].PatientID and i.PatientID for i in images)
    again, _, report = deidentify(tmp_path, [tmp_path / "src"])
    assert again.returncode == 0 and all(line["unchanged"] for line in report)


def test_options_keep_what_they_name_and_nothing_else(tmp_path):
    markers = Markers("OPT")
    source = made(tmp_path / "src" / "a.dcm", ExplicitVRLittleEndian, markers)
    source.StudyDate, source.SeriesDescription = "20240229", "CT ABDOMEN Dr. Wibble 1.5mm"
    source.PatientSize, source.PatientAge = "1.78", "041Y"
    source.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "1000")
    source.save_as(tmp_path / "src" / "a.dcm")
    profile = "basic,retain-uids,retain-device,retain-institution,retain-patient,modify-dates,retain-safe-private,clean-descriptors"
    done, out, _ = deidentify(tmp_path, [tmp_path / "src"], profile=profile)
    assert done.returncode == 0, done.stderr
    image = pydicom.dcmread(written(out)[0])
    assert image.SOPInstanceUID == source.SOPInstanceUID and image.DeviceSerialNumber == source.DeviceSerialNumber
    assert image.InstitutionName == source.InstitutionName and image.PatientAge == "041Y"
    assert image.SeriesDescription == "CT ABDOMEN 1.5mm"
    assert image.StudyDate not in ("", "20240229") and "20140302" <= image.StudyDate < "20240229"
    assert image[0x0019, 0x100C].value == 1000 and not [e for e in image if e.tag.group == 0x0029]
    assert image.PatientName not in (source.PatientName, "") and "PatientComments" not in image and not image.PatientBirthDate
    assert image.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [i.CodeValue for i in image.DeidentificationMethodCodeSequence] == ["113100", "113110", "113109", "113112", "113108", "113107", "113111", "113105"]


def test_what_cannot_be_cleaned_is_blocked_and_not_named_in_what_is_kept(tmp_path):
    markers = Markers("BLK")
    for name, change in {
        "yes": {"BurnedInAnnotation": "YES"},
        "us": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1", "BurnedInAnnotation": None},
        "screen": {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"], "BurnedInAnnotation": None},
        "document": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"},
    }.items():
        image = made(tmp_path / "src" / f"{name}.dcm", ExplicitVRLittleEndian, markers)
        for keyword, value in change.items():
            setattr(image, keyword, value)
        image.save_as(tmp_path / "src" / f"{name}.dcm")
    (tmp_path / "src" / "cut.dcm").write_bytes((tmp_path / "src" / "us.dcm").read_bytes()[:3000])
    done, out, report = deidentify(tmp_path, [tmp_path / "src"])
    assert done.returncode == 1 and not written(out)
    assert {line["outcome"] for line in report} == {"unreadable"} and len(report) == 5
    assert all(line["destination"] is None for line in report)
    assert all(str(tmp_path) not in json.dumps(line) and "MKBLK" not in json.dumps(line) for line in report)
    assert all(f"{name}.dcm" in done.stderr for name in ("yes", "us", "screen", "document", "cut")), done.stderr
    assert not [name for name, data in everything(out).items() if b"MKBLK" in data]
    done, out, report = deidentify(tmp_path, [tmp_path / "src"], "--burned-in", "flag")
    assert len(written(out)) == 3 and sum(bool(line.get("flags")) for line in report) == 3
    assert done.stderr.count("look at: ") == 3


@pytest.mark.parametrize("arguments,says", [
    (["--deidentify", "basic"], "needs a key"),
    (["--deidentify", "basic,everything", "--key", "k"], "unknown option"),
    (["--deidentify", "basic", "--key", "k", "--layout", "mirror"], "can't be mirrored"),
    (["--deidentify", "basic", "--key", "none"], "--make-key"),
    (["--key", "k"], "without --deidentify"),
    (["--deidentify", "basic", "--key", "out/k", "--make-key"], "lies in the destination"),
])
def test_wrong_use_is_said_before_anything_is_written(tmp_path, arguments, says):
    made(tmp_path / "src" / "a.dcm", ExplicitVRLittleEndian, Markers("USE"))
    done = firstlight("convert", "src", "out", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and says in done.stderr and not written(tmp_path / "out")


def test_a_destination_holds_one_kind(tmp_path):
    made(tmp_path / "src" / "a.dcm", ExplicitVRLittleEndian, Markers("KND"))
    assert firstlight("convert", tmp_path / "src", tmp_path / "out").returncode == 0
    done, _, _ = deidentify_quietly(tmp_path)
    assert done.returncode == 2 and "choose another destination" in done.stderr


def test_a_destination_that_names_unreadable_sources_takes_no_deidentified_objects(tmp_path):
    made(tmp_path / "src" / "a.dcm", ExplicitVRLittleEndian, Markers("RFD"))
    path = tmp_path / "src" / "a.dcm"
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    assert firstlight("convert", tmp_path / "src", tmp_path / "out").returncode == 1
    (tmp_path / "out" / "a.dcm").unlink()
    path.write_bytes(good)
    done, _, _ = deidentify_quietly(tmp_path)
    assert done.returncode == 2 and "choose another destination" in done.stderr


def test_migrations_and_deidentified_objects_do_not_mix(tmp_path):
    made(tmp_path / "src" / "a.dcm", ExplicitVRLittleEndian, Markers("MIG"))
    assert firstlight("migrate", tmp_path / "src", tmp_path / "out", "--sample", 0).returncode == 0
    done, out, _ = deidentify_quietly(tmp_path)
    assert done.returncode == 2 and "choose another destination" in done.stderr
    shutil.rmtree(out)
    assert deidentify_quietly(tmp_path)[0].returncode == 0
    before = written(out)
    done = firstlight("migrate", tmp_path / "src", out, "--sample", 0)
    assert done.returncode == 2 and "holds de-identified objects" in done.stderr and written(out) == before
    done = firstlight("migrate", "--deidentify", "basic", tmp_path / "src", tmp_path / "other")
    assert done.returncode == 2 and "needs a key" in done.stderr and not (tmp_path / "other").exists()
    # A migration takes the identity out too, and not into what holds others.
    keyed = ("--deidentify", "basic", "--key", tmp_path / "key", "--sample", 0)
    assert firstlight("migrate", *keyed, tmp_path / "src", tmp_path / "other").returncode == 0
    assert firstlight("migrate", tmp_path / "src", tmp_path / "named", "--sample", 0).returncode == 0
    before = written(tmp_path / "named")
    done = firstlight("migrate", *keyed, tmp_path / "src", tmp_path / "named")
    assert done.returncode == 2 and "not de-identified" in done.stderr and written(tmp_path / "named") == before


def deidentify_quietly(tmp_path):
    done = firstlight("convert", tmp_path / "src", tmp_path / "out", "--deidentify", "basic", "--key", tmp_path / "key", "--make-key")
    return done, tmp_path / "out", None


IDENTITY = re.compile(r"1\.2\.840\.10008\.|2\.16\.840\.1\.113883\.6\.")


def identity(dataset):
    """UIDs of instances, names and numbers of people in a data set, where they are long enough to be looked for."""
    found = set()
    for _, element in walk(dataset):
        if element.VR == "UI" and not any(part in element.keyword for part in ("SOPClass", "TransferSyntax", "CodingScheme", "Context", "MappingResource")):
            found |= {str(v) for v in (element.value if element.VM > 1 else [element.value]) if v and len(str(v)) > 8 and not IDENTITY.match(str(v))}
        elif element.VR == "PN" and element.value:
            found |= {part for part in re.split(r"[\\^= ,]", str(element.value)) if len(part) > 5} - {"REMOVED"}  # already another's dummy
        elif element.keyword in ("PatientID", "AccessionNumber") and len(str(element.value)) > 6:
            found.add(str(element.value))
    return found


def readable(path):
    try:
        dataset = pydicom.dcmread(path, force=True)
        return dataset if len(list(walk(dataset))) and "DirectoryRecordSequence" not in dataset else None
    except Exception:
        return None


def errors(path):
    """What the checker of the standard says is wrong, without the values it quotes."""
    done = subprocess.run([pathlib.Path(sys.executable).with_name("dciodvfy"), path], capture_output=True, text=True, errors="replace")
    lines = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith("Error")]
    return collections.Counter(re.sub(r"<[\d.]{9,}>", "<UID>", line) for line in lines)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus at {CORPUS}")
    folder = tmp_path_factory.mktemp("corpus")
    done, out, report = deidentify(folder, [CORPUS], "--burned-in", "flag")
    key = bytes.fromhex((folder / "key").read_text())
    token = lambda path: hmac.new(key, b"path\0" + str(path).encode(), hashlib.sha256).hexdigest()[:32]
    lines = {line["source"]: line for line in report}
    files = [path for path in sorted(CORPUS.rglob("*")) if path.is_file()]
    assert done.returncode == 1 and len(lines) == len(files)
    return out, {path: lines[token(path.absolute())] for path in files}, folder


def test_the_corpus_tells_no_uid_no_name_no_number(corpus):
    out, lines, folder = corpus
    known, checked, wrong = set(), 0, []
    for path, line in lines.items():
        source = readable(path) if line["destination"] else None
        if source is None:
            continue
        mine = identity(source)
        known |= mine
        checked += 1
        data = pathlib.Path(line["destination"]).read_bytes()
        wrong += [f"{path.name}: {value}" for value in mine if value.encode("latin-1", "replace") in data]
        made = pydicom.dcmread(line["destination"], force=True)
        wrong += [f"{path.name}: {where}" for where, e in walk(made) if e.tag.group % 2 or rows().get(int(e.tag)) == "X"]
        wrong += [] if made.get("PatientIdentityRemoved") == "YES" else [f"{path.name} is not marked"]
    assert not wrong and checked > 500 and len(known) > 1000, "\n".join(wrong[:40])
    kept = [(folder / "report.jsonl").read_text(), *(f.read_text(errors="replace") for f in (out / ".firstlight").rglob("*") if f.is_file())]
    uids = {value for value in known if value.count(".") > 4}
    names = [str(path.relative_to(out)) for path in out.rglob("*")]
    assert not [value for value in uids if any(value in text for text in [*kept, "\n".join(names)])]
    assert not [path for path in lines if path.name in "".join(kept) and len(path.name) > 8]


def test_the_corpus_keeps_its_samples(corpus):
    """Converted: the hash that verification saw is the reference's. Kept: its frames decode to it."""
    _, lines, _ = corpus
    with open(CORPUS / "REFERENCE.tsv", newline="") as table:
        reference = {row["path"]: row for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)}
    wrong, checked, verified = [], 0, []
    for path, line in lines.items():
        row = reference.get(str(path.relative_to(CORPUS)), {})
        if row.get("status") != "AGREE" or not line["destination"]:
            continue
        if line["transfer_syntax"].startswith("1.2.840.10008.1.2.4.11"):
            same = pydicom.dcmread(path).PixelData == pydicom.dcmread(line["destination"]).PixelData
            wrong += [] if line["outcome"] == "converted" or same else [path.name]
        elif line["outcome"] == "converted":
            checked += 1
            wrong += [] if line["samples_sha256"] == row["pixels_sha256"] else [path.name]
        else:
            verified.append((path, line["destination"], row["pixels_sha256"]))
    judged = firstlight("verify", *(destination for _, destination, _ in verified)).stdout
    wrong += [path.name for path, _, sha in verified if sha not in judged]
    assert not wrong and checked > 200, wrong


def test_the_corpus_gets_no_new_error_of_the_standard(corpus):
    """A sample: every ninth object, by name."""
    _, lines, _ = corpus
    new = collections.Counter()
    for path, line in list(lines.items())[::9]:
        if line["destination"] and line["source_transfer_syntax"] != DeflatedExplicitVRLittleEndian:
            new.update(errors(line["destination"]) - errors(path))
    assert not new, new
