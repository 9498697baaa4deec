"""What is wrong with a labelled collection: faults, copies, conflicts and leaks, with counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from ml.contract import LABELS
from ml.data.collections import modality_of
from ml.data.duplicates import BITS, Fingerprint, Pair, conflicting, crossing, find_pairs, fingerprints, nearness
from ml.data.pixels import lesion_mask, read_pixels
from ml.data.readers import read_folder
from ml.data.records import FOLDS, DataError, ImageRecord, class_weights, leaking_groups, summary
from ml.images import to_grey
from ml.segment import overlap

MEETING = 0.1
"""Marks of two copies whose Dice is below this are on different places: one frame with two lesions, each published
alone, or a mistake. No network can outline both."""

SHOWN = 10
"""Examples printed of each kind; the counts are always complete."""


@dataclass(frozen=True, slots=True)
class Report:
    """The findings on one or more folders that are used together.

    Attributes:
        records: what could be read.
        faults: rows and files that could not, each with its code, file, line and remedy.
        left_out: images that the reader leaves out on purpose, with the reason.
        repeated: names that occur twice.
        leaking: groups whose images lie in more than one fold.
        outside: records whose fold is not 0-4.
        unreadable: image files that cannot be decoded.
        pairs: copies among the records, by position; empty when the pixels were not looked at.
        elsewhere: those copies on which different places are marked as the finding; see :data:`MEETING`.
        looked: whether the pixels were looked at.
    """

    records: Sequence[ImageRecord]
    faults: Sequence[DataError] = ()
    left_out: Sequence[DataError] = ()
    repeated: Sequence[str] = ()
    leaking: Sequence[str] = ()
    outside: Sequence[str] = ()
    unreadable: Sequence[str] = ()
    pairs: Sequence[Pair] = field(default=())
    elsewhere: Sequence[Pair] = field(default=())
    looked: bool = True

    @property
    def leaks(self) -> bool:
        """A split by the folds would put one picture, lesion or patient on both sides."""
        return bool(self.leaking or crossing(self.records, self.pairs))

    @property
    def sound(self) -> bool:
        """Nothing has to be repaired before training."""
        return bool(self.records) and not (
            self.leaks
            or self.faults
            or self.repeated
            or self.outside
            or self.unreadable
            or conflicting(self.records, self.pairs)
        )


def check(
    folders: Sequence[Path],
    *,
    layout: str,
    look: bool = True,
    near: int | None = None,
    advance: Callable[[int], None] = lambda total: None,
) -> Report:
    """Read the folders, going on past every fault, and compare every image with every other of its modality.

    Args:
        folders: one a collection.
        layout: one of :data:`ml.data.readers.LAYOUTS`.
        look: decode the pixels; without, only tables, names and groups are judged.
        near: differing bits of the hash, 0-256, up to which two whole images count as one picture; by default what
            was measured for the modality, and the stricter limit for a collection that is no published one.
        advance: called with the number of images before the pixels are looked at, once for each.

    Raises:
        DataError: a folder cannot be read at all.
    """
    found: list[DataError] = []
    records = [record for folder in folders for record in read_folder(folder, layout=layout, faults=found)]
    prints, unreadable = (
        fingerprints([record.path for record in records], advance=lambda: advance(len(records))) if look else ([], [])
    )
    names = Counter(record.key for record in records)
    pairs = _pairs(records, prints, near=near) if look else []
    return Report(
        records=records,
        faults=[fault for fault in found if fault.code != "left_out"],
        left_out=[fault for fault in found if fault.code == "left_out"],
        repeated=[name for name, count in names.items() if count > 1],
        leaking=leaking_groups(records),
        outside=[record.key for record in records if not 0 <= record.fold < FOLDS],
        unreadable=unreadable,
        pairs=pairs,
        elsewhere=[pair for pair in pairs if _marked_elsewhere(records[pair.first], records[pair.second], pair)],
        looked=look,
    )


def _pairs(records: Sequence[ImageRecord], prints: Sequence[Fingerprint | None], *, near: int | None) -> list[Pair]:
    """Copies within each modality: an ultrasound image is never held against a mammogram."""
    modalities = [modality_of(record.source) for record in records]
    pairs = []
    for modality in sorted(set(modalities)):
        chosen = [each if its == modality else None for each, its in zip(prints, modalities, strict=True)]
        limits = nearness(modality)
        pairs += find_pairs(chosen, near=limits if near is None else replace(limits, whole=near))
    return pairs


def _marked_elsewhere(first: ImageRecord, second: ImageRecord, pair: Pair) -> bool:
    """Both copies show the frame alike and carry marks, on different places."""
    if pair.how not in ("exact", "whole") or not (first.marked and second.marked):
        return False
    height, width = to_grey(read_pixels(first.path)).shape
    masks = []
    for record in (first, second):
        own = to_grey(read_pixels(record.path)).shape
        mask = lesion_mask(record, height=own[0], width=own[1])
        masks.append(np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8))
    return all(mask.any() for mask in masks) and overlap(masks[0], masks[1])[0] < MEETING


def lines(report: Report) -> list[str]:
    """The report as a person reads it: counts first, then every kind of fault with examples."""
    told = [*_counts(report.records), *_masks(report.records)]
    told += _listed("faults in tables and files", [f"[{fault.code}] {fault}" for fault in report.faults])
    told += _listed("images left out by the reader", [str(fault) for fault in report.left_out])
    told += _listed("names that occur twice", report.repeated)
    told += _listed("images with a fold outside 0-4", report.outside)
    told += _listed("groups in more than one fold (leak)", report.leaking)
    if not report.looked:
        told.append("Pixels were not looked at: copies and unreadable images are unknown.")
        return told
    told += _listed("unreadable images", report.unreadable)
    exact = [pair for pair in report.pairs if pair.exact]
    near = [pair for pair in report.pairs if not pair.exact]
    told += _listed("pairs of identical files", _pair_lines(report.records, exact))
    told += _listed("pairs of nearly the same picture", _pair_lines(report.records, near))
    across = [pair for pair in report.pairs if not _same_group(report.records, pair)]
    told += _listed("pairs of copies in different groups", _pair_lines(report.records, across))
    told += _listed(
        "copies in different folds (leak)", _pair_lines(report.records, crossing(report.records, report.pairs))
    )
    conflicts = conflicting(report.records, report.pairs)
    told += _listed("copies with different labels (conflict)", _pair_lines(report.records, conflicts))
    told += _listed(
        "pairs of copies on which different lesions are marked", _pair_lines(report.records, report.elsewhere)
    )
    return told


def verdict(report: Report) -> str:
    """One sentence that ends the report."""
    if not report.records:
        return "No image could be read."
    if report.leaks:
        return "LEAK: a cross-validation on these folds would flatter. Keep every group and its copies in one fold."
    if not report.sound:
        return "No leak, but something has to be repaired: see above."
    return "Sound: no group or copy lies in two folds." if report.looked else "No group lies in two folds."


def _counts(records: Sequence[ImageRecord]) -> list[str]:
    told = []
    for source, counts in summary(records).items():
        own = [record for record in records if record.source == source]
        told.append(f"{source}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
        for fold in sorted({record.fold for record in own}):
            inside = Counter(record.label for record in own if record.fold == fold)
            groups = len({record.leak_group for record in own if record.fold == fold})
            by_label = ", ".join(f"{label} {inside[label]}" for label in LABELS)
            told.append(f"  fold {fold}: {by_label}, groups {groups}")
        weights = class_weights(record.label for record in own)
        told.append("  class weights: " + ", ".join(f"{label} {weight:.3f}" for label, weight in weights.items()))
    return told


def _masks(records: Sequence[ImageRecord]) -> list[str]:
    """Lesions without any mark, by source: no fault, but nothing to segment or point at."""
    told = []
    for source in sorted({record.source for record in records}):
        lesions = [record for record in records if record.source == source and record.label != "normal"]
        bare = [record for record in lesions if not record.marked]
        told.append(f"{source}: {len(lesions) - len(bare)} of {len(lesions)} images with a lesion mark where it is.")
    return told


def _same_group(records: Sequence[ImageRecord], pair: Pair) -> bool:
    return records[pair.first].leak_group == records[pair.second].leak_group


def _pair_lines(records: Sequence[ImageRecord], pairs: Sequence[Pair]) -> list[str]:
    return [
        f"{_place(records[pair.first])} and {_place(records[pair.second])}"
        f" ({'same bytes' if pair.exact else f'{pair.how}, {pair.bits} of {BITS} bits differ'})"
        for pair in pairs
    ]


def _place(record: ImageRecord) -> str:
    return f"{record.key} [{record.label}, fold {record.fold}]"


def _listed(title: str, items: Sequence[str]) -> list[str]:
    if not items:
        return [f"0 {title}."]
    rest = [f"  ... and {len(items) - SHOWN} more"] if len(items) > SHOWN else []
    return [f"{len(items)} {title}:", *(f"  {item}" for item in items[:SHOWN]), *rest]
