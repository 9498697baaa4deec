"""``serve`` as a recipe of GNU make, which passes SIGTERM on but not SIGINT, and which a Ctrl-C kills as well.

Signalled itself, make ends by that signal (status 130 or 143) whatever its recipe returns; that cannot be changed
from below. What can: a Ctrl-C in the terminal reaches only ``serve``, so that ``make run`` returns its 0; and a make
that was interrupted or killed from elsewhere takes the site with it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _catches_interrupts(pid: int) -> bool:
    """Whether the process has a handler for SIGINT (``SigCgt`` in proc(5))."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) & 1 << signal.SIGINT - 1)


def _name(pid: int) -> str:
    """The name of the program (``comm`` in proc(5)), or nothing when the process is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


class MakeParent:
    """The make that runs us, if one does."""

    def __init__(self) -> None:
        self.pid = os.getppid()
        self.is_make = "MAKELEVEL" in os.environ and _name(self.pid) in ("make", "gmake")
        # make has a handler from its start on (unless it was started with interrupts ignored, as a background job is),
        # and takes it away when it is interrupted and waits for its recipe.
        self.can_be_interrupted = _catches_interrupts(self.pid)

    def is_leaving(self) -> bool:
        """Whether make was interrupted or is gone."""
        if not self.is_make:
            return False
        return os.getppid() != self.pid or (self.can_be_interrupted and not _catches_interrupts(self.pid))

    @contextmanager
    def foreground(self) -> Iterator[None]:
        """Take the terminal from make while the body runs, so that Ctrl-C comes here alone.

        Ctrl-Z is ignored meanwhile: make and the shell would not notice that we stopped.
        """
        terminal = sys.stdin.fileno() if sys.stdin.isatty() else None
        if not self.is_make or terminal is None or os.tcgetpgrp(terminal) != os.getpgrp():
            yield
            return
        owner = os.getpgrp()
        previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTTOU, signal.SIGTSTP)}
        os.setpgid(0, 0)
        os.tcsetpgrp(terminal, os.getpgrp())
        try:
            yield
        finally:
            os.tcsetpgrp(terminal, owner)
            for number, handler in previous.items():
                signal.signal(number, handler)
