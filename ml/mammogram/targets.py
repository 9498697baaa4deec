"""What the detector is taught, cell by cell: lesion, tissue, or no statement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.contract import ImageError
from ml.data.records import ImageRecord
from ml.images import read_image, to_grey
from ml.mammogram.film import CANVAS, Film, cell_share

LEAST_RADIUS = 12.0
"""Canvas pixels. A smaller circle of mini-MIAS is drawn this large: it would fill no cell of 16 pixels otherwise."""

_LESION_SHARE, _TISSUE_SHARE = 0.5, 0.05


class Cell(IntEnum):
    """What a cell is said to hold."""

    IGNORED = 0
    TISSUE = 1
    BENIGN = 2
    MALIGNANT = 3


@dataclass(frozen=True, slots=True)
class Lesion:
    """One lesion on the canvas.

    Attributes:
        label: ``benign`` or ``malignant``.
        mask: bool ``CANVAS``, at least one pixel.
        row, column: its centre, canvas pixels.
        kind: the collection's own class, such as ``CALC``.
    """

    label: str
    mask: NDArray[np.bool_]
    row: float
    column: float
    kind: str = ""


@dataclass(frozen=True, slots=True)
class TaughtFilm:
    """A film with what is known about it.

    Attributes:
        record: where it comes from.
        film: on its canvas.
        lesions: those with a place; of a CDD-CESM film the most compact component of the mask alone.
        unclear: bool ``CANVAS``: findings that are neither taught nor counted, such as thin arcs along the skin.
        unplaced: the film has a finding whose place nobody gave: no cell of it is taught.
    """

    record: ImageRecord
    film: Film
    lesions: tuple[Lesion, ...]
    unclear: NDArray[np.bool_]
    unplaced: bool


def read_taught_film(record: ImageRecord) -> TaughtFilm:
    """Read a film with its lesions.

    Raises:
        ImageError: the file cannot be read, or no breast is found on it.
    """
    film = Film.prepare(to_grey(read_image(record.path)))
    if film is None:
        raise ImageError(f"No breast was found on {record.path.name}. Remove it from the collection.")
    lesions: list[Lesion] = []
    unclear = np.zeros(CANVAS, bool)
    unplaced = False
    for finding in record.abnormalities:
        if finding.row is None or finding.column is None or finding.radius is None:
            unplaced = True
            continue
        row, column = film.to_canvas(finding.row + 0.5, finding.column + 0.5)
        radius = max(LEAST_RADIUS, finding.radius * (film.row_scale + film.column_scale) / 2)
        lesions.append(Lesion(finding.label, _disc(row, column, radius), row, column, finding.kind))
    if record.mask is not None:
        main, rest = most_compact(film.place(to_grey(read_image(record.mask))) > 127)
        unclear |= rest
        if main.any():
            row, column = (float(place.mean()) + 0.5 for place in np.nonzero(main))
            lesions.append(Lesion(record.label, main, row, column))
    if not lesions and record.label != "normal":
        unplaced = True
    return TaughtFilm(record=record, film=film, lesions=tuple(lesions), unclear=unclear, unplaced=unplaced)


def most_compact(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Split a mask into the component that holds the largest circle, and the rest.

    The hand-drawn masks of CDD-CESM have components that are thin arcs along the skin: large by area, but no lesion.
    """
    count, parts = cv2.connectedComponents(mask.astype(np.uint8))
    if count < 2:
        return mask, np.zeros_like(mask)
    # The border counts as background: a component that is cut by it does not look wider than it is.
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    deepest = np.zeros(count)
    np.maximum.at(deepest, np.asarray(parts.ravel(), np.intp), depth.ravel())
    main = parts == 1 + int(deepest[1:].argmax())
    return main, mask & ~main


def cell_targets(taught: TaughtFilm) -> NDArray[np.uint8]:
    """:class:`Cell` of each cell, uint8 ``GRID``.

    A cell is lesion when at least half of it is, tissue when at most a twentieth is and at least half of it is breast;
    on the rim in between nothing is said. Muscle is tissue: the detector learns that it is none of its business.
    """
    return targets_of(
        breast=taught.film.breast,
        benign=_joined(taught.lesions, "benign"),
        malignant=_joined(taught.lesions, "malignant"),
        unclear=np.ones(CANVAS, bool) if taught.unplaced else taught.unclear,
    )


def targets_of(
    *,
    breast: NDArray[np.bool_],
    benign: NDArray[np.bool_],
    malignant: NDArray[np.bool_],
    unclear: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """:func:`cell_targets` from masks, bool ``CANVAS``; where a benign and a malignant lesion overlap, malignant."""
    benign_share, malignant_share = cell_share(benign), cell_share(malignant)
    cells = np.full(benign_share.shape, Cell.IGNORED, np.uint8)
    quiet = (cell_share(benign | malignant) <= _TISSUE_SHARE) & (cell_share(unclear) <= _TISSUE_SHARE)
    cells[quiet & (cell_share(breast) >= 0.5)] = Cell.TISSUE
    cells[benign_share >= _LESION_SHARE] = Cell.BENIGN
    cells[malignant_share >= _LESION_SHARE] = Cell.MALIGNANT
    return cells


def _joined(lesions: tuple[Lesion, ...], label: str) -> NDArray[np.bool_]:
    joined = np.zeros(CANVAS, bool)
    for lesion in lesions:
        if lesion.label == label:
            joined |= lesion.mask
    return joined


def _disc(row: float, column: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.arange(CANVAS[0]) + 0.5, np.arange(CANVAS[1]) + 0.5
    inside = (rows[:, None] - row) ** 2 + (columns[None] - column) ** 2 <= radius**2
    if not inside.any():
        # A centre outside the breast's box: the nearest pixel stands for it.
        inside[min(max(int(row), 0), CANVAS[0] - 1), min(max(int(column), 0), CANVAS[1] - 1)] = True
    return np.asarray(inside)
