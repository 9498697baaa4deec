"""What the classes of the admin site have in common: the permission table decides, actions write, nobody deletes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from accounts.ledger.wording import OBJECTS, ROLES
from accounts.notifications import KINDS
from accounts.permissions import may
from portal.jobs import State

ENDS_OF_FILTERS = frozenset({"", "exact", "id__exact", "isnull", "isempty"})
"""What the admin site's own filters put behind the name of a column."""
ADDRESS = re.compile(r"[^\s@<>\"'(){}\[\],;:]+@[^\s@<>\"'(){}\[\],;:]+")


@dataclass(frozen=True, slots=True)
class RowName:
    """What the admin site shows as the name of a row, instead of ``str(row)``, which may be a result or a person."""

    pk: Any
    words: str

    def __str__(self) -> str:
        return self.words


class TableAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Asks ``accounts.roles`` for everything. The admin site takes no class that is not one of these.

    Attributes:
        target: the object of the table that these rows are.
        title: of the list, where the model's own name is not IT's word for it.
        about: what the list is for, in one line.
    """

    target: ClassVar[str]
    title: ClassVar[str] = ""
    about: ClassVar[str] = ""
    list_per_page = 50
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may(request.user, self.target, "view")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request.user, self.target, "view")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Only the filters that are offered, as their links write them: whether a list is empty would tell what is in
        any other column, also in one that is reached through an offered one (``teams__studies__patient``)."""
        offered = {one[0] if isinstance(one, tuple) else one for one in self.list_filter}
        return any(lookup in {f"{name}__{end}".removesuffix("__") for end in ENDS_OF_FILTERS} for name in offered)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        words = self.title or capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": words, **(extra_context or {})})

    # The admin site's own history would hold names and values beside the ledger, which has it all.

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return None

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        raise Http404

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        raise PermissionDenied("This is only shown here.")

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        raise PermissionDenied("Nothing is deleted here.")

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        raise PermissionDenied("Nothing is deleted here.")


def moment(column: str, words: str) -> Any:
    """A column of a list that shows a time to the second, as the rest of the site writes it."""

    @admin.display(description=words, ordering=column)
    def shown(self: Any, row: Any) -> str:
        at = getattr(row, column)
        return date_format(timezone.localtime(at), "j M Y, H:i:s") if at else "-"

    return shown


class ShownAdmin(TableAdmin):
    """Rows that are shown and not changed, by the columns named here and no others.

    Attributes:
        columns: what is read of the table; everything else stays in the database.
        fields: what the page of one row shows.
    """

    columns: ClassVar[tuple[str, ...]]
    actions_selection_counter = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).only(*self.columns)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields

    @admin.display(description=SafeString('<input type="checkbox" id="action-toggle">'))
    def action_checkbox(self, obj: Any) -> SafeString:
        """Django names the row by ``str(obj)``, which is the result of an analysis."""
        label = f"Choose {self.opts.verbose_name} {str(obj.pk)[:8]}"
        return format_html(
            '<input type="checkbox" name="_selected_action" value="{}" class="action-select" aria-label="{}">',
            obj.pk,
            label,
        )

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        words = f"{self.opts.verbose_name} {str(object_id)[:8]}"
        named = {"original": RowName(pk=object_id, words=words), "subtitle": words}
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **named})


