"""Who must wait before a password is looked at, and which browsers and addresses an account knows."""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import salted_hmac

from exportsite.signin.counters import Counters, Limit, RedisCounters

COOKIE = "known"
COOKIE_SECONDS = 180 * 86_400
COOKIE_ACCOUNTS = 5  # of one browser; the oldest is forgotten
_SIGNER = signing.TimestampSigner(salt="exportsite.signin.known")

counters: Counters = RedisCounters(settings.REDIS_URL)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A password that somebody sent."""

    account: str
    limits: tuple[Limit, ...]
    """The first is this account's from this place: a right password clears it."""
    from_known_browser: bool


def get_attempt(request: HttpRequest, name: str) -> Attempt:
    """What counts for it. A known browser has a count of its own, which nobody else can raise."""
    account = digest(unicodedata.normalize("NFKC", name).casefold())
    browser, accounts = read_cookie(request)
    if account in accounts:
        return Attempt(account, (Limit(key=f"browser:{account}:{browser}"),), True)
    whole = Limit(key=f"account:{account}", free=3, forgive=900)
    address = get_address(request)
    if not address:  # behind a socket file: one count for all would let anybody shut everybody out
        return Attempt(account, (whole,), False)
    here = (
        Limit(key=f"pair:{account}:{address}"),
        Limit(key=f"address:{address}", free=10, forgive=60),
    )
    known = counters.knows(f"known:{account}:{address}")
    return Attempt(account, here if known else (*here, whole), False)


def remember(request: HttpRequest, name: str) -> str:
    """The address becomes a known one of the account; gives the cookie that makes the browser one too."""
    account = digest(unicodedata.normalize("NFKC", name).casefold())
    if address := get_address(request):
        counters.remember(f"known:{account}:{address}")
    browser, accounts = read_cookie(request)
    kept = [account, *(other for other in accounts if other != account)][:COOKIE_ACCOUNTS]
    return _SIGNER.sign("~".join([browser or secrets.token_hex(8), *kept]))


def set_cookie(response: HttpResponseBase, value: str) -> None:
    response.set_cookie(
        COOKIE, value, COOKIE_SECONDS, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax"
    )


def read_cookie(request: HttpRequest) -> tuple[str, list[str]]:
    """The browser's own number and the digests of the accounts that signed in there; empty where it was not ours."""
    try:
        browser, *accounts = _SIGNER.unsign(request.COOKIES.get(COOKIE, ""), max_age=COOKIE_SECONDS).split("~")
    except signing.BadSignature:
        return "", []
    return browser, accounts


def get_address(request: HttpRequest) -> str:
    """A digest of the client's address, for IPv6 of its /64; empty where there is none."""
    try:
        address = ip_address(str(request.META.get("REMOTE_ADDR", "")).partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return digest(str(ip_network((address, 64), strict=False)))
        address = address.ipv4_mapped
    return digest(str(address))


def digest(text: str) -> str:
    """Names no one: made with the site's key."""
    return salted_hmac("exportsite.signin", text, algorithm="sha256").hexdigest()[:32]
