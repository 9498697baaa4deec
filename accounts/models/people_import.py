"""A list of people that somebody uploaded and has not confirmed yet."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from accounts.models.person import User


class PeopleImport(models.Model):
    """The cells of an uploaded list, kept on the server between the preview and "import": what is confirmed is what
    was shown. The row is deleted by the transaction that imports it, so a list is imported once; or when it expires.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    encoding = models.CharField(max_length=20)
    rows = models.JSONField(help_text="Cells as they were typed; checked anew each time.")

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"list of {len(self.rows)} people, {self.created_at:%Y-%m-%d %H:%M}"
