"""What ``manage.py check`` says of columns that Python computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db.models import Value

from exports_app.resources import Column
from tests.python_columns.models import Book


def problems() -> dict[str, str]:
    return {str(each.id): f"{each.msg} {each.hint}" for each in run_checks(tags=["exports"])}


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (Column("total", python="grosss"), "but Book has no attribute 'grosss'. Name a field, property or method"),
        (Column("covers", python="page_set"), "but 'page_set' leads to several rows"),
        (Column("both", Value(1), python="title"), "and an expression too. Give one of them"),
    ],
)
@pytest.mark.django_db
def test_a_column_that_no_object_gives_is_an_error(
    tables: None, declare: Callable[..., Any], column: Column, why: str
) -> None:
    declare("books", model=Book, columns=("id", column))
    assert list(problems()) == ["exports.E030"]
    assert f"has the column {column.name!r}, which Python computes, {why}" in problems()["exports.E030"]


def test_rows_that_python_makes_have_no_objects(declare: Callable[..., Any]) -> None:
    declare(
        "made",
        key=("n",),
        columns=(Column("n", kind="integer"), Column("total", python="total")),
        iter_rows=lambda self, parameters, after: iter(()),
    )
    assert "its rows have no objects. Compute it in iter_rows" in problems()["exports.E031"]


@pytest.mark.parametrize(
    "python", ["gross", "initials", "shout", "get_state_display", "author", "author.name", "about", len]
)
def test_what_objects_give_passes(declare: Callable[..., Any], python: Any) -> None:
    declare("books", model=Book, columns=("id", Column("value", python=python)))
    assert problems() == {}


def test_what_an_own_queryset_may_add_passes(declare: Callable[..., Any]) -> None:
    rows = Book.objects.annotate(added=Value(1))
    declare("books", model=Book, columns=(Column("value", python="added"),), get_queryset=lambda self, user: rows)
    assert problems() == {}


def test_an_unknown_column_says_how_python_computes_one(declare: Callable[..., Any]) -> None:
    declare("books", model=Book, columns=("id", "gross"))
    assert "python= takes what Python computes" in problems()["exports.E005"]


def test_rows_without_objects_are_an_error(declare: Callable[..., Any]) -> None:
    groups = Book.objects.values("author")
    declare(
        "groups",
        key=("author",),
        columns=("author", Column("total", python="gross")),
        get_queryset=lambda self, user: groups,
    )
    assert "these rows are groups or single values, which have none" in problems()["exports.E031"]
