"""More passes than serving takes, of the fold networks over their held-out images: the material of trials.

Kept beside the run, so that an idea is judged in seconds once the passes are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ml.data.pixels import lesion_mask as true_lesion
from ml.data.records import FOLDS, ImageRecord
from ml.images import read_image, to_grey
from ml.looks.closeup import CloseUp, box_of
from ml.looks.evidence import lesion_evidence, outline_features
from ml.looks.folds import FoldNetworks
from ml.looks.reading import FirstLook, LookForward, Reading, first_look
from ml.segment import lesion_mask, overlap
from ml.storage import read_arrays, write_arrays

PASSES = ("whole", "close", "whole mirrored", "close mirrored", "closer", "wider", "again")
"""The two that are served; both mirrored; the square a quarter smaller and 1.4 times as large; and a square round the
outline that both looks made."""

CLOSER, WIDER = 0.75, 1.4

OUTLINES = ("served", "mirrored", "again")
"""How an outline is made: of both looks; of both looks and their mirrored ones; of the whole look and the third."""

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)

FILE = "passes.npz"
_CHUNK = 64


@dataclass(frozen=True, slots=True)
class Passes:
    """Every pass over every image, by the network that never saw it. Rows are in the order of the records.

    Attributes:
        logits: float32 (N, passes, 6): of the whole head, then of the close one; see :data:`PASSES`.
        evidence: (N, 12), see :func:`ml.looks.evidence.lesion_evidence`.
        outline: (N, 76), see :func:`ml.looks.evidence.outline_features`.
        dice: (N, outlines, thresholds), NaN where there is no true lesion; see :data:`OUTLINES`, :data:`THRESHOLDS`.
        area: (N, outlines, thresholds), share of the image inside the outline.
    """

    logits: NDArray[np.float32]
    evidence: NDArray[np.float64]
    outline: NDArray[np.float64]
    dice: NDArray[np.float64]
    area: NDArray[np.float64]


def collect_passes(networks: FoldNetworks, records: Sequence[ImageRecord]) -> Passes:
    """Run what is missing, fold by fold, and read the rest from ``fold-<k>/passes.npz`` of the run.

    Args:
        networks: of the run.
        records: its images, in order.
    """
    parts = []
    for fold in range(FOLDS):
        path = networks.run / f"fold-{fold}" / FILE
        index = np.array([place for place, record in enumerate(records) if record.fold == fold], dtype=np.intp)
        if not path.is_file():
            rows = []
            for start in tqdm(range(0, len(index), _CHUNK), desc=f"fold-{fold}: passes"):
                rows += _rows(networks, fold, [records[place] for place in index[start : start + _CHUNK]])
            write_arrays(path, {"index": index, **{name: np.stack([row[name] for row in rows]) for name in rows[0]}})
        parts.append(read_arrays(path))
    order = np.argsort(np.concatenate([part["index"] for part in parts]))
    names = [entry.name for entry in fields(Passes)]
    return Passes(**{name: np.concatenate([part[name] for part in parts])[order] for name in names})


def _rows(networks: FoldNetworks, fold: int, records: Sequence[ImageRecord]) -> list[dict[str, NDArray[np.floating]]]:
    greys = [to_grey(read_image(record.path)) for record in records]
    side = networks.recipe.side

    def close(squares: Sequence[CloseUp], *, mirrored: bool = False) -> list[LookForward]:
        canvases = [square.place(grey, side=side) for square, grey in zip(squares, greys, strict=True)]
        return networks.forward(fold, [_mirrored(canvas) if mirrored else canvas for canvas in canvases])

    readings = networks.read(fold, greys)
    firsts = [reading.first for reading in readings]
    squares = [first.square for first in firsts]
    whole_mirrored = networks.forward(
        fold, [_mirrored(first.letterbox.place(grey)) for first, grey in zip(firsts, greys, strict=True)]
    )
    close_mirrored = close(squares, mirrored=True)
    closer = close([_scaled(square, CLOSER) for square in squares])
    wider = close([_scaled(square, WIDER) for square in squares])
    again_at = [_square_again(reading) for reading in readings]
    again = close(again_at)
    rows = []
    for place, (record, grey, reading) in enumerate(zip(records, greys, readings, strict=True)):
        forwards = (
            reading.first.forward,
            reading.second,
            *(each[place] for each in (whole_mirrored, close_mirrored, closer, wider, again)),
        )
        outlines = (
            reading,
            Reading(
                first=_with_mask(reading.first, whole_mirrored[place]),
                second=replace(reading.second, mask=_mean_mask(reading.second, close_mirrored[place])),
            ),
            Reading(first=replace(reading.first, square=again_at[place]), second=again[place]),
        )
        dice, area = _agreement(outlines, true_lesion(record, height=grey.shape[0], width=grey.shape[1]))
        row: dict[str, NDArray[np.floating]] = {
            "logits": np.stack([each.logits for each in forwards]),
            "evidence": lesion_evidence(reading),
            "outline": outline_features(grey, reading),
            "dice": dice,
            "area": area,
        }
        rows.append(row)
    return rows


def _agreement(outlines: Sequence[Reading], true: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    dice = np.full((len(OUTLINES), len(THRESHOLDS)), np.nan)
    area = np.zeros_like(dice)
    for way, reading in enumerate(outlines):
        probability = reading.lesion_probability()
        for place, threshold in enumerate(THRESHOLDS):
            found = lesion_mask(probability, threshold=threshold)
            area[way, place] = (found > 0).mean()
            if true.any():
                dice[way, place], _ = overlap(found, true)
    return dice, area


def _mirrored(canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(canvas[:, ::-1])


def _scaled(square: CloseUp, factor: float) -> CloseUp:
    centre = square.top + square.size / 2, square.left + square.size / 2
    return CloseUp.centred(row=centre[0], column=centre[1], size=square.size * factor)


def _square_again(reading: Reading) -> CloseUp:
    """Round the outline of both looks; where there is none, the square stays."""
    box = box_of(lesion_mask(reading.lesion_probability()) > 0)
    letterbox = reading.first.letterbox
    if box is None:
        return reading.first.square
    return CloseUp.round_box(box, height=letterbox.height, width=letterbox.width)


def _mean_mask(forward: LookForward, mirrored: LookForward) -> NDArray[np.float32]:
    """Mean of a look's mask logits and its mirrored look's, turned back."""
    return np.asarray((forward.mask + mirrored.mask[:, ::-1]) / np.float32(2), np.float32)


def _with_mask(first: FirstLook, mirrored: LookForward) -> FirstLook:
    """The first look with the mean mask; the square stays where it was."""
    averaged = first_look(first.letterbox, replace(first.forward, mask=_mean_mask(first.forward, mirrored)))
    return replace(averaged, square=first.square)
