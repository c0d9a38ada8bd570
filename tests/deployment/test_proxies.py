"""Who may say that a request came by TLS: the proxies that are named, and nobody else."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import requests

from tests.web_server import serve


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("10.0.0.1", (301, "https")),
        ("127.0.0.1", (302, "")),
        ("10.0.0.1,127.0.0.0/8", (302, "")),
    ],
)
def test_a_request_is_secure_where_a_named_proxy_says_so(named: str, expected: tuple[int, str]) -> None:
    with serve(HTTPS="1", FORWARDED_ALLOW_IPS=named) as server:
        answer = requests.get(
            f"{server.url}/exports/", headers={"X-Forwarded-Proto": "https"}, allow_redirects=False, timeout=20
        )
    # The first is sent to https:// to come again, the others to the page to sign in at.
    scheme = urlsplit(answer.headers["Location"]).scheme
    assert (answer.status_code, scheme) == expected
