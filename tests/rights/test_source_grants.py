"""What a role may read that rows of exports are read by: what resources read, and nothing beside it."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import django_filters as df
import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, Prefetch, QuerySet

from exports_app.management import source_grants
from exports_app.resources import Column, Resource, Sheet, register, registry
from exportsite.samples.models import Account, Customer, Tag, Trade

pytestmark = pytest.mark.django_db
ROLE = "pg_monitor"
"""That every server has, since the owner of a database alone can make none; nothing of it outlives a test."""


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, set[str]]]:
    """What is needed where these are all the resources there are, the first one by the name ``first``."""

    def needed(*resources: type[Resource]) -> dict[str, set[str]]:
        with monkeypatch.context() as patch:
            patch.setattr(registry, "_resources", {})
            for name, each in zip(("first", "second"), resources, strict=False):
                register(name)(each)
            columns, doubts = source_grants.needed("default", source_grants.anybody())
        assert doubts == []
        return {table: names for (_, table), names in columns.items()}

    return needed


def test_of_a_joined_table_the_columns_that_are_used_are_all(only: Any) -> None:
    class Accounts(Resource):
        model = Account
        columns = ("id", Column("user__username"))

    assert only(Accounts) == {"samples_account": {"id", "user_id"}, "auth_user": {"id", "username"}}


def test_conditions_and_subqueries_count(only: Any) -> None:
    class Accounts(Resource):
        model = Account
        columns = ("id",)

        def get_queryset(self, user: Any) -> QuerySet[Any, Any]:
            staff = User.objects.filter(pk=OuterRef("user"), is_staff=True)
            return Account.objects.filter(Exists(staff), owner__startswith="A")

    assert only(Accounts) == {"samples_account": {"id", "user_id", "owner"}, "auth_user": {"id", "is_staff"}}


def test_groups_and_counts_count(only: Any) -> None:
    class PerAccount(Resource):
        key = ("account_id",)
        columns = ("account_id", "trades")

        def get_queryset(self, user: Any) -> QuerySet[Any, Any]:
            return Trade.objects.values("account_id").annotate(trades=Count("pk"))

    assert only(PerAccount) == {"samples_trade": {"account_id", "id"}}


def test_filters_count_whatever_is_asked_for(only: Any) -> None:
    class TradeFilter(df.FilterSet):
        holder = df.CharFilter("account__user__email")
        tags = df.ModelMultipleChoiceFilter(queryset=Tag.objects.all(), to_field_name="name")
        lately = df.BooleanFilter(method="after")

        class Meta:
            model = Trade
            fields: list[str] = []

    class Trades(Resource):
        model = Trade
        columns = ("id",)
        filterset_class = TradeFilter
        filter_reads = {"lately": ("closed_at",)}

    assert only(Trades) == {
        "samples_trade": {"id", "account_id", "closed_at"},
        "samples_account": {"id", "user_id"},
        "auth_user": {"id", "email"},
        "samples_trade_tags": {"trade_id", "tag_id"},
        "samples_tag": {"id", "name"},
    }


def test_sheets_count_with_the_path_to_them(only: Any) -> None:
    class Groups(Resource):
        model = Group
        columns = ("id",)
        sheets = (Sheet("second", via="group"),)

    class Abilities(Resource):
        model = Permission
        columns = ("id", "codename")

    assert only(Groups, Abilities) == {
        "auth_group": {"id"},
        "auth_permission": {"id", "codename"},
        "auth_group_permissions": {"group_id", "permission_id"},
    }


def test_objects_take_all_their_columns_and_what_is_fetched_beside_them(only: Any) -> None:
    class Groups(Resource):
        model = Group
        columns = ("id", Column("rights", python=lambda group: len(group.permissions.all())))

        def get_queryset(self, user: Any) -> QuerySet[Any, Any]:
            return Group.objects.prefetch_related(Prefetch("permissions"))

    assert only(Groups) == {
        "auth_group": {"id", "name"},
        "auth_permission": {"id", "codename", "name", "content_type_id"},
        "django_content_type": {"id", "app_label", "model"},  # by which permissions are ordered
        "auth_group_permissions": {"id", "group_id", "permission_id"},
    }


def test_what_a_superuser_reads_and_others_do_not_counts(only: Any) -> None:
    class Customers(Resource):
        model = Customer
        columns = ("id",)

        def get_queryset(self, user: Any) -> QuerySet[Any, Any]:
            rows = Customer.objects.all()
            return rows if user.is_superuser else rows.filter(country_code="DE")

    assert only(Customers) == {"samples_customer": {"id", "country_code"}}


def test_a_view_is_read_and_not_the_tables_behind_it(only: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE VIEW people AS SELECT id, username AS name, password FROM auth_user")

    class People(Resource):
        model = Group
        columns = ("id", "name")

        def get_queryset(self, user: Any) -> QuerySet[Any, Any]:
            rows: QuerySet[Any, Any] = Group.objects.annotate(shown=F("name"))
            return rows.extra(tables=["people"], where=["people.id = auth_group.id"])

    assert only(People) == {"auth_group": {"id", "name"}, "people": {"id"}}


def test_a_broken_resource_keeps_no_other_from_its_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_resources", {})

    @register("broken")
    class Broken(Resource):
        model = Customer

        def get_queryset(self, user: Any) -> QuerySet[Any, Any]:
            raise RuntimeError

    @register("whole")
    class Whole(Resource):
        model = Tag
        columns = ("id",)

    columns, doubts = source_grants.needed("default", source_grants.anybody())
    assert columns == {("public", "samples_tag"): {"id"}}
    assert doubts == ["broken could not be read (RuntimeError); manage.py check may say more."]


def test_a_filter_that_does_not_say_what_it_reads_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_resources", {})

    class Silent(df.FilterSet):
        some = df.CharFilter(method="narrow")

    @register("tags")
    class Tags(Resource):
        model = Tag
        columns = ("id",)
        filterset_class = Silent

    assert source_grants.needed("default", source_grants.anybody())[1] == [
        "The filter some of tags does not say what it reads (filter_reads)."
    ]


# The role itself


@pytest.fixture
def role() -> str:
    """One that could read everything, in a transaction that never ends."""
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {ROLE}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ROLE}")
        cursor.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {ROLE}")
    return ROLE


def readable(table: str) -> set[str]:
    """Columns that the role may read, as PostgreSQL says."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
            " AND has_column_privilege(%s, attrelid, attnum, 'SELECT')",
            [table, ROLE],
        )
        return {name for (name,) in cursor.fetchall()}


