"""Results that are not rows of the one table: ablations, tests for shortcuts, and ideas that were tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ml.goals import SETS
from ml.markdown import figure_text, markdown_table
from ml.results import COLUMNS, EFFECTS, ORIGIN, TRIED, Commands, is_side_result, place_name
from ml.storage import read_json


def ablation_table(folder: Path, commands: Commands) -> str:
    """Each step of preprocessing with its figure and its paired difference to none; empty without such a file.

    The steps of one set stand together, whatever files state them; what two files state is shown once.
    """
    rows: list[list[Any]] = []
    effects: dict[tuple[str, str, str], tuple[Mapping[str, Any], str]] = {}
    for content in _contents(folder, EFFECTS):
        for effect in content[EFFECTS]:
            effects.setdefault((effect["set"], effect["step"], effect["figure"]), (effect, content["command"]))
    for place in dict.fromkeys(name for name, _, _ in effects):
        for effect, command in (found for (name, _, _), found in effects.items() if name == place):
            letter = commands.letter(command)
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
        judged = {
            f"fold networks of {content['model']}": content.get("masked", {}),
            **{f"fold networks of {name}": found for name, found in content.get("masked_beside", {}).items()},
            "frozen features": content.get("frozen_when_masked", {}),
        }
        for title, found in judged.items():
            for source, figures in found.items():
                for name in ("accuracy", "auc_malignant"):
                    what = f"{title} on {SETS.get(source, source)}, text and calipers masked: {name.replace('_', ' ')}"
                    beside = f"{figure_text(figures['plain'][name])} unmasked, {_signed(figures['difference'][name])}"
                    masked = figures["masked"][name]
                    rows.append([what, masked["n"], figure_text(masked), beside, letter])
    return markdown_table(["question", "n", "answer", "beside", "command"], rows) if rows else ""


def tried_table(folder: Path, commands: Commands) -> str:
    """What was tried on the classification and on the outline, one idea to a line; empty without such a file."""
    parts = []
    for content in _contents(folder, TRIED):
        letter = commands.letter(content["command"])
        for key, names, what in ((TRIED, COLUMNS, "Label and risk"), ("outlines", OUTLINE_COLUMNS, "Outline")):
            found = content.get(key, [])
            shown = [name for name in names if any(each["figure"] == name for each in found)]
            lines = []
            for place, idea in dict.fromkeys((each["set"], each["idea"]) for each in found):
                own = {each["figure"]: each for each in found if (each["set"], each["idea"]) == (place, idea)}
                first = next(iter(own.values()))
                cells = [_beside_served(own[name]) if name in own else "-" for name in shown]
                lines.append([place_name(place), idea, first["passes"], first["n"], *cells, letter])
            lines.sort(key=lambda line: list(SETS.values()).index(line[0]) if line[0] in SETS.values() else len(SETS))
            header = ["set", "idea", "passes", "n", *(names[name] for name in shown), "command"]
            if lines:
                parts += [f"{what}, beside {content['model']}:", markdown_table(header, lines)]
    return "\n\n".join(parts)


OUTLINE_COLUMNS = {
    "dice_mean": "mean Dice",
    "missed_lesions": "lesions missed",
    "false_lesions": "normal images with an outline",
}
"""Figures of an outline; the last one has an n of its own, the normal images."""


def _beside_served(figure: Mapping[str, Any]) -> str:
    """The figure and its difference; where there can be none, for it is what is served, its own interval."""
    if figure["difference_low"] == figure["difference_high"] == figure["difference"] == 0:
        return figure_text(figure)
    shift = {"value": figure["difference"], "low": figure["difference_low"], "high": figure["difference_high"]}
    return f"{figure['value']:.3f}, {_signed(shift)}"


def _contents(folder: Path, key: str) -> Iterator[Mapping[str, Any]]:
    for path in sorted(folder.glob("*.json")):
        content = read_json(path)
        if is_side_result(content) and key in content:
            yield content


def _signed(figure: Mapping[str, Any]) -> str:
    if figure.get("value") is None:
        return "-"
    return f"{figure['value']:+.3f} ({figure['low']:+.3f} to {figure['high']:+.3f})"
