"""Every address of the site and what it asks of the permission table: for docs/access.md and the tests of access."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern

from accounts.roles import TABLE, Role

OWN = ("accounts.", "diagnosis.", "portal.")
"""Packages of this project."""


@dataclass(frozen=True, slots=True)
class Address:
    """One URL pattern.

    Attributes:
        name: with its namespace; the route where it has none.
        route: as in the URL configuration, from the root.
        callback: what answers.
        arguments: names of its converters.
    """

    name: str
    route: str
    callback: Any
    arguments: tuple[str, ...]

    @property
    def view(self) -> Any:
        return getattr(self.callback, "view_class", None) or getattr(self.callback, "cls", None) or self.callback

    @property
    def is_own(self) -> bool:
        return f"{self.view.__module__}.".startswith(OWN)

    @property
    def is_api(self) -> bool:
        return self.route.startswith("/api/")

    @property
    def is_admin(self) -> bool:
        return self.name.startswith("admin:")

    @property
    def permissions(self) -> dict[str, tuple[str, str]]:
        """Method -> what is asked of the table; empty where nothing is."""
        if hasattr(self.callback, "required_permission"):
            return {"GET": self.callback.required_permission, "POST": self.callback.required_for_writing}
        return dict(getattr(self.view, "required_permissions", {}))


def _walk(patterns: Iterable[Any], prefix: str, namespace: str) -> Iterator[Address]:
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from _walk(entry.url_patterns, route, inner)
        elif isinstance(entry, URLPattern):
            is_expression = isinstance(entry.pattern, RegexPattern)
            arguments = entry.pattern.regex.groupindex if is_expression else entry.pattern.converters
            yield Address(
                name=f"{namespace}{entry.name or entry.pattern}",
                route=route,
                callback=entry.callback,
                arguments=tuple(arguments),
            )


def addresses() -> list[Address]:
    """All of them, in the order in which they are tried."""
    return list(_walk(get_resolver().url_patterns, "/", ""))


def as_markdown() -> str:
    """The addresses that ask the table, with what and who, as a table of Markdown."""
    roles = [str(role.label) for role in Role]
    rows = [f"| address | method | asks for | {' | '.join(roles)} |", f"| --- | --- | --- |{' :---: |' * len(roles)}"]
    for address in addresses():
        methods: dict[tuple[str, str], list[str]] = {}
        for method, permission in address.permissions.items():
            methods.setdefault(permission, []).append(method)
        for (target, verb), names in methods.items():
            marks = " | ".join("yes" if role in TABLE[target][verb] else "" for role in Role)
            rows.append(f"| `{address.route}` | {', '.join(names)} | `{target}.{verb}` | {marks} |")
    return "\n".join(rows)
