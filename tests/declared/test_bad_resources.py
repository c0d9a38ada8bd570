"""One bad declaration harms itself alone, and whatever the database says is an answer in JSON."""

from __future__ import annotations

from io import StringIO
from typing import Any

import django_filters as df
import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, connections
from django.db.models import F, IntegerField, QuerySet
from django.db.models.functions import Cast
from django.test import Client
from rest_framework.test import APIClient

from exports_app.choices import Status
from exports_app.models import ExportJob
from exports_app.pipeline.types import Kind
from exports_app.resources import Column, Sheet
from tests.declared.library import Book, exported
from tests.jobs import claim, make_job
from workers import run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("books")]


def boom(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("boom")


class BrokenFilter(df.FilterSet):
    @property
    def qs(self) -> QuerySet[Any]:
        return super().qs.filter(nothing=1)


class BrokenChoices(df.FilterSet):
    shelf = df.ModelChoiceFilter(queryset=boom)  # type: ignore[arg-type]  # the stubs know no callables


BROKEN: dict[str, dict[str, Any]] = {
    "get_queryset": {"get_queryset": boom},
    "get_columns": {"get_columns": boom},
    "get_title": {"get_title": boom},
    "is_allowed": {"is_allowed": boom},
    "__init__": {"__init__": boom},
    "locked": {"get_queryset": lambda self, user: Book.objects.select_for_update(nowait=True, skip_locked=True)},
    "no queryset": {"get_queryset": lambda self, user: [1, 2]},
    "unknown column": {"columns": ("nothing",)},
    "unknown key": {"key": ("nothing",)},
    "computed from nothing": {"columns": ("id", Column("x", F("nothing")))},
    "choices": {"filterset_class": BrokenChoices},
    "columns as pairs": {"columns": (("id", "ID"),)},
    "columns as text": {"columns": "id"},
    "key as text": {"key": "id"},
    "formats as text": {"formats": "csv"},
    "permission as list": {"permission": ["auth.view_user"]},
    "max_rows as text": {"max_rows": "10"},
    "filterset as instance": {"filterset_class": BrokenFilter(queryset=Book.objects.none())},
    "kind": {"columns": (Column("id", kind="integr"),)},
}


@pytest.fixture(params=BROKEN)
def broken(request: pytest.FixtureRequest, declare: Any) -> Any:
    declare("good", columns=("id",))
    return declare("broken", **BROKEN[request.param])


@pytest.fixture
def quiet(api: APIClient) -> APIClient:
    """The API as a client has it: what is raised becomes an answer."""
    api.raise_request_exception = False
    return api


def test_a_broken_resource_is_left_out_of_lists_and_answers_its_own_calls(
    broken: Any, quiet: APIClient, browser: Client, caplog: pytest.LogCaptureFixture
) -> None:
    names = {each["name"] for each in quiet.get("/api/v1/resources/").json()}
    assert ("good" in names, "broken" in names) == (True, False)
    assert any(
        "export.resource.left_out" in each.getMessage() and "broken" in each.getMessage() for each in caplog.records
    )
    page = browser.get("/exports/new/")
    assert (page.status_code, b"/exports/new/good/" in page.content) == (200, True)
    assert b"/exports/new/broken/" not in page.content
    assert browser.get("/exports/").status_code == 200
    assert quiet.post("/api/v1/exports/", {"resource": "good"}).status_code == 202
    body = {"resource": "broken"}
    for answer in (
        quiet.get("/api/v1/resources/broken/"),
        quiet.post("/api/v1/resources/broken/estimate/", {}),
        quiet.post("/api/v1/exports/", body),
        quiet.post("/api/v1/exports/download/", body),
        quiet.post("/api/v1/presets/", body | {"name": "mine"}),
    ):
        assert (answer.status_code, answer["Content-Type"]) == (422, "application/json")
        assert answer.json()["code"] == "bad_query"
        assert "boom" not in answer.json()["detail"]
    assert browser.get("/exports/new/broken/").status_code == 422
    assert ExportJob.objects.filter(resource="broken").count() == 0


def test_the_list_of_the_command_line_goes_on_behind_it(broken: Any) -> None:
    printed = StringIO()
    call_command("export_resources", stdout=printed)
    assert "broken\n" in printed.getvalue()
    assert "good\n  columns    id\n  filters    none\n  key        pk\n" in printed.getvalue()


def test_a_qs_that_raises_is_answered_where_rows_are_asked_for(declare: Any, quiet: APIClient) -> None:
    declare("broken", filterset_class=BrokenFilter)
    answer = quiet.post("/api/v1/exports/", {"resource": "broken"})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_query")


def test_jobs_of_a_resource_that_broke_since_are_still_listed(broken: Any, alice: User, browser: Client) -> None:
    job = make_job(
        alice,
        status=Status.FAILED,
        error_code="internal",
        filters={"shelf": "1"},
        columns=[{"name": "id", "label": "ID"}],
    )
    ExportJob.objects.filter(pk=job.pk).update(resource="broken")
    assert browser.get("/exports/").status_code == 200
    assert browser.get(f"/exports/{job.pk}/").status_code == 200


def test_a_run_whose_resource_broke_since_ends_as_bad_query(alice: User, declare: Any) -> None:
    declared = declare("broken", columns=("id",))
    make_job(alice)
    ExportJob.objects.update(resource="broken", columns=[{"name": "id", "label": "ID"}])
    declared.get_queryset = boom
    run.Run(claim()).execute()
    job = ExportJob.objects.get()
    assert (job.status, job.error_code) == (Status.FAILED, "bad_query")
    assert "ZeroDivisionError: boom" in job.error_trace


@pytest.mark.parametrize("name", ["net total", 'with "quotes"', "a;b -- c", "Ünïcode", "a__b", "x" * 100, "50%"])
def test_a_computed_column_may_be_called_anything(alice: User, declare: Any, name: str) -> None:
    declare("named", columns=("id", Column(name, F("pages") * 2), Column("other", F("pages") * 3)))
    assert exported(alice, "named") == ["1,200,300", "2,400,600", "3,600,900", "4,800,1200"]


# What the database says

REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "no table": ("DROP TABLE declaring_book", {}),
    "no column": ("ALTER TABLE declaring_book DROP COLUMN title", {"columns": ("id", "title")}),
    "a bad cast": ("SELECT 1", {"columns": ("id", Column("n", Cast("title", IntegerField())))}),
    "no operator": ("SELECT 1", {"columns": ("id", Column("n", F("title") * F("title"), kind=Kind.TEXT))}),
}


