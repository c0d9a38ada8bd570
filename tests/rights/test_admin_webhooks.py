"""Webhooks in the admin: which of them work and whose secret is being changed, none of their secrets."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from exports_app import webhooks
from exports_app.models import ExportWebhook
from tests.conftest import make_user
from tests.web_pages import text

pytestmark = pytest.mark.django_db
HOOKS = "/admin/exports_app/exportwebhook/"


@pytest.fixture
def webhook(alice: User) -> ExportWebhook:
    return ExportWebhook.objects.create(owner=alice, url="https://hooks.example/T0/secret", secret="whsec_MTIz")


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(make_user("staff", permissions=("view_exportwebhook",), is_staff=True))
    return client


def test_a_rotated_secret_says_until_when_the_former_one_signs(staff: Client, webhook: ExportWebhook) -> None:
    webhooks.rotate_secret(webhook)
    ExportWebhook.objects.update(former_until=timezone.now() + timedelta(days=400))
    shown = text(staff.get(HOOKS))
    until = timezone.now() + timedelta(days=400)
    assert "Former secret signs until" in shown
    assert f"{until.year}" in shown


def test_no_address_and_no_secret_is_shown(staff: Client, webhook: ExportWebhook) -> None:
    page = staff.get(HOOKS).content.decode()
    assert "hooks.example" in page
    assert [word for word in ("T0/secret", "whsec_") if word in page] == []
    assert staff.get(f"{HOOKS}{webhook.pk}/change/").status_code == 403
    for query in ("secret__startswith=w", "url__contains=secret", "former_secret__isnull=0"):
        assert staff.get(f"{HOOKS}?{query}").status_code == 400


def test_the_list_is_for_those_with_the_permission(client: Client, webhook: ExportWebhook) -> None:
    client.force_login(make_user("other", permissions=("view_exportjob", "change_exportwebhook"), is_staff=True))
    assert client.get(HOOKS).status_code == 403
