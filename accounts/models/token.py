"""Tokens of the REST API."""

from __future__ import annotations

from django.db import models

from accounts.models.person import User


class ApiToken(models.Model):
    """A bearer token of the REST API. Only its SHA-256 is kept; the token itself is shown once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    label = models.CharField(max_length=80, blank=True, help_text="What the token is for, in its owner's words.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"token of {self.user}, until {self.expires_at:%Y-%m-%d %H:%M}"
