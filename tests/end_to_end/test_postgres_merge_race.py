"""The race of merges (tests/diagnosis/test_merge_race.py) on PostgreSQL, where two transactions really overlap."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.diagnosis.test_merge_race import RACE
from tests.end_to_end.processes import ROOT

pytestmark = pytest.mark.slow


def test_of_several_merges_at_once_one_is_done(postgres, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RACE],
        cwd=ROOT,
        env={
            **os.environ,
            "DEMO": "1",
            "DATA_DIR": str(tmp_path),
            "DATABASE_URL": postgres,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["crosswise"], told["twice"], told["undone"]) == ([1, 1, []], [1, 3, []], [1, 3, []])
    assert (told["transfers"], told["of_the_one_left"], told["of_three"], told["listed"]) == (2, 2, 1, 2)
