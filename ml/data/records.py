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
    """A collection cannot be read or would leak; the message says where and what to do.

    Attributes:
        code: stable name of what is wrong, such as ``missing_file``, ``unknown_label``, ``fold_conflict``.
        path: the file at fault, where there is one.
        line: its line, counted from 1 with the header as line 1, where the file is a table.
        remedy: what the person who runs the command can do; also the end of the message.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "data_invalid",
        path: Path | None = None,
        line: int | None = None,
        remedy: str = "",
    ) -> None:
        place = "" if path is None else f"{path}: " if line is None else f"{path}, line {line}: "
        super().__init__(f"{place}{message} {remedy}".strip())
        self.code = code
        self.path = path
        self.line = line
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Abnormality:
    """One finding that a collection locates by a circle, as mini-MIAS does.

    Attributes:
        kind: the collection's own class, such as ``CIRC`` (circumscribed mass) or ``CALC`` (calcification).
        label: ``benign`` or ``malignant``.
        row, column: centre in pixels of the image, counted from the **top** left; ``None`` where no place is given.
        radius: radius of the enclosing circle in pixels; ``None`` where no place is given.
    """

    kind: str
    label: str
    row: float | None = None
    column: float | None = None
    radius: float | None = None

    @property
    def located(self) -> bool:
        return self.row is not None and self.column is not None and self.radius is not None


@dataclass(frozen=True, slots=True)
class Outline:
    """One finding that a collection outlines by points, as INbreast and CDD-CESM do.

    Attributes:
        points: (column, row) pairs in pixels of the image, at least one; fewer than three mark single points.
        kind: the collection's own class, such as ``Mass``; empty where it says none.
    """

    points: tuple[tuple[float, float], ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One labelled image.

    Attributes:
        source: which collection, such as ``busi``.
        path: the image file; :func:`ml.data.pixels.read_pixels` reads every kind that a collection uses.
        label: one of :data:`ml.contract.LABELS`.
        group: images that must stay on the same side of a split (patient, or duplicates of a lesion).
        fold: the leak-safe fold, 0 to ``FOLDS - 1``.
        mask: the lesion mask (0 or 255, the image's size), where the collection has one as a file.
        attributes: whatever else the collection says, for subgroups: device, BI-RADS, axilla.
        more_masks: masks of further lesions in the same image; :func:`ml.data.pixels.lesion_mask` joins them all.
        abnormalities: findings located by a circle.
        outlines: findings outlined by points.
        patient: the patient, unique within the cohort; empty where the collection names none.
        laterality: ``L``, ``R`` or empty.
        view: ``CC``, ``MLO`` or empty.
        cohort: name shared by collections of the same patients (``cdd-cesm`` for both of its image kinds), so that a
            patient in two of them is one group; empty means the source alone.
        name: the image's name within its source where the file's stem is not unique; empty means the stem.
    """

    source: str
    path: Path
    label: str
    group: str
    fold: int
    mask: Path | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    more_masks: tuple[Path, ...] = ()
    abnormalities: tuple[Abnormality, ...] = ()
    outlines: tuple[Outline, ...] = ()
    patient: str = ""
    laterality: str = ""
    view: str = ""
    cohort: str = ""
    name: str = ""

    @property
    def key(self) -> str:
        """Name of the record that is the same on every machine, such as ``busi/benign-0000``."""
        return f"{self.source}/{self.name or self.path.stem}"

    @property
    def label_index(self) -> int:
        return LABELS.index(self.label)

    @property
    def marked(self) -> bool:
        """The collection says where in the image its finding is."""
        return bool(self.mask or self.outlines) or any(each.located for each in self.abnormalities)

    @property
    def leak_group(self) -> str:
        """The group's name, unique across collections of different patients."""
        return f"{self.cohort or self.source}:{self.group}"

    @property
    def exam(self) -> str:
        """The patient's name, unique across collections: what an exam-level fusion joins; the group where none is."""
        return f"{self.cohort or self.source}:{self.patient or self.group}"


def raise_or_note(error: DataError, faults: list[DataError] | None) -> None:
    """Stop at the first fault, or note it and go on where the caller collects them (``python -m ml data check``)."""
    if faults is None:
        raise error
    faults.append(error)


def assign_folds(groups: Mapping[str, str], *, folds: int = FOLDS) -> dict[str, int]:
    """Deal groups to folds, label by label, so that each fold holds about as many groups of each label.

    Deterministic: the order within a label is that of the SHA-256 of the group's name.

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


def worst_label(labels: Iterable[str]) -> str:
    """The label that a group counts as when groups are dealt to folds: malignant before benign before normal."""
    order = ("malignant", "benign", "normal")
    return min(labels, key=order.index)


def class_weights(labels: Iterable[str]) -> dict[str, float]:
    """Weight of each label that occurs, so that every label counts alike: n / (labels * n of the label).

    The same as scikit-learn's ``class_weight="balanced"`` (King and Zeng 2001). Weights average to 1 over the images.

    Args:
        labels: label of each image of the **training** part only.

    Raises:
        DataError: there are no labels.
    """
    counts = Counter(labels)
    if not counts:
        raise DataError("No labels to weigh.", code="no_images", remedy="Check that the training part holds images.")
    total = sum(counts.values())
    return {label: total / (len(counts) * counts[label]) for label in LABELS if counts[label]}


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
        raise DataError("No images were found.", code="no_images", remedy="Check the --data folders.")
    repeated = [key for key, count in Counter(record.key for record in records).items() if count > 1]
    if repeated:
        raise DataError(
            f"{len(repeated)} image names occur twice, such as {repeated[0]}.",
            code="repeated_image",
            remedy="Pass each folder once and name each image once.",
        )
    outside = [record.key for record in records if not 0 <= record.fold < FOLDS]
    if outside:
        raise DataError(
            f"{outside[0]} has a fold outside 0-{FOLDS - 1}.", code="bad_fold", remedy="Correct the fold column."
        )
    leaking = leaking_groups(records)
    if leaking:
        raise DataError(
            f"{len(leaking)} groups lie in more than one fold, such as {leaking[0]}: results would leak.",
            code="fold_conflict",
            remedy="Keep all images of a group in one fold.",
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
