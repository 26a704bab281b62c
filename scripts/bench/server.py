"""The server beside nginx, which serves our very bodies from files with sendfile: requests for each second of CPU time, and the bars.

    scripts/bench/server.py [--binary FILE] [--rounds 3] [--seconds 5] [--connections 8]

Makes 143 slices whose frames are some 193 KB, 3 larger images of 3.5 MB, converts nothing, serves them, and asks both in turn with wrk, keep-alive, random
order, one round after the other. CPU time is utime + stime of the process, of nginx that of its workers; a single number means nothing on another
machine, the ratio within one run does. Needs wrk and nginx (Debian: wrk, nginx-light). With Orthanc's DICOMweb plug-in on --orthanc URL --orthanc-pid PID, which must
hold the series of --series, it is asked too. Ends with a line for each bar: `bar NAME VALUE >=|<= GOAL ok|short`.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

LUA = """
local paths, n = {}, 0
for line in io.lines(os.getenv("BENCH_PATHS")) do n = n + 1; paths[n] = line end
local headers = {}
for name, value in string.gmatch(os.getenv("BENCH_HEADERS"), "([^:\\n]+): ([^\\n]*)") do headers[name] = value end
function init(args) math.randomseed(7) end
function request() return wrk.format("GET", paths[math.random(n)], headers) end
function done(s, l, r)
  io.write(string.format('JSON {"requests":%d,"us":%d,"bytes":%d,"bad":%d,"p50":%d,"p99":%d}\\n', s.requests, s.duration, s.bytes,
    s.errors.status + s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout, l:percentile(50), l:percentile(99)))
end
"""
FRAME = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
RANGE = {"Range": "bytes=0-65535"}
STUDY, SERIES, LARGE = "2.25.91", "2.25.92", "2.25.93"
# Both sides show a certificate that was made for this run.
UNPROVEN = ssl._create_unverified_context()


def fetch(url, headers=None):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=60, context=UNPROVEN) as answer:
        return answer.read(), {name.lower(): value for name, value in answer.headers.items()}


def cpu(pids):
    """Seconds of CPU time of these processes."""
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def rss(pid):
    """Megabytes of memory."""
    return next(int(line.split()[1]) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")) / 1024


def make_images(folder):
    """Slices whose frames are 193 KB, and images of 3.5 MB: noise, so that the sizes are what they are."""
    import numpy
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    random = numpy.random.default_rng(1)
    for n in range(146):
        rows, columns = (310, 311) if n < 143 else (1323, 1323)
        data = Dataset()
        data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"2.25.94{n}"
        data.StudyInstanceUID, data.SeriesInstanceUID = STUDY, SERIES if n < 143 else LARGE
        data.PatientName, data.PatientID, data.Modality, data.InstanceNumber = "Bench^Server", "B1", "CT", n + 1
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
        data.Rows, data.Columns, data.BitsAllocated, data.BitsStored, data.HighBit = rows, columns, 16, 16, 15
        data.PixelData = random.integers(0, 65536, rows * columns, dtype="<u2").tobytes()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.save_as(folder / f"{n}.dcm", enforce_file_format=True)


class Server:
    """Ours, on a free port, with the images taken in."""

    def __init__(self, binary, folder, *flags):
        command = [binary, "serve", "--data", folder / "data", "--import", folder / "images", "--no-convert", "--listen", "127.0.0.1:0", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.base = re.search(r"https?://[\d.]+:\d+", self.process.stdout.readline()).group(0)
        self.pid = self.process.pid
        while json.loads(fetch(self.base + "/status.json")[0])["instances"] < 146:
            time.sleep(0.2)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)


class Nginx:
    """nginx with sendfile over the files of a folder; over TLS with this certificate and key."""

    def __init__(self, folder, certificate=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        conf = folder / "nginx.conf"
        temporary = " ".join(f"{what}_temp_path {folder};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        tls = "ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3;".format(*certificate) if certificate else ""
        conf.write_text(
            f"worker_processes 2; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\nevents {{ worker_connections 1024; }}\n"
            f"http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; open_file_cache max=10000; {temporary}\n"
            f"server {{ listen 127.0.0.1:{port}{' ssl' if certificate else ''}; {tls} root {folder}/files; default_type application/octet-stream; }} }}\n"
        )
        self.process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(conf)], stderr=subprocess.DEVNULL)
        self.base = f"http{'s' if certificate else ''}://127.0.0.1:{port}"
        time.sleep(1)
        self.pids = [int(pid) for pid in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


def load(folder, base, paths, headers, seconds, connections):
    """What wrk counts of requests for these paths."""
    (folder / "paths").write_text("\n".join(paths) + "\n")
    (folder / "wrk.lua").write_text(LUA)
    env = dict(os.environ, BENCH_PATHS=str(folder / "paths"), BENCH_HEADERS="\n".join(f"{k}: {v}" for k, v in headers.items()))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(folder / "wrk.lua"), base]
    out = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    return json.loads(next(line for line in out.splitlines() if line.startswith("JSON "))[5:])


def keep(folder, server, name, path, headers=None):
    """Writes a body of ours to a file of nginx's, and says how it is called there."""
    body, _ = fetch(server.base + path, headers)
    (folder / "files" / name).write_bytes(body)
    return f"/{name}"


