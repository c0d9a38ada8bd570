"""What ``manage.py check`` says of a declaration: one finding, its own id, the class and the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import django_filters as df
import pytest
from django.core.checks import run_checks
from django.db.models import F
from django.db.models.functions import Lower

from exports_app.resources import Column, Sheet, register, registry
from tests.declared.library import Book
from tests.declared.test_bad_resources import BrokenChoices, boom


class Filter(df.FilterSet):
    pass


def of_a_friend(self: Any, user: Any) -> Any:
    return Book.objects.filter(owner=user.friend.name)


PAIRS = (("id", "ID"),)
BROKEN: list[tuple[str, dict[str, Any], str, str]] = [
    # Attributes of a wrong type, and their right spelling
    ("E011", {"columns": PAIRS}, "has columns = (('id', 'ID'),)", 'Write columns = ("id", Column("name", '),
    ("E011", {"columns": "id"}, "has columns = 'id'", 'or columns = ("id",).'),
    ("E011", {"columns": None}, "has columns = None", "Write columns ="),
    ("E011", {"key": "id"}, "has key = 'id'", 'or key = ("id",) with its comma.'),
    ("E011", {"formats": "csv"}, "has formats = 'csv'", 'or formats = ("csv",) with its comma.'),
    ("E011", {"sheets": ("lines",)}, "has sheets = ('lines',)", 'Write sheets = (Sheet("lines", via="order"),).'),
    ("E011", {"permission": ["a.b"]}, "has permission = ['a.b']", 'Write permission = "app_label.codename"'),
    ("E011", {"max_rows": "10"}, "has max_rows = '10'", "Write max_rows = 500_000"),
    ("E011", {"max_rows": True}, "has max_rows = True", "a whole number above 0"),
    ("E011", {"file_ttl": 0.5}, "has file_ttl = 0.5", "seconds as a whole number"),
    ("E011", {"retry": 3}, "has retry = 3", "Write retry = RetryPolicy(attempts=3)."),
    ("E011", {"filterset_class": Filter(queryset=Book.objects.none())}, "= an instance of Filter", "the class without"),
    ("E011", {"filterset_class": Book}, "has filterset_class = <class", "Write filterset_class = OrderFilter"),
    ("E011", {"model": "library.Book"}, "has model = 'library.Book'", "Write model = Order, the class itself."),
    ("E011", {"title": 5}, "has title = 5", 'Write title = "Text".'),
    ("E011", {"get_queryset": Book.objects.all()}, "= an instance of QuerySet", "Write def get_queryset(self, …)."),
    ("E011", {"columns": (Column("id", kind="integr"),)}, "'id' with kind='integr'", "Valid: text, integer,"),
    ("E011", {"columns": (Column(("id", "ID")),)}, "whose name is ('id', 'ID')", 'Write Column("name", …).'),  # type: ignore[arg-type]
    ("E011", {"columns": (Column("id", sensitive=["a"]),)}, "sensitive=['a']", 'Write sensitive="app_label.'),  # type: ignore[arg-type]
    # What is raised
    ("E012", {"get_columns": boom}, "raises ZeroDivisionError: boom", "Mend"),
    ("E012", {"get_title": boom}, "raises ZeroDivisionError: boom", "Mend"),
    ("E012", {"get_queryset": boom}, "raises ZeroDivisionError: boom in get_queryset()", "Mend"),
    ("W001", {"get_queryset": of_a_friend}, "raises AttributeError", "return none()"),
    ("E015", {"columns": ("id", Column("x", F("nothing")))}, "cannot be exported: FieldError", "Mend get_queryset()"),
    ("E015", {"columns": ("id", Column("x", Lower("title__nope")))}, "cannot be exported: FieldError", "Mend"),
    ("E016", {"filterset_class": BrokenChoices}, "BrokenChoices, which raises ZeroDivisionError", "Its request has"),
    ("E018", {"get_queryset": lambda self, user: [1]}, "gives [1] in get_queryset()", "Give a QuerySet."),
    # What cannot be
    ("E005", {"columns": (Column("id", "ID"),)}, "has the unknown column 'ID'", "a header is label="),
    ("E017", {"sheets": (Sheet("nowhere"),)}, "has a sheet of the resource 'nowhere'", "Unknown resource nowhere"),
]  # fmt: skip


def findings() -> list[Any]:
    return [each for each in run_checks(tags=["exports"]) if "library" in str(each.msg)]


@pytest.mark.parametrize(
    ("number", "attributes", "what", "hint"), BROKEN, ids=[f"{n}-{what[:30]}" for n, _, what, _ in BROKEN]
)
def test_a_bad_declaration_is_one_finding(
    declare: Any, number: str, attributes: dict[str, Any], what: str, hint: str
) -> None:
    declare("bad-one", **attributes)
    (found,) = findings()
    assert (found.id, what in str(found.msg), hint in str(found.hint)) == (f"exports.{number}", True, True), found
    assert str(found.msg).startswith("library.BadOne ")


def test_what_is_no_resource_is_said_to_be_none() -> None:
    register("bad-one")(type("Orders", (), {"__module__": "library"}))
    try:
        (found,) = findings()
    finally:
        registry.unregister("bad-one")
    assert (found.id, str(found.msg)) == ("exports.E011", "library.Orders is no Resource.")


def rows_made(self: Any, parameters: Any, after: Any) -> Any:
    return iter(())


@pytest.mark.parametrize(
    ("number", "attributes"),
    [("E013", {"key": ("x",)}), ("E019", {"key": ("n",), "filterset_class": Filter})],
)
def test_rows_that_python_makes_are_looked_at_too(declare: Any, number: str, attributes: dict[str, Any]) -> None:
    declare("bad-one", model=None, iter_rows=rows_made, columns=(Column("n", kind="integer"),), **attributes)
    assert [each.id for each in findings()] == [f"exports.{number}"]


def test_a_good_declaration_is_found_good_without_a_database(declare: Any) -> None:
    declare("good", columns=("id", Column("net total", F("pages") * 2)), filterset_class=Filter)
    declare("of-user", get_queryset=lambda self, user: Book.objects.filter(owner=user.get_username()))
    assert findings() == []


def test_every_id_stands_in_the_documents() -> None:
    root = Path(__file__).resolve().parents[2]
    documented = (root / "docs" / "extending.md").read_text()
    numbers = {number for number, *_ in BROKEN} | {f"E{n:03}" for n in range(1, 20)} | {"W002"}
    assert [each for each in sorted(numbers) if f"`exports.{each}`" not in documented] == []
