"""One-time tokens: made by who may fetch the file, redeemed once, ended by time, by people and with the right."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, connections
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from exports_app import downloads, errors, retention, services
from exports_app.choices import EventKind, Status
from exports_app.models import ExportEvent, ExportJob, ExportToken
from tests.conftest import OPERATE, make_user
from tests.web_pages import HOUR, make_job

DAY = 24 * HOUR
PARALLEL = 50


@pytest.fixture
def stranger() -> APIClient:
    """Somebody without a login."""
    return APIClient()


@pytest.fixture
def ready(alice: User) -> ExportJob:
    """Alice's export, completed."""
    return make_job(alice, Status.COMPLETED)


def path(job: ExportJob, token: str = "") -> str:
    query = f"?token={token}" if token else ""
    return f"/api/v1/exports/{job.pk}/download/{query}"


def answer(client: APIClient, job: ExportJob, token: str) -> tuple[int, str]:
    """Status, and the code of a refusal or the host part of where it leads."""
    response = client.get(path(job, token))
    return response.status_code, response["Location"].split("?")[0][-15:] if response.status_code == 302 else (
        response.json()["code"]
    )


def about(left: timedelta, moment: datetime | None) -> bool:
    assert moment is not None
    return abs(moment - timezone.now() - left) < timedelta(minutes=1)


# Making one


def test_the_owner_makes_a_token_and_its_two_links(api: APIClient, ready: ExportJob, settings: Any) -> None:
    settings.EXPORTS_SITE_URL = "https://exports.example.com"
    response = api.post(f"/api/v1/exports/{ready.pk}/token/")
    assert response.status_code == 201
    link = response.json()
    token = link["token"]
    assert link["download_url"] == f"https://exports.example.com{path(ready, token)}"
    assert link["page_url"] == f"https://exports.example.com/exports/{ready.pk}/link/#{token}"
    assert about(DAY, datetime.fromisoformat(link["expires_at"]))
    assert (response["Cache-Control"], response["Referrer-Policy"]) == ("no-store", "no-referrer")


def test_only_a_digest_of_it_is_stored(alice: User, ready: ExportJob) -> None:
    token = downloads.make_token(ready, alice).token
    assert len(token) > 80
    rows = [*ExportToken.objects.values_list(), *ExportEvent.objects.values_list(), *ExportJob.objects.values_list()]
    assert token not in str(rows)
    assert token.split(".")[0] not in str(rows)


def test_the_file_lives_as_long_as_its_links(alice: User, ready: ExportJob) -> None:
    ExportJob.objects.update(expires_at=Now() + HOUR)
    downloads.make_token(ready, alice)
    ready.refresh_from_db()
    assert about(DAY, ready.expires_at)


def test_no_file_lives_longer_than_seven_days_by_links(alice: User, ready: ExportJob) -> None:
    ExportJob.objects.update(completed_at=Now() - 7 * DAY + 2 * HOUR, expires_at=Now() + HOUR)
    link = downloads.make_token(ready, alice)
    ready.refresh_from_db()
    assert about(2 * HOUR, ready.expires_at)
    assert link.expires_at == ready.expires_at


def test_a_file_that_lives_longer_anyway_is_not_cut_short(alice: User, ready: ExportJob) -> None:
    ExportJob.objects.update(expires_at=Now() + 30 * DAY)
    assert about(DAY, downloads.make_token(ready, alice).expires_at)
    ready.refresh_from_db()
    assert about(30 * DAY, ready.expires_at)


def test_who_it_is_shared_with_makes_tokens_but_does_not_extend_the_file(
    bob: User, api: APIClient, ready: ExportJob
) -> None:
    ready.shared_with.add(bob)
    ExportJob.objects.update(expires_at=Now() + HOUR)
    api.force_authenticate(bob)
    link = api.post(f"/api/v1/exports/{ready.pk}/token/").json()
    assert about(HOUR, datetime.fromisoformat(link["expires_at"]))
    ready.refresh_from_db()
    assert about(HOUR, ready.expires_at)


