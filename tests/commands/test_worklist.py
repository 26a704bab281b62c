"""The worklist of modalities and what they say that they perform, asked by programs that are not ours: DCMTK's findscu and pynetdicom."""
import datetime
import json
import re
import shutil
import urllib.error
import urllib.request

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.sop_class import ModalityPerformedProcedureStep, ModalityWorklistInformationFind

from test_dimse import Archive, associated, rested, run

pytestmark = pytest.mark.skipif(shutil.which("findscu") is None, reason="DCMTK's findscu is not there")
TODAY = datetime.date.today()


def day(offset):
    return (TODAY + datetime.timedelta(days=offset)).strftime("%Y%m%d")


def item(number, name, modality="CT", station="CT1", offset=0, **more):
    return {
        "00080050": {"vr": "SH", "Value": [f"A{number}"]},
        "00100010": {"vr": "PN", "Value": [name]},
        "00100020": {"vr": "LO", "Value": [f"P{number}"]},
        "0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]},
        "00401001": {"vr": "SH", "Value": [f"R{number}"]},
        "00400100": {"vr": "SQ", "Value": [{
            "00080060": {"vr": "CS", "Value": [modality]},
            "00400001": {"vr": "AE", "Value": [station]},
            "00400002": {"vr": "DA", "Value": [day(offset)]},
            "00400003": {"vr": "TM", "Value": ["0930"]},
            "00400007": {"vr": "LO", "Value": ["Head"]},
            "00400009": {"vr": "SH", "Value": [f"S{number}"]},
        }]},
        **more,
    }


def http(archive, path, method="GET", body=None):
    request = urllib.request.Request(f"{archive.root}/{path}", method=method, data=body and json.dumps(body).encode())
    request.add_header("Content-Type", "application/dicom+json")
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


ITEMS = [
    item(1, {"Alphabetic": "D\u00f6rner^J\u00e4n"}),
    item(2, {"Alphabetic": "Roe^Ana"}, station="CT2", offset=1),
    item(3, {"Alphabetic": "Yamada^Tarou", "Ideographic": "\u5c71\u7530^\u592a\u90ce"}, modality="MR", station="MR1"),
    item(4, {"Alphabetic": "Roe^Bo"}, modality="MR", station="MR1", offset=3),
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    archive = Archive(tmp_path_factory.mktemp("worklist"))
    assert len(http(archive, "worklist", "POST", ITEMS)) == 4
    yield archive
    archive.stop()


def identifier(step=None, **values):
    asked = Dataset()
    for name, value in values.items():
        setattr(asked, name, value)
    inner = Dataset()
    for name, value in (step or {}).items():
        setattr(inner, name, value)
    asked.ScheduledProcedureStepSequence = [inner]
    return asked


def found(association, asked):
    answers = list(association.send_c_find(asked, ModalityWorklistInformationFind))
    assert [status.Status for status, _ in answers] == [0xFF00] * (len(answers) - 1) + [0], answers
    return [row for _, row in answers[:-1]]


QUERIES = [
    ({}, {}, "1234"),
    ({"ScheduledStationAETitle": "CT1"}, {}, "1"),
    ({"ScheduledStationAETitle": "mr1", "Modality": "MR"}, {}, "34"),
    ({"ScheduledProcedureStepStartDate": day(0)}, {}, "13"),
    ({"ScheduledProcedureStepStartDate": f"{day(1)}-{day(3)}"}, {}, "24"),
    ({"ScheduledProcedureStepStartDate": f"-{day(0)}", "ScheduledProcedureStepStartTime": "0900-1000"}, {}, "13"),
    ({"ScheduledProcedureStepStartDate": f"{day(2)}-"}, {}, "4"),
    ({"Modality": "CT"}, {"PatientName": "roe*"}, "2"),
    ({}, {"PatientName": "D\u00d6RNER^J*"}, "1"),
    ({}, {"PatientName": "=\u5c71\u7530*"}, "3"),
    ({}, {"PatientID": "P?"}, "1234"),
    ({}, {"PatientID": "p1"}, ""),
    ({}, {"StudyInstanceUID": ["1.2.1", "1.2.4"]}, "14"),
    ({}, {"AccessionNumber": "A2", "RequestedProcedureID": ""}, "2"),
    ({"Modality": "US"}, {}, ""),
]


@pytest.mark.parametrize("step, keys, expected", QUERIES, ids=range(len(QUERIES)))
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian], ids=["implicit", "explicit"])
def test_pynetdicom_is_told_what_matches(filled, step, keys, expected, syntax):
    association = associated(filled, (ModalityWorklistInformationFind, [syntax]))
    asked = identifier({"Modality": "", "ScheduledProcedureStepID": "", **step}, **{"PatientID": "", "PatientName": "", "SpecificCharacterSet": "ISO_IR 192", **keys})
    rows = found(association, asked)
    association.release()
    assert "".join(sorted(row.PatientID[1:] for row in rows)) == expected
    for row in rows:
        source = ITEMS[int(row.PatientID[1:]) - 1]
        (inner,) = row.ScheduledProcedureStepSequence
        assert inner.Modality == source["00400100"]["Value"][0]["00080060"]["Value"][0] and inner.ScheduledProcedureStepID == f"S{row.PatientID[1:]}"
        name = source["00100010"]["Value"][0]
        assert str(row.PatientName) == "=".join(filter(None, [name["Alphabetic"], name.get("Ideographic")]))
        assert {element.tag for element in row} - {0x00080005} == {element.tag for element in asked} - {0x00080005}, "what was asked for, and nothing else"


