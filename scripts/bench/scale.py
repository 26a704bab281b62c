"""What an archive costs on one machine's engines and on many machines', and what grows with it; closes with the bars.

    scripts/bench/scale.py [--binary FILE] [--claims FILE] [--studies 2000,20000] [--images 60] [--claimed 400] [--parts ingest,claims,frames,searches]

- `ingest`: CPU time of `firstlight import` of images of 0.5 MB, acknowledged after PUT and commit: S3 and PostgreSQL beside disk and SQLite, in turns.
- `claims`: jobs leased and ended by 1, 2 and 4 workers that wait 20 ms instead of converting (cores are short here), and CPU time of leasing.
- `frames`: `firstlight serve` over a store that answers 30 ms after the request: cold (an empty cache), with 1 % of 503, and warm.
- `searches`: CPU time of each kind of search, and of storing, at two numbers of studies (each with one series and one instance), on both engines; names, descriptions and
  modalities are skewed. What a search grows by is the ratio; the CPU time is that of the server and of the database.

CPU time is that of our process, for searches and storing with PostgreSQL that of its server too. A single number means nothing on another machine, ratios within one run do.
Needs PostgreSQL and moto (scripts/setup.sh test); what is not there is left out with a line. Ends with a line for each bar: `bar NAME VALUE >=|<= GOAL ok|short`.
"""

import argparse
import http.client
import http.server
import io
import json
import os
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import postgres  # noqa: E402

BARS = []
FRAME = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
TICK = os.sysconf("SC_CLK_TCK")


def bar(name, value, op, goal):
    fits = value <= goal if op == "<=" else value >= goal
    BARS.append(f"bar {name} {value:.4g} {op} {goal:g} {'ok' if fits else 'short'}")


