"""PostgreSQL's types where a cast to text says something else than the type itself prints."""

from __future__ import annotations

from collections.abc import Sequence

PRINTED = "CASE WHEN {0} IS NOT NULL THEN concat({0}) END"
"""As the type prints itself."""
RECAST = {
    "character": PRINTED,  # a cast takes off the blanks that Django, psql and every other client give
    "inet": PRINTED,  # a cast adds the netmask
    "money": "{0}::numeric",  # prints a currency of the server's locale
    "money[]": "{0}::numeric[]",
}
PLAIN = frozenset(
    {
        "bigint", "bigint[]", "boolean", "bytea", "character varying", "character varying[]", "date",
        "double precision",
        "integer", "integer[]", "interval", "json", "jsonb", "numeric", "real", "smallint", "text", "text[]",
        "time without time zone", "timestamp with time zone", "timestamp without time zone", "uuid", *RECAST,
    }
)  # fmt: skip
"""What nearly all columns are. Of other types it is asked whether they are domains."""
BASES = """
WITH RECURSIVE of(name, type) AS (
    SELECT name, name::regtype::oid FROM unnest(%s::text[]) AS name
    UNION ALL SELECT name, typbasetype FROM of JOIN pg_type ON pg_type.oid = of.type WHERE typtype = 'd')
SELECT name, type::regtype::text FROM of JOIN pg_type ON pg_type.oid = of.type WHERE typtype <> 'd'
"""
"""Names of types, and of what they are domains over."""


def recast(names: Sequence[str], types: Sequence[str]) -> list[str] | None:
    """Expressions of columns whose cast to text is true; None where that of the columns themselves is."""
    if RECAST.keys().isdisjoint(types):
        return None
    return [RECAST.get(kind, "{0}").format(name) for name, kind in zip(names, types, strict=True)]
