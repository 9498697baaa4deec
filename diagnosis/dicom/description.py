"""Whom and what a DICOM file says it shows: patient, side, view, scale, device, time and identifiers."""

import re
from datetime import date, datetime, timedelta, timezone

from pydicom.dataset import Dataset

from diagnosis.dicom.elements import clean, decimal, decimals, first, items, text
from diagnosis.received import Description, PatientIdentity

# Modality, PS3.3 C.7.3.1.1.1. Secondary captures of an ultrasound often say OT or nothing.
ACCEPTED_MODALITIES = frozenset({"US", "MG"})
UNSPECIFIC_MODALITIES = frozenset({"", "OT", "SC"})

# View Code Sequence (0054,0220), PS3.16 CID 4014: SNOMED CT and the older SNOMED-RT code of each view.
VIEW_CODES = {
    "399162004": "CC", "R-10242": "CC",
    "399368009": "MLO", "R-10226": "MLO",
    "399260004": "ML", "R-10224": "ML",
    "399352003": "LM", "R-10228": "LM",
    "399099002": "LMO", "R-10230": "LMO",
    "399192007": "FB", "R-10244": "FB",
    "399101009": "SIO", "R-102D0": "SIO",
    "399265009": "XCC", "Y-X1770": "XCC",
    "399011000": "XCCL", "Y-X1771": "XCCL",
    "399188001": "XCCL",
    "399196006": "CV",
}  # fmt: skip

TWO_DIMENSIONAL = 1  # Region Spatial Format, PS3.3 C.8.5.5.1.1
CENTIMETRES = 3  # Physical Units X and Y Direction, PS3.3 C.8.5.5.1.15
MM_A_CM = 10.0
SPACING_RANGE_MM = (0.001, 10.0)  # finer than any detector, coarser than any breast image

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_MAX_UID = 64  # PS3.5 9.1
_DATE_TIME = re.compile(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})?(\d{2})?)?(?:\.(\d{1,6}))?([+-]\d{4})?")
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")


def describe(dataset: Dataset) -> Description:
    """What the dataset says beside its pixels. Absent and damaged elements come out empty, never as an error."""
    modality = text(dataset, "Modality").upper()
    return Description(
        identity=_identity(dataset),
        laterality=_laterality(dataset),
        view=_view(dataset),
        modality=modality if modality in ACCEPTED_MODALITIES else "",
        pixel_spacing_mm=_pixel_spacing(dataset),
        study_instance_uid=_uid(dataset, "StudyInstanceUID"),
        series_instance_uid=_uid(dataset, "SeriesInstanceUID"),
        sop_instance_uid=_uid(dataset, "SOPInstanceUID"),
        accession_number=text(dataset, "AccessionNumber"),
        device=" ".join(filter(None, (text(dataset, "Manufacturer"), text(dataset, "ManufacturerModelName")))),
        acquired_at=_acquired_at(dataset),
    )


def _identity(dataset: Dataset) -> PatientIdentity:
    """Patient Module, PS3.3 C.7.1.1."""
    family, given = _name(dataset)
    birth = _date(text(dataset, "PatientBirthDate"))
    return PatientIdentity(
        patient_id=text(dataset, "PatientID"),
        family_name=family,
        given_name=given,
        birth_date=birth,
        sex=text(dataset, "PatientSex").upper()[:1],
    )


def _name(dataset: Dataset) -> tuple[str, str]:
    """Family and given name of a PN (PS3.5 6.2.1); the middle name counts as given.

    A name may be written in up to three scripts; the alphabetic one comes first and is used where it is there.
    """
    value = first(dataset, "PatientName")
    groups = [group for group in str(value or "").split("=") if group.strip(" ^")]
    components = [clean(component.replace("^", " ")) for component in groups[0].split("^")] if groups else []
    family, given, middle = (components + ["", "", ""])[:3]
    return family, f"{given} {middle}".strip()


def _laterality(dataset: Dataset) -> str:
    """'L', 'R', or '' for both, neither or unknown (PS3.3 C.7.3.1, C.7.6.1, C.8.11.7)."""
    for source in (dataset, *_frame_anatomy(dataset)):
        for keyword in ("ImageLaterality", "FrameLaterality", "Laterality"):
            side = text(source, keyword).upper()
            if side:
                return side if side in ("L", "R") else ""
    return ""


