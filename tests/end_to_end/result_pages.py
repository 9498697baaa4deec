"""Where the results of :mod:`tests.end_to_end.results_to_read` are read, once they are filed in a running site."""

from __future__ import annotations

import json

from tests.end_to_end.processes import Site
from tests.end_to_end.screens import Screen

SCRIPT = "from tests.end_to_end.results_to_read import file_results; file_results()"

SCREENS_OF_RESULTS = (
    Screen("lesion", "{outlined}", small=True),
    Screen("marks", "{marked}"),
    Screen("exam", "{mammogram}", small=True),
    Screen("refused", "{refused}"),
)


def filed(site: Site) -> dict[str, str]:
    """File the results in a running demonstration; returns the addresses of their pages by name."""
    done = site.manage("shell", "--no-imports", "--command", SCRIPT)
    assert done.returncode == 0, done.stderr[-3000:]
    addresses: dict[str, str] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    return addresses
