"""Mends for kombu's Redis transport, in place once this module is imported."""

from __future__ import annotations

from typing import Any

from kombu.transport import redis

from exports_app import redis_clients


class QoS(redis.QoS):
    """Frees a message's place also where the word that it is done was lost on its way.

    kombu keeps the place then and Celery only logs the error, so a worker of one process would never ask for a
    message again, and nobody would sweep. The message comes again after the visibility time-out, and finds nothing.
    """

    def ack(self, delivery_tag: Any) -> None:
        try:
            super().ack(delivery_tag)
        finally:
            self._quick_ack(delivery_tag)  # type: ignore[attr-defined]  # its stubs lack it

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        try:
            super().reject(delivery_tag, requeue)
        finally:
            self._quick_ack(delivery_tag)  # type: ignore[attr-defined]  # its stubs lack it


redis.Channel.QoS = QoS
redis_clients.mend_kombu()
