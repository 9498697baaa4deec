"""INbreast in its publisher's layout.

Moreira IC, Amaral I, Domingues I, et al. INbreast: toward a full-field digital mammographic database. Academic
Radiology 19(2):236-248 (2012). ``INbreast Release 1.0/`` holds ``INbreast.csv`` (separated by semicolons: Patient
ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads; the first two are ``removed``),
``AllDICOMs/<file name>_<patient>_MG_<side>_<view>_ANON.dcm`` and ``AllXML/<file name>.xml``: property lists whose
``Images[].ROIs[]`` have a Name and ``Point_px`` as ``"(column, row)"``. The workbook INbreast.xls beside the table is
binary and is not read.

There is no pathology for every image, so the label is the reader's **assessment**: BI-RADS 1 is normal, 2 and 3
benign, 4 (a-c), 5 and 6 malignant. A figure on INbreast is agreement with that assessment; say so beside it.
"""

from __future__ import annotations

import plistlib
import re
from collections import defaultdict
from pathlib import Path
from xml.parsers.expat import ExpatError

from ml.data.collections import COLLECTIONS
from ml.data.readers.folders import find_top, not_this_layout
from ml.data.readers.shared import laterality
from ml.data.records import DataError, ImageRecord, Outline, assign_folds, raise_or_note, worst_label
from ml.data.tables import Row, read_table

_TABLE = "INbreast.csv"
_LABELS = {"1": "normal", "2": "benign", "3": "benign", "4": "malignant", "5": "malignant", "6": "malignant"}
_BIRADS = re.compile(r"^([1-6])[abc]?$")
_POINT = re.compile(r"^\(\s*(-?[\d.]+(?:e[+-]?\d+)?)\s*,\s*(-?[\d.]+(?:e[+-]?\d+)?)\s*\)$", re.IGNORECASE)


def locate(folder: Path) -> Path | None:
    """The folder that holds ``INbreast.csv``."""
    return find_top(folder, lambda each: (each / _TABLE).is_file())


def read_inbreast(folder: Path, *, faults: list[DataError] | None = None) -> list[ImageRecord]:
    """Read INbreast. The patient is the second part of a DICOM file's name; her images stay together.

    Raises:
        DataError: ``unknown_layout``; a fault of the table; ``unknown_label``, ``missing_file``, ``bad_outline``
            (unless ``faults`` receives them).
    """
    top = locate(folder)
    if top is None:
        raise not_this_layout(folder, title="INbreast", expected=COLLECTIONS["inbreast"].unpacked)
    films = {path.name.split("_")[0]: path for path in sorted((top / "AllDICOMs").glob("*_*.dcm"))}
    kept: list[tuple[Row, Path, str]] = []
    patients: dict[str, list[str]] = defaultdict(list)
    for row in read_table(
        top / _TABLE, required=("Laterality", "View", "File Name", "ACR", "Bi-Rads"), delimiters=";,"
    ):
        grade = _BIRADS.match(row["Bi-Rads"].lower())
        path = films.get(row["File Name"])
        if grade is None:
            error = row.error(
                "unknown_label",
                f"Bi-Rads {row['Bi-Rads']!r} is not one of 1, 2, 3, 4a, 4b, 4c, 5, 6.",
                remedy="Restore the table from the archive.",
            )
            raise_or_note(error, faults)
        elif path is None:
            error = row.error(
                "missing_file",
                f"AllDICOMs holds no {row['File Name']}_*.dcm.",
                remedy="Unpack the archive again.",
            )
            raise_or_note(error, faults)
        else:
            label = _LABELS[grade.group(1)]
            kept.append((row, path, label))
            patients[_patient(path)].append(label)
    folds = assign_folds({patient: worst_label(labels) for patient, labels in patients.items()})
    return [
        ImageRecord(
            source="inbreast",
            path=path,
            label=label,
            group=_patient(path),
            fold=folds[_patient(path)],
            attributes=_attributes(row),
            outlines=_outlines(top / "AllXML" / f"{row['File Name']}.xml", faults),
            patient=_patient(path),
            laterality=laterality(row["Laterality"]),
            view=row["View"].upper(),
            name=row["File Name"],
        )
        for row, path, label in kept
    ]


def _patient(path: Path) -> str:
    return path.name.split("_")[1]


def _attributes(row: Row) -> dict[str, str]:
    values = {
        "birads": row["Bi-Rads"].lower(),
        "density": row["ACR"],
        "side": row["Laterality"],
        "view": row["View"].upper(),
        "date": row.get("Acquisition date"),
        "label_basis": "BI-RADS assessment",
    }
    return {name: value for name, value in values.items() if value}


def _outlines(path: Path, faults: list[DataError] | None) -> tuple[Outline, ...]:
    """The outlined findings of an image; none where it has no file, as normal images have none."""
    if not path.is_file():
        return ()
    try:
        # plistlib refuses entity declarations, so a file cannot expand without end.
        document = plistlib.loads(path.read_bytes(), fmt=plistlib.FMT_XML)
        return tuple(
            Outline(points=tuple(_point(text) for text in region["Point_px"]), kind=str(region.get("Name", "")).strip())
            for image in document["Images"]
            for region in image["ROIs"]
            if region["Point_px"]
        )
    except (plistlib.InvalidFileException, ExpatError, ValueError, KeyError, TypeError, AttributeError) as error:
        fault = DataError(
            "the outlines cannot be read.", code="bad_outline", path=path, remedy="Unpack the archive again."
        )
        if faults is None:
            raise fault from error
        faults.append(fault)
        return ()


def _point(text: str) -> tuple[float, float]:
    match = _POINT.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a point")
    return float(match.group(1)), float(match.group(2))