def test_a_link_that_nobody_asked_for_does_not_extend_the_file(alice: User, ready: ExportJob) -> None:
    ExportJob.objects.update(expires_at=Now() + HOUR)
    assert about(HOUR, downloads.make_token(ready, alice, extends=False).expires_at)


@pytest.mark.parametrize(
    ("status", "values", "code"),
    [
        (Status.QUEUED, {}, 409),
        (Status.RUNNING, {}, 409),
        (Status.FAILED, {}, 409),
        (Status.CANCELLED, {}, 409),
        (Status.EXPIRED, {}, 410),
        (Status.COMPLETED, {"expires_at": timezone.now() - HOUR}, 410),
    ],
)
def test_without_a_file_there_is_no_token(
    api: APIClient, alice: User, status: str, values: dict[str, Any], code: int
) -> None:
    job = make_job(alice, status, **values)
    assert api.post(f"/api/v1/exports/{job.pk}/token/").status_code == code
    assert api.get(path(job)).status_code == code
    assert not ExportToken.objects.exists()


@pytest.mark.parametrize(
    ("who", "code"), [("charlie", 404), ("shared", 403), ("staff", 404), ("operator", 403), ("nobody", 401)]
)
def test_who_may_not_fetch_the_file_makes_no_token(
    stranger: APIClient, ready: ExportJob, charlie: User, who: str, code: int
) -> None:
    shared, staff = make_user("dora"), make_user("staff", is_staff=True)
    ready.shared_with.add(shared)
    users = {"charlie": charlie, "shared": shared, "staff": staff, "operator": make_user("op", permissions=OPERATE)}
    stranger.force_authenticate(users.get(who))
    assert stranger.post(f"/api/v1/exports/{ready.pk}/token/").status_code == code
    assert stranger.get(path(ready)).status_code == code
    assert stranger.head(path(ready)).status_code == code
    assert not ExportToken.objects.exists()
    assert not ExportEvent.objects.exists()


def test_a_hundred_links_may_wait(
    api: APIClient, alice: User, ready: ExportJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert downloads.MOST_WAITING == 100
    monkeypatch.setattr(downloads, "MOST_WAITING", 2)
    for _ in range(2):
        assert api.post(f"/api/v1/exports/{ready.pk}/token/").status_code == 201
    refused = api.post(f"/api/v1/exports/{ready.pk}/token/")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    downloads.withdraw(ready, by=ready.owner)
    assert api.post(f"/api/v1/exports/{ready.pk}/token/").status_code == 201


# Redeeming it


def test_a_token_leads_to_the_file_once_and_without_a_login(stranger: APIClient, alice: User, ready: ExportJob) -> None:
    token = downloads.make_token(ready, alice).token
    first = stranger.get(path(ready, token))
    assert first.status_code == 302
    assert "/exports/1/x.csv?" in first["Location"]
    assert "X-Amz-Expires=900" in first["Location"]
    assert (first["Cache-Control"], first["Referrer-Policy"]) == ("no-store", "no-referrer")
    second = stranger.get(path(ready, token))
    assert (second.status_code, second.json()) == (
        403,
        {"code": "permission_denied", "detail": "This link was used already; each works once. Ask for a new one."},
    )
    assert second["Cache-Control"] == "no-store"


def test_what_the_client_accepts_does_not_matter(stranger: APIClient, alice: User, ready: ExportJob) -> None:
    token = downloads.make_token(ready, alice).token
    assert stranger.get(path(ready, token), HTTP_ACCEPT="text/csv").status_code == 302


def test_head_uses_nothing_up_and_gives_no_link(stranger: APIClient, alice: User, ready: ExportJob) -> None:
    token = downloads.make_token(ready, alice).token
    for _ in range(3):
        head = stranger.head(path(ready, token))
        assert head.status_code == 200
        assert head["Content-Length"] == "67108864"
        assert head["Content-Disposition"] == 'attachment; filename="customers-2026-02-26.csv"'
        assert "Location" not in head
    assert not ExportEvent.objects.exists()
    assert stranger.get(path(ready, token)).status_code == 302
    assert stranger.head(path(ready, token)).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["x", "a.b", "a.b.c", "é", "", "%00", "." * 5_000])
