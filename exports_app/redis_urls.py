"""What ``REDIS_URL`` may be, read in one place for Celery and for our own clients. Refused, it is never quoted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

FORM = (
    "redis://:password@host:6379/0, rediss:// for TLS, "
    "or sentinel://:password@host:26379,host2:26379/0?master_name=NAME"
)
CLUSTERS = ("redis+cluster", "rediss+cluster")
PLAIN = ("redis", "rediss")
SENTINEL_PORT = 26_379
SENTINEL_SECONDS = 0.5
"""That a sentinel may take to say who the master is."""
CERTIFICATES = ("required", "optional", "none")
"""``ssl_cert_reqs`` as redis-py spells it; Celery's spelling is ``CERT_REQUIRED`` and the like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinels:
    """Who is asked which Redis is the master."""

    servers: tuple[tuple[str, int], ...]
    master_name: str
    login: dict[str, str]
    """``username`` and ``password`` of the sentinels themselves."""
    master_login: dict[str, str]
    """The same of the master."""
    db: int


def parse(url: str) -> str | Sentinels:
    """A URL that redis-py and Celery read alike, or the sentinels that it names. Raises ``ValueError``."""
    try:
        parts = urlsplit(url)
        _ = parts.port if parts.scheme in PLAIN else None
    except ValueError:
        raise ValueError(f"is no address. Write {FORM}.") from None
    if parts.scheme == "sentinel":
        return _sentinels(parts)
    if parts.scheme in CLUSTERS:
        raise ValueError(f"names a Redis Cluster ({parts.scheme}://), which is not supported. Write {FORM}.")
    if parts.scheme not in PLAIN:
        kind = f"names a broker of another kind ({parts.scheme}://)" if parts.scheme else "is no address"
        raise ValueError(f"{kind}: Redis is the only one that is supported. Write {FORM}.")
    return _certified(parts)


def broker(url: str) -> tuple[str, dict[str, Any]]:
    """The same as Celery has it: its URL, and transport options. Raises ``ValueError``."""
    found = parse(url)
    if isinstance(found, str):
        return found, {}
    login = ""
    if found.master_login:
        names = (quote(found.master_login.get(name, ""), safe="") for name in ("username", "password"))
        login = f"{':'.join(names)}@"
    from redis.backoff import NoBackoff  # no command needs it that only loads the settings
    from redis.retry import Retry

    asked = {**found.login, "socket_timeout": SENTINEL_SECONDS, "socket_connect_timeout": SENTINEL_SECONDS}
    urls = [f"sentinel://{login}{_bracketed(host)}:{port}/{found.db}" for host, port in found.servers]
    return ";".join(urls), {
        "master_name": found.master_name,
        "sentinel_kwargs": asked | {"retry": Retry(NoBackoff(), 0)},  # where one does not answer, another does
    }


def _sentinels(parts: SplitResult) -> Sentinels:
    login, _, servers = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    query = dict(parse_qsl(parts.query))
    known = {f"sentinel_{name}": name for name in ("username", "password")}
    if unknown := sorted(query.keys() - {"master_name", *known}):
        raise ValueError(f"asks for {unknown[0]}, which sentinel:// does not take. Write {FORM}.")
    if not query.get("master_name"):
        raise ValueError(f"names sentinels, but not the master that they watch: add ?master_name=NAME. Write {FORM}.")
    number = parts.path.strip("/") or "0"
    if not number.isdecimal():
        raise ValueError(f"names no number of a database behind the sentinels. Write {FORM}.")
    return Sentinels(
        servers=tuple(_server(each) for each in servers.split(",")),
        master_name=query["master_name"],
        login={name: query[asked] for asked, name in known.items() if query.get(asked)},
        master_login=_filled(username=unquote(username), password=unquote(password)),
        db=int(number),
    )


def _server(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname:
            return parts.hostname, parts.port or SENTINEL_PORT
    except ValueError:
        pass
    raise ValueError(f"names a sentinel that is no host and port. Write {FORM}.")


def _certified(parts: SplitResult) -> str:
    """``ssl_cert_reqs`` in the one spelling that all clients know, and never left to their defaults, which differ."""
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme == "rediss":
        asked = query.get("ssl_cert_reqs", "required")
        query["ssl_cert_reqs"] = asked.lower().removeprefix("cert_")
        if query["ssl_cert_reqs"] not in CERTIFICATES:
            choices = ", ".join(f"CERT_{each.upper()} or {each}" for each in CERTIFICATES)
            raise ValueError(f"has an ssl_cert_reqs that is none of {choices}.")
    return urlunsplit(parts._replace(query=urlencode(query, safe="/")))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _filled(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
