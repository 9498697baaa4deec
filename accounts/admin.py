"""The admin site for people. Patients are not here: IT staff open this site and have no business with their names."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts import actions
from accounts.models import User
from accounts.permissions import may, may_grant
from accounts.roles import Role


def _password_change(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    return redirect("account_change_password")


admin.site.site_header = admin.site.site_title = settings.SITE_NAME
admin.site.index_title = "Administration"
# One sign-in page and one password page, with their limits and their ledger, instead of the admin site's own.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.password_change = _password_change  # type: ignore[method-assign, assignment]


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    """Users are made on the portal's page, which shows their one-time password."""

    list_display = ("email", "given_name", "family_name", "role", "is_active", "last_login")
    list_filter = ("role", "is_active")
    search_fields = ("email", "given_name", "family_name")
    fields = ("email", "given_name", "family_name", "role", "is_active", "date_joined", "last_login")

    def get_queryset(self, request: HttpRequest) -> Any:
        return User.objects.visible_to(request.user)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        closed = {"date_joined", "last_login"}
        if obj is not None and obj.pk == request.user.pk:
            closed |= {"role", "is_active"}
        if obj is not None and not may_grant(request.user, obj.role):
            closed |= {"email", "given_name", "family_name", "role"}
        return tuple(name for name in self.fields if name in closed)

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "role":
            kwargs["choices"] = [(role.value, str(role.label)) for role in Role if may_grant(request.user, role)]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may(request.user, "user", "view")

    def has_view_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return may(request.user, "user", "view")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return may(request.user, "user", "change")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        acting_user = User.objects.get(pk=request.user.pk)
        actions.update_user(acting_user=acting_user, user=User.objects.get(pk=obj.pk), **changes)