def cpu_of(pid):
    """Seconds of CPU time of a process by the scheduler's clock, and of its children that are there or (by the coarser one) have ended."""
    try:
        ended = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[13:15]
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        threads = [int(thread.read_text().split()[0]) for thread in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")]
    except OSError:
        return 0
    return sum(threads) / 1e9 + sum(map(int, ended)) / TICK + sum(cpu_of(child) for child in children)


def run(command, environment):
    """Runs a command; its seconds of CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Server:
    """`firstlight serve`, until it is stopped."""

    def __init__(self, binary, data, environment, *flags):
        command = [binary, "serve", "--data", data, "--listen", "127.0.0.1:0", "--log", "error", *flags]
        self.process = subprocess.Popen([str(word) for word in command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, stdin=subprocess.DEVNULL)
        line = self.process.stdout.readline()
        self.host = line.split("http://")[1].split("/")[0]
        self.connection = http.client.HTTPConnection(self.host, timeout=120)

    def get(self, path, headers=None):
        self.connection.request("GET", f"/dicom-web/{path}", headers=headers or {"Accept": "application/dicom+json"})
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def metric(self, name):
        with urllib.request.urlopen(f"http://{self.host}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def make_images(folder, count, rows, start=0, **attributes):
    from common import make_image

    return [make_image(folder / f"{n}.dcm", rows=rows, columns=512, seed=start + n, **attributes) for n in range(count)]


class Engines:
    """PostgreSQL and a store that speaks S3, where the machine has them."""

    def __init__(self, folder):
        self.database = postgres.Server() if postgres.programs() else None
        try:
            from s3 import Store
            self.store = Store(folder)
        except ImportError:
            self.store = None
        self.made = 0

    def environment(self, **more):
        environment = self.store.environment() if self.store else dict(os.environ)
        return environment | {"FIRSTLIGHT_INDEX_PASSWORD": postgres.PASSWORD} | more

    def address(self):
        self.made += 1
        return self.database.database(f"scale{self.made}")

    def database_cpu(self):
        """Seconds that the database's server has taken, ended connections too."""
        first = (self.database.data / "postmaster.pid").read_text().split()[0]
        return cpu_of(first)

    def stop(self):
        if self.database:
            self.database.stop()
        if self.store:
            self.store.stop()


def ingest(options, engines, folder):
    """Storing over the network beside storing on a disk, in turns."""
    if not engines.database or not engines.store:
        return print("ingest: left out, it takes PostgreSQL and moto")
    from s3 import BUCKET

    near, far = [], []
    for turn in range(3):
        images = folder / f"ingest{turn}"
        make_images(images, options.images, 512, start=10_000 * (turn + 1))
        command = [options.binary, "import", images, "--jobs", 2, "--quiet", "--data"]
        near.append(run([*command, folder / f"near{turn}"], engines.environment()))
        began = time.monotonic()
        flags = ["--index", engines.address(), "--objects", f"s3://{BUCKET}/ingest{turn}"]
        far.append(run([*command, folder / f"far{turn}", *flags], engines.environment()))
        rate = options.images / (time.monotonic() - began)
        shutil.rmtree(images)
    one, other = (statistics.median(times) * 1000 / options.images for times in (near, far))
    print(f"ingest of 0.5 MB: disk and SQLite {one:.2f} CPU-ms an instance, S3 and PostgreSQL {other:.2f}; {rate:.0f} instances a second through moto")
    bar("ingest-s3-postgres-cpu-ratio", other / one, "<=", 1.5)


def claims(options, engines, folder):
    """Workers that wait instead of converting."""
    kinds = {"sqlite": []} | ({"postgres": [engines.address() for _ in range(3)]} if engines.database else {})
    for kind, addresses in kinds.items():
        command = [options.claims, options.claimed, 20, *addresses]
        done = subprocess.run([str(word) for word in command], env=engines.environment(), capture_output=True, text=True)
        assert done.returncode == 0, done
        told = {line["workers"]: line for line in map(json.loads, done.stdout.splitlines())}
        ratio = {n: told[1]["seconds"] / told[n]["seconds"] for n in told}
        took, claiming = ", ".join(f"{line['seconds']:.2f} s" for line in told.values()), told[1]["claiming_cpu_ms"]
        print(f"claims, {kind}, conversion simulated by waiting 20 ms: 1, 2, 4 workers {took}; leasing {claiming:.3f} CPU-ms an instance")
        bar(f"two-workers-{kind}", ratio[2], ">=", 1.9)
        bar(f"four-workers-{kind}", ratio[4], ">=", 3.5)
        bar(f"claiming-cpu-ms-{kind}", claiming, "<=", 0.5)


class Quiet(http.server.ThreadingHTTPServer):
    """Who asks twice drops the slower answer: that is no error."""

    def handle_error(self, request, client_address):
        pass


class Slow:
    """In front of the store: what is read comes 30 ms after the request, of every hundred so many are 503; all else goes through."""

    def __init__(self, store, prefix):
        self.failing, self.reads, self.random = 0.0, 0, random.Random(1)
        objects = {key: store.client.get_object(Bucket="firstlight", Key=key)["Body"].read() for key in store.objects(prefix)}
        slow = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def answer(self, status, body, headers=()):
                self.send_response(status)
                for name, value in [*headers, ("Content-Length", str(len(body)))]:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                began = time.monotonic()
                key = urllib.parse.unquote(self.path.split("?")[0]).removeprefix("/firstlight/")
                if key not in objects:
                    return self.through()
                slow.reads += 1
                time.sleep(max(0, 0.030 - (time.monotonic() - began)))
                if slow.random.random() < slow.failing:
                    return self.answer(503, b"<Error><Code>SlowDown</Code></Error>", [("Content-Type", "application/xml")])
                body, headers, status = objects[key], [("ETag", '"x"'), ("Last-Modified", "Tue, 01 Dec 2026 00:00:00 GMT")], 200
                if "Range" in self.headers:
                    first, last = self.headers["Range"].removeprefix("bytes=").split("-")
                    size, first = len(body), int(first)
                    last = min(int(last or size - 1), size - 1)
                    body, status = body[first:last + 1], 206
                    headers.append(("Content-Range", f"bytes {first}-{last}/{size}"))
                self.answer(status, body, headers)

            def through(self):
                length = int(self.headers.get("Content-Length") or 0)
                connection = http.client.HTTPConnection(store.address, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection",)}
                connection.request(self.command, self.path, self.rfile.read(length), headers)
                answer = connection.getresponse()
                body = answer.read()
                kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in ("content-length", "connection", "transfer-encoding")]
                self.send_response(answer.status)
                size = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(body))
                for name, value in [*kept, ("Content-Length", size or "0")]:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_PUT = do_POST = do_DELETE = do_HEAD = through

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def frames(options, engines, folder):
    """Frames of a store that is far away."""
    if not engines.store:
        return print("frames: left out, it takes moto")
    from s3 import BUCKET

    data, images = folder / "frames", folder / "frame-images"
    count = max(options.images, 100)
    make_images(images, count, 512, start=900_000, Modality="CT")
    run([options.binary, "import", images, "--data", data, "--objects", f"s3://{BUCKET}/frames", "--quiet"], engines.environment())
    slow = Slow(engines.store, "frames/")
    environment = engines.environment(FIRSTLIGHT_S3_ENDPOINT=f"http://{slow.address}")
    cases = {"cold": 0.0, "cold-503": 0.01}
    for name, failing in cases.items():
        shutil.rmtree(data / "cache", ignore_errors=True)
        slow.failing = 0.0
        server = Server(options.binary, data, environment, "--no-convert")
        try:
            paths = [f"studies/2.25.1/series/2.25.2/instances/2.25.{10**20 + 900_000 + n}/frames/1" for n in range(count)]
            slow.failing, before = failing, slow.reads
            times = []
            for path in paths:
                began = time.monotonic()
                status, _ = server.get(path, FRAME)
                times.append((time.monotonic() - began) * 1000)
                assert status == 200, (status, path)
            times.sort()
            p50, p99 = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
            print(f"frame of 0.5 MB, {name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, {(slow.reads - before) / count:.2f} requests")
            if failing:
                bar("frame-cold-503-p99-ms", p99, "<=", 250)
                continue
            bar("frame-cold-p50-ms", p50, "<=", 45)
            bar("frame-cold-p99-ms", p99, "<=", 120)
            # Of other frames each time: what is near, not what was just handed out.
            began, before = cpu_of(server.process.pid), slow.reads
            for _ in range(5):
                for path in paths:
                    server.get(path, FRAME)
            warm = (cpu_of(server.process.pid) - began) * 1000 / (5 * count)
            print(f"frame of 0.5 MB, warm: {warm:.3f} CPU-ms, {(slow.reads - before) / (5 * count):.2f} requests")
            bar("frame-warm-cpu-ms", warm, "<=", 0.3)
        finally:
            server.stop()


