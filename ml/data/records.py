"""One labelled image, and the leak-safe folds over many of them."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ml.contract import LABELS

FOLDS = 5


class DataError(Exception):
    """A collection cannot be read or would leak; the message says where and what to do."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One labelled image.

    Attributes:
        source: which collection, such as ``busi``.
        path: the image file.
        label: one of :data:`ml.contract.LABELS`.
        group: images that must stay on the same side of a split (patient, or duplicates of a lesion).
        fold: the leak-safe fold, 0 to ``FOLDS - 1``.
        mask: the lesion mask (0 or 255, the image's size), where the collection has one.
        attributes: whatever else the collection says, for subgroups: device, BI-RADS, axilla.
    """

    source: str
    path: Path
    label: str
    group: str
    fold: int
    mask: Path | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Name of the record that is the same on every machine, such as ``busi/benign-0000``."""
        return f"{self.source}/{self.path.stem}"

    @property
    def label_index(self) -> int:
        return LABELS.index(self.label)

    @property
    def leak_group(self) -> str:
        """The group's name, unique across collections."""
        return f"{self.source}:{self.group}"


def assign_folds(groups: Mapping[str, str], *, folds: int = FOLDS) -> dict[str, int]:
    """Deal groups to folds, label by label, so that each fold holds about as many groups of each label.

    Deterministic: the order within a label is that of the SHA-256 of the group's name, so a collection keeps its
    folds when images are added to other groups.

    Args:
        groups: label of each group.
        folds: number of folds.

    Returns:
        fold of each group, 0 to ``folds - 1``.
    """
    by_label: dict[str, list[str]] = defaultdict(list)
    for group, label in groups.items():
        by_label[label].append(group)
    dealt: dict[str, int] = {}
    for label in sorted(by_label):
        ordered = sorted(by_label[label], key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        # Each label starts where the last one stopped, so that the remainders do not all fall into fold 0.
        start = len(dealt)
        for position, group in enumerate(ordered, start=start):
            dealt[group] = position % folds
    return dealt


def leaking_groups(records: Iterable[ImageRecord]) -> list[str]:
    """Names of groups whose images lie in more than one fold; empty for a leak-safe collection."""
    folds: dict[str, set[int]] = defaultdict(set)
    for record in records:
        folds[record.leak_group].add(record.fold)
    return sorted(group for group, seen in folds.items() if len(seen) > 1)


def require_leak_safe(records: Sequence[ImageRecord]) -> None:
    """Stop before a split that would leak.

    Raises:
        DataError: no records, a repeated key, a fold out of range, or a group in more than one fold.
    """
    if not records:
        raise DataError("No images were found. Check the --data folders.")
    repeated = [key for key, count in Counter(record.key for record in records).items() if count > 1]
    if repeated:
        raise DataError(f"{len(repeated)} image names occur twice, such as {repeated[0]}. Pass each folder once.")
    outside = [record.key for record in records if not 0 <= record.fold < FOLDS]
    if outside:
        raise DataError(f"{outside[0]} has a fold outside 0-{FOLDS - 1}. Correct the fold column.")
    leaking = leaking_groups(records)
    if leaking:
        raise DataError(
            f"{len(leaking)} groups lie in more than one fold, such as {leaking[0]}: results would leak. "
            "Keep all images of a group in one fold."
        )


def summary(records: Iterable[ImageRecord]) -> dict[str, dict[str, int]]:
    """Images by source and label, with the number of groups under the key ``groups``."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    groups: dict[str, set[str]] = defaultdict(set)
    for record in records:
        counts[record.source][record.label] += 1
        groups[record.source].add(record.group)
    return {
        source: {**{label: counts[source][label] for label in LABELS}, "groups": len(groups[source])}
        for source in sorted(counts)
    }
