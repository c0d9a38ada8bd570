"""The forms of /login/ and /admin/login/, with a sentence for who must wait."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError

from exportsite.signin.backend import WAIT

WRONG = "The name or the password is not right."


class _Waiting:
    """The same words for any account, known or not."""

    request: Any
    error_messages: dict[str, Any]

    def get_invalid_login_error(self) -> ValidationError:
        wait = getattr(self.request, WAIT, 0)
        if not wait:
            return ValidationError(self.error_messages["invalid_login"], code="invalid_login")
        return ValidationError(f"Too many attempts. Try again in {_in_words(wait)}.", code="wait")


class SignInForm(_Waiting, AuthenticationForm):
    error_messages = {**AuthenticationForm.error_messages, "invalid_login": WRONG}


class AdminSignInForm(_Waiting, AdminAuthenticationForm):
    error_messages = {**AdminAuthenticationForm.error_messages, "invalid_login": WRONG}


def _in_words(seconds: int) -> str:
    if seconds > 90:
        return f"{-(-seconds // 60)} minutes"
    return "1 second" if seconds == 1 else f"{seconds} seconds"
