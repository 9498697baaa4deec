"""Which images are copies of each other, and which groups must therefore stay on one side of a split.

Three ties are joined by union-find: the same bytes, nearly the same picture (a perceptual hash), and the same
patient. The hash is the sign pattern of the lowest 16 x 16 coefficients of a discrete cosine transform of the image
shrunk to 32 x 32 pixels, against their median (the pHash of Zauner 2010, with 256 bits instead of 64). Each image is
also held against 99 cut-outs of every other, since the same frame is often exported with another crop.

The limits are measured on the collections beside this project (docs/data.md):

- ultrasound: of 2.2 million pairs of images (BUSI and BUS-BRA together) 185 lie within the limits: 177 of the 198 pairs
  that BUSI's leak groups name, and 8 others, each seen to be one lesion (six are images of three patients of BUS-BRA
  who are listed under two case numbers). The first wrong pair follows at 78 bits of the whole image and 64 of a
  cut-out. A 64-bit average hash within 4 bits, as was used before, tied 5,960 wrong pairs of BUSI.
- mammography: the outline of the breast rules the low frequencies, so patients look alike from 40 bits on (subtracted
  images) or 44 (film); within 32 bits, and 24 of a cut-out, there was no pair of different patients.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ml.contract import ImageError
from ml.data.pixels import read_pixels
from ml.data.records import ImageRecord, assign_folds, worst_label
from ml.images import to_grey

BITS = 256


@dataclass(frozen=True, slots=True)
class Nearness:
    """Differing bits, 0-256, up to which two images count as the same picture.

    Attributes:
        whole: image against image.
        mirrored: image against the left-right mirror image, as an augmented copy would be.
        cropped: image against a cut-out of the other.
    """

    whole: int
    mirrored: int
    cropped: int


ULTRASOUND = Nearness(whole=72, mirrored=24, cropped=58)
MAMMOGRAM = Nearness(whole=32, mirrored=24, cropped=24)

_SIDE = 32
_KEPT = 16
_WORK_SIDE = 256
"""Images are shrunk to this long side before 99 cut-outs are taken, which then cost a few milliseconds."""
_SHARES = (0.7, 0.8, 0.9, 1.0)
_BLOCK = 4096
"""Rows of the distance table that are held at a time: 49 MB for 3,000 films."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What two images are compared by.

    Attributes:
        digest: SHA-256 of the file.
        whole: perceptual hash, bool (256,).
        mirrored: that of the left-right mirrored image, bool (256,).
        cropped: those of the cut-outs, bool (cut-outs, 256).
    """

    digest: str
    whole: NDArray[np.bool_]
    mirrored: NDArray[np.bool_]
    cropped: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images of the same picture, by their position in the sequence that was searched.

    Attributes:
        first, second: positions, ``first < second``.
        bits: differing bits of the perceptual hash, 0-256; 0 for the same bytes.
        how: ``exact`` (the same bytes), ``whole``, ``mirrored`` or ``cropped``.
    """

    first: int
    second: int
    bits: int
    how: str

    @property
    def exact(self) -> bool:
        return self.how == "exact"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, lower-case hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fingerprint(path: Path) -> Fingerprint:
    """Read a file and hash it.

    Raises:
        ImageError: the file is no readable image.
    """
    grey = to_grey(read_pixels(path))
    scale = _WORK_SIDE / max(grey.shape)
    if scale < 1:
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    return Fingerprint(
        digest=file_digest(path),
        whole=_hash(grey),
        mirrored=_hash(np.ascontiguousarray(grey[:, ::-1])),
        cropped=np.stack([_hash(part) for part in _cut_outs(grey)]),
    )


