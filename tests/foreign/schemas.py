"""Schemas that others wrote, loaded whole, and the models that ``inspectdb`` makes of them."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import psycopg
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections, models
from psycopg import conninfo, sql

PACKAGE = "zabbix-server-pgsql"
"""Debian's: the schema of a monitoring system, about 170 tables, with the templates that it begins with."""
PACKAGED = ("schema.sql.gz", "images.sql.gz", "data.sql.gz")


def missing(what: str) -> NoReturn:
    """Skip aloud; an error where ``CI`` is set."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@contextmanager
def database(name: str) -> Iterator[str]:
    """A new database beside that of the tests, with an alias of its name; gives its URL for ``psql`` and the like."""
    url = os.environ["DATABASE_URL"]
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(drop)
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    connections.settings[name] = {**connections.settings["default"], "NAME": name}
    try:
        yield conninfo.make_conninfo(url, dbname=name)
    finally:
        connections[name].close()
        del connections[name], connections.settings[name]
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(drop)


@contextmanager
def inspected(alias: str) -> Iterator[dict[str, type[models.Model]]]:
    """What ``inspectdb`` says about the tables of a database, as models by table, in an app of its name."""
    text = io.StringIO()
    call_command("inspectdb", database=alias, include_views=True, stdout=text)
    label = f"        app_label = '{alias}'"
    module = ModuleType(f"tests.foreign.{alias}")
    sys.modules[module.__name__] = module
    exec(text.getvalue().replace("    class Meta:", f"    class Meta:\n{label}"), module.__dict__)
    try:
        yield {model._meta.db_table: model for model in apps.all_models[alias].values()}
    finally:
        del apps.all_models[alias], sys.modules[module.__name__]
        apps.clear_cache()


def load_packaged(url: str) -> str:
    """The SQL of the package, which is fetched and unpacked, not installed; gives its version."""
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(url, autocommit=True) as connection:
        packages: list[Path] = []
        for command in (["download", PACKAGE], ["update"], ["download", PACKAGE]):
            fetched = subprocess.run(["apt-get", "-qq", *command], cwd=folder, capture_output=True, text=True)
            if packages := list(Path(folder).glob("*.deb")):
                break
        if not packages:
            missing(f"Debian's package {PACKAGE} cannot be fetched: {fetched.stderr.strip()[-300:]}")
        subprocess.run(["dpkg", "-x", str(packages[0]), "content"], cwd=folder, check=True)
        for name in PACKAGED:
            packed = Path(folder) / "content/usr/share" / PACKAGE / name
            connection.execute(gzip.decompress(packed.read_bytes()))
        asked = subprocess.run(
            ["dpkg-deb", "-f", str(packages[0]), "Version"], capture_output=True, text=True, cwd=folder
        )
        return asked.stdout.strip()


def load_pgbench(url: str, program: Path) -> None:
    """Four tables of PostgreSQL's own benchmark, and 200 transactions in them."""
    for arguments in (["-i", "-q", "-s", "1"], ["-t", "200", "-n"]):
        done = subprocess.run([program, *arguments, url], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
