"""Compressed frames decoded in a process of their own, as a pydicom decoding plugin.

GDCM ends its process on a damaged frame (an uncaught C++ exception), and the JPEG-LS library can take seconds over two
kilobytes; both were found by fuzzing. A web worker that serves other people must not be the one that meets them. The
child is `decoder_process.py`: it knows nothing of the upload but one frame, has bounded memory and processor time, and
costs about a tenth of a second.
"""

import subprocess
import sys
from pathlib import Path

from pydicom.pixels.common import PhotometricInterpretation
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

JPEG_2000_FAMILY = frozenset({JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K})
JPEG_LS_FAMILY = frozenset({JPEGLSLossless, JPEGLSNearLossless})
JPEG_FAMILY = frozenset({JPEGLossless, JPEGLosslessSV1, JPEGExtended12Bit})
DECODER_DEPENDENCIES = {
    **dict.fromkeys(JPEG_2000_FAMILY, ("pylibjpeg-openjpeg",)),
    **dict.fromkeys(JPEG_LS_FAMILY, ("pyjpegls",)),
    **dict.fromkeys(JPEG_FAMILY, ("python-gdcm",)),
}

DECODER_PROCESS = Path(__file__).with_name("decoder_process.py")
# Processor time. Measured on a 13.6-megapixel 12-bit image (2026-11-21): JPEG 2000 0.12 s a megapixel, JPEG-LS 0.03 s;
# starting up takes 0.1 to 0.2 s. The margin is for slower hosts.
SECONDS_TO_START = 1.2
SECONDS_A_MEGAPIXEL = 0.5
# Processor time is what a hostile frame burns; the wall clock only guards against a child that waits, so it is generous
# to a busy host.
WALL_CLOCK_FACTOR = 8
BYTES_TO_START = 512 * 1024 * 1024
# OpenJPEG holds 32-bit samples and wavelet coefficients beside the result.
BYTES_A_SAMPLE = 24


class DecoderFailed(ValueError):
    """The child process refused, crashed or exceeded its limits."""


def is_available(uid: str) -> bool:
    """Whether this plugin decodes the transfer syntax `uid`; pydicom asks."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """Little-endian samples of one JPEG, JPEG-LS or JPEG 2000 frame."""
    syntax = runner.transfer_syntax
    pixels = runner.rows * runner.columns
    seconds = SECONDS_TO_START + pixels / 1e6 * SECONDS_A_MEGAPIXEL
    memory = BYTES_TO_START + BYTES_A_SAMPLE * pixels * runner.samples_per_pixel
    arguments = [
        _kind(syntax),
        runner.rows,
        runner.columns,
        runner.samples_per_pixel,
        runner.bits_allocated,
        runner.bits_stored,
        runner.pixel_representation,
        str.__str__(runner.photometric_interpretation),
        str.__str__(syntax),
        seconds,
        memory,
    ]
    try:
        finished = subprocess.run(
            # -I: no PYTHON* variables, no user site, no current directory on the path.
            [sys.executable, "-I", str(DECODER_PROCESS), *map(str, arguments)],
            input=source,
            capture_output=True,
            timeout=seconds * WALL_CLOCK_FACTOR,
            check=False,
        )
    except subprocess.TimeoutExpired as slow:
        raise DecoderFailed(f"{syntax.name}: the decoder was stopped after {slow.timeout} s") from slow
    if finished.returncode != 0:
        complaint = finished.stderr.decode("utf-8", "replace").strip()[-300:]
        raise DecoderFailed(f"{syntax.name}: the decoder ended with {finished.returncode}: {complaint}")
    precision, planar = finished.stdout[:2]
    # Decoders return containers as wide as the codestream's precision, whatever Bits Allocated says.
    runner.set_option("bits_allocated", 8 if precision <= 8 else 16)
    runner.set_option("planar_configuration", planar)
    if runner.photometric_interpretation in (PhotometricInterpretation.YBR_ICT, PhotometricInterpretation.YBR_RCT):
        runner.set_option("photometric_interpretation", PhotometricInterpretation.RGB)
    return finished.stdout[2:]


def _kind(syntax: str) -> str:
    return "jpeg-2000" if syntax in JPEG_2000_FAMILY else "jpeg-ls" if syntax in JPEG_LS_FAMILY else "jpeg"