def test_garbage_is_refused_without_asking_the_database(
    stranger: APIClient, token: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        refused = stranger.get(f"/api/v1/exports/{uuid4()}/download/?token={token}")
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")


def test_a_token_of_another_export_is_garbage(stranger: APIClient, alice: User, ready: ExportJob) -> None:
    other = make_job(alice, Status.COMPLETED)
    token = downloads.make_token(other, alice).token
    assert answer(stranger, ready, token) == (403, "permission_denied")
    assert answer(stranger, other, token) == (302, "exports/1/x.csv")


def test_every_changed_character_makes_it_wrong(stranger: APIClient, alice: User, ready: ExportJob) -> None:
    token = downloads.make_token(ready, alice).token
    for place in (0, len(token) // 2, len(token) - 2):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert answer(stranger, ready, changed) == (403, "permission_denied")


def test_a_token_expires_by_the_clock_of_the_database(
    stranger: APIClient, alice: User, ready: ExportJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = downloads.make_token(ready, alice).token
    long_ago = timezone.now() - 365 * DAY
    monkeypatch.setattr(timezone, "now", lambda: long_ago)
    ExportToken.objects.update(expires_at=F("created_at") - DAY)
    assert answer(stranger, ready, token) == (410, "gone")


def test_a_token_ends_with_the_file(stranger: APIClient, alice: User, ready: ExportJob) -> None:
    token = downloads.make_token(ready, alice).token
    ExportJob.objects.update(expires_at=Now() - HOUR)
    assert answer(stranger, ready, token) == (410, "gone")
    retention.prune()
    ready.refresh_from_db()
    assert ready.status == Status.EXPIRED
    assert answer(stranger, ready, token) == (410, "gone")


def test_what_is_refused_uses_nothing_up(stranger: APIClient, alice: User, ready: ExportJob) -> None:
    token = downloads.make_token(ready, alice).token
    permissions = list(alice.user_permissions.all())
    alice.user_permissions.clear()
    assert answer(stranger, ready, token) == (403, "permission_denied")
    alice.user_permissions.set(permissions)
    assert answer(stranger, ready, token) == (302, "exports/1/x.csv")


@pytest.mark.django_db(transaction=True)
def test_of_fifty_redemptions_at_once_one_gets_the_file(alice: User) -> None:
    job = make_job(alice, Status.COMPLETED)
    token = downloads.make_token(job, alice).token
    start = Barrier(PARALLEL)

    def redeem(_: int) -> int:
        try:
            client = APIClient()
            connection.ensure_connection()
            start.wait(30)
            return client.get(path(job, token)).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = Counter(pool.map(redeem, range(PARALLEL)))
    assert answers == {302: 1, 403: 49}
    assert ExportEvent.objects.filter(kind=EventKind.DOWNLOADED).count() == 1


# Ending it


def test_the_owner_ends_all_links(stranger: APIClient, api: APIClient, alice: User, ready: ExportJob) -> None:
    tokens = [downloads.make_token(ready, alice).token for _ in range(2)]
    assert api.delete(f"/api/v1/exports/{ready.pk}/token/").status_code == 204
    for token in tokens:
        assert answer(stranger, ready, token) == (403, "permission_denied")
        with pytest.raises(errors.LinkWithdrawn):
            downloads.look_up(ready.pk, token)


def test_who_it_is_shared_with_ends_nobodys_links(
    stranger: APIClient, api: APIClient, alice: User, bob: User, ready: ExportJob
) -> None:
    ready.shared_with.add(bob)
    token = downloads.make_token(ready, alice).token
    api.force_authenticate(bob)
    assert api.delete(f"/api/v1/exports/{ready.pk}/token/").status_code == 403
    assert stranger.get(path(ready, token)).status_code == 302


def test_a_deleted_export_takes_its_links_along(stranger: APIClient, alice: User, ready: ExportJob) -> None:
    token = downloads.make_token(ready, alice).token
    services.delete_export(ready, by=ready.owner)
    assert answer(stranger, ready, token) == (403, "permission_denied")
    assert ExportToken.objects.get().revoked_at is not None


def test_an_export_that_starts_again_has_no_links_of_its_former_file(
    stranger: APIClient, alice: User, ready: ExportJob
) -> None:
    token = downloads.make_token(ready, alice).token
    ExportJob.objects.update(status=Status.CANCELLED)
    services.retry_export(ready, by=ready.owner)
    ExportJob.objects.update(status=Status.COMPLETED, completed_at=Now())
    assert answer(stranger, ready, token) == (403, "permission_denied")


def test_a_token_has_no_more_right_than_its_maker(stranger: APIClient, alice: User, bob: User) -> None:
    shared = make_job(alice, Status.COMPLETED)
    shared.shared_with.add(bob)
    token = downloads.make_token(shared, bob).token
    shared.shared_with.remove(bob)
    assert answer(stranger, shared, token) == (403, "permission_denied")
    shared.shared_with.add(bob)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert answer(stranger, shared, token) == (403, "permission_denied")
    User.objects.filter(pk=bob.pk).update(is_active=True)
    assert answer(stranger, shared, token) == (302, "exports/1/x.csv")


def test_a_column_that_its_maker_may_not_see_any_more_ends_it(
    stranger: APIClient, admin_user: User, alice: User, ready: ExportJob
) -> None:
    alice.user_permissions.add(Permission.objects.get(codename="view_card"))
    ExportJob.objects.update(resource="transactions", columns=[{"name": "card_number", "label": "Card number"}])
    token = downloads.make_token(ready, admin_user).token
    User.objects.filter(pk=admin_user.pk).update(is_superuser=False)
    assert answer(stranger, ready, token) == (403, "permission_denied")


def test_tokens_that_expired_long_ago_are_removed_and_still_say_so(
    stranger: APIClient, alice: User, ready: ExportJob
) -> None:
    old, new = downloads.make_token(ready, alice).token, downloads.make_token(ready, alice).token
    first = ExportToken.objects.order_by("created_at")[0].pk
    ExportToken.objects.filter(pk=first).update(expires_at=Now() - 31 * DAY)
    assert retention.prune().tokens == 1
    assert answer(stranger, ready, old) == (410, "gone")
    assert answer(stranger, ready, new) == (302, "exports/1/x.csv")


def test_switched_off_no_link_works(stranger: APIClient, alice: User, ready: ExportJob, settings: Any) -> None:
    token = downloads.make_token(ready, alice).token
    settings.ENABLE_EXPORTS = False
    assert answer(stranger, ready, token) == (503, "exports_disabled")
    settings.ENABLE_EXPORTS = True
    assert answer(stranger, ready, token) == (302, "exports/1/x.csv")


# What is kept


def test_every_download_is_kept_and_shown_to_the_owner(
    stranger: APIClient, api: APIClient, alice: User, bob: User, ready: ExportJob
) -> None:
    ready.shared_with.add(bob)
    token = downloads.make_token(ready, alice).token
    stranger.get(path(ready, token), REMOTE_ADDR="203.0.113.9")
    api.force_authenticate(bob)
    assert api.get(path(ready), REMOTE_ADDR="2001:db8::1").status_code == 302
    api.head(path(ready))
    assert api.get(f"/api/v1/exports/{ready.pk}/downloads/").status_code == 403
    api.force_authenticate(alice)
    page = api.get(f"/api/v1/exports/{ready.pk}/downloads/").json()
    moments = [each.pop("at") for each in page["results"]]
    assert page == {
        "next": None,
        "previous": None,
        "results": [
            {"by": "bob", "via": "login", "address": "2001:db8::1"},
            {"by": "alice", "via": "token", "address": "203.0.113.9"},
        ],
    }
    assert moments == sorted(moments, reverse=True)


def test_the_list_of_downloads_has_pages(api: APIClient, ready: ExportJob) -> None:
    for _ in range(3):
        api.get(path(ready))
    first = api.get(f"/api/v1/exports/{ready.pk}/downloads/?page_size=2").json()
    second = api.get(first["next"]).json()
    assert (len(first["results"]), len(second["results"]), second["next"]) == (2, 1, None)
