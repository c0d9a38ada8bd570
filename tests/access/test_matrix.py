"""Who may do what to an export in which state: every path of the site, every kind of person, every state.

`owner` asked for the export (and has the preset and the webhook), `shared` was let in by the owner, `other` may export
the same data but has nothing to do with this export, `staff` may enter the admin and nothing else, `operator` sees and
changes everybody's exports without permission for the data, `admin` is a superuser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import copy
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import transaction
from django.test import AsyncClient, Client
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from exports_app.models import ExportJob, ExportPreset, ExportWebhook
from tests.access.matrix import PEOPLE, STATES, by_export, elsewhere
from tests.conftest import OPERATE, VIEW_SAMPLES, make_user

pytestmark = pytest.mark.django_db(transaction=True)
METHODS = ("get", "post", "put", "patch", "delete")
OF_DJANGO = ("/admin/",)
"""Pages with tests of their own (test_admin), for staff alone."""
API = "/api/v1/"
"""Itself, like every path below it that has no row, 404 for everybody."""

BODIES: dict[str, dict[str, Any]] = {
    "POST /api/v1/exports/": {"resource": "customers"},
    "POST /api/v1/exports/download/": {"resource": "customers"},
    "POST /api/v1/presets/": {"name": "new", "resource": "customers"},
    "PUT /api/v1/presets/{id}/": {"name": "new", "resource": "customers"},
    "POST /api/v1/webhooks/": {"url": "https://hooks.example.com/", "events": ["export.completed"]},
    "PUT /api/v1/webhooks/{id}/": {"url": "https://hooks.example.com/", "events": ["export.completed"]},
}


@pytest.fixture
def people() -> dict[str, User]:
    return {
        "owner": make_user("owner", permissions=VIEW_SAMPLES),
        "shared": make_user("shared", permissions=VIEW_SAMPLES),
        "other": make_user("other", permissions=VIEW_SAMPLES),
        "staff": make_user("staff", is_staff=True),
        "operator": make_user("operator", permissions=OPERATE),
        "admin": make_user("admin", is_staff=True, is_superuser=True),
    }


@pytest.fixture
def clients(people: dict[str, User]) -> dict[str, Client]:
    """A browser of each, signed in."""
    made = {name: Client() for name in PEOPLE}
    for name, person in people.items():
        made[name].force_login(person)
    return made


@pytest.fixture
def jobs(people: dict[str, User]) -> dict[str, ExportJob]:
    """In each state an export of `owner`, shared with `shared`."""
    now = timezone.now()
    ended = {"completed_at": now}
    file = {"row_count": 2, "file_size": 9, "crc32": "cbf43926", "file_key": "exports/0/none.csv", **ended}
    states: dict[str, dict[str, Any]] = {
        "queued": {},
        "running": {"claim": 1, "lease_expires_at": now + timedelta(minutes=1), "started_at": now},
        "completed": {**file, "expires_at": now + timedelta(hours=1)},
        "failed": {**ended, "error_code": "bad_query", "error_detail": "No."},
        "cancelled": ended,
        "expired": {**file, "file_key": "", "expires_at": now - timedelta(hours=1)},
    }
    columns = [{"name": "id", "label": "ID"}]
    common = {"owner": people["owner"], "resource": "customers", "format": "csv", "file_name": "customers.csv"}
    made = {}
    for state in STATES:
        made[state] = ExportJob.objects.create(status=state, columns=columns, **common, **states[state])
        made[state].shared_with.add(people["shared"])
    return made


def ask(client: Client, line: str, path: str) -> int:
    """The status of the answer; nothing that the request did stays."""
    status: int = answer_to(client.cookies, line, path, BODIES.get(line, {})).status_code
    return status


def answer_to(cookies: Any, line: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    """The answer, which no cache keeps if it is the API's; nothing that the request did stays."""
    method = line.split()[0].lower()
    given: dict[str, Any] = {} if method in ("get", "delete") else {"data": body or {}}
    streams = path.endswith("/events/")  # opened only: nobody reads to an end that may never come
    person: Any = AsyncClient() if streams else Client()
    person.cookies = copy(cookies)
    send = getattr(person, method)
    with transaction.atomic():
        if streams:
            answer = async_to_sync(send)(path, headers=headers)
        else:
            answer = send(path, **given, content_type="application/json", headers=headers)
        transaction.set_rollback(True)
    if path.startswith(API):
        assert answer["Cache-Control"] == "no-store", line
    return answer


def patterns(resolver: URLResolver = get_resolver(), prefix: str = "/") -> Iterator[tuple[str, Any]]:  # noqa: B008
    """Every path of the site with its view; `{id}` and `{name}` where a path has a part of its own."""
    for each in resolver.url_patterns:
        path = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from patterns(each, path)
        else:
            yield re.sub(r"<\w+:(\w+)>", r"{\1}", path), each.callback


@pytest.mark.parametrize(
    ("line", "expected"), list(by_export()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_may_be_done_to_an_export(
    clients: dict[str, Client], jobs: dict[str, ExportJob], line: str, expected: list[str]
) -> None:
    path = line.split()[1].replace("{name}", "customers.csv")
    found = []
    for name in PEOPLE:
        statuses = [str(ask(clients[name], line, path.replace("{id}", str(jobs[state].pk)))) for state in STATES]
        found.append(f"{name:10} {' '.join(statuses)}")
    assert found == expected


def test_what_may_be_done_elsewhere(people: dict[str, User], clients: dict[str, Client]) -> None:
    owner = people["owner"]
    preset = ExportPreset.objects.create(owner=owner, name="mine", resource="customers")
    preset.shared_with.add(people["shared"])
    webhook = ExportWebhook.objects.create(owner=owner, url="https://hooks.example.com/", secret=f"whsec_{'A' * 32}")
    wrong = []
    for line, expected in elsewhere():
        pk = webhook.pk if "webhooks" in line else preset.pk
        path = line.split()[1].replace("{id}", str(pk)).replace("{name}", "customers").replace("{key}", "none")
        found = [ask(clients[name], line, path) for name in PEOPLE]
        if found != expected:
            wrong.append(f"{line} {found}, expected {expected}")
    assert not wrong, "\n".join(wrong)


def test_every_path_has_its_row() -> None:
    listed = {line for line, _ in (*by_export(), *elsewhere())}
    missing = []
    for path, view in patterns():
        if path == API:
            continue
        declared = getattr(view, "cls", None)
        methods = [each.upper() for each in METHODS if hasattr(declared, each)]
        if not any(path.startswith(each) for each in OF_DJANGO):
            missing += [f"{method} {path}" for method in methods if f"{method} {path}" not in listed]
            missing += [path] if not any(line.split()[1] == path for line in listed) else []
    assert not missing
