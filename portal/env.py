"""Typed readers of the environment. Each variable is read once, in ``portal.settings``, and fails loudly.

Any variable may be given as ``NAME_FILE`` instead: the value is then the content of that file (a secret mounted by
the host), without its trailing newline.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


def text(name: str, default: str | None = None) -> str:
    """Return ``name`` from the environment, or from the file that ``NAME_FILE`` points to.

    Raises:
        ImproperlyConfigured: when neither is set and there is no default, when both are set, or when the file cannot
            be read.
    """
    value = os.environ.get(name)
    file = os.environ.get(f"{name}_FILE")
    if value is not None and file:
        raise ImproperlyConfigured(f"Set {name} or {name}_FILE, not both.")
    if file:
        try:
            return Path(file).read_text(encoding="utf-8").rstrip("\n")
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE points to {file}, which cannot be read: {error}.") from error
    if value is None:
        if default is None:
            raise ImproperlyConfigured(f"The environment variable {name} is not set.")
        return default
    return value


def boolean(name: str, *, default: bool) -> bool:
    """Return ``name`` as a truth value: 1/true/yes/on or 0/false/no/off, in any case."""
    value = text(name, "1" if default else "0").strip().lower()
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; write 1 or 0.")


def integer(name: str, default: int, *, minimum: int, maximum: int) -> int:
    """Return ``name`` as a whole number between ``minimum`` and ``maximum``."""
    raw = text(name, str(default)).strip()
    try:
        value = int(raw)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {raw!r}; write a whole number.") from error
    if not minimum <= value <= maximum:
        raise ImproperlyConfigured(f"{name} is {value}; write a number from {minimum} to {maximum}.")
    return value


def number(name: str, default: float, *, minimum: float, maximum: float) -> float:
    """Return ``name`` as a number, whole or with a decimal point, between ``minimum`` and ``maximum``."""
    raw = text(name, str(default)).strip()
    try:
        value = float(raw)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {raw!r}; write a number.") from error
    if not minimum <= value <= maximum:
        raise ImproperlyConfigured(f"{name} is {value:g}; write a number from {minimum:g} to {maximum:g}.")
    return value


def choice(name: str, default: str, *, allowed: tuple[str, ...]) -> str:
    """Return ``name``, which has to be one of ``allowed``."""
    value = text(name, default).strip()
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} is {value!r}; write one of: {', '.join(allowed)}.")
    return value


def items(name: str, default: str = "") -> list[str]:
    """Return ``name`` split at commas, without blanks and empty items."""
    return [item.strip() for item in text(name, default).split(",") if item.strip()]
