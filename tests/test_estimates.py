"""What an export would be: rows, size, strategy, what to mind, and the first rows as the file will have them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from rest_framework.test import APIClient

from exports_app import previews
from exports_app.models import ExportPerformance
from exports_app.resources import Resource, register, registry
from exportsite.samples.models import Account, Customer
from tests.jobs import fill_customers, finish, read_object
from tests.test_samples_exports import make_transaction

pytestmark = pytest.mark.django_db(transaction=True)


def estimate(api: APIClient, resource: str = "customers", **body: Any) -> dict[str, Any]:
    response = api.post(f"/api/v1/resources/{resource}/estimate/", body)
    assert response.status_code == 200, response.json()
    answer: dict[str, Any] = response.json()
    return answer


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """What shall be counted is counted, however busy the machine is."""
    if "slow" not in request.fixturenames:
        monkeypatch.setattr(previews, "FORECAST_SECONDS", 10.0)
        monkeypatch.setattr(previews, "PREVIEW_SECONDS", 10.0)


@pytest.fixture
def three(db: None) -> None:
    """Three customers, each with something that a format has to mind."""
    common = {"signup_date": "2024-01-31", "country_code": "DE", "subscription_tier": "PRO"}
    Customer.objects.create(id=1, name='Ada "A", Byron', email=None, lifetime_value="1234.50", **common)
    Customer.objects.create(id=2, name="=1+2", email="", lifetime_value="0.00", **common)
    Customer.objects.create(id=3, name="00123", email="12345678901234567", lifetime_value="9876543210.99", **common)


COLUMNS = ["id", "name", "email", "signup_date", "lifetime_value"]


def test_the_answer_has_exactly_the_fields_of_the_contract(api: APIClient, three: None) -> None:
    answer = estimate(api, columns=["id", {"name": "name", "label": "=Who"}], limit=1)
    assert answer == {
        "estimated_rows": 1,
        "estimate_exact": True,
        "strategy": "direct",
        "estimated_bytes": 32,
        "warnings": [],
        "preview": {
            "columns": [
                {"name": "id", "label": "ID", "kind": "integer"},
                {"name": "name", "label": "'=Who", "kind": "text"},
            ],
            "rows": [["1", 'Ada "A", Byron']],
        },
    }


def test_csv_cells_stand_as_in_the_file(api: APIClient, three: None) -> None:
    answer = estimate(api, columns=COLUMNS)
    assert answer["preview"]["rows"] == [
        ["1", 'Ada "A", Byron', None, "2024-01-31", "1234.50"],
        ["2", "'=1+2", "", "2024-01-31", "0.00"],
        ["3", "00123", "12345678901234567", "2024-01-31", "9876543210.99"],
    ]
    assert answer["warnings"] == [
        "Opened in Excel, “Name” loses its leading zeros; xlsx keeps them.",
        "Opened in Excel, “Email” loses the digits after the 15th; xlsx keeps them.",
        "Text that a spreadsheet would run gets a ' in front, as in “Name”.",
    ]


def test_csv_options_are_heeded(api: APIClient, three: None) -> None:
    options = {"locale": "de", "delimiter": ";", "line_ending": "crlf", "bom": True, "escape_formulas": False}
    rows = estimate(api, columns=COLUMNS, options=options)["preview"]["rows"]
    assert rows[0] == ["1", 'Ada "A", Byron', None, "31.01.2024", "1234,50"]
    assert rows[1][1] == "=1+2"


@pytest.mark.parametrize("format_", ["json", "ndjson"])
def test_json_values_have_their_types(api: APIClient, three: None, format_: str) -> None:
    Customer.objects.filter(id=3).update(lifetime_value="9999999999.99")
    assert estimate(api, columns=COLUMNS, format=format_)["preview"]["rows"] == [
        [1, 'Ada "A", Byron', None, "2024-01-31", 1234.5],
        [2, "=1+2", "", "2024-01-31", 0.0],
        [3, "00123", "12345678901234567", "2024-01-31", 9999999999.99],
    ]


@pytest.mark.parametrize("format_", ["xlsx", "parquet"])
def test_typed_formats_show_their_values_as_a_person_reads_them(api: APIClient, three: None, format_: str) -> None:
    answer = estimate(api, columns=COLUMNS, format=format_)
    assert answer["preview"]["rows"][1] == ["2", "=1+2", "", "2024-01-31", "0.00"]
    assert not [each for each in answer["warnings"] if "Excel" in each]


def test_the_preview_is_what_the_file_holds(api: APIClient, alice: User) -> None:
    fill_customers(25)
    shown = estimate(api)
    lines = list(csv.reader(io.StringIO(read_object(finish(alice)).decode())))
    assert len(shown["preview"]["rows"]) == 20
    assert shown["preview"]["rows"] == lines[1:21]
    assert [column["label"] for column in shown["preview"]["columns"]] == lines[0]


@pytest.mark.parametrize(("format_", "gzip"), [("csv", None), ("json", None), ("ndjson", None)])
def test_the_size_of_a_few_rows_is_that_of_the_file(
    api: APIClient, alice: User, three: None, format_: str, gzip: str | None
) -> None:
    options = {"row_count_footer": True, "bom": True} if format_ == "csv" else {}
    assert estimate(api, format=format_, options=options)["estimated_bytes"] == len(
        read_object(finish(alice, format=format_, options=options))
    )


def test_the_size_of_a_compressed_file_follows_the_last_ones_of_the_same_columns(api: APIClient, alice: User) -> None:
    fill_customers(2_000)
    unknown = estimate(api, compression="gzip")["estimated_bytes"]
    text = estimate(api)["estimated_bytes"]
    assert 0.32 < unknown / text < 0.34
    job = finish(alice, compression="gzip")
    assert estimate(api, compression="gzip")["estimated_bytes"] == job.file_size
    assert estimate(api, compression="gzip", columns=["id"])["estimated_bytes"] < unknown
    ExportPerformance.objects.update(rows=999)
    assert estimate(api, compression="gzip")["estimated_bytes"] == unknown


@pytest.mark.parametrize(
    ("rows", "strategy"),
    [
        (9_999, "direct"),
        (10_000, "stream"),
        (10_001, "stream"),
        (100_000, "stream"),
        (100_001, "background"),
    ],
)
def test_the_number_of_rows_decides_the_strategy(api: APIClient, rows: int, strategy: str) -> None:
    answer = estimate(api, "test_data", parameters={"rows": rows})
    assert (answer["estimated_rows"], answer["estimate_exact"], answer["strategy"]) == (rows, True, strategy)


def test_rows_are_counted_exactly_up_to_the_limit(api: APIClient) -> None:
    fill_customers(1_200)
    assert estimate(api)["estimated_rows"] == 1_200
    assert estimate(api, limit=1_200)["estimated_rows"] == 1_200
    assert estimate(api, limit=700)["estimated_rows"] == 700
    assert estimate(api, limit=5_000)["estimate_exact"] is True


def test_more_rows_than_allowed_are_a_warning_not_a_refusal(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_customers(12)
    monkeypatch.setattr("exportsite.samples.exports.CustomerExport.max_rows", 10)
    answer = estimate(api)
    assert answer["warnings"][0] == (
        "This would be 12 rows, and Customers allows 10: narrow the filters, or set a limit."
    )
    assert not [each for each in estimate(api, limit=10)["warnings"] if "allows" in each]


def test_formats_with_bounds_say_so(api: APIClient) -> None:
    assert estimate(api, "test_data", format="xlsx", parameters={"rows": 1_048_576})["warnings"] == [
        "A sheet holds 1,048,575 rows, so that the rows go on in further sheets."
    ]
    assert estimate(api, "test_data", format="xlsx", parameters={"rows": 1_048_575})["warnings"] == []
    assert estimate(api, "test_data", format="parquet")["warnings"] == [
        "parquet is written in one piece, which may take 30 minutes at most; csv has no such limit."
    ]


@pytest.fixture
def slow(alice: User) -> Iterator[None]:
    """Rows that take PostgreSQL 50 ms each to find."""

    @register("slow")
    class Slow(Resource):
        model = Customer
        columns = ("id",)

        def get_queryset(self, user: Any) -> QuerySet[Any, Any]:
            late = RawSQL("(SELECT true FROM pg_sleep(0.05 + 0 * samples_customer.id))", (), BooleanField())
            return Customer.objects.filter(late)

    yield
    registry.unregister("slow")


def test_a_slow_query_is_given_up_and_said_to_be_estimated(api: APIClient, slow: None) -> None:
    fill_customers(100)
    answer = estimate(api, "slow")  # its rows take five seconds to count, and one to preview
    assert (answer["estimate_exact"], answer["preview"], answer["estimated_bytes"]) == (False, None, None)
    assert answer["strategy"] != "direct"
    assert answer["warnings"] == ["There is no preview, since the first rows take too long to find."]


def test_no_permission_no_column(api: APIClient) -> None:
    columns = [column["name"] for column in estimate(api, "transactions")["preview"]["columns"]]
    assert (len(columns), "card_number" in columns) == (12, False)
    refused = api.post("/api/v1/resources/transactions/estimate/", {"columns": ["card_number"]})
    assert refused.json()["errors"] == {"columns": ["Unknown column card_number. Did you mean account__number?"]}


def test_what_i_may_not_export_is_not_there(api: APIClient, charlie: User) -> None:
    assert api.post("/api/v1/resources/nothing/estimate/", {}).status_code == 404
    api.force_authenticate(charlie)
    assert api.post("/api/v1/resources/customers/estimate/", {}).json()["code"] == "not_found"
    api.force_authenticate(None)
    assert api.post("/api/v1/resources/customers/estimate/", {}).status_code == 401


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"filters": {"contry_code": "DE"}}, "filters"),
        ({"options": {"delimeter": ";"}}, "options"),
        ({"resource": "trades"}, "resource"),
        ({"limits": 5}, "limits"),
        ({"format": "xls"}, "format"),
    ],
)
def test_a_bad_request_names_its_field(api: APIClient, body: dict[str, Any], where: str) -> None:
    refused = api.post("/api/v1/resources/customers/estimate/", body)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
    assert list(refused.json()["errors"]) == [where]


def test_the_body_of_a_request_will_do(api: APIClient, three: None) -> None:
    body: dict[str, Any] = {
        "resource": "customers",
        "filters": {"country_code": ["DE"]},
        "ids": [1, 2],
        "notify": {"email": True},
    }
    assert estimate(api, **body)["estimated_rows"] == 2


def test_related_sheets_are_counted_too(api: APIClient) -> None:
    assert estimate(api, "trades", format="xlsx")["estimated_rows"] == 0


def test_a_switched_off_subsystem_says_so(api: APIClient, settings: Any) -> None:
    settings.ENABLE_EXPORTS = False
    assert api.post("/api/v1/resources/customers/estimate/", {}).json()["code"] == "exports_disabled"


@pytest.mark.parametrize(
    ("format_", "text", "options", "warnings"),
    [
        ("xlsx", "x" * 32_767, {}, []),
        ("xlsx", "🙂" * 16_383, {}, []),
        ("csv", "x" * 32_768, {}, []),
        (
            "xlsx",
            "🙂" * 16_384,
            {},
            [
                "“Description” has a text of more than 32,767 characters: xlsx would fail. "
                "Choose another format, or truncate_cells=true to have it cut."
            ],
        ),
        (
            "xlsx",
            "x" * 32_768,
            {"truncate_cells": True},
            ["“Description” has a text of more than 32,767 characters, which xlsx cuts there."],
        ),
    ],
)
def test_a_text_that_no_cell_holds_is_told_before(
    api: APIClient, format_: str, text: str, options: dict[str, Any], warnings: list[str]
) -> None:
    make_transaction(1, Account.objects.create(number="A", owner="B"), description=text)
    answer = estimate(api, "transactions", format=format_, columns=["id", "description"], options=options)
    assert answer["warnings"] == warnings


def test_a_long_text_is_cut_in_the_preview_alone(api: APIClient) -> None:
    make_transaction(1, Account.objects.create(number="A", owner="B"), description="y" * 5_000)
    answer = estimate(api, "transactions", columns=["description"])
    assert answer["preview"]["rows"] == [["y" * 1_000 + "…"]]
    assert answer["estimated_bytes"] == len("Description\n") + 5_001


def test_a_preset_of_this_data_fills_in_what_the_body_leaves_out(api: APIClient, three: None) -> None:
    preset = {"name": "names", "resource": "customers", "columns": ["name"], "filters": {"country_code": ["DE"]}}
    made = api.post("/api/v1/presets/", preset).json()["id"]
    answer = estimate(api, preset=made, ids=[1])
    assert answer["preview"]["rows"] == [['Ada "A", Byron']]
    refused = api.post("/api/v1/resources/trades/estimate/", {"preset": made})
    assert refused.json()["errors"] == {"preset": ["This preset is one of customers."]}
