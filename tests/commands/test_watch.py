"""A migration that nobody looks at: its status from outside, figures for Prometheus, a command at its end; and settings that reach
the run by every way."""
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from common import BINARY, firstlight, make_image
from migrating import instances

SLOW = ["--rate", "20kB", "--jobs", "1"]


def start(*arguments, **options):
    command = [BINARY, "migrate", "--sample", "0", "-q", *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def status(out):
    done = firstlight("migrate", "--status", out, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def until(out, wanted, seconds=30):
    """Waits until the status is so; the last one is returned."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = firstlight("migrate", "--status", out, "--json")
        if found.returncode == 0 and wanted(json.loads(found.stdout)):
            return json.loads(found.stdout)
        time.sleep(0.1)
    raise AssertionError(found.stdout + found.stderr)


@pytest.fixture
def images(tmp_path):
    instances(tmp_path / "in", 60, per_folder=60)
    return tmp_path / "in"


def test_running_paused_stopped_dead_and_finished_are_told_apart(images, tmp_path):
    out = tmp_path / "out"
    begun = lambda found: found["phase"] == "run" and 0 < found["files"]["converted"] < 60
    run = start(images, out, *SLOW)
    found = until(out, begun)
    assert found["state"] == "running" and found["pid"] == run.pid and found["files"]["all"] == 60
    assert until(out, lambda found: found["seconds_left"])["files_per_second"] > 0
    shown = firstlight("migrate", "--status", out).stdout
    assert shown.startswith("running, for ") and "left" in shown and f"process {run.pid}" in shown

    firstlight("migrate", "--pause", out)
    assert until(out, lambda found: found["state"] == "paused")["hold"] in ("paused", None)
    assert firstlight("migrate", "--status", out).stdout.startswith("paused: ")
    firstlight("migrate", "--resume", out)
    assert until(out, lambda found: found["state"] == "running")

    run.kill()
    run.communicate()
    found = status(out)
    assert found["state"] == "dead" and found["pid"] is None and found["seconds_left"] is None
    assert firstlight("migrate", "--status", out).stdout.startswith("dead: ")

    # Slower still: on a busy machine most may be done by now.
    run = start(images, out, "--rate", "4kB", "--jobs", "1")
    until(out, lambda found: found["state"] == "running" and found["phase"] == "run")
    run.send_signal(signal.SIGINT)
    run.communicate()
    assert run.returncode == 130
    assert (status(out)["state"], status(out)["ended"]) == ("stopped", "stopped")

    assert firstlight("migrate", "-q", images, out).returncode == 0
    found = status(out)
    assert (found["state"], found["files"]["converted"], found["files"]["waiting"]) == ("finished", 60, 0)
    assert found["way_back"] == {"files": 60, "bytes": found["way_back"]["bytes"], "none": 0}


def test_the_end_says_what_has_no_way_back_and_the_plan_says_it_before(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    for n in range(3):
        path = make_image(source / f"{n}.dcm", seed=n)
        # Deflated by who knows whom: its bytes can't be made again.
        import pydicom

        image = pydicom.dcmread(path)
        image.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
        image.save_as(path, enforce_file_format=True)
    make_image(source / "plain.dcm", seed=9)
    (source / "cut.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\0\x10\0UI\x20\0" + b"1.2.840")
    plan = firstlight("migrate", "--plan", source, out)
    assert "about 1 can't be read (1 of 5 samples), about 3 will have no way back (3 of 5 samples)" in plan.stdout, plan.stdout
    assert status(out)["expected"]["no_way_back"] == {"of_samples": 3, "about": 3}
    done = firstlight("migrate", source, out)
    assert done.returncode == 1 and "way back for 1 of 4 converted" in done.stdout, done.stdout
    assert status(out)["way_back"]["none"] == 3 and sum(status(out)["reasons"]["trouble"].values()) == 1


def figures(text):
    rows = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name.removeprefix("firstlight_migration_"): float(value) for name, value in rows}


def test_figures_in_a_file_on_a_port_and_a_command_at_the_end(images, tmp_path):
    out, file, ended = tmp_path / "out", tmp_path / "firstlight.prom", tmp_path / "ended"
    command = f'env | grep ^FIRSTLIGHT_ | sort > "{ended}"; exit 7'
    run = start(images, out, *SLOW, "--metrics-file", file, "--metrics-listen", "127.0.0.1:0", "--on-exit", command)
    line = run.stderr.readline()
    assert line.startswith("metrics: http://127.0.0.1:")
    url = line.split()[1]
    until(out, lambda found: found["files"]["converted"] > 0)
    told = figures(urllib.request.urlopen(url, timeout=10).read().decode())
    assert told['state{state="running"}'] == 1 and told['state{state="paused"}'] == 0
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, headers={"Host": "elsewhere.example.org"}), timeout=10)
    assert refused.value.code == 403
    assert 'state{state="running"}' in figures(file.read_text())
    assert not list(tmp_path.glob(".firstlight.prom*")) or file.exists()
    firstlight("migrate", "--adjust", out, "--rate", "0")
    _, talk = run.communicate(timeout=120)
    # What the command at the end says changes nothing but a line.
    assert run.returncode == 0 and "--on-exit ended with" in talk
    told = figures(file.read_text())
    assert told['state{state="finished"}'] == 1 and told['files{outcome="converted"}'] == 60 and told['files{outcome="waiting"}'] == 0
    env = dict(line.split("=", 1) for line in ended.read_text().splitlines())
    assert (env["FIRSTLIGHT_OUTCOME"], env["FIRSTLIGHT_EXIT_CODE"], env["FIRSTLIGHT_CONVERTED"]) == ("finished", "0", "60")
    assert env["FIRSTLIGHT_DESTINATION"] == str(out) and env["FIRSTLIGHT_WAITING"] == "0"


def test_the_command_at_the_end_hears_of_a_failure(tmp_path):
    ended = tmp_path / "ended"
    hook = f'echo "$FIRSTLIGHT_OUTCOME $FIRSTLIGHT_EXIT_CODE" > "{ended}"'
    done = firstlight("migrate", tmp_path / "not there", tmp_path / "out", "--on-exit", hook)
    assert done.returncode == 2 and ended.read_text().split() == ["failed", "2"]
    done = firstlight("migrate", tmp_path, tmp_path / "out", "--metrics-listen", "0.0.0.0:9109")
    assert done.returncode == 2 and "hint: say --metrics-listen 127.0.0.1:9109" in done.stderr


@pytest.mark.parametrize("way", ["flag", "variable", "file"])
@pytest.mark.parametrize("command", ["convert", "migrate", "migrate-archive"])
def test_settings_reach_the_run_by_every_way(command, way, tmp_path, monkeypatch):
    source, out = tmp_path / "in", tmp_path / "out"
    make_image(source / "large.dcm", rows=1100, columns=40)
    flags, report = [], tmp_path / "report.jsonl"
    match way:
        case "flag":
            flags = ["--second-opinion", "off", "--report", report, "--policy", "htj2k-all", "--jobs", "3"]
        case "variable":
            for name, value in [("SECOND_OPINION", "off"), ("REPORT", report), ("POLICY", "htj2k-all"), ("JOBS", 3)]:
                monkeypatch.setenv(f"FIRSTLIGHT_{name}", str(value))
        case "file":
            text = f'second_opinion = "off"\nreport = "{report}"\npolicy = "htj2k-all"\njobs = 3\n'
            (tmp_path / "firstlight.toml").write_text(text)
    verb, *more = {"migrate-archive": ["migrate", "--archive"]}.get(command, [command])
    done = firstlight(verb, *more, source, out, *flags, cwd=tmp_path)
    assert done.returncode == 0 and "note: the second opinion is off" in done.stderr, done.stderr
    records = [json.loads(line) for line in report.read_text().splitlines()]
    assert len(records) == 1 and records[0]["outcome"] == "converted" and records[0]["source"] == str(source / "large.dcm")
    if verb == "migrate":
        assert "3 jobs" in done.stdout
    shown = firstlight("evidence", "--json", "--data", out)
    opinions = [frame["opinion"] for line in shown.stdout.splitlines() for frame in json.loads(line)["frames"]]
    assert opinions and all("not" in json.dumps(opinion).lower() for opinion in opinions), opinions
