"""Secrets that must be read again, so that a digest will not do: encrypted wherever the database keeps them.

The key is made of ``SECRET_KEY``; what older keys sealed is read as long as they stand in ``SECRET_KEY_FALLBACKS``.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.utils.crypto import salted_hmac

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SALT = "exports.sealed"


class Unreadable(Exception):
    """No key of this site opens it."""


class Sealed(str):
    """A secret as the database has it."""

    __slots__ = ()


FIRST = "gAAAA"
"""Whatever is sealed begins with it: Fernet's version, and the upper bits of a time of this century."""


class SealedField(models.TextField):  # type: ignore[type-arg]  # Django's is generic in its stubs alone
    """A plain text that is given is sealed on its way to the database; what comes from there is ``Sealed``.

    Unless an earlier release wrote it, as plain text.
    """

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        return Sealed(value) if value and value.startswith(FIRST) else value

    def get_prep_value(self, value: Any) -> Any:
        return seal(value) if value and not isinstance(value, Sealed) else value


def seal(secret: str) -> Sealed:
    """Encrypted with today's key, and proof against change."""
    return Sealed(_fernets()[0].encrypt(secret.encode()).decode())


def unseal(secret: str) -> str:
    """The plain text, also of one that was never sealed. Raises ``Unreadable``."""
    if not isinstance(secret, Sealed):
        return secret
    from cryptography.fernet import InvalidToken, MultiFernet  # heavy, and few processes ever read a secret

    try:
        return MultiFernet(_fernets()).decrypt(secret).decode()
    except InvalidToken:
        raise Unreadable from None


def is_of_today(secret: str) -> bool:
    """Whether ``SECRET_KEY`` itself opens it, none of the keys of before."""
    from cryptography.fernet import InvalidToken  # as above

    try:
        _fernets()[0].decrypt(secret)
    except InvalidToken:
        return False
    return True


def _fernets() -> list[Fernet]:
    """One for each key, today's first."""
    from cryptography.fernet import Fernet  # as above

    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [salted_hmac(SALT, "", secret=key, algorithm="sha256").digest() for key in keys]
    return [Fernet(base64.urlsafe_b64encode(digest)) for digest in digests]
