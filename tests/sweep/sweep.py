"""Every URL: the corpus is imported, with and without conversion, and whatever metadata or QIDO names is fetched.

Asked of each answer: no 5xx; no 404 but where there is nothing to show (each reason is listed); samples equal to REFERENCE.tsv; whole
instances, stored and uncompressed, are read by pydicom and DCMTK, and `dciodvfy` finds no error that the source did not have.

    sweep.py [--sample N]     N studies, spread evenly over the corpus; all without it
"""
import argparse
import collections
import concurrent.futures
import csv
import hashlib
import http.client
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import numpy as np
import pydicom
from pydicom.pixels import get_decoder

from common import CORPUS
from served import Served

warnings.filterwarnings("ignore")
EXPLICIT, UNCOMPRESSED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.98"
JSON = "application/dicom+json"
# Why an answer may be 404 or 406: the words of the server, and what they mean for the reader of the table.
NOTHING = [
    (r"no (pixel|image)|has no pixels|nothing to show|no frames|holds no image|there are none in it", "no pixels"),
    (r"frame .*(missing|is not there|cut|empty|damaged|no such)|frames? can't be told apart|only \d+ frames?|has no frame", "this frame is missing or damaged"),
    (r"lossy", "lossy: not given uncompressed"),
    (r"can ?not be (decoded|read)|can't be (decoded|read|shown|rendered)|not (decoded|supported)|unsupported|cannot be shown", "no decoder here"),
    (r"Encapsulated Uncompressed|4 GiB|too large", "too large for the form asked for"),
]


