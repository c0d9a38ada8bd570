"""What is kept, told and logged of an export that failed: why, and never what a row or an exception's author put in."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DataError, connection
from django.db.models import IntegerField
from django.db.models.functions import Cast
from django.test import Client
from rest_framework.test import APIClient

from exports_app.api import readiness
from exports_app.models import ExportEvent, ExportJob, ExportNotification
from exports_app.resources import Column, finishing
from exports_app.resources.computed import Misfit
from tests.conftest import OPERATE, make_user
from tests.declared.library import Book
from tests.jobs import claim, make_job
from workers import run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("books")]
SECRET = "s3cret of Ada"


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """All that was logged so far."""
    caplog.set_level(logging.INFO)
    return lambda: "\n".join(each.getMessage() for each in caplog.records)


@pytest.fixture
def quiet(api: APIClient) -> APIClient:
    """The API as a client has it: what is raised becomes an answer."""
    api.raise_request_exception = False
    return api


def fail(*_: Any, **__: Any) -> Any:
    password = "l0cal"  # noqa: F841 - which no traceback shows
    raise ValueError(SECRET)


def failed(alice: User, resource: str, columns: tuple[str, ...] = ("id",)) -> ExportJob:
    """A job of this resource, run."""
    make_job(alice, notify={"email": True})
    named = [{"name": name, "label": name} for name in columns]
    ExportJob.objects.update(resource=resource, columns=named)
    run.Run(claim()).execute()
    return ExportJob.objects.get()


def told(job: ExportJob) -> str:
    """All that its owner, receivers and operators can read of the job."""
    events = list(ExportEvent.objects.filter(job=job).values_list("data", flat=True))
    notices = list(ExportNotification.objects.filter(job=job).values_list("body", flat=True))
    return json.dumps([job.error_detail, job.warnings, events, notices])


# The database


@pytest.fixture
def refused(declare: Any, alice: User) -> Any:
    """A resource that makes a number of a text that is none."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE declaring_book SET title = %s", [SECRET])
    return declare("refused", columns=("id", Column("number", Cast("title", IntegerField()))))


def test_a_database_error_is_kept_without_the_value_that_it_names(
    refused: Any, alice: User, written: Callable[[], str]
) -> None:
    job = failed(alice, "refused", ("id", "number"))
    assert (job.error_code, job.error_detail) == ("bad_query", "The database refused the query behind this export.")
    assert "psycopg.errors.InvalidTextRepresentation: ERROR 22P02: invalid input syntax for type integer: ***" in (
        job.error_trace
    )
    assert 'pipeline/sources/sql.py", line' in job.error_trace
    assert SECRET not in job.error_trace + told(job) + written()


def test_a_download_that_the_database_refuses_is_kept_without_the_value(
    refused: Any, quiet: APIClient, written: Callable[[], str]
) -> None:
    answer = quiet.post("/api/v1/exports/download/", {"resource": "refused"})
    assert answer.json() == {"code": "bad_query", "detail": "The database refused the query behind this export."}
    job = ExportJob.objects.get()
    assert "ERROR 22P02" in job.error_trace
    assert SECRET not in job.error_trace + told(job) + written()


def test_the_command_line_names_the_error_without_the_value(refused: Any, alice: User) -> None:
    with pytest.raises(CommandError) as error:
        call_command("export", "refused", user=alice.username, format="csv", output="-", stderr=StringIO())
    assert "ERROR 22P02: invalid input syntax for type integer: ***" in str(error.value)
    assert SECRET not in str(error.value)


