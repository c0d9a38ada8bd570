"""API keys: made, looked up at each call made with one, ended.

A secret is ``exk_``, 43 random characters (256 bits) and six that check them, so that scanners know one where it does
not belong, and a mistyped one is refused without asking the database. Keys of before have other secrets and the same
digest.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from exports_app import clock, conf, errors, handover, keys, passwords
from exports_app.keys import Permit
from exports_app.logs import log
from exports_app.models import ApiKey
from exports_app.resources import registry

PREFIX: Final = "exk_"
_ALPHABET = string.digits + string.ascii_letters
_RANDOM_CHARACTERS = 43  # 62 ** 43 > 2 ** 256
_CHECK_CHARACTERS = 6  # 62 ** 6 > 2 ** 32
_LONGEST = 200
_SHOWN_CHARACTERS = 8
"""Of a secret, to know it by."""

USUAL_DAYS = 90
MAX_KEYS = 20
"""Keys that one user may have at once."""
MAX_NAME = 100
"""Characters of a key's name."""
USED_EVERY = timedelta(minutes=1)
"""No more often is it noted that a key was used."""


class Refused(Exception):
    """Why a secret opens nothing; said to whoever sent it, who had the key once."""


def create(
    user: Any, *, name: str, scopes: Collection[str], resources: Collection[str] = (), days: int | None = None
) -> tuple[ApiKey, str]:
    """A new key, and its secret, which is nowhere else. ``days``: that it lives; None: the usual 90.

    Raises ``errors.Invalid`` under the name of what is wrong, ``errors.Conflict`` where the user has too many.
    """
    days = usual_days() if days is None else days
    check(user, name=name, scopes=scopes, resources=resources, days=days)
    secret = _new_secret()
    with transaction.atomic():
        get_user_model()._default_manager.select_for_update(no_key=True).get(pk=user.pk)  # one by one
        if living(user).count() >= MAX_KEYS:
            raise errors.Conflict(f"You have {MAX_KEYS} keys. Revoke one that is not used any more.")
        key = ApiKey.objects.create(
            user=user,
            name=name,
            prefix=secret[:_SHOWN_CHARACTERS],
            digest=digest(secret),
            scopes=[each for each in keys.SCOPES if each in scopes],
            resources=sorted(set(resources)),
            password_mark=passwords.mark_of(user),
            expires_at=clock.now() + timedelta(days=days),
        )
    log.info("export.key.made", key=str(key.pk), user=str(user.pk))
    return key, secret


def living(user: Any) -> QuerySet[ApiKey]:
    """The user's keys whose time is not over."""
    return ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), user=user)


def revoke(user: Any, key_id: Any) -> ApiKey:
    """End one of the user's keys at once. Raises ``errors.NotFound``."""
    key = ApiKey.objects.filter(user=user, pk=key_id).first()
    if key is None:
        raise errors.NotFound("There is no such key.")
    ApiKey.objects.filter(pk=key.pk).delete()
    log.info("export.key.revoked", key=str(key.pk), user=str(user.pk))
    return key


def longest_days() -> int:
    """Days that a new key may live."""
    return int(conf.settings.KEY_DAYS)


def usual_days() -> int:
    """Days that a new key lives where nobody says."""
    return min(USUAL_DAYS, longest_days())


# Use


def look_up(secret: str) -> ApiKey:
    """The key, with its user; one query, a second for an unknown one of before. Raises ``Refused``."""
    key = _find(secret) if _may_be(secret) else None
    if key is None or not key.user.is_active:
        raise Refused("Invalid token.")
    if key.has_expired(clock.now()):
        raise Refused("This API key has expired.")
    if not passwords.fits(key.user, key.password_mark):
        raise Refused("This API key ended when its user's password was changed.")
    return key


def _find(secret: str) -> ApiKey | None:
    """Also of a token that the release before made since the upkeep looked last."""
    found, known = ApiKey.objects.select_related("user"), digest(secret)
    key = found.filter(digest=known).first()
    if key is None and not secret.startswith(PREFIX) and handover.carry_over_tokens(known):
        key = found.filter(digest=known).first()
    return key


def permit(key: ApiKey) -> Permit:
    """What the key may."""
    return Permit(scopes=frozenset(key.scopes), resources=frozenset(key.resources), key_id=str(key.pk))


def note_use(key: ApiKey, address: str) -> None:
    """Keep when and from where the key was used last.

    One statement a minute. It waits for nobody: where another call is noting the same, that is enough.
    """
    now = clock.now()
    mark = passwords.mark_of(key.user)  # by today's SECRET_KEY, so that the one before can be let go
    if key.last_used_at is not None and now - key.last_used_at < USED_EVERY and key.password_mark == mark:
        return
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_USE, [now, address[:45], mark, key.pk, key.password_mark, now - USED_EVERY, mark])


_NOTE_USE = f"""
    UPDATE {ApiKey._meta.db_table} SET last_used_at = %s, last_used_from = %s, password_mark = %s
     WHERE id = (SELECT id FROM {ApiKey._meta.db_table}
                  WHERE id = %s AND password_mark = %s
                        AND (last_used_at IS NULL OR last_used_at <= %s OR password_mark <> %s)
                    FOR NO KEY UPDATE SKIP LOCKED)
"""  # noqa: S608 - the name of our own table


def prune(before: datetime) -> int:
    """Remove keys that ended before then; gives how many there were."""
    return ApiKey.objects.filter(expires_at__lt=before).delete()[0]


def digest(secret: str) -> str:
    """What is stored of a secret. A plain hash is enough: nobody guesses 256 random bits."""
    return hashlib.sha512(secret.encode()).hexdigest()


def _new_secret() -> str:
    random = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))
    return PREFIX + random + _check_characters(random)


def _may_be(secret: str) -> bool:
    """Whether it can be a secret of ours at all."""
    if not secret.startswith(PREFIX):
        return len(secret) <= _LONGEST
    body = secret.removeprefix(PREFIX)
    return body[-_CHECK_CHARACTERS:] == _check_characters(body[:-_CHECK_CHARACTERS])


def _check_characters(random: str) -> str:
    number, found = zlib.crc32(random.encode()), ""
    for _ in range(_CHECK_CHARACTERS):
        number, place = divmod(number, len(_ALPHABET))
        found = _ALPHABET[place] + found
    return found


# What a new key may be


def check(user: Any, *, name: str, scopes: Collection[str], resources: Collection[str], days: int) -> None:
    """What a key is asked for with. Raises ``errors.Invalid``, under the name of what is wrong."""
    if not name:
        raise errors.Invalid.of("name", "Give the key a name, so that you know later what it is for.")
    if len(name) > MAX_NAME:
        raise errors.Invalid.of("name", f"A name has {MAX_NAME} characters at most; this one has {len(name)}.")
    if not scopes:
        raise errors.Invalid.of("scopes", f"Choose what the key may do: {keys.in_words(keys.SCOPES)}.")
    _require_known("scope", scopes, keys.SCOPES)
    if resources:
        _require_known("resource", resources, [each.name for each in registry.allowed(user)])
    if not 1 <= days <= longest_days():
        raise errors.Invalid.of("days", f"A key lives 1 to {longest_days()} days.")


def _require_known(what: str, given: Collection[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise errors.Invalid.of(f"{what}s", errors.unknown(what, name, list(known)))
