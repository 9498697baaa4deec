"""The sign-in page: allauth's, with our answer to too many tries and the log-ins of the demonstration."""

from __future__ import annotations

from typing import Any

from allauth.account.views import LoginView
from django.conf import settings
from django.forms import BaseForm
from django.http import HttpResponse

from accounts.models import User


class SignInView(LoginView):
    def form_invalid(self, form: BaseForm) -> HttpResponse:
        """Answer 429 where the refusal is one of frequency, so that programs and proxies understand it too."""
        response = super().form_invalid(form)
        if form.has_error("__all__", code="too_many_login_attempts"):
            response.status_code = 429
            response["Retry-After"] = str(settings.SIGN_IN_REFUSAL_SECONDS)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if settings.DEMO:
            context["demo_people"] = User.objects.filter(email__endswith="@demo.local", is_active=True).order_by("pk")
            context["demo_password"] = settings.DEMO_PASSWORD
        return context
