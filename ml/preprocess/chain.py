"""Which steps are on, in which order, with which parameters: the manifest's ``preprocessing`` entry.

Training and serving run this one code, so a network never sees in the clinic what it did not see in training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import ImageError
from ml.images import checked_pixels, to_grey
from ml.preprocess.intensity import clahe, median, non_local_means, window
from ml.preprocess.mammogram import keep_breast, remove_pectoral
from ml.preprocess.overlay import coloured_pixels, remove_overlay
from ml.preprocess.sector import Box, keep_sector, sector_box

Number = int | float


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a step takes.

    Attributes:
        default: its value unless the manifest says otherwise.
        least, most: bounds, both allowed.
        kind: ``float``, ``int``, or ``odd`` for the side of a neighbourhood.
    """

    default: Number
    least: Number
    most: Number
    kind: str = "float"

    def checked(self, name: str, value: object) -> Number:
        """The value in its own type.

        Raises:
            ValueError: no number, not whole, not odd, or out of bounds.
        """
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} must be a number, not {value!r}.")
        if not self.least <= value <= self.most:
            raise ValueError(f"{name} must lie between {self.least} and {self.most}, not {value}.")
        if self.kind == "float":
            return float(value)
        if value != int(value) or (self.kind == "odd" and int(value) % 2 == 0):
            raise ValueError(f"{name} must be {'an odd' if self.kind == 'odd' else 'a whole'} number, not {value}.")
        return int(value)


@dataclass(frozen=True, slots=True)
class StepKind:
    """A step by its name.

    Attributes:
        run: from uint8 (H, W) and the parameters to uint8; the same shape but for ``crop``.
        parameters: what it takes.
    """

    run: Callable[..., NDArray[np.uint8]]
    parameters: Mapping[str, Parameter]


CROP = "sector_crop"
"""The one step that changes the geometry; :func:`prepare` runs it, :func:`apply` refuses it."""

STEPS: Mapping[str, StepKind] = {
    "overlay": StepKind(remove_overlay, {"margin": Parameter(2, 0, 8, "int")}),
    "sector": StepKind(keep_sector, {}),
    CROP: StepKind(lambda grey: sector_box(grey).cut(grey), {}),
    "window": StepKind(window, {"low": Parameter(1.0, 0, 49), "high": Parameter(99.0, 51, 100)}),
    "clahe": StepKind(clahe, {"clip": Parameter(2.0, 0.1, 40), "tiles": Parameter(8, 1, 64, "int")}),
    "median": StepKind(median, {"size": Parameter(5, 3, 15, "odd")}),
    "non_local_means": StepKind(
        non_local_means,
        {
            "strength": Parameter(8.0, 0.1, 100),
            "template": Parameter(5, 3, 15, "odd"),
            "search": Parameter(11, 3, 35, "odd"),
        },
    ),
    "breast": StepKind(keep_breast, {}),
    "pectoral": StepKind(remove_pectoral, {}),
}
"""Every step by name. ``overlay``, ``sector`` and ``sector_crop`` are for ultrasound, ``breast`` and ``pectoral`` for
mammograms, the others for both."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step that is on: its name, and all its parameters in the order of :data:`STEPS`."""

    name: str
    parameters: tuple[tuple[str, Number], ...] = ()

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> Step:
        """``{"name": "clahe", "clip": 2.0}``; parameters that are not named take their defaults.

        Raises:
            ValueError: no such step or parameter, or a value of the wrong type or range.
        """
        name = values.get("name")
        if not isinstance(name, str) or name not in STEPS:
            raise ValueError(f"Unknown preprocessing step {name!r}. Known: {', '.join(STEPS)}.")
        known = STEPS[name].parameters
        unknown = sorted(set(values) - set(known) - {"name"})
        if unknown:
            raise ValueError(f"Step {name} has no parameter {unknown[0]!r}. Known: {', '.join(known) or 'none'}.")
        return cls(
            name=name,
            parameters=tuple(
                (each, kind.checked(f"{name}.{each}", values.get(each, kind.default))) for each, kind in known.items()
            ),
        )

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, **dict(self.parameters)}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The steps that are on, in order; none by default.

    >>> Preprocessing.of("overlay", "clahe").as_dict()["steps"][1]
    {'name': 'clahe', 'clip': 2.0, 'tiles': 8}
    """

    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"Step {twice[0]} is listed twice.")

    @classmethod
    def of(cls, *names: str) -> Preprocessing:
        """The named steps with their defaults."""
        return cls(steps=tuple(Step.from_mapping({"name": name}) for name in names))

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> Preprocessing:
        """``{"steps": [{"name": "overlay"}, {"name": "clahe", "clip": 3.0}]}``, as a manifest holds it.

        Raises:
            ValueError: another key, no list, an entry that is no mapping, or as :meth:`Step.from_mapping`.
        """
        if set(values) != {"steps"}:
            raise ValueError("preprocessing must be a mapping with the one key steps.")
        entries = values["steps"]
        if not isinstance(entries, Sequence) or isinstance(entries, str):
            raise ValueError("preprocessing.steps must be a list.")
        for entry in entries:
            if not isinstance(entry, Mapping):
                raise ValueError(f"A preprocessing step must be a mapping with a name, not {entry!r}.")
        return cls(steps=tuple(Step.from_mapping(entry) for entry in entries))

    def as_dict(self) -> dict[str, Any]:
        return {"steps": [step.as_dict() for step in self.steps]}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What :func:`prepare` gives.

    Attributes:
        grey: uint8 (h, w), after all steps.
        box: the part of the original that it shows; the whole image unless a step cropped.
    """

    grey: NDArray[np.uint8]
    box: Box


def prepare(image: NDArray[np.uint8], preprocessing: Preprocessing) -> Prepared:
    """Run the steps, cropping included.

    Args:
        image: uint8 (H, W), or (H, W, 3) in RGB; colour is used by ``overlay`` to find coloured marks and then lost.
        preprocessing: which steps.

    Raises:
        ImageError: the array is no 8-bit image.
    """
    pixels = checked_pixels(image)
    grey = to_grey(pixels)
    coloured = coloured_pixels(pixels) if pixels.ndim == 3 else None
    box = Box(top=0, left=0, bottom=grey.shape[0], right=grey.shape[1])
    for step in preprocessing.steps:
        if step.name == CROP:
            inner = sector_box(grey)
            grey = np.ascontiguousarray(inner.cut(grey))
            coloured = None if coloured is None else coloured[inner.top : inner.bottom, inner.left : inner.right]
            box = Box(
                top=box.top + inner.top,
                left=box.left + inner.left,
                bottom=box.top + inner.bottom,
                right=box.left + inner.right,
            )
            continue
        extra: dict[str, Any] = {"extra": coloured} if step.name == "overlay" else {}
        grey = np.ascontiguousarray(STEPS[step.name].run(grey, **dict(step.parameters), **extra))
    return Prepared(grey=grey, box=box)


def apply(image: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Run steps that keep the geometry: uint8 (H, W[, 3]) to uint8 (H, W).

    Raises:
        ImageError: the array is no 8-bit image, or ``preprocessing`` crops (then :func:`prepare` tells where).
    """
    if any(step.name == CROP for step in preprocessing.steps):
        raise ImageError(
            f"The step {CROP} changes the image's size. Use ml.preprocess.prepare, which says what it cut."
        )
    return prepare(image, preprocessing).grey
