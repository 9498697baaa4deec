"""The library stands alone: it knows no web framework and no other part of the portal."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "ml"
FOREIGN = {"django", "celery", "rest_framework", "accounts", "diagnosis", "portal", "torch"}
TRAINING_ONLY = {"tensorflow", "keras", "matplotlib", "sklearn"}
SERVING = (
    *("contract", "registry", "runtime", "pipeline", "quality", "explain", "images", "calibrate", "metrics"),
    *("novelty", "similar", "monitoring"),
    *("fusion", "uncertain", "prevalence", "attribution", "segment", "looks/reading", "looks/closeup"),
    *(f"mammogram/{name}" for name in ("detector", "film", "checks", "marks", "calibration", "exam")),
)


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.py")), ids=lambda path: str(path.relative_to(LIBRARY)))
def test_no_module_knows_the_portal(path):
    assert imported(path) & FOREIGN == set()


@pytest.mark.parametrize("name", SERVING)
def test_what_a_worker_loads_names_no_training_framework(name):
    assert imported(LIBRARY / f"{name}.py") & TRAINING_ONLY == set()


def test_the_contract_needs_numpy_alone():
    assert imported(LIBRARY / "contract.py") <= {"__future__", "enum", "collections", "dataclasses", "numpy"}