def table(path):
    with open(path, newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


class Sources:
    """The files of the corpus by SOP Instance UID; an archive keeps one of those that share it."""

    def __init__(self):
        self.reference = {row["path"]: row for row in table(CORPUS / "REFERENCE.tsv")}
        self.by_uid = collections.defaultdict(list)
        for row in table(CORPUS / "MANIFEST.tsv"):
            file = CORPUS / row["path"]
            try:
                header = pydicom.dcmread(file, force=True, specific_tags=["SOPInstanceUID", "StudyInstanceUID"])
                uid = str(header.get("SOPInstanceUID") or header.file_meta.get("MediaStorageSOPInstanceUID", "")).strip("\0 ")
            except Exception:  # what pydicom can't read has no reference here
                continue
            if uid:
                self.by_uid[uid].append(file)

    def hashes(self, uid):
        """SHA-256 of the samples that may be right; none where decoders differ about one of the files with this UID."""
        rows = [self.reference.get(str(file.relative_to(CORPUS))) for file in self.by_uid.get(uid, ())]
        return {row["pixels_sha256"] for row in rows} if all(row and row["status"] == "AGREE" for row in rows) else set()


class Server(Served):
    def __init__(self, folder, *flags):
        super().__init__(folder, CORPUS, *flags)
        self.converts = "--no-convert" not in flags
        self.local = threading.local()

    def settled(self):
        """Waits until everything is imported and converted."""
        quiet, before = 0, None
        while quiet < 8:
            status = json.loads(self.get("/status.json")[2])
            now = (status["instances"], status["pending"] if self.converts else 0, status["converted"], status["kept"])
            quiet = quiet + 1 if now == before and now[0] and not now[1] else 0
            before = now
            time.sleep(0.5)
        return status

    def get(self, path, accept="*/*"):
        """Status, headers, body."""
        path = re.sub(r"^https?://[^/]+", "", path)
        for again in (False, True):
            connection = getattr(self.local, "connection", None) or http.client.HTTPConnection(self.host, timeout=300)
            self.local.connection = connection
            try:
                connection.request("GET", path, headers={"Accept": accept})
                reply = connection.getresponse()
                return reply.status, reply.headers, decoded(reply.headers, reply.read())
            except (http.client.HTTPException, ConnectionError):
                self.local.connection = None
                connection.close()
                if again:
                    raise


def decoded(headers, body):
    if headers.get("Content-Encoding") == "gzip":
        import gzip

        return gzip.decompress(body)
    return body


class Sweep:
    def __init__(self, server, sources, name, sample):
        self.server, self.sources, self.name, self.sample = server, sources, name, sample
        self.passed, self.faults = collections.Counter(), []
        self.nothing, self.skipped = collections.Counter(), collections.Counter()
        self.lock = threading.Lock()
        self.dcmdump, self.dciodvfy = shutil.which("dcmdump"), shutil.which("dciodvfy", path=f"{pathlib.Path(sys.executable).parent}:/usr/bin")

    def fault(self, what, url, words):
        with self.lock:
            self.faults.append((f"{self.name}: {what}", url, re.sub(r"\s+", " ", str(words))[:300]))

    def fine(self, what):
        with self.lock:
            self.passed[what] += 1

    def fetch(self, what, url, accept, seen_by_others=False):
        """The body of a good answer; None where there is nothing to show, or a fault was noted. Of what others show
        (`seen_by_others`), no such reason counts."""
        try:
            status, headers, body = self.server.get(url, accept)
        except (OSError, http.client.HTTPException) as error:
            self.fault(what, url, f"no answer: {error!r}")
            return None
        if status == 200:
            self.fine(what)
            return body
        words = body.decode("utf-8", "replace").strip() or headers.get("X-Reason") or f"{status} without a word"
        reason = next((reason for pattern, reason in NOTHING if re.search(pattern, words, re.I)), None)
        if status in (404, 406) and reason and not (seen_by_others and reason in ("no pixels", "no decoder here")):
            with self.lock:
                self.nothing[f"{status} {what}: {reason}"] += 1
        else:
            self.fault(what, url, f"{status} {words}")
        return None

    # ------------------------------------------------------------------------------------------------------ what is asked

    def run(self):
        studies, offset = [], 0
        while page := self.query(f"/dicom-web/studies?limit=100&offset={offset}&includefield=all"):
            studies += page
            offset += len(page)
        if self.sample and self.sample < len(studies):
            studies = [studies[n * len(studies) // self.sample] for n in range(self.sample)]
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(self.study, study) for study in studies]:
                done.result()
        return len(studies)

    def query(self, url):
        status, _, body = self.server.get(url, JSON)
        if status == 204:
            return []
        if status != 200:
            self.fault("search", url, f"{status} {body[:200]}")
            return []
        self.fine("search")
        return json.loads(body)

    def study(self, found):
        url = found["00081190"]["Value"][0]
        self.fetch("study metadata", f"{url}/metadata", JSON)
        self.fetch("study thumbnail", f"{url}/thumbnail", "image/jpeg")
        self.fetch_all("study", url, f'multipart/related; type="application/dicom"; transfer-syntax=*')
        for series in self.query(f"{url}/series?includefield=all"):
            url = series["00081190"]["Value"][0]
            metadata = self.fetch("series metadata", f"{url}/metadata", JSON)
            self.fetch("series thumbnail", f"{url}/thumbnail", "image/jpeg")
            self.fetch("levels", f"{url}/levels", "application/json")
            self.fetch_all("series uncompressed", url, f'multipart/related; type="application/dicom"; transfer-syntax={EXPLICIT}', may_lack=True)
            told = {entry["00080018"]["Value"][0]: entry for entry in json.loads(metadata or b"[]") if entry.get("00080018", {}).get("Value")}
            for instance in self.query(f"{url}/instances?includefield=all"):
                self.instance(instance["00081190"]["Value"][0], instance["00080018"]["Value"][0], told)

    def fetch_all(self, what, url, accept, may_lack=False):
        """Instances together: 206 where some can't be had so."""
        try:
            status, headers, body = self.server.get(url, accept)
        except (OSError, http.client.HTTPException) as error:
            return self.fault(what, url, f"no answer: {error!r}")
        if status == 200 or status == 206 and may_lack:
            return self.fine(what)
        words = body[:300].decode("utf-8", "replace")
        if may_lack and status == 406 and any(re.search(pattern, words, re.I) for pattern, _ in NOTHING):
            with self.lock:
                self.nothing[f"406 {what}: not one instance can be had so"] += 1
            return None
        return self.fault(what, url, f"{status} {words}")

    def instance(self, url, uid, told):
        metadata = told.get(uid)
        if metadata is None:
            self.fault("series metadata", url, "this instance is not in it")
            metadata = {}
        stored = self.fetch("instance stored", url, "application/dicom; transfer-syntax=*")
        if stored is not None:
            self.part_10(url, uid, stored)
        plain = self.fetch("instance uncompressed", url, f"application/dicom; transfer-syntax={EXPLICIT}")
        if plain is None and self.reason_is_size(url):
            plain = self.fetch("instance encapsulated uncompressed", url, f"application/dicom; transfer-syntax={UNCOMPRESSED}")
        if plain is not None:
            self.part_10(url, uid, plain, EXPLICIT)
        frames = self.frames_of(metadata)
        seen = bool(frames and self.sources.hashes(uid))
        for view in ("rendered", "thumbnail", "rendered?viewport=64,64"):
            self.fetch(f"instance {view.split('?')[0]}", f"{url}/{view}", "image/jpeg", seen)
        chosen = range(1, frames + 1) if frames <= 6 or not self.sample else (1, 2, frames // 2, frames)
        for n in chosen:
            self.fetch("frame stored", f"{url}/frames/{n}", "multipart/related; type=application/octet-stream; transfer-syntax=*", seen)
        for n in {1, frames} if frames else ():
            self.fetch("frame uncompressed", f"{url}/frames/{n}", f"application/octet-stream; transfer-syntax={EXPLICIT}", seen)
            self.fetch("frame rendered", f"{url}/frames/{n}/rendered", "image/png", seen)
        for uri in bulk_uris(metadata):
            if "7FE00010" not in uri:
                self.fetch("bulk value", uri, "*/*")
            elif frames:
                self.fetch("pixel data by its URI", uri, "*/*")

    def reason_is_size(self, url):
        return False

    @staticmethod
    def frames_of(metadata):
        if not any(tag in metadata for tag in ("7FE00010", "7FE00008", "7FE00009")):
            return 0
        try:
            return max(1, int(metadata.get("00280008", {}).get("Value", [1])[0]))
        except (ValueError, TypeError, IndexError):
            return 1

    # ------------------------------------------------------------------------------------------------------ what is judged

    def part_10(self, url, uid, body, syntax=None):
        if body[128:132] != b"DICM":
            return self.fault("part 10", url, f"no DICM: {body[:8]!r}")
        try:
            got = pydicom.dcmread(io.BytesIO(body))
            _ = [element for element in got]
        except Exception as error:
            return self.fault("pydicom", url, repr(error))
        self.fine("read by pydicom")
        if syntax and got.file_meta.TransferSyntaxUID not in (syntax, UNCOMPRESSED):
            return self.fault("syntax", url, got.file_meta.TransferSyntaxUID)
        if syntax and "PixelData" in got:
            self.pixels(url, uid, got)
        if syntax or not self.sample:
            self.by_programs(url, uid, body)
        return None

    def pixels(self, url, uid, got):
        wanted = self.sources.hashes(uid)
        if not wanted:
            with self.lock:
                self.skipped["samples without a reference on which decoders agree"] += 1
            return
        try:
            samples, _ = get_decoder(got.file_meta.TransferSyntaxUID).as_array(got, raw=True)
        except Exception as error:
            if any(isinstance(reference_error(source), type(error)) for source in self.sources.by_uid.get(uid, [])):
                with self.lock:
                    self.skipped["pydicom does not decode the source either"] += 1
                return
            return self.fault("samples", url, repr(error))
        sha256 = hashlib.sha256(np.ascontiguousarray(samples).tobytes()).hexdigest()
        if sha256 in wanted:
            self.fine("samples equal to the reference")
        else:
            self.fault("samples", url, f"{sha256} is none of {sorted(wanted)}")

    def by_programs(self, url, uid, body):
        with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
            file.write(body)
            file.flush()
            if self.dcmdump:
                done = subprocess.run([self.dcmdump, "-q", "+R", "4", file.name], capture_output=True)
                sources = self.sources.by_uid.get(uid, [])
                if done.returncode == 0:
                    self.fine("read by dcmdump")
                elif any(subprocess.run([self.dcmdump, "-q", source], capture_output=True).returncode for source in sources):
                    with self.lock:
                        self.skipped["dcmdump does not read the source either"] += 1
                else:
                    self.fault("dcmdump", url, done.stderr.decode("utf-8", "replace"))
            if self.dciodvfy:
                errors = verdict(self.dciodvfy, file.name)
                known = set().union(*(verdict(self.dciodvfy, source) for source in self.sources.by_uid.get(uid, [])))
                # The file meta that a source lacks holds the UIDs of its data set: what is wrong with them is told once more.
                known |= {error.replace("SOP Instance UID", "Media Storage SOP Instance UID").replace("SOP Class UID", "Media Storage SOP Class UID") for error in known}
                if new := errors - known:
                    self.fault("dciodvfy", url, sorted(new)[:3])
                else:
                    self.fine("no new error by dciodvfy")


def reference_error(source):
    """What pydicom says against decoding a source; None where it decodes it."""
    try:
        image = pydicom.dcmread(source, force=True)
        get_decoder(image.file_meta.TransferSyntaxUID).as_array(image, raw=True)
    except Exception as error:
        return error
    return None


def verdict(program, file):
    if str(file).endswith(".dcm") and deflated(file):
        # The program does not inflate.
        with tempfile.NamedTemporaryFile(suffix=".dcm") as plain:
            image = pydicom.dcmread(file)
            image.file_meta.TransferSyntaxUID = EXPLICIT
            image.save_as(plain.name)
            return verdict(program, plain.name)
    done = subprocess.run([program, file], capture_output=True, text=True, errors="replace")
    return {re.sub(r"0x[0-9a-f]+|\d+", "N", line) for line in done.stderr.splitlines() if line.startswith("Error")}


def deflated(file):
    try:
        return pydicom.dcmread(file, force=True, specific_tags=[]).file_meta.get("TransferSyntaxUID") == "1.2.840.10008.1.2.1.99"
    except Exception:
        return False


def bulk_uris(metadata):
    """BulkDataURIs of a data set in DICOM JSON, nested ones too."""
    for element in metadata.values():
        if "BulkDataURI" in element:
            yield element["BulkDataURI"]
        if element.get("vr") == "SQ":
            for item in element.get("Value", ()):
                yield from bulk_uris(item or {})


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--sample", type=int, default=0, help="studies to look at (0: all)")
    options = options.parse_args()
    if not CORPUS.is_dir():
        print(f"no corpus at {CORPUS}: nothing was swept\n0 passed, 0 failed, 1 skipped")
        return 0
    sources = Sources()
    passed, failed, skipped, nothing = collections.Counter(), [], collections.Counter(), collections.Counter()
    for name, flags in (("stored", ["--no-convert"]), ("converted", [])):
        with tempfile.TemporaryDirectory(prefix="firstlight-sweep-") as folder:
            started = time.monotonic()
            server = Server(pathlib.Path(folder), *flags)
            sweep = Sweep(server, sources, name, options.sample)
            try:
                status = server.settled()
                imported = time.monotonic() - started
                studies = sweep.run()
            finally:
                try:
                    server.stop()
                except AssertionError as error:
                    sweep.fault("log", "-", str(error))
            print(f"{name}: {status['instances']} instances imported in {imported:.0f} s, {studies} studies swept in {time.monotonic() - started - imported:.0f} s")
            passed += sweep.passed
            skipped += sweep.skipped
            nothing += collections.Counter({f"{name}: {key}": count for key, count in sweep.nothing.items()})
            failed += sweep.faults
    print("\nnothing to show, by reason")
    for key, count in sorted(nothing.items()):
        print(f"{count:>7}  {key}")
    print("\nasked")
    for key, count in sorted(passed.items()):
        print(f"{count:>7}  {key}")
    for key, count in sorted(skipped.items()):
        print(f"{count:>7}  skipped: {key}")
    print("\nfaults" if failed else "\nno fault")
    kinds = collections.defaultdict(list)
    for what, url, words in failed:
        kinds[what].append(f"{words}\n        {url}")
    for what, cases in sorted(kinds.items()):
        print(f"{len(cases):>7}  {what}")
        for case in sorted(cases)[:: max(1, len(cases) // 8)]:
            print("      " + case)
    print(f"\n{sum(passed.values())} passed, {len(failed)} failed, {sum(skipped.values())} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
