"""Every source transfer syntax to every target: one conversion of the corpus per target, under a policy of that target alone."""
import collections
import csv
import json
import os
import pathlib
import shutil
import subprocess

from common import BINARY, CORPUS

# Name, what a rule says, transfer syntax, and how much may be lost.
TARGETS = {
    "kept": ('keep = "as it is"', None, {}),
    "explicit": ('transfer_syntax = "explicit-little-endian"', "1.2.840.10008.1.2.1", {}),
    "jpeg-ls-80": ('transfer_syntax = "jpeg-ls-lossless"', "1.2.840.10008.1.2.4.80", {}),
    "jpeg-ls-81": ('transfer_syntax = "jpeg-ls-near-lossless", max_error = 2', "1.2.840.10008.1.2.4.81", {"max_error": 2}),
    "jpeg-xl-110": ('transfer_syntax = "jpeg-xl-lossless"', "1.2.840.10008.1.2.4.110", {}),
    "jpeg-xl-111": ('transfer_syntax = "jpeg-xl-recompression"', "1.2.840.10008.1.2.4.111", {}),
    "jpeg-xl-112": ('transfer_syntax = "jpeg-xl", min_psnr = 40', "1.2.840.10008.1.2.4.112", {"min_psnr": 40}),
    "htj2k-201": ('transfer_syntax = "htj2k-lossless"', "1.2.840.10008.1.2.4.201", {}),
    "htj2k-202": ('transfer_syntax = "htj2k-lossless-rpcl"', "1.2.840.10008.1.2.4.202", {}),
    "htj2k-203": ('transfer_syntax = "htj2k", max_error = 6', "1.2.840.10008.1.2.4.203", {"max_error": 6}),
}
RULES = """[[rule]]
name = "lossy"
when = {{ lossy = true }}
then = {{ {then} }}

[[rule]]
name = "all"
then = {{ {then} }}
"""
CLASS = ("transfer_syntax_uid", "bits_allocated", "bits_stored", "signed", "samples", "photometric")
# Without FIRSTLIGHT_PAIRS=all: the smallest image of each class up to so many bytes of samples, and of each source syntax at least one.
LARGE = 500_000


def selection():
    """Paths in the corpus: everything, or one image of each class."""
    with open(CORPUS / "MANIFEST.tsv", newline="") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if row["sop_class_uid"]]
    if os.environ.get("FIRSTLIGHT_PAIRS") == "all":
        return [row["path"] for row in rows]
    classes = {}
    for row in sorted(rows, key=samples):
        classes.setdefault((*(row[name] for name in CLASS), row["frames"] not in ("", "1")), row)
    syntaxes = {}
    for row in classes.values():
        syntaxes.setdefault(row["transfer_syntax_uid"], row)
    return sorted({row["path"] for row in classes.values() if samples(row) <= LARGE} | {row["path"] for row in syntaxes.values()})


def samples(row):
    """Bytes of samples, as far as the header tells."""
    number = lambda name, otherwise: int(row[name]) if row[name].isdigit() else otherwise  # some headers are broken on purpose
    size = max(number("bits_allocated", 8) // 8, 1)
    for name in ("rows", "cols", "samples", "frames"):
        size *= number(name, 1)
    return size


def prepare(folder):
    """Converts the selection to each target; leaves `TARGET/out`, `TARGET.jsonl` and `TARGET.err` in `folder`."""
    source = folder / "source"
    for path in selection():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CORPUS / path, source / path)
    for name, (then, _, _) in TARGETS.items():
        policy = folder / f"{name}.toml"
        policy.write_text(RULES.format(then=then))
        command = [BINARY, "convert", source, folder / name, "--policy", policy, "--report", folder / f"{name}.jsonl", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        (folder / f"{name}.err").write_text(f"{done.returncode}\n{done.stderr}")


def reports(folder, name):
    """Report lines of a target by path in the corpus."""
    lines = (json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines())
    return {str(pathlib.Path(line["source"]).relative_to(folder / "source")): line for line in lines}


def short(uid):
    """A transfer syntax as it is called for short."""
    return (uid or "?").removeprefix("1.2.840.10008.").removeprefix("1.2.4").lstrip(".") or "1.2"


def matrix(folder):
    """Right/kept/wrong by source syntax and target, as the tests counted them, and the reasons for what was kept."""
    cells, reasons = collections.defaultdict(collections.Counter), collections.Counter()
    for found in sorted((folder / "judged").glob("*.json")):
        judged = json.loads(found.read_text())
        cells[judged["source"], judged["target"]].update(judged["counts"])
        reasons.update({(judged["target"], reason): count for reason, count in judged["reasons"].items()})
    rows = [["source", *TARGETS]]
    for source in sorted({source for source, _ in cells}):
        rows.append([f".{source}" if source.isdigit() else source, *(cell(cells[source, name]) for name in TARGETS)])
    total = {name: sum((cells[key] for key in list(cells) if key[1] == name), collections.Counter()) for name in TARGETS}
    rows.append(["all", *(cell(counts) for counts in total.values())])
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    table = ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]) for row in rows]
    kept = [f"kept {count:4} {name}: {reason}" for (name, reason), count in sorted(reasons.items())]
    counts = sum(total.values(), collections.Counter())
    closing = f"{counts['right']} right, {counts['kept']} kept with a reason, {counts['refused']} refused (broken on purpose), {counts['wrong']} wrong"
    return "\n".join(["right/kept/wrong by source transfer syntax and target", *table, *kept, closing])


def cell(counts):
    """`right/kept/wrong`, and what was refused where something was."""
    refused = f"+{counts['refused']}" if counts["refused"] else ""
    return f"{counts['right']}/{counts['kept']}/{counts['wrong']}{refused}"


def leave(folder, target, source, counts, reasons):
    """What a test found, for the matrix: workers cannot print."""
    (folder / "judged").mkdir(exist_ok=True)
    found = {"target": target, "source": short(source), "counts": counts, "reasons": reasons}
    (folder / "judged" / f"{target}-{short(source)}.json").write_text(json.dumps(found))
