"""Goals, tags, and what holds for every dataset of the journal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from exports_app import errors
from exports_app.plan import Request, make_plan
from exportsite.samples.models import Account, Goal, Tag
from tests.conftest import VIEW_SAMPLES, make_user
from tests.journal.figures import JOURNAL, committed, csv, selected, write
from tests.test_samples_exports import make_goal

# Goals and tags


@committed
def test_goals(alice: User, journal: None) -> None:
    assert csv(alice, "goals") == [
        '"ID",Account,Name,Period,Status,Target,Reached,Progress %,Starts on,Ends on,Created at',
        "1,AC-000001,January,MONTHLY,ACTIVE,400.00,-200.00,-50.0,2024-01-01,2024-01-31,2023-12-31T00:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, [1, 2, 3]),
        ({"status": "ACTIVE"}, [1]),
        ({"status": ["ACTIVE", "MISSED"]}, [1, 3]),
        ({"period": "MONTHLY"}, [1, 2]),
        ({"period": ["YEARLY"], "status": ["MISSED"]}, [3]),
        ({"period": "WEEKLY"}, []),
    ],
)
@pytest.mark.django_db
def test_filters_of_goals(alice: User, account: Account, filters: dict[str, Any], ids: list[int]) -> None:
    for pk, status, period in [(1, "ACTIVE", "MONTHLY"), (2, "ACHIEVED", "MONTHLY"), (3, "MISSED", "YEARLY")]:
        make_goal(pk, account)
        Goal.objects.filter(pk=pk).update(status=status, period=period)
    assert [pk for (pk,) in selected(alice, "goals", "id", **filters)] == ids


@committed
def test_tags_count_the_trades_that_one_may_see(alice: User, journal: None) -> None:
    assert csv(alice, "tags", ids=[1, 3, 5]) == [
        '"ID",Name,Colour,Usage,Created at,Updated at',
        "1,Breakout,#00ff00,4,2023-12-31T00:00:00+00:00,2023-12-31T00:00:00+00:00",
        "3,FOMO,#00ff00,1,2023-12-31T00:00:00+00:00,2023-12-31T00:00:00+00:00",
        "5,Unused,#00ff00,0,2023-12-31T00:00:00+00:00,2023-12-31T00:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"created_at_after": "2024-01-02"}, [2, 3]),
        ({"created_at_before": "2024-01-02"}, [1, 2]),
        ({"created_at_after": "2024-01-02", "created_at_before": "2024-01-02"}, [2]),
        ({"created_at_after": "2024-01-03T00:00:00.000001Z"}, []),
    ],
)
@pytest.mark.django_db
def test_filters_of_tags(alice: User, filters: dict[str, Any], ids: list[int]) -> None:
    for pk in (1, 2, 3):
        moment = datetime(2024, 1, pk, tzinfo=UTC)
        Tag.objects.create(pk=pk, name=str(pk), colour="#000000", created_at=moment, updated_at=moment)
    assert [pk for (pk,) in selected(alice, "tags", "id", **filters)] == ids


# All of them


@committed
@pytest.mark.parametrize("resource", JOURNAL)
def test_a_file_is_the_same_however_often_its_run_was_cut(
    alice: User, journal: None, settings: Any, resource: str
) -> None:
    whole = write(alice, resource)
    settings.EXPORTS_CHUNK_ROWS = 1
    assert write(alice, resource, cut_at_each_row=True) == whole
    assert whole.count(b"\n") > 1


@committed
def test_the_running_total_goes_on_after_a_cut_between_the_days_chosen(
    alice: User, journal: None, settings: Any
) -> None:
    settings.EXPORTS_CHUNK_ROWS = 1
    filters = {"day_after": "2024-01-03", "account": "AC-000001"}
    columns = ["day", "cumulative_pnl"]
    assert write(alice, "daily_pnl", cut_at_each_row=True, columns=columns, filters=filters) == (
        b"Day,Cumulative P&L\n2024-01-03,-200.00\n2024-01-04,-200.00\n2024-02-01,150.25\n"
    )


@pytest.mark.parametrize(
    ("resource", "alices", "bobs", "everybodys"),
    [
        ("daily_pnl", 5, 1, 7),
        ("tag_performance", 4, 2, 4),
        ("prop_evaluation", 2, 1, 4),
        ("goals", 1, 1, 2),
        ("tags", 6, 6, 6),
    ],
)
@pytest.mark.django_db
def test_whose_rows(
    alice: User, bob: User, journal: None, resource: str, alices: int, bobs: int, everybodys: int
) -> None:
    column = {"daily_pnl": "day", "tag_performance": "tag"}.get(resource, "id")
    staff = User.objects.create_superuser("root")
    stranger = make_user("dora", permissions=VIEW_SAMPLES)
    found = [len(selected(user, resource, column)) for user in (alice, bob, staff, stranger)]
    assert found == [alices, bobs, everybodys, 6 if resource == "tags" else 0]


@pytest.mark.parametrize("resource", JOURNAL)
@pytest.mark.django_db
def test_who_has_no_permission_is_refused(charlie: User, journal: None, resource: str) -> None:
    with pytest.raises(errors.Invalid, match="Unknown resource"):
        make_plan(Request(resource=resource), charlie)


@pytest.mark.parametrize("resource", ["daily_pnl", "tag_performance"])
@pytest.mark.django_db
def test_summed_rows_have_no_ids(alice: User, resource: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        make_plan(Request(resource=resource, ids=[1]), alice)
    assert caught.value.errors == {"ids": ["This data cannot be chosen by id."]}


@pytest.mark.parametrize(
    ("resource", "name", "value"),
    [
        ("daily_pnl", "day_after", "yesterday"),
        ("daily_pnl", "day_before", "2024-02-30"),
        ("tag_performance", "opened_at_after", "soon"),
        ("goals", "period", "DAILY"),
        ("goals", "status", "activated"),
        ("tags", "created_at_before", "2024-13-01"),
        ("prop_evaluation", "status", "ACTIVE"),  # it has no filters
    ],
)
@pytest.mark.django_db
def test_filters_that_do_not_fit_are_refused_by_name(alice: User, resource: str, name: str, value: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        make_plan(Request(resource=resource, filters={name: value}), alice)
    assert caught.value.errors is not None
    assert list(caught.value.errors["filters"]) == [name]
