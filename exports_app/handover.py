"""What the release before wrote, and goes on writing while some of it runs: taken over, again and again.

Migrations leave it as it is, since the release before has to read it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now

from exports_app import keys, passwords
from exports_app.choices import EventKind
from exports_app.models import ApiKey, ExportEvent, ExportPerson, ExportToken

BATCH = 500
SETTLED_AFTER = timedelta(days=1)
"""From the migration on; by then no process of the release before runs any more."""

TOKENS = """
SELECT user_id, name, left(token_key, 8), digest, created, expiry
  FROM exports_app_apitoken AS token
 WHERE (%(digest)s = '' OR digest = %(digest)s)
   AND NOT EXISTS (SELECT FROM exports_app_apikey AS known WHERE known.digest = token.digest)
 ORDER BY digest LIMIT %(most)s
   FOR UPDATE
"""


def take_over() -> None:
    """All that needs no reader of before."""
    while carry_over_tokens() == BATCH:
        pass
    mark_links()
    part_persons()


def carry_over_tokens(digest: str = "") -> int:
    """Make keys of tokens, or of this one, with all that they opened; gives how many there were.

    They end with the password that their user has now.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(TOKENS, {"digest": digest, "most": BATCH})
            rows = cursor.fetchall()
        users = _users(row[0] for row in rows)
        if gone := [row[3] for row in rows if row[0] not in users]:
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM exports_app_apitoken WHERE digest = ANY(%s)", [gone])
        found = [_key(users[row[0]], row) for row in rows if row[0] in users]
        ApiKey.objects.bulk_create(found, ignore_conflicts=True)
    return len(rows)


def _key(user: Any, row: Sequence[Any]) -> ApiKey:
    _, name, prefix, digest, created, expiry = row
    return ApiKey(
        user=user,
        name=name,
        prefix=prefix,
        digest=digest,
        scopes=list(keys.SCOPES),
        password_mark=passwords.mark_of(user),
        created_at=created,
        expires_at=expiry,
    )


def mark_links() -> None:
    """One-time links that still work end with the password that their maker has now."""
    waiting = ExportToken.objects.filter(password_mark="", redeemed_at=None, revoked_at=None, expires_at__gt=Now())
    for token in waiting.select_related("created_by").iterator(BATCH):
        ExportToken.objects.filter(pk=token.pk, password_mark="").update(
            password_mark=passwords.mark_of(token.created_by)
        )


def part_persons() -> None:
    """Names and addresses leave the entries of downloads for a table of their own, which goes with the user."""
    while _part_some() == BATCH:
        pass


def _part_some() -> int:
    with transaction.atomic():
        named = ExportEvent.objects.filter(kind=EventKind.DOWNLOADED, data__has_key="by")
        events = list(named.order_by("pk").select_for_update(skip_locked=True)[:BATCH])
        known = _users(event.data.get("user") for event in events)
        persons = []
        for event in events:
            data, user = event.data, known.get(event.data.get("user"))
            person = ExportPerson(
                id=uuid.uuid4(), user=user, name=data["by"][:254], address=data.get("address", "")[:45]
            )
            persons += [person] if user is not None else []
            event.data = {"person": str(person.pk), **{name: data[name] for name in ("via", "token") if name in data}}
        ExportPerson.objects.bulk_create(persons)
        ExportEvent.objects.bulk_update(events, ["data"])
    return len(events)


def _users(ids: Iterable[Any]) -> dict[Any, Any]:
    users: dict[Any, Any] = get_user_model()._default_manager.in_bulk({each for each in ids if each is not None})
    return users


def is_settled(migration: str) -> bool:
    """Whether this one has been applied long enough ago."""
    applied = MigrationRecorder.Migration.objects.filter(app="exports_app", name=migration)
    return applied.filter(applied__lt=Now() - SETTLED_AFTER).exists()
