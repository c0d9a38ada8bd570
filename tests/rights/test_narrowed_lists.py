"""No list, however it is narrowed, tells what an export holds that its receiver sees the state of alone."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from exports_app.models import ExportJob
from tests.conftest import make_user
from tests.jobs import make_job
from tests.rights.test_tables_of_a_file import As
from tests.web_pages import text

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shared(alice: User, bob: User, charlie: User) -> ExportJob:
    """An export of Alice's that Bob may read and Charlie may not."""
    job = make_job(alice, request_id="req-4711")
    job.shared_with.add(bob, charlie)
    return job


@pytest.mark.parametrize("query", ["resource=customers", "resource=Customers", "request_id=req-4711"])
def test_a_list_is_narrowed_by_what_is_seen_alone(
    shared: ExportJob, alice: User, bob: User, charlie: User, as_user: As, query: str
) -> None:
    def found(user: User, query: str) -> int:
        return len(as_user(user).get(f"/api/v1/exports/?{query}").json()["results"])

    assert [found(user, query) for user in (alice, bob, charlie)] == [1, 1, 0]
    assert [found(user, "format=csv&status=queued") for user in (alice, bob, charlie)] == [1, 1, 1]


def test_an_owner_finds_their_own_whatever_they_have_lost(shared: ExportJob, alice: User, as_user: As) -> None:
    alice.user_permissions.clear()
    assert len(as_user(alice).get("/api/v1/exports/?resource=customers").json()["results"]) == 1


def test_operators_find_everybodys(shared: ExportJob, as_user: As) -> None:
    operator = as_user(make_user("operator", permissions=("view_exportjob",)))
    for query in ("resource=customers", "request_id=req-4711"):
        assert len(operator.get(f"/api/v1/exports/?{query}").json()["results"]) == 1


def test_the_page_answers_a_hidden_name_as_one_that_does_not_exist(
    shared: ExportJob, bob: User, charlie: User, client: Client
) -> None:
    client.force_login(charlie)
    shown = [text(client.get(f"/exports/?resource={name}")) for name in ("customers", "trades", "nothing")]
    assert shown[0] == shown[1] == shown[2]
    assert "An export" in shown[0]
    client.force_login(bob)
    assert "Customers" in text(client.get("/exports/?resource=customers"))
    assert "No such export" in text(client.get("/exports/?resource=trades"))
