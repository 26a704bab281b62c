"""DIMSE beside DCMTK's storescp and the disk itself: storing, finding and moving, and the bars.

    scripts/bench/doors.py [--binary FILE] [--rounds 3] [--objects 100] [--studies 100000] [--moved 300] [--parts store,many,find,move]

Everything is asked by one client of our own, which sends PDUs that were made before and reads the answers, so that what is measured is the other side: ours and
storescp take the same bytes in turn, one round after the other. Objects are native CT of 524 KB. Durable storing is held against what the same server does where a
sync costs nothing (a folder in memory) plus one sync of the disk, and eight associations against eight threads that write and sync the same bytes. C-MOVE goes to a
receiver of our own, for DCMTK's waits 50 ms for each object. CPU time is utime + stime of the process; milliseconds of it are scaled by nginx as those of
`server.py` are, where nginx and wrk are there. Prints tables, the load of the machine, and a line for each bar: `bar NAME VALUE >=|<= GOAL ok|short`.
"""

import argparse
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

import server as http

CT, STUDY_FIND, STUDY_MOVE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
SIDE = 512
# UIDs of one length, so that each object is the same bytes but for its own.
UID = "2.25.{:040d}"


# -- bytes of DICOM


def element(group, number, vr, value):
    value = value.encode() if isinstance(value, str) else value
    value += (b"\0" if vr in ("UI", "OW") else b" ") * (len(value) % 2)
    head = struct.pack("<HH2s", group, number, vr.encode())
    return head + (struct.pack("<HI", 0, len(value)) if vr in ("OW", "OB", "SQ") else struct.pack("<H", len(value))) + value


def ct(instance, study=UID.format(1), series=UID.format(2), name="Bench^Doors", patient="D1", date="20240101", side=SIDE, pixels=None):
    """A data set of CT in Explicit VR Little Endian."""
    short = lambda number: struct.pack("<H", number)
    return b"".join([
        element(8, 0x16, "UI", CT), element(8, 0x18, "UI", instance), element(8, 0x20, "DA", date), element(8, 0x60, "CS", "CT"),
        element(0x10, 0x10, "PN", name), element(0x10, 0x20, "LO", patient),
        element(0x20, 0xD, "UI", study), element(0x20, 0xE, "UI", series), element(0x20, 0x13, "IS", "1"),
        element(0x28, 2, "US", short(1)), element(0x28, 4, "CS", "MONOCHROME2"), element(0x28, 0x10, "US", short(side)), element(0x28, 0x11, "US", short(side)),
        element(0x28, 0x100, "US", short(16)), element(0x28, 0x101, "US", short(12)), element(0x28, 0x102, "US", short(11)), element(0x28, 0x103, "US", short(0)),
        element(0x7FE0, 0x10, "OW", pixels if pixels is not None else picture(side)),
    ])


def picture(side, seed=1):
    """12 bits of something that is neither flat nor noise."""
    import numpy

    rng = numpy.random.default_rng(seed)
    ramp = numpy.hypot(*numpy.indices((side, side)) - side / 2)
    return ((1200 + 900 * numpy.sin(ramp / 25) + rng.normal(0, 12, (side, side))).astype("<u2") & 0xFFF).tobytes()


def part_10(data, instance):
    meta = element(2, 1, "OB", b"\0\1") + element(2, 2, "UI", CT) + element(2, 3, "UI", instance) + element(2, 0x10, "UI", EXPLICIT) + element(2, 0x12, "UI", "1.2.3")
    return bytes(128) + b"DICM" + element(2, 0, "UL", struct.pack("<I", len(meta))) + meta + data


