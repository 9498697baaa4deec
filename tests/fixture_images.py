"""Good images in every format that is read, made while the tests run; `tests.fixture_hostile` holds the bad ones.

Nothing here is a patient's. Every maker is deterministic in its arguments.
"""

import io
import struct
from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    UltrasoundImageStorage,
    generate_uid,
)

HEIGHT, WIDTH = 96, 128

_PLUGINS = {RLELossless: "pydicom", JPEGLSLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg"}


def speckle(seed: int = 0, *, height: int = HEIGHT, width: int = WIDTH, bits: int = 8) -> NDArray[np.generic]:
    """Grey noise that darkens with depth, unsigned `bits` a sample, (height, width)."""
    depth = np.linspace(1.0, 0.35, height)[:, None]
    noise = np.random.default_rng(seed).rayleigh(0.3, (height, width))
    dtype = np.uint8 if bits <= 8 else np.uint16
    return (np.clip(noise * depth, 0, 1) * ((1 << bits) - 1)).astype(dtype)


def coloured(seed: int = 0, *, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Smooth colours, uint8 (height, width, 3): lossy formats keep them within a few levels."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack(
        [x * 255 // width, y * 255 // height, (x + y + seed) * 255 // (width + height + seed)], axis=-1
    ).astype(np.uint8)


def encoded(pixels: NDArray[np.generic], image_format: str, **options: object) -> bytes:
    """`pixels` in one of Pillow's formats."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=image_format, **options)
    return buffer.getvalue()


def good_png(seed: int = 0) -> bytes:
    """An 8-bit grey PNG; another seed is another image with another SHA-256."""
    return encoded(speckle(seed), "PNG")


def good_jpeg(seed: int = 0, **options: object) -> bytes:
    return encoded(speckle(seed), "JPEG", quality=90, **options)


def oriented_jpeg(orientation: int) -> bytes:
    """A JPEG as a phone writes it: EXIF orientation, GPS position and a comment."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "PATIENT NAME IN EXIF"
    exif.get_ifd(0x8825).update({1: "N", 2: (38.0, 43.0, 12.0), 3: "W", 4: (9.0, 8.0, 21.0)})
    return encoded(coloured(), "JPEG", quality=95, exif=exif, comment=b"PATIENT NAME IN COMMENT")


def multi_page_tiff(pages: Sequence[NDArray[np.generic]], **options: object) -> bytes:
    first, *rest = [Image.fromarray(page) for page in pages]
    buffer = io.BytesIO()
    first.save(buffer, format="TIFF", save_all=True, append_images=rest, **options)
    return buffer.getvalue()


def good_dicom(
    *,
    seed: int = 0,
    pixels: NDArray[np.generic] | None = None,
    frames: Sequence[NDArray[np.generic]] = (),
    coded_frames: Sequence[bytes] = (),
    syntax: UID = ExplicitVRLittleEndian,
    photometric: str = "",
    bits_stored: int = 0,
    patient_id: str = "MRN-0001",
    family_name: str = "Silva",
    given_name: str = "Ana",
    birth_date: date | None = date(1970, 3, 1),
    sex: str = "F",
    modality: str = "US",
    laterality: str = "L",
    view: str = "",
    **elements: object,
) -> bytes:
    """A DICOM file in `syntax`. `pixels` (or each of `frames`) is (H, W) or (H, W, 3), 8 or 16 bits, signed or not.

    `coded_frames` take the place of the compressed pixels, for frames that no encoder here would write.
    `elements` are set by keyword after everything else; None removes one.
    """
    images = list(frames) or [speckle(seed) if pixels is None else pixels]
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = UltrasoundImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["instance", str(seed), str(syntax), photometric])
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(seed)])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series", str(seed)])
    dataset.AccessionNumber = f"A{seed:07d}"
    dataset.StudyDate, dataset.StudyTime = "20260302", "091500"
    dataset.AcquisitionDateTime = "20260302091630.5"
    dataset.Modality = modality
    dataset.Manufacturer, dataset.ManufacturerModelName = "Senolens", "Phantom"
    dataset.PatientName = f"{family_name}^{given_name}"
    dataset.PatientID = patient_id
    dataset.PatientBirthDate = birth_date.strftime("%Y%m%d") if birth_date else ""
    dataset.PatientSex = sex
    dataset.Laterality = laterality
    if view:
        dataset.ViewPosition = view
    _set_pixel_module(dataset, images, photometric=photometric, bits_stored=bits_stored)
    _set_pixels(dataset, images, syntax=syntax, coded_frames=coded_frames)
    for keyword, value in elements.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return as_file(dataset, syntax)


