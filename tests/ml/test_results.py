"""The one table, and the page that shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ml.__main__ import main
from ml.markdown import figure_text, markdown_table
from ml.models_page import fill_page, newest_of_each
from ml.registry import ARTIFACTS, installed_models
from ml.results import COLUMNS, Commands, ResultRow, main_table, model_rows, other_table, read_results
from ml.side_results import ablation_table, shortcut_table
from ml.storage import read_json

DOCS = Path(__file__).resolve().parents[2] / "docs"


def row(**changes):
    return {
        "system": "SVM on shape and texture",
        "split": "leak-safe",
        "set": "busi",
        "figure": "accuracy",
        "n": 608,
        "value": 0.7,
        "low": 0.65,
        "high": 0.75,
        "command": "python -m ml baselines",
        **changes,
    }


def write(folder, name, content):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_rows_of_all_files_are_read_in_order(tmp_path):
    write(tmp_path, "b.json", [row(figure="macro_f1")])
    write(tmp_path, "a.json", [row(), row(split="leaky", value=None, low=None, high=None)])
    rows = read_results(tmp_path)
    assert [(each.figure, each.split) for each in rows] == [
        ("accuracy", "leak-safe"),
        ("accuracy", "leaky"),
        ("macro_f1", "leak-safe"),
    ]
    assert ResultRow.from_mapping(rows[0].as_dict()) == rows[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{not json", "not JSON"),
        ({"rows": []}, "list of rows"),
        ([row(split="random")], "row 1: split"),
        ([row(), row(figure="ece", n="many")], "row 2: n must be a count"),
        ([row(value="high")], "number or null"),
        ([row(command=" ")], "command must be text"),
        ([{**row(), "note": "x"}], "'note' is missing or unknown"),
        ([{name: value for name, value in row().items() if name != "low"}], "'low' is missing or unknown"),
        ([row(), row()], "stated by broken.json already"),
    ],
)
def test_a_broken_file_is_named_with_its_row(tmp_path, content, words):
    write(tmp_path, "broken.json", content)
    with pytest.raises(ValueError, match=words) as caught:
        read_results(tmp_path)
    assert "broken.json" in str(caught.value)


def test_one_line_for_each_set_system_and_split_with_the_goals_below():
    rows = [
        ResultRow(**row()),
        ResultRow(**row(figure="auc_malignant", value=0.8)),
        ResultRow(**row(split="leaky", value=0.9)),
        ResultRow(**row(set="busbra", command="python -m ml other")),
        ResultRow(**row(figure="dice_mean")),
    ]
    commands = Commands()
    lines = main_table(rows, commands).splitlines()
    assert len(lines) == 2 + 2 + 1 + 1 + 1
    assert "0.700 (0.650-0.750) | 0.800" in lines[2]
    assert "leaky | 608 | 0.900" in lines[3]
    assert lines[4].startswith("| BUSI | **goal** | - | - | **0.900** | **0.970**")
    assert lines[5].startswith("| BUS-BRA | SVM")
    assert lines[2].endswith("C1 |")
    assert lines[5].endswith("C2 |")
    assert "**C2** `python -m ml other`" in commands.as_list()
    others = other_table(rows, commands).splitlines()
    assert len(others) == 3
    assert "dice mean" in others[2]


def test_a_figure_without_value_is_a_dash_and_a_bar_does_not_break_the_table():
    assert figure_text({"value": None}) == "-"
    assert figure_text({"value": 0.5, "low": None, "high": None}) == "0.500"
    assert markdown_table(["a"], [["x | y"]]).splitlines()[2] == "| x \\| y |"


def test_the_shipped_model_s_rows_are_its_evaluation_s(shipped):
    evaluation = read_json(shipped.evaluation_path)
    rows = {(each.system, each.set, each.figure): each for each in model_rows(evaluation)}
    system = f"{shipped.name} {shipped.version}"
    for source, figures in evaluation["cross_validation"].items():
        for name in COLUMNS:
            if name in figures:
                assert rows[system, source, name].value == figures[name]["value"]
                assert rows[system, source, name].n == figures[name]["n"]
    assert any("->" in each.set for each in rows.values()) == ("cross_set" in evaluation)


def test_ablations_and_shortcuts_have_tables_of_their_own(tmp_path):
    effect = {"set": "busi", "step": "non_local_means", "figure": "auc", "n": 608, "groups": 462, "value": 0.88}
    effect |= {"low": 0.85, "high": 0.9, "difference": -0.012, "difference_low": -0.02, "difference_high": 0.001}
    write(tmp_path, "ablations.json", {"command": "python -m ml ablate", "effects": [effect]})
    figure = {"value": 0.99, "low": 0.98, "high": 1.0, "n": 2108, "groups": 1314}
    origin = {"hospital": {"accuracy": figure, "largest_share": 0.712}}
    pair = {name: {"accuracy": figure, "auc_malignant": figure} for name in ("plain", "masked", "difference")}
    content = {"command": "python -m ml shortcuts", "model": "m 1.0.0", "origin": origin}
    write(tmp_path, "shortcuts.json", {**content, "marks_only": {"busi": figure}, "frozen_when_masked": {"busi": pair}})
    assert read_results(tmp_path) == []
    commands = Commands()
    ablations = ablation_table(tmp_path, commands)
    assert "| BUSI | non local means | auc | 608 | 0.880 (0.850-0.900) | -0.012 (-0.020 to +0.001) | C1 |" in ablations
    shortcuts = shortcut_table(tmp_path, commands).splitlines()
    assert len(shortcuts) == 2 + 1 + 1 + 2
    assert "0.990 (0.980-1.000) | 0.712 by always guessing" in shortcuts[2]
    assert ablation_table(tmp_path / "nothing", commands) == ""


def test_a_step_that_two_reports_state_is_shown_once(tmp_path):
    effect = {"set": "busi", "step": "none", "figure": "auc", "n": 608, "groups": 462, "value": 0.888, "low": 0.85}
    effect |= {"high": 0.92, "difference": 0.0, "difference_low": 0.0, "difference_high": 0.0}
    other = {**effect, "set": "busbra"}
    write(tmp_path, "ablations.json", {"command": "python -m ml ablate", "effects": [effect, other]})
    more = {"command": "python -m ml ablate --step median", "effects": [effect, {**effect, "step": "median"}]}
    write(tmp_path, "us-ablations.json", more)
    lines = ablation_table(tmp_path, Commands()).splitlines()[2:]
    assert [line.split(" | ")[:2] for line in lines] == [
        ["| BUSI", "none"],
        ["| BUSI", "median"],
        ["| BUS-BRA", "none"],
    ]
    assert lines[0].endswith("C1 |") and lines[1].endswith("C2 |") and lines[2].endswith("C1 |")


def test_side_results_of_the_shipped_model_are_of_its_version_and_agree_with_its_figures(shipped):
    evaluation = read_json(shipped.evaluation_path)
    figures, elsewhere = evaluation["cross_validation"], evaluation["cross_set"]
    tried, shortcuts = (read_json(DOCS / "results" / f"{name}.json") for name in ("us-tried", "shortcuts"))
    assert tried["model"] == shortcuts["model"] == f"{shipped.name} {shipped.version}"
    served = {(each["set"], each["figure"]): each for each in tried["tried"] if each["idea"].startswith("as served")}
    assert len(served) == 6 + 4
    for network, found in elsewhere.items():
        place = f"{network.removeprefix('train-')} -> {found['measured_on']}"
        for name in ("accuracy", "auc_malignant"):
            assert served[place, name]["value"] == found[name]["value"]
    for source in figures:
        for name in ("accuracy", "auc_malignant", "sensitivity_on_roc"):
            assert served[source, name]["value"] == figures[source][name]["value"]
        # Read anew from the images, so rounding may turn one of a thousand.
        for name, found in shortcuts["masked"][source]["plain"].items():
            assert found["value"] == pytest.approx(figures[source][name]["value"], abs=0.002)


def test_only_the_newest_version_of_a_model_is_shown():
    newest = newest_of_each(installed_models(ARTIFACTS))
    assert len({model.name for model in newest}) == len(newest)
    for model in installed_models(ARTIFACTS):
        assert model.precedence <= next(each for each in newest if each.name == model.name).precedence


PAGE = "# Models\n\n<!-- begin one -->\nold\n<!-- end one -->\n\nwords of a person\n"


def test_what_lies_between_the_markers_is_replaced_and_nothing_else():
    filled = fill_page(PAGE, {"one": "new"})
    assert filled == PAGE.replace("old", "\nnew\n")
    assert fill_page(filled, {"one": "new"}) == filled


@pytest.mark.parametrize("sections", [{}, {"one": "a", "two": "b"}])
def test_a_page_that_lacks_a_part_or_marks_one_too_many_is_refused(sections):
    with pytest.raises(ValueError, match="must mark"):
        fill_page(PAGE, sections)


def test_docs_models_is_what_the_command_writes(capsys):
    assert main(["table", "--models", str(ARTIFACTS), "--check"]) == 0, capsys.readouterr().err


def test_the_page_s_plots_are_the_models_own():
    folder = DOCS / "results" / "plots"
    expected = {
        f"{model.name}-{plot.name}": plot.read_bytes()
        for model in newest_of_each(installed_models(ARTIFACTS))
        for plot in model.folder.glob("*.png")
    }
    assert expected
    assert {path.name: path.read_bytes() for path in folder.glob("*.png")} == expected


def test_every_link_of_the_page_leads_somewhere():
    import re

    page = (DOCS / "models.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", page)
    assert len(links) >= 3
    for link in links:
        if "://" not in link:
            assert (DOCS / link).exists(), link


def test_a_stale_page_is_reported(tmp_path, capsys):
    page = tmp_path / "models.md"
    page.write_text((DOCS / "models.md").read_text(encoding="utf-8").replace("0.9", "0.8", 1), encoding="utf-8")
    arguments = ["table", "--models", str(ARTIFACTS), "--results", str(DOCS / "results"), "--page", str(page)]
    assert main([*arguments, "--check"]) == 1
    assert "Run `python -m ml table`" in capsys.readouterr().err


def test_runs_are_fused_and_measured_side_by_side(tmp_path, capsys):
    import csv

    import numpy as np

    from ml.contract import LABELS

    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 150)
    for name in ("a", "b"):
        with (tmp_path / f"{name}.csv").open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["key", "source", "label", "group", "fold", "model", *(f"logit_{x}" for x in LABELS)])
            for i, label in enumerate(labels):
                logits = random.normal(size=3) * 1.5 + 1.5 * np.eye(3)[label]
                writer.writerow([f"busi/{i}", "busi", LABELS[label], str(i), i % 5, name, *logits])
    runs = [part for name in ("a", "b") for part in ("--run", f"{name}={tmp_path / name}.csv")]
    out = tmp_path / "results" / "ensemble.json"
    assert main(["ensemble", *runs, "--members", "--out", str(out), "--resamples", "20"]) == 0
    rows = {(each.system, each.figure): each.value for each in read_results(out.parent)}
    fused = rows["ensemble of a and b (2 forward passes)", "auc_malignant"]
    assert fused > max(rows["a", "auc_malignant"], rows["b", "auc_malignant"])
    assert "ensemble of a and b" in capsys.readouterr().out
    assert main(["ensemble", "--run", "a", "--out", str(out)]) == 1
    assert "NAME=PATH" in capsys.readouterr().err
