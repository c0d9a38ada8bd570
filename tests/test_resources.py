"""What a declaration means: kinds, keys, filters, columns, checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django_filters as df
import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.checks import run_checks
from django.db.models import Count, F, Value
from django.db.models.functions import Concat

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
    return make_plan(Request(**{"resource": resource, "filters": {}, "parameters": {}, "options": {}} | values), user)


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
    make_plan(Request(resource="groups", filters={}, parameters={}, options={}), alice, moment)
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
    ("exports.E005", {"model": Group, "columns": ("permissions__name",)}, "leads through 'permissions' to several"),
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
