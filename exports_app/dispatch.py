"""The doorbell: a message that says there is work in a queue. Work is started by task name, never by import."""

from __future__ import annotations

from functools import cache
from typing import Any

from exports_app import redis_clients
from exports_app.logs import log

RUN_NEXT = "exports.run_next"
NOTIFY_NEXT = "exports.notify_next"
NOTIFICATIONS = "notifications"
"""Queue of mails and webhooks."""
BELL_TIMEOUT = 0.5
"""Seconds that one command to a broker may take, of which a silent one costs a request two; the sweep rings again."""


def prepare() -> None:
    """Load what the first bell needs. Nothing is sent, and no broker asked."""
    with _producer().connection_for_write() as connection:
        _ = connection.transport


def ring(queue: str) -> bool:
    """Say that there is work in ``queue``. False where the broker could not be reached, which loses nothing."""
    return _send(RUN_NEXT, queue, args=[queue])


def ring_for_notifications() -> bool:
    """Say that there is something to be told. False as above."""
    return _send(NOTIFY_NEXT, NOTIFICATIONS)


def _send(task: str, queue: str, **how: Any) -> bool:
    try:
        _producer().send_task(task, queue=queue, retry=False, ignore_result=True, **how)
    except Exception as error:  # whatever the broker's client raises: the row is what counts
        log.warning("export.bell.unheard", queue=queue, error=type(error).__name__)
        return False
    return True


@cache
def _producer() -> Any:
    """A Celery app that only publishes, with time-outs fit for a web request."""
    from celery import Celery

    redis_clients.mend_kombu()
    app = Celery("exports-producer", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.conf.broker_transport_options = {
        **app.conf.broker_transport_options,
        "socket_timeout": BELL_TIMEOUT,
        "socket_connect_timeout": BELL_TIMEOUT,
        "max_retries": 1,  # of a connection; kombu's own is to try for ever
        "interval_start": 0.1,
        "interval_step": 0.0,
        "interval_max": 0.1,
        "health_check_interval": 0,  # a second command that would have to time out first
    }
    return app
