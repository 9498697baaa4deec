"""What people type to sign in, and to set up how they do. allauth's forms with our words and our check of codes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from allauth.account import forms as allauth_forms
from allauth.core import context
from allauth.mfa import signals
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.base import forms as mfa_forms
from allauth.mfa.base.internal.flows import check_rate_limit
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp_forms
from allauth.mfa.webauthn import forms as webauthn_forms
from django import forms
from django.core.validators import MaxLengthValidator

from accounts import actions
from accounts.addresses import canonical
from accounts.passwords import LONGEST
from accounts.plain_text import one_line

CODE_DIGITS = {"inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True}


def plain(fields: Iterable[forms.Field]) -> None:
    """The label says what the field is; a placeholder that repeats it looks like a filled field."""
    for field in fields:
        field.widget.attrs.pop("placeholder", None)


def _at_most(field: forms.Field, characters: int) -> None:
    field.validators.append(MaxLengthValidator(characters))
    field.widget.attrs["maxlength"] = str(characters)


def _new_passwords(form: forms.BaseForm) -> None:
    form.fields["password1"].label = "New password"
    form.fields["password1"].help_text = "At least 12 characters. Three or four words of your own are good."
    form.fields["password2"].label = "New password again"
    for name in ("password1", "password2"):
        form.fields[name].widget.attrs["autocomplete"] = "new-password"


class SignInForm(allauth_forms.LoginForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain(self.fields.values())
        self.fields["login"].label = "E-mail address"
        self.fields["login"].widget.attrs.update(autofocus=True, autocomplete="username webauthn")
        _at_most(self.fields["password"], LONGEST)

    def clean_login(self) -> str:
        return canonical(self.cleaned_data["login"])


class ChangePasswordForm(allauth_forms.ChangePasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain(self.fields.values())
        self.fields["oldpassword"].label = "Current password"
        _new_passwords(self)


class AskResetForm(allauth_forms.ResetPasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain(self.fields.values())
        self.fields["email"].label = "E-mail address"

    def clean_email(self) -> str:
        self.cleaned_data["email"] = canonical(self.cleaned_data["email"])
        return super().clean_email()  # type: ignore[no-any-return]


class ResetPasswordForm(allauth_forms.ResetPasswordKeyForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain(self.fields.values())
        _new_passwords(self)


class ReauthenticateForm(allauth_forms.ReauthenticateForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain(self.fields.values())
        self.fields["password"].help_text = ""
        self.fields["password"].widget.attrs["autofocus"] = True
        _at_most(self.fields["password"], LONGEST)


class _CodeForm(mfa_forms.BaseAuthenticateForm):
    """A code of the authenticator app, or a recovery code; either works once."""

    again = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain(self.fields.values())
        self.fields["code"].widget.attrs.update(CODE_DIGITS)
        _at_most(self.fields["code"], 20)

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        forget_tries = check_rate_limit(self.user)
        authenticator = actions.use_code(user=self.user, code=code)
        if authenticator is None:
            tried = Authenticator.objects.filter(user=self.user).exclude(type=Authenticator.Type.WEBAUTHN).first()
            if tried is not None:
                signals.authentication_failed.send(
                    sender=Authenticator,
                    request=context.request,
                    user=self.user,
                    authenticator=tried,
                    reauthentication=self.again,
                )
            raise get_mfa_adapter().validation_error("incorrect_code")
        self.authenticator = authenticator
        forget_tries()
        return code

    def save(self) -> None:
        mfa_forms.post_authentication(context.request, self.authenticator, reauthenticated=self.again)


class OneTimeCodeForm(_CodeForm):
    pass


class OneTimeCodeAgainForm(_CodeForm):
    again = True


class ActivateTotpForm(totp_forms.ActivateTOTPForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain(self.fields.values())
        self.fields["code"].label = "Code that the app shows"
        self.fields["code"].widget.attrs.update(CODE_DIGITS)
        _at_most(self.fields["code"], 20)


def _names_one_line(form: forms.BaseForm, text: str) -> None:
    field = form.fields["name"]
    field.label = "Name"
    field.help_text = text
    _at_most(field, 80)
    field.validators.append(one_line)


class AddPasskeyForm(webauthn_forms.AddWebAuthnForm):
    """A passkey that opens the site by itself: it checks the person, by PIN or finger, so it counts as two factors."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _names_one_line(self, "So that you know it again, such as: telephone, key on my ring.")
        del self.fields["passwordless"]

    def clean(self) -> dict[str, Any]:
        self.cleaned_data["passwordless"] = True
        return super().clean()  # type: ignore[no-any-return]


class RenamePasskeyForm(webauthn_forms.EditWebAuthnForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _names_one_line(self, "")


class TokenForm(forms.Form):
    """A new API token of one's own."""

    label = forms.CharField(
        label="What is it for?",
        max_length=80,
        validators=[one_line],
        help_text="In your words, such as: import of the PACS.",
    )
    days = forms.TypedChoiceField(
        label="Expires after", coerce=int, choices=[(1, "1 day"), (7, "7 days"), (30, "30 days"), (90, "90 days")]
    )
