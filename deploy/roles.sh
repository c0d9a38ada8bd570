#!/bin/sh
# Runs once, when the postgres container makes its cluster: the site owns its database and is no superuser; rows of
# exports are read by a role that can change nothing, and read only what `manage.py export_source_grants` gives it after
# each migration. Passwords come from the environment and stand in no argument.
set -eu

psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv site_password DATABASE_PASSWORD
\getenv reader_password SOURCE_PASSWORD
CREATE ROLE exports LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'site_password';
CREATE ROLE exports_reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'reader_password';
ALTER ROLE exports_reader SET default_transaction_read_only = on;
CREATE DATABASE exports OWNER exports;
REVOKE ALL ON DATABASE exports FROM PUBLIC;
GRANT CONNECT ON DATABASE exports TO exports_reader;
\connect exports
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO exports_reader;
SQL
