"""`python -m ml release`: from a run to an artefact that loads, is intact and documents itself."""

from __future__ import annotations

import json
from functools import partial

import pytest

from ml import gates
from ml.__main__ import main
from ml.bench import synthetic_image
from ml.contract import OutcomeState
from ml.pipeline import analyse
from ml.registry import altered_files, find_model
from ml.runtime import load_folder


@pytest.fixture
def run(two_look_run):
    return two_look_run


def release(run, collection, out, *more):
    options = ["--run", str(run), "--data", str(collection), "--out", str(out), "--resamples", "20", *more]
    return main(["release", "--version", "0.1.0", "--name", "us-test", *options])


@pytest.mark.slow
def test_a_run_becomes_an_artefact_that_loads_and_judges(run, collection, tmp_path, monkeypatch):
    # A sixth of the computed images shows what all would, in much less time.
    monkeypatch.setattr("ml.looks.release.gather", partial(gates.gather, made_each=gates.MADE_EACH // 6))
    folder = tmp_path / "models" / "us-test" / "0.1.0"
    assert release(run, collection, folder, "--note", "Made by a test.") == 0
    installed = find_model("us-test", root=tmp_path / "models")
    assert altered_files(installed) == []
    assert (installed.status, installed.modality) == ("research", "US")
    assert [path.name for path in folder.parent.iterdir()] == ["0.1.0"], "nothing half-written is left"
    outcome = analyse(synthetic_image(), load_folder(folder))
    assert outcome.state is OutcomeState.SUCCEEDED
    evaluation = json.loads((folder / "evaluation.json").read_text())
    # An untrained network's maps fail their checks, so none is drawn.
    assert installed.manifest["explanation"]["shown"] is False
    assert outcome.class_maps is None
    assert evaluation["cross_validation"]["clinic"]["accuracy"]["n"] == 20
    assert evaluation["explanations"]["sets"]["clinic malignant"]["pointing"]["n"] == 10
    card = (folder / "MODEL_CARD.md").read_text()
    assert "Made by a test." in card
    assert installed.sha256 in card


def test_a_run_of_other_images_is_refused(run, tmp_path, capsys):
    from tests.ml.conftest import make_collection

    other = make_collection(tmp_path / "elsewhere", patients=10)
    assert release(run, other, tmp_path / "models" / "us-test" / "0.1.0") == 1
    assert "other images" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_an_unfinished_run_is_refused(run, collection, tmp_path, capsys):
    (run / "final" / "network.npz").unlink()
    assert release(run, collection, tmp_path / "models" / "us-test" / "0.1.0") == 1
    assert "Finish the training first" in capsys.readouterr().err
