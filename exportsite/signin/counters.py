"""Attempts that failed, counted: in Redis for all web processes, in the process while Redis is away."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

logger = logging.getLogger(__name__)

MAX_WAIT = 900  # seconds between two attempts, however many failed
DOUBLINGS = 11  # 2 ** 10 seconds are above MAX_WAIT
FORGET_SECONDS = 3_600  # after the last attempt that was let through
KNOWN_SECONDS = 90 * 86_400
AWAY_SECONDS = 5  # until Redis is tried again
LOCAL_KEYS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One thing that is counted."""

    key: str
    free: int = 0
    """Failures before the first wait."""
    forgive: int = FORGET_SECONDS
    """Seconds after which one failure is forgotten."""


class Counters(Protocol):
    def take(self, limits: Sequence[Limit]) -> int:
        """Seconds to wait, or 0: then the attempt is counted as failed already, so that many at once do not pass."""
        ...

    def give_back(self, limits: Sequence[Limit]) -> None:
        """The attempt did not fail."""
        ...

    def clear(self, key: str) -> None: ...
    def remember(self, key: str) -> None:
        """``knows(key)`` is true for 90 days."""
        ...

    def knows(self, key: str) -> bool: ...


class LocalCounters:
    """Of this process alone, at most 10,000 of a kind; the oldest make room."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, tuple[int, float, float]] = OrderedDict()  # number, counted at, wait until
        self._known: OrderedDict[str, float] = OrderedDict()

    def take(self, limits: Sequence[Limit]) -> int:
        with self._lock:
            now = self._clock()
            wait = max(self._failures.get(each.key, (0, 0.0, 0.0))[2] - now for each in limits)
            if wait > 0:
                return math.ceil(wait)
            for each in limits:
                number, at, _ = self._failures.pop(each.key, (0, now, 0.0))
                if now - at >= FORGET_SECONDS:
                    number = 0
                number = min(max(0, number - int((now - at) // each.forgive)) + 1, each.free + DOUBLINGS)
                self._failures[each.key] = (number, now, now + delay(number - each.free))
            _shrink(self._failures)
            return 0

    def give_back(self, limits: Sequence[Limit]) -> None:
        with self._lock:
            for each in limits:
                if each.key in self._failures:
                    number, at, _ = self._failures[each.key]
                    self._failures[each.key] = (max(0, number - 1), at, 0.0)

    def clear(self, key: str) -> None:
        self._failures.pop(key, None)

    def remember(self, key: str) -> None:
        with self._lock:
            self._known[key] = self._clock() + KNOWN_SECONDS
            self._known.move_to_end(key)
            _shrink(self._known)

    def knows(self, key: str) -> bool:
        return self._known.get(key, 0.0) > self._clock()


def delay(over: int) -> int:
    """Seconds after so many failures above the free ones: 1, 2, 4 … 900."""
    return 0 if over <= 0 else int(min(MAX_WAIT, 2 ** (over - 1)))


def _shrink(entries: OrderedDict[str, Any]) -> None:
    while len(entries) > LOCAL_KEYS:
        entries.popitem(last=False)


# The same as LocalCounters.take, by Redis's clock; the tests run both.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local wait = 0
for _, key in ipairs(KEYS) do
  wait = math.max(wait, tonumber(redis.call('HGET', key, 'until') or '0') - now)
end
if wait > 0 then return math.ceil(wait) end
for i, key in ipairs(KEYS) do
  local free, forgive = tonumber(ARGV[2 * i + 2]), tonumber(ARGV[2 * i + 3])
  local number = tonumber(redis.call('HGET', key, 'number') or '0')
  local at = tonumber(redis.call('HGET', key, 'at') or now)
  number = math.min(math.max(0, number - math.floor((now - at) / forgive)) + 1, free + ARGV[3])
  local delay = 0
  if number > free then delay = math.min(tonumber(ARGV[1]), 2 ^ (number - free - 1)) end
  redis.call('HSET', key, 'number', number, 'at', string.format('%.6f', now),
             'until', string.format('%.6f', now + delay))
  redis.call('EXPIRE', key, ARGV[2])
end
return 0
"""
_GIVE_BACK = """
for _, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then
    if redis.call('HINCRBY', key, 'number', -1) < 0 then redis.call('HSET', key, 'number', 0) end
    redis.call('HSET', key, 'until', 0)
  end
end
"""


class RedisCounters:
    """Shared by all processes. While Redis is away: those of the process, asked anew every 5 s."""

    def __init__(self, url: str, prefix: str = "signin:") -> None:
        self._url, self._prefix = url, prefix
        self._local = LocalCounters()
        self._away_until = 0.0

    @cached_property
    def _redis(self) -> Any:
        """Loaded with the first attempt: whoever asks for a permission loads this module, commands included."""
        from exports_app import redis_clients

        return redis_clients.connect(self._url, socket_timeout=0.5, socket_connect_timeout=0.5, decode_responses=True)

    @cached_property
    def _take(self) -> Any:
        return self._redis.register_script(_TAKE)

    @cached_property
    def _give_back(self) -> Any:
        return self._redis.register_script(_GIVE_BACK)

    def take(self, limits: Sequence[Limit]) -> int:
        numbers = [MAX_WAIT, FORGET_SECONDS, DOUBLINGS, *(n for each in limits for n in (each.free, each.forgive))]
        return int(self._ask(lambda: self._take(self._keys(limits), numbers), lambda: self._local.take(limits)))

    def give_back(self, limits: Sequence[Limit]) -> None:
        self._ask(lambda: self._give_back(self._keys(limits)), lambda: None)
        self._local.give_back(limits)

    def clear(self, key: str) -> None:
        self._ask(lambda: self._redis.delete(self._prefix + key), lambda: None)
        self._local.clear(key)

    def remember(self, key: str) -> None:
        self._local.remember(key)
        self._ask(lambda: self._redis.set(self._prefix + key, 1, ex=KNOWN_SECONDS), lambda: None)

    def knows(self, key: str) -> bool:
        return bool(self._ask(lambda: self._redis.exists(self._prefix + key), lambda: self._local.knows(key)))

    def _keys(self, limits: Sequence[Limit]) -> list[str]:
        return [self._prefix + each.key for each in limits]

    def _ask(self, ask: Callable[[], Any], instead: Callable[[], Any]) -> Any:
        from redis.exceptions import RedisError

        if time.monotonic() < self._away_until:
            return instead()
        try:
            return ask()
        except RedisError as error:
            self._away_until = time.monotonic() + AWAY_SECONDS
            logger.warning("Redis is away: attempts to sign in are counted in this process. %s", type(error).__name__)
            return instead()
