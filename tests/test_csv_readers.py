"""CSV that readers take for what it is: its first cell, and lines of one column."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import duckdb
import pandas
import psycopg
import pytest

from exports_app.pipeline.types import Field, Kind
from tests.plans import exported, file_of, unmanaged
from tests.rendering import render, render_python


def field(label: str, kind: Kind = Kind.TEXT, **more: Any) -> Field:
    return Field(name=label.lower(), label=label, kind=kind, **more)


NAME = field("Name")
ID = field("ID", Kind.INTEGER)

# SYLK


@pytest.mark.parametrize(
    ("labels", "options", "start"),
    [
        (["ID", "Name"], {}, b'"ID",Name\n'),
        (["ID", "Name"], {"bom": True}, b'\xef\xbb\xbf"ID",Name\n'),
        (["ID", "Name"], {"delimiter": ";", "line_ending": "crlf"}, b'"ID";Name\r\n'),
        (["IDs", "ID"], {"delimiter": "\t"}, b'"IDs"\tID\n'),
        (["IDEA"], {}, b'"IDEA"\n'),
        (["ID, old", "x"], {}, b'"ID, old",x\n'),
        (["Id", "ID"], {}, b"Id,ID\n"),
        (["id", "x"], {}, b"id,x\n"),
        (["Name", "ID"], {}, b"Name,ID\n"),
    ],
)
def test_a_file_never_begins_with_id(labels: list[str], options: dict[str, Any], start: bytes) -> None:
    fields = [field(label) for label in labels]
    query = f"SELECT {', '.join(['NULL'] * len(labels))}, 1 WHERE false"
    assert render("csv", fields, query, options=options) == start
    assert render_python("csv", fields, [], options) == start


ROWS = [("ID7", 1), ("ID8", 2), ("x", 3)]
QUERY = "SELECT t, n, n FROM (VALUES ('ID7', 1), ('ID8', 2), ('x', 3)) AS v(t, n)"


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize(
    ("options", "data"),
    [
        ({"header": False}, b'"ID7",1\nID8,2\nx,3\n'),
        ({"header": False, "line_ending": "crlf", "bom": True}, b'\xef\xbb\xbf"ID7",1\r\nID8,2\r\nx,3\r\n'),
        ({}, b"Name,N\nID7,1\nID8,2\nx,3\n"),
    ],
)
def test_without_a_header_the_first_row_is_looked_at_and_no_other(
    options: dict[str, Any], data: bytes, resumed: bool
) -> None:
    fields = [NAME, field("N", Kind.INTEGER)]
    assert render("csv", fields, QUERY, options=options, chunk_rows=1, part_size=1, resumed=resumed) == data
    assert render_python("csv", fields, ROWS, options, chunk_rows=1) == data


def test_gzip_holds_the_same(tmp_path: Path) -> None:
    plain = render("csv", [ID, NAME], "SELECT 1, 'x', 1")
    assert plain == b'"ID",Name\n1,x\n'
    file = tmp_path / "ids.csv.gz"
    file.write_bytes(render("csv", [ID, NAME], "SELECT 1, 'x', 1", gzip=True))
    assert pandas.read_csv(file).to_dict("records") == [{"ID": 1, "Name": "x"}]


# One column

TEXTS = ["text 1", None, "", " ", "\t", "\\.", "a\n \nb", "\n", '"', "\\.x", " y", "a\n\\.\nb", None]
LINES = 'Name\ntext 1\n""\n""\n" "\n\'\t\n"\\."\n"a\n \nb"\n"\'\n"\n""""\n\\.x\n y\n"a\n\\.\nb"\n""\n'


def one_column(texts: list[str | None]) -> str:
    rows = ", ".join(
        f"({n}, {'NULL' if text is None else psycopg.sql.Literal(text).as_string()}::text)"
        for n, text in enumerate(texts)
    )
    return f"SELECT t, n FROM (VALUES {rows}) AS v(n, t)"


@pytest.mark.parametrize("resumed", [False, True])
def test_a_row_of_one_column_is_never_an_empty_line(resumed: bool) -> None:
    data = render("csv", [NAME], one_column(TEXTS), chunk_rows=2, part_size=10, resumed=resumed)
    assert data.decode() == LINES
    assert render_python("csv", [NAME], [(text,) for text in TEXTS], chunk_rows=3) == data


def test_crlf_changes_nothing_about_it() -> None:
    data = render("csv", [NAME], one_column([None, " ", "\\.", "x"]), options={"line_ending": "crlf"})
    assert data == b'Name\r\n""\r\n" "\r\n"\\."\r\nx\r\n'


def test_every_kind_of_one_column_has_a_line_for_null() -> None:
    for kind, type_ in (("integer", "int"), ("date", "date"), ("json", "jsonb"), ("boolean", "bool"), ("uuid", "uuid")):
        assert render("csv", [field("V", Kind(kind))], f"SELECT NULL::{type_}, 1") == b'V\n""\n'
    assert render_python("csv", [field("V", Kind.DATE)], [(None,)]) == b'V\n""\n'


def test_two_columns_keep_null_and_the_empty_text_apart() -> None:
    assert render("csv", [NAME, NAME], "SELECT NULL, '', 1") == b'Name,Name\n,""\n'


def test_readers_find_every_row(tmp_path: Path) -> None:
    data = render("csv", [NAME], one_column([None, "a", "", " ", "\\.", None]))
    assert len(list(csv.DictReader(io.StringIO(data.decode(), newline="")))) == 6
    assert len(pandas.read_csv(io.BytesIO(data))) == 6
    file = tmp_path / "names.csv"
    file.write_bytes(data)
    with duckdb.connect() as database:
        assert len(database.execute(f"SELECT * FROM read_csv('{file}', header = true)").fetchall()) == 6


def test_copy_from_reads_every_row(connection: psycopg.Connection[Any]) -> None:
    data = render("csv", [NAME], one_column([None, "a", "", " ", "\\.", None]), options={"header": False})
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE TEMPORARY TABLE one_column (name text)")
        with connection.cursor().copy("COPY one_column FROM STDIN (FORMAT csv)") as copy:
            copy.write(data)
        found = connection.execute("SELECT name FROM one_column").fetchall()
    assert found == [("",), ("a",), ("",), (" ",), ("\\.",), ("",)]


@pytest.mark.django_db(transaction=True)
def test_the_orm_s_own_key_is_quoted_in_a_file_and_a_preview_tells_of_empty_values(api: Any) -> None:
    from django.db import models

    model = unmanaged(
        "texts_notes", id=models.AutoField(primary_key=True, verbose_name="ID"), note=models.TextField(null=True)
    )
    ddl = "CREATE TABLE {table} (id int PRIMARY KEY, note text); INSERT INTO {table} VALUES (1, NULL), (2, 'x')"
    warning = 'In a file of one column an empty value is written "", as the empty text is: readers skip empty lines.'
    with exported(model, ddl) as name:
        assert file_of(name) == b'"ID",Note\n1,\n2,x\n'
        assert file_of(name, columns=["note"]) == b'Note\n""\nx\n'
        one = api.post(f"/api/v1/resources/{name}/estimate/", {"columns": ["note"]}).json()
        two = api.post(f"/api/v1/resources/{name}/estimate/", {}).json()
    assert (one["warnings"], two["warnings"]) == ([warning], [])
    assert one["preview"]["rows"] == [[""], ["x"]]
