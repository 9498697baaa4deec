"""The one table: every system on the same folds, from rows that their own commands wrote.

A row is one figure of one system: ``system, split, set, figure, n, value, low, high, command``. Files of
``docs/results`` hold rows of baselines, published recipes, ablations and detectors; those of an installed model come
out of its ``evaluation.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ml.goals import GOALS, SETS
from ml.markdown import figure_text, markdown_table, number_text

SPLITS = ("leak-safe", "leaky")

EFFECTS, ORIGIN, TRIED = "effects", "origin", "tried"
"""The key by which a file of ``python -m ml ablate``, ``python -m ml shortcuts`` or ``python -m ml tried`` is known."""

COLUMNS = {
    "accuracy": "accuracy",
    "auc_malignant": "AUC malignant",
    "sensitivity_by_label": "recall malignant, by label",
    "sensitivity_on_roc": "sensitivity on the ROC curve*",
    "sensitivity": "sensitivity at the threshold",
    "specificity": "specificity at the threshold",
    "macro_f1": "F1, macro",
    "ece": "calibration error",
}
"""Figures that have a column; all others are listed below the table."""

_MEASURED = (*COLUMNS, "specificity_by_label", "brier", "ece_malignant")
_OUTLINES = ("dice_mean", "dice_median", "iou_mean", "iou_median", "missed_lesions", "false_lesions")


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One figure of one system.

    Attributes:
        system: what was measured, in words.
        split: one of :data:`SPLITS`.
        set: the collection, or ``a -> b`` for trained on a, measured on b.
        figure: its name; see :data:`COLUMNS`.
        n: images (or what the figure counts).
        value, low, high: the figure and its 95 % interval; ``None`` where undefined.
        command: what printed it.
    """

    system: str
    split: str
    set: str
    figure: str
    n: int
    value: float | None
    low: float | None
    high: float | None
    command: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> ResultRow:
        """From the JSON form.

        Raises:
            ValueError: an entry is missing, of the wrong type or unknown.
        """
        numbers = ("value", "low", "high")
        texts = ("system", "split", "set", "figure", "command")
        if set(values) != {*texts, "n", *numbers}:
            odd = sorted(set(values) ^ {*texts, "n", *numbers})
            raise ValueError(f"entry {odd[0]!r} is missing or unknown")
        for name in texts:
            if not isinstance(values[name], str) or not values[name].strip():
                raise ValueError(f"{name} must be text")
        for name in numbers:
            if values[name] is not None and (
                isinstance(values[name], bool) or not isinstance(values[name], int | float)
            ):
                raise ValueError(f"{name} must be a number or null")
        if isinstance(values["n"], bool) or not isinstance(values["n"], int) or values["n"] < 0:
            raise ValueError("n must be a count")
        if values["split"] not in SPLITS:
            raise ValueError(f"split must be {' or '.join(SPLITS)}, not {values['split']!r}")
        return cls(**values)


def is_side_result(content: object) -> bool:
    """Whether a file's content belongs to :mod:`ml.side_results`, and so is no list of rows."""
    return isinstance(content, Mapping) and "command" in content and bool({EFFECTS, ORIGIN, TRIED} & set(content))


def read_results(folder: Path) -> list[ResultRow]:
    """All rows of a folder's JSON files, by file name and place; side results are passed over.

    Raises:
        ValueError: a file is no list of rows, or two rows state the same figure; the message names file and row.
    """
    rows: list[ResultRow] = []
    seen: dict[tuple[str, str, str, str], str] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path.name} is not JSON ({error}). Run the command that wrote it again.") from error
        if is_side_result(content):
            continue
        if not isinstance(content, list):
            raise ValueError(f"{path.name} must hold a list of rows.")
        for number, values in enumerate(content, start=1):
            try:
                row = ResultRow.from_mapping(values)
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path.name}, row {number}: {error}.") from error
            key = (row.system, row.split, row.set, row.figure)
            if key in seen:
                raise ValueError(f"{path.name}, row {number}: {', '.join(key)} is stated by {seen[key]} already.")
            seen[key] = path.name
            rows.append(row)
    return rows


