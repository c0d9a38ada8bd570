"""Addresses of the environment: of databases, of the site, of the store. Refused here, none is ever quoted whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host
from psycopg import conninfo

from exports_app import redis_urls
from exportsite.environment import Env

REGION = "us-east-1"
FORM = "postgresql://user:password@host:5432/name, with special characters of the password as %40 and the like"


def database(name: str, url: str) -> dict[str, Any]:
    """The entry of ``DATABASES`` for a URL. Raises ``ImproperlyConfigured``, without what stands in it."""
    try:
        found: dict[str, Any] = dict(dj_database_url.parse(url))
    except ValueError:
        found = {}
    if "postgresql" not in found.get("ENGINE", "") or not found.get("NAME"):
        raise ImproperlyConfigured(f"{name} is no address of a PostgreSQL database. Write {FORM}.") from None
    return found


def source(name: str, url: str) -> str:
    """The URL of a replica, which libpq reads and which may name several hosts. Raises as ``database`` does."""
    if not url:
        return url
    try:
        parts = conninfo.conninfo_to_dict(url)
        ports = [int(port) for port in str(parts.get("port") or "5432").split(",") if port]
        if urlsplit(url).scheme in ("postgresql", "postgres") and all(0 < port < 65_536 for port in ports):
            return url
    except (psycopg.Error, ValueError):
        pass
    raise ImproperlyConfigured(f"{name} is no address of a PostgreSQL database. Write {FORM}.") from None


def broker(name: str, url: str) -> tuple[str, dict[str, Any]]:
    """Of Redis or its sentinels: the URL and the transport options of Celery. Raises ``ImproperlyConfigured``."""
    for other in ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"):
        if os.environ.get(other):  # which Celery would heed by itself
            raise ImproperlyConfigured(f"{other} is set. The broker is the Redis of {name}: unset {other}.")
    try:
        return redis_urls.broker(url)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} {error}") from None


def check_site(url: str, hosts: Sequence[str], *, https: bool) -> None:
    """Links in mails begin with this address. Raises ``ImproperlyConfigured`` where the site would not answer there."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ImproperlyConfigured("EXPORTS_SITE_URL is no address. Write https:// and the host that people reach.")
    if https and parts.scheme != "https":
        raise ImproperlyConfigured("EXPORTS_SITE_URL begins with http:// and HTTPS is on. Write https://, or HTTPS=0.")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if not validate_host(name, hosts):
        raise ImproperlyConfigured(f"EXPORTS_SITE_URL leads to {name}, which ALLOWED_HOSTS does not name.")


def file_hosts(env: Env) -> list[str]:
    """Where browsers fetch files from: the bucket's own host, as presigned links name it."""
    if host := env.str("EXPORTS_S3_PUBLIC_ENDPOINT_URL", "") or env.str("AWS_ENDPOINT_URL_S3", ""):
        parts = urlsplit(host)
        return [f"{parts.scheme}://{parts.netloc}"]
    bucket, region = env.str("EXPORTS_S3_BUCKET", ""), env.str("AWS_REGION", "") or REGION
    # A name with dots is no name of one level, which the store's certificate would cover: it stands in the path.
    owner = "" if "." in bucket else f"{bucket}."
    cloud = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    # Links name the one or the other, and the first leads on to the second.
    return [f"https://{owner}s3.{cloud}", f"https://{owner}s3.{region}.{cloud}"]
