"""FilterSets as django-filter's guide has them: a request, ``qs`` of one's own, choices of the user's rows."""

from __future__ import annotations

from io import StringIO
from typing import Any

import django_filters as df
import pytest
from django import forms
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import Count, F, QuerySet, Value
from django.test import Client
from rest_framework.test import APIClient

from exports_app import errors, services
from exports_app.models import ExportJob
from exports_app.resources import registry
from exports_app.resources.filters import FilterInput, describe
from tests.declared.library import Book, Shelf, ids
from tests.jobs import read_object
from workers import run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("books")]


def inputs(name: str, user: User) -> dict[str, FilterInput]:
    declared = registry.get(name)
    assert declared is not None
    return {each.name: each for each in describe(declared(), user)}


class OwnFilter(df.FilterSet):
    """Both patterns of django-filter's guide."""

    mine = df.ModelChoiceFilter(
        field_name="id",
        queryset=lambda request: Book.objects.filter(owner=request.user.username) if request else Book.objects.none(),  # type: ignore[arg-type]
    )

    class Meta:
        model = Book
        fields = ["published"]

    @property
    def qs(self) -> QuerySet[Any]:
        every, request = super().qs, self.request
        assert request is not None
        return every.filter(published=True) | every.filter(owner=getattr(request.user, "username", None))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [({}, [1, 2, 4]), ({"published": "false"}, [1]), ({"published": True}, [2, 4]), ({"mine": "1"}, [1])],
)
def test_a_filterset_sees_the_user_and_its_qs_is_asked_without_filters_too(
    alice: User, declare: Any, filters: dict[str, Any], expected: list[int]
) -> None:
    declare("own", filterset_class=OwnFilter)
    assert ids(alice, "own", **filters) == expected


def test_choices_are_those_of_the_user_and_another_ones_is_none_of_them(alice: User, bob: User, declare: Any) -> None:
    declare("own", filterset_class=OwnFilter)
    assert [value for value, _ in inputs("own", alice)["mine"].choices] == ["1", "2"]
    assert [value for value, _ in inputs("own", bob)["mine"].choices] == ["3", "4"]
    with pytest.raises(errors.Invalid) as caught:
        ids(alice, "own", mine="3")
    assert "3 is not one of the available choices." in caught.value.errors["filters"]["mine"][0]  # type: ignore[index]


def test_api_worker_command_preview_and_page_give_the_same_rows(
    api: APIClient, browser: Client, alice: User, declare: Any
) -> None:
    declare("own", filterset_class=OwnFilter, columns=("id",))
    shown = api.get("/api/v1/resources/own/").json()["filters"]
    assert {each["name"]: [choice["value"] for choice in each["choices"]] for each in shown}["mine"] == ["1", "2"]
    estimate = api.post("/api/v1/resources/own/estimate/", {}).json()
    assert (estimate["estimated_rows"], estimate["preview"]["rows"]) == (3, [["1"], ["2"], ["4"]])
    made = api.post("/api/v1/exports/", {"resource": "own"}).json()
    assert run.run_next("exports") is None
    job = ExportJob.objects.get(pk=made["id"])
    assert read_object(job) == b'"ID"\n1\n2\n4\n'
    services.discard_file(job)
    assert b"".join(api.post("/api/v1/exports/download/", {"resource": "own"})) == b'"ID"\n1\n2\n4\n'
    assert b"".join(browser.post("/exports/new/own/", {"format": "csv", "columns": ["id"]})) == b'"ID"\n1\n2\n4\n'


def test_the_command_line_has_the_same_rows(alice: User, declare: Any, tmp_path: Any) -> None:
    declare("own", filterset_class=OwnFilter, columns=("id",))
    call_command("export", "own", user="alice", format="CSV", output=str(tmp_path / "f.csv"), stderr=StringIO())
    assert (tmp_path / "f.csv").read_text() == '"ID"\n1\n2\n4\n'


@pytest.mark.parametrize("name", ["session", "path", "COOKIES", "build_absolute_uri"])
def test_what_a_worker_does_not_have_is_refused_in_the_web_too(alice: User, declare: Any, name: str) -> None:
    class Web(df.FilterSet):
        @property
        def qs(self) -> QuerySet[Any]:
            getattr(self.request, name)
            return super().qs

    declare("web", filterset_class=Web)
    with pytest.raises(errors.BadResource) as caught:
        ids(alice, "web")
    assert f"The request of a filterset has no {name}: exports are made in workers" in str(caught.value.__cause__)


def test_the_request_has_the_filters_as_a_view_would(alice: User, declare: Any) -> None:
    seen: list[Any] = []

    class Asking(df.FilterSet):
        pages = df.NumberFilter()

        @property
        def qs(self) -> QuerySet[Any]:
            request: Any = self.request
            seen.append((request.method, request.GET.get("pages"), dict(request.META)))
            return super().qs

    declare("asking", filterset_class=Asking)
    assert ids(alice, "asking", pages=200) == [2]
    assert seen[-1] == ("GET", "200", {})


def test_defaults_that_a_filterset_fills_in_hold(alice: User, declare: Any) -> None:
    class Defaulted(df.FilterSet):
        """django-filter's tip for initial values as defaults."""

        published = df.BooleanFilter(initial=True)

        def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
            data = data.copy()
            for name, each in self.base_filters.items():
                if not data.get(name) and each.extra.get("initial") is not None:
                    data[name] = str(each.extra["initial"])
            super().__init__(data, *args, **kwargs)

    declare("defaulted", filterset_class=Defaulted)
    assert ids(alice, "defaulted") == [2, 4]
    assert ids(alice, "defaulted", published=False) == [1, 3]


