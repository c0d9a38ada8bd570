"""The tables of PostgreSQL's own benchmark, as ``inspectdb`` describes them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.db import models
from pytest_django import DjangoDbBlocker

from exports_app.pipeline import errors
from exports_app.pipeline.formats import FORMATS
from tests.debian import MISSING, binaries
from tests.foreign.comparing import differences, file_of
from tests.foreign.schemas import database, inspected, load_pgbench, missing

ALIAS = "foreign_pgbench"
pytestmark = pytest.mark.django_db(databases=["default", ALIAS])
Tables = dict[str, type[models.Model]]


@pytest.fixture(scope="module")
def tables(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Tables]:
    programs = binaries()
    if programs is None:
        missing(MISSING)
    with database(ALIAS) as url, django_db_blocker.unblock():
        load_pgbench(url, programs / "pgbench")
        with inspected(ALIAS) as found:
            yield found


@pytest.fixture(scope="module")
def history(tables: Tables) -> type[models.Model]:
    """The table that has no primary key, with the one that its team knows."""

    class History(models.Model):
        pk = models.CompositePrimaryKey("tid", "bid", "aid", "mtime")
        tid, bid, aid, delta = (models.IntegerField() for _ in range(4))
        mtime = models.DateTimeField()
        filler = models.CharField(max_length=22, null=True)

        class Meta:
            app_label, managed, db_table = ALIAS, False, "pgbench_history"

    return History


@pytest.mark.parametrize("name", FORMATS)
def test_every_table_is_what_select_gives(tables: Tables, name: str) -> None:
    rows = {"pgbench_branches": 1, "pgbench_tellers": 10}
    if os.environ.get("FOREIGN_SCHEMAS"):
        rows["pgbench_accounts"] = 100_000
    assert {table: tables[table]._default_manager.using(ALIAS).count() for table in rows} == rows
    for table in rows:
        assert differences(tables[table], ALIAS, name)[:3] == [], table


def test_a_table_without_a_key_is_refused(tables: Tables) -> None:
    """``inspectdb`` gives it a model with an ``id`` that the table has not."""
    with pytest.raises(errors.BadQuery):
        file_of(tables["pgbench_history"], ALIAS, "csv")


@pytest.mark.parametrize("name", FORMATS)
def test_with_a_key_of_its_team_it_is_exported(history: type[models.Model], name: str) -> None:
    assert history._default_manager.using(ALIAS).count() == 200
    assert differences(history, ALIAS, name)[:3] == []
