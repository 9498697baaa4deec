"""BrEaST (Breast-Lesions-USG) in its publisher's layout.

Pawłowska A, Ćwierz-Pieńkowska A, Domalik A, et al. Curated benchmark dataset for ultrasound based breast lesion
analysis. Scientific Data 11:148 (2024); The Cancer Imaging Archive, doi:10.7937/9WKK-Q141. The archive publishes
``BrEaST-Lesions-USG-clinical-data-*.xlsx`` (one row a case: CaseID, Image_filename, Mask_tumor_filename,
Mask_other_filename, Pixel_size, Age, Tissue_composition ... BIRADS, Verification, Diagnosis, Classification) and
``BrEaST-Lesions_USG-images_and_masks/`` with ``case001.png``, ``case001_tumor.png``, ``case001_other1.png``. 256
images of 256 patients: 154 benign, 98 malignant, 4 normal.
"""

from __future__ import annotations

import re
from pathlib import Path

from ml.contract import LABELS
from ml.data.collections import COLLECTIONS
from ml.data.readers.folders import files_below, find_top, not_this_layout
from ml.data.records import DataError, ImageRecord, assign_folds, raise_or_note
from ml.data.sheets import read_sheet
from ml.data.tables import Row, read_table

_REQUIRED = ("CaseID", "Image_filename", "Mask_tumor_filename", "Classification")
_SHEET = "BrEaST-Lesions-USG clinical dat"
"""Excel cuts a sheet's name at 31 characters."""
_ATTRIBUTES = {
    "birads": "BIRADS",
    "age": "Age",
    "density": "Tissue_composition",
    "pixel_size": "Pixel_size",
    "histology": "Diagnosis",
    "verification": "Verification",
}
_ABSENT = ("", "not available", "not applicable")


def locate(folder: Path) -> Path | None:
    """The folder that holds the clinical table."""
    return find_top(folder, lambda each: _table(each) is not None)


def read_breast(folder: Path, *, faults: list[DataError] | None = None) -> list[ImageRecord]:
    """Read BrEaST; a CSV copy of the table is preferred to the workbook. Each case is a patient.

    Raises:
        DataError: ``unknown_layout``; a fault of the table; ``unknown_label``, ``missing_file``, ``missing_mask``
            (unless ``faults`` receives them).
    """
    top = locate(folder)
    table = None if top is None else _table(top)
    if top is None or table is None:
        raise not_this_layout(folder, title="BrEaST", expected=COLLECTIONS["breast"].unpacked)
    files = files_below(top, suffix=".png")
    if table.suffix == ".csv":
        rows = read_table(table, required=_REQUIRED)
    else:
        rows = read_sheet(table, required=_REQUIRED, sheet=_SHEET)
    kept = [row for row in rows if _usable(row, files, faults)]
    folds = assign_folds({row["CaseID"]: row["Classification"].lower() for row in kept})
    records = []
    for row in kept:
        masks = _masks(row, files, faults)
        records.append(
            ImageRecord(
                source="breast",
                path=files[row["Image_filename"]],
                label=row["Classification"].lower(),
                group=row["CaseID"],
                fold=folds[row["CaseID"]],
                mask=masks[0] if masks else None,
                more_masks=masks[1:],
                attributes={
                    name: row.get(column)
                    for name, column in _ATTRIBUTES.items()
                    if row.get(column).lower() not in _ABSENT
                },
                patient=row["CaseID"],
            )
        )
    return records


def _table(folder: Path) -> Path | None:
    if not folder.is_dir():
        return None
    for suffix in (".csv", ".xlsx"):
        found = sorted(folder.glob(f"BrEaST-Lesions-USG-clinical-data*{suffix}"))
        if found:
            return found[-1]
    return None


def _usable(row: Row, files: dict[str, Path], faults: list[DataError] | None) -> bool:
    if row["Classification"].lower() not in LABELS:
        error = row.error(
            "unknown_label",
            f"classification {row['Classification']!r} of case {row['CaseID']} is not one of {', '.join(LABELS)}.",
            remedy="Restore the table from the archive.",
        )
    elif row["Image_filename"] not in files:
        error = row.error(
            "missing_file", f"{row['Image_filename']} does not exist.", remedy="Unpack the images beside the table."
        )
    else:
        return True
    raise_or_note(error, faults)
    return False


def _masks(row: Row, files: dict[str, Path], faults: list[DataError] | None) -> tuple[Path, ...]:
    """The tumour masks; a case with several names them with ``&`` between."""
    found = []
    for name in filter(None, re.split(r"\s*[&;,]\s*", row["Mask_tumor_filename"])):
        if name in files:
            found.append(files[name])
        elif name.lower() not in _ABSENT:
            error = row.error("missing_mask", f"{name} does not exist.", remedy="Unpack the images again.")
            raise_or_note(error, faults)
    return tuple(found)
