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


def test_the_site_makes_tables_and_the_reader_reads_them_and_can_do_no_more(server: str) -> None:
    with connect(server, "exports") as site:
        site.execute("CREATE TABLE IF NOT EXISTS rows (id int); TRUNCATE rows; INSERT INTO rows VALUES (1), (2)")
    with connect(server, "exports_reader") as reader:
        assert reader.execute("SELECT count(*) FROM rows").fetchone() == (2,)
        reader.execute("SET default_transaction_read_only = off")
        for statement in ("INSERT INTO rows VALUES (3)", "DELETE FROM rows", "DROP TABLE rows", "CREATE TABLE mine ()"):
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


def test_the_site_migrates_as_its_role_and_exports_by_the_reader(server: str) -> None:
    manage(server, "migrate", "--noinput")
    manage(server, "createsuperuser", "--noinput", "--username", "root", "--email", "root@example.com")
    manage(server, "load_samples", "--rows", "20")
    written = manage(server, "export", "customers", "--user", "root", "--output", "-").splitlines()
    assert (written[0].split(",")[0], len(written)) == ('"ID"', 21)
