"""A trained network as seen by whoever checks its explanations: maps, activations, logits, and kernels to shuffle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from ml.attribution import plus_plus_maps
from ml.contract import LABELS
from ml.data.pixels import read_pixels
from ml.data.records import ImageRecord
from ml.images import Letterbox, network_input, to_grey
from ml.looks.closeup import CloseUp
from ml.looks.reading import FirstLook, LookForward, Reading

_BATCH = 32

CELL = 32
"""Pixels of the canvas to a cell of the map: MobileNetV2 halves five times."""

STAGES = ("head", "head and last convolution", "upper half of the kernels", "all kernels")
"""The cascade of randomisations, each containing the ones before."""

Prepare = Callable[[ImageRecord], NDArray[np.float32]]

ImageMaps = Callable[[Sequence[ImageRecord]], Iterable[Mapping[str, NDArray[np.float32]]]]
"""From records to the maps of each label that the portal draws, float32 (H, W) in 0-1, one record after the other."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """One network's maps of images, read with whatever weights it has at the moment.

    Attributes:
        graph: from (N, S, S, 3) to ``maps`` (N, h, w, labels) before the ReLU, ``activations`` (N, h, w, K) and
            ``logits`` (N, labels): those of the whole look, whatever else the network says.
        mapper: the layer whose kernel (1, 1, K, labels or more) weighs the last convolution into maps.
        side: side of the canvas, pixels.
        prepare: from a record to the network's input (1, S, S, 3).
        image_maps: the maps that are drawn, where they are not simply those of ``graph``.
    """

    graph: keras.Model
    mapper: keras.layers.Layer
    side: int
    prepare: Prepare
    image_maps: ImageMaps | None = None

    def maps(self, records: Sequence[ImageRecord]) -> NDArray[np.float32]:
        """Class activation maps before the ReLU, (N, h, w, labels)."""
        return np.concatenate([np.asarray(each["maps"]) for each in self._forward(records)])

    def explain(self, records: Sequence[ImageRecord]) -> dict[str, NDArray[np.float32]]:
        """``grad_cam`` (as :meth:`maps`) and ``grad_cam_plus_plus`` of images in one pass, each (N, h, w, labels)."""
        kernel = np.asarray(self.mapper.weights[0])[0, 0, :, : len(LABELS)]
        plain, weighed = [], []
        for each in self._forward(records):
            plain.append(np.asarray(each["maps"]))
            weighed.append(plus_plus_maps(np.asarray(each["activations"]), kernel))
        return {"grad_cam": np.concatenate(plain), "grad_cam_plus_plus": np.concatenate(weighed)}

    def logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (B, labels) of inputs (B, S, S, 3)."""
        return np.asarray(self.graph(pixels, training=False)["logits"])

    @contextmanager
    def shuffled(self, stage: str, random: np.random.Generator) -> Iterator[None]:
        """Permute the values within each kernel of a stage of the cascade; restored at the end."""
        chosen = self._stage(stage)
        kept = [np.asarray(weight) for weight in chosen]
        try:
            for weight, values in zip(chosen, kept, strict=True):
                weight.assign(random.permutation(values.ravel()).reshape(values.shape))
            yield
        finally:
            for weight, values in zip(chosen, kept, strict=True):
                weight.assign(values)

    def _stage(self, stage: str) -> list[keras.Variable]:
        head = self.mapper.weights[0]
        below = [
            weight
            for weight in reversed(self.graph.weights)
            if weight.name in ("kernel", "depthwise_kernel") and weight.path != head.path and len(weight.shape) == 4
        ]
        depth = {STAGES[0]: 0, STAGES[1]: 1, STAGES[2]: len(below) // 2, STAGES[3]: len(below)}[stage]
        return [head, *below[:depth]]

    def _forward(self, records: Sequence[ImageRecord]) -> Iterator[dict[str, NDArray[np.float32]]]:
        for start in range(0, len(records), _BATCH):
            pixels = np.concatenate([self.prepare(record) for record in records[start : start + _BATCH]])
            yield self.graph(pixels, training=False)


def explainer_from(
    explained: keras.Model, *, side: int, prepare: Prepare | None = None, image_maps: ImageMaps | None = None
) -> Explainer:
    """An explainer of a network that yields its own maps.

    Args:
        explained: a graph with the layers ``mapper`` (1 x 1 convolution of the last activation, no bias) and
            ``decision`` (the linear head on its mean), such as :func:`ml.networks.mobilenet.explained_graph` makes.
            Of more than three outputs the first three are those of the whole look.
        side: side of the canvas, pixels.
        prepare: from a record to the network's input; the plain letterbox when ``None``.
        image_maps: see :class:`Explainer`; for the two-look network :func:`fused_maps`.
    """
    mapper = explained.get_layer("mapper")
    activation, maps = mapper.input, mapper.output
    logits = explained.get_layer("decision").output
    outputs = {
        "maps": maps[..., : len(LABELS)],
        "activations": activation,
        "logits": logits[..., : len(LABELS)],
    }

    def letterboxed(record: ImageRecord) -> NDArray[np.float32]:
        grey = to_grey(read_pixels(record.path))
        return network_input(Letterbox.fit(height=grey.shape[0], width=grey.shape[1], side=side).place(grey))

    return Explainer(
        graph=keras.Model(explained.input, outputs, name="explainer"),
        mapper=mapper,
        side=side,
        prepare=prepare or letterboxed,
        image_maps=image_maps,
    )


def fused_maps(
    readings: Mapping[str, NDArray[np.float32]], records: Sequence[ImageRecord], *, weights: tuple[float, float]
) -> ImageMaps:
    """The maps that the portal draws for the two-look network, from what the run stored of its held-out images.

    Args:
        readings: content of a fold's ``readings.npz``: ``index`` into the records, ``whole_maps``, ``close_maps``
            (h, w, labels) and ``square`` (top, left, size) of each.
        records: all images of the run, in its order.
        weights: of the whole and of the close look in the fusion that was fitted on the other folds.
    """
    position = {records[int(index)].key: row for row, index in enumerate(readings["index"])}

    def forward(maps: list[NDArray[np.float32]]) -> LookForward:
        nothing = np.zeros(0, np.float32)
        return LookForward(logits=nothing, maps=np.concatenate(maps, axis=-1), embedding=nothing, mask=nothing)

    def drawn(wanted: Sequence[ImageRecord]) -> Iterator[Mapping[str, NDArray[np.float32]]]:
        for record in wanted:
            row = position[record.key]
            height, width = read_pixels(record.path).shape[:2]
            whole, close = (np.asarray(readings[name][row], np.float32) for name in ("whole_maps", "close_maps"))
            top, left, size = (round(float(value)) for value in readings["square"][row])
            first = FirstLook(
                # The canvas only sets how finely the map is drawn before it is laid over the image.
                letterbox=Letterbox.fit(height=height, width=width, side=whole.shape[0] * CELL),
                forward=forward([whole, np.zeros_like(whole)]),
                probability=np.zeros((0, 0), np.float32),
                square=CloseUp(top=top, left=left, size=size),
            )
            yield Reading(first=first, second=forward([np.zeros_like(close), close])).class_maps(weights=weights)

    return drawn
