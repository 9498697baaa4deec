"""CDD-CESM in its publisher's layout: low-energy and subtracted images of the same patients, two collections.

Khaled R, Helal M, Alfarghaly O, et al. Categorized contrast enhanced mammography dataset for diagnostic and artificial
intelligence research. Scientific Data 9:122 (2022); The Cancer Imaging Archive, doi:10.7937/29kw-ae92.

``Radiology-manual-annotations.xlsx``, sheet ``all``, has one row an image: Image_name (``P1_L_CM_MLO``: CM is
subtracted, DM low-energy), Patient_ID, Side, Type (DM or CESM), Age, Breast density (ACR), BIRADS (several joined by
``$``), Findings, View, Tags, Machine, Pathology Classification/ Follow up. The JPEG images lie in ``Low
energy images of CDD-CESM/`` and ``Subtracted images of CDD-CESM/``. ``Radiology_hand_drawn_segmentations_v2.csv`` is
an export of the VGG Image Annotator: ``#filename`` and ``region_shape_attributes`` (JSON: polygon, polyline, ellipse,
circle, point).
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml.contract import LABELS
from ml.data.collections import COLLECTIONS
from ml.data.readers.folders import files_below, find_top, not_this_layout
from ml.data.readers.shared import ABSENT, laterality
from ml.data.records import DataError, ImageRecord, Outline, assign_folds, raise_or_note, worst_label
from ml.data.sheets import read_sheet
from ml.data.tables import Row, read_table

SUBTRACTED = "cdd-cesm"
LOW_ENERGY = "cdd-cesm-low-energy"

_TABLE = "Radiology-manual-annotations"
_REGIONS = "Radiology_hand_drawn_segmentations_v2.csv"
_PATHOLOGY = "Pathology Classification/ Follow up"
_REQUIRED = ("Image_name", "Patient_ID", "Side", "Type", "View", _PATHOLOGY)
_TYPE = {LOW_ENERGY: ("DM",), SUBTRACTED: ("CESM", "CM")}
_ATTRIBUTES = {
    "side": "Side",
    "view": "View",
    "birads": "BIRADS",
    "density": "Breast density (ACR)",
    "age": "Age",
    "findings": "Findings",
    "device": "Machine",
}
_ARC_STEPS = 64
"""Points by which an ellipse or circle is drawn."""


def locate(folder: Path) -> Path | None:
    """The folder that holds the table of annotations."""
    return find_top(folder, lambda each: _table(each) is not None)


def read_subtracted(folder: Path, *, faults: list[DataError] | None = None) -> list[ImageRecord]:
    """The subtracted (contrast-enhanced) images; see :func:`read_kind`."""
    return read_kind(folder, source=SUBTRACTED, faults=faults)


def read_low_energy(folder: Path, *, faults: list[DataError] | None = None) -> list[ImageRecord]:
    """The low-energy images, which read like ordinary mammograms; see :func:`read_kind`."""
    return read_kind(folder, source=LOW_ENERGY, faults=faults)


def read_kind(folder: Path, *, source: str, faults: list[DataError] | None = None) -> list[ImageRecord]:
    """Read the images of one kind. All images of a patient, of both kinds, lie in one fold.

    Args:
        folder: holds the table, the outlines and the images.
        source: ``cdd-cesm`` (subtracted) or ``cdd-cesm-low-energy``.
        faults: receives what is wrong with single rows; by default the first fault is raised.

    Raises:
        DataError: ``unknown_layout``; a fault of a table; ``unknown_label``, ``label_conflict``, ``missing_file``,
            ``bad_outline``.
    """
    top = locate(folder)
    table = None if top is None else _table(top)
    if top is None or table is None:
        raise not_this_layout(folder, title="CDD-CESM", expected=COLLECTIONS[source].unpacked)
    if table.suffix == ".csv":
        rows = read_table(table, required=_REQUIRED)
    else:
        rows = read_sheet(table, required=_REQUIRED, sheet="all")
    images = files_below(top, suffix=".jpg")
    outlines = _outlines(top, faults)
    patients: dict[str, list[str]] = defaultdict(list)
    kept: dict[str, Row] = {}
    for row in rows:
        fault = _fault(row, kept.get(row["Image_name"]))
        if fault is not None:
            raise_or_note(fault, faults)
            continue
        # Both kinds count when folds are dealt, so that a patient has the same fold in both.
        patients[_patient(row)].append(row[_PATHOLOGY].lower())
        if row["Type"].upper() in _TYPE[source]:
            kept.setdefault(row["Image_name"], row)
    folds = assign_folds({patient: worst_label(labels) for patient, labels in patients.items()})
    records = []
    for name, row in sorted(kept.items()):
        path = images.get(f"{name}.jpg")
        if path is None:
            error = row.error(
                "missing_file", f"{name}.jpg does not exist below {top}.", remedy="Fetch the images of this kind."
            )
            raise_or_note(error, faults)
            continue
        records.append(
            ImageRecord(
                source=source,
                path=path,
                label=row[_PATHOLOGY].lower(),
                group=_patient(row),
                fold=folds[_patient(row)],
                attributes={"patient": _patient(row)}
                | {each: row.get(column) for each, column in _ATTRIBUTES.items() if row.get(column) not in ABSENT},
                outlines=outlines.get(path.name, ()),
                patient=_patient(row),
                laterality=laterality(row["Side"]),
                view=row["View"].upper(),
                cohort=SUBTRACTED,
            )
        )
    return records


def _table(folder: Path) -> Path | None:
    return next((each for each in (folder / f"{_TABLE}.csv", folder / f"{_TABLE}.xlsx") if each.is_file()), None)


def _patient(row: Row) -> str:
    return f"P{row['Patient_ID'].removeprefix('P')}"


def _fault(row: Row, earlier: Row | None) -> DataError | None:
    if row[_PATHOLOGY].lower() not in LABELS:
        return row.error(
            "unknown_label",
            f"pathology {row[_PATHOLOGY]!r} of {row['Image_name']} is not one of {', '.join(LABELS)}.",
            remedy="Fetch the table again.",
        )
    if earlier is not None and earlier[_PATHOLOGY] != row[_PATHOLOGY]:
        return row.error(
            "label_conflict",
            f"{row['Image_name']} is {row[_PATHOLOGY]} here and {earlier[_PATHOLOGY]} in line {earlier.line}.",
            remedy="Keep the row that is right.",
        )
    return None


def _outlines(top: Path, faults: list[DataError] | None) -> Mapping[str, tuple[Outline, ...]]:
    """Outlines by the image's file name; none where the export is not there."""
    found: dict[str, list[Outline]] = defaultdict(list)
    table = find_top(top, lambda each: (each / _REGIONS).is_file())
    if table is None:
        return {}
    for row in read_table(table / _REGIONS, required=("#filename", "region_shape_attributes"), delimiters=","):
        try:
            points = _points(json.loads(row["region_shape_attributes"] or "{}"))
        except (ValueError, KeyError, TypeError) as error:
            fault = row.error(
                "bad_outline", f"the outline of {row['#filename']} cannot be read.", remedy="Fetch the file again."
            )
            if faults is None:
                raise fault from error
            faults.append(fault)
            continue
        if points:
            found[row["#filename"]].append(Outline(points=points))
    return {name: tuple(each) for name, each in found.items()}


