"""Converts the corpus once, before tests are collected; workers read the result."""
import csv
import functools
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

import pairs
from common import BINARY, CORPUS, SHARED, check_binary


def pytest_configure(config):
    """On the process that controls the workers: convert what the tests named need, keep the reports."""
    if hasattr(config, "workerinput") or {"FIRSTLIGHT_CONVERTED", "FIRSTLIGHT_PAIRED"} & os.environ.keys() or not CORPUS.is_dir():
        return
    check_binary()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="firstlight-judges-"))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    if not all("test_pairs" in argument for argument in config.args):
        convert_corpus(folder)
    if any("test_pairs" in argument or "::" not in argument and pathlib.Path(argument).is_dir() for argument in config.args):
        started = time.monotonic()
        pairs.prepare(folder / "pairs")
        print(f"converted every pair in {time.monotonic() - started:.0f} s", file=sys.__stderr__, flush=True)
        os.environ["FIRSTLIGHT_PAIRED"] = str(folder / "pairs")


def convert_corpus(folder):
    """The whole corpus by the default policy."""
    started = time.monotonic()
    convert = [BINARY, "convert", CORPUS, folder / "out", "--report", folder / "report.jsonl", "--policy", "default"]
    done = subprocess.run(convert, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    (folder / "exit").write_text(str(done.returncode))
    print(f"\nconverted the corpus in {time.monotonic() - started:.0f} s\n{done.stdout}", file=sys.__stderr__, flush=True)
    os.environ["FIRSTLIGHT_CONVERTED"] = str(folder)


def pytest_terminal_summary(terminalreporter):
    """Converted of expected per rule, and what residues cost: workers cannot print, so the tests leave it in files."""
    for name in ("rules", "residues"):
        found = pathlib.Path(os.environ.get("FIRSTLIGHT_CONVERTED", "")) / name
        if found.is_file():
            terminalreporter.write_line(found.read_text().strip())
    if "FIRSTLIGHT_PAIRED" in os.environ:
        terminalreporter.write_line(pairs.matrix(pathlib.Path(os.environ["FIRSTLIGHT_PAIRED"])))


def table(path, key="path"):
    with open(path, newline="") as lines:
        return {row[key]: row for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)}


class Converted:
    """The result of the run, by path in the corpus."""

    def __init__(self):
        self.folder = pathlib.Path(os.environ["FIRSTLIGHT_CONVERTED"])
        self.out = self.folder / "out"
        report = [json.loads(line) for line in (self.folder / "report.jsonl").read_text().splitlines()]
        self.report = {str(pathlib.Path(line["source"]).relative_to(CORPUS.absolute())): line for line in report}
        self.reference = table(CORPUS / "REFERENCE.tsv")
        self.manifest = table(CORPUS / "MANIFEST.tsv")

    def with_outcome(self, outcome):
        return sorted(path for path, line in self.report.items() if line["outcome"] == outcome)


@functools.cache
def converted():
    """The run, or None where there is no corpus."""
    return Converted() if "FIRSTLIGHT_CONVERTED" in os.environ else None


@functools.cache
def oracle():
    """The independent judge that comes with the corpus; it decodes each file once."""
    spec = importlib.util.spec_from_file_location("oracle", SHARED / "judges" / "oracle.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.decoders = functools.lru_cache(maxsize=2)(module.decoders)
    return module


def pytest_generate_tests(metafunc):
    """`each_converted`, `each_index`, `each_kept`, `each_rpcl`: one test per file; one visible skip where there is no corpus."""
    choices = {
        "each_converted": lambda run: [path for path in run.with_outcome("converted") if run.report[path]["rule"] != "dicomdir"],
        "each_index": lambda run: [path for path in run.with_outcome("converted") if run.report[path]["rule"] == "dicomdir"],
        "each_kept": lambda run: run.with_outcome("kept"),
        "each_rpcl": lambda run: sorted(path for path, line in run.report.items() if (line["transfer_syntax"] or "").endswith(".4.202")),
    }
    for name, choose in choices.items():
        if name in metafunc.fixturenames:
            missing = pytest.param("", marks=pytest.mark.skip(reason=f"no corpus at {CORPUS}"))
            metafunc.parametrize(name, choose(converted()) if converted() else [missing])


@pytest.fixture
def result():
    if not converted():
        pytest.skip(f"no corpus at {CORPUS}")
    return converted()


@pytest.fixture
def judge():
    return oracle()
