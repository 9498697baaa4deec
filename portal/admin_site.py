"""Django's admin site for IT and administrators: people, teams, jobs, models, settings, mail. No patient is in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib.admin import AdminSite, ModelAdmin
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path

from accounts.admin_rows import TableAdmin
from accounts.permissions import may
from portal.effective_settings import effective_settings

ROOMS = {"accounts": "People and messages", "diagnosis": "Background work and models"}


class SenolensAdminSite(AdminSite):
    """One sign-in page and one password page, with their limits and their ledger, instead of the admin site's own."""

    site_header = site_title = settings.SITE_NAME
    index_title = "Administration"
    enable_nav_sidebar = False

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.disable_action("delete_selected")

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        """Take only classes that ask the permission table: what libraries register for themselves is left out."""
        if admin_class is not None and issubclass(admin_class, TableAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def _build_app_dict(self, request: HttpRequest, label: Any = None) -> dict[str, Any]:
        """The rooms of the project in IT's words: what each page is called and what it is about."""
        found = super()._build_app_dict(request, label)
        for app in found.values():
            app["name"] = ROOMS.get(app["app_label"], app["name"])
            for entry in app["models"]:
                row = self._registry[entry["model"]]
                if isinstance(row, TableAdmin):
                    entry |= {"name": row.title or entry["name"], "about": row.about}
        return found

    def has_permission(self, request: HttpRequest) -> bool:
        return may(request.user, "operations", "view")

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return secure_admin_login(super().login)(request, extra_context)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return redirect("account_change_password")

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        """Closed: it names rows by ``str(row)``, which is the result of an analysis. No form here needs it."""
        raise Http404

    def app_index(
        self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        return super().app_index(
            request, app_label, {"title": ROOMS.get(app_label, app_label), **(extra_context or {})}
        )

    def get_urls(self) -> list[URLResolver | URLPattern]:
        return [path("settings/", self.admin_view(self.settings_view), name="settings"), *super().get_urls()]

    def settings_view(self, request: HttpRequest) -> HttpResponse:
        """The settings as they are in effect, without secrets."""
        context = {**self.each_context(request), "title": "Settings in effect", "groups": effective_settings()}
        return TemplateResponse(request, "admin/settings.html", context)
