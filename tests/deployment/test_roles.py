"""What the roles of deploy/roles.sh may do, on a server of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import quote

import psycopg
import pytest
from psycopg import errors

from tests.debian import binaries, debian_url
from tests.deployment.compose import PROJECT

__all__ = ["debian_url"]
SUPERUSER_ONLY = "SELECT pg_read_file('/etc/passwd')"


@pytest.fixture(scope="module")
def server(debian_url: str) -> str:
    """Its address for any role and database, after the script ran there as the container's entrypoint runs it."""
    programs = binaries()
    assert programs is not None
    folder = debian_url.split("host=")[1].replace("%2F", "/")
    given = {
        "PATH": f"{programs}:{os.defpath}",
        "PGHOST": folder,
        "POSTGRES_USER": "postgres",
        "DATABASE_PASSWORD": "site's password",
        "SOURCE_PASSWORD": "reader",
    }
    subprocess.run(["sh", PROJECT / "deploy/roles.sh"], env=given, check=True, capture_output=True)
    return f"postgresql://{{role}}@/exports?host={quote(folder, safe='')}"


def connect(server: str, role: str) -> psycopg.Connection:
    return psycopg.connect(server.format(role=role), autocommit=True)


@pytest.mark.parametrize("role", ["exports", "exports_reader"])
def test_no_role_of_the_site_has_powers_beyond_its_database(server: str, role: str) -> None:
    with connect(server, role) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
            " FROM pg_roles WHERE rolname = %s",
            [role],
        ).fetchone()
        assert row == (False, False, False, False, False)
        for statement in (SUPERUSER_ONLY, "CREATE DATABASE another", "CREATE ROLE another"):
            with pytest.raises((errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)):
                connection.execute(statement)


def test_the_reader_reads_no_table_that_the_site_makes_and_changes_none(server: str) -> None:
    with connect(server, "exports") as site:
        site.execute("CREATE TABLE IF NOT EXISTS rows (id int); TRUNCATE rows; INSERT INTO rows VALUES (1), (2)")
    with connect(server, "exports_reader") as reader:
        reader.execute("SET default_transaction_read_only = off")
        for statement in (
            "SELECT id FROM rows",
            "INSERT INTO rows VALUES (3)",
            "DELETE FROM rows",
            "DROP TABLE rows",
            "CREATE TABLE mine ()",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                reader.execute(statement)


def test_a_transaction_of_the_reader_is_read_only_by_itself(server: str) -> None:
    with connect(server, "exports_reader") as reader:
        assert reader.execute("SHOW transaction_read_only").fetchone() == ("on",)


def test_passwords_are_those_of_the_environment_and_others_do_not_get_in(server: str) -> None:
    with psycopg.connect(server.format(role="postgres")) as connection:
        hashed = connection.execute(
            "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname LIKE 'exp%'"
        )
        assert hashed.fetchall() == [(True,), (True,)]
        public = connection.execute("SELECT has_database_privilege('pg_monitor', 'exports', 'CONNECT')").fetchone()
        assert public == (False,)


def manage(server: str, *arguments: str) -> str:
    """A command of the site as it runs in the containers: its own role, and the reader for rows."""
    given = {
        "DATABASE_URL": server.format(role="exports"),
        "EXPORTS_SOURCE_DATABASE_URL": server.format(role="exports_reader"),
        "DJANGO_SUPERUSER_PASSWORD": "root",
    }
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=PROJECT, env=os.environ | given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def migrated(server: str) -> str:
    """With the site's tables, the samples' rows, and the rights that Compose gives the reader."""
    with connect(server, "exports") as site:  # as an installation of before has it
        site.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO exports_reader")
    manage(server, "migrate", "--noinput")
    manage(server, "export_source_grants", "--role", "exports_reader", "--apply")
    manage(server, "createsuperuser", "--noinput", "--username", "root", "--email", "root@example.com")
    manage(server, "load_samples", "--rows", "20")
    return server


EVERY_EXPORT = """
from django.contrib.auth.models import User
from django.core.management import call_command
from exports_app.resources import registry
User.objects.create_user("demo", password="demo")
for declared in registry.every():
    resource = declared()
    for format in resource.formats or ("csv", "json", "ndjson", "xlsx", "parquet"):
        given = {"rows": 3, "schema": [{"name": "id", "type": "integer"}]} if resource.is_python() else None
        if given is None:
            call_command("export", resource.name, user="root", format=format, output="/dev/null")
            print(resource.name, format)
"""


def test_every_sample_is_exported_in_every_format_by_the_reader(migrated: str) -> None:
    told = manage(migrated, "shell", "-v", "0", "-c", EVERY_EXPORT).split("\n")
    names = ("customers", "daily_pnl", "goals", "prop_evaluation", "tag_performance", "tags", "trades", "transactions")
    made = {line for line in told if line.count(" ") == 1}
    assert made == {f"{name} {each}" for name in names for each in ("csv", "json", "ndjson", "xlsx", "parquet")}


FILTERED = """
customers --filter country_code=DE --filter lifetime_value_min=1 --filter signup_date_after=2020-01-01
transactions --filter status=SETTLED --filter booked_at_after=2020-01-01 --filter amount_min=1
trades --filter tags=news --filter status=CLOSED --filter opened_at_after=2020-01-01
tags --filter created_at_after=2020-01-01
goals --filter status=ACTIVE --filter period=MONTH
daily_pnl --filter day_after=2020-01-01
tag_performance --filter opened_at_after=2020-01-01
"""


def test_filters_read_no_more_than_the_reader_may(migrated: str) -> None:
    lines = [line.split() for line in FILTERED.strip().splitlines()]
    calls = "\n".join(
        f"try: call_command('export', *{line}, '--user', 'root', '--output', '/dev/null')\n"
        f"except CommandError as error: print('refused', {line[0]!r}, error)"
        for line in lines
    )
    head = "from django.core.management import CommandError, call_command\n"
    told = manage(migrated, "shell", "-v", "0", "-c", head + calls)
    assert "denied" not in told


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM auth_user",
        "SELECT username FROM auth_user",
        "SELECT count(*) FROM auth_user",
        "SELECT * FROM exports_app_apikey",
        "SELECT * FROM exports_app_exportwebhook",
        "SELECT * FROM exports_app_exportjob",
        "SELECT * FROM exports_app_exporttoken",
        "SELECT * FROM django_session",
        "SELECT * FROM samples_propevaluation",  # of which no resource shows every column
        "SELECT * FROM rows_of_later",
    ],
)
def test_the_reader_is_refused_what_no_resource_exports(migrated: str, statement: str) -> None:
    with connect(migrated, "exports") as site:
        site.execute("CREATE TABLE IF NOT EXISTS rows_of_later (id int)")
    with connect(migrated, "exports_reader") as reader, pytest.raises(errors.InsufficientPrivilege):
        reader.execute(statement)


def test_giving_the_rights_again_changes_nothing(migrated: str) -> None:
    granted = (
        "SELECT table_name, column_name FROM information_schema.column_privileges WHERE grantee = %s ORDER BY 1, 2"
    )
    with connect(migrated, "exports") as site:
        before = site.execute(granted, ["exports_reader"]).fetchall()
        manage(migrated, "export_source_grants", "--role", "exports_reader", "--apply")
        assert site.execute(granted, ["exports_reader"]).fetchall() == before != []