def command(*elements):
    body = b"".join(struct.pack("<HHI", 0, number, len(value)) + value for number, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def uid(text):
    return text.encode() + b"\0" * (len(text) % 2)


def short(number):
    return struct.pack("<H", number)


# -- associations


class Association:
    """An association that is asked for, in bytes."""

    def __init__(self, port, abstract, syntax, called="FIRSTLIGHT", source=""):
        item = lambda kind, body: struct.pack(">BBH", kind, 0, len(body)) + body
        context = struct.pack(">BBBB", 1, 0, 0, 0) + item(0x30, abstract.encode()) + item(0x40, syntax.encode())
        user = item(0x51, struct.pack(">I", 131072)) + item(0x52, b"1.2.3")
        body = struct.pack(">HH", 1, 0) + called.encode().ljust(16) + b"BENCH".ljust(16) + bytes(32)
        body += item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, context) + item(0x50, user)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(struct.pack(">BBI", 1, 0, len(body)) + body)
        kind, answer = self.pdu()
        assert kind == 2, f"no association: {kind} {answer}"
        at = answer.index(b"\x51\0\0\4")
        self.most = min(struct.unpack(">I", answer[at + 4:at + 8])[0] or 131072, 131072)

    def pdu(self):
        kind, _, length = struct.unpack(">BBI", self.stream.read(6))
        return kind, self.stream.read(length)

    def message(self, order, data=b""):
        """The PDUs of a message."""
        out = bytearray()
        for is_command, whole in ((1, order), (0, data)):
            for at in range(0, len(whole), self.most - 6):
                piece = whole[at:at + self.most - 6]
                last = at + len(piece) == len(whole)
                out += struct.pack(">BBIIBB", 4, 0, len(piece) + 6, len(piece) + 2, 1, is_command | 2 * last) + piece
        return out

    def status(self):
        """The status of the next response; what data set follows is read over."""
        while True:
            kind, body = self.pdu()
            assert kind == 4, f"PDU {kind}"
            if body[5] & 1:
                at = body.index(struct.pack("<HHI", 0, 0x0900, 2))
                return struct.unpack("<H", body[at + 8:at + 10])[0]

    def release(self):
        self.socket.sendall(struct.pack(">BBII", 5, 0, 4, 0))
        while self.pdu()[0] != 6:
            pass
        self.stream.close()
        self.socket.close()


def stored(port, numbers, called="FIRSTLIGHT", source="", keep=None):
    """Stores objects of these numbers on one association; seconds for each."""
    association = Association(port, CT, EXPLICIT, called, source)
    name = UID.format(numbers[0])
    order = command((2, uid(CT)), (0x100, short(1)), (0x110, short(1)), (0x700, short(0)), (0x800, short(1)), (0x1000, uid(name)))
    message = association.message(order, ct(name))
    places = [found.start() for found in re.finditer(re.escape(name.encode()), bytes(message))]
    assert len(places) == 2
    began = time.perf_counter()
    for number in numbers:
        for place in places:
            message[place:place + len(name)] = UID.format(number).encode()
        association.socket.sendall(message)
        status = association.status()
        assert status == 0, f"{status:04X}"
    seconds = (time.perf_counter() - began) / len(numbers)
    if keep is not None:
        keep.append(association)
    else:
        association.release()
    return seconds


class Numbers:
    """Numbers of objects that nobody had before."""

    def __init__(self):
        self.last = 1000

    def take(self, count):
        self.last += count
        return range(self.last - count, self.last)


class Archive:
    """Ours, on free ports."""

    def __init__(self, binary, data, *flags):
        command_line = [binary, "serve", "--data", data, "--no-convert", "--listen", "127.0.0.1:0", "--dimse", "0", *flags]
        self.process = subprocess.Popen([str(word) for word in command_line], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        said = ""
        while "DIMSE" not in said:
            line = self.process.stdout.readline()
            assert line, "the server did not start"
            said += line
        self.port = int(re.search(r"DIMSE +\S+@127\.0\.0\.1:(\d+)", said)[1])
        self.root = re.search(r"http://127\.0\.0\.1:\d+", said)[0]
        self.pid = self.process.pid

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)


