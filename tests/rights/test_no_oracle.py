"""No filter tells what a column hides, and no answer that there is something to hide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django_filters as df
import pytest
from django.contrib.auth.models import User
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

    class Meta:
        model = Transaction
        fields: list[str] = []


@pytest.fixture
def declared() -> Iterator[Any]:
    """Payments hide their reference; the number of an account is hidden by the accounts, another resource."""

    @register("payments")
    class Payments(Resource):
        model = Transaction
        filterset_class = PaymentFilter
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


HIDDEN = {"reference", "number", "shouted", "both", "copied"}


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
    assert offered == {"holder", "amount_min"}
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
