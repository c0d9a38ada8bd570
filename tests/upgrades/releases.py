"""The last release and this one, each with its own processes, on one database of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import boto3
import psycopg
import pytest
import redis
import requests
from django.conf import settings

from exportsite.stack.ports import HOST
from tests.web_server import wait_until

LAST_RELEASE = "4459118e5e7603cda9259985f56dd7a09cc7d798"
"""Its commit, an ancestor of every later one. To be changed with each release."""
NAME = "exports_upgrade"
"""Of the database and the bucket."""
REDIS_DATABASE = "/9"
QUEUES = "exports,exports.large,maintenance,notifications"


@dataclass
class Release:
    """A folder with its code."""

    folder: Path
    env: dict[str, str]
    logs: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def manage(self, *arguments: str) -> str:
        """What a command printed. Raises ``AssertionError`` with its errors where it failed."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-4_000:]
        return done.stdout

    def start(self, name: str, *arguments: str, passes: Sequence[int] = ()) -> subprocess.Popen[bytes]:
        """A process with a log of its own."""
        with (self.logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=self.folder, env=self.env, stdout=log, stderr=log, pass_fds=passes
            )
        self.running.append(process)
        return process

    def start_web(self, name: str) -> str:
        """The address at which it answers."""
        with socket.create_server((HOST, 0)) as listening:
            url = f"http://{HOST}:{listening.getsockname()[1]}"
            descriptor = listening.fileno()
            self.start(
                name, "-m", "uvicorn", "exportsite.asgi:application", "--fd", str(descriptor), passes=(descriptor,)
            )
        wait_until(lambda: _answers(url), 60)
        return url

    def start_worker(self, name: str) -> subprocess.Popen[bytes]:
        """For all queues."""
        return self.start(
            name,
            *("-m", "celery", "--app", "workers.celery", "worker", "--queues", QUEUES, "--hostname", f"{name}@upgrade"),
            *("--concurrency", "2", "--loglevel", "INFO", "--without-gossip", "--without-mingle"),
        )

    def start_beat(self, name: str) -> None:
        """Which rings for the upkeep."""
        schedule = ("--schedule", str(self.logs / name), "--pidfile", "")
        self.start(name, "-m", "celery", "--app", "workers.celery", "beat", *schedule)

    def stop(self) -> None:
        """All that still runs."""
        for process in self.running:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Scene:
    """Both releases; the tables are the last one's at first."""

    old: Release
    new: Release
    url: str

    @contextmanager
    def connect(self, **options: Any) -> Iterator[psycopg.Connection[Any]]:
        """To the database; each statement is a transaction unless ``options`` say otherwise."""
        with psycopg.connect(self.url, **{"autocommit": True, **options}) as connection:
            yield connection

    def rows(self, query: str, *values: Any) -> list[Any]:
        """What a query gives."""
        with self.connect() as connection:
            return connection.execute(query.encode(), values).fetchall()


@contextmanager
def scene(folder: Path, **environment: str) -> Iterator[Scene]:
    """Removed with all that it made, whatever happens."""
    url, server = _database(NAME), os.environ["DATABASE_URL"]
    env = os.environ | {
        "DATABASE_URL": url,
        "REDIS_URL": os.environ["REDIS_URL"].rpartition("/")[0] + REDIS_DATABASE,
        "EXPORTS_S3_BUCKET": NAME.replace("_", "-"),
        "DJANGO_SETTINGS_MODULE": "exportsite.settings",
        "DEBUG": "1",
        "ALLOWED_HOSTS": HOST,
        **environment,
    }
    checkout(folder / "old")
    old, new = (Release(each, env, folder) for each in (folder / "old", Path(settings.BASE_DIR)))
    with psycopg.connect(server, autocommit=True) as connection, _bucket(env), _empty_redis(env):
        connection.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {NAME}".encode())
        try:
            old.manage("migrate", "--noinput")
            yield Scene(old, new, url)
        finally:
            for release in (old, new):
                release.stop()
            connection.execute(f"DROP DATABASE {NAME} WITH (FORCE)".encode())


def checkout(folder: Path) -> None:
    """The last release's files."""
    root = settings.BASE_DIR
    if subprocess.run(["git", "cat-file", "-e", LAST_RELEASE], cwd=root, capture_output=True).returncode:
        pytest.fail(
            f"This clone has no commit {LAST_RELEASE[:9]}, the last release: it is shallow. Run git fetch --unshallow.",
            pytrace=False,
        )
    folder.mkdir()
    archive = subprocess.run(["git", "archive", LAST_RELEASE], cwd=root, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)


def _database(name: str) -> str:
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


@contextmanager
def _bucket(env: dict[str, str]) -> Iterator[None]:
    client = boto3.client("s3", endpoint_url=env["AWS_ENDPOINT_URL_S3"])
    name = env["EXPORTS_S3_BUCKET"]
    with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        client.create_bucket(Bucket=name)
    try:
        yield
    finally:
        for upload in client.list_multipart_uploads(Bucket=name).get("Uploads", ()):
            client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        while found := client.list_objects_v2(Bucket=name).get("Contents"):
            for each in found:
                client.delete_object(Bucket=name, Key=each["Key"])
        client.delete_bucket(Bucket=name)


@contextmanager
def _empty_redis(env: dict[str, str]) -> Iterator[None]:
    with redis.Redis.from_url(env["REDIS_URL"]) as client:
        client.flushdb()
        try:
            yield
        finally:
            client.flushdb()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health/", timeout=5).status_code == 200
    except requests.RequestException:
        return False
