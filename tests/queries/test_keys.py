"""Indexes of the database prove a key, not what a model declares; where there are none, its rows are looked through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import django_filters as df
import psycopg
import pytest
from django.core.checks import run_checks
from django.db import connection, models

from exports_app.pipeline import errors
from exports_app.pipeline.sources import keys
from exports_app.pipeline.sources.counting import Question
from exports_app.pipeline.sources.cursors import Key, KeyColumn
from exports_app.pipeline.sources.keys import Unique, are_unique
from exports_app.pipeline.sources.sql import SqlSource
from exports_app.resources.queries import is_unique_key
from tests.queries.conftest import Export
from tests.queries.models import Item, Maker, Part, Place, make_model

SCHEMA = """
CREATE SCHEMA keyed;
CREATE TABLE keyed.orders (id int PRIMARY KEY, code text, place int);
INSERT INTO keyed.orders SELECT n, 'c' || n, n % 3 FROM generate_series(1, 50) AS n;
CREATE VIEW keyed.lines AS SELECT o.id, l AS line FROM keyed.orders AS o, generate_series(1, 3) AS l;
CREATE VIEW keyed.backwards AS SELECT * FROM keyed.lines ORDER BY line DESC;
CREATE VIEW keyed.once AS SELECT * FROM keyed.orders;
CREATE VIEW keyed.holes AS SELECT nullif(id, 7) AS id, code FROM keyed.orders;
CREATE MATERIALIZED VIEW keyed.stored AS SELECT * FROM keyed.orders;
CREATE UNIQUE INDEX ON keyed.stored (id);
CREATE TABLE keyed.parents (id int PRIMARY KEY, code text);
CREATE TABLE keyed.children () INHERITS (keyed.parents);
INSERT INTO keyed.parents VALUES (1, 'p'), (2, 'p');
INSERT INTO keyed.children VALUES (2, 'c');
CREATE TABLE keyed.parts (id int, half int, code text, PRIMARY KEY (id, half)) PARTITION BY LIST (half);
CREATE TABLE keyed.parts1 PARTITION OF keyed.parts FOR VALUES IN (1);
CREATE TABLE keyed.parts2 PARTITION OF keyed.parts FOR VALUES IN (2);
INSERT INTO keyed.parts VALUES (1, 1, 'a'), (1, 2, 'b');
CREATE TABLE keyed.kinds (
    id int PRIMARY KEY, late int NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED, filled int UNIQUE, few int NOT NULL,
    low text NOT NULL, wide int NOT NULL, many int NOT NULL, one int NOT NULL, two int NOT NULL,
    included int NOT NULL, UNIQUE (one, two), UNIQUE (wide) INCLUDE (included)
);
CREATE UNIQUE INDEX ON keyed.kinds (few) WHERE few > 0;
CREATE UNIQUE INDEX ON keyed.kinds (lower(low));
CREATE TYPE keyed.price AS (amount numeric);
CREATE TABLE keyed.prices (price keyed.price NOT NULL, number int NOT NULL, code varchar(9) NOT NULL, UNIQUE (code));
CREATE UNIQUE INDEX ON keyed.prices (price record_image_ops);
CREATE UNIQUE INDEX ON keyed.prices (number, price record_image_ops);
INSERT INTO keyed.prices VALUES (row(1.0), 1, 'a'), (row(1.00), 2, 'A'), (row(2.0), 3, 'b');
CREATE TABLE keyed.late (id int PRIMARY KEY, code int NOT NULL);
INSERT INTO keyed.late SELECT n, n / 2 FROM generate_series(1, 20) AS n;
"""


@pytest.fixture(scope="module")
def schema(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Tables and views as other programs make them."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(SCHEMA)
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA keyed CASCADE")


@pytest.fixture
def asking(schema: None, db: None) -> psycopg.Connection[Any]:
    """A connection whose transaction is rolled back."""
    connection.ensure_connection()
    opened: psycopg.Connection[Any] = connection.connection
    return opened


@pytest.mark.parametrize(
    ("table", "columns", "unique"),
    [
        ("orders", ("id",), True),
        ("orders", ("code", "id"), False),  # code may be NULL
        ("orders", ("place",), False),
        ("lines", ("id",), False),
        ("once", ("id",), False),
        ("stored", ("id",), False),  # a materialized view knows no NOT NULL
        ("parents", ("id",), False),  # its child has rows of the same id
        ("children", ("id",), False),
        ("parts", ("id", "half"), True),
        ("parts", ("id",), False),
        ("kinds", ("id",), True),
        ("kinds", ("late",), False),
        ("kinds", ("filled",), False),
        ("kinds", ("few",), False),
        ("kinds", ("low",), False),
        ("kinds", ("many",), False),
        ("kinds", ("one",), False),
        ("kinds", ("one", "two"), True),
        ("kinds", ("two", "many", "one"), True),
        ("kinds", ("wide",), True),
        ("kinds", ("included",), False),
        ("prices", ("price",), False),  # the index has 1.0 and 1.00, which are equal
        ("prices", ("number", "price"), False),
        ("prices", ("code",), True),
        ("nowhere", ("id",), False),
    ],
)
def test_an_index_that_holds_for_all_rows_is_proof(
    asking: psycopg.Connection[Any], table: str, columns: tuple[str, ...], unique: bool
) -> None:
    assert are_unique(asking, [Unique(table=f'"keyed"."{table}"', columns=columns, filled=True)]) is unique


def test_a_proof_is_looked_up_once_a_minute(asking: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asking.execute("CREATE TABLE keyed.proven (id int PRIMARY KEY)")
    asked = [Unique(table='"keyed"."proven"', columns=("id",), filled=True)]
    assert are_unique(asking, asked)
    asking.execute("ALTER TABLE keyed.proven DROP CONSTRAINT proven_pkey")
    assert are_unique(asking, asked)
    monkeypatch.setattr(keys, "PROOF_SECONDS", 0.0)
    assert not are_unique(asking, asked)


def test_a_join_needs_an_index_but_no_filled_columns(asking: psycopg.Connection[Any]) -> None:
    assert are_unique(asking, [Unique(table='"keyed"."stored"', columns=("id",))])
    assert are_unique(asking, [Unique(table='"keyed"."kinds"', columns=("filled",))])
    assert not are_unique(
        asking, [Unique(table='"keyed"."orders"', columns=("id",)), Unique(table='"keyed"."once"', columns=("id",))]
    )


def test_not_null_that_was_never_looked_at_is_no_proof(asking: psycopg.Connection[Any]) -> None:
    if asking.info.server_version < 180000:
        pytest.skip("PostgreSQL 18 is the first to have NOT NULL that is not valid")
    asking.execute("CREATE TABLE keyed.olds (id int UNIQUE)")
    asking.execute("ALTER TABLE keyed.olds ADD CONSTRAINT filled NOT NULL id NOT VALID")
    asked = [Unique(table='"keyed"."olds"', columns=("id",), filled=True)]
    assert not are_unique(asking, asked)
    keys.forget()
    asking.execute("ALTER TABLE keyed.olds VALIDATE CONSTRAINT filled")
    assert are_unique(asking, asked)


def of(table: str, **fields: Any) -> dict[str, Any]:
    """A resource over an unmanaged model, whose primary key is its first field."""
    given = {"id": models.IntegerField(primary_key=True), **fields}
    return {"model": make_model(f"Of{table.title()}", f'keyed"."{table}', **given)}


@pytest.mark.parametrize("chunk", [7, 100])
@pytest.mark.parametrize("table", ["lines", "holes", "parents"])
def test_a_declared_primary_key_that_is_none_is_found(schema: Any, export: Export, table: str, chunk: int) -> None:
    with pytest.raises(errors.BadKey):
        export(**of(table), chunk=chunk)


@pytest.mark.parametrize("table", ["orders", "once", "stored"])
def test_a_primary_key_of_a_view_is_looked_at(schema: Any, export: Export, table: str) -> None:
    found = export(**of(table, code=models.TextField()), columns=("id", "code"), chunk=7)
    assert found == [(str(n), f"c{n}") for n in range(1, 51)]


def test_another_key_than_the_declared_one_serves_a_view(schema: Any, export: Export) -> None:
    found = export(**of("lines", line=models.IntegerField()), key=("id", "line"), columns=("id", "line"), chunk=7)
    assert found == [(str(n), str(line)) for n in range(1, 51) for line in (1, 2, 3)]


@pytest.mark.parametrize("chunk", [1, 100])
def test_a_slice_of_a_view_is_of_the_same_rows_each_time(schema: Any, export: Export, chunk: int) -> None:
    """Its order ties rows of one declared primary key, of which the slice has two of three."""
    view = of("backwards", line=models.IntegerField())
    rows = view["model"].objects.order_by("id")[:5]
    found = export(
        **view, key=("id", "line"), columns=("id", "line"), get_queryset=lambda self, user: rows, chunk=chunk
    )
    assert found == [("1", "1"), ("1", "2"), ("1", "3"), ("2", "1"), ("2", "2")]


def test_the_last_of_each_in_a_view_is_the_same_each_time(schema: Any, export: Export) -> None:
    view = of("backwards", line=models.IntegerField())
    rows = view["model"].objects.order_by("id").distinct("id")
    found = export(**view, key=("id", "line"), columns=("id", "line"), get_queryset=lambda self, user: rows)
    assert found == [(str(n), "1") for n in range(1, 51)]


def test_a_joined_view_can_repeat_rows_and_is_looked_at(schema: Any, export: Export) -> None:
    order = models.ForeignKey(of("lines", line=models.IntegerField())["model"], models.DO_NOTHING, db_column="id")
    orders = make_model("OfOrdersToLines", 'keyed"."orders', code=models.TextField(primary_key=True), order=order)
    assert len(export(model=orders, columns=("code",), chunk=7)) == 50
    with pytest.raises(errors.BadKey):
        export(model=orders, columns=("code", "order__line"), chunk=7)


def test_only_keys_without_proof_are_looked_through(
    schema: Any, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed: list[str] = []
    monkeypatch.setattr(SqlSource, "_probe_key", lambda self: probed.append(self._query.text))
    export(model=Item, columns=("id", "maker__land"), get_queryset=lambda self, user: Item.objects.order_by("day")[:9])
    export(model=Part, columns=("weight", "kind"))
    export(model=Place)
    export(**of("orders"))
    export(**of("parts", half=models.IntegerField()), key=("id", "half"))
    assert probed == []
    export(**of("once"))
    export(
        model=Item,
        key=("level", "day", "kind", "id"),
        get_queryset=lambda self, user: Item.objects.order_by("labels__word").filter(labels__isnull=True),
    )
    assert len(probed) == 2


class LineFilter(df.FilterSet):
    code = df.CharFilter("order__code")


def test_a_filter_over_a_join_lets_in_no_other_row_of_a_doubled_key(schema: Any, export: Export) -> None:
    order = models.ForeignKey(of("orders", code=models.TextField())["model"], models.DO_NOTHING, db_column="line")
    lines = make_model("LinesToOrders", 'keyed"."lines', id=models.IntegerField(primary_key=True), order=order)
    found = export(
        model=lines, key=("id", "order_id"), columns=("id", "order_id"), filterset_class=LineFilter,
        request={"filters": {"code": "c2"}}, chunk=7,
    )  # fmt: skip
    assert found == [(str(n), "2") for n in range(1, 51)]


@pytest.mark.parametrize("chunk", [1, 100])
def test_an_index_that_tells_more_apart_than_the_order_is_no_proof(schema: Any, export: Export, chunk: int) -> None:
    prices = make_model("Prices", 'keyed"."prices', price=models.TextField(primary_key=True))
    with pytest.raises(errors.BadKey):
        export(model=prices, chunk=chunk)


class Lower(models.CharField):  # type: ignore[type-arg]  # a class, not a stub, at run time
    """Is stored as it was given, and read in small letters."""

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        return f"lower({sql})", params


@pytest.mark.parametrize("managed", [True, False])
@pytest.mark.parametrize("chunk", [1, 100])
def test_a_field_that_is_read_otherwise_than_stored_is_looked_through(
    schema: Any, export: Export, managed: bool, chunk: int
) -> None:
    code = Lower(max_length=9, primary_key=True)
    codes = make_model("Codes", 'keyed"."prices', managed=managed, code=code, number=models.IntegerField())
    with pytest.raises(errors.BadKey):
        export(model=codes, chunk=chunk)
    few = export(model=codes, get_queryset=lambda self, user: codes.objects.filter(number__gt=1), chunk=chunk)
    assert few == [("a", "2"), ("b", "3")]


def test_a_managed_model_whose_constraint_is_missing_is_looked_through(schema: Any, export: Export) -> None:
    late = make_model("Late", 'keyed"."late', managed=True, code=models.IntegerField(unique=True))
    with pytest.raises(errors.BadKey):
        export(model=late, key=("code",), chunk=3)


def test_the_type_of_a_key_may_have_a_percent_sign_in_its_name(schema: Any, asking: psycopg.Connection[Any]) -> None:
    """The bounds of a run that goes on behind an earlier one are parameters of the count."""
    key = Key([KeyColumn(name="k1", oid=0, type='keyed."5%s"')])
    question = Question(rows="", keys="SELECT code FROM keyed.percents", key=key, after=("b",), last=("a",))
    asking.execute(b"CREATE TYPE keyed.\"5%s\" AS ENUM ('c', 'b', 'a')")
    asking.execute(b'CREATE TABLE keyed.percents (code keyed."5%s")')
    asking.execute(b"INSERT INTO keyed.percents VALUES ('a'), ('b'), ('c')")
    statement, parameters = question.stretches()
    assert asking.execute(statement, parameters).fetchone() == (2, 1, 0, 3)


@pytest.mark.parametrize(
    ("model", "key", "unique"),
    [
        (Place, ("tenant", "number"), True),
        (Place, ("number", "tenant"), True),
        (Place, ("name", "number", "tenant"), True),
        (Place, ("pk",), True),
        (Place, ("tenant",), False),
        (Part, ("item_ptr_id",), True),
        (Part, ("id",), True),
        (Part, ("weight",), True),
        (Item, ("note", "id"), False),
        (Maker, ("maker",), False),
    ],
)
def test_declared_keys(model: Any, key: tuple[str, ...], unique: bool) -> None:
    assert is_unique_key(model, key) is unique


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        ({"model": Place}, []),
        ({"model": Place, "key": ("tenant", "number")}, []),
        ({"model": Place, "key": ("tenant",)}, ["exports.E003"]),
        ({"model": Item, "key": ("kind",)}, ["exports.E003"]),
        (of("lines", line=models.IntegerField(null=True)) | {"key": ("id", "line")}, []),  # is looked through
    ],
)
def test_checks_of_keys(declare: Callable[..., str], attributes: dict[str, Any], found: list[str]) -> None:
    declare(**attributes)
    assert [each.id for each in run_checks(tags=["exports"])] == found


@pytest.mark.parametrize(
    ("make", "key", "found"),
    [
        (lambda: Item.objects.filter(level=1), ("kind", "id"), {}),
        (lambda: Item.objects.order_by("kind").distinct("kind"), ("kind",), {}),
        (lambda: Item.objects.values("kind").annotate(n=models.Count("pk")), ("kind",), {}),
        (lambda: Item.objects.annotate(word=models.F("labels__word")), ("id", "word"), {}),
        (lambda: Item.objects.filter(level=1), ("kind",), {"exports.W020": "each run looks through all rows"}),
        (lambda: Item.objects.order_by("?")[:5], ("id",), {"exports.E020": "takes rows at random, other ones each"}),
        (Item.objects.select_for_update, ("id",), {"exports.E020": "locks its rows with select_for_update()"}),
        (lambda: list(Item.objects.all()), ("id",), {"exports.E018": "in get_queryset()"}),
        (lambda: [Item()], ("id",), {"exports.E018": "in get_queryset()"}),
        (lambda: Item.objects.none()[0], ("id",), {"exports.W001": "raises IndexError"}),
    ],
)
def test_checks_of_what_get_queryset_returns(
    declare: Callable[..., str], make: Callable[[], Any], key: tuple[str, ...], found: dict[str, str]
) -> None:
    declare(model=Item, key=key, columns=("kind",), get_queryset=lambda self, user: make())
    problems = run_checks(tags=["exports"])
    assert [each.id for each in problems] == list(found)
    assert all(sentence in each.msg for sentence, each in zip(found.values(), problems, strict=True))