def as_file(dataset: Dataset, syntax: UID) -> bytes:
    """PS3.10 bytes of a dataset: preamble, file meta information, dataset."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", UltrasoundImageStorage)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    file = FileDataset(
        buffer,
        dataset,
        preamble=b"\0" * 128,
        file_meta=meta,
        is_implicit_VR=syntax.is_implicit_VR,
        is_little_endian=syntax.is_little_endian,
    )
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _set_pixel_module(
    dataset: Dataset, images: list[NDArray[np.generic]], *, photometric: str, bits_stored: int
) -> None:
    first = images[0]
    dataset.Rows, dataset.Columns = first.shape[:2]
    dataset.SamplesPerPixel = 1 if first.ndim == 2 else 3
    dataset.PhotometricInterpretation = photometric or ("MONOCHROME2" if first.ndim == 2 else "RGB")
    if first.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = first.dtype.itemsize * 8
    dataset.BitsStored = bits_stored or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(first.dtype.kind == "i")
    if len(images) > 1:
        dataset.NumberOfFrames = len(images)


def _set_pixels(
    dataset: Dataset, images: list[NDArray[np.generic]], *, syntax: UID, coded_frames: Sequence[bytes]
) -> None:
    vr = "OB" if dataset.BitsAllocated == 8 else "OW"
    if not syntax.is_encapsulated:
        order = "<" if syntax.is_little_endian else ">"
        data = b"".join(image.astype(image.dtype.newbyteorder(order)).tobytes() for image in images)
        dataset.add_new("PixelData", vr, data + b"\0" * (len(data) % 2))
        return
    coded = coded_frames or [_compress(image, dataset, syntax) for image in images]
    dataset.add_new("PixelData", "OB", encapsulate(list(coded)))
    dataset["PixelData"].is_undefined_length = True


def _compress(image: NDArray[np.generic], dataset: Dataset, syntax: UID) -> bytes:
    if syntax == JPEGBaseline8Bit:
        return encoded(image, "JPEG", quality=95)
    if syntax in (JPEGLossless, JPEGLosslessSV1):
        return _lossless_jpeg(image, dataset.BitsStored)
    return get_encoder(syntax).encode(
        image,
        rows=dataset.Rows,
        columns=dataset.Columns,
        samples_per_pixel=dataset.SamplesPerPixel,
        number_of_frames=1,
        bits_allocated=dataset.BitsAllocated,
        bits_stored=dataset.BitsStored,
        pixel_representation=dataset.PixelRepresentation,
        photometric_interpretation=dataset.PhotometricInterpretation,
        planar_configuration=0,
        encoding_plugin=_PLUGINS[syntax],
    )


def _lossless_jpeg(image: NDArray[np.generic], precision: int) -> bytes:
    """Lossless JPEG with selection value 1 (ITU-T T.81 annex H), every difference category coded in five bits."""
    planes = image.reshape(*image.shape[:2], -1).astype(np.int64) & 0xFFFF
    predicted = np.empty_like(planes)
    predicted[:, 1:] = planes[:, :-1]
    predicted[1:, 0] = planes[:-1, 0]
    predicted[0, 0] = 1 << (precision - 1)
    differences = (planes - predicted + 0x8000) % 0x10000 - 0x8000
    bits = []
    for difference in differences.ravel().tolist():
        category = abs(difference).bit_length()
        bits.append(f"{category:05b}")
        if 0 < category < 16:
            bits.append(f"{difference if difference > 0 else difference + (1 << category) - 1:0{category}b}")
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    scan = int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\0")
    rows, columns, samples = planes.shape
    components = range(1, samples + 1)
    frame = struct.pack(">BHHB", precision, rows, columns, samples) + b"".join(bytes([c, 0x11, 0]) for c in components)
    table = bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    start = bytes([samples]) + b"".join(bytes([c, 0]) for c in components) + bytes([1, 0, 0])
    adobe = b"Adobe" + bytes([0, 100, 0, 0, 0, 0, 0])
    segments = [(0xC3, frame), (0xC4, table), (0xDA, start)]
    if samples == 3:
        segments.insert(0, (0xEE, adobe))
    head = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    return b"\xff\xd8" + head + scan + b"\xff\xd9"