class FilledValuesFilter(admin.AllValuesFieldListFilter):
    """The values that there are, in words, without the empty one, which would be a link without words."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lookup_choices = self.lookup_choices.exclude(**{self.field_path: ""})

    def choices(self, changelist: Any) -> Iterator[Any]:
        every, *values = super().choices(changelist)
        yield every
        for one in values:
            # A code, and where counts are shown " (12)" behind it.
            code, space, count = str(one["display"]).partition(" ")
            yield {**one, "display": f"{in_words(code)}{space}{count}"}


def in_words(code: str) -> str:
    """A code of a row as words: the name of a kind of notification, of a role, or what the code itself says."""
    kind = KINDS.get(code)
    return kind.label if kind else str(ROLES.get(code) or capfirst(OBJECTS.get(code) or code.replace("_", " ")))


class JobAdmin(ShownAdmin):
    """Background work as a technical row: state, attempts, times, code and detail. No patient, no result."""

    target = "job"
    columns: ClassVar[tuple[str, ...]] = (
        *("id", "state", "stage", "attempts", "queued_at", "started_at", "finished_at", "lease_until"),
        *("error_code", "error_detail"),
    )
    list_display: Any = ("short_id", "state_words", "attempts", "queued", "finished", "error")
    list_display_links = ("short_id",)
    list_filter: ClassVar[Any] = ("state", ("error_code", FilledValuesFilter))
    ordering = ("-queued_at",)
    search_fields = ("id",)
    search_help_text = "Number of a row, in full"
    fields: ClassVar[Any] = (
        *("id", "state_words", "stage", "attempts", "queued", "started", "finished", "lease"),
        *("error_code", "detail"),
    )

    @admin.display(description="error", ordering="error_code")
    def error(self, row: Any) -> str:
        return in_words(row.error_code) if row.error_code else "-"

    queued = moment("queued_at", "queued")
    started = moment("started_at", "started")
    finished = moment("finished_at", "finished")
    lease = moment("lease_until", "lease until")
    actions: Any = ("retry", "cancel")

    @admin.display(description="row")
    def short_id(self, row: Any) -> str:
        return str(row.pk)[:8]

    @admin.display(description="state", ordering="state")
    def state_words(self, row: Any) -> str:
        words = State(row.state).label
        return format_html('<span class="job-state job-{}">{}</span>', row.state, words)

    @admin.display(description="error detail")
    def detail(self, row: Any) -> str:
        return format_html('<pre class="job-detail">{}</pre>', row.error_detail) if row.error_detail else "-"

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        """By the number of a row alone."""
        if not search_term:
            return queryset, False
        try:
            return queryset.filter(pk=uuid.UUID(search_term.strip())), False
        except ValueError:
            return queryset.none(), False

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return may(request.user, self.target, "retry")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return may(request.user, self.target, "cancel")

    @admin.action(description="Try again", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.each(request, queryset, self.retry_one, "in the queue again")

    @admin.action(description="Cancel", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.each(request, queryset, self.cancel_one, "cancelled")

    def retry_one(self, request: HttpRequest, row: Any) -> None:
        """Put one row in the queue again, by its action.

        Raises:
            RuleBroken: when its state does not allow it; the message says so.
        """
        raise NotImplementedError

    def cancel_one(self, request: HttpRequest, row: Any) -> None:
        raise NotImplementedError

    def each(self, request: HttpRequest, queryset: QuerySet[Any], act: Any, words: str) -> None:
        """Do it to each of the chosen rows, one transaction a row, and say what came of it."""
        done, refused = 0, {}
        for pk in list(queryset.values_list("pk", flat=True)):
            try:
                act(request, self.model._default_manager.get(pk=pk))
            except (RuleBroken, ValidationError, PermissionDenied) as rule:
                refused[str(pk)[:8]] = str(rule)
            else:
                done += 1
        if done:
            self.message_user(request, f"{done} {'row is' if done == 1 else 'rows are'} {words}.", messages.SUCCESS)
        for number, sentence in refused.items():
            self.message_user(request, f"Row {number}: {sentence}", messages.WARNING)


class RuleBroken(Exception):
    """The row's state does not allow what was asked; the message is for the person."""


def masked(address: str) -> str:
    """An e-mail address of which only the first letter and the house are left: ``p…@clinic.example``."""
    name, _, house = address.rpartition("@")
    return f"{name[:1]}…@{house}"


def masked_text(text: str) -> str:
    """Text with every e-mail address in it masked."""
    return ADDRESS.sub(lambda found: masked(found[0]), text)
