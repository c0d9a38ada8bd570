"""What a worker does when the broker breaks off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from workers.broker import QoS
from workers.celery import app


@pytest.fixture
def channel() -> Iterator[Any]:
    with app.connection_for_read() as connection, connection.channel() as channel:
        yield channel


@pytest.mark.parametrize("settle", ["ack", "reject", "requeue"])
def test_a_lost_acknowledgement_takes_no_place_for_ever(
    channel: Any, settle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with channel.connection.client.SimpleQueue("test-broker", no_ack=False) as queue:
        channel.basic_qos(0, 1, False)
        queue.put("word")
        message = queue.get(timeout=5)
        qos = message.channel.qos
        assert isinstance(qos, QoS)
        qos.prefetch_count = 1
        assert not qos.can_consume()

        def gone(*_: Any, **__: Any) -> None:
            raise redis.ConnectionError("reset")

        with monkeypatch.context() as broken:
            broken.setattr(qos, "_remove_from_indices", gone)
            broken.setattr(qos, "restore_by_tag", gone)
            with pytest.raises(redis.ConnectionError):
                getattr(message, settle)()
        assert qos.can_consume()
        redis.Redis.from_url(app.conf.broker_url).delete("unacked", "unacked_index")
