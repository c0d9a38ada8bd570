"""Every client of Redis is made here: of one server, or of whichever is the master by the word of its sentinels."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis
import redis.asyncio
from django.conf import settings
from redis import sentinel as sync_sentinel
from redis.asyncio import sentinel as async_sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.exceptions import ReadOnlyError, ResponseError
from redis.retry import Retry
from redis.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection

from exports_app import redis_urls
from exports_app.redis_urls import Sentinels

SyncSentinel: Any = sync_sentinel.Sentinel  # redis-py gives it no types
AsyncSentinel: Any = async_sentinel.Sentinel
UNBLOCKED = "UNBLOCKED"
"""How a server that stops being the master ends a command that waits."""
PASSED_ON = ("socket_timeout", "socket_connect_timeout", "protocol")
"""Options of a client that hold for its sentinels too."""


class Leaving:
    """Drops the connection to a server that is no master any more: the next command makes a new one.

    The error is that of a lost connection, which every caller waits out; a refused command would end a worker.
    """

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]  # of the connection behind this class
        except ResponseError as error:
            if not isinstance(error, ReadOnlyError) and not str(error).startswith(UNBLOCKED):
                raise
            self.disconnect()  # type: ignore[attr-defined]  # as above
            raise redis.ConnectionError("This Redis is read-only; it was the master before.") from error


class LeavingConnection(Leaving, Connection):
    """Of one server."""


class LeavingSSLConnection(Leaving, SSLConnection):
    """The same by TLS."""


class LeavingManagedConnection(Leaving, SentinelManagedConnection):
    """Of the master."""


class LeavingManagedSSLConnection(Leaving, SentinelManagedSSLConnection):
    """The same by TLS."""


class Master(redis.Redis):
    """Of whichever server the sentinels name; closed, it leaves no connection to them open either."""

    def close(self) -> None:
        super().close()
        manager: Any = getattr(self, "connection_pool", None)  # none yet where its making failed
        if manager is not None:
            manager.sentinel_manager.close()


def connect(url: str | None = None, **options: Any) -> redis.Redis:
    """A client of ``REDIS_URL``, or another URL of that form; nothing is sent yet. Raises ``ValueError``."""
    found = redis_urls.parse(settings.REDIS_URL if url is None else url)
    if isinstance(found, Sentinels):
        asked = _sentinel_options(found, options, Retry(NoBackoff(), 0))
        sentinel = SyncSentinel(found.servers, sentinel_kwargs=asked, **_master_options(found, options))
        master: redis.Redis = sentinel.master_for(
            found.master_name, redis_class=Master, connection_class=LeavingManagedConnection
        )
        return master
    client = redis.Redis.from_url(found, **options)
    pool = client.connection_pool
    pool.connection_class = {Connection: LeavingConnection, SSLConnection: LeavingSSLConnection}[pool.connection_class]
    return client


@asynccontextmanager
async def listening(**options: Any) -> AsyncIterator[redis.asyncio.Redis]:
    """An asynchronous client of ``REDIS_URL`` that tries nothing twice; what it opened is closed at the end."""
    found = redis_urls.parse(settings.REDIS_URL)
    options["retry"] = retry = AsyncRetry(NoBackoff(), 0)
    if not isinstance(found, Sentinels):
        async with redis.asyncio.Redis.from_url(found, **options) as client:
            yield client
        return
    asked = _sentinel_options(found, options, retry)
    sentinel = AsyncSentinel(found.servers, sentinel_kwargs=asked, **_master_options(found, options))
    try:
        async with sentinel.master_for(found.master_name) as client:
            yield client
    finally:
        for each in sentinel.sentinels:
            await each.aclose()


def mend_kombu() -> None:
    """Have Celery's connections leave a server that is no master any more, too."""
    from kombu.transport import redis as transport

    transport.Channel.connection_class = LeavingConnection
    transport.Channel.connection_class_ssl = LeavingSSLConnection
    transport.SentinelChannel.connection_class = LeavingManagedConnection
    transport.SentinelChannel.connection_class_ssl = LeavingManagedSSLConnection


def _sentinel_options(found: Sentinels, options: dict[str, Any], retry: Any) -> dict[str, Any]:
    """One that does not answer is not asked again: the next one is."""
    return {**found.login, **{name: options[name] for name in PASSED_ON if name in options}, "retry": retry}


def _master_options(found: Sentinels, options: dict[str, Any]) -> dict[str, Any]:
    return {**found.master_login, "db": found.db, **options}
