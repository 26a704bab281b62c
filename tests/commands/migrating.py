"""What the tests of migrations share: many small instances made quickly, and what a migration left."""
import json
import os
import pathlib
import struct
import sqlite3

from common import make_image, tree

PLACE = b"9" * 20


def instances(folder, number, rows=32, per_folder=500, links=0):
    """Makes instances that differ in UID and in a few pixels; with `links`, each is linked that often and is one file on disk."""
    template = make_image(folder.parent / "template.dcm", rows=rows, columns=rows, seed=1, SOPInstanceUID="2.25.4" + PLACE.decode())
    template_bytes = template.read_bytes().replace(b"2.25.100000000000000000001", b"2.25.4" + PLACE)
    template.unlink()
    at = [n for n in range(len(template_bytes)) if template_bytes.startswith(PLACE, n)]
    assert len(at) == 2
    paths = []
    for n in range(number):
        name = f"{n:020}".encode()
        data = bytearray(template_bytes)
        for start in at:
            data[start : start + 20] = name
        data[-4:] = struct.pack("<HH", n & 0xFFF, (n >> 12) & 0xFFF)
        path = folder / f"{n // per_folder:05}" / f"{n:08}.dcm"
        if n % per_folder == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        if links and n % links:
            os.link(paths[n - n % links], path)
        else:
            path.write_bytes(data)
        paths.append(path)
    return paths


def bar(name, flags, value, goal):
    """What `make test-migrate` was to reach, and did."""
    print(f"bar migrate-{name}-{'archive' if flags else 'tree'} {value} >= {goal} {'ok' if value >= goal else 'short'}")
    assert value >= goal


def log(out, name="migration"):
    """The lines of the log."""
    return [json.loads(line) for line in (out / ".firstlight" / f"{name}.jsonl").read_text().splitlines()]


def lines(out, name="migration"):
    """What the log says of each source, what differs from run to run left out."""
    found = [{key: value for key, value in line.items() if key not in ("seconds", "unchanged", "finished", "sum", "chain", "after")} for line in log(out, name)]
    assert len({line["source"] for line in found}) == len(found), "an instance is in the log twice"
    return sorted(found, key=lambda line: line["source"])


def journal(out, name="migration"):
    """How many items of the journal are in each state, after a check of the whole database."""
    index = sqlite3.connect(f"file:{out}/.firstlight/{name}.sqlite?mode=ro", uri=True)
    assert index.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    states = dict(index.execute("SELECT state, count(*) FROM items GROUP BY state"))
    index.close()
    return states


def sources_of(folder):
    """Bytes and times of every file, to show that none was touched."""
    return {path: (path.read_bytes(), os.stat(path).st_mtime_ns) for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()}


def result(out, name="migration"):
    """All that a migration into a folder tree leaves."""
    return tree(out), lines(out, name), journal(out, name)
