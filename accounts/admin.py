"""The admin site for people. Patients are not here: IT staff open this site and have no business with their names."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.options import ShowFacets
from django.core.exceptions import ValidationError
from django.db.models import QuerySet, Value
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.text import capfirst

from accounts import actions
from accounts.admin_rows import (
    FilledValuesFilter,
    JobAdmin,
    RuleBroken,
    ShownAdmin,
    TableAdmin,
    in_words,
    masked,
    masked_text,
    moment,
)
from accounts.ledger.wording import PHRASES, fallback
from accounts.models import AuditEvent, Notification, OutgoingMail, Team, User
from accounts.permissions import may, may_grant
from accounts.reconfirm import reconfirmed
from accounts.roles import Role


@admin.display(description="kind", ordering="kind")
def kind_words(_admin: Any, row: Any) -> str:
    """The kind of a notification or an e-mail, as the page of preferences names it."""
    return in_words(row.kind)


class ChangedByActionAdmin(TableAdmin):
    """Rows that may be changed here, by the same verb as everywhere else; what it refuses is shown above the form."""

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        if request.method == "POST":
            return reconfirmed(self._take_changes)(request, object_id, form_url, extra_context)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _take_changes(self, request: HttpRequest, *args: Any) -> Any:
        try:
            return super().changeform_view(request, *args)
        except ValidationError as refusal:
            sentences = refusal.messages
        except PermissionError as rule:
            sentences = [str(rule)]
        for sentence in sentences:
            self.message_user(request, f"{sentence} Nothing was saved.", messages.ERROR)
        return redirect(request.path)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Nothing: the action wrote everything."""

    def changes_in(self, form: ModelForm) -> dict[str, Any]:
        return {name: form.cleaned_data[name] for name in form.changed_data}


@admin.register(User)
class UserAdmin(ChangedByActionAdmin):
    """Users are made on the portal's page, which invites them or shows their one-time password."""

    target = "user"
    about = "Who may sign in, with which role. New people are invited on the users page."
    list_display = ("email", "given_name", "family_name", "role", "is_active", "signed_in")
    list_filter = ("role", "is_active", "teams")
    search_fields = ("email", "given_name", "family_name")
    fields = ("email", "given_name", "family_name", "role", "is_active", "joined", "signed_in", "invited")

    joined = moment("date_joined", "on record since")
    signed_in = moment("last_login", "last sign-in")
    invited = moment("invited_at", "newest invitation")

    def get_queryset(self, request: HttpRequest) -> Any:
        return User.objects.visible_to(request.user)

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """The admin site searches in the address. Who sees patients' log-ins searches them on the users page, which
        keeps names out of it."""
        return () if may(request.user, "patient", "view") else self.search_fields

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        closed = {"joined", "signed_in", "invited"}
        if obj is not None and obj.pk == request.user.pk:
            closed |= {"role", "is_active"}
        if obj is not None and not may_grant(request.user, obj.role):
            closed |= {"email", "given_name", "family_name", "role"}
        return tuple(name for name in self.fields if name in closed)

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "role":
            kwargs["choices"] = [(role.value, str(role.label)) for role in Role if may_grant(request.user, role)]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return may(request.user, "user", "change")

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        acting_user = User.objects.get(pk=request.user.pk)
        user = User.objects.visible_to(acting_user).get(pk=obj.pk)
        actions.update_user(acting_user=acting_user, user=user, **self.changes_in(form))


