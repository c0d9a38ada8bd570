"""What all open streams of one process share: one connection to Redis, and one reader of the rows.

Redis says that something happened; the rows say what. While Redis is away the rows are read every second, and every
few seconds otherwise, since places in a queue change without a word. However many streams are open, that is a handful
of queries, made in a few threads that keep no connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary, WeakSet

from django.db import DatabaseError, InterfaceError, connections
from redis.exceptions import RedisError

from exports_app import errors, live, redis_clients
from exports_app.api import moments
from exports_app.api.moments import Message, Moment, Seen, Track
from exports_app.choices import Status
from exports_app.keys import WHOLE, Permit
from exports_app.logs import log
from exports_app.visibility import View

T = TypeVar("T")
TICK_SECONDS = 2.0
"""Between two looks at the rows while Redis is heard."""
AWAY_TICK_SECONDS = 1.0
"""The same while it is not."""
CONNECT_SECONDS = 1.0
SILENCE_SECONDS = 5.0
"""A Redis that says nothing for so long is asked whether it is there."""
THREADS = 4
USER_STREAMS = 20
"""Of one user, in one process."""
STREAM_RETRY_SECONDS = 30

_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="events")


async def in_thread(read: Callable[[], T]) -> T:
    """Run something that reads the database, and leave no connection behind."""

    def work() -> T:
        try:
            return read()
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(_pool, work)


class Subscription:
    """One open stream: the jobs it follows, and what it has not sent yet."""

    def __init__(self, user_id: Any, *, follows_new: bool, permit: Permit = WHOLE) -> None:
        self.user_id = user_id
        self.permit = permit
        self.follows_new = follows_new
        """Every active job that the user may see, also those to come."""
        self.began = False
        """It was told where all its jobs stand."""
        self.tracks: dict[UUID, Track] = {}
        self.ended = False
        self._waiting: list[Message] = []
        self._wake = asyncio.Event()

    def put(self, job_id: UUID, messages: Iterable[Message]) -> None:
        """Queue messages; of two reports of progress that wait, the newer one is enough."""
        for message in messages:
            last = self._waiting[-1] if self._waiting else None
            if last and last.type == message.type == "progress" and last.data["id"] == message.data["id"]:
                self._waiting.pop()
            self._waiting.append(message)
            self._wake.set()
        if self.tracks[job_id].is_done and self.follows_new:
            del self.tracks[job_id]

    def end(self) -> None:
        """No more comes; the stream sends what it has and ends."""
        self.ended = True
        self._wake.set()

    async def take(self, timeout: float) -> list[Message]:
        """What there is to send, waiting up to ``timeout`` seconds for something."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout)
        self._wake.clear()
        taken, self._waiting = self._waiting, []
        return taken


