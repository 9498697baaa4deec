"""The Image Pixel Module (PS3.3 C.7.6.3) and its Pixel Data: one frame's stored values, decoded within bounds.

pydicom's decoders are given one frame and the numbers checked here, never the dataset: what is checked is what is used.
"""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders import RLELosslessDecoder
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from diagnosis.dicom import codestream, isolated
from diagnosis.dicom.elements import MeteredBytes, required_integer, text
from diagnosis.received import (
    EXPORT_AGAIN,
    NOTHING_KEPT,
    UNSUPPORTED_MEDIA_TYPE,
    IntakeRejected,
    Limits,
    choose_frame,
    require_pixels_within,
    unreadable,
)

UNDEFINED_LENGTH = 0xFFFFFFFF

# Decoding plugins by transfer syntax (PS3.5 A.4): ours, and Pillow for ordinary JPEG, which bears damaged input.
ISOLATED_PLUGIN, BOUNDED_PLUGIN, PILLOW_PLUGIN = "isolated", "bounded", "pillow"
RLELosslessDecoder.add_plugin(BOUNDED_PLUGIN, ("diagnosis.dicom.rle", "decode_frame"))
for _syntax in isolated.DECODER_DEPENDENCIES:
    get_decoder(_syntax).add_plugin(ISOLATED_PLUGIN, ("diagnosis.dicom.isolated", "decode_frame"))
PLUGINS = {
    **dict.fromkeys(isolated.DECODER_DEPENDENCIES, ISOLATED_PLUGIN),
    JPEGBaseline8Bit: PILLOW_PLUGIN,
    RLELossless: BOUNDED_PLUGIN,
}
JPEG_PROCESSES = {
    JPEGBaseline8Bit: codestream.JPEG_SEQUENTIAL,
    JPEGExtended12Bit: codestream.JPEG_SEQUENTIAL,
    JPEGLossless: codestream.JPEG_LOSSLESS,
    JPEGLosslessSV1: codestream.JPEG_LOSSLESS,
    JPEGLSLossless: codestream.JPEG_LS,
    JPEGLSNearLossless: codestream.JPEG_LS,
}

GREY = frozenset({"MONOCHROME1", "MONOCHROME2"})
COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
PALETTE = "PALETTE COLOR"


