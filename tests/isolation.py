"""Each process of a parallel run has a database, a number in Redis and a bucket of its own.

Loaded before Django's settings, which are made of these variables.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit

import boto3
import psycopg
from psycopg import sql


def isolate(worker: str) -> None:
    """Point the variables of the services at what only ``worker`` uses; all of it is made anew."""
    os.environ["DATABASE_URL"] = _database(os.environ["DATABASE_URL"], worker)
    redis = urlsplit(os.environ["REDIS_URL"])
    number = int(redis.path.strip("/") or 0) + 1 + int(worker.removeprefix("gw"))
    os.environ["REDIS_URL"] = urlunsplit(redis._replace(path=f"/{number}"))
    os.environ["EXPORTS_S3_BUCKET"] = bucket = f"{os.environ['EXPORTS_S3_BUCKET']}-{worker}"
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"])
    if bucket not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=bucket)


def _database(url: str, worker: str) -> str:
    parts = urlsplit(url)
    name = f"{parts.path.strip('/')}_{worker}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlunsplit(parts._replace(path=f"/{name}"))


if "PYTEST_XDIST_WORKER" in os.environ and "DATABASE_URL" in os.environ:
    # Taken away: tests that run in a test, on a stack of their own, are nobody's worker.
    isolate(os.environ.pop("PYTEST_XDIST_WORKER"))
