"""The sign-in page: allauth's, with our answer to too many tries and the log-ins of the demonstration."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.views import LoginView
from allauth.socialaccount.adapter import get_adapter as get_provider_adapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.forms import BaseForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe
from requests import RequestException

from accounts.http import SignedInRequest
from accounts.models import User
from accounts.permissions import needs
from accounts.single_sign_on import PROVIDER, HospitalProvider, refused


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
        if not get_adapter(self.request).is_safe_url(context.get("redirect_field_value") or ""):
            context["redirect_field_value"] = None
        context["provider_name"] = settings.OIDC_NAME if settings.OIDC_URL else ""
        if settings.DEMO:
            context["demo_people"] = User.objects.filter(email__in=settings.DEMO_LOGINS, is_active=True).order_by("pk")
            context["demo_password"] = settings.DEMO_PASSWORD
        return context


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def provider_sign_in(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """Lead to the hospital's single sign-on, from the button on the sign-in page alone: a link on a page elsewhere must
    not have somebody signed in who did not ask for it. Nothing of the address but ``next`` is passed on."""
    if request.method != "POST" and provider_id == PROVIDER and settings.OIDC_URL:
        return redirect("account_login")
    return _to_provider(request, provider_id)


def _to_provider(request: HttpRequest, provider_id: str, *, again: bool = False) -> HttpResponseBase:
    try:
        provider = get_provider_adapter(request).get_provider(request, provider_id)
    except SocialApp.DoesNotExist as none:
        raise Http404 from none
    wanted = request.GET.get("next", "")
    back = wanted if get_adapter(request).is_safe_url(wanted) else None
    asked = {"prompt": "login"} if again else {}
    try:
        return provider.redirect(request, process=AuthProcess.LOGIN, next_url=back, auth_params=asked)  # type: ignore[no-any-return]
    except (OAuth2Error, RequestException, KeyError, ValueError) as fault:
        return refused(request, user=None, code=f"out_of_reach_{type(fault).__name__}")


@login_not_required
@require_safe
def provider_callback(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """Where the single sign-on leads back to."""
    try:
        return OAuth2CallbackView.adapter_view(HospitalProvider(request, provider_id))(request)  # type: ignore[no-any-return]
    except SocialApp.DoesNotExist as none:
        raise Http404 from none
    except (OAuth2Error, RequestException, KeyError, ValueError) as fault:
        return refused(request, user=None, code=f"unreadable_{type(fault).__name__}")


@require_safe
@needs("own_account", "view")
def reconfirm_by_provider(request: SignedInRequest) -> HttpResponseBase:
    """Prove who one is by signing in with the provider again."""
    return _to_provider(request, PROVIDER, again=True)
