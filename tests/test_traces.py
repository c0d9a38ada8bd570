"""What is kept and logged of an exception: PostgreSQL's errors without their values, tracebacks without variables."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError
from django.db import connection as django_connection

from exports_app.errors import Invalid
from exports_app.pipeline.errors import BadQuery
from exports_app.traces import said, trace

TABLE = """
CREATE TEMP TABLE people (email text CONSTRAINT one_mail UNIQUE, age int NOT NULL CONSTRAINT old CHECK (age > 17));
INSERT INTO people VALUES ('a@b.c', 40);
"""
ANSWERS = r"""
SELECT email::int FROM people
    InvalidTextRepresentation: ERROR 22P02: invalid input syntax for type integer: ***
SELECT (email || '"x')::int FROM people
    InvalidTextRepresentation: ERROR 22P02: invalid input syntax for type integer: ***
SELECT email::json FROM people
    InvalidTextRepresentation: ERROR 22P02: invalid input syntax for type json
SELECT email::date FROM people
    InvalidDatetimeFormat: ERROR 22007: invalid input syntax for type date: ***
SELECT ('2024-99-' || age)::date FROM people
    DatetimeFieldOverflow: ERROR 22008: date/time field value out of range: ***
SELECT (age || '0000000000')::int FROM people
    NumericValueOutOfRange: ERROR 22003: value *** is out of range for type integer
SELECT 1 / (age - 40) FROM people
    DivisionByZero: ERROR 22012: division by zero
SELECT replace(email, '.', '')::regclass FROM people
    UndefinedTable: ERROR 42P01: relation *** does not exist
SELECT nothing FROM people
    UndefinedColumn: ERROR 42703: column "nothing" does not exist
SELECT 1 FROM nowhere
    UndefinedTable: ERROR 42P01: relation "nowhere" does not exist
SELECT email * 2 FROM people
    UndefinedFunction: ERROR 42883: operator does not exist: text * integer
SELECT 'a@b.c' 'x'
    SyntaxError: ERROR 42601: syntax error at or near ***
INSERT INTO people VALUES ('a@b.c', 41)
    UniqueViolation: ERROR 23505: duplicate key value violates unique constraint *** (table people, constraint one_mail)
INSERT INTO people VALUES ('d@b.c', NULL)
    NotNullViolation: ERROR 23502: null value in column *** violates not-null constraint (table people, column age)
INSERT INTO people VALUES ('d@b.c', 3)
    CheckViolation: ERROR 23514: new row for relation *** (table people, constraint old)
DO $$ BEGIN RAISE 'no account a@b.c'; END $$
    RaiseException: ERROR P0001: ***
DO $$ BEGIN RAISE 'no account a@b.c' USING ERRCODE = '23505', TABLE = 'a@b.c', DETAIL = 'a@b.c'; END $$
    UniqueViolation: ERROR 23505: ***
"""
"""Statements, and what is kept of PostgreSQL's answer."""


def answers() -> list[tuple[str, str]]:
    lines = ANSWERS.strip().splitlines()
    return [(statement, kept.strip()) for statement, kept in zip(lines[::2], lines[1::2], strict=True)]