def cases(folder, server):
    """Name, paths here, paths there, headers here, headers there."""
    path = lambda series, n: f"/dicom-web/studies/{STUDY}/series/{series}/instances/2.25.94{n}"
    frames, large = [path(SERIES, n) + "/frames/1" for n in range(143)], [path(LARGE, n) + "/frames/1" for n in range(143, 146)]
    files = [keep(folder, server, f"f{n}", frame, FRAME) for n, frame in enumerate(frames)]
    large_files = [keep(folder, server, f"l{n}", frame, FRAME) for n, frame in enumerate(large)]
    etag = fetch(server.base + frames[0], FRAME)[1]["etag"]
    meta, rendered = f"/dicom-web/studies/{STUDY}/series/{SERIES}/metadata", path(SERIES, 0) + "/rendered"
    gzip = {"Accept-Encoding": "gzip"}
    return [
        ("frame-193KB", frames, files, FRAME, {}),
        ("frame-3.5MB", large, large_files, FRAME, {}),
        ("range-64KB", frames, files, FRAME | RANGE, RANGE),
        ("not-modified", frames[:1], files[:1], FRAME | {"If-None-Match": etag}, {"If-None-Match": "of the file"}),
        ("series-metadata", [meta], [keep(folder, server, "meta", meta, gzip)], gzip, {}),
        ("rendered-cached", [rendered], [keep(folder, server, "rendered", rendered)], {}, {}),
        ("studies", ["/dicom-web/studies?limit=101"], [keep(folder, server, "studies", "/dicom-web/studies?limit=101")], {}, {}),
        ("healthz", ["/healthz"], [keep(folder, server, "healthz", "/healthz")], {}, {}),
    ]


