"""A site of real processes in a temporary data directory, with the means to kill parts of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import psutil
import psycopg
import requests

from diagnosis import phantom

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_SECONDS = 90.0
"""Far beyond a lease, a sweep and the start of a worker on two busy cores; a test that needs it all has failed."""
_KINDS = ("normal", "cyst", "fibroadenoma", "mass")
_seeds = iter(range(random.SystemRandom().randrange(10**6, 10**8), 10**9))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_script(script: str, *, database: str, folder: Path, **environment: str) -> Any:
    """Run a script against a site of its own, in a process of its own; return the JSON of the last line it prints."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={
            **os.environ,
            "DEMO": "1",
            "DATA_DIR": str(folder),
            "DATABASE_URL": database,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def wait_until(
    condition: Callable[[], Any], *, what: str, seconds: float = PATIENCE_SECONDS, every: float = 0.05
) -> Any:
    """Return the first true value of ``condition``, or fail with ``what`` was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise AssertionError(f"Waited {seconds:g} s in vain for {what}.")


def new_png() -> bytes:
    """A phantom image that no other call returns: a duplicate would not be analysed."""
    seed = next(_seeds)
    done, png = cv2.imencode(".png", phantom.generate(_KINDS[seed % 4], seed=seed, width=480, height=360).pixels)
    assert done
    return png.tobytes()


class Site:
    """One data directory and the processes that work on it.

    Args:
        folder: where DATA_DIR and the log of the processes lie.
        environment: settings besides the demonstration's own.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "serve.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
            "DEMO": "1",
            "DATA_DIR": str(self.data),
            "PORT": str(self.port),
            "MODEL_THREADS": "1",
            **environment,
        }
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.others: list[subprocess.Popen[bytes]] = []
        self.session = requests.Session()
        self.session.trust_env = False

    # Setting up

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def prepare(self) -> None:
        """Make the tables and a radiologist."""
        made = self.manage(
            "shell",
            "--no-imports",
            "--command",
            "from django.core.management import call_command\n"
            "call_command('migrate', verbosity=0)\n"
            "call_command('create_user', 'rachel@test.local', role='radiologist')",
        )
        assert made.returncode == 0, made.stderr
        self.password = made.stdout.split()[-1]

    def sign_in(self) -> None:
        """Get an API token and make a patient with an empty study."""
        token = self.post("tokens/", json={"email": "rachel@test.local", "password": self.password})
        assert token.status_code == 201, token.text
        self.session.headers["Authorization"] = f"Bearer {token.json()['token']}"
        patient = self.post(
            "patients/",
            json={
                "mrn": f"KILL-{secrets.token_hex(4)}",
                "given_name": "Kill",
                "family_name": "Phantom",
                "birth_date": "1970-01-01",
                "sex": "F",
            },
        )
        assert patient.status_code == 201, patient.text
        study = self.post("studies/", json={"patient": patient.json()["id"], "modality": "US"})
        assert study.status_code == 201, study.text
        self.study = study.json()["id"]

    # Processes

    def start(self, *, workers: int = 1) -> None:
        """Run ``serve`` with so many web processes and return when a page is answered."""
        with self.log.open("ab") as log:
            self.supervisor = subprocess.Popen(
                [
                    *(sys.executable, "manage.py", "serve", "--host", "127.0.0.1"),
                    *("--port", str(self.port), "--workers", str(workers)),
                ],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait_alive()

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Run one more worker beside those of ``serve``, as a second host would."""
        with self.log.open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", "--app", "portal", "--quiet", "worker", "--concurrency", "1"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.others.append(worker)
        return worker

    def wait_alive(self) -> None:
        def alive() -> bool:
            assert self.supervisor is not None
            assert self.supervisor.poll() is None, f"serve ended: {self.log.read_text(encoding='utf-8')[-3000:]}"
            try:
                return self.session.get(f"{self.url}/healthz", timeout=1).ok
            except requests.RequestException:
                return False

        wait_until(alive, what="/healthz")

    def is_ready(self) -> bool:
        try:
            return self.session.get(f"{self.url}/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the supervisor; return its exit status."""
        assert self.supervisor is not None
        self.supervisor.send_signal(number)
        status = self.supervisor.wait(timeout=60)
        self.supervisor = None
        return status

    def end(self) -> None:
        """End everything of this site without ceremony."""
        for process in [self.supervisor, *self.others]:
            if process is not None and process.poll() is None:
                for child in psutil.Process(process.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
                process.kill()
                process.wait()
        for left in self.processes():
            left.kill()

    def processes(self) -> list[psutil.Process]:
        """Every process that works on this data directory, whoever its parent is."""
        found = []
        for process in psutil.process_iter():
            try:
                is_ours = process.environ().get("DATA_DIR") == str(self.data)
                if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def _children(self, word: str) -> list[psutil.Process]:
        assert self.supervisor is not None
        found = []
        for process in psutil.Process(self.supervisor.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if any(word in argument for argument in process.cmdline()):
                    found.append(process)
        return found

    def worker_parent(self) -> psutil.Process:
        """The worker itself, which runs no job."""
        return wait_until(lambda: self._children("celery"), what="a worker")[0]

    def worker_child(self) -> psutil.Process:
        """The process that runs jobs."""
        return wait_until(lambda: self.worker_parent().children(), what="a worker's child")[0]

    def all_worker_children(self) -> list[psutil.Process]:
        """The processes that run jobs, those of the other hosts among them."""
        parents = [self.worker_parent(), *(psutil.Process(other.pid) for other in self.others)]
        children = [child for parent in parents for child in parent.children()]
        return [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]

    def web_parent(self) -> psutil.Process:
        return wait_until(lambda: self._children("gunicorn"), what="the web server")[0]

    def web_children(self) -> list[psutil.Process]:
        """The processes that answer requests."""
        return wait_until(lambda: self.web_parent().children(), what="the web server's children")

    def web_child(self) -> psutil.Process:
        return self.web_children()[0]

    # The API

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(f"{self.url}/api/v1/{path}", timeout=30, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.session.post(f"{self.url}/api/v1/{path}", timeout=30, **options)

    def upload(self, number: int = 1) -> list[str]:
        """Upload fresh images one by one; return the analyses that were accepted."""
        accepted = []
        for _ in range(number):
            answer = self.post(f"studies/{self.study}/images/", files={"file": ("phantom.png", new_png(), "image/png")})
            assert answer.status_code == 202, answer.text
            accepted.append(answer.json()["images"][0]["analysis"]["id"])
        return accepted

    # What is on record

    @contextlib.contextmanager
    def _database(self) -> Iterator[Any]:
        address = self.environment.get("DATABASE_URL", "")
        opened: Any
        if address.startswith("postgres"):
            opened = psycopg.connect(address)
        else:
            opened = sqlite3.connect(f"file:{self.data / 'senolens.sqlite3'}?mode=ro", uri=True, timeout=20)
        try:
            yield opened
        finally:
            opened.close()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Ask the database itself; ``?`` stands for a parameter."""
        if self.environment.get("DATABASE_URL", "").startswith("postgres"):
            sql = sql.replace("?", "%s")
        with self._database() as opened:
            return list(opened.execute(sql, parameters).fetchall())

    def can_write(self) -> bool:
        """Whether nobody holds SQLite's write lock for longer than a moment."""
        opened = sqlite3.connect(self.data / "senolens.sqlite3", timeout=1, isolation_level=None)
        try:
            opened.execute("BEGIN IMMEDIATE")
            opened.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
        finally:
            opened.close()
        return True

    def key(self, identifier: str) -> str:
        """Spell a UUID as the database stores it."""
        is_postgres = self.environment.get("DATABASE_URL", "").startswith("postgres")
        return identifier if is_postgres else identifier.replace("-", "")

    def state(self, analysis: str) -> str:
        return str(self.rows("SELECT state FROM diagnosis_analysis WHERE id = ?", [self.key(analysis)])[0][0])

    def progress(self, analysis: str) -> tuple[str, str]:
        """State and stage."""
        state, stage = self.rows("SELECT state, stage FROM diagnosis_analysis WHERE id = ?", [self.key(analysis)])[0]
        return state, stage

    def upload_until_caught_running(self, number: int) -> list[str]:
        """Upload images and return while one of them is being analysed.

        The workers' children are stopped during the upload, so that there is work for longer than a look takes; a
        machine that is through all of it between two looks gets another batch.

        Call it when nothing is in work: a child stopped in the middle of a write would keep the uploads waiting.
        """
        accepted: list[str] = []
        for _ in range(10):
            children = wait_until(self.all_worker_children, what="a worker's child")
            for child in children:
                child.suspend()
            try:
                accepted += self.upload(number)
            finally:
                for child in children:
                    child.resume()
            deadline = time.monotonic() + PATIENCE_SECONDS
            while time.monotonic() < deadline:
                states = {state for (state,) in self.rows("SELECT DISTINCT state FROM diagnosis_analysis")}
                if "running" in states:
                    return accepted
                if "queued" not in states:
                    break
        raise AssertionError("No analysis was seen running.")

    def wait_done(self, analyses: Sequence[str], *, seconds: float = PATIENCE_SECONDS) -> None:
        """Return when every one of them has ended and has its report."""

        def unfinished() -> list[tuple[Any, ...]]:
            return self.rows(
                "SELECT id, state FROM diagnosis_analysis WHERE state IN ('queued', 'running') "
                "UNION ALL SELECT id, state FROM diagnosis_report WHERE state IN ('queued', 'running')"
            )

        wait_until(lambda: not unfinished(), what=f"{len(analyses)} analyses and their reports", seconds=seconds)

    def assert_each_done_once(self, analyses: Sequence[str]) -> None:
        """Every accepted image has one result, one ledger row of it, and one stored report, the one on record."""
        assert analyses
        for analysis in analyses:
            assert self.state(analysis) == "succeeded", self.rows(
                "SELECT state, attempts, error_code, error_detail FROM diagnosis_analysis WHERE id = ?",
                [self.key(analysis)],
            )
            noted = "SELECT COUNT(*) FROM accounts_auditevent WHERE action = ? AND object_id = ?"
            assert self.rows(noted, ["analysis.succeeded", analysis]) == [(1,)]
            reports = self.rows(
                "SELECT id, state, file, sha256 FROM diagnosis_report WHERE analysis_id = ?", [self.key(analysis)]
            )
            assert len(reports) == 1
            identifier, state, file, digest = reports[0]
            assert state == "succeeded"
            assert hashlib.sha256((self.data / "files" / file).read_bytes()).hexdigest() == digest
            dashed = str(uuid.UUID(str(identifier)))
            assert self.rows(noted, ["report.stored", dashed]) == [(1,)]
            stored = list((self.data / "files" / "reports").rglob(f"{dashed}-*.pdf"))
            assert len(stored) <= 1 + self.killed, stored

    killed = 0
    """How many processes were killed with ``kill -9``: each may leave one file behind that no row names."""

    def kill(self, process: psutil.Process) -> None:
        """``kill -9``, and wait until it is gone."""
        self.killed += 1
        process.kill()
        wait_until(
            lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, what="the end of a process"
        )

    def assert_files_sound(self) -> None:
        """Every file on record is there and unaltered; what the killed processes left can be removed."""
        found = self.manage("verify_files", "--settled-minutes", "0", "--delete-orphans")
        assert found.returncode == 0, found.stdout + found.stderr
        left = [int(number) for number in re.findall(r"^(\d+) (?:named by no record|unfinished):", found.stdout, re.M)]
        assert sum(left) <= self.killed, found.stdout
        again = self.manage("verify_files", "--settled-minutes", "0")
        assert again.returncode == 0, again.stdout + again.stderr
        assert "Every file on record is there" in again.stdout
        assert not re.search("named by no record|unfinished", again.stdout), again.stdout
