"""What opens a file by itself stands in no line of a log."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from exports_app import conf


@pytest.fixture(params=[True, False], ids=["json", "desk"])
def formatter(request: pytest.FixtureRequest) -> logging.Formatter:
    return conf.log_formatter(json=request.param)


def record(message: str, *arguments: Any) -> logging.LogRecord:
    return logging.LogRecord("uvicorn.access", logging.INFO, __file__, 1, message, arguments, None)


@pytest.mark.parametrize(
    "address",
    [
        "/api/v1/exports/1/download/?token=s3cret.s1gned",
        "/api/v1/exports/1/download/?page=1&token=s3cret.s1gned",
        "/exports/1/file/x.csv?signature=s3cret.s1gned",
        "https://s3.example.com/exports/1/x.csv?X-Amz-Expires=900&X-Amz-Signature=s3cret",
    ],
)
def test_an_address_is_logged_without_its_secret(formatter: logging.Formatter, address: str) -> None:
    line = formatter.format(record('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", address, "1.1", 302))
    assert address.partition("?")[0] in line
    assert "=***" in line
    assert "s3cret" not in line
    assert "s1gned" not in line


def test_the_rest_of_a_line_stays_as_it_is() -> None:
    line = json.loads(conf.log_formatter(json=True).format(record("GET /exports/?page=2&status=failed 1 token")))
    assert line["event"] == "GET /exports/?page=2&status=failed 1 token"
    assert line["logger"] == "uvicorn.access"