def certify(folder):
    """A certificate of ECDSA P-256 and its key, for both."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-out", certificate, "-keyout", key]
    subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o644)
    return certificate, key


def over_tls(args, folder):
    """Frames and ranges again, with TLS 1.3 on both sides."""
    place = folder / "tls"
    (place / "files").mkdir(parents=True)
    (place / "images").symlink_to(folder / "images")
    certificate = certify(place)
    server, nginx = Server(pathlib.Path(args.binary).resolve(), place, "--tls", *certificate), Nginx(place, certificate)
    try:
        return {f"{name}-tls": by for name, by in compare(args, place, server, nginx, ("frame-193KB", "frame-3.5MB", "range-64KB")).items()}
    finally:
        nginx.stop()
        server.stop()


def compare(args, folder, server, nginx, only=()):
    """CPU milliseconds a request by case and server, and what wrk said."""
    results = {}
    asked = [case for case in cases(folder, server) if not only or case[0] in only]
    tags = {path: fetch(nginx.base + path)[1]["etag"] for _, _, paths, _, _ in asked for path in paths[:1]}
    for _ in range(args.rounds):
        for name, here, there, ours, theirs in asked:
            if "If-None-Match" in theirs:
                theirs = {"If-None-Match": tags[there[0]]}
            servers = [("firstlight", server.base, [server.pid], here, ours), ("nginx", nginx.base, nginx.pids, there, theirs)]
            if args.orthanc and name == "frame-193KB":
                jls = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'}
                servers.append(("orthanc", args.orthanc, [args.orthanc_pid], here, jls))
            for who, base, pids, paths, headers in servers:
                before = cpu(pids)
                got = load(folder, base, paths, headers, args.seconds, args.connections)
                got["cpu"] = (cpu(pids) - before) * 1e3 / max(got["requests"], 1)
                results.setdefault(name, {}).setdefault(who, []).append(got)
    return results


def crowd(server, count, text):
    """Opens connections that send this and wait; how slow health was meanwhile, and the peak of memory."""
    host, port = server.base.split("//")[1].split(":")
    opened, slowest, peak = [], 0, rss(server.pid)
    for n in range(count):
        try:
            connection = socket.create_connection((host, int(port)), timeout=5)
            connection.sendall(text)
            opened.append(connection)
        except OSError:
            pass
        if n % 250 == 249:
            slowest, peak = max(slowest, health(server)), max(peak, rss(server.pid))
    for _ in range(20):
        slowest, peak = max(slowest, health(server)), max(peak, rss(server.pid))
        time.sleep(0.1)
    for connection in opened:
        connection.close()
    return slowest, peak


def health(server):
    """Milliseconds until /healthz is answered; a minute when it is not."""
    began = time.time()
    try:
        fetch(server.base + "/healthz")
    except OSError:
        return 60_000
    return (time.time() - began) * 1e3


def beside_searches(args, folder, server):
    """p99 of a frame alone, and while 16 clients search as hard as they can."""
    frames = [f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/2.25.94{n}/frames/1" for n in range(143)]
    alone = load(folder, server.base, frames, FRAME, args.seconds, 2)["p99"] / 1e3
    stop = threading.Event()

    def search():
        while not stop.is_set():
            try:
                fetch(server.base + "/dicom-web/instances?limit=1000&includefield=all&PatientName=*e*")
            except OSError:
                time.sleep(0.05)

    clients = [threading.Thread(target=search) for _ in range(16)]
    [client.start() for client in clients]
    beside = load(folder, server.base, frames, FRAME, args.seconds, 2)["p99"] / 1e3
    stop.set()
    [client.join() for client in clients]
    return alone, beside


def processor():
    """Its name, and whether it has AVX-512."""
    told = pathlib.Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*: (.*)", told)
    return f"{name.group(1) if name else 'unknown'}, {'with' if 'avx512f' in told else 'without'} AVX-512"


def bar(name, value, sign, goal):
    well = value >= goal if sign == ">=" else value <= goal
    print(f"bar {name} {value:.3g} {sign} {goal} {'ok' if well else 'short'}")


def report(results):
    """The table, and the bars that it decides."""
    median = lambda runs, key: statistics.median(run[key] for run in runs)
    print("| request | server | CPU-ms | lowest-highest | requests/s | p50 ms | p99 ms | bad |\n|---|---|---|---|---|---|---|---|")
    for name, by in results.items():
        for who, runs in by.items():
            each = [run["cpu"] for run in runs]
            rate = statistics.median(run["requests"] / run["us"] * 1e6 for run in runs)
            print(f"| {name} | {who} | {median(runs, 'cpu'):.4f} | {min(each):.4f}-{max(each):.4f} | {rate:.0f} | {median(runs, 'p50') / 1e3:.2f} | {median(runs, 'p99') / 1e3:.2f} | {sum(run['bad'] for run in runs)} |")
    print()
    of = lambda name, who: median(results[name][who], "cpu")
    for name, goal in [("frame-193KB", 0.6), ("frame-3.5MB", 0.7), ("range-64KB", 0.4), ("not-modified", 0.4), ("frame-193KB-tls", 0.7), ("frame-3.5MB-tls", 0.7), ("range-64KB-tls", 0.7)]:
        bar(f"{name}-of-nginx", of(name, "nginx") / max(of(name, "firstlight"), 1e-9), ">=", goal)
    unit = of("frame-193KB", "nginx") / 0.029  # goals in milliseconds are those of a machine where this is one
    for name, goal in [("series-metadata", 0.03), ("rendered-cached", 0.03)]:
        bar(f"{name}-cpu-ms-scaled", of(name, "firstlight") / unit, "<=", goal)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default="target/release/firstlight")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--crowd", type=int, default=10_000)
    parser.add_argument("--rest", type=int, default=60, help="seconds after which memory has to be given back")
    parser.add_argument("--orthanc")
    parser.add_argument("--orthanc-pid", type=int)
    args = parser.parse_args()
    for program in ("wrk", "nginx"):
        if not shutil.which(program) and not os.path.exists(f"/usr/sbin/{program}"):
            sys.exit(f"{program} is not installed (Debian: wrk, nginx-light)")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "files").mkdir()
        (folder / "images").mkdir()
        make_images(folder / "images")
        # Another user's worker has to read them.
        folder.chmod(0o755)
        server = Server(pathlib.Path(args.binary).resolve(), folder)
        nginx = Nginx(folder)
        try:
            report(compare(args, folder, server, nginx) | over_tls(args, folder))
            print(f"load average {os.getloadavg()[0]:.1f}; processor {processor()}")
            alone, beside = beside_searches(args, folder, server)
            bar("frame-p99-beside-searches-times", beside / max(alone, 1e-9), "<=", 2)
            peak, slowest = rss(server.pid), 0
            for text in (b"", b"GET /healthz HTTP/1.1\r\nX: ", f"GET /dicom-web/studies/{STUDY} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()):
                waited, used = crowd(server, args.crowd, text)
                slowest, peak = max(slowest, waited), max(peak, used)
            bar("healthz-ms-beside-crowds", slowest, "<=", 100)
            bar("rss-mb-peak", peak, "<=", 400)
            time.sleep(args.rest)
            bar("rss-mb-after", rss(server.pid), "<=", 150)
        finally:
            nginx.stop()
            server.stop()


if __name__ == "__main__":
    main()
