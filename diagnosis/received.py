"""The vocabulary of the door: what an upload becomes, and how it is refused.

Everything here is plain data, so `diagnosis.raster` and `diagnosis.dicom` can speak it without importing the door
itself. Other rooms import these names from `diagnosis.intake`.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

BAD_REQUEST = 400
CONTENT_TOO_LARGE = 413
UNSUPPORTED_MEDIA_TYPE = 415

NOTHING_KEPT = "Nothing was kept."
EXPORT_AGAIN = "Export the image again from the scanner or the archive and upload the new file."


class Upload(Protocol):
    """An open binary file, or one of Django's uploaded files."""

    def read(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...


class IntakeRejected(Exception):
    """An upload that this hospital's portal will not take, with the reason.

    `message` is for the person who uploaded: what is wrong, what was kept, what to do. `code` is for programs.
    `http_status` is 400 (damaged or unusable), 413 (too large) or 415 (not a kind of file we read). The technical
    cause, where there is one, is the chained exception (`__cause__`) and belongs in the log only.
    """

    def __init__(self, code: str, message: str, *, http_status: int = BAD_REQUEST) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one upload may cost. Every bound is checked before the work it bounds is begun.

    `max_bytes` is the size of the file, `max_pixels` rows x columns of one frame, `max_side` the longer of the two.
    40 megapixels leave room for the largest mammography detectors in use (about 5,900 x 4,800 = 28 megapixels).
    `max_inflated_bytes` bounds a deflated DICOM dataset (PS3.5 A.5) after inflation.
    `max_dicom_reads` bounds the number of tags, lengths and values read from a DICOM file: an honest image has a few
    hundred elements, a hostile one has millions of empty ones.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_pixels: int = 40_000_000
    max_side: int = 20_000
    max_frames: int = 2_000
    max_inflated_bytes: int = 64 * 1024 * 1024
    max_dicom_reads: int = 200_000


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """Whom a DICOM file says it shows (Patient Module, PS3.3 C.7.1.1). Text is '' and the date None where absent.

    `sex` is the file's own code: 'M', 'F', 'O' or ''.
    """

    patient_id: str = ""
    family_name: str = ""
    given_name: str = ""
    birth_date: date | None = None
    sex: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which a file and the record disagree, with a sentence for the person who has to decide."""

    field: str
    in_file: str
    on_record: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Description:
    """What a file says about the image, beside its pixels. A PNG says nothing, so every field has an empty value.

    `pixel_spacing_mm` is (row, column) spacing in millimetres. `acquired_at` carries a time zone only where the file
    states one; otherwise it is the scanner's local time.
    """

    identity: PatientIdentity | None = None
    laterality: str = ""
    view: str = ""
    modality: str = ""
    pixel_spacing_mm: tuple[float, float] | None = None
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    accession_number: str = ""
    device: str = ""
    acquired_at: datetime | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One decoded frame: `pixels` uint8, (H, W) grey or (H, W, 3) RGB, ready to be shown."""

    pixels: NDArray[np.uint8]
    source_format: str
    media_type: str
    frame_index: int = 0
    frame_count: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """An accepted upload.

    `pixels` is uint8, (H, W) grey or (H, W, 3) RGB, 0 black to 255 white, with orientation, rescale, window and
    inversion applied; read-only. An RGB source whose channels are equal everywhere arrives grey. `png` is the same
    pixels, losslessly, with no metadata of the upload. `sha256` is of the uploaded bytes. `frame_index` counts from 0.
    `keep_original` says that the uploaded bytes hold more than the PNG (DICOM) and are worth storing.
    """

    pixels: NDArray[np.uint8]
    png: bytes
    sha256: str
    media_type: str
    source_format: str
    width: int
    height: int
    frame_index: int
    frame_count: int
    identity: PatientIdentity | None
    laterality: str
    view: str
    modality: str
    pixel_spacing_mm: tuple[float, float] | None
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    accession_number: str
    device: str
    acquired_at: datetime | None
    keep_original: bool


def unreadable(what: str = "image") -> IntakeRejected:
    """The refusal for bytes that begin like an accepted file and cannot be decoded."""
    return IntakeRejected(
        "unreadable", f"The {what} could not be read: the file is damaged or incomplete. {NOTHING_KEPT} {EXPORT_AGAIN}"
    )


def require_pixels_within(limits: Limits, *, width: int, height: int) -> None:
    """Refuse a frame of absurd size from its header alone, before memory is asked for."""
    if width < 1 or height < 1:
        raise IntakeRejected("no_image", f"The image has no pixels ({width} x {height}). {NOTHING_KEPT} {EXPORT_AGAIN}")
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise IntakeRejected(
            "too_many_pixels",
            f"The image is {width:,} x {height:,} pixels; at most {limits.max_pixels // 1_000_000} megapixels are "
            f"read. {NOTHING_KEPT} Export the image at the scanner's own resolution and upload it again.",
            http_status=CONTENT_TOO_LARGE,
        )


def choose_frame(wanted: int | None, *, count: int, representative: int | None, limits: Limits) -> int:
    """Which frame to read, counted from 0: the wanted one, else the file's representative one, else the middle one.

    Of two frames the first is the middle: in a TIFF the second is often a thumbnail.
    """
    if count < 1:
        raise unreadable("series of frames")
    if count > limits.max_frames:
        raise IntakeRejected(
            "too_many_frames",
            f"The file says it holds {count:,} frames; at most {limits.max_frames:,} are read. {NOTHING_KEPT} "
            "Export the frames that matter as a shorter loop or as still images.",
            http_status=CONTENT_TOO_LARGE,
        )
    if wanted is None:
        return representative if representative is not None and 0 <= representative < count else (count - 1) // 2
    if not 0 <= wanted < count:
        holds = "one frame" if count == 1 else f"frames 1 to {count}"
        raise IntakeRejected(
            "frame_out_of_range",
            f"Frame {wanted + 1} was asked for, but the file holds {holds}. {NOTHING_KEPT} Choose a frame that exists.",
        )
    return wanted
