"""A code works once, also when many requests bring it at the same moment, on a real database file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

RACE = """
import json, threading
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from accounts.actions import create_user, use_code
from tests.fixture_sign_in import add_app, code, keep_off_the_edge, recovery_codes

call_command("migrate", verbosity=0)
user, _ = create_user(acting_user=None, email="rachel@test.local", role="radiologist")
keep_off_the_edge(10)
shown = code(add_app(user))
spare = recovery_codes(user)[0]
taken, errors = {shown: 0, spare: 0}, []
start, lock = threading.Barrier(12), threading.Lock()

def bring(what):
    start.wait()
    try:
        if use_code(user=user, code=what) is not None:
            with lock:
                taken[what] += 1
    except Exception as error:
        errors.append(repr(error))
    finally:
        connection.close()

threads = [threading.Thread(target=bring, args=(what,)) for what in (shown, spare) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps({"app": taken[shown], "spare": taken[spare], "left": len(recovery_codes(user)), "errors": errors}))
"""


@pytest.mark.slow
def test_of_many_requests_with_the_same_code_one_gets_in(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RACE],
        cwd=ROOT,
        env={**os.environ, "DEMO": "1", "DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "portal.settings"},
        capture_output=True,
        text=True,
        timeout=180,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {"app": 1, "spare": 1, "left": 9, "errors": []}
