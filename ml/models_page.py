"""``docs/models.md``: the generated parts of the page, between markers that its author places."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml.card_sections import (
    bands_text,
    explanations_section,
    looks_section,
    segmentation_section,
    uncertain_section,
)
from ml.goals import COMPARISON_HEADER, comparison_rows
from ml.markdown import markdown_table
from ml.registry import InstalledModel
from ml.results import Commands, ResultRow, main_table, model_rows, other_table, read_results
from ml.side_results import ablation_table, shortcut_table, tried_table
from ml.storage import read_json

_MARKED = re.compile(r"(<!-- begin (?P<name>[a-z-]+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)


def newest_of_each(models: Sequence[InstalledModel]) -> list[InstalledModel]:
    """The newest version of each name; ``models`` come newest first."""
    newest: dict[str, InstalledModel] = {}
    for model in models:
        newest.setdefault(model.name, model)
    return list(newest.values())


def page_sections(models: Sequence[InstalledModel], *, results: Path, plots: str) -> dict[str, str]:
    """The Markdown of every generated part by name.

    Args:
        models: what is installed, newest of each name.
        results: folder with the rows of all other systems.
        plots: folder of the plots as the page links it, relative to the page.

    Raises:
        ValueError: a file of ``results`` is no list of rows; see :func:`ml.results.read_results`.
    """
    evaluations = {model.name: read_json(model.evaluation_path) for model in models}
    shipped: list[ResultRow] = []
    for model in models:
        shipped += model_rows(evaluations[model.name], system=f"**{model.name} {model.version}**")
    rows = shipped + read_results(results)
    commands = Commands()
    return {
        "models": "\n\n".join([_models_table(models), *(_parity(model, evaluations[model.name]) for model in models)]),
        "table": main_table(rows, commands),
        "more": other_table(rows, commands),
        "ablations": ablation_table(results, commands),
        "shortcuts": shortcut_table(results, commands),
        "tried": tried_table(results, commands),
        "commands": commands.as_list(),
        "goals": _of_each(models, evaluations, _goals),
        "looks": _of_each(models, evaluations, lambda model, found: _body(looks_section(found))),
        "suspicion": _of_each(models, evaluations, _bands),
        "uncertain": _of_each(models, evaluations, lambda model, found: _body(uncertain_section(found))),
        "outline": _of_each(models, evaluations, lambda model, found: _body(segmentation_section(found))),
        "explanations": _of_each(
            models,
            evaluations,
            lambda model, found: _body(explanations_section(found, entry=model.manifest.get("explanation"))),
        ),
        "plots": _plots(models, plots),
    }


def fill_page(page: str, sections: Mapping[str, str]) -> str:
    """Replace what lies between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``.

    Raises:
        ValueError: the page marks a part that does not exist, or lacks one that does: figures would be lost in silence.
    """
    marked = [found["name"] for found in _MARKED.finditer(page)]
    odd = sorted(set(marked) ^ set(sections))
    if odd or len(marked) != len(set(marked)):
        raise ValueError(f"The page must mark each of {', '.join(sections)} once; look at {', '.join(odd or marked)}.")

    def filled(found: re.Match[str]) -> str:
        return f"{found[1]}\n{sections[found['name']].strip()}\n\n{found[3]}"

    return _MARKED.sub(filled, page)


def copy_plots(models: Sequence[InstalledModel], folder: Path) -> list[Path]:
    """Copy each model's plots to ``folder/<name>-<plot>`` and return them; plots of models that left go."""
    for stale in folder.glob("*.png"):
        stale.unlink()
    copied = []
    for model in models:
        for plot in sorted(model.folder.glob("*.png")):
            folder.mkdir(parents=True, exist_ok=True)
            copied.append(Path(shutil.copyfile(plot, folder / f"{model.name}-{plot.name}")))
    return copied


def _models_table(models: Sequence[InstalledModel]) -> str:
    rows = [
        [
            model.name,
            model.version,
            model.modality,
            model.status,
            model.manifest.get("released", "-"),
            f"`{model.sha256[:16]}...`",
            f"[card](../ml/artifacts/{model.name}/{model.version}/MODEL_CARD.md)",
        ]
        for model in models
    ]
    return markdown_table(["model", "version", "modality", "status", "date", "SHA-256 of the graph", ""], rows)


def _parity(model: InstalledModel, evaluation: Mapping[str, Any]) -> str:
    parity = evaluation.get("parity", {})
    if "half_precision_against_trained" not in parity:
        return ""
    median = parity.get("half_precision_against_trained_median")
    return (
        f"{model.name}: largest difference of a probability on {parity.get('images', parity.get('films'))} images, "
        f"graph against its Keras twin {parity['graph_against_keras_twin']:.1e}, half precision against the trained "
        f"network {parity['half_precision_against_trained']:.1e}" + (f" (median {median:.1e})." if median else ".")
    )


def _of_each(
    models: Sequence[InstalledModel],
    evaluations: Mapping[str, Any],
    section: Callable[[InstalledModel, Mapping[str, Any]], str],
) -> str:
    """One part for each model that has it, under its name; detectors, which judge places, have rows alone."""
    judges = [model for model in models if "cross_validation" in evaluations[model.name]]
    parts = [(model, section(model, evaluations[model.name])) for model in judges]
    return "\n\n".join(f"### {model.name} {model.version}\n\n{text}" for model, text in parts if text)


def _body(section: str) -> str:
    """A card's section without its heading."""
    return section.partition("\n")[2].strip() if section else ""


def _goals(model: InstalledModel, evaluation: Mapping[str, Any]) -> str:
    rows = comparison_rows(evaluation, modality=model.modality)
    return markdown_table(COMPARISON_HEADER, rows) if rows else ""


def _bands(model: InstalledModel, evaluation: Mapping[str, Any]) -> str:
    return bands_text(evaluation) if "suspicion" in evaluation.get("calibration", {}) else ""


def _plots(models: Sequence[InstalledModel], plots: str) -> str:
    """Every plot of every model, by name."""
    parts = []
    for model in models:
        shown = [
            f"![{path.stem.replace('-', ' ')} of {model.name}]({plots}/{model.name}-{path.name})"
            for path in sorted(model.folder.glob("*.png"))
        ]
        if shown:
            parts.append("\n\n".join([f"### {model.name} {model.version}", *shown]))
    return "\n\n".join(parts)
