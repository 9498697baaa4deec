from typing import Any

from django.apps import AppConfig, apps
from django.contrib.admin.apps import AdminConfig
from django.core.management import call_command
from django.db.models.signals import post_migrate

from portal import checks


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        checks.register_all()
        # Of this room no signal comes: it has no models.
        post_migrate.connect(_make_cache_table, sender=apps.get_app_config("accounts"))


def _make_cache_table(*, using: str, **kwargs: Any) -> None:
    """Make the table that counted tries are kept in (``settings.CACHES``), unless it is there or none is used."""
    call_command("createcachetable", database=using, verbosity=0)


class SiteAdminConfig(AdminConfig):
    """Django's admin site in this project's own clothes and under its own rules."""

    default_site = "portal.admin_site.SenolensAdminSite"
