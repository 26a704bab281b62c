"""The way back, by whole commands: every native or JPEG file of the corpus comes out of `restore` with the SHA-256 it went in with.

What is expected is the SHA-256 of MANIFEST.tsv, which was there before Firstlight was."""
import collections
import concurrent.futures
import hashlib
import json
import pathlib

from common import firstlight

NATIVE = {"1.2.840.10008.1.2": "Implicit VR Little Endian", "1.2.840.10008.1.2.1": "Explicit VR Little Endian", "1.2.840.10008.1.2.2": "Explicit VR Big Endian"}
JPEG = {f"1.2.840.10008.1.2.4.{n}": "JPEG" for n in (50, 51, 53, 55)}


def restored(item, folder):
    """Path, exit code, what was said, and the SHA-256 of what came out (None when nothing was written)."""
    n, (path, line) = item
    out = folder / f"{n}.dcm"
    done = firstlight("restore", line["destination"], "-o", out)
    sha256 = hashlib.sha256(out.read_bytes()).hexdigest() if out.exists() else None
    out.unlink(missing_ok=True)
    return path, done.returncode, done.stderr, sha256


def restore_all(result, wanted, folder):
    lines = [(path, line) for path, line in sorted(result.report.items()) if line["destination"] and wanted(line)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda item: restored(item, folder), enumerate(lines)))


def test_native_and_jpeg_files_come_back_as_they_were(result, tmp_path):
    """Converted or kept: the same SHA-256, every one of them."""
    syntaxes = NATIVE | JPEG
    runs = restore_all(result, lambda line: line["source_transfer_syntax"] in syntaxes, tmp_path)
    wrong = [f"{path}: exit {code}: {said}" for path, code, said, sha256 in runs if code or sha256 != result.manifest[path]["sha256"]]
    rows = collections.defaultdict(list)
    for path, *_ in runs:
        line = result.report[path]
        if line["outcome"] == "converted":
            residue = result.out / ".firstlight" / "residue" / f"{pathlib.Path(line['destination']).relative_to(result.out)}.residue"
            size = residue.stat().st_size
            assert size == line["residue_bytes"], path
            rows[syntaxes[line["source_transfer_syntax"]]].append((size, line["bytes_in"]))
            if size > max(2048, line["bytes_in"] * 0.005):
                wrong.append(f"{path}: a residue of {size} bytes for a file of {line['bytes_in']}")
    kept = sum(result.report[path]["outcome"] == "kept" for path, *_ in runs)
    (result.folder / "residues").write_text("\n".join(table(rows) + [f"{kept} native and JPEG files were kept, and came back as they are"]) + "\n")
    assert not wrong, "\n".join(wrong)
    assert len(runs) > 200 and sum(map(len, rows.values())) > 150


def table(rows):
    lines = [f"{'source of the converted file':<30} {'files':>5} {'bytes':>12} {'residues':>9} {'median':>6} {'largest':>7} {'share':>7}"]
    for name, sizes in sorted(rows.items()):
        residues, bytes_in = sorted(size for size, _ in sizes), sum(size for _, size in sizes)
        lines.append(
            f"{name:<30} {len(sizes):>5} {bytes_in:>12} {sum(residues):>9} {residues[len(residues) // 2]:>6} {residues[-1]:>7} {sum(residues) / bytes_in:>7.3%}"
        )
    return lines


def test_compressed_sources_say_that_there_is_no_way_back(result, tmp_path):
    """The bytes of an unknown encoder are not promised: one line, exit 1, nothing written."""
    runs = restore_all(result, lambda line: line["outcome"] == "converted" and line["source_transfer_syntax"] not in NATIVE | JPEG, tmp_path)
    for path, code, said, sha256 in runs[:20]:
        assert (code, sha256) == (1, None), path
        assert "no way back" in said and "hint:" in said and len(said.splitlines()) == 2, said
        assert result.report[path]["no_way_back"] and not result.report[path].get("residue_bytes")


def test_the_memory_tells_the_cost(result):
    memory = (result.out / ".firstlight" / "converted.jsonl").read_text().splitlines()
    told = sum(json.loads(line).get("residue_bytes") or 0 for line in memory)
    kept = sum(path.stat().st_size for path in (result.out / ".firstlight" / "residue").rglob("*.residue"))
    assert told == kept > 0
