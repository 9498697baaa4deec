"""Good images in every format that is read, made while the tests run; `tests.fixture_hostile` holds the bad ones.

Nothing here is a patient's. Every maker is deterministic in its arguments.
"""

import io
import zlib  # noqa: F401 - GDCM brings a zlib of its own, which breaks Pillow's PNG writer when it is loaded first
from collections.abc import Sequence
from datetime import date

import gdcm
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
_GDCM_SYNTAXES = {
    JPEGLossless: gdcm.TransferSyntax.JPEGLosslessProcess14,
    JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
}


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
    file = FileDataset(buffer, dataset, preamble=b"\0" * 128, file_meta=meta)
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
    if syntax in _GDCM_SYNTAXES:
        return _compress_with_gdcm(image, dataset, syntax)
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


def _compress_with_gdcm(image: NDArray[np.generic], dataset: Dataset, syntax: UID) -> bytes:
    source = gdcm.Image()
    source.SetNumberOfDimensions(2)
    source.SetDimensions((image.shape[1], image.shape[0], 1))
    stored = dataset.BitsStored
    source.SetPixelFormat(
        gdcm.PixelFormat(
            dataset.SamplesPerPixel, dataset.BitsAllocated, stored, stored - 1, int(dataset.PixelRepresentation)
        )
    )
    photometric = gdcm.PhotometricInterpretation.GetPIType(dataset.PhotometricInterpretation)
    source.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(photometric))
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetByteStringValue(image.tobytes())
    source.SetDataElement(element)
    source.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(_GDCM_SYNTAXES[syntax]))
    change.SetInput(source)
    if not change.Change():
        raise RuntimeError("the image could not be compressed")
    # Each of these borrows from the one before; a temporary that is freed early ends the process.
    output = change.GetOutput()
    element = output.GetDataElement()
    fragments = element.GetSequenceOfFragments()
    fragment = fragments.GetFragment(0)
    value = fragment.GetByteValue()
    return value.GetBuffer().encode("utf-8", "surrogateescape")
