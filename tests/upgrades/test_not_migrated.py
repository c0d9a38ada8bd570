"""This release on the tables of an earlier one says what to do, wherever somebody comes upon it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from exports_app import upgrades
from exports_app.api import readiness

pytestmark = pytest.mark.django_db(transaction=True)
SENTENCE = "The database is not migrated to this release. An operator has to run manage.py migrate."
MISSING = [
    "0014_removals",
    "0015_indexes_and_turns",
    "0016_equal_parts",
    "0017_preset_sheets",
    "0018_database_clock",
]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_last", readiness.Readiness({}, float("-inf")))
    monkeypatch.setattr(upgrades, "_last", upgrades._Look())


@pytest.fixture
def before(transactional_db: None) -> Iterator[None]:
    """Tables of an earlier moment; whatever the test does, they are today's after it."""
    call_command("migrate", "exports_app", "0013", verbosity=0)
    try:
        yield
    finally:
        call_command("migrate", verbosity=0)


def test_the_api_answers_503_with_what_to_do(before: None, alice: User) -> None:
    client = APIClient()
    client.force_authenticate(alice)
    answer = client.get("/api/v1/exports/")
    assert (answer.status_code, answer.json()["detail"], answer["Retry-After"]) == (503, SENTENCE, "5")


def test_a_page_answers_503_with_what_to_do(before: None, alice: User) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    answer = client.get("/exports/00000000-0000-4000-8000-000000000000/")
    assert answer.status_code == 503
    assert "An operator has to run manage.py migrate." in answer.content.decode()


def test_readiness_answers_503_with_what_to_do_to_everybody(before: None) -> None:
    answer = APIClient().get("/health/ready/")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "detail": SENTENCE})


def test_readiness_looks_until_it_is_migrated_and_no_more(
    before: None, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(upgrades, "KEEP_SECONDS", 0)
    assert upgrades.missing() == MISSING
    call_command("migrate", verbosity=0)
    assert upgrades.missing() == []
    with django_assert_num_queries(0):
        assert upgrades.missing() == []


def test_the_check_of_the_database_names_what_is_missing(before: None) -> None:
    said = StringIO()
    call_command("check", tags=["database"], databases=["default"], stderr=said)
    assert f"(exports.W027) The database lacks migrations of exports_app: {', '.join(MISSING)}." in said.getvalue()


def test_the_check_has_nothing_to_say_of_a_migrated_database() -> None:
    said = StringIO()
    call_command("check", tags=["database"], databases=["default"], stderr=said)
    assert "W027" not in said.getvalue()


def test_a_worker_ends_at_its_start(before: None) -> None:
    given = urlsplit(os.environ["DATABASE_URL"])
    database = urlunsplit(given._replace(path=f"/{connection.settings_dict['NAME']}"))
    ended = subprocess.run(
        [sys.executable, "-m", "celery", "--app", "workers.celery", "worker", "--queues", "nobody", "--pool", "solo"],
        cwd=settings.BASE_DIR,
        env=os.environ | {"DATABASE_URL": database},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert f"{SENTENCE} It lacks of exports_app: {', '.join(MISSING)}." in ended.stderr
    assert "Traceback" not in ended.stderr
