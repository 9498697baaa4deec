"""Pixels and lesion masks of a record, whatever kind of file its collection uses.

Only training and measurement read DICOM here, for collections that are published as DICOM (CBIS-DDSM, INbreast). The
portal's door is ``diagnosis.intake``.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.errors import InvalidDicomError
from pydicom.pixels import apply_voi_lut

from ml.contract import ImageError
from ml.data.records import ImageRecord
from ml.images import MAX_PIXELS, read_image, stretch_to_uint8, to_grey

DICOM_SUFFIXES = (".dcm", ".dicom")
PORTABLE_SUFFIXES = (".pgm",)
"""Portable grey maps: mini-MIAS is published so. No viewer exports them, so the door for uploads refuses them."""

_POINT_RADIUS = 3
"""A calcification marked by single points is drawn with this radius, pixels."""


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """Read PNG, JPEG, PGM, BMP, TIFF or DICOM as a person would see it.

    DICOM: the first window or look-up table of the file is applied (PS3.3 C.11.2), MONOCHROME1 is inverted so that
    tissue is bright, and the values are scaled by their own minimum and maximum.

    Returns:
        uint8 (H, W), or (H, W, 3) for colour files.

    Raises:
        ImageError: missing, damaged, several frames or too many pixels.
    """
    if path.suffix.lower() in PORTABLE_SUFFIXES:
        return _portable(path)
    if path.suffix.lower() not in DICOM_SUFFIXES:
        return read_image(path)
    dataset = _dataset(path, pixels=True)
    height, width = dicom_size(path, dataset)
    if height * width > MAX_PIXELS:
        raise ImageError(f"{path.name} holds {width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million.")
    try:
        values = dataset.pixel_array
        if values.ndim != 2:
            raise ImageError(f"{path.name} holds several frames or colours. Only single grey frames are read here.")
        values = np.asarray(apply_voi_lut(values, dataset))
    except (AttributeError, NotImplementedError, RuntimeError, ValueError, KeyError) as error:
        raise ImageError(f"The pixels of {path.name} cannot be decoded. Fetch the file again.") from error
    grey = stretch_to_uint8(values)
    return 255 - grey if dataset.get("PhotometricInterpretation") == "MONOCHROME1" else grey


def _portable(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path, formats=("PPM",)) as image:
            if image.mode != "L" or image.width * image.height > MAX_PIXELS:
                raise ImageError(
                    f"{path.name} is no 8-bit grey map of at most {MAX_PIXELS // 1_000_000} million pixels."
                )
            return np.asarray(image, np.uint8)
    except FileNotFoundError as error:
        raise ImageError(f"{path.name} does not exist. Check the path.") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(f"{path.name} is damaged and cannot be read. Unpack the archive again.") from error


def dicom_size(path: Path, dataset: pydicom.Dataset | None = None) -> tuple[int, int]:
    """Height and width of a DICOM image, from its header alone.

    Raises:
        ImageError: no DICOM file, or none with an image.
    """
    header = _dataset(path, pixels=False) if dataset is None else dataset
    if "Rows" not in header or "Columns" not in header:
        raise ImageError(f"{path.name} is a DICOM file without an image.")
    return int(header.Rows), int(header.Columns)


def _dataset(path: Path, *, pixels: bool) -> pydicom.Dataset:
    try:
        return pydicom.dcmread(path, stop_before_pixels=not pixels)
    except FileNotFoundError as error:
        raise ImageError(f"{path.name} does not exist. Check the path.") from error
    except (InvalidDicomError, OSError, EOFError, ValueError) as error:
        raise ImageError(f"{path.name} is not a readable DICOM file. Fetch it again.") from error


def lesion_mask(record: ImageRecord, *, height: int, width: int, circles: bool = True) -> NDArray[np.uint8]:
    """Everything that the collection marks as a finding in the image, as one mask.

    Mask files of another size are scaled (CBIS-DDSM holds masks whose digitisation differs from the film's).

    Args:
        record: the image.
        height, width: size of the image in pixels.
        circles: whether findings that are located by a circle only (mini-MIAS) count.

    Returns:
        uint8 (H, W), 0 or 255; all 0 where nothing is marked.

    Raises:
        ImageError: a mask file is unreadable.
    """
    mask = np.zeros((height, width), np.uint8)
    for path in (record.mask, *record.more_masks):
        if path is not None:
            drawn = to_grey(read_pixels(path))
            if drawn.shape != mask.shape:
                drawn = np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
            mask[drawn > 127] = 255
    for outline in record.outlines:
        points = np.rint(np.array(outline.points)).astype(np.int32)
        if len(points) >= 3:
            cv2.fillPoly(mask, [points], 255)
        else:
            for column, row in points:
                cv2.circle(mask, (int(column), int(row)), _POINT_RADIUS, 255, thickness=-1)
    for each in record.abnormalities if circles else ():
        if each.row is not None and each.column is not None and each.radius is not None:
            centre = (round(each.column), round(each.row))
            cv2.circle(mask, centre, max(1, round(each.radius)), 255, thickness=-1)
    return mask
