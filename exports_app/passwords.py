"""What ends with a change of password: API keys and one-time links carry a mark of the password of their user.

The mark is made from what Django makes sessions end by (``get_session_auth_hash``), so it is another one after any
change, whichever way it was made, and Django's ``SECRET_KEY_FALLBACKS`` hold for it as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model, hashers
from django.utils.crypto import constant_time_compare

from exports_app.models import ApiKey, ExportToken


def mark_of(user: Any) -> str:
    """To be stored with what shall end once this user has another password."""
    return _mark(user.get_session_auth_hash())


def fits(user: Any, mark: str) -> bool:
    """Whether the password is still the one that the mark was made of."""
    return any(constant_time_compare(mark, each) for each in _marks(user))


def _marks(user: Any) -> Iterable[str]:
    """By the key of today, and by those of before."""
    yield mark_of(user)
    yield from map(_mark, user.get_session_auth_fallback_hash())


def _mark(session_hash: str) -> str:
    """A digest: who reads our rows shall not have what sessions are checked by."""
    return hashlib.sha256(session_hash.encode()).hexdigest()


def keep_through_rehash(instance: Any, update_fields: Iterable[str] | None, **_: Any) -> None:
    """Before a user is saved: where Django only stores the same password by another hasher, nothing ends.

    It does so when somebody signs in after the site chose another hasher, and leaves traces that no change of a
    password leaves together: the password is all that is saved, its plain text was set with it and taken away again
    (``AbstractBaseUser.check_password``), and the hash before is one to be replaced.
    """
    if set(update_fields or ()) != {"password"} or instance.__dict__.get("_password", "") is not None:
        return
    stored = get_user_model()._default_manager.filter(pk=instance.pk).first()
    if stored is None or not _is_outdated(stored.password):
        return
    marks, new = list(_marks(stored)), mark_of(instance)
    ApiKey.objects.filter(user_id=instance.pk, password_mark__in=marks).update(password_mark=new)
    ExportToken.objects.filter(created_by_id=instance.pk, password_mark__in=marks).update(password_mark=new)


def _is_outdated(encoded: str) -> bool:
    """Whether Django replaces this hash at the next sign-in."""
    preferred = hashers.get_hasher("default")
    try:
        return hashers.identify_hasher(encoded).algorithm != preferred.algorithm or preferred.must_update(encoded)
    except ValueError:  # no hash, or of a hasher that is not used any more: nobody can sign in by it
        return False