@dataclass(frozen=True, slots=True)
class PixelModule:
    """The checked numbers of PS3.3 C.7.6.3. `stored_bits` and `signed` say what range the stored values can take."""

    rows: int
    columns: int
    samples: int
    photometric: str
    planar: int
    allocated_bits: int
    stored_bits: int
    signed: bool
    frame_count: int
    representative_frame: int | None

    @property
    def lowest(self) -> int:
        return -(1 << (self.stored_bits - 1)) if self.signed else 0

    @property
    def native_frame_bytes(self) -> int:
        """PS3.5 8.1.1; YBR_FULL_422 shares each pair of chroma samples between two pixels (PS3.3 C.7.6.3.1.2)."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * samples * self.allocated_bits // 8


def pixel_module(dataset: Dataset, limits: Limits) -> PixelModule:
    """Read and check the module. Nothing is decoded, so this is safe on any dataset that could be parsed."""
    rows, columns = required_integer(dataset, "Rows"), required_integer(dataset, "Columns")
    require_pixels_within(limits, width=columns, height=rows)
    representative = required_integer(dataset, "RepresentativeFrameNumber", default=0)
    module = PixelModule(
        rows=rows,
        columns=columns,
        samples=required_integer(dataset, "SamplesPerPixel", default=1),
        photometric=text(dataset, "PhotometricInterpretation").upper(),
        planar=required_integer(dataset, "PlanarConfiguration", default=0),
        allocated_bits=required_integer(dataset, "BitsAllocated"),
        stored_bits=required_integer(dataset, "BitsStored"),
        signed=required_integer(dataset, "PixelRepresentation", default=0) == 1,
        frame_count=required_integer(dataset, "NumberOfFrames", default=1),
        # (0028,6010) counts from 1, PS3.3 C.7.6.6.
        representative_frame=representative - 1 if representative > 0 else None,
    )
    high_bit = required_integer(dataset, "HighBit", default=module.stored_bits - 1)
    _require_readable(module, high_bit)
    return module


def _require_readable(module: PixelModule, high_bit: int) -> None:
    wanted_samples = 3 if module.photometric in COLOUR else 1
    if module.photometric not in GREY | COLOUR | {PALETTE}:
        raise _unsupported(f"its colours are described as “{module.photometric or 'nothing'}”")
    if module.allocated_bits not in (8, 16) or not 1 < module.stored_bits <= module.allocated_bits:
        raise _unsupported(f"it stores {module.stored_bits} of {module.allocated_bits} bits a sample")
    # PS3.5 8.1.1: High Bit shall be one less than Bits Stored.
    if high_bit != module.stored_bits - 1:
        raise _unsupported(f"its highest bit is {high_bit} where {module.stored_bits - 1} belongs")
    if module.samples != wanted_samples or module.planar not in (0, 1):
        raise _unsupported(f"it has {module.samples} samples a pixel in the colours {module.photometric}")
    if module.photometric == "YBR_FULL_422" and (module.columns % 2 or module.allocated_bits != 8):
        raise _unsupported("its colours are shared between pixels in a way that the size of the image does not allow")
    if module.photometric not in GREY and module.signed:
        raise _unsupported("its colours have a sign")


def _unsupported(because: str) -> IntakeRejected:
    return IntakeRejected(
        "unsupported_pixels",
        f"The DICOM image cannot be shown: {because}. {NOTHING_KEPT} "
        "Export it from the scanner or the archive as an ordinary 8- to 16-bit image.",
        http_status=UNSUPPORTED_MEDIA_TYPE,
    )


def decode_frame(
    dataset: Dataset, module: PixelModule, *, syntax: UID, frame: int | None, limits: Limits
) -> tuple[NDArray[np.integer[Any]], int]:
    """The stored values of one frame, (rows, columns) or (rows, columns, 3) in RGB, and its index counted from 0."""
    index = choose_frame(frame, count=module.frame_count, representative=module.representative_frame, limits=limits)
    if syntax.is_encapsulated:
        source = _encapsulated_frame(dataset, module, syntax=syntax, index=index, limits=limits)
    else:
        source = _native_frame(dataset, module, index)
    photometric = module.photometric
    if photometric == "YBR_FULL_422" and syntax in _WITHOUT_SHARED_CHROMA:
        photometric = "YBR_FULL"
    plugin = PLUGINS.get(syntax, "")
    if syntax == JPEGExtended12Bit and module.stored_bits == 8:
        plugin = PILLOW_PLUGIN
    # pydicom types these options as one mapping.
    options: dict[str, Any] = {
        "rows": module.rows,
        "columns": module.columns,
        "samples_per_pixel": module.samples,
        "photometric_interpretation": photometric,
        "planar_configuration": module.planar,
        "bits_allocated": module.allocated_bits,
        "bits_stored": module.stored_bits,
        "pixel_representation": int(module.signed),
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
        "pixel_vr": _pixel_vr(dataset, module, syntax),
    }
    stored, _ = get_decoder(syntax).as_array(source, index=0, decoding_plugin=plugin, **options)
    return stored, index


_LOSSY_JPEG = (JPEGBaseline8Bit, JPEGExtended12Bit)
# These code every sample of every pixel; a file that says YBR_FULL_422 there means YBR_FULL.
_WITHOUT_SHARED_CHROMA = (RLELossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless)


def _pixel_vr(dataset: Dataset, module: PixelModule, syntax: UID) -> str:
    """Only big-endian data asks: 8-bit samples in 16-bit words are swapped in pairs (PS3.5 8.1.1, annex A.3)."""
    vr = dataset.get_item("PixelData").VR
    return vr if vr in ("OB", "OW") and syntax == ExplicitVRBigEndian else "OB" if module.allocated_bits == 8 else "OW"


def _native_frame(dataset: Dataset, module: PixelModule, index: int) -> bytes:
    element = cast(RawDataElement, dataset.get_item("PixelData"))
    data = element.value
    size = module.native_frame_bytes
    if element.length == UNDEFINED_LENGTH or not isinstance(data, bytes):
        raise unreadable("DICOM image")
    if len(data) < size * module.frame_count:
        frames = "one frame" if module.frame_count == 1 else f"{module.frame_count} frames"
        raise IntakeRejected(
            "truncated",
            f"The DICOM file ends early: {frames} of {module.columns} x {module.rows} pixels need "
            f"{size * module.frame_count:,} bytes and {len(data):,} are there. {NOTHING_KEPT} {EXPORT_AGAIN}",
        )
    return data[index * size : (index + 1) * size] + b"\0" * (size % 2)


def _encapsulated_frame(dataset: Dataset, module: PixelModule, *, syntax: UID, index: int, limits: Limits) -> bytes:
    element = cast(RawDataElement, dataset.get_item("PixelData"))
    if element.length != UNDEFINED_LENGTH or not isinstance(element.value, bytes):
        raise unreadable("DICOM image")
    fragments = MeteredBytes(element.value, max_reads=limits.max_dicom_reads)
    frame = get_frame(fragments, index, number_of_frames=module.frame_count)
    if syntax in JPEG_PROCESSES:
        header = codestream.jpeg_header(frame)
        if header.process not in JPEG_PROCESSES[syntax]:
            raise unreadable("compressed DICOM frame")
    elif syntax != RLELossless:
        header = codestream.jpeg_2000_header(frame)
    else:
        return encapsulate([frame], has_bot=False)
    consistent = (
        (header.rows, header.columns) == (module.rows, module.columns)
        and header.samples == module.samples
        and header.precision <= module.allocated_bits
        and (syntax not in _LOSSY_JPEG or (header.precision == 8) == (module.stored_bits == 8))
    )
    if not consistent:
        raise IntakeRejected(
            "unreadable",
            f"The DICOM file contradicts itself: it announces {module.columns} x {module.rows} pixels with "
            f"{module.samples} samples of {module.stored_bits} bits, and its compressed image has "
            f"{header.columns} x {header.rows} with {header.samples} of {header.precision}. "
            f"{NOTHING_KEPT} {EXPORT_AGAIN}",
        )
    return encapsulate([frame], has_bot=False)
