"""What ``REDIS_URL`` may be, how Celery and our clients read it, and what is refused at the start."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from exports_app import redis_urls
from exports_app.redis_urls import Sentinels
from exportsite import addresses


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://:a%2Fb@host:6379/0", "redis://:a%2Fb@host:6379/0"),
        ("redis://host/1?health_check_interval=5", "redis://host/1?health_check_interval=5"),
        ("rediss://host/0", "rediss://host/0?ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_cert_reqs=CERT_REQUIRED", "rediss://host/0?ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_cert_reqs=CERT_OPTIONAL", "rediss://host/0?ssl_cert_reqs=optional"),
        ("rediss://host/0?ssl_cert_reqs=CERT_NONE", "rediss://host/0?ssl_cert_reqs=none"),
        ("rediss://host/0?ssl_cert_reqs=none", "rediss://host/0?ssl_cert_reqs=none"),
        (
            "rediss://host/0?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=required",
            "rediss://host/0?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=required",
        ),
    ],
)
def test_one_server_has_a_url_that_all_clients_read_alike(url: str, expected: str) -> None:
    assert (redis_urls.parse(url), redis_urls.broker(url)) == (expected, (expected, {}))


def test_sentinels_are_named_with_their_master_and_passwords() -> None:
    url = "sentinel://app:a%3Ab@one:26380,two,[::1]:5/4?master_name=main&sentinel_password=x%26y&sentinel_username=s"
    assert redis_urls.parse(url) == Sentinels(
        servers=(("one", 26380), ("two", 26379), ("::1", 5)),
        master_name="main",
        login={"username": "s", "password": "x&y"},
        master_login={"username": "app", "password": "a:b"},
        db=4,
    )


@pytest.mark.parametrize(
    ("login", "expected"), [("", ""), (":a%3Ab@", ":a%3Ab@"), ("app:a%3Ab@", "app:a%3Ab@"), ("app@", "app:@")]
)
def test_celery_has_sentinels_in_its_own_spelling(login: str, expected: str) -> None:
    broker, options = redis_urls.broker(f"sentinel://{login}one:1,two:2/4?master_name=main&sentinel_password=x")
    assert broker == f"sentinel://{expected}one:1/4;sentinel://{expected}two:2/4"
    assert options["master_name"] == "main"
    asked = options["sentinel_kwargs"]
    assert (asked["password"], asked["socket_timeout"], asked["socket_connect_timeout"]) == ("x", 0.5, 0.5)


WAY_OUT = "Write redis://:password@host:6379/0, rediss:// for TLS, or sentinel://"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis+cluster://host:6379", "REDIS_URL names a Redis Cluster (redis+cluster://), which is not supported. "),
        ("rediss+cluster://host:6379", "REDIS_URL names a Redis Cluster (rediss+cluster://), which is not supported. "),
        ("amqp://secret@host//", "REDIS_URL names a broker of another kind (amqp://): Redis is the only one"),
        ("sqs://", "REDIS_URL names a broker of another kind (sqs://): Redis is the only one that is supported. "),
        ("memory://", "REDIS_URL names a broker of another kind (memory://): Redis is the only one"),
        ("secret", "REDIS_URL is no address: Redis is the only one that is supported. "),
        ("redis://host:port/0", "REDIS_URL is no address. "),
        ("sentinel://host/0", "REDIS_URL names sentinels, but not the master that they watch: add ?master_name=NAME. "),
        ("sentinel://host/0?master_name=", "REDIS_URL names sentinels, but not the master that they watch"),
        ("sentinel://host/x?master_name=main", "REDIS_URL names no number of a database behind the sentinels. "),
        ("sentinel://one,:5/0?master_name=main", "REDIS_URL names a sentinel that is no host and port. "),
        ("sentinel://one:secret/0?master_name=main", "REDIS_URL names a sentinel that is no host and port. "),
        ("sentinel://host/0?master_name=a&tls=1", "REDIS_URL asks for tls, which sentinel:// does not take. "),
    ],
)
def test_all_else_is_refused_at_the_start_with_the_way_out(url: str, expected: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        addresses.broker("REDIS_URL", url)
    assert str(caught.value).startswith(expected)
    assert WAY_OUT in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_unknown_demand_on_certificates_is_refused() -> None:
    expected = (
        "REDIS_URL has an ssl_cert_reqs that is none of "
        "CERT_REQUIRED or required, CERT_OPTIONAL or optional, CERT_NONE or none."
    )
    with pytest.raises(ImproperlyConfigured) as caught:
        addresses.broker("REDIS_URL", "rediss://host/0?ssl_cert_reqs=perhaps")
    assert str(caught.value) == expected


@pytest.mark.parametrize("name", ["CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"])
def test_a_second_broker_beside_it_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "amqp://host")
    with pytest.raises(ImproperlyConfigured, match=rf"^{name} is set. The broker is the Redis of REDIS_URL: unset"):
        addresses.broker("REDIS_URL", "redis://host")


def test_a_start_with_another_broker_ends_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.deployment.test_settings import start

    done = start("REDIS_URL", REDIS_URL="amqp://guest:guest@rabbit//")
    said: Any = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert "ImproperlyConfigured: REDIS_URL names a broker of another kind (amqp://)" in said