class Storescp:
    """DCMTK's receiver."""

    def __init__(self, folder):
        folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(["storescp", "-pdu", "131072", "-od", str(folder), str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        for _ in range(100):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


# -- what is measured


def synced(folder, count, data, sync=True):
    """Seconds for each file that is written, and of these for its sync."""
    whole, syncing = 0, 0
    for n in range(count):
        path = folder / f"{threading.get_ident()}.{n}"
        began = time.perf_counter()
        with open(path, "wb") as file:
            file.write(data)
            file.flush()
            before = time.perf_counter()
            if sync:
                os.fsync(file.fileno())
        ended = time.perf_counter()
        whole, syncing = whole + ended - began, syncing + ended - before
        path.unlink()
    return whole / count, syncing / count


def at_once(count, work):
    """Seconds of so many threads that work."""
    failed = []

    def run(n):
        try:
            work(n)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    began = time.perf_counter()
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    if failed:
        raise failed[0]
    return time.perf_counter() - began


def unit(folder):
    """How much slower this machine is than the one of the goals in milliseconds: by nginx, as server.py has it."""
    if not shutil.which("wrk") or not (shutil.which("nginx") or os.path.exists("/usr/sbin/nginx")):
        print("milliseconds are not scaled: nginx and wrk are not there (Debian: wrk, nginx-light)")
        return 1
    place = folder / "nginx"
    (place / "files").mkdir(parents=True)
    folder.chmod(0o755)
    (place / "files" / "frame").write_bytes(random.Random(1).randbytes(193_000))
    nginx = http.Nginx(place)
    try:
        before = http.cpu(nginx.pids)
        got = http.load(place, nginx.base, ["/frame"], {}, 2, 8)
        each = (http.cpu(nginx.pids) - before) * 1e3 / max(got["requests"], 1)
    finally:
        nginx.stop()
    print(f"nginx: {each:.4f} CPU-ms for 193 KB, {each / 0.029:.2f} of what the goals are of\n")
    return each / 0.029


def store(args, folder, memory, numbers):
    """One association: ours durable, ours in memory, storescp, and the disk alone, in turn."""
    ours, free, peer = Archive(args.binary, folder / "store"), Archive(args.binary, memory / "store"), Storescp(folder / "storescp")
    data = ct(UID.format(1))
    rows = {name: [] for name in ("durable", "unsynced", "storescp", "disk")}
    spent = {"durable": 0, "storescp": 0}
    few = max(10, args.objects // 5)
    try:
        for port in (ours.port, free.port):
            stored(port, numbers.take(5))
        for _ in range(args.rounds):
            for name, pid, work in (
                ("durable", ours.pid, lambda: stored(ours.port, numbers.take(args.objects))),
                ("unsynced", None, lambda: stored(free.port, numbers.take(args.objects))),
                ("storescp", peer.pid, lambda: stored(peer.port, numbers.take(few), called="ANY")),
                ("disk", None, lambda: synced(folder, args.objects, data)[1]),
            ):
                before = http.cpu([pid]) if pid else 0
                rows[name].append(work())
                if pid:
                    spent[name] += http.cpu([pid]) - before
    finally:
        [server.stop() for server in (ours, free, peer)]
    durable, unsynced, storescp, sync = (statistics.mean(rows[name]) for name in ("durable", "unsynced", "storescp", "disk"))
    each = {"durable": spent["durable"] * 1e3 / (args.rounds * args.objects), "storescp": spent["storescp"] * 1e3 / (args.rounds * few)}
    print("| C-STORE of 524 KB, one association | ms an object | lowest-highest | objects/s | CPU-ms |\n|---|---|---|---|---|")
    for name, title in (("durable", "durable"), ("unsynced", "in memory, no sync"), ("storescp", "DCMTK's storescp, no sync"), ("disk", "a sync of the disk alone")):
        milliseconds = [second * 1e3 for second in rows[name]]
        cost = f"{each[name]:.2f}" if name in each else ""
        print(f"| {title} | {statistics.mean(milliseconds):.2f} | {min(milliseconds):.2f}-{max(milliseconds):.2f} | {1e3 / statistics.mean(milliseconds):.0f} | {cost} |")
    print()
    http.bar("c-store-of-unsynced-and-one-sync", (unsynced + sync) / durable, ">=", 0.8)
    http.bar("c-store-of-storescp", storescp / durable, ">=", 4)
    http.bar("c-store-cpu-ms-scaled", each["durable"] / args.unit, "<=", 1.5)


def many(args, folder, numbers):
    """Eight associations beside eight threads that write and sync, in turn; and what associations take of memory."""
    ours, data = Archive(args.binary, folder / "many"), ct(UID.format(1))
    rows = {"ours": [], "threads": []}
    try:
        stored(ours.port, numbers.take(5))
        for _ in range(args.rounds):
            taken = [numbers.take(args.objects) for _ in range(8)]
            rows["ours"].append(8 * args.objects / at_once(8, lambda n: stored(ours.port, taken[n])))
            rows["threads"].append(8 * args.objects / at_once(8, lambda n: synced(folder, args.objects, data)))
        resting = http.rss(ours.pid)
        held = []
        for n in range(60):
            stored(ours.port, numbers.take(1), source=f"127.0.0.{n % 2 + 1}", keep=held)
        each = (http.rss(ours.pid) - resting) * 1024 / len(held)
        [association.release() for association in held]
    finally:
        ours.stop()
    print("| 524 KB, eight at once | objects/s | lowest-highest |\n|---|---|---|")
    for name, title in (("ours", "associations, durable"), ("threads", "threads that write and sync")):
        print(f"| {title} | {statistics.mean(rows[name]):.0f} | {min(rows[name]):.0f}-{max(rows[name]):.0f} |")
    print()
    http.bar("c-store-8-of-threads", statistics.mean(rows["ours"]) / statistics.mean(rows["threads"]), ">=", 0.7)
    http.bar("kb-an-association-beside-its-pdu", max(0, each - 128), "<=", 64)


def find(args, memory):
    """C-FIND among many studies: one that is named, those of a patient, of a day, of a name."""
    source = memory / "in"
    source.mkdir()
    pixels = bytes(8)
    for n in range(args.studies):
        place = source / f"{n // 1000}"
        place.mkdir(exist_ok=True)
        day = f"20{n % 24:02}{n % 12 + 1:02}{n % 28 + 1:02}"
        data = ct(UID.format(10 + 3 * n), UID.format(11 + 3 * n), UID.format(12 + 3 * n), f"NAME{n % 5000:04}^GIVEN{n % 97}", f"P{n // 3}", day, 2, pixels)
        (place / f"{n}.dcm").write_bytes(part_10(data, UID.format(10 + 3 * n)))
    made = subprocess.run([args.binary, "migrate", source, memory / "find", "--archive", "--sample", "0"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    shutil.rmtree(source)
    ours = Archive(args.binary, memory / "find")
    chance, times = random.Random(1), {}
    kinds = {
        "one study": lambda n: [(0x20, 0xD, "UI", UID.format(11 + 3 * n))],
        "a patient": lambda n: [(0x10, 0x20, "LO", f"P{n // 3}"), (0x20, 0xD, "UI", "")],
        "a day": lambda n: [(8, 0x20, "DA", f"20{n % 24:02}{n % 12 + 1:02}{n % 28 + 1:02}"), (8, 0x61, "CS", "CT"), (0x10, 0x20, "LO", f"P{n // 3}"), (0x20, 0xD, "UI", "")],
        "a name": lambda n: [(0x10, 0x10, "PN", f"name{n % 5000:04}^*"), (0x20, 0xD, "UI", "")],
    }
    try:
        association = Association(ours.port, STUDY_FIND, EXPLICIT)
        order = command((2, uid(STUDY_FIND)), (0x100, short(0x20)), (0x110, short(1)), (0x700, short(0)), (0x800, short(1)))
        for kind, keys in kinds.items():
            times[kind] = []
            for turn in range(20 + args.queries):
                n = chance.randrange(args.studies)
                identifier = sorted([(8, 0x52, "CS", "STUDY"), *keys(n)])
                asked = association.message(order, b"".join(element(*key) for key in identifier))
                began, answers = time.perf_counter(), 0
                association.socket.sendall(asked)
                while (status := association.status()) & 0xFFFE == 0xFF00:
                    answers += 1
                assert status == 0 and answers > 0, (kind, status, answers)
                if turn >= 20:
                    times[kind].append((time.perf_counter() - began) * 1e3)
        association.release()
    finally:
        ours.stop()
    print(f"| C-FIND, {args.studies} studies | p50 ms | p99 ms |\n|---|---|---|")
    part = lambda values, share: sorted(values)[min(len(values) - 1, int(share * len(values)))]
    for kind, values in times.items():
        print(f"| {kind} | {part(values, 0.5):.2f} | {part(values, 0.99):.2f} |")
    print()
    http.bar("c-find-p99-ms", max(part(values, 0.99) for values in times.values()), "<=", 20)


class Receiver:
    """Takes objects in Explicit VR Little Endian, counts them, and answers each at once in one piece."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.count, self.bytes = self.listener.getsockname()[1], 0, 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.associated(connection)

    def associated(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb", buffering=1 << 18)
        item = lambda kind, body: struct.pack(">BBH", kind, 0, len(body)) + body
        order = b""
        while head := stream.read(6):
            kind, _, length = struct.unpack(">BBI", head)
            body = stream.read(length)
            if kind == 1:
                accepted, at = b"", body.index(b"\x20\0", 68)
                while at < len(body) and body[at] == 0x20:
                    size = struct.unpack(">H", body[at + 2:at + 4])[0]
                    takes = item(0x40, EXPLICIT.encode()) in body[at:at + 4 + size]
                    accepted += item(0x21, struct.pack(">BBBB", body[at + 4], 0, 0 if takes else 4, 0) + item(0x40, EXPLICIT.encode()))
                    at += 4 + size
                answer = body[:68] + item(0x10, b"1.2.840.10008.3.1.1.1") + accepted + item(0x50, item(0x51, struct.pack(">I", 131072)) + item(0x52, b"1.2.3"))
                connection.sendall(struct.pack(">BBI", 2, 0, len(answer)) + answer)
            elif kind == 5:
                connection.sendall(struct.pack(">BBII", 6, 0, 4, 0))
            elif kind == 4:
                at = 0
                while at < len(body):
                    size, context, control = struct.unpack(">IBB", body[at:at + 6])
                    piece, at = body[at + 6:at + 4 + size], at + 4 + size
                    if control & 1:
                        order += piece
                    else:
                        self.bytes += len(piece)
                        if control & 2:
                            self.count += 1
                            connection.sendall(self.answer(order, context))
                            order = b""

    @staticmethod
    def answer(order, context):
        values, at = {}, 0
        while at < len(order):
            _, number, size = struct.unpack("<HHI", order[at:at + 8])
            values[number] = order[at + 8:at + 8 + size]
            at += 8 + size
        reply = command((2, values[2]), (0x100, short(0x8001)), (0x120, values[0x110]), (0x800, short(0x101)), (0x900, short(0)), (0x1000, values[0x1000]))
        return struct.pack(">BBIIBB", 4, 0, len(reply) + 6, len(reply) + 2, context, 3) + reply


def move(args, folder):
    """C-MOVE of a converted series, decoded while it is sent."""
    source = folder / "ct"
    source.mkdir()
    for n in range(args.moved):
        name = UID.format(500_000 + n)
        (source / f"{n}.dcm").write_bytes(part_10(ct(name, pixels=picture(SIDE, n % 16)), name))
    made = subprocess.run([args.binary, "migrate", source, folder / "move", "--archive", "--sample", "0", "--policy", "htj2k-all"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    receiver = Receiver()
    ours = Archive(args.binary, folder / "move", "--peer", f"DEST@127.0.0.1:{receiver.port},BENCH@127.0.0.1:104")
    rates, spent = [], 0
    try:
        levels, _ = http.fetch(f"{ours.root}/dicom-web/studies/{UID.format(1)}/series/{UID.format(2)}/levels")
        assert levels.count(b'"1.2.840.10008.1.2.4.20') == args.moved, "not all are HTJ2K"
        for _ in range(args.rounds):
            receiver.count = receiver.bytes = 0
            association = Association(ours.port, STUDY_MOVE, EXPLICIT)
            order = command((2, uid(STUDY_MOVE)), (0x100, short(0x21)), (0x110, short(1)), (0x600, b"DEST"), (0x700, short(0)), (0x800, short(1)))
            before, began = http.cpu([ours.pid]), time.perf_counter()
            association.socket.sendall(association.message(order, element(8, 0x52, "CS", "STUDY") + element(0x20, 0xD, "UI", UID.format(1))))
            while (status := association.status()) == 0xFF00:
                pass
            seconds = time.perf_counter() - began
            spent += http.cpu([ours.pid]) - before
            assert status == 0 and receiver.count == args.moved and receiver.bytes > args.moved * 2 * SIDE * SIDE, (status, receiver.count, receiver.bytes)
            rates.append(args.moved / seconds)
            association.release()
    finally:
        ours.stop()
        receiver.listener.close()
    print(f"| C-MOVE of {args.moved} HTJ2K CT to Explicit VR | objects/s | lowest-highest | CPU-ms an object |\n|---|---|---|---|")
    print(f"| to a receiver that does not stall | {statistics.mean(rates):.0f} | {min(rates):.0f}-{max(rates):.0f} | {spent * 1e3 / (args.rounds * args.moved):.2f} |\n")
    http.bar("c-move-a-second", statistics.mean(rates), ">=", 100)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default="target/release/firstlight")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--objects", type=int, default=100, help="objects of an association and round")
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=500, help="of each kind")
    parser.add_argument("--moved", type=int, default=300)
    parser.add_argument("--parts", default="store,many,find,move")
    parser.add_argument("--folder", help="on the disk that is measured; the system's place for temporary files without it")
    args = parser.parse_args()
    args.binary = pathlib.Path(args.binary).resolve()
    if not shutil.which("storescp"):
        sys.exit("storescp is not installed (Debian: dcmtk)")
    load = lambda: " ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"load at the start: {load()} on {os.cpu_count()} cores\n")
    in_memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=args.folder) as disk, tempfile.TemporaryDirectory(dir=in_memory) as memory:
        folder, memory, numbers = pathlib.Path(disk), pathlib.Path(memory), Numbers()
        args.unit = unit(folder)
        parts = {
            "store": lambda: store(args, folder, memory, numbers),
            "many": lambda: many(args, folder, numbers),
            "find": lambda: find(args, memory),
            "move": lambda: move(args, folder),
        }
        for part in args.parts.split(","):
            parts[part]()
            print(flush=True)
    print(f"load at the end: {load()}")


if __name__ == "__main__":
    main()
