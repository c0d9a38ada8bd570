"""What a start in production refuses, and what it makes of the addresses it is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from exports_app import s3
from exportsite import addresses
from exportsite.environment import Env, weakness
from exportsite.stack.production import VARIABLES

KEY = "c5t0VnJQ2yqk7W8zq3aB1xUe6LhYpM4dGsN9iFoR-TjXwKvZ_EuC"
BROKEN = "is no address of a PostgreSQL database"
ASK = """
import json, sys
from django.conf import settings
print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]}))
"""


def start(*names: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A process that asks for settings, with nothing in its environment but these variables and production's."""
    base = {"DJANGO_SETTINGS_MODULE": "exportsite.settings", "SECRET_KEY": KEY, "PATH": os.defpath, **VARIABLES}
    command = [sys.executable, "-c", ASK, *names]
    return subprocess.run(command, env=base | variables, capture_output=True, text=True, check=False)


def settings_of(*names: str, **variables: str) -> dict[str, Any]:
    done = start(*names, **variables)
    assert done.returncode == 0, done.stderr
    values: dict[str, Any] = json.loads(done.stdout)
    return values


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (KEY, ""),
        ("0f" * 32, "repeats itself"),
        ("0123456789abcdef" * 4, "repeats itself"),
        ("a" * 64, "repeats itself"),
        ("short", "is too short"),
        (KEY[:49], "is too short"),
        ("django-insecure-" + KEY, "is a known one"),
        ("changeme-" + KEY, "is a known one"),
    ],
)
def test_a_weak_key_is_known_by_its_look(key: str, expected: str) -> None:
    assert weakness(key) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SECRET_KEY": "a" * 64}, "SECRET_KEY repeats itself. Give it 50 or more random characters."),
        ({"SECRET_KEY_FALLBACKS": f"{KEY[::-1]},short"}, "SECRET_KEY_FALLBACKS is too short. Give it 50"),
        ({"DATABASE_URL": "mysql://exports:s3cret@db/exports"}, f"DATABASE_URL {BROKEN}"),
        ({"DATABASE_URL": "postgresql://exports:s3cret@db:port/exports"}, f"DATABASE_URL {BROKEN}"),
        ({"DATABASE_URL": "s3cret"}, f"DATABASE_URL {BROKEN}"),
        ({"EXPORTS_SOURCE_DATABASE_URL": "replica:s3cret"}, f"EXPORTS_SOURCE_DATABASE_URL {BROKEN}"),
        ({"EXPORTS_SOURCE_DATABASE_URL": "mysql://u:s3cret@h/d"}, f"EXPORTS_SOURCE_DATABASE_URL {BROKEN}"),
        ({"EXPORTS_SOURCE_DATABASE_URL": "postgresql://u:s3cret@h:99999/d"}, f"EXPORTS_SOURCE_DATABASE_URL {BROKEN}"),
        ({"EXPORTS_SOURCE_DATABASE_URL": "postgresql://u:s3cret@h/d?nothing=1"}, "EXPORTS_SOURCE_DATABASE_URL is no"),
        ({"FORWARDED_ALLOW_IPS": "10.0.0.1,*"}, "FORWARDED_ALLOW_IPS holds *"),
        ({"EXPORTS_SITE_URL": "https://other.example.com"}, "leads to other.example.com, which ALLOWED_HOSTS does not"),
        ({"EXPORTS_SITE_URL": "http://exports.example.com"}, "begins with http:// and HTTPS is on"),
        ({"EXPORTS_SITE_URL": "exports.example.com"}, "EXPORTS_SITE_URL is no address"),
    ],
)
def test_what_is_unsafe_stops_the_start_by_name_and_stays_secret(variables: dict[str, str], expected: str) -> None:
    done = start("DEBUG", **variables)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("django.core.exceptions.ImproperlyConfigured: ")
    assert expected in last
    assert "s3cret" not in last


def test_keys_of_before_and_senders_come_from_the_environment() -> None:
    given = settings_of(
        "SECRET_KEY_FALLBACKS",
        "SERVER_EMAIL",
        "DEFAULT_FROM_EMAIL",
        SECRET_KEY_FALLBACKS=KEY[::-1],
        SERVER_EMAIL="root@example.com",
        DEFAULT_FROM_EMAIL="exports@example.com",
    )
    assert given == {
        "SECRET_KEY_FALLBACKS": [KEY[::-1]],
        "SERVER_EMAIL": "root@example.com",
        "DEFAULT_FROM_EMAIL": "exports@example.com",
    }
    assert (
        settings_of("SERVER_EMAIL", DEFAULT_FROM_EMAIL="exports@example.com")["SERVER_EMAIL"] == "exports@example.com"
    )


def test_several_hosts_and_ports_may_be_named_for_a_replica() -> None:
    url = "postgresql://u:p%40ss@one:5432,two:5433/exports?target_session_attrs=prefer-standby"
    assert addresses.source("EXPORTS_SOURCE_DATABASE_URL", url) == url
    with pytest.raises(ImproperlyConfigured):
        addresses.source("EXPORTS_SOURCE_DATABASE_URL", url.replace("5433", "0"))


NAMES = ("SECURE_HSTS_SECONDS", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD", "SECURE_PROXY_SSL_HEADER")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, [31_536_000, False, False, None]),
        ({"HSTS_SECONDS": "60", "HSTS_INCLUDE_SUBDOMAINS": "1", "HSTS_PRELOAD": "1"}, [60, True, True, None]),
        ({"HTTPS": "0"}, [0, False, False, None]),
    ],
)
def test_subdomains_and_preload_are_left_alone_unless_set(variables: dict[str, str], expected: list[Any]) -> None:
    assert list(settings_of(*NAMES, **variables).values()) == expected


@pytest.mark.parametrize("bucket", ["exports", "exports.example.com"])
@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1"])
@pytest.mark.parametrize("endpoint", ["", "https://files.example.com", "http://127.0.0.1:8333"])
def test_the_policy_of_pages_names_the_host_that_links_lead_to(
    monkeypatch: pytest.MonkeyPatch, settings: Any, endpoint: str, region: str, bucket: str
) -> None:
    settings.EXPORTS_S3_PUBLIC_ENDPOINT_URL = endpoint
    for name, value in {
        "EXPORTS_S3_PUBLIC_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_S3": "",
        "AWS_REGION": region,
        "EXPORTS_S3_BUCKET": bucket,
    }.items():
        monkeypatch.setenv(name, value)
    storage = s3.ExportsS3Storage(
        bucket_name=bucket, region_name=region, access_key="key", secret_key="secret", endpoint_url=endpoint or None
    )
    link = s3.presigned_url(storage, "exports/1", disposition="attachment", content_type="text/csv", seconds=60)
    hosts = addresses.file_hosts(Env())
    assert [host for host in hosts if link.startswith(f"{host}/")] != [], (link, hosts)
    assert not any("*" in host for host in hosts)


def test_without_an_endpoint_the_bucket_itself_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "EXPORTS_S3_PUBLIC_ENDPOINT_URL": "",
        "AWS_ENDPOINT_URL_S3": "",
        "AWS_REGION": "eu-central-1",
        "EXPORTS_S3_BUCKET": "exports",
    }.items():
        monkeypatch.setenv(name, value)
    assert addresses.file_hosts(Env()) == [
        "https://exports.s3.amazonaws.com",
        "https://exports.s3.eu-central-1.amazonaws.com",
    ]