def model_rows(evaluation: Mapping[str, Any], *, system: str = "") -> list[ResultRow]:
    """The rows of an installed model.

    Args:
        evaluation: content of its ``evaluation.json``.
        system: its name in the table; name and version by default.
    """
    model = evaluation.get("model", {})
    shown = system or f"{model.get('name')} {model.get('version')}"
    command = str(evaluation.get("command", ""))
    rows = []

    def add(system: str, place: str, figures: Mapping[str, Any], names: Sequence[str]) -> None:
        for name in names:
            figure = figures.get(name)
            if isinstance(figure, Mapping) and figure.get("value") is not None:
                rows.append(
                    ResultRow(
                        system=system,
                        split=SPLITS[0],
                        set=place,
                        figure=name,
                        n=int(figure["n"]),
                        value=figure["value"],
                        low=figure.get("low"),
                        high=figure.get("high"),
                        command=command,
                    )
                )

    for source, figures in evaluation.get("cross_validation", {}).items():
        add(shown, source, figures, _MEASURED)
    for source, looks in evaluation.get("looks", {}).items():
        for look, figures in looks.items():
            add(f"{shown}, {look} look alone", source, figures, _MEASURED)
    for trained, figures in evaluation.get("cross_set", {}).items():
        place = f"{trained.removeprefix('train-')} -> {figures['measured_on']}"
        add(f"{shown}, trained on one set, not calibrated", place, figures, _MEASURED)
    outlines = evaluation.get("segmentation", {})
    for source, figures in outlines.get("sets", {}).items():
        add(shown, source, figures, _OUTLINES)
    for source, figure in outlines.get("first_look_alone", {}).items():
        add(f"{shown}, whole look alone", source, {"dice_mean": figure}, _OUTLINES)
    return rows


class Commands:
    """Letters for commands, in the order in which rows first name them."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def letter(self, command: str) -> str:
        return self._letters.setdefault(command, f"C{len(self._letters) + 1}")

    def as_list(self) -> str:
        """Markdown: each letter with its command."""
        return "\n".join(f"- **{letter}** `{command}`" for command, letter in self._letters.items())


def main_table(rows: Sequence[ResultRow], commands: Commands) -> str:
    """One line for each set, system and split; the goals of a set close it."""
    lines: list[list[str]] = []
    named = [name for name in COLUMNS if any(row.figure == name for row in rows)]
    for place in _places([row for row in rows if row.figure in COLUMNS]):
        here = [row for row in rows if row.set == place and row.figure in COLUMNS]
        for system, split in dict.fromkeys((row.system, row.split) for row in here):
            own = {row.figure: row for row in here if (row.system, row.split) == (system, split)}
            first = next(iter(own.values()))
            letters = "".join(dict.fromkeys(f" {commands.letter(row.command)}" for row in own.values())).strip()
            cells = [figure_text(own[name].as_dict()) if name in own else "-" for name in named]
            lines.append([place_name(place), system, split, str(first.n), *cells, letters])
        goal = {each.path[2]: each.bound for each in GOALS if each.path[:2] == ("cross_validation", place)}
        if goal:
            bounds = [f"**{number_text(goal[name])}**" if goal.get(name) else "-" for name in named]
            lines.append([place_name(place), "**goal**", "-", "-", *bounds, "-"])
    header = ["set", "system", "split", "n", *(COLUMNS[name] for name in named), "command"]
    return markdown_table(header, lines)


def other_table(rows: Sequence[ResultRow], commands: Commands) -> str:
    """The figures that have no column in the main table, one to a line."""
    others = [row for row in rows if row.figure not in COLUMNS]
    lines = [
        [
            place_name(place),
            row.system,
            row.split,
            row.figure.replace("_", " "),
            row.n,
            figure_text(row.as_dict()),
            commands.letter(row.command),
        ]
        for place in _places(others)
        for row in others
        if row.set == place
    ]
    return markdown_table(["set", "system", "split", "figure", "n", "value", "command"], lines)


def _places(rows: Sequence[ResultRow]) -> list[str]:
    """Sets in the order of :data:`ml.goals.SETS`, then those across sets, then any other."""
    known = list(SETS)
    found = list(dict.fromkeys(row.set for row in rows))
    return sorted(found, key=lambda place: known.index(place) if place in known else len(known) + ("->" not in place))


def place_name(place: str) -> str:
    """A collection, or ``a -> b``, in words."""
    return " → ".join(SETS.get(part.strip(), part.strip()) for part in place.split("->"))