def test_a_sequence_without_keys_is_answered_whole(filled):
    association = associated(filled, (ModalityWorklistInformationFind, [ImplicitVRLittleEndian]))
    asked = Dataset()
    asked.PatientID, asked.ScheduledProcedureStepSequence = "P1", []
    (row,) = found(association, asked)
    (inner,) = row.ScheduledProcedureStepSequence
    association.release()
    assert (inner.ScheduledStationAETitle, inner.ScheduledProcedureStepDescription, inner.ScheduledProcedureStepStartTime) == ("CT1", "Head", "0930")


def test_findscu_reads_the_worklist(filled):
    step = "ScheduledProcedureStepSequence[0]."
    done = run(
        "findscu", "-W", "-k", "PatientName", "-k", "PatientID", "-k", "StudyInstanceUID", "-k", f"{step}Modality=MR", "-k", f"{step}ScheduledStationAETitle=MR1",
        "-k", f"{step}ScheduledProcedureStepStartDate={day(0)}-{day(1)}", "127.0.0.1", filled.port,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 and re.findall(r"1\.2\.\d\b", said) == ["1.2.3"], done


def test_peers_see_what_they_may(tmp_path):
    (tmp_path / "firstlight.toml").write_text(
        '[[peer_grant]]\ntitle = "MR1"\nmay = "write"\nonly = ["modality=MR"]\n[[peer_grant]]\ntitle = "NONE"\nmay = "read"\nonly = ["study=1.9"]\n'
    )
    archive = Archive(tmp_path, "--config", tmp_path / "firstlight.toml", "--peer", "MR1@127.0.0.1:104,NONE@127.0.0.1:104,ALL@127.0.0.1:104")
    try:
        http(archive, "worklist", "POST", ITEMS)
        for title, expected in (("MR1", "34"), ("NONE", ""), ("ALL", "1234")):
            association = associated(archive, (ModalityWorklistInformationFind, [ImplicitVRLittleEndian]), title=title)
            assert "".join(sorted(row.PatientID[1:] for row in found(association, identifier(PatientID="")))) == expected, title
            association.release()
        association = performing(archive, title="NONE")
        assert association.send_n_create(begun(), ModalityPerformedProcedureStep, "1.2.99")[0].Status == 0x0124
        association.release()
        association = performing(archive, title="MR1")
        assert association.send_n_create(begun(Modality="CT"), ModalityPerformedProcedureStep, "1.2.99")[0].Status == 0x0124
        assert association.send_n_create(begun(Modality="MR"), ModalityPerformedProcedureStep, "1.2.99")[0].Status == 0
        association.release()
    finally:
        archive.stop()


# -- Modality Performed Procedure Step


def performing(archive, **named):
    association = associated(archive, (ModalityPerformedProcedureStep, [ExplicitVRLittleEndian]), **named)
    for name in ("send_n_create", "send_n_set"):
        setattr(association, name, rested(association, getattr(association, name)))
    return association


def begun(**more):
    step = Dataset()
    step.PerformedProcedureStepStatus, step.PerformedProcedureStepID, step.Modality = "IN PROGRESS", "PPS1", "CT"
    step.PatientName, step.PatientID, step.SpecificCharacterSet = "D\u00f6rner^J\u00e4n", "P1", "ISO_IR 100"
    scheduled = Dataset()
    scheduled.StudyInstanceUID, scheduled.ScheduledProcedureStepID, scheduled.AccessionNumber = "1.2.1", "S1", "A1"
    step.ScheduledStepAttributesSequence = [scheduled]
    step.PerformedSeriesSequence = []
    for name, value in more.items():
        setattr(step, name, value)
    return step


def change(state, **more):
    step = Dataset()
    step.PerformedProcedureStepStatus = state
    for name, value in more.items():
        setattr(step, name, value)
    return step


def test_a_step_is_begun_changed_and_ended(tmp_path):
    archive = Archive(tmp_path)
    try:
        association = performing(archive)
        model, uid = ModalityPerformedProcedureStep, "1.2.826.1"
        create = lambda step, of=uid: association.send_n_create(step, model, of)[0]
        update = lambda step, of=uid: association.send_n_set(step, model, of)[0]
        assert create(begun()).Status == 0x0000
        assert create(begun()).Status == 0x0111, "it is there"
        assert create(begun(PerformedProcedureStepStatus="COMPLETED"), "1.2.826.2").Status == 0x0106
        assert create(change("IN PROGRESS"), "1.2.826.2").Status == 0x0120
        assert update(change("COMPLETED"), "1.2.826.3").Status == 0x0112
        assert update(change("STARTED")).Status == 0x0106
        series = Dataset()
        series.SeriesInstanceUID, series.RetrieveAETitle = "1.2.1.5", "FIRSTLIGHT"
        image = Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.1.5.1"
        series.ReferencedImageSequence = [image] * 3000
        assert update(change("IN PROGRESS", PerformedSeriesSequence=[series])).Status == 0
        assert update(change("COMPLETED", PerformedProcedureStepEndDate=day(0))).Status == 0
        late = update(change("DISCONTINUED"))
        assert (late.Status, late.get((0x0000, 0x0903)).value) == (0x0110, 0xA710)
        association.release()
        (step,) = http(archive, "worklist/performed")
        text = pydicom.dataset.Dataset.from_json(json.dumps(step))
        assert (text.SOPInstanceUID, text.PerformedProcedureStepStatus, str(text.PatientName)) == (uid, "COMPLETED", "D\u00f6rner^J\u00e4n")
        assert len(text.PerformedSeriesSequence[0].ReferencedImageSequence) == 3000 and text.PerformedProcedureStepID == "PPS1"
    finally:
        archive.stop()
    # It is kept.
    archive = Archive(tmp_path)
    try:
        assert len(http(archive, "worklist/performed")) == 1
    finally:
        archive.stop()


def test_nothing_is_performed_where_it_is_read_only(tmp_path):
    archive = Archive(tmp_path, "--read-only")
    try:
        association = performing(archive)
        assert association.send_n_create(begun(), ModalityPerformedProcedureStep, "1.2.3")[0].Status == 0x0124
        association.release()
        with pytest.raises(urllib.error.HTTPError) as refused:
            http(archive, "worklist", "POST", ITEMS)
        assert refused.value.code == 405
    finally:
        archive.stop()