@pytest.mark.parametrize("why", REFUSED)
@pytest.mark.parametrize("path", ["exports/download/", "resources/refused/estimate/"])
def test_a_query_that_the_database_refuses_is_bad_query(declare: Any, quiet: APIClient, why: str, path: str) -> None:
    statement, attributes = REFUSED[why]
    declare("refused", **attributes)
    with connection.cursor() as cursor:
        cursor.execute(statement)
    answer = quiet.post(f"/api/v1/{path}", {"resource": "refused"})
    assert answer["Content-Type"] == "application/json"
    if "estimate" in path and answer.status_code == 200:  # a count needs no column; the preview says so
        assert answer.json()["warnings"] == ["The database refused the query behind this export."]
    else:
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_query")
    assert quiet.get("/api/v1/resources/").status_code == 200


@pytest.mark.parametrize("own_source", [False, True])
def test_a_role_that_may_not_read_is_bad_query(declare: Any, quiet: APIClient, settings: Any, own_source: bool) -> None:
    declare("refused", columns=("id",))
    if own_source:
        known = connections["default"].get_connection_params()
        settings.EXPORTS_SOURCE_DATABASE_URL = "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**known)
    with connection.cursor() as cursor:
        cursor.execute("REVOKE ALL ON declaring_book FROM CURRENT_USER")
    for path in ("exports/", "exports/download/", "resources/refused/estimate/"):
        answer = quiet.post(f"/api/v1/{path}", {"resource": "refused"})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_query"), path
    with connection.cursor() as cursor:
        cursor.execute("GRANT ALL ON declaring_book TO CURRENT_USER")
    assert quiet.post("/api/v1/exports/download/", {"resource": "refused"}).status_code == 200


def test_a_database_that_is_away_is_no_bad_declaration(declare: Any, quiet: APIClient) -> None:
    def away(*_: Any) -> Any:
        raise psycopg.OperationalError("connection refused")

    declare("away", get_queryset=away)
    answer = quiet.get("/api/v1/resources/away/")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "unavailable", "5")
    assert "transactions" in {each["name"] for each in quiet.get("/api/v1/resources/").json()}


def test_what_nobody_foresaw_is_answered_in_json(quiet: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, target in (
        ("/api/v1/exports/", "exports_app.access.Access.listed"),
        ("/api/v1/resources/", "exports_app.resources.registry.allowed"),
    ):
        monkeypatch.setattr(target, boom)
        answer = quiet.get(path)
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert "boom" not in answer.content.decode()


def test_a_sheet_of_a_broken_resource_breaks_the_workbook_alone(declare: Any, quiet: APIClient) -> None:
    declare("broken", get_queryset=boom)
    declare("main", columns=("id",), sheets=(Sheet("broken"),))
    assert quiet.post("/api/v1/exports/download/", {"resource": "main"}).status_code == 200
    answer = quiet.post("/api/v1/exports/download/", {"resource": "main", "format": "xlsx"})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_query")