SURNAMES = ["smith", "jones", "müller", "nguyen", "garcia", "kim", "silva", "rossi", "ivanova", "okafor", "haddad", "novak"]
DESCRIPTIONS = ["chest pa", "ct head", "mr knee left", "ct abdomen with contrast", "us thyroid", "follow up", "skull", "pet whole body"]


def skewed(rng, words):
    """The first are common, the last are rare."""
    return words[min(int(rng.paretovariate(1.1)) - 1, len(words) - 1)]


def rows(studies):
    """Rows of so many studies, in one table after the other: name, columns, values."""
    rng = random.Random(5)
    made = []
    for n in range(2, studies + 1):
        name = f"{skewed(rng, SURNAMES)}{n % 9973 if rng.random() < 0.7 else ''}^{''.join(rng.choice('abcdefghijklmnopqrstuvwxyz') for _ in range(6))}"
        day = rng.randrange(9000)
        made.append({
            "n": n, "name": name, "referring": f"dr {skewed(rng, SURNAMES)}{n % 997}^x", "date": f"{2000 + day // 360}{day // 30 % 12 + 1:02}{day % 28 + 1:02}",
            "birth": f"{1930 + rng.randrange(80)}{rng.randrange(12) + 1:02}{rng.randrange(28) + 1:02}", "description": f"{skewed(rng, DESCRIPTIONS)} {rng.randrange(5000)}",
            "modality": skewed(rng, ["CT", "CR", "MR", "US", "PT"]), "key": rng.randbytes(32)})
    yield "studies", ("id", "uid", "date", "time", "accession", "patient_id", "birth_date", "sex", "study_id", "description", "modalities", "series", "instances", "version", "common", "more"), (
        (r["n"], f"1.1.{r['n']}", r["date"], "1200", f"A{r['n']}", f"ID{r['n']}", r["birth"], "O", f"S{r['n']}", r["description"], r["modality"], 1, 1, 1,
         json.dumps({"0020000D": {"vr": "UI", "Value": [f"1.1.{r['n']}"]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": r["name"]}]}}), "{}") for r in made)
    yield "names", ("tag", "text", "place", "study"), ((tag, r[of], 0, r["n"]) for r in made for tag, of in ((0x00100010, "name"), (0x00080090, "referring")))
    yield "study_modalities", ("modality", "study"), ((r["modality"], r["n"]) for r in made)
    yield "series", ("id", "study", "uid", "modality", "number", "description", "body_part", "pps_date", "pps_time", "step_id", "procedure_id", "instances", "version", "common", "more"), (
        (r["n"], r["n"], f"1.2.{r['n']}", r["modality"], 1, r["description"], "", r["date"], "", "", f"R{r['n']}", 1, 1, "{}", "{}") for r in made)
    yield "instances", ("id", "series", "uid", "class", "number", "object", "received", "common", "more"), (
        (r["n"], r["n"], f"1.3.{r['n']}", "1.2.840.10008.5.1.4.1.1.2", 1, r["n"], r["n"], json.dumps({"00080018": {"vr": "UI", "Value": [f"1.3.{r['n']}"]}}), "{}") for r in made)
    yield "objects", ("id", "key", "instance", "role", "bytes", "syntax", "stored", "facts", "frames"), (
        (r["n"], r["key"], r["n"], 0, 1000, "1.2.840.10008.1.2.1", 0, FACTS, b"") for r in made)
    yield "jobs", ("instance", "state", "attempts", "changed"), ((r["n"], 3, 0, 0) for r in made)


FACTS = "{}"


def row_sum(*values):
    """The checksum of a row (crates/store/src/index/checksum.rs)."""
    import hashlib

    sum_ = hashlib.sha256()
    for value in values:
        kind, data = (0, b"") if value is None else (1, value.to_bytes(8, "little", signed=True)) if isinstance(value, int) else (3, value.encode()) if isinstance(value, str) else (4, value)
        sum_.update(bytes([kind]) + len(data).to_bytes(8, "little") + data)
    return sum_.digest()[:16]


def fill_sqlite(data, studies):
    import sqlite3

    index = sqlite3.connect(data / "index.sqlite")
    index.create_function("row_sum", -1, row_sum, deterministic=True)
    index.execute("PRAGMA foreign_keys = OFF")
    index.execute("PRAGMA synchronous = OFF")
    for table, columns, values in rows(studies):
        index.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", values)
    index.execute("ANALYZE")
    index.commit()
    index.close()


def fill_postgres(server, name, studies):
    def text(value):
        if isinstance(value, bytes):
            return "\\\\x" + value.hex()
        return str(value).replace("\\", "\\\\").replace("\t", " ")

    for table, columns, values in rows(studies):
        lines = io.StringIO()
        lines.writelines("\t".join(map(text, row)) + "\n" for row in values)
        command = [server.programs / "psql", "-h", server.folder, "-p", str(server.port), "-U", postgres.USER, "-d", name, "-Xq", "-v", "ON_ERROR_STOP=1",
                   "-c", f"SET search_path = firstlight; COPY {table} ({', '.join(columns)}) FROM STDIN"]
        done = subprocess.run([str(word) for word in command], input=lines.getvalue(), text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
    for table in ("studies", "series", "instances", "objects"):
        server.ask(name, f"SELECT setval(pg_get_serial_sequence('firstlight.{table}', 'id'), (SELECT max(id) FROM firstlight.{table}))")
    server.ask(name, "ANALYZE")


# Name -> path; {n} is a number of a study that is there.
SEARCHES = {
    "first page of studies": "studies?limit=100",
    "first page of series": "series?limit=100",
    "first page of instances": "instances?limit=100",
    "page at 500": "studies?limit=100&offset=500",
    "study UID": "studies?StudyInstanceUID=1.1.{n}",
    "series UID": "series?SeriesInstanceUID=1.2.{n}",
    "instance UID": "instances?SOPInstanceUID=1.3.{n}",
    "patient ID": "studies?PatientID=ID{n}",
    "patient ID, beginning": "studies?PatientID=ID{n}*&limit=100",
    "patient ID, within": "studies?PatientID=*D{n}*&limit=100",
    "accession number": "studies?AccessionNumber=A{n}",
    "accession number, within": "studies?AccessionNumber=*A{n}*&limit=100",
    "study ID": "studies?StudyID=S{n}",
    "study ID, within": "studies?StudyID=*S{n}*&limit=100",
    "common name, beginning": "studies?PatientName=smith*&limit=100",
    "common name, within": "studies?PatientName=*mit*&limit=100",
    "rare name, within": "studies?PatientName=*ova{n}*&limit=100",
    "name, fuzzy": "studies?PatientName=novak {n}&fuzzymatching=true&limit=100",
    "referring physician": "studies?ReferringPhysicianName=dr smith7*&limit=100",
    "referring physician, within": "studies?ReferringPhysicianName=*novak7*&limit=100",
    "birth date": "studies?PatientBirthDate=19551105&limit=100",
    "birth dates": "studies?PatientBirthDate=19551101-19551130&limit=100",
    "study date": "studies?StudyDate=20110505&limit=100",
    "study dates": "studies?StudyDate=20050101-20141231&limit=100",
    "study description": "studies?StudyDescription=pet whole body {n}&limit=100",
    "study description, within": "studies?StudyDescription=*body 17*&limit=100",
    "series description": "series?SeriesDescription=ct head 17&limit=100",
    "series description, within": "series?SeriesDescription=*head 17*&limit=100",
    "common modality": "studies?ModalitiesInStudy=CT&limit=100",
    "rare modality": "studies?ModalitiesInStudy=PT&limit=100",
    "modality of series": "series?Modality=PT&limit=100",
    "sex": "studies?PatientSex=F&limit=100",
    "requested procedure": "series?RequestedProcedureID=R{n}&limit=100",
    "nothing": "studies?PatientID=nobody",
}


def searches(options, engines, folder):
    """Each kind of search, and storing, at two sizes."""
    sizes = [int(size) for size in options.studies.split(",")]
    first = make_images(folder / "first", 1, 16, start=1)
    kinds = ["sqlite"] + (["postgres"] if engines.database else [])
    for kind in kinds:
        told = {}
        for size in sizes:
            data = folder / f"{kind}{size}"
            flags = ["--index", engines.address()] if kind == "postgres" else []
            run([options.binary, "import", *first, "--data", data, "--quiet", *flags], engines.environment())
            if kind == "postgres":
                fill_postgres(engines.database, f"scale{engines.made}", size)
            else:
                fill_sqlite(data, size)
            server = Server(options.binary, data, engines.environment(), "--no-convert")
            try:
                both = lambda: cpu_of(server.process.pid) + (engines.database_cpu() if kind == "postgres" else 0)
                for name, path in SEARCHES.items():
                    asked = urllib.parse.quote(path.format(n=777), safe="?&=*.-")
                    status, _ = server.get(asked)
                    assert status in (200, 204), (name, status)
                    times, before, began = 0, both(), time.monotonic()
                    while times < 5 or (time.monotonic() - began < options.seconds and times < 500):
                        server.get(asked)
                        times += 1
                    told.setdefault(name, []).append((both() - before) * 1000 / times)
            finally:
                server.stop()
            before = engines.database_cpu() if kind == "postgres" else 0
            more = make_images(folder / f"more-{kind}{size}", 60, 16, start=5_000_000 + size)
            took = run([options.binary, "import", more[0].parent, "--data", data, "--quiet", "--jobs", "2"], engines.environment())
            took += engines.database_cpu() - before if kind == "postgres" else 0
            told.setdefault("storing an instance", []).append(took * 1000 / len(more))
            shutil.rmtree(data)
        print(f"{kind}: CPU-ms at {' and '.join(f'{size:,}' for size in sizes)} studies")
        worst, grows = 0, []
        for name, times in told.items():
            # What costs less than the clock can tell does not grow.
            ratio = times[-1] / max(times[0], 0.5)
            worst = max(worst, ratio)
            grows += [name] if ratio > 1.5 else []
            print(f"  {name:30} {' '.join(f'{each:9.2f}' for each in times)}   x {ratio:.2f}")
        print(f"  grow by more than half: {', '.join(grows) or 'none'}")
        bar(f"growth-{kind}", worst, "<=", 1.5)


def main():
    parser = argparse.ArgumentParser()
    release = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    parser.add_argument("--binary", type=pathlib.Path, default=release / "firstlight")
    parser.add_argument("--claims", type=pathlib.Path, default=release / "examples" / "claims")
    parser.add_argument("--studies", default="2000,20000", help="two sizes, the smaller first")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--claimed", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=1, help="for each search")
    parser.add_argument("--parts", default="ingest,claims,frames,searches")
    options = parser.parse_args()
    parts = {"ingest": ingest, "claims": claims, "frames": frames, "searches": searches}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        engines = Engines(folder)
        try:
            for name in options.parts.split(","):
                parts[name](options, engines, folder)
        finally:
            engines.stop()
    print("\n".join(BARS))


if __name__ == "__main__":
    main()