def _points(shape: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    """(column, row) pairs of one region of the VGG Image Annotator; empty for a row without a region.

    Raises:
        ValueError, KeyError, TypeError: the region is none that the annotator draws.
    """
    kind = shape.get("name")
    if kind is None:
        return ()
    if kind in ("polygon", "polyline"):
        columns, rows = shape["all_points_x"], shape["all_points_y"]
        return tuple((float(column), float(row)) for column, row in zip(columns, rows, strict=True))
    if kind == "rect":
        left, top, width, height = (float(shape[name]) for name in ("x", "y", "width", "height"))
        return (left, top), (left + width, top), (left + width, top + height), (left, top + height)
    column, row = float(shape["cx"]), float(shape["cy"])
    if kind == "point":
        return ((column, row),)
    if kind == "circle":
        return _arc(column, row, across=float(shape["r"]), down=float(shape["r"]), turn=0.0)
    if kind == "ellipse":
        turn = float(shape.get("theta", 0.0))
        return _arc(column, row, across=float(shape["rx"]), down=float(shape["ry"]), turn=turn)
    raise ValueError(f"{kind} is no shape of the annotator")


def _arc(column: float, row: float, *, across: float, down: float, turn: float) -> tuple[tuple[float, float], ...]:
    """An ellipse about a centre; ``turn`` in radians, clockwise as seen."""
    angles = [2 * math.pi * step / _ARC_STEPS for step in range(_ARC_STEPS)]
    return tuple(
        (
            column + across * math.cos(angle) * math.cos(turn) - down * math.sin(angle) * math.sin(turn),
            row + across * math.cos(angle) * math.sin(turn) + down * math.sin(angle) * math.cos(turn),
        )
        for angle in angles
    )
