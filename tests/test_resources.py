"""What a declaration means: kinds, keys, filters, columns, checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django_filters as df
import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.models import Count, F, Func, Sum, Value, Window
from django.db.models.functions import Concat, NullIf, RowNumber

from exports_app import errors
from exports_app.pipeline.sources.sql import Query
from exports_app.plan import Plan, Request, make_plan
from exports_app.resources import Column, Resource, register, registry
from exports_app.resources.queries import is_unique_key
from exportsite.samples.models import Customer, Trade, Transaction


@pytest.fixture
def declare() -> Iterator[Any]:
    """Registers resources for one test."""
    names: list[str] = []

    def declare(name: str, **attributes: Any) -> type[Resource]:
        names.append(name)
        return register(name)(type(name.title(), (Resource,), attributes))

    yield declare
    for name in names:
        if registry.get(name):
            registry.unregister(name)
    registry.duplicates.clear()


def plan(user: User, resource: str, **values: Any) -> Plan:
    return make_plan(Request(resource=resource, **values), user)


def query(plan: Plan) -> Query:
    assert plan.query is not None
    return plan.query


def problems() -> dict[str, str]:
    """Ids and texts of the engine's system checks."""
    return {str(each.id): str(each.msg) for each in run_checks(tags=["exports"])}


def test_the_samples_pass_their_checks() -> None:
    assert problems() == {}


def test_kinds_come_from_the_orm(alice: User) -> None:
    kinds = {field.name: field.kind.value for field in plan(alice, "customers").fields}
    assert kinds == {
        "id": "integer",
        "name": "text",
        "email": "text",
        "signup_date": "date",
        "country_code": "text",
        "subscription_tier": "choice",
        "lifetime_value": "decimal",
    }


def test_a_model_alone_is_a_resource(alice: User, declare: Any) -> None:
    declare("groups", model=Group)
    fields = plan(alice, "groups").fields
    assert [(field.name, field.label) for field in fields] == [("id", "ID"), ("name", "Name")]


def test_expressions_paths_and_labels_become_columns(alice: User, declare: Any) -> None:
    declare(
        "perms",
        model=Permission,
        columns=(
            Column("app", "content_type__app_label", label="App"),
            Column("full", Concat(F("content_type__app_label"), Value("."), F("codename"))),
            "codename",
            Column("content_type__model"),
        ),
    )
    compiled = plan(alice, "perms", columns=["codename", {"name": "app", "label": "Where"}, "full"])
    assert [(field.name, field.label) for field in compiled.fields] == [
        ("codename", "Codename"),
        ("app", "Where"),
        ("full", "Full"),
    ]
    assert (query(compiled).columns, query(compiled).keys, query(compiled).proven_key) == (3, 1, True)


def test_an_aggregate_is_a_resource_whose_key_is_probed(alice: User, declare: Any) -> None:
    declare(
        "per_tier",
        model=Customer,
        key=("subscription_tier",),
        columns=("subscription_tier", Column("people", kind="integer")),
        get_queryset=lambda self, user: Customer.objects.values("subscription_tier").annotate(people=Count("pk")),
    )
    compiled = plan(alice, "per_tier")
    assert [field.kind.value for field in compiled.fields] == ["choice", "integer"]
    assert query(compiled).proven_key is False


def customers(**tiers: str) -> None:
    """Customers 1, 2, 3, … by name, with a lifetime value of 1, 10, 100, …"""
    for number, (name, tier) in enumerate(tiers.items()):
        Customer.objects.create(
            pk=number + 1, name=name, signup_date="2024-01-01", country_code="DE", subscription_tier=tier,
            lifetime_value=10**number,
        )  # fmt: skip


def rows(plan: Plan) -> list[tuple[Any, ...]]:
    """What the plan's query gives, its key left out."""
    with connection.cursor() as cursor:
        cursor.execute(query(plan).text)
        return sorted(row[: query(plan).columns] for row in cursor.fetchall())


class TierFilter(df.FilterSet):
    tier = df.CharFilter("subscription_tier")
    name_after = df.CharFilter("name", "gt")


