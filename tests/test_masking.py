"""What a text that is kept or logged shows of passwords, keys and tokens: nothing, in any case and encoding."""

from __future__ import annotations

import io
import json
import logging
import time
from typing import Any

import django.db
import pytest
import structlog

from exports_app import conf

KINDS = r"""
addresses
    postgres://bob:s3cret@db:5432/app                  -> postgres://bob:***@db:5432/app
    redis://:s3cret@cache/0                            -> redis://:***@cache/0
    POSTGRES://BOB:S3CRET@DB/APP                       -> POSTGRES://BOB:***@DB/APP
    postgres://bob:s3c/r?e#t@db/app                    -> postgres://bob:***@db/app
    postgres://bob:s3@cret@db/app                      -> postgres://bob:***@db/app
    postgres://bob:s3:cret@db/app                      -> postgres://bob:***@db/app
    postgres%3A%2F%2Fbob%3As3cret%40db%2Fapp           -> postgres%3A%2F%2Fbob%3A***%40db%2Fapp
    postgres%3a%2f%2fbob%3as3cret%40db%2fapp           -> postgres%3a%2f%2fbob%3a***%40db%2fapp
    postgres%253A%252F%252Fbob%253As3cret%2540db       -> postgres%253A%252F%252Fbob%253A***%2540db
    {"url": "postgres:\/\/bob:s3cret@db\/app"}      -> {"url": "postgres:\/\/bob:***@db\/app"}
    amqp://a:s3cret@one amqp://b:s3cret@two            -> amqp://a:***@one amqp://b:***@two
no secret in an address
    http://db:5432/app                                 -> http://db:5432/app
    http://db:5432/?mail=bob@example.com               -> http://db:5432/?mail=bob@example.com
    https://example.com/exports/?page=2&status=failed  -> https://example.com/exports/?page=2&status=failed
    mail from bob@example.com: 12:30                   -> mail from bob@example.com: 12:30
parameters
    /download/?token=s3cret.s1gned                     -> /download/?token=***
    /download/?page=1&TOKEN=s3cret&a=b                 -> /download/?page=1&TOKEN=***&a=b
    /download/?token%3Ds3cret%26a%3Db                  -> /download/?token%3D***%26a%3Db
    /login/?next=/download/%3Ftoken%3Ds3cret           -> /login/?next=/download/%3Ftoken%3D***
    /login/?next=%252Fdownload%253Ftoken%253Ds3cret    -> /login/?next=%252Fdownload%253Ftoken%253D***
    ?X-Amz-Expires=900&X-Amz-Signature=s3cret          -> ?X-Amz-Expires=900&X-Amz-Signature=***
    ?x-amz-security-token=s3cret&a=b                   -> ?x-amz-security-token=***&a=b
    ?token\u003ds3cret\u0026a=b                      -> ?token\u003d***\u0026a=b
    token=s3cret                                       -> token=***
    /exports/1/link/#s3cret                            -> /exports/1/link/#***
    %2Fexports%2F1%2Flink%2F%23s3cret                  -> %2Fexports%2F1%2Flink%2F%23***
connection strings
    host=db user=bob password=s3cret dbname=app        -> host=db user=bob password=*** dbname=app
    host=db PASSWORD='s3 cret' dbname=app              -> host=db PASSWORD='***' dbname=app
    password='s3\'cret' dbname=app                    -> password='***' dbname=app
    aws_secret_access_key = no, AWS_SECRET_ACCESS_KEY=s3cret -> aws_secret_access_key = no, AWS_SECRET_ACCESS_KEY=***
headers
    Authorization: Token s3cret                        -> Authorization: ***
    AUTHORIZATION: BEARER S3CRET                       -> AUTHORIZATION: ***
    Authorization%3A%20Bearer%20s3cret                 -> Authorization%3A%20***
    authorization=Token s3cret                         -> authorization=***
    X-Api-Key: s3cret                                  -> X-Api-Key: ***
    X-CSRFToken: s3cret                                -> X-CSRFToken: ***
    x-auth-token: s3cret                               -> x-auth-token: ***
    webhook-signature: v1,s3cret v1,s1gned             -> webhook-signature: ***
    Cookie: sessionid=s3cret; csrftoken=s3cret         -> Cookie: ***
    sent Bearer s3cret42 to it                         -> sent Bearer *** to it
    sent token 9944b09199c62bcf9418 to it              -> sent token *** to it
    [(b'authorization', b'Token s3cret'), (b'a', b'b')] -> [(b'authorization', b'***'), (b'a', b'b')]
keys
    exk_s3cret                                         -> exk_***
    token%3Dexk_s3cret                                 -> token%3D***
    "EXK_S3CRET",                                      -> "EXK_***",
    q%3Dexk%5Fs3cret                                   -> q%3Dexk%5F***
    whsec_s3cret+/=                                    -> whsec_***
    eyJhbGciOiJIUzI1NiJ9.s3cret.s1gned                 -> eyJ***
JSON and Python's own form
    {"token": "s3cret", "a": 1}                        -> {"token": "***", "a": 1}
    {"Password":"s3\"cret","a":1}                     -> {"Password":"***","a":1}
    {"body": "{\"token\": \"s3cret\"}"}            -> {"body": "{\"token\": \"***\"}"}
    {'api_key': 's3cret', 'a': None}                   -> {'api_key': '***', 'a': None}
    {"secret": 42, "a": 1}                             -> {"secret": ***, "a": 1}
    %7B%22token%22%3A%20%22s3cret%22%7D                -> %7B%22token%22%3A%20%22***%22%7D
words
    Invalid token: it has expired.                     -> Invalid token: it has expired.
    token_id=beeb31fe made for the token               -> token_id=beeb31fe made for the token
    Basic authentication, bearer tokens                -> Basic authentication, bearer tokens
    the password is wrong                              -> the password is wrong
    exports/7/6734af4e.1.csv key=exports/7             -> exports/7/6734af4e.1.csv key=exports/7
"""


