"""The room of people."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import import_string


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People and messages"

    def ready(self) -> None:
        # Signal receivers connect when their module is loaded, and models may not be imported before this point.
        import_string("accounts.signals.note_sign_in")
        post_migrate.connect(import_string("accounts.ledger.guard.install_after_migrate"), sender=self)
