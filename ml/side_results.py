"""Results that are not rows of the one table: ablations of preprocessing, and tests for shortcuts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ml.goals import SETS
from ml.markdown import figure_text, markdown_table
from ml.results import EFFECTS, ORIGIN, Commands, is_side_result
from ml.storage import read_json


def ablation_table(folder: Path, commands: Commands) -> str:
    """Each step of preprocessing with its figure and its paired difference to none; empty without such a file."""
    rows = []
    for content in _contents(folder, EFFECTS):
        letter = commands.letter(content["command"])
        for effect in content[EFFECTS]:
            shift = {
                "value": effect["difference"],
                "low": effect["difference_low"],
                "high": effect["difference_high"],
            }
            rows.append(
                [
                    SETS.get(effect["set"], effect["set"]),
                    effect["step"].replace("_", " "),
                    effect["figure"],
                    effect["n"],
                    figure_text(effect),
                    _signed(shift),
                    letter,
                ]
            )
    header = ["set", "step", "figure", "n", "value", "difference to none, paired", "command"]
    return markdown_table(header, rows) if rows else ""


def shortcut_table(folder: Path, commands: Commands) -> str:
    """What can be told without the disease, and what masking of marks changes; empty without such a file."""
    rows = []
    for content in _contents(folder, ORIGIN):
        letter = commands.letter(content["command"])
        for question, figures in content[ORIGIN].items():
            share = f"{figures['largest_share']:.3f} by always guessing the commonest"
            title = f"{question}, guessed from the embedding of {content['model']}: accuracy"
            rows.append([title, figures["accuracy"]["n"], figure_text(figures["accuracy"]), share, letter])
        for source, figure in content.get("marks_only", {}).items():
            title = f"malignancy on {SETS.get(source, source)} guessed from marks and crop alone: AUC"
            rows.append([title, figure["n"], figure_text(figure), "0.500 by chance", letter])
        for key, title in (("masked", str(content["model"])), ("frozen_when_masked", "frozen features")):
            for source, figures in content.get(key, {}).items():
                for name in ("accuracy", "auc_malignant"):
                    what = f"{title} on {SETS.get(source, source)}, text and calipers masked: {name.replace('_', ' ')}"
                    beside = f"{figure_text(figures['plain'][name])} unmasked, {_signed(figures['difference'][name])}"
                    masked = figures["masked"][name]
                    rows.append([what, masked["n"], figure_text(masked), beside, letter])
    return markdown_table(["question", "n", "answer", "beside", "command"], rows) if rows else ""


def _contents(folder: Path, key: str) -> Iterator[Mapping[str, Any]]:
    for path in sorted(folder.glob("*.json")):
        content = read_json(path)
        if is_side_result(content) and key in content:
            yield content


def _signed(figure: Mapping[str, Any]) -> str:
    if figure.get("value") is None:
        return "-"
    return f"{figure['value']:+.3f} ({figure['low']:+.3f} to {figure['high']:+.3f})"
