"""The table of logits that a training run leaves behind: of images that their model never saw."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.contract import LABELS
from ml.data.records import ImageRecord

_COLUMNS = ("key", "source", "label", "group", "fold", "model")


@dataclass(frozen=True, slots=True)
class LogitTable:
    """Raw logits of images that their model never saw.

    Attributes:
        keys, sources, groups, models: names (N,).
        labels: (N,) indices.
        folds: (N,).
        logits: (N, L, 3), one row for each look (or member of an ensemble); NaN where an image lacks one.
        looks: names of the looks (L,); the first is there for every image.
    """

    keys: tuple[str, ...]
    sources: tuple[str, ...]
    groups: tuple[str, ...]
    models: tuple[str, ...]
    labels: NDArray[np.intp]
    folds: NDArray[np.intp]
    logits: NDArray[np.float64]
    looks: tuple[str, ...] = ("whole",)

    def __post_init__(self) -> None:
        if self.logits.shape != (len(self.keys), len(self.looks), len(LABELS)):
            raise ValueError(
                f"Logits of shape {self.logits.shape} are not those of {len(self.keys)} images, "
                f"{len(self.looks)} looks and {len(LABELS)} labels."
            )
        if not np.isfinite(self.logits[:, 0]).all():
            raise ValueError(f"An image has no number for each logit of the look {self.looks[0]!r}.")

    @classmethod
    def read(cls, path: Path) -> LogitTable:
        """Read a table with the columns key, source, label, group, fold, model, [look,] logit_benign, ...

        An image (of one model) has a row for each look; a table without the column has one look. The look of the
        table's first row is the first look.

        Raises:
            ValueError: a column is missing, a look occurs twice for an image, an image lacks the first look, or its
                rows disagree about label, fold or group. The message names the file.
        """
        with path.open(newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle)
            rows = list(reader)
        wanted = (*_COLUMNS, *(f"logit_{label}" for label in LABELS))
        missing = [name for name in wanted if name not in (reader.fieldnames or ())]
        if missing or not rows:
            raise ValueError(f"{path} has no {f'column {missing[0]}' if missing else 'rows'}. Run the training again.")
        looks = tuple(dict.fromkeys(row.get("look") or "whole" for row in rows))
        place: dict[tuple[str, str], tuple[int, dict[str, str]]] = {}
        for row in rows:
            place.setdefault((row["model"], row["key"]), (len(place), row))
        logits = np.full((len(place), len(looks), len(LABELS)), np.nan)
        for row in rows:
            index, first = place[row["model"], row["key"]]
            look = looks.index(row.get("look") or "whole")
            if any(row[name] != first[name] for name in _COLUMNS) or not np.isnan(logits[index, look]).all():
                raise ValueError(f"{path}: the rows of {row['key']} contradict or repeat each other.")
            logits[index, look] = [float(row[f"logit_{label}"]) for label in LABELS]
        firsts = [row for _, row in place.values()]
        try:
            return cls(
                keys=tuple(row["key"] for row in firsts),
                sources=tuple(row["source"] for row in firsts),
                groups=tuple(row["group"] for row in firsts),
                models=tuple(row["model"] for row in firsts),
                labels=np.array([LABELS.index(row["label"]) for row in firsts], dtype=np.intp),
                folds=np.array([int(row["fold"]) for row in firsts], dtype=np.intp),
                logits=logits,
                looks=looks,
            )
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @property
    def members(self) -> list[NDArray[np.float64]]:
        """The logits (N, 3) of each look."""
        return [self.logits[:, index] for index in range(len(self.looks))]

    @property
    def plain(self) -> NDArray[np.float64]:
        """The average of the looks that an image has, (N, 3): what needs no fitting."""
        return np.nanmean(self.logits, axis=1)

    def of_source(self, source: str) -> NDArray[np.bool_]:
        return np.array([name == source for name in self.sources])

    def take(self, chosen: NDArray[np.bool_]) -> LogitTable:
        """The chosen images only."""
        return self._rows(np.flatnonzero(chosen))

    def ordered(self, keys: Sequence[str]) -> LogitTable:
        """The rows of the given images, in their order.

        Raises:
            ValueError: an image has no row here, or is asked for twice.
        """
        place = {key: row for row, key in enumerate(self.keys)}
        missing = [key for key in keys if key not in place]
        if missing or len(set(keys)) != len(keys):
            raise ValueError(f"The table has no row for {missing[0]}." if missing else "An image is named twice.")
        return self._rows(np.array([place[key] for key in keys], dtype=np.intp))

    def _rows(self, rows: NDArray[np.intp]) -> LogitTable:
        return LogitTable(
            keys=tuple(self.keys[row] for row in rows),
            sources=tuple(self.sources[row] for row in rows),
            groups=tuple(self.groups[row] for row in rows),
            models=tuple(self.models[row] for row in rows),
            labels=self.labels[rows],
            folds=self.folds[rows],
            logits=self.logits[rows],
            looks=self.looks,
        )

    def only(self, look: str) -> LogitTable:
        """One look of the images that have it."""
        index = self.looks.index(look)
        kept = self.take(np.isfinite(self.logits[:, index, 0]))
        return LogitTable(
            keys=kept.keys,
            sources=kept.sources,
            groups=kept.groups,
            models=kept.models,
            labels=kept.labels,
            folds=kept.folds,
            logits=kept.logits[:, index : index + 1],
            looks=(look,),
        )


def joined(tables: Sequence[tuple[str, LogitTable]]) -> LogitTable:
    """The same images as judged by several runs: every look of every run becomes a member ``run/look``.

    Raises:
        ValueError: the runs are of other images, labels, groups or folds: their figures would not be comparable.
    """
    name, first = tables[0]
    order = {key: row for row, key in enumerate(first.keys)}
    parts, names = [], []
    for other, table in tables:
        if set(table.keys) != set(order) or len(table.keys) != len(order):
            raise ValueError(f"The runs {name} and {other} are of different images.")
        rows = np.empty(len(order), dtype=np.intp)
        rows[[order[key] for key in table.keys]] = np.arange(len(order))
        same = (
            np.array_equal(table.labels[rows], first.labels)
            and np.array_equal(table.folds[rows], first.folds)
            and [table.groups[row] for row in rows] == list(first.groups)
        )
        if not same:
            raise ValueError(f"The runs {name} and {other} differ in the label, fold or group of an image.")
        parts.append(table.logits[rows])
        names += [f"{other}/{look}" for look in table.looks]
    return LogitTable(
        keys=first.keys,
        sources=first.sources,
        groups=first.groups,
        models=first.models,
        labels=first.labels,
        folds=first.folds,
        logits=np.concatenate(parts, axis=1),
        looks=tuple(names),
    )


def require_same_folds(table: LogitTable, records: Sequence[ImageRecord]) -> None:
    """Stop when the table is not of these images on these folds.

    Raises:
        ValueError: naming the first image whose label, group or fold differs, or that is missing.
    """
    known = {record.key: (record.label_index, record.leak_group, record.fold) for record in records}
    rows = zip(table.keys, table.labels.tolist(), table.groups, table.folds.tolist(), strict=True)
    for key, label, group, fold in rows:
        if known.get(key) != (label, group, fold):
            raise ValueError(f"{key} is not the image of that label, group and fold in the collection.")
