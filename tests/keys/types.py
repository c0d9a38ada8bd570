"""Types of PostgreSQL that can be a key: how a column of each is declared, and 250 values that differ."""

from __future__ import annotations

from typing import NamedTuple

ROWS = 250
SPECIAL = r"""CASE n % 9 WHEN 0 THEN ',' WHEN 1 THEN '"' WHEN 2 THEN '\' WHEN 3 THEN E'\n' WHEN 4 THEN E'\t'
              WHEN 5 THEN ';' WHEN 6 THEN E'\r' WHEN 7 THEN '''' ELSE E'\x01' END"""
"""One of the characters that files, COPY or SQL literals treat apart, by ``n``."""
PADDED = "lpad(n::text, 5, '0')"

SETUP = """
CREATE TYPE key_stage AS ENUM ({stages});
CREATE DOMAIN key_text AS text COLLATE "C";
CREATE DOMAIN key_char AS char(8);
CREATE DOMAIN key_number AS integer CHECK (VALUE > 0);
CREATE TYPE key_pair AS (number integer, note text);
""".format(stages=", ".join(f"'{'Stage, ' if n % 2 else 'stage '}{n:03}'" for n in range(1, ROWS + 1)))
TEARDOWN = """
DROP TABLE IF EXISTS key_rows;
DROP TYPE IF EXISTS key_stage, key_pair; DROP DOMAIN IF EXISTS key_text, key_char, key_number;
"""


class KeyType(NamedTuple):
    """``declared`` as a column's type; ``value``: an expression of ``n`` from 1 to 250."""

    declared: str
    value: str