def _cut_outs(grey: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Parts of 70-100 % of the height and width, at the start, in the middle and at the end; never the whole."""
    height, width = grey.shape
    for high in _SHARES:
        for wide in _SHARES:
            for top in (0.0, 0.5, 1.0) if high < 1 else (0.0,):
                for left in (0.0, 0.5, 1.0) if wide < 1 else (0.0,):
                    if high < 1 or wide < 1:
                        row, column = int(top * (1 - high) * height), int(left * (1 - wide) * width)
                        yield grey[row : row + max(1, int(high * height)), column : column + max(1, int(wide * width))]


def fingerprints(
    paths: Iterable[Path], *, advance: Callable[[], None] = lambda: None
) -> tuple[list[Fingerprint | None], list[str]]:
    """Hash many files.

    Args:
        paths: the files.
        advance: called after each, for a progress bar.

    Returns:
        the fingerprints in order, ``None`` where a file is unreadable, and one sentence for each of those.
    """
    found: list[Fingerprint | None] = []
    unreadable: list[str] = []
    for path in paths:
        try:
            found.append(fingerprint(path))
        except ImageError as error:
            found.append(None)
            unreadable.append(f"{path}: {error}")
        advance()
    return found, unreadable


def _hash(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    small = np.asarray(cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.float32)
    low = cv2.dct(small)[:_KEPT, :_KEPT].ravel()
    # The first coefficient is the mean brightness: it would only shift the median.
    return np.asarray(low > np.median(low[1:]), dtype=np.bool_)


def nearness(modality: str) -> Nearness:
    """The limits for ``US``, ``MG`` or ``CESM``; for anything else the stricter ones."""
    return ULTRASOUND if modality == "US" else MAMMOGRAM


def find_pairs(prints: Sequence[Fingerprint | None], *, near: Nearness) -> list[Pair]:
    """All pairs of copies among the images, exact ones first, then by distance; each pair once, in its nearest way.

    Args:
        prints: fingerprints; ``None`` is never paired.
        near: the limits.
    """
    present = [(index, each) for index, each in enumerate(prints) if each is not None]
    if len(present) < 2:
        return []
    index = np.array([position for position, _ in present])
    table = _signs(np.stack([each.whole for _, each in present]))
    cut = present[0][1].cropped.shape[0]
    found: dict[tuple[int, int], Pair] = {}
    for how, limit, owners, bits in (
        ("whole", near.whole, index, np.stack([each.whole for _, each in present])),
        ("mirrored", near.mirrored, index, np.stack([each.mirrored for _, each in present])),
        ("cropped", near.cropped, np.repeat(index, cut), np.concatenate([each.cropped for _, each in present])),
    ):
        for row, column, differing in _within(bits, table, limit):
            _note(found, int(owners[row]), int(index[column]), bits=differing, how=how)
    digests = {int(position): each.digest for position, each in present}
    pairs = [
        replace(pair, how="exact") if digests[pair.first] == digests[pair.second] else pair for pair in found.values()
    ]
    return sorted(pairs, key=lambda pair: (not pair.exact, pair.bits, pair.first, pair.second))


def _note(found: dict[tuple[int, int], Pair], one: int, other: int, *, bits: int, how: str) -> None:
    first, second = sorted((one, other))
    known = found.get((first, second))
    if first != second and (known is None or bits < known.bits):
        found[first, second] = Pair(first=first, second=second, bits=bits, how=how)


def _signs(bits: NDArray[np.bool_]) -> NDArray[np.float32]:
    """-1 and 1, so that one product of matrices counts the bits in which two hashes agree."""
    return bits.astype(np.float32) * np.float32(2) - np.float32(1)


def _within(bits: NDArray[np.bool_], table: NDArray[np.float32], limit: int) -> Iterator[tuple[int, int, int]]:
    """Row of ``bits``, row of ``table`` and Hamming distance of every pair of them within the limit."""
    # Products of +-1 sum to whole numbers below 2^24, which float32 holds exactly.
    needed = BITS - 2 * limit
    for start in range(0, len(bits), _BLOCK):
        agreement = _signs(bits[start : start + _BLOCK]) @ table.T
        for row, column in np.argwhere(agreement >= needed):
            yield start + int(row), int(column), int(BITS - agreement[row, column]) // 2


def joined(count: int, ties: Iterable[tuple[int, int]]) -> list[int]:
    """Union-find: the group of each of ``count`` items, named by the smallest item in it."""
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for first, second in ties:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    return [root(item) for item in range(count)]


def same_value_ties(values: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Ties between the items that share a value; ``None`` and an empty string tie nothing."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, value in enumerate(values):
        if value not in (None, ""):
            members[value].append(index)
    return [(group[0], other) for group in members.values() for other in group[1:]]


def regrouped(records: Sequence[ImageRecord], pairs: Iterable[Pair]) -> list[ImageRecord]:
    """Records whose groups also hold their copies, with new folds.

    A group is everything that hangs together by the old group, the patient or a pair. Its name is that of its first
    record; its fold is dealt by its worst label, so that every fold holds about as many groups of each label.
    """
    ties = [(pair.first, pair.second) for pair in pairs]
    ties += same_value_ties([record.leak_group for record in records])
    ties += same_value_ties([record.exam if record.patient else "" for record in records])
    roots = joined(len(records), ties)
    labels: dict[int, list[str]] = defaultdict(list)
    for record, root in zip(records, roots, strict=True):
        labels[root].append(record.label)
    folds = assign_folds({records[root].key: worst_label(each) for root, each in labels.items()})
    return [
        replace(
            record,
            group=records[root].name or records[root].path.stem,
            # A group over two collections has one name only if both use the same cohort.
            cohort=records[root].cohort or records[root].source,
            fold=folds[records[root].key],
        )
        for record, root in zip(records, roots, strict=True)
    ]


def conflicting(records: Sequence[ImageRecord], pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs of copies that carry different labels: nobody knows which is right."""
    return [pair for pair in pairs if records[pair.first].label != records[pair.second].label]


def crossing(records: Sequence[ImageRecord], pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs of copies that lie in different folds: the split would leak."""
    return [pair for pair in pairs if records[pair.first].fold != records[pair.second].fold]
