"""Short questions to the source go through Django's connection, and leave it as it was."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from exports_app import connections, errors, questions
from exports_app.estimates import Estimate, estimate_rows
from exports_app.plan import Plan, Request, make_plan
from tests.jobs import fill_customers

pytestmark = pytest.mark.django_db(transaction=True)
EXACTLY_THREE = Estimate(rows=3, exact=True)


@pytest.fixture
def customers(alice: User) -> Plan:
    fill_customers(3)
    return make_plan(Request(resource="customers"), alice)


@pytest.fixture
def signing_in(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Counts the connections that are made to the source."""
    counted = Mock(side_effect=connections.connect_source)
    monkeypatch.setattr(questions, "connect_source", counted)
    return counted


def setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


def test_an_estimate_needs_no_connection_of_its_own(customers: Plan, signing_in: Mock) -> None:
    before = setting("statement_timeout"), setting("jit")
    assert estimate_rows(customers) == EXACTLY_THREE
    assert signing_in.call_count == 0
    assert (setting("statement_timeout"), setting("jit")) == before


def test_it_has_one_amid_a_transaction_and_where_the_rows_live_elsewhere(
    customers: Plan, signing_in: Mock, settings: Any
) -> None:
    with transaction.atomic():
        assert estimate_rows(customers) == EXACTLY_THREE
    assert signing_in.call_count == 1
    given = connection.get_connection_params()
    host, port = given["host"], given["port"]
    url = f"postgresql://{given['user']}:{given.get('password', '')}@/{given['dbname']}?host={host}&port={port}"
    settings.EXPORTS_SOURCE_DATABASE_URL = url
    assert estimate_rows(customers) == EXACTLY_THREE
    assert signing_in.call_count == 2


def test_a_connection_that_breaks_is_not_used_again(customers: Plan) -> None:
    connection.ensure_connection()
    raw = connection.connection
    with psycopg.connect(**_own(connection.get_connection_params()), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [raw.info.backend_pid])
    with pytest.raises(errors.DatabaseAway):
        estimate_rows(customers)
    connection.close_if_unusable_or_obsolete()  # as Django does between two requests
    assert estimate_rows(customers) == EXACTLY_THREE


def _own(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if name in parameters}
