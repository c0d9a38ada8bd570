"""No filter tells what a column hides, and no answer that there is something to hide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django_filters as df
import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.db.models import F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Concat, Upper
from rest_framework.test import APIClient

from exports_app.resources import Column, Resource, register, registry
from exports_app.resources.filters import forbidden_filters
from exportsite.samples.models import Account, Transaction
from tests.conftest import make_user

pytestmark = pytest.mark.django_db
SECRET = "samples.view_card"


class PaymentFilter(df.FilterSet):
    reference = df.CharFilter()
    number = df.CharFilter("account__number")
    holder = df.CharFilter("account__owner", lookup_expr="icontains")
    shouted = df.CharFilter("shouted")
    both = df.CharFilter("both")
    copied = df.CharFilter("copied")
    amount_min = df.NumberFilter("amount", lookup_expr="gte")
    like = df.CharFilter(method="alike")
    large = df.BooleanFilter(method="above")

    class Meta:
        model = Transaction
        fields: list[str] = []

    def alike(self, rows: QuerySet[Any, Any], name: str, value: str) -> QuerySet[Any, Any]:
        return rows.filter(account__number__startswith=value)

    def above(self, rows: QuerySet[Any, Any], name: str, value: bool) -> QuerySet[Any, Any]:
        return rows.filter(amount__gt=1_000) if value else rows


@pytest.fixture
def declared() -> Iterator[Any]:
    """Payments hide their reference; the number of an account is hidden by the accounts, another resource."""

    @register("payments")
    class Payments(Resource):
        model = Transaction
        filterset_class = PaymentFilter
        filter_reads = {"like": ("account__number",), "large": ()}
        columns = ("id", "amount", Column("ref", Upper("reference"), sensitive=SECRET))

        def get_queryset(self, user: Any) -> QuerySet[Any, Any]:
            copy = Account.objects.filter(pk=OuterRef("account")).values("number")
            return Transaction.objects.annotate(
                shouted=Upper("account__number"),
                both=Concat(F("currency"), Value(" "), F("reference")),
                copied=Subquery(copy[:1]),
            )

    @register("accounts")
    class Accounts(Resource):
        model = Account
        columns = ("id", "owner", Column("number", sensitive=SECRET))

    yield Payments
    registry.unregister("payments")
    registry.unregister("accounts")


HIDDEN = {"reference", "number", "shouted", "both", "copied", "like"}


def test_filters_on_fields_behind_hidden_columns_are_hidden_too(declared: type[Resource], charlie: User) -> None:
    assert forbidden_filters(declared(), charlie) == HIDDEN
    assert forbidden_filters(declared(), make_user("dora", permissions=("view_card",))) == set()


def test_what_the_resource_itself_shows_may_be_filtered_by(declared: type[Resource], charlie: User) -> None:
    declared.columns = ("id", Column("number", "account__number"))
    assert forbidden_filters(declared(), charlie) == set()


@pytest.mark.parametrize("name", sorted(HIDDEN))
def test_a_hidden_filter_is_answered_as_one_that_is_not_there(
    declared: type[Resource], charlie: User, name: str
) -> None:
    api = APIClient()
    api.force_authenticate(charlie)
    offered = {each["name"] for each in api.get("/api/v1/resources/payments/").json()["filters"]}
    assert offered == {"holder", "amount_min", "large"}
    for path in ("/api/v1/exports/", "/api/v1/exports/download/", "/api/v1/resources/payments/estimate/"):
        answers = []
        for asked in (name, name[:-1] + "_"):
            body: dict[str, Any] = {"filters": {asked: "4"}}
            refused = api.post(path, body if "estimate" in path else {"resource": "payments", **body})
            text = refused.content.decode().replace(asked, "NAME")
            answers.append((refused.status_code, text.partition("Did you mean")[0].partition("Valid:")[0]))
        assert answers[0] == answers[1]
        assert answers[0][0] == 400


def test_a_name_that_i_may_not_see_is_no_nearest_one(charlie: User) -> None:
    api = APIClient()
    api.force_authenticate(charlie)
    for wrong, hidden in (("transaction", "transactions"), ("customer", "customers"), ("trade", "trades")):
        for path, body in (("/api/v1/exports/", {"resource": wrong}), (f"/api/v1/resources/{wrong}/estimate/", {})):
            assert hidden not in api.post(path, body).content.decode()
    assert [each["name"] for each in api.get("/api/v1/resources/").json()] == ["test_data"]


def test_a_filter_whose_method_may_read_anything_is_warned_of_where_columns_are_hidden(declared: Any) -> None:
    def warned() -> list[str]:
        return [str(each.msg) for each in run_checks(tags=["exports"]) if each.id == "exports.W005"]

    assert warned() == []
    declared.filter_reads = {"like": ("account__number",)}
    (found,) = warned()
    assert "has the filter 'large', whose method may read columns hidden from some users." in found
    declared.filter_reads = {}
    assert len(warned()) == 2


@pytest.mark.parametrize("reads", [{"like": "account__number"}, ("like",), {"like": 1}, None])
def test_what_filters_read_is_named_in_lists_of_paths(declared: Any, reads: Any) -> None:
    declared.filter_reads = reads
    wrong = [str(each.hint) for each in run_checks(tags=["exports"]) if each.id == "exports.E011"]
    assert wrong == ['Write filter_reads = {"name": ("path__of__a_field",)}.']
