"""The demonstration hospital as real processes, every image analysed and every report made."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.processes import Site

PASSWORD = "senolens-demo-2026"
RADIOLOGIST = "radiologist@demo.local"
ADMINISTRATOR = "admin@demo.local"
IT_STAFF = "it@demo.local"
PATIENT = "patient@demo.local"


def opened(folder: Path) -> Site:
    """A site on a fresh data directory under ``folder``; the caller ends it.

    The style sheets and scripts that it sends are those of the working tree.
    """
    hospital = Site(folder)
    try:
        for command in (
            ("collectstatic", "--noinput", "--verbosity", "0"),
            ("migrate", "--verbosity", "0"),
            ("seed_demo",),
        ):
            done = hospital.manage(*command)
            assert done.returncode == 0, done.stderr[-3000:]
        hospital.start()
        hospital.wait_done([])
    except BaseException:
        hospital.end()
        raise
    return hospital