@pytest.fixture
def people(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    connection.rollback()
    connection.execute(TABLE)
    return connection


@pytest.mark.parametrize(("statement", "kept"), answers())
def test_an_error_of_postgresql_is_told_by_its_state_and_without_values(
    people: psycopg.Connection[Any], statement: str, kept: str
) -> None:
    with pytest.raises(psycopg.Error) as refused:
        people.execute(statement.encode())
    people.rollback()
    assert re.sub(r"schema pg_temp_\d+, ", "", said(refused.value)) == f"psycopg.errors.{kept}"
    assert "a@b.c" not in trace(refused.value, everything=True)


@pytest.mark.django_db
def test_djangos_errors_are_told_as_those_below_them() -> None:
    value = "a@b.c"
    with pytest.raises(DatabaseError) as refused, django_connection.cursor() as cursor:
        cursor.execute("SELECT %s::int", [value])
    told = trace(refused.value, everything=True)
    assert "psycopg.errors.InvalidTextRepresentation: ERROR 22P02: invalid input syntax for type integer: ***\n" in told
    assert "django.db.utils.DataError: ERROR 22P02: invalid input syntax for type integer: ***\n" in told
    assert "a@b.c" not in told


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (
            psycopg.OperationalError(
                'connection failed: connection to server at "10.0.0.1", port 5432 failed: FATAL:  password '
                'authentication failed for user "bob"\nmore'
            ),
            'psycopg.OperationalError: connection failed: connection to server at "10.0.0.1", port 5432 failed: FATAL: '
            'password authentication failed for user "bob"',
        ),
        (
            psycopg.OperationalError("failed to resolve host 's3cret@db': [Errno -2] Name or service not known"),
            "psycopg.OperationalError: failed to resolve host ***: [Errno -2] Name or service not known",
        ),
        (
            psycopg.ProgrammingError('missing "=" after "s3cret" in connection info string'),
            "psycopg.ProgrammingError: missing *** in connection info string",
        ),
        (
            psycopg.ProgrammingError("invalid connection to postgres://bob:s3cret@db/app"),
            "psycopg.ProgrammingError: invalid connection to postgres://bob:***@db/app",
        ),
        (psycopg.DataError("can't parse timestamp '0000-12-31'"), "psycopg.DataError: can't parse timestamp ***"),
        (psycopg.InterfaceError("the connection is closed"), "psycopg.InterfaceError: the connection is closed"),
    ],
)
def test_what_the_databases_client_says_names_the_server_and_no_value(error: Exception, kept: str) -> None:
    assert said(error) == kept


# Other exceptions


def raised(act: Callable[[], object]) -> Exception:
    try:
        act()
    except Exception as error:
        return error
    raise AssertionError


def fail() -> None:
    password = "l0cal".upper()  # which no traceback shows
    raise KeyError(f"s3cret of {len(password)}")


def wrap() -> None:
    try:
        fail()
    except KeyError as error:
        raise BadQuery from error


def stumble() -> None:
    try:
        fail()
    except KeyError:
        raise ValueError("postgres://bob:s3cret@db and more") from None


def test_a_traceback_has_types_frames_and_causes_but_no_variables() -> None:
    told = trace(raised(wrap), everything=False)
    kinds = [line for line in told.splitlines() if line and not line.startswith(" ")]
    assert kinds == [
        "Traceback (most recent call last):",
        "KeyError",
        "The above exception was the direct cause of the following exception:",
        "Traceback (most recent call last):",
        "exports_app.pipeline.errors.BadQuery: The database refused the query behind this export.",
    ]
    assert "in fail" in told
    assert "L0CAL" not in told
    assert "s3cret of 5" not in told


def test_what_is_for_operators_has_the_sentences_without_passwords() -> None:
    assert "KeyError: 's3cret of 5'" in trace(raised(wrap), everything=True)
    told = trace(raised(stumble), everything=True)
    assert "ValueError: postgres://bob:***@db and more" in told
    assert "KeyError" not in told.replace("except KeyError", "")


def test_groups_and_notes_are_told_too_and_a_circle_ends() -> None:
    first, second = ValueError("s3cret"), TypeError("s3cret")
    first.__cause__, second.__cause__ = second, first
    second.add_note("token=s3cret")
    group = ExceptionGroup("s3cret", [first, second])
    assert "s3cret" not in trace(group, everything=False)
    told = trace(group, everything=True)
    assert (told.count("ValueError: s3cret"), told.count("TypeError: s3cret"), told.count("token=***")) == (1, 1, 1)


def test_the_engines_own_sentences_are_shown() -> None:
    assert said(Invalid("There is no such preset.")) == "exports_app.errors.Invalid: There is no such preset."
    assert said(OSError(28, "s3cret", "/srv/s3cret")) == "OSError: [Errno 28] No space left on device"
    assert said(ValueError("s3cret")) == "ValueError"