def test_a_form_of_ones_own_is_heeded(alice: User, declare: Any) -> None:
    class Ordered(forms.Form):
        def clean(self) -> dict[str, Any]:
            given = super().clean() or {}
            low, high = given.get("pages_min"), given.get("pages_max")
            if low is not None and high is not None and low > high:
                raise forms.ValidationError("The range ends before it begins.")
            return given

    class Ranged(df.FilterSet):
        pages_min = df.NumberFilter("pages", "gte")
        pages_max = df.NumberFilter("pages", "lte")

        class Meta:
            form = Ordered

    declare("ranged", filterset_class=Ranged)
    assert ids(alice, "ranged", pages_min=200, pages_max=300) == [2, 3]
    with pytest.raises(errors.Invalid, match="The range ends before it begins"):
        ids(alice, "ranged", pages_min=300, pages_max=200)


def test_a_required_filter_is_asked_for(alice: User, declare: Any) -> None:
    class Required(df.FilterSet):
        owner = df.CharFilter(required=True)

    declare("required", filterset_class=Required)
    assert ids(alice, "required", owner="bob") == [3, 4]
    with pytest.raises(errors.Invalid) as caught:
        ids(alice, "required")
    assert caught.value.errors == {"filters": {"owner": ["This field is required."]}}


def test_an_ordering_is_no_filter(alice: User, declare: Any) -> None:
    class Sorted(df.FilterSet):
        owner = df.CharFilter()
        sort = df.OrderingFilter(fields=("pages",))

    declare("sorted", filterset_class=Sorted)
    assert list(inputs("sorted", alice)) == ["owner"]
    assert ids(alice, "sorted", owner="alice") == [1, 2]
    with pytest.raises(errors.Invalid) as caught:
        ids(alice, "sorted", sort="-pages")
    reason = "sort sorts, and is no filter: the rows of a file stand in the order of its key. Leave it out."
    assert caught.value.errors == {"filters": {"sort": [reason]}}


def changed_by(change: Any) -> type[df.FilterSet]:
    class Changed(df.FilterSet):
        @property
        def qs(self) -> Any:
            return change(super().qs)

    return Changed


def test_a_qs_may_join_group_combine_and_slice_without_changing_how_often_a_row_comes(
    alice: User, declare: Any
) -> None:
    ways: dict[str, Any] = {
        "join": lambda rows: rows.filter(shelf__name__in=["Novels", "Poems"]),
        "group": lambda rows: rows.annotate(n=Count("shelf")).filter(n__gte=1),
        "union": lambda rows: rows.filter(pk=1).union(rows.filter(pk=3)),
        "distinct": lambda rows: rows.filter(shelf__name__gt="").distinct(),
        "last two": lambda rows: rows.order_by("-pages")[:2],
        "first of each": lambda rows: rows.order_by("owner", "-pages").distinct("owner"),
    }
    found = {}
    for way, change in ways.items():
        declare(f"q-{way}", filterset_class=changed_by(change))
        found[way] = ids(alice, f"q-{way}")
    assert found == {
        "join": [1, 2],
        "group": [1, 2, 3],
        "union": [1, 3],
        "distinct": [1, 2, 3],
        "last two": [3, 4],
        "first of each": [2, 4],
    }


def test_a_filter_by_what_get_queryset_annotates_works(alice: User, declare: Any) -> None:
    class Double(df.FilterSet):
        double = df.NumberFilter("double", "gte")
        shelf = df.CharFilter("shelf__name")

    rows = Book.objects.annotate(double=F("pages") * Value(2))
    declare("double", filterset_class=Double, columns=("id",), get_queryset=lambda self, user: rows)
    assert ids(alice, "double", double=600) == [3, 4]
    assert ids(alice, "double", double=400, shelf="Poems") == [2]


class ValuesFilter(df.FilterSet):
    title = df.AllValuesFilter()
    owner = df.AllValuesMultipleFilter()


def test_all_values_are_those_of_the_users_rows(alice: User, bob: User, declare: Any) -> None:
    declare(
        "values",
        filterset_class=ValuesFilter,
        get_queryset=lambda self, user: Book.objects.filter(owner=user.get_username()),
    )
    assert inputs("values", alice)["title"].choices == (("Book 1", "Book 1"), ("Book 2", "Book 2"))
    assert inputs("values", bob)["owner"].choices == (("bob", "bob"),)
    assert ids(alice, "values", title="Book 2") == [2]
    assert ids(bob, "values", owner=["bob"]) == [3, 4]
    with pytest.raises(errors.Invalid) as caught:
        ids(alice, "values", title="Book 3")
    assert "Did you mean Book" in caught.value.errors["filters"]["title"][0]  # type: ignore[index]


def test_more_choices_than_can_be_shown_are_not_listed_and_yet_checked(
    alice: User, declare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shelved(df.FilterSet):
        shelf = df.ModelChoiceFilter(queryset=Shelf.objects.order_by("id"))
        title = df.AllValuesFilter()

    monkeypatch.setattr("exports_app.resources.offers.MAX_CHOICES", 2)
    declare("many", filterset_class=Shelved)
    found = inputs("many", alice)
    assert (found["shelf"].choices, found["title"].choices) == ((), ())
    assert (ids(alice, "many", shelf="30"), ids(alice, "many", title="Book 4")) == ([3], [4])
    for wrong in ({"shelf": "40"}, {"title": "Book 5"}):
        with pytest.raises(errors.Invalid):
            ids(alice, "many", **wrong)
