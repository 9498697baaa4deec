"""From stored values to what a monitor shows: the pixel transformation sequence of PS3.4 N.2, ending in 8 bits.

Grey images have at most 65,536 different stored values, so each step is computed once for every possible value and the
image is looked up in the result. That keeps a 13-megapixel mammogram within some tens of megabytes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from diagnosis.dicom.elements import decimal, decimals, items, required_integer, text
from diagnosis.dicom.pixels import GREY, PALETTE, PixelModule
from diagnosis.received import unreadable

WHITE = 255
EIGHT_BITS = 8
_CHANNELS = ("Red", "Green", "Blue")


def to_display(
    stored: NDArray[np.integer[Any]], module: PixelModule, dataset: Dataset, *, frame: int
) -> NDArray[np.uint8]:
    """uint8 (H, W) or (H, W, 3) from stored values as `decode_frame` returns them."""
    if module.photometric == PALETTE:
        return _palette(dataset)[_positions(stored, module)]
    if module.photometric in GREY:
        levels = _grey_levels(stored, module, dataset, frame)
        if module.photometric == "MONOCHROME1":
            # PS3.3 C.7.6.3.1.2: the minimum value is displayed as white after any VOI grey scale transformations.
            levels = 1.0 - levels
        table = np.rint(levels * WHITE).astype(np.uint8)
        return table[_positions(stored, module)]
    if module.stored_bits > EIGHT_BITS:
        return (stored >> (module.stored_bits - EIGHT_BITS)).astype(np.uint8)
    return stored.astype(np.uint8, copy=False)


def _positions(stored: NDArray[np.integer[Any]], module: PixelModule) -> NDArray[np.integer[Any]]:
    """Positions in a table of all possible values; what a decoder returns beyond Bits Stored is clipped."""
    last = (1 << module.stored_bits) - 1
    if not module.signed:
        return np.minimum(stored, np.array(last, dtype=stored.dtype)) if stored.max(initial=0) > last else stored
    return np.clip(stored.astype(np.int32) - module.lowest, 0, last)


def _grey_levels(
    stored: NDArray[np.integer[Any]], module: PixelModule, dataset: Dataset, frame: int
) -> NDArray[np.float64]:
    """Brightness from 0 to 1 of every possible stored value, before inversion."""
    possible = np.arange(module.lowest, module.lowest + (1 << module.stored_bits), dtype=np.float64)
    values = _modality_lut(possible, _source(dataset, frame, "PixelValueTransformationSequence"), dataset)
    voi = _source(dataset, frame, "FrameVOILUTSequence")
    for lut in items(voi, "VOILUTSequence")[:1]:
        looked_up = _look_up(values, lut)
        if looked_up is not None:
            return looked_up
    windowed = _window(values, voi)
    if windowed is not None:
        return windowed
    if module.stored_bits == EIGHT_BITS:
        return _stretch(values, values.min(), values.max())
    return _stretch(values, *_occupied_range(stored, module, dataset, values))


def _source(dataset: Dataset, frame: int, macro: str) -> Dataset:
    """Where a frame's parameters stand: its own functional group, the shared one, or the dataset (PS3.3 C.7.6.16.1)."""
    per_frame = items(dataset, "PerFrameFunctionalGroupsSequence")
    groups = [*per_frame[frame : frame + 1], *items(dataset, "SharedFunctionalGroupsSequence")[:1]]
    for group in groups:
        for item in items(group, macro)[:1]:
            return item
    return dataset


def _modality_lut(possible: NDArray[np.float64], source: Dataset, dataset: Dataset) -> NDArray[np.float64]:
    """Modality LUT or rescale (PS3.3 C.11.1), over every possible stored value."""
    for lut in items(dataset, "ModalityLUTSequence")[:1]:
        descriptor, data = _lut(lut)
        if data is not None:
            return data[np.clip(possible - descriptor[1], 0, len(data) - 1).astype(np.intp)]
    slope, intercept = decimal(source, "RescaleSlope"), decimal(source, "RescaleIntercept")
    # A slope of zero would make every image blank; writers that know no rescaling leave it so.
    return possible * (slope or 1.0) + (intercept or 0.0)