TYPES = (
    KeyType("smallint", "(n - 100)::smallint"),
    KeyType("integer", "n - 100"),
    KeyType("bigint", "9007199254740993 + n"),
    KeyType("numeric", "(n - 100) * 1.10000000000000000000000000001"),
    KeyType("numeric(12,3)", "n / 7.0"),
    KeyType("real", "(n - 100) / 3.0::real"),
    KeyType("double precision", "CASE n WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' ELSE n / 3.0::float8 END"),
    KeyType("money", "(n - 100)::money * 1.01"),
    KeyType("oid", "(4000000000 + n)::oid"),
    KeyType("xid8", "n::text::xid8"),
    KeyType("text", f"{SPECIAL} || n"),
    KeyType('text COLLATE "C"', f"{SPECIAL} || n"),
    KeyType("character varying(12)", f"CASE WHEN n = 1 THEN '' ELSE {PADDED} END"),
    KeyType("character(8)", f"'INV' || {PADDED}"),
    KeyType("bpchar", f"chr(65 + n % 26) || {PADDED} || '  '"),
    KeyType("name", f"({SPECIAL} || n)::name"),
    KeyType('"char"', '(n - 126)::"char"'),
    KeyType("bytea", "sha256(n::text::bytea)"),
    KeyType("uuid", "md5(n::text)::uuid"),
    KeyType("date", "CASE n WHEN 1 THEN 'infinity' WHEN 2 THEN '0044-03-15 BC' ELSE date '2024-01-01' + n END"),
    KeyType("time", "time '00:00:00.000001' + n * interval '1 minute'"),
    KeyType("timetz", "(time '00:00' + n * interval '1 minute') AT TIME ZONE 'Asia/Kolkata'"),
    KeyType("timestamp", "timestamp '2024-01-01' + n * interval '1.000001 s'"),
    KeyType(
        "timestamptz", "CASE n WHEN 1 THEN '-infinity' ELSE timestamptz '2024-03-31 00:00+00' + n * interval '1 m' END"
    ),
    KeyType("timestamptz(0)", "timestamptz '2024-01-01 00:00:00+00' + n * interval '1 s'"),
    KeyType("interval", "n * interval '1 day -00:00:01.5'"),
    KeyType("bit(12)", "n::bit(12)"),
    KeyType("bit varying", "n::bit(12)::varbit || B'1'"),
    KeyType("inet", "inet '10.0.0.0/8' + n"),
    KeyType("cidr", "(inet '2001:db8::' + n)::cidr"),
    KeyType("macaddr", "('08002b' || lpad(to_hex(n), 6, '0'))::macaddr"),
    KeyType("macaddr8", "('08002b0102' || lpad(to_hex(n), 6, '0'))::macaddr8"),
    KeyType("pg_lsn", "pg_lsn '1/0' + n"),
    KeyType("tid", "format('(%s,1)', n)::tid"),
    KeyType("regclass", "(100000 + n)::oid::regclass"),
    KeyType("int4range", "int4range(n, n + 1)"),
    KeyType("numrange", "numrange(n / 7.0, NULL)"),
    KeyType("daterange", "daterange(date '2024-01-01' + n, NULL)"),
    KeyType("tstzrange", "tstzrange(timestamptz '2024-01-01 00:00+00' + n * interval '1 h', 'infinity', '[]')"),
    KeyType("int4multirange", "int4multirange(int4range(n, n + 1), int4range(n + 5, n + 6))"),
    KeyType("integer[]", "ARRAY[n % 7, NULL, n]"),
    KeyType("text[]", f"ARRAY[{SPECIAL}, n::text, '']"),
    KeyType("jsonb", f"jsonb_build_object('a', {SPECIAL.replace('x01', 'x02')}, 'n', n)"),
    KeyType("tsvector", "to_tsvector('simple', 'word ' || n || ' it''s')"),
    KeyType("key_stage", "(enum_range(NULL::key_stage))[n]"),
    KeyType("key_text", f"{SPECIAL} || n"),
    KeyType("key_char", f"'D' || {PADDED}"),
    KeyType("key_number", "n"),
    KeyType("key_pair", f"ROW(CASE WHEN n > 1 THEN n % 7 END, CASE WHEN n > 1 THEN {SPECIAL} || n END)::key_pair"),
)
FURTHER = """
CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS ltree;
CREATE EXTENSION IF NOT EXISTS cube; CREATE EXTENSION IF NOT EXISTS isn; CREATE EXTENSION IF NOT EXISTS seg;
CREATE EXTENSION IF NOT EXISTS intarray;
CREATE COLLATION key_blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION key_german (provider = icu, locale = 'de-DE');
CREATE COLLATION key_numeric (provider = icu, locale = 'und-u-kn-true');
CREATE DOMAIN key_word AS citext;
CREATE TYPE key_german_range AS RANGE (subtype = text, collation = key_german);
"""
"""What a server needs for ``EXTENDED``: PostgreSQL's contrib modules, and ICU."""
EXTENDED = (
    KeyType("text COLLATE key_german", "chr(192 + n % 60) || n"),
    KeyType("text COLLATE key_blind", "CASE WHEN n % 2 = 0 THEN 'Straße' ELSE 'strasse' END || n"),
    KeyType("citext", f"CASE WHEN n % 2 = 0 THEN 'Word' ELSE 'word' END || {SPECIAL} || n"),
    KeyType("ltree", "('top.n' || n)::ltree"),
    KeyType("cube", "cube(n, n + 1)"),
    KeyType("isbn", "('978' || lpad(n::text, 9, '0') || '?')::isbn13::isbn"),
    KeyType("seg", "(n || ' .. ' || n + 1)::seg"),
    KeyType("text COLLATE key_numeric", "'item ' || n"),
    KeyType("key_word", "CASE WHEN n % 2 = 0 THEN 'Word' ELSE 'word' END || n"),
    KeyType("citext[]", "ARRAY['Word' || n % 7, 'x' || n]::citext[]"),
    KeyType("key_german_range", f"key_german_range('\u00e4' || {PADDED}, NULL)"),
)
REFUSED_FURTHER = (
    KeyType("hstore", f"hstore('key', {SPECIAL} || n)"),
    KeyType("lquery", "('*.n' || n)::lquery"),
    KeyType("ltxtquery", "('n' || n)::ltxtquery"),
    KeyType("query_int", "(n || '|' || n + 1)::query_int"),
)
REFUSED = (
    KeyType("json", "to_json(n)"),
    KeyType("json[]", "ARRAY[to_json(n)]"),
    KeyType("xml", "NULL"),
    KeyType("point", "point(n, n)"),
    KeyType("box", "box(point(n, n), point(0, 0))"),
    KeyType("circle", "circle(point(n, n), 1)"),
    KeyType("polygon", "polygon(box(point(n, n), point(0, 0)))"),
    KeyType("jsonpath", "('$.a' || n)::jsonpath"),
    KeyType("xid", "n::text::xid"),
    KeyType("aclitem", "makeaclitem(10, n::oid, 'SELECT', false)"),
)
