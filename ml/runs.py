"""A training run in its folder: splits, identity, checkpoints, learning curves. Shared by all that trains in folds."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ml.data.records import DataError, ImageRecord
from ml.storage import read_arrays, read_json, write_arrays, write_json

History = list[dict[str, float]]


@dataclass(frozen=True, slots=True)
class Split:
    """What is trained on and what is only looked at.

    Attributes:
        name: names the folder of the run, such as ``fold-0`` or ``final``.
        train: indices into the records.
        held_out: indices that are never fitted on; empty for the final model.
    """

    name: str
    train: NDArray[np.intp]
    held_out: NDArray[np.intp]


def fold_split(records: Sequence[ImageRecord], fold: int) -> Split:
    """Hold out one fold of every source."""
    held_out = np.array([record.fold == fold for record in records])
    return Split(name=f"fold-{fold}", train=np.flatnonzero(~held_out), held_out=np.flatnonzero(held_out))


def source_splits(records: Sequence[ImageRecord]) -> list[Split]:
    """For each source: train on it alone, hold out all others.

    Raises:
        DataError: there is only one source.
    """
    sources = sorted({record.source for record in records})
    if len(sources) < 2:
        raise DataError("Training across sets needs two collections. Pass --data twice.")
    splits = []
    for source in sources:
        own = np.array([record.source == source for record in records])
        splits.append(Split(name=f"train-{source}", train=np.flatnonzero(own), held_out=np.flatnonzero(~own)))
    return splits


def claim_run(out: Path, identity: dict[str, object], *, resume: bool, arguments: Sequence[str]) -> None:
    """Make ``out`` the folder of this run, or check that it already is.

    Raises:
        DataError: ``out`` holds a run of other data, weights, recipe or seed, or holds one and ``resume`` is off.
    """
    description = out / "run.json"
    if description.is_file():
        found = read_json(description)
        if not resume:
            raise DataError(f"{out} already holds a run. Add --resume to go on with it, or choose another --out.")
        different = [name for name, value in identity.items() if found.get(name) != value]
        if different:
            raise DataError(
                f"{out} holds a run with another {', '.join(different)}. Use the same options, or another --out."
            )
        return
    command = shlex.join(["python", "-m", "ml", *arguments])
    started = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(description, {"command": command, "started": started, "keras": keras.__version__, **identity})


def image_weights(records: Sequence[ImageRecord], *, balance: float) -> NDArray[np.float32]:
    """Weight of each image: (images of its source and label) ** -balance, with mean 1. float32 (N,)."""
    sizes: dict[tuple[str, str], int] = {}
    for record in records:
        sizes[record.source, record.label] = sizes.get((record.source, record.label), 0) + 1
    raw = np.array([sizes[record.source, record.label] ** -balance for record in records])
    return (raw / raw.mean()).astype(np.float32)


def save_network(path: Path, network: keras.Model) -> None:
    """Store all weights in order of creation, as float32 ``.npz``."""
    write_arrays(path, {f"{number:04d}": weight for number, weight in enumerate(network.get_weights())})


def history_table(history: History) -> str:
    """The learning curve as CSV, one row per epoch; ``nan`` where an epoch lacks a figure that others have."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in history for name in row))
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n", restval="nan")
    writer.writeheader()
    writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in history)
    return text.getvalue()


def save_state(path: Path, trunk: keras.Model, history: History) -> None:
    """Store all that an epoch changes, so that :func:`restore_state` can go on."""
    arrays = {f"{number:05d}": np.asarray(variable) for number, variable in enumerate(_variables(trunk))}
    arrays["history"] = np.frombuffer(json.dumps(history).encode(), dtype=np.uint8)
    write_arrays(path, arrays)


def restore_state(path: Path, trunk: keras.Model) -> History:
    """Put a stored state back into the compiled network; the learning curve so far.

    Raises:
        ValueError: the file belongs to another network or recipe.
    """
    stored = read_arrays(path)
    history: History = json.loads(stored.pop("history").tobytes().decode())
    variables = _variables(trunk)
    if len(stored) != len(variables):
        raise ValueError(f"{path} belongs to another network or recipe. Remove it, or train into another folder.")
    for number, variable in enumerate(variables):
        variable.assign(stored[f"{number:05d}"])
    return history


def _variables(trunk: keras.Model) -> list[Any]:
    """All that an epoch changes: weights, dropout's random state, moments, moving averages, step count."""
    return [*trunk.variables, *trunk.optimizer.variables]