RUNNING = Window(Sum("lifetime_value"), order_by="pk")


@pytest.mark.parametrize(
    ("narrowed", "expected"),
    [
        ({}, [("a", 1), ("b", 11), ("c", 111)]),
        ({"filters": {"tier": "PRO"}}, [("b", 11), ("c", 111)]),
        ({"filters": {"tier": "PRO", "name_after": "b"}}, [("c", 111)]),
        ({"filters": {"tier": "NONE"}}, []),
        ({"ids": [1, 3]}, [("a", 1), ("c", 111)]),
        ({"ids": [1, 3], "filters": {"tier": "FREE"}}, [("a", 1)]),
    ],
)
@pytest.mark.parametrize("where", ["column", "queryset"])
def test_window_functions_see_the_rows_that_filters_leave_out(
    alice: User, declare: Any, where: str, narrowed: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    customers(a="FREE", b="PRO", c="PRO")
    attributes: dict[str, Any] = {"columns": ("name", Column("total", RUNNING))}
    if where == "queryset":
        attributes = {
            "columns": ("name", Column("total")),
            "get_queryset": lambda self, user: Customer.objects.annotate(total=RUNNING),
        }
    declare("running", model=Customer, filterset_class=TierFilter, **attributes)
    compiled = plan(alice, "running", **narrowed)
    assert rows(compiled) == expected
    assert query(compiled).proven_key is True


def test_without_a_window_among_the_columns_a_filter_stands_in_the_query_itself(alice: User, declare: Any) -> None:
    declare("running", model=Customer, filterset_class=TierFilter, columns=("name", Column("total", RUNNING)))
    compiled = plan(alice, "running", columns=["name"], filters={"tier": "PRO"})
    assert query(compiled).text.count("SELECT") == 1


def per_tier(key: Any) -> dict[str, Any]:
    """Customers by tier, and a running total over the tiers."""
    groups = Customer.objects.annotate(tier=key).values("tier").annotate(people=Count("pk"))
    total = Window(Running(Count("pk")), order_by="tier")
    return {
        "key": ("tier",),
        "filterset_class": TierFilter,
        "columns": ("tier", Column("total")),
        "get_queryset": lambda self, user: groups.annotate(total=total),
    }


class Running(Func):
    """A sum of aggregates, which Django's Sum refuses to be."""

    function = "SUM"
    window_compatible = True


def test_window_functions_over_aggregates_see_the_groups_that_filters_leave_out(alice: User, declare: Any) -> None:
    customers(a="BASIC", b="PRO", c="PRO")
    declare("per_tier", **per_tier(F("subscription_tier")))
    assert rows(plan(alice, "per_tier")) == [("BASIC", 1), ("PRO", 3)]
    assert rows(plan(alice, "per_tier", filters={"tier": "PRO"})) == [("PRO", 3)]


def test_a_null_in_the_key_is_not_dropped_with_what_filters_leave_out(alice: User, declare: Any) -> None:
    customers(a="BASIC", b="PRO", c="PRO")
    declare("per_tier", **per_tier(NullIf("subscription_tier", Value("PRO"))))
    compiled = plan(alice, "per_tier", columns=["total"], filters={"name_after": "a"})
    with connection.cursor() as cursor:
        cursor.execute(query(compiled).text)
        assert cursor.fetchall() == [(None, None)]


def test_a_window_function_as_key_is_refused_where_filters_would_change_it(alice: User, declare: Any) -> None:
    numbered = Customer.objects.annotate(place=Window(RowNumber(), order_by="pk"))
    declare(
        "places",
        key=("place",),
        filterset_class=TierFilter,
        columns=("place",),
        get_queryset=lambda self, user: numbered,
    )
    with pytest.raises(ImproperlyConfigured, match="The key of Places is a window function"):
        plan(alice, "places", filters={"tier": "PRO"})


def test_groups_cannot_be_chosen_by_the_ids_of_their_rows(alice: User, declare: Any) -> None:
    declare("per_tier", model=Customer, **per_tier(F("subscription_tier")))
    with pytest.raises(errors.Invalid) as caught:
        plan(alice, "per_tier", ids=[1])
    assert caught.value.errors == {"ids": ["This data cannot be chosen by id."]}


@pytest.mark.parametrize(
    ("model", "key", "unique"),
    [
        (Transaction, ("booked_at", "id"), True),
        (Transaction, ("id",), True),
        (Transaction, ("booked_at",), False),
        (Trade, ("closed_at", "id"), False),  # closed_at may be NULL
        (Customer, ("nothing",), False),
    ],
)
def test_a_key_is_proven_by_constraints_alone(model: Any, key: tuple[str, ...], unique: bool) -> None:
    assert is_unique_key(model, key) is unique


class TaggedFilter(df.FilterSet):
    tag = df.CharFilter("tags__name", "contains")


def test_a_filter_over_a_join_cannot_multiply_rows(alice: User, declare: Any) -> None:
    declare("tagged", model=Trade, columns=("id",), filterset_class=TaggedFilter)
    compiled = plan(alice, "tagged", filters={"tag": "a"})
    assert " IN (SELECT" in query(compiled).text
    assert query(compiled).proven_key is True


def test_a_sensitive_column_is_absent_without_its_permission(alice: User) -> None:
    assert "card_number" not in [field.name for field in plan(alice, "transactions").fields]
    alice.user_permissions.add(Permission.objects.get(codename="view_card"))
    again = User.objects.get(pk=alice.pk)
    assert "card_number" in [field.name for field in plan(again, "transactions").fields]


def test_the_moment_of_the_request_is_the_resources_now(alice: User, declare: Any) -> None:
    from datetime import UTC, datetime

    seen: list[datetime] = []

    def rows(self: Resource, user: Any) -> Any:
        seen.append(self.moment)
        return Group.objects.all()

    declare("groups", model=Group, get_queryset=rows)
    moment = datetime(2024, 5, 6, tzinfo=UTC)
    make_plan(Request(resource="groups"), alice, moment)
    assert set(seen) == {moment}


def test_formats_that_a_resource_leaves_out_are_refused(alice: User, declare: Any) -> None:
    declare("groups", model=Group, formats=("csv",), title="Teams")
    with pytest.raises(errors.Invalid, match=r"Teams cannot be exported as parquet\. Valid: csv\."):
        plan(alice, "groups", format="parquet")


BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("exports.E002", {"model": Group, "key": ()}, "has no key"),
    ("exports.E003", {"model": Transaction, "key": ("booked_at",)}, "which no constraint makes unique and NOT NULL"),
    ("exports.E003", {"model": Trade, "key": ("closed_at", "id")}, "which no constraint makes unique and NOT NULL"),
    ("exports.E004", {"model": Group, "columns": ("id", "id")}, "has the column 'id' twice"),
    ("exports.E005", {"model": Group, "columns": ("colour",)}, "has the unknown column 'colour'"),
    ("exports.E014", {"model": Group, "columns": ("permissions__name",)}, "leads through 'permissions' to several"),
    ("exports.E006", {"model": Group, "permission": "auth.fly"}, "asks for the permission 'auth.fly'"),
    ("exports.E007", {"model": Group, "formats": ("cvs",)}, "names the unknown format 'cvs'"),
]


@pytest.mark.parametrize(("number", "attributes", "sentence"), BROKEN, ids=[f"{n}-{s[:20]}" for n, _, s in BROKEN])
def test_a_declaration_that_cannot_work_is_found_at_start(
    declare: Any, number: str, attributes: dict[str, Any], sentence: str
) -> None:
    declare("broken", **attributes)
    found = problems()
    assert list(found) == [number]
    assert sentence in found[number]
    assert "Broken" in found[number]


def test_a_name_registered_twice_names_both_classes(declare: Any) -> None:
    declare("groups", model=Group)
    register("groups")(type("Second", (Resource,), {"model": Group}))
    message = problems()["exports.E001"]
    assert "tests.test_resources.Groups" in message
    assert "tests.test_resources.Second" in message
