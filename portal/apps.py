from typing import Any

from django.apps import AppConfig
from django.core.management import call_command
from django.db.models.signals import post_migrate

from portal import checks


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        checks.register_all()
        post_migrate.connect(_make_cache_table, sender=self)


def _make_cache_table(*, using: str, **kwargs: Any) -> None:
    """The table that counted tries are kept in (``settings.CACHES``); does nothing where there is one or none is used."""
    call_command("createcachetable", database=using, verbosity=0)
