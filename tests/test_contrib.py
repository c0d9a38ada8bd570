"""hstore, citext and xml on Debian's PostgreSQL, and a database that is not UTF-8."""

from __future__ import annotations

import io
import json
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.contrib.postgres.fields import ArrayField, HStoreField
from django.db import models
from pyarrow import parquet

from exports_app.pipeline import errors
from exports_app.pipeline.sources import keys
from exports_app.pipeline.sources.keys import Unique, are_unique
from exports_app.pipeline.types import Field, Kind
from exports_app.resources import Column, Resource
from exports_app.resources.queries import Selected, compile_query
from tests.debian import debian_url
from tests.plans import unmanaged
from tests.rendering import render

__all__ = ["debian_url"]
pytestmark = pytest.mark.django_db  # Django composes the SQL with a connection of its own


class CITextField(models.TextField):  # type: ignore[type-arg]  # a class, not a stub, at run time
    """As packages for case-insensitive text have it, since Django has none any more."""

    def db_type(self, connection: Any) -> str:
        return "citext"


Product = unmanaged(
    "texts_products",
    id=models.IntegerField(primary_key=True),
    name=CITextField(choices=[("Lamp", "A lamp")]),
    attrs=HStoreField(null=True),
    more=ArrayField(HStoreField()),
)
ROWS = """
CREATE EXTENSION hstore; CREATE EXTENSION citext;
CREATE TABLE texts_products (id int PRIMARY KEY, name citext, attrs hstore, more hstore[]);
INSERT INTO texts_products VALUES
    (1, 'Lamp', 'colour => "bright red", "a b" => NULL, x => "=1"', ARRAY['n => 1'::hstore, NULL]),
    (2, '=LAMP', NULL, '{}'), (3, 'lamp', '', '{{"n=>1"},{"n=>2"}}');
"""


@pytest.fixture(scope="module")
def products(debian_url: str) -> str:
    with psycopg.connect(debian_url) as opened:
        opened.execute(ROWS)
    return debian_url


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, products: str) -> None:
    monkeypatch.setenv("DATABASE_URL", products)


def file_of(format_name: str, *columns: str, **options: Any) -> bytes:
    resource = type("Products", (Resource,), {"model": Product})()
    chosen = [Selected(column=Column(name)) for name in columns]
    query, fields = compile_query(resource, resource.get_queryset(User()), chosen)
    return render(format_name, fields, query.text, options=options)


def test_hstore_is_json(at: None) -> None:
    assert file_of("csv", "id", "attrs").decode().splitlines() == [
        "Id,Attrs",
        '1,"{""x"":""=1"",""a b"":null,""colour"":""bright red""}"',
        "2,",
        "3,{}",
    ]
    assert [json.loads(line)["attrs"] for line in file_of("ndjson", "id", "attrs").splitlines()] == [
        {"x": "=1", "a b": None, "colour": "bright red"},
        None,
        {},
    ]
    table = parquet.read_table(io.BytesIO(file_of("parquet", "id", "attrs")))
    assert table["attrs"].to_pylist() == ['{"x":"=1","a b":null,"colour":"bright red"}', None, "{}"]


def test_a_value_of_hstore_is_text(at: None) -> None:
    assert file_of("csv", "id", "attrs__x").decode() == "Id,Attrs x\n1,'=1\n2,\n3,\n"
    assert file_of("ndjson", "attrs__colour").decode().splitlines()[0] == '{"attrs__colour":"bright red"}'


def test_arrays_of_hstore_are_arrays_of_objects(at: None) -> None:
    rows = [json.loads(line)["more"] for line in file_of("ndjson", "more").splitlines()]
    assert rows == [[{"n": "1"}, None], [], [[{"n": "1"}], [{"n": "2"}]]]


