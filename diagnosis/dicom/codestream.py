"""What a compressed frame says about itself, read before a decoder is let near it.

Decoders of JPEG, JPEG-LS and JPEG 2000 allocate what the codestream asks for, whatever Rows and Columns say. So the
codestream's own header is read first and has to agree with the Image Pixel Module (PS3.5 8.2: "shall be consistent").
"""

import struct
from dataclasses import dataclass

from diagnosis.received import unreadable

# Start-of-frame markers by process: ITU-T T.81 table B.1 and T.87 C.1.
JPEG_SEQUENTIAL = frozenset({0xC0, 0xC1})
JPEG_LOSSLESS = frozenset({0xC3})
JPEG_LS = frozenset({0xF7})
_OTHER_PROCESSES = frozenset({0xC2, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_START_OF_FRAME = JPEG_SEQUENTIAL | JPEG_LOSSLESS | JPEG_LS | _OTHER_PROCESSES
_WITHOUT_LENGTH = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})
_END_OF_IMAGE = 0xD9
_START_OF_SCAN = 0xDA

# JPEG 2000, ITU-T T.800 annex A. Libraries reserve memory for each tile, quality layer and precinct; scanners write one
# tile or tiles of 256 pixels and more.
_J2K_MAGIC = b"\xff\x4f\xff\x51"
_J2K_COD = 0xFF52
_J2K_START_OF_TILE = 0xFF90
MAX_TILES = 4096
MAX_LAYERS = 64
MAX_DECOMPOSITIONS = 12
MAX_JPEG_SCANS = 8  # a sequential or lossless frame has at most one scan a component


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """Size in pixels, samples a pixel, bits a sample, and the JPEG process (start-of-frame marker; 0 for JPEG 2000)."""

    rows: int
    columns: int
    samples: int
    precision: int
    process: int


def jpeg_header(frame: bytes) -> FrameHeader:
    """The start-of-frame segment of a JPEG or JPEG-LS codestream (T.81 B.2.2)."""
    if frame[:2] != b"\xff\xd8":
        raise unreadable("compressed DICOM frame")
    position = 2
    while position + 4 <= len(frame):
        if frame[position] != 0xFF:
            break
        marker = frame[position + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:
            position += 1 if marker == 0xFF else 2
            continue
        if marker in (_END_OF_IMAGE, _START_OF_SCAN):
            break
        if marker in _START_OF_FRAME:
            if position + 10 > len(frame):
                break
            precision, rows, columns, samples = struct.unpack_from(">BHHB", frame, position + 4)
            if frame.count(b"\xff\xda") > MAX_JPEG_SCANS + samples:
                break
            return FrameHeader(rows=rows, columns=columns, samples=samples, precision=precision, process=marker)
        position += 2 + int.from_bytes(frame[position + 2 : position + 4], "big")
    raise unreadable("compressed DICOM frame")


def jpeg_2000_header(frame: bytes) -> FrameHeader:
    """The SIZ and COD segments of a JPEG 2000 codestream (T.800 A.5.1, A.6.1), with bounds on what they ask for.

    The JP2 file wrapper is not allowed in DICOM (PS3.5 A.4.4) and not read.
    """
    if frame[:4] != _J2K_MAGIC or len(frame) < 45:
        raise unreadable("compressed DICOM frame")
    length, _, right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, samples = struct.unpack_from(
        ">HHIIIIIIIIH", frame, 4
    )
    components = frame[42 : 42 + 3 * samples]
    plausible = (
        len(components) == 3 * samples
        and samples in (1, 3)
        and right > left
        and bottom > top
        and tile_width > 0
        and tile_height > 0
        and tile_left <= left
        and tile_top <= top
    )
    if not plausible:
        raise unreadable("compressed DICOM frame")
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    same_depth = len({components[3 * index] for index in range(samples)}) == 1
    full_resolution = all(components[3 * index + 1 : 3 * index + 3] == b"\x01\x01" for index in range(samples))
    if tiles > MAX_TILES or not same_depth or not full_resolution:
        raise unreadable("compressed DICOM frame")
    _require_modest_coding(frame, 4 + length)
    return FrameHeader(
        rows=bottom - top, columns=right - left, samples=samples, precision=(components[0] & 0x7F) + 1, process=0
    )


def _require_modest_coding(frame: bytes, position: int) -> None:
    while position + 14 <= len(frame):
        marker, length = struct.unpack_from(">HH", frame, position)
        if marker == _J2K_COD:
            _, _, layers, _, decompositions = struct.unpack_from(">BBHBB", frame, position + 4)
            if 1 <= layers <= MAX_LAYERS and decompositions <= MAX_DECOMPOSITIONS:
                return
            break
        if marker == _J2K_START_OF_TILE or marker < 0xFF00 or length < 2:
            break
        position += 2 + length
    raise unreadable("compressed DICOM frame")
