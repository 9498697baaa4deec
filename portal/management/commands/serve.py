"""Run the whole site on this machine: web and worker under one supervisor."""

from __future__ import annotations

import http.client
import os
import socket
import sys
from argparse import ArgumentParser
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from accounts.models import User
from diagnosis import actions, inference
from ml.contract import ModelError
from portal import demonstration, env
from portal.supervisor import Child, Supervisor
from portal.sweeper import ensure_queue_directory
from portal.under_make import MakeParent

THREADS = 8
"""Requests that one web process answers at a time."""
WEB_REQUEST_SECONDS = 60
WEB_GRACE_SECONDS = 10
LARGE_BYTES = 1024 * 1024
"""Blocks from this size on go back to the system at once. glibc's own threshold rises with use, up to 32 MB, and what
lies below stays with each thread: after eight large images the web process kept 1.6 GB, with this 160 MB."""
CHILD_MEMORY_KIB = 1_500_000
"""A worker child above this is replaced after the job in hand."""
CHILD_JOBS = 500
"""A worker child is replaced after so many jobs, so that a slow leak in a native library stays small."""
PATIENCE_SECONDS = 60


class Command(BaseCommand):
    help = "Run web and worker until Ctrl-C or SIGTERM. A process that dies is started again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
        parser.add_argument(
            "--port", type=int, default=env.integer("PORT", 8000, minimum=1, maximum=65535), help="default: 8000"
        )
        parser.add_argument("--workers", type=int, default=1, help="web processes (default: 1)")

    def handle(self, *args: Any, host: str, port: int, workers: int, **options: Any) -> None:
        if workers < 1:
            raise CommandError("--workers is at least 1.")
        self._refuse_an_old_database()
        self._refuse_a_taken_port(host, port)
        ensure_queue_directory()
        try:
            actions.register_models(found=inference.installed())
        except ModelError as error:
            self.stderr.write(f"{error} {error.remedy} The site starts; analyses fail until this is repaired.")
        self.is_demonstration = settings.DEMO and User.objects.filter(email=demonstration.PEOPLE[0].email).exists()
        connections.close_all()
        everywhere = host in ("0.0.0.0", "")  # nosec B104: compared, not bound
        self.address = ("127.0.0.1" if everywhere else "::1" if host == "::" else host, port)
        self.announced = False
        self.started = monotonic()
        make = MakeParent()

        def go_on() -> bool:
            self._announce()
            return not make.is_leaving()

        with make.foreground():
            Supervisor([_web(host, port, workers), _worker(port)], on_tick=go_on).run()
        self.stdout.write("Stopped.")

    def _refuse_an_old_database(self) -> None:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if waiting:
            raise CommandError(
                f"The database is not up to date ({len(waiting)} migrations are waiting). "
                "Make a backup, then run: python manage.py migrate"
            )

    def _refuse_a_taken_port(self, host: str, port: int) -> None:
        try:
            family, _, _, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            raise CommandError(
                f"Cannot listen on {host}, port {port}: {error.strerror}. "
                "Stop the other program, or choose another port with --port or PORT."
            ) from error

    def _announce(self) -> None:
        """Print the address once the site answers."""
        if self.announced:
            return
        if not _answers(self.address):
            if monotonic() - self.started > PATIENCE_SECONDS:
                self.announced = True
                self.stderr.write("The site does not answer yet; the lines above say why. Starting goes on.")
            return
        self.announced = True
        local = settings.PUBLIC_URL if urlsplit(settings.PUBLIC_URL).hostname != "localhost" else ""
        self.stdout.write(
            f"\nSenolens {settings.VERSION} is running: {local or f'http://localhost:{self.address[1]}'}/"
        )
        if self.is_demonstration:
            self.stdout.write("Demonstration hospital, synthetic patients. Log in as:")
            for person in demonstration.PEOPLE:
                self.stdout.write(f"  {person.role.label:<14} {person.email:<24} {settings.DEMO_PASSWORD}")
        self.stdout.write("Stop with Ctrl-C.\n")
        self.stdout.flush()


def _answers(address: tuple[str, int]) -> bool:
    # The name has to be one of ALLOWED_HOSTS, which need not contain this machine's own address.
    name = urlsplit(settings.PUBLIC_URL).netloc
    probe = http.client.HTTPConnection(*address, timeout=0.5)
    try:
        probe.request("GET", "/healthz", headers={"Host": name})
        return probe.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        probe.close()


def _environment(port: int) -> dict[str, str]:
    """The supervisor's own, where PORT says what ``--port`` said: without a PUBLIC_URL, links and reports name it."""
    return {**os.environ, "PORT": str(port)}


def _web(host: str, port: int, workers: int) -> Child:
    return Child(
        name="web",
        command=[
            *(sys.executable, "-m", "gunicorn", "portal.wsgi:application"),
            *("--bind", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"),
            *("--worker-class", "gthread", "--workers", str(workers), "--threads", str(THREADS)),
            *("--timeout", str(WEB_REQUEST_SECONDS), "--graceful-timeout", str(WEB_GRACE_SECONDS)),
            # Its control socket would lie in the home directory, shared by every site of this account.
            "--no-control-socket",
            *("--log-level", "warning"),
        ],
        environment={"MALLOC_MMAP_THRESHOLD_": str(LARGE_BYTES), **_environment(port)},
    )


def _worker(port: int) -> Child:
    return Child(
        name="worker",
        command=[
            *(sys.executable, "-m", "celery", "--app", "portal", "--quiet", "worker"),
            *("--pool", "prefork", "--concurrency", str(settings.CELERY_WORKER_CONCURRENCY)),
            *("--max-memory-per-child", str(CHILD_MEMORY_KIB), "--max-tasks-per-child", str(CHILD_JOBS)),
            # Workers need not know of each other: the database decides who does what.
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ],
        environment=_environment(port),
    )
