"""A journal whose figures were worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from exportsite.samples.models import Account, Tag
from tests.journal.figures import close, make_evaluation
from tests.test_samples_exports import make_goal, make_trade


@pytest.fixture
def account(alice: User) -> Account:
    return Account.objects.create(pk=1, number="AC-000001", owner="Alice", user=alice)


@pytest.fixture
def second(alice: User) -> Account:
    return Account.objects.create(pk=2, number="AC-000002", owner="Alice", user=alice)


@pytest.fixture
def of_bob(bob: User) -> Account:
    return Account.objects.create(pk=3, number="AC-000003", owner="Bob", user=bob)


@pytest.fixture
def journal(account: Account, second: Account, of_bob: Account) -> None:
    """Two accounts of Alice's, one of Bob's, one of nobody's."""
    moment = datetime(2023, 12, 31, tzinfo=UTC)
    for number, name in enumerate(("Breakout", "London", "FOMO", "Patient", "Unused", "Running"), 1):
        Tag.objects.create(pk=number, name=name, colour="#00ff00", created_at=moment, updated_at=moment)
    close(1, account, "2024-01-01T10:00:00", "100.00", "Breakout London")
    close(2, account, "2024-01-01T10:00:00", "-40.50", "Breakout", fees=Decimal("1.50"))  # at the same moment
    close(3, account, "2024-01-01T23:59:59.999999", "-259.50", "FOMO")  # still on that day
    close(4, account, "2024-01-03T00:00:00", "50.00", "Breakout")
    close(5, account, "2024-01-03T11:00:00", "-50.00")  # a day that comes to nothing
    close(6, account, "2024-01-04T11:00:00", "0.00", "Patient")  # neither won nor lost
    close(7, account, "2024-02-01T11:00:00", "350.25", "London")
    make_trade(8, account, tags="Running Breakout")  # still open
    make_trade(9, account, tags="Running", status="CANCELLED")
    close(10, second, "2024-01-01T12:00:00", "-10.00")
    close(11, of_bob, "2024-01-01T12:00:00", "1000.00", "Breakout FOMO")
    nobodys = Account.objects.create(pk=4, number="AC-000004", owner="Nobody")
    close(12, nobodys, "2024-01-02T12:00:00", "5.00", "Breakout")
    make_goal(1, account)
    make_goal(2, of_bob)
    for pk, of in enumerate((account, second, of_bob, nobodys), 1):
        make_evaluation(of, pk=pk)
