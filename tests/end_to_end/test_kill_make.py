"""``make run`` is what people start, and stop."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.end_to_end.processes import ROOT, Site, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    prepared = Site(tmp_path_factory.mktemp("make"))
    prepared.prepare()
    (prepared.folder / "Makefile").write_text(
        f"run:\n\t@exec {sys.executable} manage.py serve --port {prepared.port}\n", encoding="utf-8"
    )
    yield prepared
    prepared.end()


def _as_from_a_shell(*, has_terminal: bool) -> None:
    """Let interrupts through, which whoever runs these tests in the background ignores; take the terminal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if has_terminal:
        os.close(os.open(os.ttyname(0), os.O_RDWR))


def _make(site: Site, *, terminal: int) -> subprocess.Popen[bytes]:
    """Start the recipe as ``make run`` does, as the foreground job of a terminal, or without one."""
    with site.log.open("ab") as log:
        site.supervisor = subprocess.Popen(
            ["make", "--directory", str(ROOT), "--file", str(site.folder / "Makefile"), "run"],
            env=site.environment,
            stdin=terminal,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: _as_from_a_shell(has_terminal=terminal >= 0),
        )
    site.wait_alive()
    return site.supervisor


def _assert_gone(site: Site) -> None:
    wait_until(lambda: not site.processes(), what="the end of every process", seconds=30)
    site.supervisor = None


def test_a_ctrl_c_in_the_terminal_stops_the_site_and_make_returns_0(site: Site):
    keyboard, terminal = pty.openpty()
    try:
        make = _make(site, terminal=terminal)
        os.write(keyboard, b"\x03")
        assert make.wait(timeout=60) == 0
        _assert_gone(site)
    finally:
        os.close(keyboard)
        os.close(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_to_make_alone_leaves_no_process(site: Site, number: signal.Signals):
    make = _make(site, terminal=subprocess.DEVNULL)
    make.send_signal(number)
    # make reports its own end, not that of the recipe.
    assert make.wait(timeout=60) == -number
    _assert_gone(site)
    assert site.log.read_text(encoding="utf-8").rstrip().endswith("Stopped.")
