"""The secret of a webhook: unreadable in the database, replaced by its owner, with both valid for a day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from rest_framework.test import APIClient
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from exports_app import retention, webhooks
from exports_app.models import ExportWebhook
from tests.receiver import Received, Receiver
from tests.webhooks.deliveries import SECRET, completed, only_notice, webhook_of
from workers import notify

BEFORE = [("exports_app", "0005_independent_count")]
OTHER_KEY = "another-key-of-fifty-characters-which-nobody-may-guess"


def kept(column: str = "secret") -> str:
    """What a thief of the database reads."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM exports_app_exportwebhook")
        return str(cursor.fetchone()[0])


def rotate(api: APIClient) -> dict[str, Any]:
    response = api.post(f"/api/v1/webhooks/{ExportWebhook.objects.get().pk}/rotate/")
    assert response.status_code == 200, response.json()
    answer: dict[str, Any] = response.json()
    return answer


def deliver(owner: User, receiver: Receiver) -> Received:
    completed(owner)
    assert notify.notify_next()
    return receiver.received[-1]


def verifies(secret: str, got: Received) -> bool:
    try:
        Webhook(secret).verify(got.body, got.headers)
    except WebhookVerificationError:
        return False
    return True


@pytest.mark.django_db
def test_the_database_holds_no_secret_that_could_be_used(alice: User) -> None:
    webhook = webhook_of(alice, "https://hooks.example/")
    assert SECRET not in kept()
    assert kept().startswith("gAAAA")
    assert webhooks.secrets_of(ExportWebhook.objects.get()) == [SECRET]
    webhook.refresh_from_db()
    webhook.save()  # what is sealed is not sealed twice
    assert webhooks.secrets_of(ExportWebhook.objects.get()) == [SECRET]


@pytest.mark.django_db
def test_after_a_rotation_both_secrets_verify_and_the_next_day_the_new_one_alone(
    api: APIClient, alice: User, receiver: Receiver
) -> None:
    webhook_of(alice, receiver.url)
    assert len(deliver(alice, receiver).headers["webhook-signature"].split(" ")) == 1
    answer = rotate(api)
    new = answer["secret"]
    assert new.startswith("whsec_")
    assert answer["former_secret_until"] is not None
    got = deliver(alice, receiver)
    assert [signature.partition(",")[0] for signature in got.headers["webhook-signature"].split(" ")] == ["v1", "v1"]
    assert (verifies(new, got), verifies(SECRET, got)) == (True, True)
    ExportWebhook.objects.update(former_until=Now() - timedelta(seconds=1))
    got = deliver(alice, receiver)
    assert (verifies(new, got), verifies(SECRET, got)) == (True, False)
    address = f"/api/v1/webhooks/{answer['id']}/"
    seen = api.get(address).json()
    assert (seen["former_secret_until"], "secret" in seen) == (None, False)


@pytest.mark.django_db
def test_the_day_has_24_hours(api: APIClient, alice: User) -> None:
    webhook_of(alice, "https://hooks.example/")
    rotate(api)
    left: Any = ExportWebhook.objects.annotate(now=Now()).get()
    assert left.former_until - left.now == pytest.approx(timedelta(hours=24), abs=timedelta(minutes=1))


@pytest.mark.django_db
def test_a_second_rotation_ends_the_first_secret_at_once(api: APIClient, alice: User, receiver: Receiver) -> None:
    webhook_of(alice, receiver.url)
    second, third = rotate(api)["secret"], rotate(api)["secret"]
    got = deliver(alice, receiver)
    assert [verifies(secret, got) for secret in (SECRET, second, third)] == [False, True, True]


@pytest.mark.django_db
def test_the_upkeep_forgets_former_secrets_whose_day_is_over(api: APIClient, alice: User) -> None:
    webhook_of(alice, "https://hooks.example/")
    rotate(api)
    retention.prune()
    assert kept("former_secret").startswith("gAAAA")
    ExportWebhook.objects.update(former_until=Now() - timedelta(seconds=1))
    retention.prune()
    assert kept("former_secret") == ""


@pytest.mark.django_db
def test_a_key_of_before_reads_until_the_upkeep_has_sealed_again(alice: User, settings: Any) -> None:
    webhook_of(alice, "https://hooks.example/")
    before, key = kept(), settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = OTHER_KEY, [key]
    assert webhooks.secrets_of(ExportWebhook.objects.get()) == [SECRET]
    assert webhooks.seal_again() == 1
    assert webhooks.seal_again() == 0
    assert kept() != before
    settings.SECRET_KEY_FALLBACKS = []
    assert webhooks.secrets_of(ExportWebhook.objects.get()) == [SECRET]


@pytest.mark.django_db
def test_a_secret_that_no_key_reads_switches_the_webhook_off_and_says_what_to_do(
    api: APIClient, alice: User, receiver: Receiver, settings: Any
) -> None:
    webhook_of(alice, receiver.url)
    settings.SECRET_KEY = OTHER_KEY
    completed(alice)
    assert notify.notify_next()
    assert receiver.received == []
    notice, webhook = only_notice(), ExportWebhook.objects.get()
    expected = "Switched off: its secret cannot be read any more. Rotate it, then switch the webhook on again."
    assert (notice.status, notice.error, webhook.active, webhook.note) == ("failed", expected, False, expected)
    new = rotate(api)["secret"]
    assert api.patch(f"/api/v1/webhooks/{webhook.pk}/", {"active": True}).json()["note"] == ""
    got = deliver(alice, receiver)
    assert verifies(new, got)


def write_plain(owner: User) -> None:
    """As the release before does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exports_app_exportwebhook"
            " (id, owner_id, url, events, active, secret, failures, note, created_at)"
            " VALUES (gen_random_uuid(), %s, 'https://hooks.example/', '[]', true, %s, 0, '', now())",
            [owner.pk, SECRET],
        )


def migrated_before(days: float) -> None:
    MigrationRecorder.Migration.objects.filter(name="0010_sealed_webhook_secrets").update(
        applied=Now() - timedelta(days=days)
    )


@pytest.mark.django_db
def test_a_plain_secret_signs_and_is_sealed_a_day_after_the_migration(alice: User, receiver: Receiver) -> None:
    write_plain(alice)
    ExportWebhook.objects.update(url=receiver.url, events=["export.completed"])
    migrated_before(days=0.9)
    retention.prune()
    assert kept() == SECRET  # which a worker of the release before can still sign with
    assert verifies(SECRET, deliver(alice, receiver))
    migrated_before(days=1.1)
    retention.prune()
    assert kept().startswith("gAAAA")
    assert verifies(SECRET, deliver(alice, receiver))


@pytest.mark.django_db(transaction=True)
def test_secrets_are_opened_again_for_the_release_before(alice: User) -> None:
    executor = MigrationExecutor(connection)
    latest = [leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] == "exports_app"]
    executor.migrate(BEFORE)
    try:
        write_plain(alice)
    finally:
        MigrationExecutor(connection).migrate(latest)
    assert kept() == SECRET
    ExportWebhook.objects.get().save()
    assert kept().startswith("gAAAA")
    try:
        MigrationExecutor(connection).migrate(BEFORE)
        assert kept() == SECRET
    finally:
        MigrationExecutor(connection).migrate(latest)