def test_citext_is_guarded_text_and_its_labels_heed_case_as_django_does(at: None) -> None:
    assert file_of("csv", "name", "id").decode() == "Name,Id\nLamp,1\n'=LAMP,2\nlamp,3\n"
    labelled = file_of("csv", "name", "id", choice_labels=True).decode()
    assert labelled == "Name,Id\nA lamp,1\n'=LAMP,2\nlamp,3\n"


def test_xml_is_text(at: None) -> None:
    fields = [Field(name="x", label="X", kind=Kind.TEXT), Field(name="n", label="N", kind=Kind.INTEGER)]
    assert render("csv", fields, "SELECT '<a b=\"1\">x</a>'::xml, 1, 1") == b'X,N\n"<a b=""1"">x</a>",1\n'


# Other encodings than UTF-8


@pytest.fixture(scope="module")
def latin(debian_url: str) -> str:
    with psycopg.connect(debian_url, autocommit=True) as opened:
        opened.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    return debian_url.replace("/postgres?", "/latin?")


TEXT, NUMBER = Field(name="t", label="T", kind=Kind.TEXT), Field(name="n", label="N", kind=Kind.INTEGER)


def test_a_database_of_another_encoding_is_guarded_alike(latin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", latin)
    query = """SELECT t, n, n FROM (VALUES ('=1', 1), (' =1', 2), ('Köln', 3), (chr(160) || '-1', 4), (chr(173), 5),
               (chr(160) || 'é', 6)) AS v(t, n)"""
    assert render("csv", [TEXT, NUMBER], query).decode() == (
        "T,N\n'=1,1\n' =1,2\nKöln,3\n'\u00a0-1,4\n\u00ad,5\n\u00a0é,6\n"
    )


def test_a_label_that_the_database_has_no_characters_for_is_named(latin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", latin)
    choice = Field(name="c", label="C", kind=Kind.CHOICE, choices=(("a", "Größe"), ("b", "zł")))
    query = "SELECT 'a'::text, 1, 1"
    assert render("csv", [choice, NUMBER], query) == b"C,N\na,1\n"
    with pytest.raises(errors.FormatLimit) as refused:
        render("csv", [choice, NUMBER], query, options={"choice_labels": True})
    assert str(refused.value) == (
        "The database's encoding, LATIN1, has no “ł”, which a label of this export holds. "
        "Leave choice_labels out, or choose other labels."
    )
    german = Field(name="c", label="C", kind=Kind.CHOICE, choices=(("a", "Größe"),))
    assert render("csv", [german, NUMBER], query, options={"choice_labels": True}).decode() == "C,N\nGröße,1\n"


def test_before_postgresql_16_a_document_with_a_nul_is_found_as_well(at: None) -> None:
    query = r"""SELECT CASE WHEN n = 7 THEN '{"a": "\\\u0000"}' ELSE '"\\u0000"' END::json, n, n
                  FROM generate_series(1, 9) AS n"""
    with pytest.raises(errors.FormatLimit, match=r"The column 1 holds JSON .* the row with the key 7\."):
        render("csv", [Field(name="d", label="D", kind=Kind.JSON), NUMBER], query)


@pytest.mark.parametrize(
    ("column", "index", "unique"),
    [
        ("citext", "code", True),
        ("citext", "code text_ops", False),
        ("text COLLATE any_case", "code", True),
        ("text COLLATE any_case", 'code COLLATE "C"', False),
        ('text COLLATE "C"', "code COLLATE any_case", True),
        ('text COLLATE "C"', 'code COLLATE "POSIX"', True),
    ],
)
def test_an_index_proves_what_the_order_of_its_column_tells_apart(
    products: str, column: str, index: str, unique: bool
) -> None:
    with psycopg.connect(products) as asking:
        asking.execute("CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        asking.execute(f"CREATE TABLE coded (code {column} NOT NULL)".encode())
        asking.execute(f"CREATE UNIQUE INDEX ON coded ({index})".encode())
        keys.forget()
        assert are_unique(asking, [Unique(table="coded", columns=("code",), filled=True)]) is unique
        asking.rollback()
    keys.forget()
