"""Power cuts at random moments of a migration, with all that was not synced lost: resumed, it is as if nothing had happened."""
import os
import random
import shutil

import pytest

import power_cut
from common import firstlight, make_image
from migrating import bar, instances, journal, lines, result, sources_of

CUTS = int(os.environ.get("FIRSTLIGHT_POWER_CUTS", 8))
FLAVOURS = [("nothing", False, False, 0), ("names", True, False, 1), ("some", True, True, 0.5)]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return power_cut.build(tmp_path_factory.mktemp("recorder"))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut") / "in"
    instances(folder, 20, per_folder=5)
    make_image(folder / "large.dcm", rows=1100, columns=1100, seed=3)
    (folder / "notes.txt").write_text("not DICOM")
    return folder


def recorded(library, images, out, log, flags, forget=None):
    """A migration with its record; the record must account for every byte that is there at the end."""
    env = os.environ | power_cut.environment(library, out, log, forget)
    done = firstlight("migrate", images, out, "--sample", 0, *flags, env=env)
    assert done.returncode == 0, done.stderr
    steps = power_cut.read(log)
    disk = power_cut.Disk(out)
    for step in steps:
        disk.play(step)
    ignored = lambda name: name.endswith("-shm")  # noqa: E731  (shared memory, never relied upon after a cut)
    there = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    played = {name: data for name, data in disk.tree().items() if not ignored(name)}
    assert played == {name: data for name, data in there.items() if not ignored(name)}, "the record is not complete"
    return steps


def after_cuts(steps, images, out, flags, cuts, wanted):
    """Plays cuts, resumes each, and yields what differs from `wanted`."""
    random.seed(11)
    moments = sorted(random.sample(range(1, len(steps)), cuts))
    disk, at = power_cut.Disk(out), 0
    for number, moment in enumerate(moments):
        while at < moment:
            disk.play(steps[at])
            at += 1
        name, names, data, chance = FLAVOURS[number % len(FLAVOURS)]
        disk.cut(out, names, data, lambda: random.random() < chance)
        done = firstlight("migrate", images, out, "--sample", 0, *flags)
        try:
            assert done.returncode == 0, done.stderr
            assert state(out, flags) == wanted
        except Exception as error:  # noqa: BLE001  (a damaged database is a difference too)
            yield f"cut at step {moment} of {len(steps)}, {name} of what was not synced kept: {str(error)[:300]}"


def state(out, flags):
    """What must be the same: the files and the books; of an archive, its objects and what is listed."""
    if "--archive" not in flags:
        return result(out)
    objects = {str(path.relative_to(out)): path.read_bytes() for path in (out / "objects").rglob("*") if path.is_file()}
    return objects, [{**line, "reason": None} for line in lines(out)], journal(out)


@pytest.mark.parametrize("flags", [(), ("--archive",)], ids=["tree", "archive"])
def test_nothing_is_lost_or_half(library, images, tmp_path, flags):
    out, before = tmp_path / "out", sources_of(images)
    steps = recorded(library, images, out, tmp_path / "log", flags)
    wanted = state(out, flags)
    differences = list(after_cuts(steps, images, out, flags, CUTS, wanted))
    assert not differences, differences[0]
    assert sources_of(images) == before
    print(f"{CUTS} cuts in {len(steps)} steps")
    bar("power-cuts-resumed", flags, CUTS - len(differences), CUTS)


@pytest.mark.parametrize("forget", ["files", "folders"])
def test_a_forgotten_sync_is_found(library, images, tmp_path, forget):
    """The same with syncs that do nothing: were the program to forget them, these cuts would find it."""
    out = tmp_path / "out"
    steps = recorded(library, images, out, tmp_path / "log", (), forget)
    wanted = state(out, ())
    found = next(after_cuts(steps, images, out, (), min(len(steps) - 1, 60), wanted), None)
    assert found, f"forgotten syncs of {forget} were not found"
    shutil.rmtree(out)
