"""The project's version, read from the first heading of the CHANGELOG so that it is written in one place."""

import re
from pathlib import Path

_HEADING = re.compile(r"^## (\d+\.\d+\.\d+)", re.MULTILINE)


def _read() -> str:
    changelog = Path(__file__).resolve().parent.parent / "CHANGELOG.md"
    found = _HEADING.search(changelog.read_text(encoding="utf-8"))
    if found is None:
        raise RuntimeError("CHANGELOG.md has no heading of the form '## 1.2.3'.")
    return found.group(1)


VERSION = _read()
