"""What a command says, and to whom: a reader that goes away ends it quietly; -q is quiet; files and folders alike."""
import os
import subprocess

import pytest

from common import BINARY, firstlight, make_image

MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("words")
    for n in range(3):
        make_image(place / "in" / f"{n}.dcm", seed=n)
    assert firstlight("convert", place / "in", place / "out").returncode == 0
    assert firstlight("migrate", place / "in", place / "archive", "--archive", "--sample", 0).returncode == 0
    assert firstlight("migrate", place / "in", place / "tree", "--sample", 0).returncode == 0
    return place


COMMANDS = [
    ("--help",),
    ("policy", "list"),
    ("policy", "show", "default"),
    ("policy", "check", "default"),
    ("policy", "explain", "in/0.dcm", "in/1.dcm"),
    ("policy", "compare", "in", "--sample", "1"),
    ("inspect", "out/0.dcm", "in"),
    ("inspect", "--json", "in"),
    ("verify", "in/0.dcm", "in/1.dcm", "in/2.dcm"),
    ("verify", "out"),
    ("convert", "in", "new1"),
    ("convert", "in", "new2", "--report", "-"),
    ("convert", "in", "new3", "--dry-run"),
    ("migrate", "in", "new4", "--plan"),
    ("migrate", "in", "new5", "--sample", "0"),
    ("migrate", "--status", "tree"),
    ("import", "in", "--data", "new6"),
    ("evidence", "--data", "out"),
    ("evidence", "--data", "out", "--json"),
    ("quarantine", "list", "--data", "out"),
    ("delete", "--list", "--data", "archive"),
    ("hold", "--data", "archive"),
    ("user", "list", "--data", "archive"),
    ("key", "list", "--data", "archive"),
    ("share", "list", "--data", "archive"),
    ("label", "2.25.1", "ward", "--data", "archive"),
    ("backup", "new8", "--data", "archive"),
    ("move", "new9", "--data", "archive"),
    ("scrub", "--data", "archive"),
    ("restore", "out/0.dcm"),
    ("report", "out", "-o", "new7.html"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("closed", ["stdout", "both"])
def test_a_closed_pipe_ends_a_command_quietly(place, words, closed):
    open_ended = firstlight(*words, cwd=place)
    read, write = os.pipe()
    os.close(read)
    both = {"stdout": write, "stderr": write if closed == "both" else subprocess.PIPE}
    done = subprocess.run([BINARY, *words], cwd=place, stdin=subprocess.DEVNULL, text=True, timeout=300, **both)
    os.close(write)
    assert done.returncode in (0, open_ended.returncode), (done.returncode, done.stderr)
    if closed == "stdout":
        assert not any(word in done.stderr for word in ("panicked", "internal error", "Broken pipe", "broken pipe")), done.stderr


def test_every_command_has_its_row_above():
    listed = firstlight("--help").stdout.split("Commands:")[1].split("Options:")[0]
    commands = {line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2:3].isalpha()}
    # serve runs until it is stopped: its greeting is what it prints. send and pull need another machine: test_dimse.py has them.
    assert commands - {"serve", "work", "audit", "send", "pull", "rebuild-index"} <= {words[0] for words in COMMANDS}


def test_quiet_is_quiet(place):
    for words in (("convert", "in", "q1"), ("migrate", "in", "q2", "--sample", "0"), ("import", "in", "--data", "q3")):
        done = firstlight(*words, "-q", cwd=place)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), words


def test_folders_wherever_files_are_taken(place):
    (place / "in" / "notes.txt").write_text("no DICOM")
    for words in (("verify", "in"), ("inspect", "in"), ("policy", "explain", "in")):
        done = firstlight(*words, cwd=place)
        assert done.returncode == 0, done.stderr
        assert all(f"{n}.dcm" in done.stdout for n in range(3)) and "notes.txt" not in done.stdout + done.stderr
    (place / "in" / "notes.txt").unlink()


def test_output_is_called_the_same(place):
    for flag in ("-o", "--output", "--out"):
        back = place / f"back{flag}"
        assert firstlight("restore", "out/0.dcm", flag, back, cwd=place).returncode == 0
        assert back.read_bytes() == (place / "in" / "0.dcm").read_bytes()
    assert "--out " not in firstlight("restore", "--help").stdout


WORDS = [
    (("convert", "in", "w", "-j", "0"), "it is a number, 1 or more"),
    (("convert", "in"), "convert needs the folder that receives the converted files"),
    (("migrate", "in", "w", "--hours", "25:00-06:00"), "from 00:00 to 24:00"),
    (("scrub", "--data", "in"), "in holds no archive"),
    (("evidence", "--data", "in"), "in holds no archive"),
    (("restore", "2.25.1", "--data", "in"), "in holds no archive"),
    (("policy", "show", "none"), "these are shipped: "),
]


@pytest.mark.parametrize("words, said", WORDS, ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_sentences(place, words, said):
    done = firstlight(*words, cwd=place)
    assert done.returncode == 2 and said in done.stderr, done.stderr


def test_the_key_and_its_folder_are_made(place):
    key = place / "keys" / "deep" / "study-a.key"
    # No secondary capture: those may show text.
    make_image(place / "mr" / "0.dcm", SOPClassUID=MR)
    done = firstlight("convert", "mr", "anonymous", "--deidentify", "basic", "--key", key, "--make-key", cwd=place)
    assert done.returncode == 0, done.stderr
    assert key.stat().st_mode & 0o777 == 0o600 and key.parent.stat().st_mode & 0o777 == 0o700