def granted(*arguments: str) -> str:
    out = StringIO()
    call_command("export_source_grants", "--role", ROLE, *arguments, stdout=out)
    return out.getvalue()


def test_without_apply_nothing_changes(role: str) -> None:
    assert 'GRANT SELECT ("id", "number", "owner", "user_id") ON "public"."samples_account"' in granted()
    assert {"id", "password", "email"} < readable("auth_user")


def test_what_the_role_could_read_before_is_taken_away(role: str) -> None:
    granted("--apply")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE of_later (id int)")
    for table in ("auth_permission", "exports_app_apikey", "of_later"):
        assert readable(table) == set(), table
    assert "password" not in readable("auth_user")
    assert {"id", "email"} < readable("samples_customer")


def test_a_role_that_nobody_made_and_none_at_all_are_named(settings: Any) -> None:
    with pytest.raises(CommandError, match="There is no role nobody_made_it"):
        call_command("export_source_grants", "--role", "nobody_made_it", "--apply", stdout=StringIO())
    settings.EXPORTS_SOURCE_DATABASE_URL = ""
    with pytest.raises(CommandError, match="Name the role"):
        call_command("export_source_grants")


def test_a_name_is_quoted() -> None:
    made = source_grants.statements("default", 'x" , postgres', {("public", "t"): {"a b"}})
    assert made[-1] == 'GRANT SELECT ("a b") ON "public"."t" TO "x"" , postgres"'
