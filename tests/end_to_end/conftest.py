"""Sites of real processes, and the servers that production has."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.end_to_end import browser as browsing
from tests.end_to_end import demonstration_site
from tests.end_to_end.processes import ROOT, Site, free_port, wait_until

POSTGRES_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    """A running demonstration: SQLite, the broker that needs no server, one worker child."""
    running = Site(tmp_path_factory.mktemp("site"))
    running.prepare()
    try:
        running.start()
        running.sign_in()
        yield running
    finally:
        running.end()


@pytest.fixture(scope="session")
def hospital(tmp_path_factory) -> Iterator[Site]:
    """The demonstration hospital, running and analysed. Tests add to it; none counts on being the first."""
    if not (ROOT / "node_modules" / "htmx.org").is_dir():
        pytest.skip("the browser libraries are not installed (make setup)")
    running = demonstration_site.opened(tmp_path_factory.mktemp("hospital"))
    try:
        yield running
    finally:
        running.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium. Of a module, not of the session: its event loop would keep later tests off the database."""
    if browsing.executable() is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with browsing.chromium() as running:
        yield running


class RedisServer:
    """A Redis of our own that keeps nothing on disk, as the worst case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--save", "", "--appendonly", "no"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        wait_until(lambda: self.command("PING") == "PONG", what="Redis", seconds=20)

    def command(self, *words: str) -> str:
        asked = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout.strip()

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def redis(tmp_path_factory) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory) -> Iterator[str]:
    """A PostgreSQL of our own; returns its DATABASE_URL."""
    if not POSTGRES_FOLDERS:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    folder = tmp_path_factory.mktemp("postgres")
    # PostgreSQL refuses to run as root; the package made an account for it.
    account: dict[str, object] = {}
    if os.getuid() == 0:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no account named postgres")
        account = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        for parent in folder.parents[:3]:
            if parent != Path("/tmp"):
                parent.chmod(0o755)
    binaries, data, port = POSTGRES_FOLDERS[0], folder / "data", free_port()
    subprocess.run(
        [binaries / "initdb", "--pgdata", data, "--username", "senolens", "--auth", "trust", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
        **account,  # type: ignore[call-overload]
    )
    server = subprocess.Popen(
        [
            *(binaries / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder),
            # The server's own durability is not what is tested here.
            *("-c", "fsync=off"),
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **account,  # type: ignore[call-overload]
    )
    try:

        def answers() -> bool:
            asked = [binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
            return subprocess.run(asked, capture_output=True).returncode == 0

        wait_until(answers, what="PostgreSQL", seconds=30)
        yield f"postgres://senolens@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(timeout=30)
