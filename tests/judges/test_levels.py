"""Every .202 file: the structure the syntax demands, and prefixes that decode, by a walk and a decoder that are not ours."""
import json
import struct

import imagecodecs
import numpy as np
import pydicom
from pydicom.encaps import generate_frames

from common import CORPUS, firstlight

SOC, SIZ, CAP, COD, TLM, SOT, SOD, EOC = 0xFF4F, 0xFF51, 0xFF50, 0xFF52, 0xFF55, 0xFF90, 0xFF93, b"\xff\xd9"
RPCL = 2


class Codestream:
    """Main header and tile-part lengths, read from the markers (T.800 Annex A)."""

    def __init__(self, data):
        assert struct.unpack(">H", data[:2])[0] == SOC
        self.data, self.tlm, self.markers, at = data, [], set(), 2
        while True:
            marker, length = struct.unpack(">HH", data[at : at + 4])
            if marker == SOT:
                break
            body = data[at + 4 : at + 2 + length]
            self.markers.add(marker)
            if marker == SIZ:
                self.width, self.height, self.x, self.y = struct.unpack(">4I", body[2:18])
                self.tile_width, self.tile_height = struct.unpack(">2I", body[18:26])
            elif marker == COD:
                self.style, self.progression, self.levels, self.wavelet = body[0], body[1], body[5], body[9]
                self.precincts = body[10:]
            elif marker == TLM:
                self.tlm += tile_parts(body)
            at += 2 + length
        self.first = at
        self.ends = []
        while data[at : at + 2] == b"\xff\x90":
            at += struct.unpack(">I", data[at + 6 : at + 10])[0]
            self.ends.append(at)
        self.rest = data[at:]


def tile_parts(body):
    """Lengths in a TLM marker segment (T.800 A.7.1)."""
    tile_bytes, long = (body[1] >> 4) & 3, (body[1] >> 6) & 1
    size = tile_bytes + (4 if long else 2)
    entries = [body[at : at + size] for at in range(2, len(body), size)]
    return [int.from_bytes(entry[tile_bytes:], "big") for entry in entries]


def decode(data, level):
    return imagecodecs.htj2k_decode(data, skipres=level, resilient=True)


def test_structure_and_prefixes(each_rpcl, result):
    target = result.report[each_rpcl]["destination"]
    done = firstlight("inspect", target, "--json")
    assert done.returncode == 0, done.stderr
    inspected = json.loads(done.stdout)
    raw = open(target, "rb").read()
    dataset = pydicom.dcmread(target)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", 1) or 1)))
    assert inspected["transferSyntax"] == "1.2.840.10008.1.2.4.202"
    assert (inspected["rows"], inspected["columns"]) == (dataset.Rows, dataset.Columns)
    assert len(inspected["frames"]) == len(frames)
    for n, (frame, shown) in enumerate(zip(frames, inspected["frames"])):
        assert raw[shown["offset"] : shown["offset"] + shown["length"]] == frame[: shown["length"]]
        check_frame(Codestream(frame), shown, every_prefix=n in (0, len(frames) // 2, len(frames) - 1))


def check_frame(stream, shown, every_prefix):
    assert stream.progression == RPCL and stream.wavelet == 1 and CAP in stream.markers
    assert TLM in stream.markers and stream.tlm == [b - a for a, b in zip([stream.first, *stream.ends], stream.ends)]
    assert min(size_at(stream, stream.levels)) <= 64
    assert stream.rest[:2] == EOC and not stream.rest[2:].strip(b"\0")
    levels = shown["levels"]
    assert [level["level"] for level in levels] == list(range(stream.levels, -1, -1))
    assert [(level["width"], level["height"]) for level in levels] == [size_at(stream, level["level"]) for level in levels]
    if len(stream.ends) == stream.levels + 1:
        # One tile-part per resolution: its end is the level's end; the last level takes the end marker with it or not.
        assert [level["end"] for level in levels[:-1]] == stream.ends[:-1]
    assert levels[-1]["end"] == shown["length"] == stream.ends[-1] + len(EOC)
    if every_prefix:
        for level in levels:
            prefix = decode(stream.data[: level["end"]], level["level"])
            whole = decode(stream.data, level["level"])
            assert prefix.shape[:2] == (level["height"], level["width"])
            assert np.array_equal(prefix, whole), f"level {level['level']}"


def size_at(stream, level):
    ceil = lambda n: -(-n >> level)  # noqa: E731
    return ceil(stream.width) - ceil(stream.x), ceil(stream.height) - ceil(stream.y)