def texts() -> list[tuple[str, str]]:
    pairs = [line.split(" -> ") for line in KINDS.splitlines() if " -> " in line]
    return [(before.strip(), after.strip()) for before, after in pairs]


@pytest.fixture(params=[True, False], ids=["json", "desk"])
def formatter(request: pytest.FixtureRequest) -> logging.Formatter:
    return conf.log_formatter(json=request.param)


def logged(message: str, *arguments: Any) -> str:
    """The event of the line that a record becomes in production."""
    record = logging.LogRecord("uvicorn.access", logging.INFO, __file__, 1, message, arguments, None)
    event: str = json.loads(conf.log_formatter(json=True).format(record))["event"]
    return event


@pytest.mark.parametrize(("text", "shown"), texts())
def test_a_text_is_logged_without_its_secret(text: str, shown: str) -> None:
    assert logged("%s", text) == shown


@pytest.mark.parametrize(
    "value",
    [
        {"headers": {"Authorization": "s3cret"}},
        {"headers": [("Authorization", "Token s3cret42")]},
        {"a": [{"b": ({"c": "redis://:s3cret@cache"},)}]},
        {"API_KEY": ["s3cret", "s1gned"]},
        {"token": "s3cret"},
        {"body": b'{"password": "s3cret"}'},
        {"request": "<WSGIRequest: GET '/download/?token=s3cret'>"},
        {"error": ValueError("s3cret")},
        [RuntimeError("s3cret"), "exk_s3cret"],
        "https://example.com/?token=s3cret",
        ValueError("s3cret"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_value_of_an_event_is_logged_without_its_secret_however_deep_it_stands(
    formatter: logging.Formatter, value: Any
) -> None:
    line = line_of(formatter, value)
    assert "export.test" in line
    assert "s3cret" not in line
    assert "s1gned" not in line


def line_of(formatter: logging.Formatter, value: Any) -> str:
    """What an event of the engine with this value is logged as."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    logger = logging.getLogger("exports.test_masking")
    logger.addHandler(handler)
    try:
        structlog.get_logger("exports.test_masking").warning("export.test", value=value)
    finally:
        logger.removeHandler(handler)
    return written.getvalue()


@pytest.mark.parametrize(
    ("message", "arguments", "shown"),
    [
        ("cannot reach %s", ("redis://:s3cret@cache",), "cannot reach redis://:***@cache"),
        ("cannot reach %(at)s", ({"at": "redis://:s3cret@cache"},), "cannot reach redis://:***@cache"),
        ("it said %s", (ValueError("s3cret"),), "it said ValueError"),
        ("%s", (ConnectionRefusedError(111, "s3cret"),), "ConnectionRefusedError: [Errno 111] Connection refused"),
        ("given %r", (["exk_s3cret"],), "given ['exk_***']"),
    ],
)
def test_an_argument_of_a_plain_record_is_logged_without_its_secret(
    message: str, arguments: tuple[Any, ...], shown: str
) -> None:
    assert logged(message, *arguments) == shown


@pytest.mark.parametrize("text", ["s3cret", "duplicate key\nDETAIL:  Key (email)=(s3cret) already exists."])
@pytest.mark.parametrize("kind", [ValueError, django.db.IntegrityError])
def test_a_plain_record_of_an_exception_shows_its_type_and_frames_alone(
    formatter: logging.Formatter, kind: type[Exception], text: str
) -> None:
    try:
        raise kind(text)
    except Exception as error:
        context = {"name": "sweep", "exc": repr(error)}  # as Celery logs what a task raised
        record = logging.LogRecord("celery", 40, __file__, 1, "%(name)s: %(exc)s: it failed", (context,), None)
        record.exc_info = (type(error), error, error.__traceback__)
    line = formatter.format(record)
    assert "sweep: " in line
    assert ": it failed" in line
    assert kind.__qualname__ in line
    assert "test_a_plain_record" in line
    assert "s3cret" not in line


def test_values_that_are_no_texts_stay_what_they_are() -> None:
    line = line_of(conf.log_formatter(json=True), {"rows": 3, "done": True, "rate": 0.5, "at": None, "name": "Zoë"})
    assert json.loads(line)["value"] == {"rows": 3, "done": True, "rate": 0.5, "at": None, "name": "Zoë"}


def test_a_hostile_text_is_looked_through_in_time() -> None:
    for text in ("://a:" * 20_000, "@" + "://a:" * 20_000, 'token"' * 20_000, "bearer " * 20_000, "%25" * 30_000):
        began = time.process_time()
        logged("%s", text)
        assert time.process_time() - began < 1.0, text[:10]