def _window(values: NDArray[np.float64], source: Dataset) -> NDArray[np.float64] | None:
    """The first window of the file, by its VOI LUT Function (PS3.3 C.11.2.1.2 and C.11.2.1.3), as brightness 0 to 1."""
    center, width = decimal(source, "WindowCenter"), decimal(source, "WindowWidth")
    if center is None or width is None:
        return None
    function = text(source, "VOILUTFunction").upper() or "LINEAR"
    if function == "SIGMOID" and width > 0:
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700.0, 700.0)))
    if function == "LINEAR_EXACT" and width > 0:
        return np.clip((values - center) / width + 0.5, 0.0, 1.0)
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    if width > 1:
        return np.clip((values - (center - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)
    return None


def _look_up(values: NDArray[np.float64], lut: Dataset) -> NDArray[np.float64] | None:
    """VOI LUT (PS3.3 C.11.2.1.1): values outside the table take its first or last entry."""
    descriptor, data = _lut(lut)
    if data is None:
        return None
    full = (1 << int(descriptor[2])) - 1
    return np.clip(data[np.clip(values - descriptor[1], 0, len(data) - 1).astype(np.intp)] / full, 0.0, 1.0)


def _lut(lut: Dataset) -> tuple[tuple[float, ...], NDArray[np.float64] | None]:
    """LUT Descriptor (entries, first value mapped, bits an entry) and LUT Data; no data where they do not fit."""
    descriptor = decimals(lut, "LUTDescriptor")
    if len(descriptor) != 3 or not 1 <= descriptor[2] <= 16:
        return descriptor, None
    data = _entries(lut, "LUTData", count=int(descriptor[0]) or 1 << 16)
    return descriptor, None if data is None else data.astype(np.float64)


def _entries(dataset: Dataset, keyword: str, *, count: int) -> NDArray[np.uint16] | None:
    """Table entries, which arrive as numbers (VR US) or as 16-bit words, rarely as bytes (VR OW, OB)."""
    if keyword not in dataset:
        return None
    value = dataset[keyword].value
    if isinstance(value, bytes):
        as_bytes = len(value) in (count, count + 1) and count > 2
        order = "<" if dataset.is_little_endian is not False else ">"
        words = np.frombuffer(value, dtype=np.uint8 if as_bytes else order + "u2", count=-1)
    else:
        words = np.atleast_1d(np.asarray(value, dtype=np.int64)) & 0xFFFF
    return words[:count].astype(np.uint16) if 0 < count <= len(words) else None


def _occupied_range(
    stored: NDArray[np.integer[Any]], module: PixelModule, dataset: Dataset, values: NDArray[np.float64]
) -> tuple[float, float]:
    """The values this frame uses, padding left out: without a window the choice is the viewer's (PS3.3 C.11.2.1.2)."""
    counts = np.bincount(_positions(stored, module).ravel().astype(np.uint16), minlength=len(values))
    padding = decimal(dataset, "PixelPaddingValue")
    if padding is not None:
        limit = decimal(dataset, "PixelPaddingRangeLimit")
        low, high = sorted((padding, padding if limit is None else limit))
        possible = np.arange(len(values)) + module.lowest
        counts[(possible >= low) & (possible <= high)] = 0
    used = values[counts.nonzero()[0]]
    return (float(used.min()), float(used.max())) if used.size else (float(values.min()), float(values.max()))


def _stretch(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    return np.clip((values - low) / ((high - low) or 1.0), 0.0, 1.0)


def _palette(dataset: Dataset) -> NDArray[np.uint8]:
    """uint8 (2**BitsAllocated, 3): the colour of every possible stored value (PS3.3 C.7.6.3.1.5 and C.7.6.3.1.6)."""
    size = 1 << required_integer(dataset, "BitsAllocated")
    table = np.empty((size, 3), dtype=np.uint16)
    deepest = 0
    for column, channel in enumerate(_CHANNELS):
        descriptor = decimals(dataset, f"{channel}PaletteColorLookupTableDescriptor")
        if len(descriptor) != 3 or descriptor[2] not in (8, 16):
            raise unreadable("colour table of the DICOM image")
        count = int(descriptor[0]) % (1 << 16) or 1 << 16
        entries = _entries(dataset, f"{channel}PaletteColorLookupTableData", count=count)
        if entries is None:
            raise unreadable("colour table of the DICOM image")
        deepest = max(deepest, int(entries.max()))
        table[:, column] = entries[np.clip(np.arange(size) - int(descriptor[1]), 0, len(entries) - 1)]
    # Some scanners announce 16-bit entries and write 8-bit ones; shifting those would blacken the image.
    return (table >> EIGHT_BITS if deepest > WHITE else table).astype(np.uint8)