def test_a_value_that_the_sites_own_database_refuses_is_not_logged(
    quiet: APIClient, monkeypatch: pytest.MonkeyPatch, written: Callable[[], str]
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s::int", [SECRET])

    monkeypatch.setattr("exports_app.access.Access.listed", refuse)
    assert quiet.get("/api/v1/exports/").status_code == 400
    assert "ERROR 22P02: invalid input syntax for type integer: ***" in written()
    assert SECRET not in written()


def test_a_service_that_is_away_is_logged_without_its_password(
    monkeypatch: pytest.MonkeyPatch, written: Callable[[], str]
) -> None:
    def away() -> None:
        psycopg.connect("postgresql://bob:s3cret@127.0.0.1:1/app?connect_timeout=1").close()

    assert readiness._run("source", away)["ok"] is False
    assert 'connection to server at "127.0.0.1", port 1 failed: Connection refused' in written()
    assert "s3cret" not in written()


def test_values_that_python_cannot_load_are_not_told() -> None:
    error = DataError("timestamp too large (after year 10K): '10000-01-01'")
    error.__cause__ = psycopg.DataError(*error.args)
    assert str(finishing._unloadable([1, 2], error)) == (
        "Python cannot load all of the rows with the primary keys 1 to 2, which a column of this export needs: "
        "timestamp too large (after year ***): ***."
    )
    with pytest.raises(Misfit) as misfit:
        finishing._read(int, SECRET.encode())
    assert str(misfit.value) == "Python has no value for what the database holds"


# The project's own code


@pytest.mark.parametrize("where", ["get_queryset", "get_columns", "get_title"])
def test_what_a_resource_says_when_it_fails_is_for_those_who_may_read_tracebacks(
    declare: Any, alice: User, quiet: APIClient, browser: Client, written: Callable[[], str], where: str
) -> None:
    declared = declare("failing", columns=("id",))
    setattr(declared, where, fail)
    job = failed(alice, "failing")
    if where != "get_title":  # which a run does not ask for
        assert f"ValueError: {SECRET}" in job.error_trace
        assert "in fail" in job.error_trace
        assert "l0cal" not in job.error_trace.replace('password = "l0cal"', "")
    answers: list[Any] = [
        quiet.get(f"/api/v1/exports/{job.pk}/"),
        quiet.post("/api/v1/exports/", {"resource": "failing"}),
        quiet.post("/api/v1/resources/failing/estimate/", {}),
        quiet.get("/api/v1/resources/"),
        browser.get(f"/exports/{job.pk}/"),
        browser.get("/exports/new/failing/"),
    ]
    assert SECRET not in told(job) + written() + "".join(each.content.decode() for each in answers)
    assert "ValueError" in written()
    assert "in fail" in written()


def test_the_admin_shows_it_to_those_alone(declare: Any, alice: User, client: Client) -> None:
    declare("failing", columns=("id",)).get_queryset = fail
    job = failed(alice, "failing")
    for name, permissions, shown in (("op", OPERATE, False), ("dev", (*OPERATE, "view_error_trace"), True)):
        client.force_login(make_user(name, permissions=permissions, is_staff=True))
        page = client.get(f"/admin/exports_app/exportjob/{job.pk}/change/").content.decode()
        assert (SECRET in page) is shown


def test_a_configuration_error_of_a_project_is_not_told_but_ours_are(declare: Any, quiet: APIClient) -> None:
    def unset(*_: Any) -> Any:
        raise ImproperlyConfigured(SECRET)

    declare("unset", get_queryset=unset)
    declare("listed", get_queryset=lambda self, user: [1])
    theirs, ours = (quiet.post("/api/v1/exports/", {"resource": name}) for name in ("unset", "listed"))
    assert theirs.json() == {
        "code": "bad_query",
        "detail": "This data cannot be exported at the moment: its declaration is broken, and an operator has to "
        "mend it.",
    }
    assert (ours.status_code, ours.json()["code"]) == (422, "bad_query")
    assert ours.json()["detail"].startswith("Listed.get_queryset")


def test_a_column_that_fails_is_named_with_its_row_and_the_type_of_the_error(
    declare: Any, alice: User, written: Callable[[], str]
) -> None:
    declare("failing", model=Book, columns=("id", Column("own", python=fail)))
    job = failed(alice, "failing", ("id", "own"))
    assert job.error_detail == "The column “own” could not be computed in the row 1: ValueError."
    assert f"ValueError: {SECRET}" in job.error_trace
    assert SECRET not in told(job) + written()
