"""A workbook of several tables: the main rows, and those of other resources that belong to them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import openpyxl
import pytest
from django.contrib.auth.models import Group, Permission, User
from rest_framework.test import APIClient

from exports_app import errors
from exports_app.models import ExportJob
from exports_app.plan import Request, make_plan
from exports_app.resources import Resource, Sheet, register, registry
from tests.jobs import finish, read_object

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def groups(alice: User) -> Iterator[None]:
    """Two groups, of which one has two permissions and one has none."""

    @register("groups")
    class Groups(Resource):
        model = Group
        sheets = (Sheet("abilities", via="group", title="What they may"),)

    @register("abilities")
    class Abilities(Resource):
        model = Permission
        columns = ("id", "codename")

    Group.objects.all().delete()  # that of the migrations, in a database where nothing was emptied yet
    first = Group.objects.create(name="Readers")
    Group.objects.create(name="Nobody")
    first.permissions.set(Permission.objects.filter(codename__in=["view_tag", "view_goal"]))
    yield
    registry.unregister("groups")
    registry.unregister("abilities")


def sheets(data: bytes) -> dict[str, list[tuple[Any, ...]]]:
    book = openpyxl.load_workbook(io.BytesIO(data))
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}


def test_related_rows_stand_in_a_sheet_of_their_own(alice: User, groups: None) -> None:
    job = finish(alice, resource="groups", format="xlsx", columns=["name"])
    book = sheets(read_object(job))
    assert list(book) == ["Groups", "What they may"]
    assert book["Groups"] == [("Name",), ("Readers",), ("Nobody",)]
    assert book["What they may"][0] == ("ID", "Codename")
    assert {row[1] for row in book["What they may"][1:]} == {"view_goal", "view_tag"}
    assert (job.row_count, job.estimated_rows, len(job.snapshots)) == (2, 4, 1)
    assert (job.sheet_rows, job.rows_verified) == ([{"resource": "abilities", "rows": 2}], True)


def test_a_limit_counts_the_main_rows(alice: User, groups: None) -> None:
    book = sheets(read_object(finish(alice, resource="groups", format="xlsx", ids=None, limit=1)))
    assert (len(book["Groups"]), len(book["What they may"])) == (2, 3)
    last = Group.objects.order_by("pk").last()
    assert last is not None
    book = sheets(read_object(finish(alice, resource="groups", format="xlsx", ids=[last.pk])))
    assert (len(book["Groups"]), len(book["What they may"])) == (2, 1)


def test_a_request_can_leave_sheets_out(alice: User, groups: None) -> None:
    job = finish(alice, resource="groups", format="xlsx", sheets=[])
    assert list(sheets(read_object(job))) == ["Groups"]
    assert (job.sheets, job.row_count, job.sheet_rows, job.rows_verified) == ([], 2, None, True)
    job = finish(alice, resource="groups", format="xlsx", sheets=["abilities"])
    assert list(sheets(read_object(job))) == ["Groups", "What they may"]


@pytest.mark.parametrize(
    ("format_", "wanted", "message"),
    [
        ("xlsx", ["abilitys"], "Unknown related table abilitys. Did you mean abilities?"),
        ("csv", ["abilities"], "csv holds one table. Leave sheets out or choose xlsx."),
    ],
)
def test_what_cannot_be_a_sheet_is_refused(
    alice: User, groups: None, format_: str, wanted: list[str], message: str
) -> None:
    with pytest.raises(errors.Invalid) as refused:
        make_plan(Request(resource="groups", format=format_, sheets=wanted), alice)
    assert refused.value.errors == {"sheets": [message]}


def test_a_format_without_sheets_has_the_main_rows_only(alice: User, groups: None) -> None:
    assert read_object(finish(alice, resource="groups", columns=["name"])) == b"Name\nReaders\nNobody\n"


def test_a_sheet_needs_its_own_permission(alice: User, groups: None, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = registry.get("abilities")
    assert declared is not None
    monkeypatch.setattr(declared, "permission", "auth.view_permission")
    assert [table.resource.name for table in make_plan(Request(resource="groups", format="xlsx"), alice).tables] == [
        "groups"
    ]
    with pytest.raises(errors.Invalid) as refused:
        make_plan(Request(resource="groups", format="xlsx", sheets=["abilities"]), alice)
    assert refused.value.errors == {"sheets": ["Unknown related table abilities."]}
    with pytest.raises(errors.PermissionDenied, match=r"You may not export Abilities\."):
        make_plan(Request(resource="groups", format="xlsx", sheets=["abilities"]), alice, shown=True)


PRESETS = "/api/v1/presets/"


def test_a_preset_keeps_which_related_tables_were_wanted(alice: User, bob: User, groups: None, api: APIClient) -> None:
    body = {"name": "Bare", "resource": "groups", "format": "xlsx", "sheets": []}
    made = api.post(PRESETS, body).json()
    assert made["sheets"] == []
    job = ExportJob.objects.get(pk=api.post("/api/v1/exports/", {"preset": made["id"]}).json()["id"])
    assert job.sheets == []
    job = ExportJob.objects.get(
        pk=api.post("/api/v1/exports/", {"preset": made["id"], "sheets": ["abilities"]}).json()["id"]
    )
    assert job.sheets == ["abilities"]
    whole = api.put(f"{PRESETS}{made['id']}/", {"name": "Bare", "resource": "groups", "format": "xlsx"}).json()
    assert whole["sheets"] is None


def test_a_preset_whose_related_table_somebody_may_not_export_names_none(
    alice: User, bob: User, groups: None, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"name": "Both", "resource": "groups", "format": "xlsx", "sheets": ["abilities"], "shared_with": ["bob"]}
    made = api.post(PRESETS, body).json()
    declared = registry.get("abilities")
    assert declared is not None
    monkeypatch.setattr(declared, "permission", "auth.view_permission")
    client = APIClient()
    client.force_authenticate(bob)
    assert client.get(f"{PRESETS}{made['id']}/").json()["sheets"] == []
    refused = client.post("/api/v1/exports/", {"preset": made["id"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "column_forbidden")
    assert "abilities" not in refused.content.decode()


def test_a_preset_of_an_unknown_related_table_is_refused(groups: None, api: APIClient) -> None:
    body = {"name": "Odd", "resource": "groups", "format": "xlsx", "sheets": ["nothing"]}
    refused = api.post(PRESETS, body)
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["sheets"])


def test_whoever_may_not_export_a_related_table_is_told_nothing_of_the_whole_file(
    alice: User, bob: User, groups: None, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = finish(alice, resource="groups", format="xlsx")
    job.shared_with.add(bob)
    declared = registry.get("abilities")
    assert declared is not None
    client = APIClient()
    client.force_authenticate(bob)
    assert client.get(f"/api/v1/exports/{job.pk}/").json()["file_size"] == job.file_size
    monkeypatch.setattr(declared, "permission", "auth.view_permission")
    told = client.get(f"/api/v1/exports/{job.pk}/").json()
    assert (told["file_size"], told["crc32"], told["row_count"]) == (None, None, None)
    assert client.get(f"/api/v1/exports/{job.pk}/status/").json()["progress"]["bytes"] == 0
    assert job.crc32 not in client.get(f"/api/v1/exports/{job.pk}/").content.decode()
