"""Connections to the databases that rows come from: those of Django's aliases, or replicas of them.

Django's own wrapper makes each one, from all that ``DATABASES`` says of the alias: certificates, ``search_path``,
service, ``assume_role``. Reading from a database in another way than the ORM would may show other rows.
"""

from __future__ import annotations

import select
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import conninfo
from psycopg.pq import Format

from exports_app import conf

DEFAULTS: dict[str, Any] = {
    "application_name": "exports",
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""What an alias's ``OPTIONS`` leave open."""
ADDRESS = frozenset(
    {"host", "hostaddr", "port", "dbname", "user", "password", "service", "servicefile", "target_session_attrs"}
)
"""Says which server it is, and is not taken over to another one."""
DJANGO_LOADS = [psycopg.adapters.types[name].oid for name in ("timestamptz", "jsonb", "inet", "cidr")]
"""Types whose values Django has psycopg load in its own way."""


Source = psycopg.Connection[Any]
KEEP_SECONDS = 10.0
"""A connection that nobody used for so long is not used again, since what lies between may have dropped it."""


def source_url(alias: str) -> str:
    """Where rows of this alias are read from instead of its own server; empty: nowhere else."""
    url = conf.settings.SOURCE_DATABASE_URLS.get(alias, "")
    return str(url or (conf.settings.SOURCE_DATABASE_URL if alias == DEFAULT_DB_ALIAS else ""))


def require_postgresql(alias: str) -> None:
    """Raises ``ImproperlyConfigured`` where rows of this database cannot be exported."""
    if alias not in connections:
        raise ImproperlyConfigured(f"DATABASES has no entry {alias!r}, which the rows are to be read from.")
    if (vendor := connections[alias].vendor) != "postgresql":
        raise ImproperlyConfigured(
            f"The rows would be read from the database {alias!r}, which is {vendor}. "
            "Exports need PostgreSQL: read them from such a database, or declare iter_rows()."
        )


def connect_source(alias: str = DEFAULT_DB_ALIAS, **options: Any) -> psycopg.Connection[Any]:
    """A connection of its own to where this alias's rows are read, as psycopg makes it: plain cursors and values.

    ``options``: libpq's, above those of the alias. Raises what psycopg raises, ``ImproperlyConfigured`` where it is
    not PostgreSQL.
    """
    wrapper = connect_wrapper(alias, **options)
    plain: psycopg.Connection[Any] = wrapper.connection
    wrapper.connection = None  # which would close it
    plain.commit()  # where receivers of connection_created began a transaction
    plain.autocommit = False
    plain.cursor_factory = psycopg.Cursor
    plain.prepare_threshold = None
    for oid in DJANGO_LOADS:
        if loader := psycopg.adapters.get_loader(oid, Format.TEXT):
            plain.adapters.register_loader(oid, loader)
    return plain


def connect_wrapper(alias: str, **options: Any) -> BaseDatabaseWrapper:
    """The same as Django's wrapper, which belongs to this thread and is none of ``django.db.connections``."""
    require_postgresql(alias)
    wrapper: Any = connections.create_connection(alias)
    wrapper.settings_dict = source_settings(alias, options)
    try:
        wrapper.connect()
    except BaseException as error:
        if wrapper.connection is not None:  # the role could not be assumed
            wrapper.connection.close()
        if not isinstance(error, Error):
            raise
        cause = error.__cause__
        raise (cause if isinstance(cause, psycopg.Error) else psycopg.NotSupportedError(str(error))) from None
    return wrapper  # type: ignore[no-any-return]


def source_settings(alias: str, options: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The alias's entry in ``DATABASES``, without its pool; for a replica with the address that its URL names.

    All other options are the alias's there too, unless the URL names them: the same schema, role and certificates.
    """
    given = connections[alias].settings_dict
    settings = {**given, "OPTIONS": {**DEFAULTS, **given["OPTIONS"], **options}}
    settings["OPTIONS"].pop("pool", None)
    if url := source_url(alias):
        there = conninfo.conninfo_to_dict(url)
        kept = {name: value for name, value in settings["OPTIONS"].items() if name not in ADDRESS}
        settings |= {"USER": "", "PASSWORD": "", "HOST": "", "PORT": ""}
        settings["NAME"] = there.pop("dbname", None) or ("" if "service" in there else given["NAME"])
        settings["OPTIONS"] = {**kept, **there, **options}
    return settings


def is_lost(connection: Source) -> bool:
    """Whether the server has ended it: then there is something to read, the end if nothing else."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
