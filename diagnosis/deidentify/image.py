"""One image as it may leave: a DICOM file of one frame, or a PNG, with everything but tissue blackened."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from diagnosis.deidentify.attributes import clean, method_codes
from diagnosis.deidentify.pseudonyms import Pseudonyms
from diagnosis.dicom.pixels import PixelModule

BLACK_IS_HIGHEST = "MONOCHROME1"


def as_png(pixels: NDArray[np.uint8], kept: NDArray[np.bool_]) -> bytes:
    """The kept pixels as PNG without any metadata."""
    encoded = BytesIO()
    Pillow.fromarray(_blackened(pixels, kept, black=0)).save(encoded, "PNG", optimize=False)
    return encoded.getvalue()


def as_dicom(
    dataset: Dataset,
    stored: NDArray[Any],
    shown: NDArray[np.uint8],
    kept: NDArray[np.bool_],
    *,
    module: PixelModule,
    frame: int,
    pseudonyms: Pseudonyms,
    patient: Any,
    label: str,
) -> bytes:
    """One frame of a DICOM file, uncompressed, under the pseudonym ``label``.

    Args:
        dataset: the file as received.
        stored: stored values of the frame, (H, W) grey or (H, W, 3) RGB.
        shown: the same frame as it is shown; used where the stored values are numbers of a palette.
        kept: bool (H, W).
        frame: its number from 0, so that frames of one file stay different objects.
    """
    made = clean(dataset, pseudonyms=pseudonyms, patient=patient)
    palette = module.photometric == "PALETTE COLOR"
    values = shown if palette else stored
    depth = values.dtype.itemsize * 8
    signed = module.signed and not palette
    black = 0 if values.ndim == 3 or palette else module.lowest
    if module.photometric == BLACK_IS_HIGHEST:
        black = (1 << (module.stored_bits - (1 if module.signed else 0))) - 1
    values = _blackened(values, kept, black=black)
    made.Rows, made.Columns = values.shape[:2]
    made.SamplesPerPixel = 3 if values.ndim == 3 else 1
    made.PhotometricInterpretation = "RGB" if values.ndim == 3 else "MONOCHROME2" if palette else module.photometric
    made.BitsAllocated = depth
    made.BitsStored = 8 if palette else module.stored_bits
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(signed)
    for keyword in ("PlanarConfiguration", "NumberOfFrames"):
        if keyword in made:
            del made[keyword]
    if values.ndim == 3:
        made.PlanarConfiguration = 0
    made.add_new("PixelData", "OB" if depth == 8 else "OW", _even(np.ascontiguousarray(values).tobytes()))
    _describe(made, dataset, frame=frame, pseudonyms=pseudonyms, label=label)
    return _file(made)


def _blackened(values: NDArray[Any], kept: NDArray[np.bool_], *, black: int) -> NDArray[Any]:
    return np.where(kept[..., None] if values.ndim == 3 else kept, values, values.dtype.type(black))


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def _describe(made: Dataset, dataset: Dataset, *, frame: int, pseudonyms: Pseudonyms, label: str) -> None:
    """What the profile wants said: PS3.15 E.1.1, E.3.1 and E.3.6."""
    made.SpecificCharacterSet = "ISO_IR 192"
    made.PatientName = made.PatientID = label
    made.PatientBirthDate = made.PatientSex = ""
    made.SOPInstanceUID = pseudonyms.uid(f"{dataset.get('SOPInstanceUID', label)}#{frame}")
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        if not made.get(keyword):
            setattr(made, keyword, pseudonyms.uid(f"{keyword}{label}"))
    kinds = list(made.get("ImageType") or ["", "PRIMARY"])
    made.ImageType = ["DERIVED", *(kinds[1:] or ["PRIMARY"])]
    made.BurnedInAnnotation = "NO"
    made.RecognizableVisualFeatures = "NO"
    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = "PS3.15 table E.1-1, 2026c; pixels outside tissue blackened"
    made.DeidentificationMethodCodeSequence = method_codes()
    made.LongitudinalTemporalInformationModified = "MODIFIED"


def _file(made: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = made.get("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta = meta
    out = BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()
