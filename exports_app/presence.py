"""Which workers are there: each says so every few seconds, in Redis, by Redis' own clock."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import redis

from exports_app import redis_clients

KEY = "exports:workers"
"""Sorted set: ``node|queue,queue`` by the second in which it was last heard."""
SAY_SECONDS = 5
ABSENT_SECONDS = 20
"""A worker that was not heard for so long is not there."""
TIMEOUT = 1.0
"""Seconds that a command may take."""


def say(node: str, queues: Iterable[str]) -> None:
    """This worker is there. Raises ``redis.RedisError``."""
    now = _now()
    with _client().pipeline(transaction=False) as batch:
        batch.zadd(KEY, {_member(node, queues): now})
        batch.zremrangebyscore(KEY, 0, now - ABSENT_SECONDS)
        batch.execute()


def say_goodbye(node: str, queues: Iterable[str]) -> None:
    """This worker stops. Raises ``redis.RedisError``."""
    _client().zrem(KEY, _member(node, queues))


def served_queues() -> set[str]:
    """Queues that at least one worker was heard to work off a moment ago. Raises ``redis.RedisError``."""
    heard: Any = _client().zrangebyscore(KEY, _now() - ABSENT_SECONDS, "+inf")
    return {queue for member in heard for queue in member.decode().rpartition("|")[2].split(",")}


def ping() -> None:
    """Raises ``redis.RedisError`` where Redis does not answer."""
    _client().ping()


def _member(node: str, queues: Iterable[str]) -> str:
    return f"{node}|{','.join(sorted(queues))}"


def _now() -> int:
    return int(_client().time()[0])


@cache
def _client() -> redis.Redis:
    return redis_clients.connect(socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
