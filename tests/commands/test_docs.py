"""Every `firstlight` command that README.md and docs/*.md print in a block of shell, run as it is printed.

Each runs in a folder of its own, where what the documents name is there: absolute paths are moved below that folder, everything else is as
written. What can't be run stands in SKIPPED with its reason.
"""
import os
import re
import shlex
import signal
import subprocess

import pytest

from common import BINARY, ROOT, firstlight, make_image

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = {"", "sh", "bash", "shell", "console"}
# Command as printed -> why it is not run here.
SKIPPED = {
    command: "there is no PACS of that name"
    for command in (
        "firstlight send a/folder PACS@pacs.example.org:11112",
        "firstlight send --data /srv/firstlight --study 1.2.840.1 PACS@pacs.example.org:11112",
        "firstlight pull PACS@pacs.example.org:11112 --study 1.2.840.1 --data /srv/firstlight",
    )
}
UID = "1.2.840.1"


def commands():
    """Document, line, command as printed."""
    for document in DOCUMENTS:
        fence = None
        for number, line in enumerate(document.read_text().splitlines(), 1):
            opened = re.match(r"\s*```(\w*)", line)
            if opened:
                fence = opened[1] if fence is None else None
            elif fence in SHELL and (found := re.match(r"(?:\$ )?(firstlight [^#]*?)\s*(?:#.*)?$", line)):
                yield document.name, number, found[1]


COMMANDS = list(commands())


def test_the_documents_have_commands():
    printed = {command for _, _, command in COMMANDS}
    assert len(printed) >= 15 and set(SKIPPED) <= printed
    for command, reason in SKIPPED.items():
        print(f"not run: {command}: {reason}")


@pytest.fixture
def place(tmp_path):
    """What the documents name: sources, destinations that were written to, one file, an archive."""
    for source in ("IN", "SRC", "a/folder", "old/archive"):
        # No secondary capture: those may show text, and are not de-identified.
        make_image(tmp_path / source / "a" / "b.dcm", seed=1, SOPInstanceUID=UID, SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    for source, destination in (("IN", "OUT"), ("IN", "new/archive-2")):
        assert firstlight("convert", tmp_path / source, tmp_path / destination).returncode == 0
    assert firstlight("migrate", tmp_path / "IN", tmp_path / "DIR", "--archive", "--sample", 0).returncode == 0
    (tmp_path / "srv").mkdir()
    return tmp_path


@pytest.mark.parametrize("document, number, command", COMMANDS, ids=lambda value: str(value))
def test_a_documented_command_runs_as_it_is_printed(place, document, number, command):
    if command in SKIPPED:
        pytest.skip(SKIPPED[command])
    if "--status" in command or command.startswith("firstlight audit"):
        assert firstlight("migrate", place / "old" / "archive", place / "new" / "archive", "--sample", 0).returncode == 0
    if re.search(r"\bFILE\b", command):
        # The file that a reader has at hand is one that was converted.
        assert firstlight("convert", place / "IN", place / "written").returncode == 0
    words = [word.removesuffix("...") for word in shlex.split(command)[1:]]
    if "--head" in words:
        # The one that a reader signed.
        told = firstlight("audit", place / "new" / "archive").stdout
        words[words.index("--head") + 1] = re.search(r"\b[0-9a-f]{64}\b", told)[0]
    words = ["written/a/b.dcm" if word == "FILE" else word for word in words]
    words = [f"{place}{word}" if re.match(r"/\w", word) else word for word in words]
    words = [os.path.join(place, word[2:]) if word.startswith("~/") else word for word in words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLIGHT_")}
    environment |= {"HOME": str(place), "FIRSTLIGHT_LISTEN": "127.0.0.1:0"}
    if words[0] == "serve":
        server = subprocess.Popen([BINARY, *words], cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert "at http://127.0.0.1:" in server.stdout.readline()
        finally:
            server.send_signal(signal.SIGINT)
            _, said = server.communicate(timeout=60)
        assert server.returncode == 0, said
        return
    done = firstlight(*words, cwd=place, env=environment)
    assert done.returncode == 0, f"{document} line {number}: {command}\n{done.stdout}{done.stderr}"
