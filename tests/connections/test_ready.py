"""`/health/ready/` asks every database that rows are read from, and waits for none."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connections, router

from exports_app.api import readiness
from exportsite.samples.models import Customer
from tests.connections.reading import Declare


class CustomersElsewhere:
    """Reads one model from another database."""

    def db_for_read(self, model: Any, **_: Any) -> str | None:
        return "elsewhere" if model is Customer else None


@pytest.fixture
def read_elsewhere(monkeypatch: pytest.MonkeyPatch, declare: Declare) -> None:
    monkeypatch.setattr(router, "routers", [CustomersElsewhere()])
    declare("customers_elsewhere", Customer)


@pytest.fixture
def elsewhere(add_database: Callable[..., None], read_elsewhere: None) -> Any:
    """The settings of another database, from which a resource is read."""
    add_database("elsewhere")
    return connections.settings["elsewhere"]


def test_another_database_that_answers_is_well(elsewhere: Any) -> None:
    readiness.check_source()


def test_another_database_that_refuses_is_away(elsewhere: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        elsewhere["PORT"] = free.getsockname()[1]
    with pytest.raises(psycopg.OperationalError):
        readiness.check_source()


def test_another_database_that_is_silent_is_not_waited_for(elsewhere: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        elsewhere["PORT"] = silent.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            readiness.check_source()
    assert time.monotonic() - began < 4  # libpq's least time-out is two seconds; the answer waits for less


@pytest.mark.usefixtures("read_elsewhere")
def test_a_database_that_cannot_be_exported_from_is_not_asked(add_database: Callable[..., None]) -> None:
    add_database("elsewhere", engine="django.db.backends.sqlite3")
    readiness.check_source()
