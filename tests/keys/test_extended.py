"""Keys of types and collations that only a server with contrib modules and ICU has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from exports_app.pipeline import errors
from exports_app.pipeline.formats import get_format
from exports_app.pipeline.sources.sql import SqlSource
from exports_app.pipeline.types import Options
from tests.debian import debian_url
from tests.keys.test_matrix import FIELDS, QUERY, assert_all_rows_in_order, connect, fill
from tests.keys.types import EXTENDED, FURTHER, REFUSED_FURTHER, SETUP, KeyType

__all__ = ["debian_url"]


@pytest.fixture(scope="module")
def cluster(debian_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(debian_url, autocommit=True) as connection:
        connection.execute(SETUP)
        connection.execute(FURTHER)
        yield connection


@pytest.fixture(autouse=True)
def at_the_cluster(debian_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", debian_url)


@pytest.mark.parametrize("kind", EXTENDED, ids=lambda kind: kind.declared)
def test_a_key_of_a_type_that_an_extension_brings(
    cluster: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, kind: KeyType
) -> None:
    assert_all_rows_in_order(fill(cluster, kind), monkeypatch)


@pytest.mark.parametrize("kind", REFUSED_FURTHER, ids=lambda kind: kind.declared)
def test_one_without_an_order_is_refused_by_its_name(cluster: psycopg.Connection[Any], kind: KeyType) -> None:
    fill(cluster, kind, ordered=False)
    with pytest.raises(errors.BadKey) as refused, connect() as connection:
        SqlSource(connection, QUERY, get_format("csv").sql(FIELDS, Options()))
    assert str(refused.value) == f"The key is of a type that has no order: {kind.declared}."
