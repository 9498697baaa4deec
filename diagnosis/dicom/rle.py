"""RLE Lossless frames (PS3.5 annex G) as a pydicom decoding plugin.

pydicom's own decoder loops in Python and writes as many bytes as the data asks for, 64 for each byte read. Pillow's
PackBits decoder is the same algorithm in C and stops where the image is full.
"""

import struct

import numpy as np
from PIL import Image
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import RLELossless

DECODER_DEPENDENCIES = {RLELossless: ("pillow",)}
HEADER_BYTES = 64
MAX_SEGMENTS = 15  # PS3.5 G.5


def is_available(uid: str) -> bool:
    """Whether this plugin decodes the transfer syntax `uid`; pydicom asks."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(source: bytes, runner: DecodeRunner) -> bytearray:
    """Little-endian samples, one colour plane after the other, of one RLE frame."""
    pixels = runner.rows * runner.columns
    bytes_a_sample = runner.bits_allocated // 8
    segments = runner.samples_per_pixel * bytes_a_sample
    count, *offsets = struct.unpack_from("<16L", source)
    if count != segments or count > MAX_SEGMENTS:
        raise ValueError(f"{count} RLE segments instead of {segments}")
    bounds = [*offsets[:count], len(source)]
    if bounds[0] < HEADER_BYTES or bounds != sorted(bounds):
        raise ValueError("RLE segments out of order")
    # PS3.5 G.2: the most significant byte of every sample comes first, as a plane of its own.
    planes = np.empty((runner.samples_per_pixel, pixels, bytes_a_sample), dtype=np.uint8)
    for segment in range(count):
        sample, significance = divmod(segment, bytes_a_sample)
        packed = source[bounds[segment] : bounds[segment + 1]]
        if len(packed) > 2 * pixels + 2:
            # The most wasteful honest encoder spends two bytes on a pixel and pads to an even length.
            raise ValueError("an RLE segment is longer than its image")
        # One row as long as the whole plane: Pillow refuses runs that cross a row, which scanners do write.
        plane = Image.frombytes("L", (pixels, 1), packed, "packbits", "L")
        planes[sample, :, bytes_a_sample - 1 - significance] = np.asarray(plane)[0]
    runner.set_option("planar_configuration", 1)
    return bytearray(planes.tobytes())