def _frame_anatomy(dataset: Dataset) -> list[Dataset]:
    """Frame Anatomy macro of enhanced objects such as tomosynthesis, PS3.3 C.7.6.16.2.8."""
    shared = items(dataset, "SharedFunctionalGroupsSequence")[:1]
    return [anatomy for group in shared for anatomy in items(group, "FrameAnatomySequence")[:1]]


def _view(dataset: Dataset) -> str:
    """The mammographic view, e.g. 'CC' or 'MLO' (View Position, PS3.3 C.8.11.7; View Code Sequence, C.8.11.7.1)."""
    position = text(dataset, "ViewPosition").upper()
    if position:
        return position[:16]
    for view in items(dataset, "ViewCodeSequence")[:1]:
        return VIEW_CODES.get(text(view, "CodeValue"), "")
    return ""


def _pixel_spacing(dataset: Dataset) -> tuple[float, float] | None:
    """(row, column) spacing in mm: the calibrated ultrasound region, else the image's spacing, else the detector's."""
    regions = items(dataset, "SequenceOfUltrasoundRegions")
    if regions:
        flat = [region for region in regions if _code(region, "RegionSpatialFormat") == TWO_DIMENSIONAL]
        calibrated = flat[0] if len(flat) == 1 else None
        if calibrated is not None and all(
            _code(calibrated, f"PhysicalUnits{axis}Direction") == CENTIMETRES for axis in "XY"
        ):
            # PS3.3 C.8.5.5.1.17: the deltas are cm per pixel and may be negative.
            row, column = (abs(decimal(calibrated, f"PhysicalDelta{axis}") or 0.0) * MM_A_CM for axis in "YX")
            return _plausible((row, column))
        if len(flat) > 1:
            # Two scales in one image: a ruler laid across would measure wrongly with either.
            return None
    spacing = _plausible(decimals(dataset, "PixelSpacing"))
    if spacing is not None:
        return spacing
    detector = _plausible(decimals(dataset, "ImagerPixelSpacing"))
    if detector is None:
        return None
    # PS3.3 10.7.1.3: spacing at the detector, larger than in the breast by the radiographic magnification.
    magnification = decimal(dataset, "EstimatedRadiographicMagnificationFactor") or 1.0
    return (detector[0] / magnification, detector[1] / magnification) if 1.0 <= magnification <= 4.0 else detector


def _plausible(spacing: tuple[float, ...]) -> tuple[float, float] | None:
    low, high = SPACING_RANGE_MM
    return (spacing[0], spacing[1]) if len(spacing) == 2 and all(low <= value <= high for value in spacing) else None


def _code(dataset: Dataset, keyword: str) -> int | None:
    number = decimal(dataset, keyword)
    return None if number is None else int(number)


def _uid(dataset: Dataset, keyword: str) -> str:
    value = first(dataset, keyword)
    uid = "" if value is None else str(value).strip(" \0")
    return uid if len(uid) <= _MAX_UID and _UID.fullmatch(uid) else ""


def _acquired_at(dataset: Dataset) -> datetime | None:
    """When the image was taken, from the most exact pair of elements that is filled in (PS3.3 C.7.6.1, C.7.2.1)."""
    offset = text(dataset, "TimezoneOffsetFromUTC")
    moment = _moment(text(dataset, "AcquisitionDateTime"), offset)
    for pair in ("Acquisition", "Content", "Series", "Study"):
        day, time = text(dataset, f"{pair}Date"), text(dataset, f"{pair}Time")
        if moment is None and day and time:
            moment = _moment(day + time, offset)
    return moment


def _moment(stamp: str, offset: str) -> datetime | None:
    """DT of PS3.5 6.2, without the truncated forms that leave out the day."""
    match = _DATE_TIME.fullmatch(stamp)
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, own_offset = match.groups()
    zone = _OFFSET.fullmatch(own_offset or offset)
    try:
        tz = None
        if zone:
            span = timedelta(hours=int(zone[2]), minutes=int(zone[3]))
            tz = timezone(-span if zone[1] == "-" else span)
        # DICOM allows second 60 for a leap second, datetime does not.
        return datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), min(int(second or 0), 59),
            int((fraction or "0").ljust(6, "0")), tzinfo=tz,
        )  # fmt: skip
    except ValueError:
        return None


def _date(value: str) -> date | None:
    digits = value.replace(".", "")  # YYYY.MM.DD is the form of ACR-NEMA, still met
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:])) if len(digits) == 8 else None
    except ValueError:
        return None
