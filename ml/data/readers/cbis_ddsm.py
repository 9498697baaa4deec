"""CBIS-DDSM in its publisher's layout, and in the JPEG edition on Kaggle.

Lee RS, Gimenez F, Hoogi A, et al. A curated mammography data set for use in computer-aided detection and diagnosis
research. Scientific Data 4:170177 (2017); The Cancer Imaging Archive, doi:10.7937/K9/TCIA.2016.7O02S9CY.

Four tables, ``mass|calc_case_description_train|test_set.csv``, have one row for each **abnormality**: patient_id,
breast_density (``breast density`` in the calcification tables), left or right breast, image view, abnormality id,
abnormality type, assessment (BI-RADS), pathology (MALIGNANT, BENIGN, BENIGN_WITHOUT_CALLBACK), subtlety, image file
path, cropped image file path, ROI mask file path.

The archive's own patient id names a film (``Mass-Training_P_00001_LEFT_CC``), not a person: the person is
``patient_id``, and the same persons occur among masses and calcifications, in training and test. Paths in the tables
are those of 2017; the Data Retriever writes other folder and file names below ``CBIS-DDSM/<film>/`` and, for each
abnormality, ``CBIS-DDSM/<film>_<n>/``, which holds the crop and the mask in an order that differs from case to case.
So a film is found by its folder, and of the two images of an abnormality the larger one is the mask.

The JPEG edition has ``csv/`` (the tables and ``dicom_info.csv``, which names the series and what it shows) and
``jpeg/<series>/*.jpg``.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ml.contract import ImageError
from ml.data.collections import COLLECTIONS
from ml.data.pixels import dicom_size
from ml.data.readers.folders import find_top, not_this_layout
from ml.data.readers.shared import laterality
from ml.data.records import DataError, ImageRecord, assign_folds, raise_or_note, worst_label
from ml.data.tables import Row, read_table

TABLES = tuple(f"{kind}_case_description_{part}_set.csv" for kind in ("mass", "calc") for part in ("train", "test"))
_REQUIRED = (
    "patient_id",
    "left or right breast",
    "image view",
    "abnormality id",
    "pathology",
    "image file path",
    "ROI mask file path",
)
_LABELS = {"MALIGNANT": "malignant", "BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign"}
_FOLDER = re.compile(r"^(Mass|Calc)-(Training|Test)_P_\d+_(LEFT|RIGHT)_(CC|MLO)(_\d+)?$")

Finder = Callable[[str], list[Path]]
"""From a path of the tables to the image files that may be meant."""


def locate(folder: Path) -> Path | None:
    """The folder that holds the tables, or ``csv/`` with them."""
    return find_top(folder, lambda each: _tables(each) != [])


def read_cbis_ddsm(folder: Path, *, faults: list[DataError] | None = None) -> list[ImageRecord]:
    """Read the films of every table that is there. A film is malignant if one of its abnormalities is.

    Raises:
        DataError: ``unknown_layout``; a fault of a table; ``unknown_label``, ``missing_file``, ``missing_mask``
            (unless ``faults`` receives them).
    """
    top = locate(folder)
    if top is None:
        raise not_this_layout(folder, title="CBIS-DDSM", expected=COLLECTIONS["cbis-ddsm"].unpacked)
    tables = _tables(top)
    information = next(
        (each for each in (top / "csv" / "dicom_info.csv", top / "dicom_info.csv") if each.is_file()), None
    )
    find = _dicom_finder(top) if information is None else _jpeg_finder(top, information)
    films: dict[str, list[Row]] = defaultdict(list)
    for table in tables:
        for row in read_table(table, required=_REQUIRED):
            if row["pathology"].upper() in _LABELS:
                films[_film(row["image file path"])].append(row)
            else:
                error = row.error(
                    "unknown_label",
                    f"pathology {row['pathology']!r} is not one of {', '.join(_LABELS)}.",
                    remedy="Fetch the table again.",
                )
                raise_or_note(error, faults)
    patients: dict[str, list[str]] = defaultdict(list)
    for rows in films.values():
        patients[rows[0]["patient_id"]] += [_label(row) for row in rows]
    folds = assign_folds({patient: worst_label(labels) for patient, labels in patients.items()})
    records = []
    for film, rows in sorted(films.items()):
        found = find(rows[0]["image file path"])
        if not found:
            error = rows[0].error(
                "missing_file", f"no image of {film} was found below {top}.", remedy="Fetch its series again."
            )
            raise_or_note(error, faults)
            continue
        records.append(_record(film, rows, found[0], fold=folds[rows[0]["patient_id"]], find=find, faults=faults))
    return records


def _record(
    film: str, rows: list[Row], path: Path, *, fold: int, find: Finder, faults: list[DataError] | None
) -> ImageRecord:
    masks = []
    for row in rows:
        candidates = find(row["ROI mask file path"])
        if candidates:
            masks.append(max(candidates, key=_area))
        else:
            error = row.error(
                "missing_mask",
                f"no mask of abnormality {row['abnormality id']} of {film} was found.",
                remedy="Fetch its series again.",
            )
            raise_or_note(error, faults)
    first = rows[0]
    density = first.get("breast_density") or first.get("breast density")
    attributes = {
        "birads": "+".join(sorted({row.get("assessment") for row in rows} - {""})),
        "density": density,
        "side": first["left or right breast"].lower(),
        "view": first["image view"].upper(),
        "patient": first["patient_id"],
        "abnormalities": "+".join(sorted({row.get("abnormality type") for row in rows} - {""})),
        "official_split": "test" if "-Test_" in film else "train",
    }
    return ImageRecord(
        source="cbis-ddsm",
        path=path,
        label=worst_label(_label(row) for row in rows),
        group=first["patient_id"],
        fold=fold,
        mask=masks[0] if masks else None,
        more_masks=tuple(masks[1:]),
        attributes={name: value for name, value in attributes.items() if value},
        patient=first["patient_id"],
        laterality=laterality(first["left or right breast"]),
        view=first["image view"].upper(),
        name=film,
    )


def _tables(folder: Path) -> list[Path]:
    return [each for table in TABLES for each in (folder / table, folder / "csv" / table) if each.is_file()]


def _label(row: Row) -> str:
    return _LABELS[row["pathology"].upper()]


def _parts(path: str) -> list[str]:
    return [part for part in path.replace("\\", "/").strip().split("/") if part]


def _film(path: str) -> str:
    return _parts(path)[0] if _parts(path) else ""


def _dicom_finder(top: Path) -> Finder:
    """By the folder that names the film or the abnormality, wherever it lies below ``top``."""
    folders: dict[str, Path] = {}
    for place, below, _ in os.walk(top):
        named = [each for each in below if _FOLDER.match(each)]
        folders.update({each: Path(place) / each for each in named})
        # A case's own folders are looked into when it is asked for.
        below[:] = sorted(set(below) - set(named))

    def find(path: str) -> list[Path]:
        folder = folders.get(_film(path))
        return [] if folder is None else sorted(folder.rglob("*.dcm"))

    return find


def _jpeg_finder(top: Path, information: Path) -> Finder:
    """By the series, which is the folder before the file in a table's path."""
    jpeg = top / "jpeg"
    if not jpeg.is_dir():
        jpeg = information.parent.parent / "jpeg"
    shows: dict[str, list[Path]] = defaultdict(list)
    for row in read_table(information, required=("SeriesInstanceUID", "SeriesDescription", "image_path")):
        path = jpeg / "/".join(_parts(row["image_path"])[-2:])
        # A crop is never a film nor a mask; rows without a description are judged by their size.
        if row["SeriesDescription"].lower() != "cropped images" and path.is_file():
            shows[row["SeriesInstanceUID"]].append(path)

    def find(path: str) -> list[Path]:
        parts = _parts(path)
        return shows[parts[-2]] if len(parts) >= 2 else []

    return find


def _area(path: Path) -> int:
    """Pixels of an image, from its header; 0 where it cannot be read."""
    try:
        if path.suffix == ".dcm":
            height, width = dicom_size(path)
            return height * width
        with Image.open(path) as image:
            return image.width * image.height
    except (ImageError, OSError, UnidentifiedImageError):
        return 0
