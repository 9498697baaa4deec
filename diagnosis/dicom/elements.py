"""Reading single data elements without trusting them.

Two manners: `text`, `decimals` and `items` are for what describes the image, where a damaged element counts as absent;
`required_integer` is for the Image Pixel Module, where it means that the pixels cannot be read.
"""

import io
import math
import struct
import unicodedata

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from diagnosis.received import unreadable

# pydicom parses a sequence when it is first looked at, outside the reader's budget. Region lists, window lists and LUTs
# of honest files are far smaller; a larger one is treated as absent.
MAX_SEQUENCE_BYTES = 1024 * 1024
MAX_TEXT = 64  # characters; PS3.5 6.2 allows 64 for LO and for each component group of PN

# pydicom converts a value when it is looked at, and each VR fails on damaged bytes in its own way.
DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


class TooManyReads(ValueError):
    """A file made of so many small parts that reading it would cost minutes."""


class MeteredBytes(io.BytesIO):
    """Bytes that may be read a limited number of times: each tag, length, fragment and value costs a read."""

    def __init__(self, data: bytes, *, max_reads: int) -> None:
        super().__init__(data)
        self._reads_left = max_reads

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads_left -= 1
        if self._reads_left < 0:
            raise TooManyReads("the file holds more data elements than any image")
        return super().read(size)


def clean(value: object) -> str:
    """One line of at most 64 printable characters: no control, format (bidirectional) or surrogate characters."""
    printable = (character for character in str(value) if unicodedata.category(character)[0] != "C")
    return "".join(printable).strip()[:MAX_TEXT].strip()


def first(dataset: Dataset, keyword: str) -> object:
    """The element's first value, or None where it is absent, empty or damaged."""
    try:
        value = dataset.get(keyword)
    except DAMAGED:
        return None
    if isinstance(value, MultiValue | list | tuple):
        return value[0] if len(value) else None
    return value


def text(dataset: Dataset, keyword: str) -> str:
    value = first(dataset, keyword)
    return "" if value is None or isinstance(value, bytes) else clean(value)


def decimals(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """All values as finite floats; empty where any of them is not one."""
    try:
        value = dataset.get(keyword)
        values = value if isinstance(value, MultiValue | list | tuple) else [] if value is None else [value]
        numbers = tuple(float(each) for each in values)
    except DAMAGED:
        return ()
    return numbers if all(math.isfinite(number) for number in numbers) else ()


def decimal(dataset: Dataset, keyword: str) -> float | None:
    numbers = decimals(dataset, keyword)
    return numbers[0] if numbers else None


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none where it is absent, damaged or absurdly large."""
    if keyword not in dataset:
        return []
    try:
        raw = dataset.get_item(keyword)
        if isinstance(raw, RawDataElement) and raw.value is not None and len(raw.value) > MAX_SEQUENCE_BYTES:
            return []
        return [item for item in dataset[keyword].value if isinstance(item, Dataset)]
    except DAMAGED:
        return []


def required_integer(dataset: Dataset, keyword: str, *, default: int | None = None) -> int:
    """An integer of the Image Pixel Module (PS3.3 C.7.6.3); refused where damaged, or missing without `default`."""
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            if default is None:
                raise unreadable("DICOM image")
            return default
        return int(value)
    except DAMAGED as damaged:
        raise unreadable("DICOM image") from damaged
