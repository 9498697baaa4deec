"""Keeps a handful of child processes running, and leaves none behind: neither after a stop nor after ``kill -9``.

Each child leads its own process group, so that a Ctrl-C in the terminal reaches only the supervisor, which then stops
the children in order, and so that whatever a dead child leaves in its group is ended before it is started again. The
kernel ends a child whose supervisor dies (``prctl(2)``, PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

import structlog

log = structlog.get_logger(__name__)

GRACE_SECONDS = 20.0
"""How long a child may take to stop by itself: a request or a job that has begun is finished."""
RESTART_FIRST_SECONDS = 0.2
RESTART_LONGEST_SECONDS = 30.0
HEALTHY_SECONDS = 30.0
"""A child that ran this long starts its next restart without the delay of earlier ones."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with(supervisor: int) -> Callable[[], None]:
    """Return what a fresh child runs before ``exec``: bind its life to the supervisor's."""

    def bind() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != supervisor:
                # It died between fork and prctl.
                os._exit(1)

    return bind


@dataclass(slots=True)
class Child:
    """A process that should be running."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_at: float = 0.0
    failures: int = field(default=0)

    @property
    def is_running(self) -> bool:
        return self.process is not None

    def start(self) -> None:
        self.started = monotonic()
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()),
        )
        log.info("serve.started", child=self.name, pid=self.process.pid)

    def reap(self) -> int | None:
        """Return the exit status if the process has ended, after ending what is left of its group."""
        if self.process is None:
            return None
        # WNOWAIT leaves the dead leader in the table: its number cannot be given to a stranger before killpg.
        if os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        self.signal_group(signal.SIGKILL)
        status = self.process.wait()
        self.process = None
        return status

    def signal_group(self, number: signal.Signals) -> None:
        if self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                log.debug("serve.group_gone", child=self.name)

    def ask_to_stop(self) -> None:
        """Signal the leader only: it stops its own children in order."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)


class Supervisor:
    """Run children until SIGTERM or SIGINT; start again what dies.

    Args:
        children: what to run.
        on_tick: called about every ``tick_seconds`` from the supervising thread; returns whether to go on.
    """

    def __init__(
        self, children: Sequence[Child], *, on_tick: Callable[[], bool] = lambda: True, tick_seconds: float = 0.25
    ) -> None:
        self.children = children
        self.on_tick = on_tick
        self.tick_seconds = tick_seconds
        self._stop_asked = 0

    def run(self) -> None:
        """Return when every child has ended after a signal. Call it in the main thread."""
        wake, wakened = socket.socketpair()
        wake.setblocking(False)
        wakened.setblocking(False)
        previous_wakeup = signal.set_wakeup_fd(wakened.fileno(), warn_on_full_buffer=False)
        previous = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGTERM, self._ask),
                (signal.SIGINT, self._ask),
                (signal.SIGCHLD, lambda number, frame: None),
            )
        }
        try:
            while not self._stop_asked:
                self._keep_running()
                if not self.on_tick():
                    break
                self._wait(wake, self.tick_seconds)
            self._stop(wake)
        finally:
            for child in self.children:
                # Reached with a child alive only when something above raised.
                child.signal_group(signal.SIGKILL)
            for number, handler in previous.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(previous_wakeup)
            wake.close()
            wakened.close()

    def _ask(self, number: int, frame: object) -> None:
        self._stop_asked += 1

    @staticmethod
    def _wait(wake: socket.socket, seconds: float) -> None:
        """Sleep until a signal arrives, at most ``seconds``."""
        if select.select([wake], [], [], seconds)[0]:
            wake.recv(4096)

    def _keep_running(self) -> None:
        now = monotonic()
        for child in self.children:
            status = child.reap()
            if status is not None:
                child.failures = 0 if now - child.started > HEALTHY_SECONDS else child.failures + 1
                delay = min(RESTART_FIRST_SECONDS * 2 ** min(child.failures, 10), RESTART_LONGEST_SECONDS)
                child.start_at = now + delay
                log.error("serve.child_died", child=child.name, status=status, restart_in_seconds=delay)
            if not child.is_running and now >= child.start_at:
                child.start()

    def _stop(self, wake: socket.socket) -> None:
        log.info("serve.stopping")
        asked = self._stop_asked
        deadline = monotonic() + GRACE_SECONDS
        for child in self.children:
            child.ask_to_stop()
        while any(child.is_running for child in self.children):
            for child in self.children:
                if child.reap() is not None:
                    log.info("serve.stopped", child=child.name)
            # A signal that comes again while we wait means: now. A second within a moment of the first is the
            # terminal and make(1) both passing on the same Ctrl-C.
            again = self._stop_asked > asked + 1
            if again or monotonic() > deadline:
                for child in self.children:
                    if child.is_running:
                        log.warning("serve.killed", child=child.name)
                    child.signal_group(signal.SIGKILL)
            if any(child.is_running for child in self.children):
                self._wait(wake, 0.1)
