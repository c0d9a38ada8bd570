"""The whole: which services are ours to start, in which order things begin and end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exportsite.stack.console import Console
from exportsite.stack.errors import StackError
from exportsite.stack.folder import Folder
from exportsite.stack.ports import Ports
from exportsite.stack.postgres import Postgres
from exportsite.stack.redis import Redis
from exportsite.stack.s3 import BUCKET, SeaweedFS
from exportsite.stack.service import Service
from exportsite.stack.site import Site, address, site_environment
from exportsite.stack.supervisor import Supervisor

# PostgreSQL last: it is waited for while it makes its cluster, and the others use that time.
SERVICES: tuple[type[Service], ...] = (Redis, SeaweedFS, Postgres)
GIVEN_SERVICE_SECONDS = 15.0
# A person's own cloud account would spoil calls to our store.
OTHER_CLOUD_VARIABLES = ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL")


@dataclass(slots=True)
class Stack:
    folder: Folder
    console: Console
    supervisor: Supervisor
    ports: Ports
    env: dict[str, str] = field(default_factory=dict)
    site: Site | None = None

    @property
    def url(self) -> str:
        return address(self.ports["web"])

    def start_services(self) -> None:
        """PostgreSQL, Redis and S3: those that the environment names are used, the others started."""
        ours = [service(self.folder, self.ports) for service in SERVICES if not service.is_given()]
        for service in ours:
            service.initialise(self.supervisor)
            self.supervisor.start(service.program())
        for service in ours:
            self.supervisor.await_ready(service.name, service.probe)
            self.console.step(f"{service.label} answers on port {self.ports[service.name]}")
        self.env = self._environment(ours)
        for given in [service for service in SERVICES if service.is_given()]:
            self._await_given(given)
        self.write_state()

    def start_site(self, *, workers: int, rows: int) -> dict[str, str]:
        """Web, workers and beat on migrated tables with samples; the demo users' API tokens."""
        self.env.setdefault("EXPORTS_SITE_URL", self.url)
        site = Site(
            self.supervisor,
            self.folder,
            self.env,
            port=self.ports["web"],
            workers=workers,
            is_disposable=self.folder.is_scratch and not any(service.is_given() for service in SERVICES),
        )
        site.migrate()
        self.console.step("the tables are migrated")
        site.start()  # they need some seconds, as the samples do
        tokens = site.create_demo_users()  # among whom the samples are shared out
        if site.load_samples(rows):
            self.console.step(f"{rows:,} sample rows are loaded")
        site.await_ready()
        self.site = site
        self.console.step(f"web, {len(site.worker_names())} workers and beat are ready")
        self.write_state()
        return tokens

    @property
    def state_file(self) -> Path:
        return self.folder.root / "state.json"

    def write_state(self) -> None:
        """Who runs under which number, for those who want to look at, or to break, single parts."""
        pids = {child.name: child.pid for child in self.supervisor.children}
        workers = self.site.worker_names() if self.site else []
        named = {name: pids.get(name) for name in ("web", "beat", "postgres", "redis", "s3")}
        state = {
            "pids": {**named, "workers": [pids[name] for name in workers if name in pids]},
            "ports": self.ports.numbers,
        }
        self.folder.write(self.state_file.name, json.dumps(state, indent=1))

    def _await_given(self, service: type[Service]) -> None:
        missing = [name for name in service.required if not self.env.get(name)]
        if missing:
            raise StackError(f"{service.required[0]} is set, so {', '.join(missing)} must be set too")
        self.supervisor.await_ready(
            f"the server that {service.required[0]} names",
            lambda: service.check(self.env),
            GIVEN_SERVICE_SECONDS,
        )
        self.console.step(f"{service.label}: the one that {service.required[0]} names answers")

    def _environment(self, ours: Sequence[Service]) -> dict[str, str]:
        env = site_environment(self.folder)
        env["EXPORTS_S3_BUCKET"] = env.get("EXPORTS_S3_BUCKET") or BUCKET
        for service in ours:
            env |= service.variables
        if any(isinstance(service, SeaweedFS) for service in ours):
            for name in OTHER_CLOUD_VARIABLES:
                env.pop(name, None)
        return env
