"""Damaged files of every kind: nothing panics, hangs, takes more than 200 MB, or vanishes.

`FIRSTLIGHT_MUTANTS` says how many (300 without it; `make sweep` takes 3,000), `FIRSTLIGHT_SEED` with which seed.
"""
import json
import os
import pathlib
import random
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from common import BINARY, firstlight, make_image

REPORTS = pathlib.Path(__file__).resolve().parent.parent / "reports"
COUNT = int(os.environ.get("FIRSTLIGHT_MUTANTS", "300"))
SEED = int(os.environ.get("FIRSTLIGHT_SEED", "10"))
MEMORY = 200 << 10  # KiB
ACCEPTS = ["application/dicom; transfer-syntax=*", "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"]
VIEWS = [("frames/1", "multipart/related; type=application/octet-stream; transfer-syntax=*"), ("frames/2", "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"),
         ("rendered", "image/png"), ("thumbnail", "image/jpeg"), ("metadata", "application/dicom+json")]


def mutate(data, rng):
    """One to four wounds, of the kinds that storage, networks and programs leave."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        if len(data) < 16:
            break
        at, kind = rng.randrange(len(data)), rng.randrange(9)
        if rng.random() < 0.5:
            at = rng.randrange(min(len(data), 1600))  # where the header is
        length = min(rng.choice([1, 2, 4, 8, 64, 512]), len(data) - at)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + length] = rng.randbytes(length)
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            del data[at : at + length]
        elif kind == 4:
            data[at:at] = rng.randbytes(length)
        elif kind == 5:
            data[at:at] = data[at : at + length]
        elif kind == 6:
            data[at : at + length] = bytes(length)
        elif kind == 7:
            data[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\xfe\xff\xff\xff", b"\xfe\xff\0\xe0", b"\xfe\xff\xdd\xe0"])
        else:
            other = rng.randrange(len(data))
            data[at : at + length] = data[other : other + length]
    return bytes(data)


@pytest.fixture(scope="module")
def mutants(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutants")
    seeds = sorted(REPORTS.rglob("*.dcm"))
    for n, options in enumerate([dict(rows=200, columns=300), dict(rows=1100, columns=40), dict(bits=8, samples=3), dict(rows=9, columns=7, bits=8)]):
        seeds.append(make_image(tmp_path_factory.mktemp("seeds") / f"{n}.dcm", seed=n, **options))
    coded = tmp_path_factory.mktemp("coded")
    for name in ("default", "htj2k-all", "jxl-colour"):
        assert firstlight("convert", *seeds[-4:], coded / name, "--policy", name).returncode == 0
    seeds += [path for path in sorted(coded.rglob("*.dcm")) if ".firstlight" not in path.parts]
    rng = random.Random(SEED)
    for n in range(COUNT):
        source = seeds[n % len(seeds)]
        (folder / f"{n:04}-{source.parent.name}-{source.stem}.dcm").write_bytes(mutate(source.read_bytes(), rng))
    return folder


def measured(*arguments):
    """Runs a command; its exit code, what it said, and the most memory it held in KiB."""
    process = subprocess.Popen([BINARY, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    timer = threading.Timer(120 + COUNT, process.kill)
    timer.start()
    said = []
    readers = [threading.Thread(target=lambda pipe=pipe: said.append(pipe.read().decode("utf-8", "replace"))) for pipe in (process.stdout, process.stderr)]
    [reader.start() for reader in readers]
    [reader.join() for reader in readers]
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    timer.cancel()
    return process.returncode, "".join(said), usage.ru_maxrss


@pytest.mark.parametrize("command", ["convert", "migrate"])
def test_none_vanishes_from_a_folder(command, mutants, tmp_path):
    out = tmp_path / "out"
    code, said, memory = measured(command, mutants, out, "-q")
    assert code in (0, 1), said[-2000:]
    assert "panicked" not in said and "internal error" not in said, said[-2000:]
    assert memory <= MEMORY, f"{memory >> 10} MB"
    missing = [path.name for path in mutants.iterdir() if not (out / path.name).is_file() and not (out / mutants.name / path.name).is_file()]
    assert not missing, missing[:5]
    code, said, memory = measured("audit", mutants, out, "--json")
    assert code in (0, 1) and memory <= MEMORY, (code, said[-2000:], memory)
    assert "missing" not in {json.loads(line).get("verdict") for line in said.splitlines() if line.startswith("{")}, said[-2000:]


def test_none_hangs_or_fails_a_server(mutants, tmp_path):
    """Whatever was taken in is listed and answers; what was not is told by name."""
    log = open(tmp_path / "log", "w+")
    command = [BINARY, "serve", "--data", tmp_path / "data", "--import", mutants, "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True)
    try:
        root = "http://" + re.search(r"http://(127\.0\.0\.1:\d+)/", process.stdout.readline()).group(1)

        def get(url, accept="*/*"):
            try:
                with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=60) as reply:
                    return reply.status, reply.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

        quiet, before = 0, None
        for _ in range(60 + COUNT):
            status = json.loads(get(f"{root}/status.json")[1])
            now = (status["instances"], status["pending"])
            quiet = quiet + 1 if now == before and now[0] and not now[1] else 0
            before = now
            if quiet == 4:
                break
            time.sleep(0.5)
        assert quiet == 4, before
        offset, wrong, seen = 0, [], 0
        while True:
            code, body = get(f"{root}/dicom-web/instances?limit=100&offset={offset}", "application/dicom+json")
            page = json.loads(body) if code == 200 else []
            assert code in (200, 204), (code, body[:200])
            for instance in page:
                url = instance["00081190"]["Value"][0]
                asked = [(url, accept) for accept in ACCEPTS] + [(f"{url}/{view}", accept) for view, accept in VIEWS]
                wrong += [(code, url, accept) for url, accept in asked if (code := get(url, accept)[0]) >= 500]
                seen += 1
            if len(page) < 100:
                break
            offset += len(page)
        assert seen == before[0] and not wrong, (seen, before, wrong[:5])
        peak = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text()).group(1))
        assert peak <= MEMORY, f"{peak >> 10} MB"
    finally:
        process.terminate()
        process.wait(timeout=60)
    log.seek(0)
    assert "panicked" not in log.read()
