"""A schema of 173 tables that nobody here wrote: every table, in every format, equal to SELECT, cell for cell."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.db import models
from pytest_django import DjangoDbBlocker

from exports_app.pipeline import errors
from exports_app.pipeline.formats import FORMATS
from tests.foreign.comparing import differences
from tests.foreign.schemas import database, inspected, load_packaged

ALIAS = "foreign_packaged"
pytestmark = [
    pytest.mark.django_db(databases=["default", ALIAS]),
    pytest.mark.skipif(not os.environ.get("FOREIGN_SCHEMAS"), reason="`make test-full` exports a schema of 173 tables"),
]
Tables = dict[str, type[models.Model]]
VERSION = "1:6.0.14+dfsg-1+b1"
"""Of the package; another one has other numbers."""
LARGE = {"items": 13_378}
"""Rows of the largest tables."""
FILLED, CELLS = 65, 1_488_893
"""Tables that have rows, and the cells of all of them."""
REFUSED = {
    "xlsx": {
        "images": "Row 90 has 35,544 characters in “Image”; a cell of an XLSX file holds 32,767. "
        "Choose another format, or truncate_cells=true to have such cells cut."
    }
}
"""By format: tables that do not fit, and why."""


@pytest.fixture(scope="module")
def tables(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Tables]:
    with database(ALIAS) as url, django_db_blocker.unblock():
        version = load_packaged(url)
        assert version == VERSION, f"the package is {version} by now: count again"
        with inspected(ALIAS) as found:
            yield found


def test_the_schema_is_there(tables: Tables) -> None:
    assert len(tables) == 173
    rows = {name: model._default_manager.using(ALIAS).count() for name, model in tables.items()}
    assert {name: rows[name] for name in LARGE} == LARGE
    cells = sum(rows[name] * len(model._meta.concrete_fields) for name, model in tables.items())
    assert (sum(map(bool, rows.values())), cells) == (FILLED, CELLS)


@pytest.mark.parametrize("name", FORMATS)
def test_every_table_is_what_select_gives(tables: Tables, name: str) -> None:
    wrong: dict[str, list[str]] = {}
    refused: dict[str, str] = {}
    for table, model in sorted(tables.items()):
        try:
            if problems := differences(model, ALIAS, name):
                wrong[table] = problems[:3]
        except errors.FormatLimit as error:
            refused[table] = str(error)
    assert wrong == {}
    assert refused == REFUSED.get(name, {})
