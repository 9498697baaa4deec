"""From the score map to marks and the film's score. NumPy and OpenCV only."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.mammogram.film import CELL

MOST_MARKS = 8
"""Marks kept of one film, strongest first."""

APART = 4.0
"""Cells (17 mm on mini-MIAS) that two marks lie apart at least; nearer ones are one finding."""

_LEAST_RADIUS, _MOST_RADIUS = 1.5, 6.0
"""Cells. A mark is drawn neither smaller than the network resolves nor larger than a quarter of a breast."""

_NO_TISSUE = np.float32(-1e4)


@dataclass(frozen=True, slots=True)
class Spot:
    """A local maximum of the score map.

    Attributes:
        row, column: canvas pixels.
        radius: canvas pixels.
        finding: smoothed logit of a lesion, not calibrated.
        malignant: smoothed logit of malignancy given a lesion, not calibrated.
    """

    row: float
    column: float
    radius: float
    finding: float
    malignant: float


def smoothed(scores: NDArray[np.float32], tissue: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mean of each cell and its eight neighbours, tissue alone: what a patch classifier says when it is slid over.

    Args:
        scores: logits, float32 (h, w, 2).
        tissue: bool (h, w).

    Returns:
        float32 (h, w, 2); very low where there is no tissue.
    """
    weight = np.asarray(cv2.blur(tissue.astype(np.float32), (3, 3), borderType=cv2.BORDER_CONSTANT), np.float32)
    planes = []
    for channel in range(scores.shape[2]):
        plane = np.where(tissue, scores[..., channel], np.float32(0)).astype(np.float32)
        mean = np.asarray(cv2.blur(plane, (3, 3), borderType=cv2.BORDER_CONSTANT), np.float32)
        planes.append(np.where(tissue, mean / np.maximum(weight, np.float32(1 / 9)), _NO_TISSUE))
    return np.stack(planes, axis=-1).astype(np.float32)


def find_spots(scores: NDArray[np.float32], tissue: NDArray[np.bool_], *, most: int = MOST_MARKS) -> tuple[Spot, ...]:
    """The strongest places of a film.

    Args:
        scores: logits, float32 (h, w, 2).
        tissue: cells that may be marked, bool (h, w).
        most: spots returned at most.

    Returns:
        spots in falling order of ``finding``, ``APART`` cells from each other at least; none without tissue.
    """
    smooth = smoothed(scores, tissue)
    finding = np.where(tissue, smooth[..., 0], -np.inf)
    rows, columns = np.indices(finding.shape)
    spots: list[Spot] = []
    while len(spots) < most:
        row, column = (int(place) for place in np.unravel_index(int(finding.argmax()), finding.shape))
        if not np.isfinite(finding[row, column]):
            break
        spots.append(
            Spot(
                row=(row + 0.5) * CELL,
                column=(column + 0.5) * CELL,
                radius=_radius(smooth[..., 0], tissue, row, column) * CELL,
                finding=float(smooth[row, column, 0]),
                malignant=float(smooth[row, column, 1]),
            )
        )
        finding[(rows - row) ** 2 + (columns - column) ** 2 < APART**2] = -np.inf
    return tuple(spots)


def _radius(finding: NDArray[np.float32], tissue: NDArray[np.bool_], row: int, column: int) -> float:
    """Radius, in cells, of the disc as large as the region round a peak whose odds stay above half the peak's."""
    peak = finding[row, column]
    # What is stronger than the peak belongs to another spot.
    above = (tissue & (finding >= peak - np.log(2)) & (finding <= peak)).astype(np.uint8)
    _, parts = cv2.connectedComponents(above, connectivity=4)
    area = float((parts == parts[row, column]).sum())
    return min(max((area / np.pi) ** 0.5, _LEAST_RADIUS), _MOST_RADIUS)