@admin.register(Team)
class TeamAdmin(ChangedByActionAdmin):
    """Teams are made and named by administrators; IT sees which there are."""

    target = "team"
    about = "Departments; who is in one is chosen on the teams page."
    list_display = ("name", "is_active", "created")
    list_filter = ("is_active",)
    search_fields = ("name",)
    created = moment("created_at", "created")

    def get_fields(self, request: HttpRequest, obj: Team | None = None) -> tuple[str, ...]:
        return ("name",) if obj is None else ("name", "is_active", "created")

    def get_readonly_fields(self, request: HttpRequest, obj: Team | None = None) -> tuple[str, ...]:
        return ("created",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may(request.user, "team", "create")

    def has_change_permission(self, request: HttpRequest, obj: Team | None = None) -> bool:
        return may(request.user, "team", "change")

    def save_model(self, request: HttpRequest, obj: Team, form: ModelForm, change: bool) -> None:
        acting_user = User.objects.get(pk=request.user.pk)
        if change:
            actions.update_team(acting_user=acting_user, team=Team.objects.get(pk=obj.pk), **self.changes_in(form))
        else:
            team = actions.create_team(acting_user=acting_user, name=form.cleaned_data["name"])
            obj.pk = team.pk


@admin.register(OutgoingMail)
class OutgoingMailAdmin(JobAdmin):
    """E-mails on their way. The text and the subject are not read; a patient's address is masked for IT."""

    target = "mail"
    about = "What waits, what was sent, what the mail server refused; not what is written."
    columns = (*JobAdmin.columns, "kind", "recipient", "created_at", "sent_at", "user__role")
    list_display = ("short_id", "kind_words", "to", "state_words", "attempts", "created", "sent", "error")
    list_filter = ("state", ("kind", FilledValuesFilter), ("error_code", FilledValuesFilter))
    ordering = ("-created_at",)
    fields = ("id", "kind_words", "to", "state_words", "attempts", "created", "sent", "error_code", "detail")
    kind_words = kind_words
    created = moment("created_at", "created")
    sent = moment("sent_at", "sent")
    list_select_related = ("user",)
    actions = ("retry",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related("user")
        # The methods that show a column are not told who looks.
        return rows.annotate(for_it=Value(not may(request.user, "patient", "view")))

    @admin.display(description="recipient")
    def to(self, row: Any) -> str:
        return masked(row.recipient) if _is_masked(row) else row.recipient

    @admin.display(description="error detail")
    def detail(self, row: Any) -> str:
        if _is_masked(row):
            row.error_detail = masked_text(row.error_detail)
        return super().detail(row)

    def retry_one(self, request: HttpRequest, row: Any) -> None:
        try:
            done = actions.retry_mail(acting_user=User.objects.get(pk=request.user.pk), row=row)
        except actions.TextExpired as gone:
            raise RuleBroken(str(gone)) from gone
        if not done:
            raise RuleBroken("Only an e-mail that failed, was cancelled or waits can be sent again.")


def _is_masked(row: Any) -> bool:
    """Whether this recipient may be a patient, and who looks may not know patients. Nobody's mail is taken for one."""
    return bool(row.for_it) and (row.user is None or row.user.role == Role.PATIENT)


@admin.register(Notification)
class NotificationAdmin(ShownAdmin):
    """How many notifications of which kind there are, and whether they were read; not what they say, nor to whom."""

    target = "job"
    about = "How many of which kind, for which role, and whether they were read."
    columns = ("id", "kind", "created_at", "read_at", "user__role")
    list_display = ("kind_words", "role", "created", "read")
    list_display_links = None
    list_filter = (("kind", FilledValuesFilter), ("read_at", admin.EmptyFieldListFilter))
    list_select_related = ("user",)
    show_facets = ShowFacets.ALWAYS
    ordering = ("-created_at",)
    fields: ClassVar[Any] = ("kind_words", "role", "created", "read")
    kind_words = kind_words
    created = moment("created_at", "created")
    read = moment("read_at", "read")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("user")

    @admin.display(description="role", ordering="user__role")
    def role(self, row: Notification) -> str:
        return row.user.get_role_display()


@admin.register(AuditEvent)
class LedgerMetadataAdmin(ShownAdmin):
    """That something happened, when, by which role and from which channel. Whose record it was stays in the ledger."""

    target = "ledger_metadata"
    title = "Ledger, metadata"
    about = "That something happened: time, role, action, channel. Not whose record it was."
    columns = ("id", "at", "actor_role", "action", "channel", "object_type")
    list_display = ("when", "role", "done", "channel", "object_words")
    list_display_links = None
    list_filter = (("actor_role", FilledValuesFilter), "channel", ("object_type", FilledValuesFilter))
    ordering = ("-at",)
    fields: ClassVar[Any] = ("at", "actor_role", "action", "channel", "object_type")
    change_list_template = "admin/ledger_metadata.html"
    when = moment("at", "time")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The list; a row has no page of its own."""
        return obj is None and super().has_view_permission(request)

    @admin.display(description="done", ordering="action")
    def done(self, row: AuditEvent) -> str:
        return str(capfirst(PHRASES.get(row.action) or fallback(row.action)))

    @admin.display(description="to what", ordering="object_type")
    def object_words(self, row: AuditEvent) -> str:
        return in_words(row.object_type) if row.object_type else "-"

    @admin.display(description="role", ordering="actor_role")
    def role(self, row: AuditEvent) -> str:
        return dict(Role.choices).get(row.actor_role, capfirst(row.actor_role))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        opens = may(request.user, "ledger", "view")
        return super().changelist_view(request, {**(extra_context or {}), "opens_ledger": opens})
