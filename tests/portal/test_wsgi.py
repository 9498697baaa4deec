"""The web process and the worker's parent load no learning framework: a forked one hangs, and memory is dear."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HEAVY = ("tensorflow", "keras", "ai_edge_litert", "sklearn", "matplotlib", "scipy")


def _loaded_by(statements: str, tmp_path: Path) -> list[str]:
    code = f"{statements}\nimport json, sys\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "DEMO": "1", "DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "portal.settings"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "statements",
    [
        "import portal.wsgi\nfrom django.urls import get_resolver\nget_resolver().url_patterns",
        "import portal\nportal.celery_app.loader.import_default_modules()",
    ],
    ids=["the web process", "the worker's parent"],
)
def test_it_loads_no_learning_framework(statements, tmp_path):
    assert _loaded_by(statements, tmp_path) == []
