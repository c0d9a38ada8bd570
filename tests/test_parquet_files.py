"""Parquet: row groups, dictionaries, what is loaded, and the types of columns from the ORM."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Sum
from pyarrow import parquet

from exports_app import errors as app_errors
from exports_app.pipeline import formats
from exports_app.pipeline.formats import arrow
from exports_app.pipeline.types import Field, Kind, Options
from exports_app.plan import Plan, Request, make_plan
from exports_app.resources import Column, Resource, register, registry
from exportsite.samples.models import Transaction
from tests.rendering import render


def field(name: str, kind: Kind = Kind.TEXT, **values: Any) -> Field:
    return Field(name=name, label=name.title(), kind=kind, **values)


@pytest.fixture
def wide_file(monkeypatch: pytest.MonkeyPatch) -> Any:
    """10,000 rows in small row groups, as readers see its structure."""
    monkeypatch.setattr(arrow, "ROW_GROUP_BYTES", 100_000)
    columns = [field("id", Kind.INTEGER), field("status"), field("hash"), field("tags", Kind.ARRAY, element=Kind.TEXT)]
    query = "SELECT i, 'S' || i % 3, md5(i::text), ARRAY['x', 'y'], i FROM generate_series(1, 10000) AS i"
    return parquet.ParquetFile(io.BytesIO(render("parquet", columns, query, chunk_rows=1000)))


def test_row_groups_hold_a_few_chunks_and_their_statistics(wide_file: Any) -> None:
    groups = [wide_file.metadata.row_group(n) for n in range(wide_file.num_row_groups)]
    ids = [group.column(0).statistics for group in groups]

    assert [group.num_rows for group in groups] == [3000, 4000, 3000]
    assert [(each.min, each.max, each.null_count) for each in ids][:2] == [(1, 3000, 0), (3001, 7000, 0)]
    assert wide_file.read()["id"].to_pylist() == list(range(1, 10_001))


def test_only_what_repeats_gets_a_dictionary(wide_file: Any) -> None:
    group = wide_file.metadata.row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]

    assert [column.path_in_schema for column in columns] == ["id", "status", "hash", "tags.list.element"]
    assert [column.has_dictionary_page for column in columns] == [False, True, False, True]
    assert {column.compression for column in columns} == {"ZSTD"}


def test_it_starts_over_and_is_not_gzipped() -> None:
    format_ = formats.get_format("parquet")

    assert not format_.resumable
    assert not format_.text
    with pytest.raises(ValueError, match="it starts over"):
        format_.encoder([field("id")], Options(), {})


def test_arrow_loads_with_the_first_file_and_pandas_never() -> None:
    code = """
import sys
from exports_app.pipeline import formats
from exports_app.pipeline.types import Chunk, Field, Kind, Options
parquet = formats.get_format("parquet")
assert "pyarrow" not in sys.modules
columns = [Field(name=kind, label="", kind=kind, element=Kind.TIME) for kind in (Kind.TEXT, Kind.ARRAY, Kind.BINARY)]
encoder = parquet.encoder(columns, Options(), None)
assert "pyarrow.compute" not in sys.modules
data = parquet.python(columns, Options())([("x", [None], b"y")])
encoder.start(), encoder.write(Chunk(data=data, rows=1, cursor=("1",))), encoder.finish(1)
assert "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# From the ORM to the column


@pytest.fixture
def turnover() -> Iterator[str]:
    """A resource whose amounts are sums."""

    @register("turnover")
    class Turnover(Resource):
        """Turnover by currency."""

        model = Transaction
        key = ("currency",)
        columns = (Column("currency"), Column("total"), Column("mean", Sum("fee") / Sum("amount")))

        def get_queryset(self, user: Any) -> Any:
            return Transaction.objects.values("currency").annotate(total=Sum("amount"))

    yield "turnover"
    registry.unregister("turnover")


def plan(user: User, resource: str, **values: Any) -> Plan:
    return make_plan(Request(resource=resource, format="parquet", **values), user)


def types_of(made: Plan) -> dict[str, str]:
    return {each.name: str(arrow.column_type(each, made.options)) for each in made.fields}


def test_a_stored_decimal_has_the_digits_of_its_field(alice: User) -> None:
    assert types_of(plan(alice, "transactions", columns=["amount", "net"])) == {
        "amount": "decimal128(14, 2)",
        "net": "decimal128(15, 2)",
    }


def test_a_sum_has_room_for_more_digits_and_a_quotient_is_exact(alice: User, turnover: str) -> None:
    assert types_of(plan(alice, turnover)) == {"currency": "string", "total": "decimal128(38, 2)", "mean": "string"}


def test_gzip_is_refused_when_asked_for(alice: User) -> None:
    with pytest.raises(app_errors.Invalid, match=r"parquet compresses by itself\. Leave compression out\."):
        plan(alice, "transactions", compression="gzip")
