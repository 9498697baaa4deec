"""``serve`` hands its address on to web and worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from portal.management.commands import serve

ROOT = Path(__file__).resolve().parent.parent.parent


def test_reports_and_links_name_the_port_that_was_asked_for(tmp_path):
    kept = {name: value for name, value in os.environ.items() if name != "PUBLIC_URL"}
    told = subprocess.run(
        [sys.executable, "-c", "from django.conf import settings; print(settings.PUBLIC_URL)"],
        cwd=ROOT,
        env={**kept, "DATA_DIR": str(tmp_path), "PORT": serve._worker(8719).environment["PORT"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "http://localhost:8719"
    assert serve._web("127.0.0.1", 8719, 1).environment["PORT"] == "8719"


def test_an_operator_s_own_choice_of_memory_settings_is_kept(monkeypatch):
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
    assert serve._web("127.0.0.1", 8719, 1).environment["MALLOC_MMAP_THRESHOLD_"] == "65536"