class Hub:
    """The open streams of one event loop. It works while there are any."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._opened: WeakSet[Subscription] = WeakSet()
        """Those of answers that exist, whether or not they were begun to be sent."""
        self._jobs: dict[UUID, Moment] = {}
        """What was read last of each followed job."""
        self._dirty: set[UUID] = set()
        self._stir = asyncio.Event()
        self._tried = asyncio.Event()
        """Redis has answered or was found to be away."""
        self.hears_redis = False
        self._hears_signal = False
        self._tasks: list[asyncio.Task[None]] = []

    def open(self, subscription: Subscription) -> None:
        """Take a place for it, for as long as it exists. Raises ``errors.Throttled``."""
        mine = sum(each.user_id == subscription.user_id and not each.ended for each in self._opened)
        if mine >= USER_STREAMS:
            raise errors.Throttled(
                f"You have {USER_STREAMS} event streams open, which is all that is allowed at once. Close one of them.",
                retry_after=STREAM_RETRY_SECONDS,
            )
        self._opened.add(subscription)

    async def join(self, subscription: Subscription) -> None:
        """From now on nothing that happens is missed: what is read after this is the beginning."""
        self._subscriptions.add(subscription)
        if not self._tasks:
            self._end_with_the_server()
            self._tried.clear()
            self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._follow())]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._tried.wait(), CONNECT_SECONDS * 2)

    def follow(self, subscription: Subscription, moment: Moment, *, after: int | None, view: View) -> None:
        """Tell the stream of a job: where it stood at ``moment``, what was stored since ``after``, all that comes."""
        job_id, track = moment.job.pk, Track(view=view)
        subscription.tracks[job_id] = track
        self._keep_ahead(moment)
        subscription.put(job_id, track.snapshot(moment, after=after))
        self._mark([job_id])  # something may have happened since it was read

    def leave(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        if not self._subscriptions:
            for task in self._tasks:
                task.cancel()
            self._tasks = []
            self.hears_redis = False
            self._jobs.clear()
            self._dirty.clear()

    def _end_with_the_server(self) -> None:
        """Open streams would hold up a server that stops; it hears of that by a signal, which we hear too."""
        heard = signal.getsignal(signal.SIGTERM)
        if self._hears_signal or not callable(heard) or threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()

        def hear(number: int, frame: FrameType | None) -> None:
            heard(number, frame)
            loop.call_soon_threadsafe(self.end_all)

        signal.signal(signal.SIGTERM, hear)
        self._hears_signal = True

    def end_all(self) -> None:
        """The server stops: every stream ends, and its client finds another server."""
        for subscription in self._subscriptions:
            subscription.end()

    # Redis

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear_out()
            except (RedisError, OSError, TimeoutError) as error:
                if self.hears_redis or not self._tried.is_set():
                    log.warning("export.stream.redis_away", error=type(error).__name__)
            self.hears_redis = False
            self._tried.set()
            self._stir.set()
            await asyncio.sleep(AWAY_TICK_SECONDS)

    async def _hear_out(self) -> None:
        """Hear what is published until the connection fails."""
        connected = redis_clients.listening(socket_connect_timeout=CONNECT_SECONDS, protocol=2)
        async with connected as client, client.pubsub() as channel:
            async with asyncio.timeout(CONNECT_SECONDS):
                await channel.psubscribe(live.PATTERN)
                if await channel.get_message(timeout=CONNECT_SECONDS) is None:
                    raise TimeoutError
            self.hears_redis = True
            self._tried.set()
            self._mark(self._followed())  # whatever was said meanwhile
            while True:
                message = await channel.get_message(ignore_subscribe_messages=True, timeout=SILENCE_SECONDS)
                if message is None:
                    async with asyncio.timeout(CONNECT_SECONDS):
                        await channel.ping()
                        message = await channel.get_message(timeout=CONNECT_SECONDS)
                    if message is None:
                        raise TimeoutError
                if message["type"] == "pmessage":
                    self._hear(message["channel"], message["data"])

    def _hear(self, channel: bytes, data: bytes) -> None:
        try:
            job_id, told = UUID(channel.decode().split(":")[1]), json.loads(data)
            if told["type"] == live.PROGRESS:
                self._advance(job_id, told)
            elif job_id in self._followed() or any(each.follows_new for each in self._subscriptions):
                self._mark([job_id])
        except (ValueError, LookupError, TypeError) as error:
            log.warning("export.stream.unclear", error=type(error).__name__)

    def _advance(self, job_id: UUID, told: dict[str, Any]) -> None:
        """Progress between two looks at the row, of the run that has the job."""
        moment = self._jobs.get(job_id)
        if moment is None:
            return
        job = moment.job
        if job.status != Status.RUNNING or job.claim != told["claim"]:
            self._mark([job_id])
            return
        job.rows_done, job.bytes_done = max(job.rows_done, told["rows"]), max(job.bytes_done, told["bytes"])
        job.rows_per_second = told["rows_per_second"]
        self._tell(Moment(job=job, events=[], places={}))

    # The rows

    def _followed(self) -> set[UUID]:
        return {job_id for each in self._subscriptions for job_id in each.tracks}

    def _mark(self, job_ids: Iterable[UUID]) -> None:
        self._dirty.update(job_ids)
        self._stir.set()

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            tick = TICK_SECONDS if self.hears_redis else AWAY_TICK_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stir.wait(), max(0.0, min(due, loop.time() + tick) - loop.time()))
            self._stir.clear()
            if is_due := loop.time() >= due:
                due = loop.time() + tick
            wanted, self._dirty = self._dirty | (self._followed() if is_due else set()), set()
            try:
                await self._refresh(wanted, is_due=is_due)
            except (DatabaseError, InterfaceError) as error:
                log.warning("export.stream.database_away", error=type(error).__name__)
                self._dirty |= wanted
            except Exception:  # a bug must not silence every stream of the process
                log.exception("export.stream.failed")

    async def _refresh(self, wanted: set[UUID], *, is_due: bool) -> None:
        """Read what may have changed, and tell each stream what is new to it."""
        users = {each.user_id for each in self._subscriptions if each.follows_new}
        unknown = wanted - self._followed()
        found: dict[UUID, Seen] = {}
        if users and (is_due or unknown):
            found = await in_thread(lambda: moments.active_jobs(users, unknown))
        for subscription in self._subscriptions:
            if subscription.follows_new and subscription.began:
                for job_id, seen in found.items():
                    if seen.exists_for(subscription.user_id, subscription.permit) and job_id not in subscription.tracks:
                        view = seen.view_for(subscription.user_id, subscription.permit)
                        subscription.tracks[job_id] = Track(view=view)
                        wanted.add(job_id)
        wanted &= self._followed()
        if not wanted:
            return
        since = min(track.last_id for each in self._subscriptions for id, track in each.tracks.items() if id in wanted)
        for moment in await in_thread(lambda: moments.read(wanted, since=since)):
            self._keep_ahead(moment)
            self._tell(moment)
        for job_id in self._jobs.keys() - self._followed():
            del self._jobs[job_id]

    def _keep_ahead(self, moment: Moment) -> None:
        """A run reports more often than it writes its row: what was told of it is not taken back."""
        job, known = moment.job, self._jobs.get(moment.job.pk)
        if known and job.status == known.job.status == Status.RUNNING and job.claim == known.job.claim:
            before = known.job
            if before.rows_done > job.rows_done:
                job.rows_done, job.rows_per_second = before.rows_done, before.rows_per_second
            job.bytes_done = max(job.bytes_done, before.bytes_done)
        self._jobs[job.pk] = moment

    def _tell(self, moment: Moment) -> None:
        for subscription in self._subscriptions:
            track = subscription.tracks.get(moment.job.pk)
            if track is not None and not track.is_done:
                subscription.put(moment.job.pk, track.news(moment))


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def of_this_loop() -> Hub:
    """The hub of the running event loop."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())
