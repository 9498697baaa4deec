"""The process that decodes one compressed frame: codestream on standard input, samples on standard output.

Started by `diagnosis.dicom.isolated` as a script. It limits itself before it reads a byte, imports nothing of this
project, and may die in any way it likes. Output: a byte with the sample precision, a byte with the planar
configuration, then little-endian samples.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

BY_PIXEL, BY_PLANE = 0, 1


@dataclass(frozen=True, slots=True)
class Frame:
    """What the dataset says about the frame (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    samples: int
    allocated_bits: int
    stored_bits: int
    representation: int
    photometric: str
    syntax: str


# Sample precision in bits, planar configuration (0 by pixel, 1 by plane), little-endian samples.
Decoded = tuple[int, int, bytes]


def decode_jpeg_2000(source: bytes, frame: Frame) -> Decoded:
    openjpeg = import_module("openjpeg")
    precision = int(openjpeg.get_parameters(source, j2k_format=0)["precision"])
    return precision, BY_PIXEL, bytes(openjpeg.decode_pixel_data(source, version=2))


def decode_jpeg_ls(source: bytes, frame: Frame) -> Decoded:
    charls = import_module("jpeg_ls")
    samples, header = charls.decode_pixel_data(source)
    planar = BY_PLANE if header["components"] > 1 and header["interleave_mode"] == 0 else BY_PIXEL
    return int(header["bits_per_sample"]), planar, bytes(samples)


def decode_jpeg(source: bytes, frame: Frame) -> Decoded:
    """Lossless JPEG (ITU-T T.81, process 14) and 12-bit extended JPEG (process 4), through GDCM."""
    gdcm = import_module("gdcm")
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(source)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((frame.columns, frame.rows, 1))
    image.SetDataElement(element)
    photometric = gdcm.PhotometricInterpretation.GetPIType(frame.photometric)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(photometric))
    if frame.samples > 1:
        image.SetPlanarConfiguration(0)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(frame.syntax)))
    image.SetPixelFormat(
        gdcm.PixelFormat(
            frame.samples, frame.allocated_bits, frame.stored_bits, frame.stored_bits - 1, frame.representation
        )
    )
    # GDCM hands its bytes to Python as text.
    return frame.allocated_bits, BY_PIXEL, image.GetBuffer().encode("utf-8", "surrogateescape")


DECODERS: dict[str, Callable[[bytes, Frame], Decoded]] = {
    "jpeg-2000": decode_jpeg_2000,
    "jpeg-ls": decode_jpeg_ls,
    "jpeg": decode_jpeg,
}


def main(arguments: list[str]) -> None:
    kind, rows, columns, samples, allocated, stored, representation, photometric, syntax, seconds, memory = arguments
    # Processor time in fractions of a second; SIGPROF ends the process, whatever native code is running.
    signal.setitimer(signal.ITIMER_PROF, float(seconds))
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    frame = Frame(
        rows=int(rows),
        columns=int(columns),
        samples=int(samples),
        allocated_bits=int(allocated),
        stored_bits=int(stored),
        representation=int(representation),
        photometric=photometric,
        syntax=syntax,
    )
    # NumPy's linear algebra would reserve memory for a thread on every core.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    precision, planar, decoded = DECODERS[kind](sys.stdin.buffer.read(), frame)
    expected = frame.rows * frame.columns * frame.samples * (1 if precision <= 8 else 2)
    if len(decoded) != expected:
        raise ValueError(f"{len(decoded)} bytes decoded, {expected} expected")
    sys.stdout.buffer.write(bytes([precision, planar]))
    sys.stdout.buffer.write(decoded)


if __name__ == "__main__":
    main(sys.argv[1:])
