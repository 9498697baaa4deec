"""The bell of the site bar."""

from __future__ import annotations

from django import template
from django.http import HttpRequest

from accounts.models import Notification

register = template.Library()


@register.simple_tag(takes_context=True)
def unread_notifications(context: template.Context) -> int:
    """How many notifications the signed-in person has not read: one count on an index of unread rows alone."""
    request: HttpRequest = context["request"]
    return Notification.objects.visible_to(request.user).unread().count()
