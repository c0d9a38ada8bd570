"""One delivery of one notification: take it, send it, write down what came of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction

from exports_app import dispatch, notifications
from exports_app.logs import log
from exports_app.models import ExportNotification

TIME_LIMIT = 30
"""Seconds that one delivery may take in all."""
LEASE_SECONDS = 2 * TIME_LIMIT
"""After that long, a notification whose worker was killed is due again."""


class Undelivered(Exception):
    """A try that failed. ``final``: another one would fail the same way."""

    def __init__(
        self, reason: str, *, final: bool = False, response_status: int | None = None, retry_after: float = 0
    ) -> None:
        super().__init__(reason)
        self.final = final
        self.response_status = response_status
        self.retry_after = retry_after
        """Seconds that the other side wants to be left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """``tries``, of which the second comes about ``first`` seconds after the first; each delay ``factor`` times it."""

    tries: int
    first: float
    factor: float
    longest: float

    def delay(self, attempt: int, chance: Callable[[], float] = random.random) -> float | None:
        """Seconds after try number ``attempt``, up to a fifth of them taken off at random; None: it was the last."""
        if attempt >= self.tries:
            return None
        full = min(self.longest, self.first * self.factor ** min(attempt - 1, 32))
        return full * (1 - chance() / 5)


class Channel(Protocol):
    """One way to tell somebody something."""

    holds_row: bool
    """Whether the row stays locked while it is sent, so that it is sent once also where a worker hangs."""

    def schedule(self, notice: ExportNotification) -> Schedule:
        """How often and when it is tried."""
        ...

    def send(self, notice: ExportNotification) -> int | None:
        """Send it; the status that the other side answered with, if any. Raises ``Undelivered``."""
        ...

    def gave_up(self, notice: ExportNotification) -> None:
        """It failed for good."""
        ...


def deliver_next(channels: dict[str, Channel]) -> bool:
    """Take the notification whose turn it is and send it. False: none is due."""
    notice = notifications.claim(LEASE_SECONDS)
    if notice is None:
        return False
    request_id = notice.job.request_id if notice.job else ""
    with structlog.contextvars.bound_contextvars(
        request_id=request_id, job=str(notice.job_id or ""), notification=str(notice.pk), told=notice.event
    ):
        _deliver(notice, channels[notice.channel])
    if notifications.is_waiting():
        dispatch.ring_for_notifications()  # one bell may have stood for many
    return True


def _deliver(notice: ExportNotification, channel: Channel) -> None:
    try:
        with _transaction(channel):
            if channel.holds_row and not notifications.hold(notice):
                return
            if notice.attempts > channel.schedule(notice).tries:
                raise Undelivered("Each try ended with the worker.", final=True)
            status = channel.send(notice)
            notifications.sent(notice, response_status=status)
    except Undelivered as error:
        _undelivered(notice, channel, error)
    except SoftTimeLimitExceeded:
        _undelivered(notice, channel, Undelivered(f"It took longer than {TIME_LIMIT} seconds."))
    else:
        log.info("export.notification.sent", channel=notice.channel, attempt=notice.attempts, status=status)


def _transaction(channel: Channel) -> AbstractContextManager[object]:
    return transaction.atomic() if channel.holds_row else nullcontext()


def _undelivered(notice: ExportNotification, channel: Channel, error: Undelivered) -> None:
    schedule = channel.schedule(notice)
    delay = None if error.final else schedule.delay(notice.attempts)
    if delay is None:
        notice.error = str(error)
        ours = notifications.failed(notice, notice.error, response_status=error.response_status)
        log.warning("export.notification.failed", channel=notice.channel, reason=str(error), attempt=notice.attempts)
        if ours:
            channel.gave_up(notice)
        return
    delay = max(delay, min(error.retry_after, schedule.longest))
    # The sweep rings for it: messages that wait for their time would fill the worker that the sweep needs.
    notifications.retry_later(notice, str(error), delay=delay, response_status=error.response_status)
    log.warning("export.notification.retrying", channel=notice.channel, reason=str(error), delay=round(delay, 1))
