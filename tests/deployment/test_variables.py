"""One list of variables: what the settings read, the docs explain, Compose passes on, and .env.example names."""

from __future__ import annotations

import re

import pytest

from exportsite import settings as site
from tests.deployment.compose import PROJECT, environment, services, variables
from tests.deployment.compose import SECRETS as GIVEN

UVICORNS = {"FORWARDED_ALLOW_IPS", "WEB_CONCURRENCY"}
COMPOSES_OWN = {
    *("POSTGRES_PASSWORD", "DATABASE_PASSWORD", "SOURCE_PASSWORD", "SOURCE_ROLE", "REDIS_PASSWORD"),
    *("BIND_ADDRESS", "PORT", "S3_PORT"),
    *("WORKER_CONCURRENCY", "WORKER_LARGE_CONCURRENCY", "MAINTENANCE_CONCURRENCY"),
    *("WEB_MEMORY", "WORKER_MEMORY", "WORKER_LARGE_MEMORY", "MAINTENANCE_MEMORY"),
    *("POSTGRES_MEMORY", "REDIS_MEMORY", "S3_MEMORY"),
}
HARD = "EXPORT_MEMORY_HARD_LIMIT_MB"
OF_OTHERS = {"WORKER"}
"""Set by the file itself, for its own health check."""


def documented() -> set[str]:
    """Those of the tables of operations.md, in their first columns."""
    docs = (PROJECT / "docs/operations.md").read_text()
    tables = docs.split("## Settings")[1].split("## Secrets")[0]
    rows = re.findall(r"^\| (`[^|]*`) \|", tables, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", row)}


def read_by_the_site() -> set[str]:
    return site.env.names | UVICORNS


def test_every_variable_that_is_read_is_explained_and_no_other() -> None:
    assert documented() == read_by_the_site() | COMPOSES_OWN


def test_the_example_names_every_variable_of_the_compose_file_and_no_other() -> None:
    example = (PROJECT / ".env.example").read_text()
    named = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE)
    assert sorted(named) == sorted(variables())


def test_the_compose_file_takes_every_variable_that_is_read() -> None:
    assert variables() == read_by_the_site() | COMPOSES_OWN


def test_every_variable_reaches_a_process_of_the_site() -> None:
    passed = {name for service in ("web", "worker", "maintenance") for name in environment(service)}
    assert passed == read_by_the_site() | OF_OTHERS


@pytest.mark.parametrize("name", sorted(set(services()) - {"postgres", "redis", "s3"}))
def test_a_setting_that_is_no_secret_reaches_all_alike(name: str) -> None:
    given = GIVEN | {"EXPORTS_FILE_TTL": "60", "EXPORTS_RATE": "", "ENABLE_EXPORTS": "0"}
    found = environment(name, given)
    assert (found["EXPORTS_FILE_TTL"], found["EXPORTS_RATE"], found["ENABLE_EXPORTS"]) == ("60", "", "0")


def test_the_values_of_the_example_are_those_that_hold_unless_set() -> None:
    example = dict(re.findall(r"^# ([A-Z][A-Z0-9_]+)=(.*)$", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    public = {
        *("ALLOWED_HOSTS", "EXPORTS_SITE_URL", "EXPORTS_S3_PUBLIC_ENDPOINT_URL", "HTTPS", "FORWARDED_ALLOW_IPS"),
        *("EMAIL_URL", "DEFAULT_FROM_EMAIL", "SERVER_EMAIL", "ADMINS"),
        *("DATABASE_URL", "EXPORTS_SOURCE_DATABASE_URL", "REDIS_URL"),
    }
    for service in ("web", "worker", "maintenance"):
        for name, value in environment(service).items():
            if value and name in example and name not in public and (service, name) != ("maintenance", HARD):
                assert value == example[name], name
