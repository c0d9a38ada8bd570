"""What a start of the site loads, and what it says of its environment."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module

import pytest
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured

from exportsite.environment import Env

HEAVY = {
    *(
        "babel",
        "boto3",
        "celery",
        "cryptography",
        "mimesis",
        "openpyxl",
        "pyarrow",
        "rest_framework.serializers",
        "structlog",
    ),
    *("exports_app.admin", "exports_app.pipeline.formats.parquet", "exports_app.pipeline.formats.xlsx", "tqdm"),
}

EXPORT = """
import sys
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "export", "goals", "--user", "alice", "--output", "/dev/null"])
print(*sys.modules)
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("alice")
def test_a_csv_export_loads_nothing_that_it_does_not_need() -> None:
    database = settings.DATABASES["default"]
    url = "postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    environment = os.environ | {"DATABASE_URL": url}
    done = subprocess.run([sys.executable, "-c", EXPORT], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "exports_app.pipeline.formats.csv" in loaded
    assert loaded & HEAVY == set()


def test_the_admin_finds_nothing_wrong_with_its_classes() -> None:
    import_module(settings.ROOT_URLCONF)  # loads them, which may be too late for ``manage.py check``
    assert admin.site.check(None) == []
    assert {model.__name__ for model in admin.site._registry} >= {"ExportJob", "ApiKey", "Customer"}


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("Yes", True), ("off", False), ("", True)])
def test_a_flag_of_the_environment(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("HTTPS", value)
    assert Env().bool("HTTPS", True) is expected


def test_numbers_words_and_texts_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORTS_MAX_ACTIVE", " 7 ")
    monkeypatch.setenv("ADMINS", "a@example.com, b@example.com,")
    monkeypatch.setenv("EXPORTS_RATE", "")
    assert Env().int("EXPORTS_MAX_ACTIVE", None) == 7
    assert Env().int("EXPORTS_LEASE_SECONDS", None) is None
    assert Env().list("ADMINS", []) == ["a@example.com", "b@example.com"]
    assert Env().str("EXPORTS_RATE") == ""
    assert Env().str("EXPORTS_NOTHING") is None


def test_a_value_of_the_wrong_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS", "maybe")
    monkeypatch.setenv("EXPORTS_MAX_ACTIVE", "five")
    with pytest.raises(ImproperlyConfigured, match=r"HTTPS is 'maybe'. Set it to 1 or 0."):
        Env().bool("HTTPS", True)
    with pytest.raises(ImproperlyConfigured, match=r"EXPORTS_MAX_ACTIVE is 'five'. Set it to a whole number."):
        Env().int("EXPORTS_MAX_ACTIVE", None)
